"""LogHub of Simple Log Service: signed requests, error codes in JSON.

Sources: "Request signature" and "Common error codes" of the Simple Log Service API reference.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.evidence import Recorder
from tasks.protocols import Protocol
from tasks.protocols.http.rest import Reply
from tasks.protocols.http.service import Codes, SignedSession, answers
from tasks.protocols.signing import hmac_sha1, http_date

CODES = Codes(
    unknown_key=frozenset({"InvalidAccessKeyId"}),
    wrong_signature=frozenset({"SignatureNotMatch"}),
    expired=frozenset({"SecurityTokenExpired"}),
    clock=frozenset({"RequestTimeExpired", "RequestTimeTooSkewed", "InvalidDateFormat"}),
    shut_out=frozenset({"ProjectForbidden", "UserForbidden"}),
    target_missing=frozenset({"ProjectNotExist"}),
    object_missing=frozenset({"LogStoreNotExist"}),
    denied=frozenset({"Unauthorized", "AccessDenied"}),
    busy=frozenset({"QuotaExceed", "ReadQuotaExceed", "ExceedQuota", "ServerBusy"}),
)


class LogHubSession(SignedSession):
    """One conversation with Simple Log Service."""

    codes = CODES
    marks = ("x-log-requestid",)

    def code(self, reply: Reply) -> str | None:
        found = reply.field("errorCode")
        return found if isinstance(found, str) else None

    async def enter(self, recorder: Recorder) -> Reply:
        return await self.call("/logstores", {"offset": "0", "size": "1"})

    async def list(self) -> tuple[Reply, bool]:
        return self._entered, bool(self._entered.field("logstores"))

    async def describe(self, name: str) -> Reply:
        return await self.call(f"/logstores/{name}")

    def signature(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        date = http_date(self.now())
        headers = {
            "x-log-apiversion": "0.6.0",
            "x-log-bodyrawsize": str(len(body)),
            "x-log-signaturemethod": "hmac-sha1",
        }
        own = [f"{name}:{value}" for name, value in sorted(headers.items())]
        parameters = "&".join(f"{key}={value}" for key, value in sorted(query.items()))
        lines = [method, "", "", date, *own, path + (f"?{parameters}" if parameters else "")]
        digest = hmac_sha1(self.access_key, lines)
        return {**headers, "date": date, "authorization": f"LOG {self.access_id}:{digest}"}


PROTOCOL = Protocol(name="loghub", title="LogHub", session=LogHubSession, answers=answers(CODES), fingerprint="HTTP")
