"""Calls of the APIs through the SDKs: who asks, with what time, and what a refusal means."""

from __future__ import annotations

import importlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from tasks.blocking import in_thread
from tasks.budget import Budget
from tasks.clouds import Refused, Wanted
from tasks.clouds.alibaba.products import Body, Rows
from tasks.evidence import StageFailed

_EXTRA = "alibaba"
#: Product -> package of its SDK, whose name ends in the version of the API.
SDKS = {
    "RDS": "alibabacloud_rds20140815",
    "POLARDB": "alibabacloud_polardb20170801",
    "R_KVSTORE": "alibabacloud_r_kvstore20150101",
    "DDS": "alibabacloud_dds20151201",
    "VPC": "alibabacloud_vpc20160428",
    "STS": "alibabacloud_sts20150401",
}
#: Seconds for which an assumed role is used; it is good for 900, the least that STS gives.
_ASSUMED = 600.0
#: Rows of a page, the most that the VPC API gives.
PAGE = 50
#: The part of the time in which credentials have to be found.
_CREDENTIALS_SHARE = 0.6


@dataclass
class Caller:
    """Asks on behalf of one identity, within one budget.

    Attributes:
        identity: The arguments of the SDK's configuration that tell who asks.
    """

    region: str
    budget: Budget
    identity: Mapping[str, Any]
    untold: list[str] = field(default_factory=list)

    async def call(self, sdk: str, operation: str, query: Body) -> Body:
        """The body of one answer. Raises `Refused`."""
        return await _call(sdk, operation, query, self.region, self.budget, self.identity)

    async def rows(self, sdk: str, rows: Rows, query: Body, *, may_be_empty: bool = False) -> Sequence[Body]:
        """The rows of one answer; none means that there is no such instance, unless they may be missing."""
        body = await self.call(sdk, rows.operation, query)
        found = under(body, rows.path)
        if not found and not may_be_empty:
            raise Refused("not_found", cloud_error="an empty answer", cloud_action=rows.operation)
        return found

    async def pages(self, rows: Rows, query: Body) -> Sequence[Body]:
        """All rows of an operation of the VPC API."""
        found: list[Body] = []
        number = 1
        while True:
            page = {"RegionId": self.region, "PageNumber": number, "PageSize": PAGE, **query}
            body = await self.call("VPC", rows.operation, page)
            found += (read := under(body, rows.path))
            if not read or len(found) >= int(body.get("TotalCount") or 0):
                return found
            number += 1

    async def tokens(self, rows: Rows, query: Body) -> Sequence[Body]:
        """The same of an operation that gives a token for the next page."""
        found: list[Body] = []
        token: dict[str, Any] = {}
        while True:
            page = {"RegionId": self.region, "MaxResult": 2 * PAGE, **query, **token}
            body = await self.call("VPC", rows.operation, page)
            found += under(body, rows.path)
            if not body.get("NextToken"):
                return found
            token = {"NextToken": body["NextToken"]}

    async def optional(self, what: str, asking: Any) -> Any:
        """Something that may be refused without harm; then it is among what was not told."""
        try:
            return await asking
        except Refused as refused:
            self.untold.append(f"{what} ({refused.evidence.get('cloud_error', refused.answer)})")
            return None


def under(body: Body, path: Sequence[str]) -> Sequence[Body]:
    """The rows under a path of keys; a body itself where there is no path, one row where a list has been left out."""
    found: Any = body
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    rows = found if isinstance(found, list) else [found] if isinstance(found, Mapping) else []
    return [row for row in rows if isinstance(row, Mapping)]


async def _call(
    sdk: str, operation: str, query: Body, region: str, budget: Budget, identity: Mapping[str, Any]
) -> Body:
    api: list[str] = []
    try:
        return await in_thread(lambda: _ask(sdk, operation, query, region, budget, identity, api), budget)
    except TimeoutError:
        raise Refused("silent", cloud_action=operation, cloud_api=next(iter(api), None)) from None
    except ModuleNotFoundError as missing:
        raise StageFailed(missing_module=missing.name, extra=_EXTRA) from None
    except Exception as error:
        answer, code = _refusal(error)
        raise Refused(answer, cloud_error=code, cloud_action=operation, cloud_api=next(iter(api), None)) from None


