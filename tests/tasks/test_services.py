"""Cloud services behind HTTP APIs: signatures as their own clients make them, and error codes as documented."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from registry.verdict import Verdict
from tasks.check import check
from tasks.protocols.datahub import DataHubSession
from tasks.protocols.http.service import SignedSession
from tasks.protocols.loghub import LogHubSession
from tasks.protocols.maxcompute import MaxComputeSession
from tasks.protocols.tablestore import TablestoreSession
from tasks.vantages.local import LocalVantage
from tests.tasks.support import listening
from tests.tasks.wired import target_of

SECRET = "canary-secret-key"
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Service:
    """A service that answers by rules: the first whose words all stand in the request counts.

    Attributes:
        heard: Every request, head and body.
    """

    rules: list[tuple[tuple[str, ...], int, Any]]
    headers: Mapping[str, str] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            length = next(
                (int(line[15:]) for line in head.lower().splitlines() if line.startswith("content-length:")), 0
            )
            body = (await reader.readexactly(length)).decode("latin-1")
            self.heard.append(head + body)
            status, answer = next(
                (status, answer) for words, status, answer in self.rules if all(word in head + body for word in words)
            )
            data = (
                answer
                if isinstance(answer, bytes)
                else (json.dumps(answer) if not isinstance(answer, str) else answer).encode()
            )
            lines = [f"HTTP/1.1 {status} X", f"content-length: {len(data)}"]
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + data)
            await writer.drain()


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""


@asynccontextmanager
async def _port(service: Service) -> AsyncIterator[int]:
    async with listening(service) as port:
        yield port


async def verdict(
    type: str, service: Service, entry: Mapping[str, Any], url_field: str = "endpoint", path: str = "", **secrets: str
) -> Verdict:
    async with _port(service) as port:
        given = {url_field: f"http://127.0.0.1:{port}{path}", **entry}
        return await check(target_of(type, given, **secrets), LocalVantage(), timeout=4)


KEY = {"access_id": "LTAI5tExample"}


# -- signatures -------------------------------------------------------------------------------------------------------


class _Fixed:
    """A session's signature at a fixed time, without a peer."""

    def __init__(self, session: type[SignedSession], project: str) -> None:
        fixed = type("Fixed", (session,), {
            "now": lambda _self: AT, "access_id": "LTAI5tExample", "access_key": SECRET.encode(), "project": project,
        })  # fmt: skip
        self.sign: Callable[..., Mapping[str, str]] = object.__new__(fixed).signature


@pytest.mark.parametrize(
    ("session", "request_", "name", "expected"),
    [
        (
            MaxComputeSession,
            ("GET", "/projects/orders/tables", {"expectmarker": "true", "maxitems": "1", "curr_project": "orders"}),
            "authorization",
            "ODPS LTAI5tExample:9fZTsCPuWHcY7X5o0627E1CdC2A=",
        ),
        (
            LogHubSession,
            ("GET", "/logstores", {"offset": "0", "size": "1"}),
            "authorization",
            "LOG LTAI5tExample:xe92ON6W6hYHWa6VBnpfc+Vioxg=",
        ),
        (
            DataHubSession,
            ("GET", "/projects/orders", {}),
            "authorization",
            "DATAHUB LTAI5tExample:FzlFY9gOlLqRbD1ZCO7hobnV+ug=",
        ),
        (TablestoreSession, ("POST", "/ListTable", {}), "x-ots-signature", "QkVAHbgvIX015Bqtdb0YyChenNs="),
    ],
)
def test_signatures_are_those_of_the_services_own_clients(
    session: type[SignedSession], request_: tuple[str, str, dict[str, str]], name: str, expected: str
) -> None:
    method, path, query = request_
    assert _Fixed(session, "orders").sign(method, path, query, b"")[name] == expected


# -- MaxCompute -------------------------------------------------------------------------------------------------------


