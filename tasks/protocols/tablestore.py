"""Tablestore (OTS): Protocol Buffers over signed HTTP requests.

Sources: "HTTP request and response", "Signature" and "Error codes" of the Tablestore API reference. The two messages
that are needed hold strings only (`ListTableResponse.table_names`, `Error.code`: field 1 of each).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from tasks.evidence import Recorder
from tasks.protocols import Protocol
from tasks.protocols.http.rest import Reply
from tasks.protocols.http.service import Codes, SignedSession, answers
from tasks.protocols.signing import hmac_sha1
from tasks.streams import printable

_STRING_1 = 0x0A

CODES = Codes(
    refused=frozenset({"OTSAuthFailed"}),
    object_missing=frozenset({"OTSObjectNotExist"}),
    denied=frozenset({"OTSNoPermissionAccess"}),
    busy=frozenset({"OTSServerBusy", "OTSQuotaExhausted", "OTSNotEnoughCapacityUnit"}),
)


class TablestoreSession(SignedSession):
    """One conversation with Tablestore."""

    codes = CODES
    marks = ("x-ots-requestid", "x-ots-date", "x-ots-contenttype")
    project_field = "instance_name"

    def code(self, reply: Reply) -> str | None:
        return _first_string(reply.body) if reply.status >= 400 else None

    async def enter(self, recorder: Recorder) -> Reply:
        return await self.call("/ListTable", method="POST")

    async def list(self) -> tuple[Reply, bool]:
        return self._entered, _first_string(self._entered.body) is not None

    async def describe(self, name: str) -> Reply:
        data = name.encode()
        return await self.call("/DescribeTable", method="POST", body=bytes([_STRING_1, len(data)]) + data)

    def signature(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        headers = {
            "x-ots-accesskeyid": self.access_id,
            "x-ots-apiversion": "2015-12-31",
            "x-ots-contentmd5": base64.b64encode(digest).decode(),
            "x-ots-date": self.now().strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "x-ots-instancename": self.project,
        }
        own = [f"{name}:{value}" for name, value in sorted(headers.items())]
        return {**headers, "x-ots-signature": hmac_sha1(self.access_key, [path, method, "", *own, ""])}


def _first_string(body: bytes) -> str | None:
    """The string in field 1 of a message whose first field it is."""
    if len(body) < 2 or body[0] != _STRING_1 or body[1] >= 0x80 or len(body) < 2 + body[1]:
        return None
    return printable(body[2 : 2 + body[1]], 100)


PROTOCOL = Protocol(
    name="tablestore", title="Tablestore", session=TablestoreSession, answers=answers(CODES), fingerprint="HTTP"
)
