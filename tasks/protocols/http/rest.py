"""Stores that are spoken to over HTTP: whole answers, from a channel that is kept open.

What TLS, redirects of a port and foreign protocols look like is `HttpSession`'s; a store adds its own requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.evidence import StageFailed
from tasks.fingerprints import identify
from tasks.protocols import Answer, Retry
from tasks.protocols.http.session import HttpSession
from tasks.protocols.http.wire import NotHttp, Origin, Response
from tasks.streams import StreamBroken, printable
from tasks.tls import TlsMaterial, may_want_tls

#: What speaks HTTP and is not the service that is wanted, as `looks_like`.
OTHER_SERVICE = "HTTP of another service"

_TAG = r"<{0}(?:\s[^>]*)?>([^<]{{0,512}})</{0}>"


@dataclass(frozen=True)
class Reply:
    """An answer with its body; header names are in lower case."""

    head: Response
    body: bytes

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.head.status

    def header(self, name: str) -> str | None:
        """A header's value, as far as it is fit to be shown."""
        value = self.head.headers.get(name)
        return printable(value.encode("utf-8", "replace"), 200) if value else None

    def tag(self, name: str) -> str | None:
        """The text of the first XML element of this name that holds nothing but text."""
        found = re.search(_TAG.format(re.escape(name)).encode(), self.body)
        return printable(found[1].strip(), 200) if found and found[1].strip() else None

    def json(self) -> Any:
        """The body as JSON; None for any other."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def field(self, *path: str) -> Any:
        """A member of a member of the JSON body; None where there is none."""
        found = self.json()
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found


class RestSession(HttpSession):
    """A session whose stages are requests of the store's own."""

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        origin: Origin | None = None,
    ) -> Reply:
        """The whole answer to one request.

        Args:
            target: Path and query, encoded.
            headers: Besides Host, User-Agent, Accept and Content-Length.
            origin: Another host than the configured one.

        Raises:
            StreamBroken: The channel broke, after a second attempt where the first was on a channel used before.
            StageFailed: The peer does not speak HTTP.
        """
        origin = origin or self._home
        fresh, self._fresh = self._fresh, False
        reused = not fresh and self._channel.origin == origin and await self._channel.reusable()
        if not reused and not (fresh and origin == self._home):
            await self._open(origin)
        sent = {"host": origin.authority, "user-agent": "headwater", "accept": "*/*", **(headers or {})}
        if body or method in ("POST", "PUT"):
            sent["content-length"] = str(len(body))
        before = self._channel.stream.received
        try:
            return await self._whole(method, origin.url(target), sent, body)
        except StreamBroken as broken:
            # A server may end an idle connection at any time (RFC 9112, section 9.3.1).
            if not reused or broken.kind == "silent" or self._channel.stream.received != before:
                raise
        await self._open(origin)
        return await self._whole(method, origin.url(target), sent, body)

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """Who hangs up on plaintext is asked over TLS."""
        if stage == "greet" and not self.access.tls.wanted and may_want_tls(evidence):
            outcome = await retry(self.access.over(TlsMaterial(mode="require")), until="greet")
            return {"over_tls": "answers"} if outcome.stage not in ("connect", "tls") else {}
        return {}

    async def _whole(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        try:
            head = await self._channel.request(method, url, headers, body)
        except NotHttp as other:
            first = other.first_bytes
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=identify(first)) from None
        self._answer = head
        if not self._anonymous.status:
            self._anonymous = head
        return Reply(head, await self._channel.content())


#: What stands between us and any store, whatever the store says.
TRANSPORT_ANSWERS: tuple[Answer, ...] = (
    Answer(
        "TLS.REQUIRED",
        {"over_tls": "answers"},
        component="{host}:{port}",
        message="{host}:{port} is spoken to over TLS only.",
        remedy="{enable_tls} for {source}/{env}.",
    ),
    Answer("TLS.NOT_OFFERED", {"not_tls": True, "looks_like": "HTTP"}, stage="tls"),
    Answer("PROTO.MISMATCH", {"not_tls": True}, stage="tls"),
    Answer(
        "CONFIG.BAD_VALUE",
        {"unsendable": True},
        component="endpoint",
        message="The endpoint, a name or a credential of {source}/{env} holds a character that HTTP cannot carry.",
        remedy="Look for line breaks and control characters in what is configured.",
    ),
)

#: What any store's status means where nothing finer is said; they stand last in a table.
STATUS_ANSWERS: tuple[Answer, ...] = (
    Answer(
        "CAPACITY.CONNECTIONS",
        {"http_status": 429},
        message="{address}:{port} has had too many requests from this client (HTTP 429).",
        remedy="Test less often, or have the limit raised for {source_cidr}.",
    ),
    Answer("SERVER.NOT_READY", {"http_status": frozenset({502, 503, 504})}),
)
