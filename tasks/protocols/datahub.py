"""DataHub of Alibaba Cloud: signed requests, error codes in JSON.

Sources: "Request signature" and "Error codes" of the DataHub API reference.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.evidence import Recorder
from tasks.protocols import Protocol
from tasks.protocols.http.rest import Reply
from tasks.protocols.http.service import Codes, SignedSession, answers
from tasks.protocols.signing import hmac_sha1, http_date

CODES = Codes(
    refused=frozenset({"Unauthorized"}),
    target_missing=frozenset({"NoSuchProject"}),
    object_missing=frozenset({"NoSuchTopic"}),
    denied=frozenset({"NoPermission", "OperationDenied"}),
    busy=frozenset({"LimitExceeded"}),
)


class DataHubSession(SignedSession):
    """One conversation with DataHub."""

    codes = CODES
    marks = ("x-datahub-request-id",)

    def code(self, reply: Reply) -> str | None:
        found = reply.field("ErrorCode")
        return found if isinstance(found, str) else None

    async def enter(self, recorder: Recorder) -> Reply:
        return await self.call(f"/projects/{self.project}")

    async def list(self) -> tuple[Reply, bool]:
        reply = await self.call(f"/projects/{self.project}/topics")
        return reply, bool(reply.field("TopicNames"))

    async def describe(self, name: str) -> Reply:
        return await self.call(f"/projects/{self.project}/topics/{name}")

    def signature(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        date = http_date(self.now())
        version = {"x-datahub-client-version": "1.1"}
        own = [f"{name}:{value}" for name, value in version.items()]
        digest = hmac_sha1(self.access_key, [method, "application/json", date, *own, path])
        authorization = f"DATAHUB {self.access_id}:{digest}"
        return {**version, "content-type": "application/json", "date": date, "authorization": authorization}


PROTOCOL = Protocol(name="datahub", title="DataHub", session=DataHubSession, answers=answers(CODES), fingerprint="HTTP")