def odps(code: str, message: str) -> str:
    return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message><![CDATA[{message}]]></Message></Error>'.replace(
        "<![CDATA[", ""
    ).replace("]]>", "")


MAXCOMPUTE = {"x-odps-request-id": "5F0C"}
PROJECT = "<Project><Name>orders</Name></Project>"


def maxcompute(*rules: tuple[tuple[str, ...], int, Any]) -> Service:
    anonymous = (("GET /api/ ",), 401, odps("MissingAuthorization", "ODPS-0410001: missing"))
    return Service([anonymous, *rules], MAXCOMPUTE)


async def ask_maxcompute(service: Service, **changes: Any) -> Verdict:
    async with _port(service) as port:
        url = f"http://127.0.0.1:{port}/api"
        entry = {
            "project": "orders",
            "endpoint_mode": "Custom",
            "endpoint": url,
            "tunnel_server": url,
            **KEY,
            **changes,
        }
        return await check(target_of("maxcompute", entry, access_key=SECRET), LocalVantage(), timeout=4)


async def test_maxcompute_good() -> None:
    service = maxcompute(
        (("/projects/orders/tables?",), 200, "<Tables><Table><Name>t</Name></Table></Tables>"),
        (("/projects/orders ", "authorization: ODPS LTAI5tExample:"), 200, PROJECT),
    )
    found = await ask_maxcompute(service)
    assert found.connectable, found
    assert [warning.code for warning in found.warnings] == ["AUTH.ACCESS_KEY_USED"]
    assert SECRET not in "".join(service.heard)
    assert "authorization" not in service.heard[0]


@pytest.mark.parametrize(
    ("status", "code", "message", "cause"),
    [
        (401, "Unauthorized", "ODPS-0410051: Invalid credentials - accessKeyId not found", "AUTH.TOKEN"),
        (401, "Unauthorized", "ODPS-0410042: Invalid signature value", "AUTH.TOKEN"),
        (400, "Unauthorized", "ODPS-0410031: Authentication request expired", "AUTH.TOKEN"),
        (404, "NoSuchProject", "ODPS-0420111: Project not found", "TARGET.MISSING"),
        (403, "NoPermission", "ODPS-0420095: Access Denied", "TARGET.NO_CONNECT"),
        (500, "InternalServerError", "ODPS-0010000: System internal error", "SERVER.ERROR"),
        (503, "ServiceUnavailable", "busy", "SERVER.NOT_READY"),
    ],
)
async def test_maxcompute_refuses(status: int, code: str, message: str, cause: str) -> None:
    found = await ask_maxcompute(maxcompute((("/projects/orders",), status, odps(code, message))))
    assert found.cause == cause, found
    assert "?" not in found.message + found.remedy + found.component
    assert SECRET not in found.model_dump_json()


@pytest.mark.parametrize(
    ("status", "message", "cause"),
    [
        (404, "ODPS-0130131: Table not found", "TARGET.OBJECT_MISSING"),
        (403, "ODPS-0130013: Access Denied - no privilege", "PRIV.OBJECT_DENIED"),
    ],
)
async def test_maxcompute_tables(status: int, message: str, cause: str) -> None:
    service = maxcompute(
        (("/projects/orders/tables/lines?",), status, odps("X", message)), (("/projects/orders ",), 200, PROJECT)
    )
    found = await ask_maxcompute(service, objects=["lines"])
    assert (found.cause, found.component) == (cause, "lines")


async def test_an_identity_of_the_platform_is_no_login() -> None:
    found = await ask_maxcompute(maxcompute(), access_id=None, auth_type="Executor")
    assert found.state == "Unsupport"
    assert "Executor" in found.message


async def test_another_http_server_is_no_maxcompute() -> None:
    found = await ask_maxcompute(Service([((), 200, "<html>welcome</html>")]))
    assert found.cause == "PROTO.MISMATCH"
    assert SECRET not in found.model_dump_json()