def _ask(
    sdk: str, operation: str, query: Body, region: str, budget: Budget, identity: Mapping[str, Any], api: list[str]
) -> Body:
    models = importlib.import_module("alibabacloud_tea_openapi.utils_models")
    options = importlib.import_module("darabonba.runtime").RuntimeOptions
    client = importlib.import_module(f"{SDKS[sdk]}.client").Client(
        models.Config(region_id=region, **_endpoint(sdk), **identity)
    )
    api.append(str(client._endpoint))
    digits = SDKS[sdk][-8:]
    params = models.Params(
        action=operation, version=f"{digits[:4]}-{digits[4:6]}-{digits[6:]}", protocol="HTTPS", pathname="/",
        method="POST", auth_type="AK", style="RPC", req_body_type="formData", body_type="json",
    )  # fmt: skip
    wait = max(1, int(budget.left() * 1000))
    runtime = options(connect_timeout=wait, read_timeout=wait)
    answer = client.call_api(
        params, models.OpenApiRequest(query={key: str(value) for key, value in query.items()}), runtime
    )
    body = answer.get("body")
    return body if isinstance(body, Mapping) else {}


def _endpoint(sdk: str) -> Mapping[str, str]:
    url = os.environ.get(f"ALIBABA_CLOUD_ENDPOINT_URL_{sdk}") or os.environ.get("ALIBABA_CLOUD_ENDPOINT_URL")
    if not url:
        return {}
    parts = urlsplit(url if "//" in url else f"https://{url}")
    return {"endpoint": parts.netloc, "protocol": parts.scheme}


# --- who asks -------------------------------------------------------------------------------------------------------

_assumed: dict[tuple[str, str], tuple[float, Mapping[str, str]]] = {}


async def identity(wanted: Wanted | None, budget: Budget) -> Mapping[str, Any]:
    """The machine's own credentials, or those of a role of another account."""
    try:
        own = await in_thread(_own, budget.within(_CREDENTIALS_SHARE))
    except ModuleNotFoundError as missing:
        raise StageFailed(missing_module=missing.name, extra=_EXTRA) from None
    except TimeoutError:  # of the chain's last part, the metadata service, or of importing it all
        raise Refused("silent", cloud_action="credentials") from None
    except Exception:  # what the chain says names its parts, and may hold what it read
        raise Refused("no_credentials") from None
    if wanted is None or wanted.account is None or wanted.role is None:
        return own
    key = (wanted.account, wanted.role)
    until, assumed = _assumed.get(key, (0.0, {}))
    if time.monotonic() < until:
        return assumed
    query = {
        "RoleArn": f"acs:ram::{wanted.account}:role/{wanted.role}",
        "RoleSessionName": "headwater",
        "DurationSeconds": 900,
    }
    body = await _call("STS", "AssumeRole", query, wanted.region, budget, own)
    given = body.get("Credentials") or {}
    assumed = {
        "access_key_id": str(given.get("AccessKeyId")),
        "access_key_secret": str(given.get("AccessKeySecret")),
        "security_token": str(given.get("SecurityToken")),
    }
    _assumed[key] = (time.monotonic() + _ASSUMED, assumed)
    return assumed


def _own() -> Mapping[str, Any]:
    client = _chain()
    client.get_credential()
    return {"credential": client}


@cache
def _chain() -> Any:
    return importlib.import_module("alibabacloud_credentials.client").Client()


# --- what a refusal means -------------------------------------------------------------------------------------------

#: Error code -> answer; the first that fits. Codes: error centers of RDS, PolarDB, R-KVStore, DDS, RAM and STS.
_CODES: tuple[tuple[str, str], ...] = (
    (r"Invalid(DB)?(Instance|Cluster)\w*\.(NotFound|Malformed)", "not_found"),
    (r"InvalidRegionId?(\.NotFound|\.Malformed)?", "not_found"),
    (r"EntityNotExist\.Role|InvalidParameter\.RoleArn", "denied"),
    (r"(InvalidAccessKeyId|InvalidSecurityToken|SignatureDoesNotMatch|IncompleteSignature|MissingSecurityToken)(\..+)?",
     "bad_credentials"),
    (r"(NoPermission|AuthenticationFail\.NoPermission|Forbid\w+|Forbed\w+|Forbb\w+|Unauthorized\w*)(\..+)?", "denied"),
)  # fmt: skip


def _refusal(error: Exception) -> tuple[str, str]:
    """What an exception of the SDK stands for, and its code or kind."""
    code = getattr(error, "code", None)
    if code and code != "None":
        return next((answer for pattern, answer in _CODES if re.fullmatch(pattern, code)), "failing"), str(code)
    inner = getattr(error, "inner_exception", None) or error
    inner = inner.__context__ or inner  # the SDK repeats the words of its HTTP library's exception, and drops its kind
    kinds = [kind.__name__ for kind in type(inner).__mro__]
    if any("Timeout" in kind for kind in kinds):
        return "silent", kinds[0]
    return ("unreachable" if "ConnectionError" in kinds else "failing"), kinds[0]
