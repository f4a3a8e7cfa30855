"""What the documented error codes of cloud services assert, whatever status comes with them; and the status without."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from registry.verdict import INCONCLUSIVE, Verdict
from tasks.check import check
from tasks.vantages.local import LocalVantage
from tests.tasks.support import listening
from tests.tasks.test_services import Service
from tests.tasks.wired import target_of

SECRET = "canary-secret-key"
_PEM = (
    rsa.generate_private_key(public_exponent=65537, key_size=2048)
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)
_KEY = {"access_id": "LTAI5tExample"}


def _json(member: str) -> Any:
    return lambda code: {member: code}


def _google(reason: str) -> dict[str, Any]:
    return {"error": {"code": 403, "errors": [{"reason": reason}]}}


def _tablestore(code: str) -> bytes:
    return bytes([0x0A, len(code)]) + code.encode()


@dataclass(frozen=True)
class Kind:
    """A service: what it says to strangers, to a login, and where the project and an object of it are asked for.

    Attributes:
        error: An answer with an error code.
        project: Words of the request that names the project; nothing else has all of them.
        object: The same of the request for the object `lines`.
        entered: What the project answers where all is well.
        before: Rules for what comes earlier.
    """

    error: Any
    project: tuple[str, ...]
    object: tuple[str, ...]
    entered: Any
    before: tuple[tuple[tuple[str, ...], int, Any], ...]
    entry: Mapping[str, Any]
    secrets: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = "endpoint"


KINDS = {
    "loghub": Kind(
        _json("errorCode"), ("/logstores?offset",), ("/logstores/lines ",), {"logstores": ["lines"]},
        ((("GET / ",), 404, {"errorCode": "InvalidURL"}),),
        {"project": "orders", **_KEY}, {"access_key": SECRET}, {"x-log-requestid": "1"},
    ),
    "datahub": Kind(
        _json("ErrorCode"), ("/projects/orders ",), ("/projects/orders/topics/lines ",), {"Comment": ""},
        ((("GET / ",), 404, {"ErrorCode": "InvalidUriSpec"}),),
        {"project": "orders", **_KEY}, {"access_key": SECRET},
    ),
    "tablestore": Kind(
        _tablestore, ("POST /ListTable ",), ("POST /DescribeTable ",), _tablestore("lines"),
        ((("GET / ",), 405, "no"),),
        {"instance_name": "orders", **_KEY}, {"access_key": SECRET}, {"x-ots-requestid": "1"},
    ),
    "maxcompute": Kind(
        lambda code: f"<Error><Code>{code}</Code><Message>no</Message></Error>",
        ("/projects/orders ",), ("/projects/orders/tables/lines?",), "<Project><Name>orders</Name></Project>",
        ((("GET / ",), 401, "<Error><Code>MissingAuthorization</Code></Error>"),),
        {"project": "orders", "endpoint_mode": "Custom", **_KEY}, {"access_key": SECRET}, {"x-odps-request-id": "5F"},
    ),
    "milvus": Kind(
        lambda code: {"code": int(code), "message": "no"},
        ("collections/list", "Bearer"), ("collections/describe", "Bearer"), {"code": 0, "data": ["lines"]},
        (),
        {"database": "orders", "username": "app"}, {"password": SECRET},
    ),
    "salesforce": Kind(
        lambda code: [{"errorCode": code, "message": "no"}],
        ("/v58.0/sobjects/ ",), ("/sobjects/lines/describe/",), {"sobjects": [{}]},
        ((("GET /services/data/ ",), 200, [{"version": "58.0"}]), (("/oauth2/token",), 200, {"access_token": "t"})),
        {"client_id": "3MVG9"}, {"refresh_token": SECRET}, endpoint="instance_url",
    ),
    "bigquery": Kind(
        _google, ("/datasets?",), ("/datasets/lines ",), {"datasets": [{}]},
        (
            (("GET /bigquery/v2/projects ",), 401, _google("required")),
            (("POST /token",), 200, {"access_token": "a-token"}),
        ),
        {"big_query_project_id": "orders"}, {},
    ),
}  # fmt: skip
#: Anonymous requests that no rule before knows.
_STRANGER = {"milvus": {"code": 1800, "message": "no"}}


async def ask(kind: str, *, project: tuple[int, Any] = (200, None), object: tuple[int, Any] | None = None) -> Verdict:
    """The verdict over a service whose project, or whose object, answers so."""
    known = KINDS[kind]
    entered = known.entered if project[1] is None else project[1]
    rules = [*known.before]
    rules += [(known.object, *object)] if object else []
    rules += [(known.project, project[0], entered), ((), 200, _STRANGER.get(kind, ""))]
    async with listening(Service(rules, known.headers)) as port:
        url = f"http://127.0.0.1:{port}"
        entry = {known.endpoint: url, "objects": ["lines"] if object else [], **known.entry}
        entry |= {"tunnel_server": url} if kind == "maxcompute" else {}
        secrets = dict(known.secrets)
        if kind == "bigquery":
            account = {"client_email": "loader@example.com", "private_key": _PEM, "token_uri": f"{url}/token"}
            secrets["big_query_auth"] = json.dumps(account)
        return await check(target_of(kind, entry, **secrets), LocalVantage(), timeout=4)


OF_PROJECT = [
    ("loghub", "InvalidAccessKeyId", "AUTH.TOKEN"),
    ("loghub", "SecurityTokenExpired", "AUTH.TOKEN"),
    ("loghub", "RequestTimeExpired", "AUTH.TOKEN"),
    ("loghub", "ProjectNotExist", "TARGET.MISSING"),
    ("loghub", "Unauthorized", "TARGET.NO_CONNECT"),
    ("datahub", "Unauthorized", "AUTH.BAD_CREDENTIALS"),
    ("datahub", "LimitExceeded", "CAPACITY.CONNECTIONS"),
    ("datahub", "NoSuchProject", "TARGET.MISSING"),
    ("datahub", "NoPermission", "TARGET.NO_CONNECT"),
    ("tablestore", "OTSNoPermissionAccess", "TARGET.NO_CONNECT"),
    ("maxcompute", "ODPS-0420111", "TARGET.MISSING"),
    ("maxcompute", "NoPermission", "TARGET.NO_CONNECT"),
    ("milvus", "1401", "TARGET.NO_CONNECT"),
    ("milvus", "8", "CAPACITY.CONNECTIONS"),
    ("salesforce", "IP_RESTRICTED", "ADMIT.ALLOWLIST"),
    ("salesforce", "API_DISABLED_FOR_ORG", "AUTH.LOGIN_FORBIDDEN"),
    ("salesforce", "INSUFFICIENT_ACCESS", "TARGET.NO_CONNECT"),
    ("bigquery", "policyViolation", "ADMIT.ALLOWLIST"),
    ("bigquery", "billingNotEnabled", "AUTH.LOGIN_FORBIDDEN"),
    ("bigquery", "rateLimitExceeded", "CAPACITY.CONNECTIONS"),
    ("bigquery", "accessDenied", "TARGET.NO_CONNECT"),
]
OF_OBJECT = [
    ("loghub", "LogStoreNotExist", "TARGET.OBJECT_MISSING"),
    ("loghub", "Unauthorized", "PRIV.OBJECT_DENIED"),
    ("datahub", "NoSuchTopic", "TARGET.OBJECT_MISSING"),
    ("datahub", "NoPermission", "PRIV.OBJECT_DENIED"),
    ("tablestore", "OTSObjectNotExist", "TARGET.OBJECT_MISSING"),
    ("tablestore", "OTSNoPermissionAccess", "PRIV.OBJECT_DENIED"),
    ("maxcompute", "ODPS-0130131", "TARGET.OBJECT_MISSING"),
    ("maxcompute", "ODPS-0130013", "PRIV.OBJECT_DENIED"),
    ("milvus", "1401", "PRIV.OBJECT_DENIED"),
    ("salesforce", "NOT_FOUND", INCONCLUSIVE),
    ("salesforce", "INSUFFICIENT_ACCESS", "PRIV.OBJECT_DENIED"),
    ("bigquery", "accessDenied", "PRIV.OBJECT_DENIED"),
]


@pytest.mark.parametrize(("kind", "code", "cause"), OF_PROJECT)
async def test_a_code_counts_whatever_status_a_gateway_puts_on_it(kind: str, code: str, cause: str) -> None:
    found = await ask(kind, project=(400, KINDS[kind].error(code)))
    assert found.cause == cause, found
    assert "?" not in found.message + found.remedy + found.component
    assert SECRET not in found.model_dump_json()


@pytest.mark.parametrize(("kind", "code", "cause"), OF_OBJECT)
async def test_the_code_of_an_object_counts(kind: str, code: str, cause: str) -> None:
    found = await ask(kind, object=(400, KINDS[kind].error(code)))
    assert found.cause == cause, found
    assert found.component == "lines"
    if cause == INCONCLUSIVE:
        assert found.alternatives == ["TARGET.OBJECT_MISSING", "PRIV.OBJECT_DENIED"]


@pytest.mark.parametrize(
    ("status", "cause", "stage"),
    [
        (401, "AUTH.BAD_CREDENTIALS", "login"),
        (429, "CAPACITY.CONNECTIONS", "login"),
        (403, "TARGET.NO_CONNECT", "target"),
        (404, "TARGET.MISSING", "target"),
        (503, "SERVER.NOT_READY", "login"),
    ],
)
async def test_a_status_counts_where_the_service_gives_no_code(status: int, cause: str, stage: str) -> None:
    found = await ask("bigquery", project=(status, {}))
    assert found.cause == cause, found
    assert [one.name for one in found.stages if one.status == "failed"] == [stage]


@pytest.mark.parametrize(("status", "cause"), [(403, "PRIV.OBJECT_DENIED"), (404, "TARGET.OBJECT_MISSING")])
async def test_the_status_of_an_object_counts_where_the_service_gives_no_code(status: int, cause: str) -> None:
    found = await ask("bigquery", object=(status, {}))
    assert (found.cause, found.component) == (cause, "lines")