# -- LogHub, DataHub, Tablestore --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (200, None, None),
        (401, "SignatureNotMatch", "AUTH.TOKEN"),
        (401, "InvalidAccessKeyId", "AUTH.TOKEN"),
        (404, "ProjectNotExist", "TARGET.MISSING"),
        (401, "Unauthorized", "TARGET.NO_CONNECT"),
        (403, "ProjectForbidden", "AUTH.LOGIN_FORBIDDEN"),
        (403, "ReadQuotaExceed", "CAPACITY.CONNECTIONS"),
    ],
)
async def test_loghub(status: int, code: str | None, cause: str | None) -> None:
    answer = {"errorCode": code, "errorMessage": "no"} if code else {"count": 1, "logstores": ["app"]}
    rules = [(("GET / ",), 404, {"errorCode": "InvalidURL"}), (("/logstores?offset=0&size=1",), status, answer)]
    service = Service(rules, {"x-log-requestid": "1"})
    found = await verdict("loghub", service, {"project": "orders", **KEY}, access_key=SECRET)
    assert found.cause == cause, found
    assert SECRET not in "".join(service.heard) + found.model_dump_json()


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (200, None, None),
        (401, "Unauthorized", "AUTH.BAD_CREDENTIALS"),
        (404, "NoSuchProject", "TARGET.MISSING"),
        (403, "NoPermission", "TARGET.NO_CONNECT"),
    ],
)
async def test_datahub(status: int, code: str | None, cause: str | None) -> None:
    answer = {"ErrorCode": code, "ErrorMessage": "no"} if code else {"Comment": "", "CreateTime": 1}
    rules = [
        (("GET / ",), 404, {"ErrorCode": "InvalidUriSpec"}),
        (("/projects/orders/topics",), 200, {"TopicNames": ["t"]}),
        (("/projects/orders",), status, answer),
    ]
    found = await verdict("datahub", Service(rules), {"project": "orders", **KEY}, access_key=SECRET)
    assert found.cause == cause, found


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (200, None, None),
        (403, "OTSAuthFailed", "AUTH.BAD_CREDENTIALS"),
        (403, "OTSNoPermissionAccess", "TARGET.NO_CONNECT"),
        (503, "OTSServerBusy", "CAPACITY.CONNECTIONS"),
        (500, "OTSInternalServerError", "SERVER.ERROR"),
    ],
)
async def test_tablestore(status: int, code: str | None, cause: str | None) -> None:
    text = (code or "orders").encode()
    message = bytes([0x0A, len(text)]) + text
    rules = [(("GET / ",), 405, "no"), (("POST /ListTable ", "x-ots-signature:"), status, message)]
    entry = {"instance_name": "orders", **KEY}
    found = await verdict("tablestore", Service(rules, {"x-ots-requestid": "1"}), entry, access_key=SECRET)
    assert found.cause == cause, found


# -- Snowflake, BigQuery, Milvus, Salesforce --------------------------------------------------------------------------

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_PEM = _KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


def _claims(token: str) -> dict[str, Any]:
    """The claims of a token whose signature is right."""
    head, body, signature = (part + "=" * (-len(part) % 4) for part in token.split("."))
    signed = ".".join(token.split(".")[:2]).encode()
    _KEY.public_key().verify(base64.urlsafe_b64decode(signature), signed, padding.PKCS1v15(), hashes.SHA256())
    assert json.loads(base64.urlsafe_b64decode(head))["alg"] == "RS256"
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body))
    return found


def refused(code: str) -> dict[str, Any]:
    return {"success": False, "code": code, "message": "no", "data": {}}


def entered(database: str | None = "ORDERS") -> dict[str, Any]:
    return {"success": True, "data": {"token": "session-token", "sessionInfo": {"databaseName": database}}}


SNOWFLAKE = {"database": "ORDERS", "username": "loader"}
EMPTY_LOGIN = (('"data": {}',), 200, refused("390201"))
ROWS = {"success": True, "data": {"rowset": [["t"]]}}


