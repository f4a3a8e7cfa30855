"""MaxCompute (ODPS): requests signed in its own way, error codes in XML.

Sources: the service's open client PyODPS (signature), "API error codes" and "Authentication and authorization" of the
MaxCompute documentation.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.evidence import Recorder
from tasks.protocols import Protocol
from tasks.protocols.http.rest import Reply
from tasks.protocols.http.service import Codes, SignedSession, answers
from tasks.protocols.signing import hmac_sha1, http_date

CODES = Codes(
    unknown_key=frozenset({"ODPS-0410051", "InvalidAccessKeyId"}),
    wrong_signature=frozenset({"ODPS-0410042", "SignatureNotMatch"}),
    clock=frozenset({"ODPS-0410031", "RequestTimeTooSkewed"}),
    target_missing=frozenset({"ODPS-0420111", "NoSuchProject"}),
    object_missing=frozenset({"ODPS-0130131", "NoSuchTable", "NoSuchObject"}),
    denied=frozenset({"ODPS-0130013", "ODPS-0420095", "NoPermission", "AccessDenied"}),
)


class MaxComputeSession(SignedSession):
    """One conversation with MaxCompute."""

    codes = CODES
    marks = ("x-odps-request-id",)

    def code(self, reply: Reply) -> str | None:
        if b"<Error" not in reply.body[:1024]:
            return None
        number, _, _ = (reply.tag("Message") or "").partition(":")
        return number if number.startswith("ODPS-") and len(number) < 20 else reply.tag("Code")

    async def enter(self, recorder: Recorder) -> Reply:
        return await self.call(f"/projects/{self.project}")

    async def list(self) -> tuple[Reply, bool]:
        query = {"expectmarker": "true", "maxitems": "1", "curr_project": self.project}
        reply = await self.call(f"/projects/{self.project}/tables", query)
        return reply, reply.tag("Name") is not None

    async def describe(self, name: str) -> Reply:
        return await self.call(f"/projects/{self.project}/tables/{name}", {"curr_project": self.project})

    def signature(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        date = http_date(self.now())
        parameters = "&".join(f"{key}={value}" if value else key for key, value in sorted(query.items()))
        lines = [method, "", "", date, path + (f"?{parameters}" if parameters else "")]
        digest = hmac_sha1(self.access_key, lines)
        return {"date": date, "authorization": f"ODPS {self.access_id}:{digest}"}


PROTOCOL = Protocol(
    name="maxcompute", title="MaxCompute", session=MaxComputeSession, answers=answers(CODES), fingerprint="HTTP"
)
