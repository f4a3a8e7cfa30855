"""Calls of the APIs through boto3: who asks, with what time, and what a refusal means."""

from __future__ import annotations

import importlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.blocking import in_thread
from tasks.budget import Budget
from tasks.clouds import Refused, Wanted
from tasks.evidence import StageFailed

Body = Mapping[str, Any]

_EXTRA = "aws"
#: Seconds for which an assumed role is used; it is good for 900, the least that STS gives.
_ASSUMED = 600.0

#: Error code -> answer (boto3's ``Error.Code``, which is the API's own).
_CODES: Mapping[str, str] = {
    **dict.fromkeys(
        ("DBInstanceNotFound", "DBInstanceNotFoundFault", "DBClusterNotFoundFault", "DBClusterNotFound",
         "ReplicationGroupNotFoundFault", "CacheClusterNotFound", "CacheClusterNotFoundFault"),
        "not_found",
    ),
    **dict.fromkeys(
        ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure.ServiceLinkedRoleCreation"),
        "denied",
    ),
    **dict.fromkeys(
        ("InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure",
         "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "IncompleteSignature",
         "MissingAuthenticationToken"),
        "bad_credentials",
    ),
}  # fmt: skip


@dataclass
class Caller:
    """Asks on behalf of one identity, within one budget."""

    region: str
    budget: Budget
    identity: Mapping[str, str]
    untold: list[str] = field(default_factory=list)

    async def rows(self, service: str, operation: str, key: str, **query: Any) -> Sequence[Body]:
        """All rows of an operation, page by page. Raises `Refused`."""

        def ask() -> Sequence[Body]:
            client = _client(service, self.region, self.budget, self.identity)
            if not client.can_paginate(operation):
                return list(getattr(client, operation)(**query)[key])
            return [row for page in client.get_paginator(operation).paginate(**query) for row in page[key]]

        found: Sequence[Body] = await _called(ask, self.budget, operation)
        if not found and query and service != "ec2":
            raise Refused("not_found", cloud_error="an empty answer", cloud_action=operation)
        return found

    async def optional(self, what: str, asking: Awaitable[Any]) -> Any:
        """Something that may be refused without harm; then it is among what was not told."""
        try:
            return await asking
        except Refused as refused:
            self.untold.append(f"{what} ({refused.evidence.get('cloud_error', refused.answer)})")
            return None


async def _called(ask: Callable[[], Any], budget: Budget, operation: str) -> Any:
    try:
        return await in_thread(ask, budget)
    except TimeoutError:
        raise Refused("silent", cloud_action=operation) from None
    except ModuleNotFoundError as missing:
        raise StageFailed(missing_module=missing.name, extra=_EXTRA) from None
    except Exception as error:
        answer, code, api = _refusal(error)
        raise Refused(answer, cloud_error=code, cloud_action=operation, cloud_api=api) from None


def _client(service: str, region: str, budget: Budget, identity: Mapping[str, str]) -> Any:
    boto3 = importlib.import_module("boto3")
    configuration = importlib.import_module("botocore.config").Config
    wait = max(0.05, budget.left())
    config = configuration(connect_timeout=wait, read_timeout=wait, retries={"total_max_attempts": 1})
    # A session of its own: sessions are not to be shared between threads.
    return boto3.session.Session(region_name=region, **identity).client(service, config=config)


def _refusal(error: Exception) -> tuple[str, str, str | None]:
    """What an exception of botocore stands for, its code or kind, and the host that was asked."""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    code = (getattr(error, "response", None) or {}).get("Error", {}).get("Code")  # an error of the transport has None
    if code:
        return _CODES.get(str(code), "failing"), str(code), None
    api = getattr(error, "kwargs", {}).get("endpoint_url")
    if "NoCredentialsError" in kinds or "PartialCredentialsError" in kinds or "ProfileNotFound" in kinds:
        return "no_credentials", kinds[0], None
    if "ReadTimeoutError" in kinds or "ConnectTimeoutError" in kinds:
        return "silent", kinds[0], api
    return ("unreachable" if "HTTPClientError" in kinds else "failing"), kinds[0], api


# --- who asks -------------------------------------------------------------------------------------------------------

_assumed: dict[tuple[str, str], tuple[float, Mapping[str, str]]] = {}


async def identity(wanted: Wanted | None, budget: Budget) -> Mapping[str, str]:
    """Nothing for the machine's own credentials, else those of a role of another account."""
    if wanted is None or wanted.account is None or wanted.role is None:
        return {}
    key = (wanted.account, wanted.role)
    until, assumed = _assumed.get(key, (0.0, {}))
    if time.monotonic() < until:
        return assumed
    region, account, role = wanted.region, wanted.account, wanted.role

    def ask() -> Body:
        client = _client("sts", region, budget, {})
        arn = f"arn:{client.meta.partition}:iam::{account}:role/{role}"
        given: Body = client.assume_role(RoleArn=arn, RoleSessionName="headwater", DurationSeconds=900)
        return given

    given = (await _called(ask, budget, "assume_role"))["Credentials"]
    assumed = {
        "aws_access_key_id": str(given["AccessKeyId"]),
        "aws_secret_access_key": str(given["SecretAccessKey"]),
        "aws_session_token": str(given["SessionToken"]),
    }
    _assumed[key] = (time.monotonic() + _ASSUMED, assumed)
    return assumed