@pytest.mark.parametrize(
    ("login", "query", "cause", "alternatives"),
    [
        (entered(), ROWS, None, []),
        (refused("390100"), ROWS, "AUTH.BAD_CREDENTIALS", []),
        (refused("390422"), ROWS, "ADMIT.ALLOWLIST", []),
        (refused("390114"), ROWS, "INCONCLUSIVE", ["AUTH.LOGIN_FORBIDDEN", "AUTH.EXPIRED_OR_LOCKED"]),
        (entered(None), ROWS, "INCONCLUSIVE", ["TARGET.MISSING", "TARGET.NO_CONNECT"]),
        (entered(), refused("002003"), "INCONCLUSIVE", ["TARGET.OBJECT_MISSING", "PRIV.OBJECT_DENIED"]),
        (entered(), refused("000606"), "SERVER.ERROR", []),
    ],
)
async def test_snowflake(login: Any, query: Any, cause: str | None, alternatives: list[str]) -> None:
    rules = [EMPTY_LOGIN, (("login-request", SECRET), 200, login), (("query-request", "session-token"), 200, query)]
    found = await verdict(
        "snowflake", Service(rules), {**SNOWFLAKE, "objects": ["lines"]}, "account_url", password=SECRET
    )
    assert (found.cause, found.alternatives) == (cause, alternatives), found
    assert SECRET not in found.model_dump_json()
    assert "?" not in found.message + found.remedy


async def test_snowflake_by_a_private_key() -> None:
    rules = [EMPTY_LOGIN, (("login-request",), 200, entered()), (("query-request",), 200, ROWS)]
    service = Service(rules)
    entry = {**SNOWFLAKE, "security_protocol": "authTypePrivateKey"}
    found = await verdict("snowflake", service, entry, "account_url", private_key_file_id=_PEM)
    assert found.connectable, found
    login = json.loads(service.heard[1].partition("\r\n\r\n")[2])["data"]
    assert login["AUTHENTICATOR"] == "SNOWFLAKE_JWT"
    assert _claims(login["TOKEN"])["sub"] == "127.LOADER"
    bad = await verdict("snowflake", Service(rules), entry, "account_url", private_key_file_id="no key")
    assert (bad.cause, bad.component) == ("CONFIG.BAD_VALUE", "private_key_file_id")


@pytest.mark.parametrize(
    ("granted", "datasets", "cause"),
    [
        ((200, {"access_token": "a-token"}), (200, {"datasets": [{}]}), None),
        ((400, {"error": "invalid_grant"}), (200, {}), "AUTH.BAD_CREDENTIALS"),
        (
            (200, {"access_token": "a-token"}),
            (403, {"error": {"code": 403, "errors": [{"reason": "accessDenied"}]}}),
            "TARGET.NO_CONNECT",
        ),
        (
            (200, {"access_token": "a-token"}),
            (404, {"error": {"code": 404, "errors": [{"reason": "notFound"}]}}),
            "TARGET.MISSING",
        ),
    ],
)
async def test_bigquery(granted: tuple[int, Any], datasets: tuple[int, Any], cause: str | None) -> None:
    unknown = (401, {"error": {"code": 401, "errors": [{"reason": "required"}]}})
    rules = [
        (("POST /token",), *granted),
        (("/datasets", "Bearer a-token"), *datasets),
        (("GET /bigquery/v2/projects ",), *unknown),
    ]
    service = Service(rules)
    async with _port(service) as port:
        url = f"http://127.0.0.1:{port}"
        account = {"client_email": "loader@example.com", "private_key": _PEM, "token_uri": f"{url}/token"}
        entry = {"endpoint": url, "big_query_project_id": "orders-1"}
        target = target_of("bigquery", entry, big_query_auth=json.dumps(account))
        found = await check(target, LocalVantage(), timeout=4)
    assert found.cause == cause, found
    body = service.heard[1].partition("\r\n\r\n")[2]
    assert _claims(body.rpartition("assertion=")[2])["iss"] == "loader@example.com"
    assert "PRIVATE KEY" not in found.model_dump_json() + "".join(service.heard)


