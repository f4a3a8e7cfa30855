"""Requests and responses over a stream: framing is h11's, and what is kept of a response is its head."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urldefrag, urljoin, urlsplit

import h11

from tasks.evidence import StageFailed
from tasks.streams import Stream, StreamBroken

_PORTS = {"http": 80, "https": 443}
_MARK = b"HTTP/"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_INFORMATIONAL = 20
#: Services that set many cookies and policies send heads beyond the usual 16 KiB. In bytes.
_LONGEST_HEAD = 131072
#: As much of a body as anybody here needs. In bytes.
_LONGEST_CONTENT = 1 << 20
#: What is read of a body, so that a connection can be used again: bytes and seconds.
_BODY_BYTES, _BODY_SECONDS = 65536, 0.2
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
#: IANA's registry of HTTP authentication schemes, and NTLM.
_SCHEMES = frozenset(
    {"basic", "bearer", "concealed", "digest", "dpop", "gnap", "hoba", "mutual", "negotiate", "ntlm", "oauth"}
    | {"privatetoken", "scram-sha-1", "scram-sha-256", "vapid"}
)
SAFE = "%/:=&?~+!$,;'@()*[]"


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port (RFC 6454): credentials never leave the configured one."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """That of a URL. Raises `ValueError` for what is neither http nor https."""
        split = urlsplit(url)
        if split.scheme not in _PORTS or not split.hostname:
            raise ValueError(url)
        return cls(split.scheme, split.hostname, split.port or _PORTS[split.scheme])

    @property
    def authority(self) -> str:
        """Host and port as in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def url(self, target: str) -> str:
        """A URL of this origin."""
        return f"{self.scheme}://{self.authority}{target}"


@dataclass(frozen=True)
class Response:
    """The head of a response; header names are in lower case."""

    url: str
    status: int
    version: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def redirects_to(self) -> str | None:
        """The location that it sends us to, made absolute; whether it is an http URL is for `Origin.of` to say."""
        location = self.headers.get("location")
        if self.status not in _REDIRECTS or not location:
            return None
        try:
            return quote(urldefrag(urljoin(self.url, location)).url, safe=SAFE)
        except ValueError:
            return "malformed:"

    @property
    def media_type(self) -> str:
        """What its body is, in lower case and without parameters; empty where it does not say."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def schemes(self) -> list[str]:
        """The authentication schemes of its challenges, in lower case; one that IANA does not know is not repeated."""
        challenges = self.headers.get("proxy-authenticate" if self.status == 407 else "www-authenticate", "")
        # A scheme is a word with a parameter or nothing after it; a parameter is followed by "=".
        words = re.findall(r"(?:^|,)\s*([A-Za-z][\w-]{0,30})(?=\s+\w|\s*(?:,|$))", _QUOTED.sub('""', challenges))
        return [word.lower() if word.lower() in _SCHEMES else "an unregistered scheme" for word in words]


class NotHttp(Exception):
    """The peer's first bytes are no HTTP response."""

    def __init__(self, first_bytes: bytes) -> None:
        super().__init__()
        self.first_bytes = first_bytes


class Channel:
    """One connection to one origin."""

    def __init__(self, stream: Stream, origin: Origin) -> None:
        self.stream = stream
        self.origin = origin
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
        self._recognised = False

    async def get(self, url: str, headers: Mapping[str, str]) -> Response:
        """The head of the response. Raises `StreamBroken`, `NotHttp`, `StageFailed`."""
        return await self.request("GET", url, headers)

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """The head of the response to any request; `content` has what follows. Raises as `get` does."""
        split = urlsplit(url)
        target = (split.path or "/") + (f"?{split.query}" if split.query else "")
        try:
            request = h11.Request(
                method=method,
                target=target,
                headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            )
            data = self._http.send(request) or b""
            data += self._http.send(h11.Data(body)) or b"" if body else b""
            data += self._http.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError:
            raise StageFailed(unsendable=True) from None
        await self.stream.send(data)
        for _ in range(_MOST_INFORMATIONAL):
            event = await self._event()
            if isinstance(event, h11.Response):
                found = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
                return Response(url, event.status_code, event.http_version.decode(), found)
        raise StageFailed(garbled=True, server_said="no HTTP response")

    async def content(self, limit: int = _LONGEST_CONTENT) -> bytes:
        """The body of the last response, cut off at the first piece beyond `limit` bytes."""
        found = bytearray()
        while self._http.their_state is h11.SEND_BODY and len(found) < limit:
            event = await self._event()
            found += event.data if isinstance(event, h11.Data) else b""
        return bytes(found)

    async def reusable(self) -> bool:
        """Whether the last response has ended, so that another request may follow."""
        left = _BODY_BYTES
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                while self._http.their_state is h11.SEND_BODY and left > 0:
                    event = await self._event()
                    left -= len(event.data) if isinstance(event, h11.Data) else 0
        except (TimeoutError, StreamBroken, StageFailed):
            return False
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _event(self) -> Any:
        while True:
            try:
                event = self._http.next_event()
                if event is not h11.NEED_DATA:
                    return event
                self._http.receive_data(await self._received())
            except h11.RemoteProtocolError:
                raise StageFailed(garbled=True, server_said="a malformed HTTP response") from None

    async def _received(self) -> bytes:
        data = b""
        while not self._recognised:
            data += await self.stream.receive()
            if not data.startswith(_MARK[: len(data)]):
                raise NotHttp(data[:64])
            self._recognised = len(data) >= len(_MARK)
        return data or await self._more()

    async def _more(self) -> bytes:
        try:
            return await self.stream.receive()
        except StreamBroken as broken:
            if broken.kind == "eof" and self._http.their_state is h11.SEND_BODY:
                return b""  # the end of the connection may be the end of the body
            raise