async def test_bigquery_wants_a_key_file() -> None:
    unknown = (401, {"error": {"code": 401, "errors": [{"reason": "required"}]}})
    service = Service([((), *unknown)])
    found = await verdict("bigquery", service, {"big_query_project_id": "orders-1"}, big_query_auth="{}")
    assert (found.cause, found.component) == ("CONFIG.BAD_VALUE", "big_query_auth")


@pytest.mark.parametrize(
    ("login", "cause"),
    [
        ({"code": 0, "data": ["lines"]}, None),
        ({"code": 1800, "message": "auth check failure"}, "AUTH.BAD_CREDENTIALS"),
        ({"code": 800, "message": "database not found"}, "TARGET.MISSING"),
    ],
)
async def test_milvus(login: Any, cause: str | None) -> None:
    rules = [(("Bearer app:",), 200, login), ((), 200, {"code": 1800, "message": "auth check failure"})]
    entry = {"database": "orders", "username": "app"}
    found = await verdict("milvus", Service(rules), entry, password=SECRET)
    assert found.cause == cause, found


async def test_milvus_collections() -> None:
    rules = [
        (("collections/describe",), 200, {"code": 100, "message": "collection not found"}),
        (("Bearer",), 200, {"code": 0, "data": []}),
        ((), 200, {"code": 1800}),
    ]
    entry = {"username": "app", "objects": ["lines"]}
    found = await verdict("milvus", Service(rules), entry, password=SECRET)
    assert (found.cause, found.component) == ("TARGET.OBJECT_MISSING", "lines")


VERSIONS = (("GET /services/data/ ",), 200, [{"version": "57.0"}, {"version": "58.0"}])


@pytest.mark.parametrize(
    ("granted", "listing", "changes", "cause"),
    [
        ({"access_token": "a-token"}, (200, {"sobjects": [{}]}), {}, None),
        ({"error": "invalid_grant"}, (200, {}), {}, "AUTH.TOKEN"),
        ({"error": "invalid_client_id"}, (200, {}), {}, "AUTH.BAD_CREDENTIALS"),
        ({"access_token": "a-token"}, (403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED"}]), {}, "CAPACITY.CONNECTIONS"),
        ({"access_token": "a-token"}, (200, {}), {"api_version": "v31.0"}, "CONFIG.BAD_VALUE"),
    ],
)
async def test_salesforce(granted: Any, listing: tuple[int, Any], changes: dict[str, str], cause: str | None) -> None:
    rules = [VERSIONS, (("POST /services/oauth2/token", SECRET), 200, granted), (("/sobjects/", "a-token"), *listing)]
    entry = {"client_id": "3MVG9", **changes}
    found = await verdict("salesforce", Service(rules), entry, "instance_url", refresh_token=SECRET)
    assert found.cause == cause, found
    assert SECRET not in found.model_dump_json()


async def test_salesforce_without_the_app_of_its_token() -> None:
    found = await verdict("salesforce", Service([VERSIONS]), {}, "instance_url", refresh_token=SECRET)
    assert found.state == "Unsupport"


@pytest.mark.parametrize(
    ("type_", "entry"), [("dlf", {"catalog_id": "clg-1"}), ("paimon_catalog", {"warehouse": "lake"})]
)
async def test_lake_catalogs_are_greeted_and_no_more(type_: str, entry: dict[str, str]) -> None:
    found = await verdict(type_, Service([((), 401, {"message": "no"})]), entry)
    assert found.state == "Unsupport", found
    assert [stage.name for stage in found.stages if stage.status == "failed"] == ["login"]
