"""RESP2: commands out, replies in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.streams import Reader, Stream, StreamBroken, printable

_LONGEST_LINE = 65536
#: Values beyond this size are read past, not kept. In bytes.
_LONGEST_VALUE = 1 << 20
_MOST_ELEMENTS = 100_000
_DEEPEST = 4
_ILLEGAL_ADDRESS = re.compile(r"ERR illegal address\b:? ?(?:\[?(?P<address>[0-9a-fA-F.:]+?)\]?(?::[0-9]+)?$)?")
_WORD = re.compile(r"[A-Z][A-Z0-9_]*")
#: What makes a pattern of a key.
GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Refusal:
    """An error reply: the word in front, and the text for people."""

    word: str
    text: str

    @property
    def unknown_command(self) -> bool:
        """The server has no such command, or has renamed it. There is no word of its own for that, only a text."""
        return self.word == "ERR" and self.text.startswith("ERR unknown command")

    @property
    def illegal_address(self) -> str | None:
        """What ApsaraDB says to a client that is not in its allowlist: the client's address, and a text is all it has.

        Empty where the address cannot be read.
        """
        said = _ILLEGAL_ADDRESS.match(self.text) if self.word == "ERR" else None
        return (said["address"] or "") if said else None


class Wire:
    """Commands out, replies in: str, int, bytes, None, a list of them, or a `Refusal`."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.reader = Reader(stream)

    async def send(self, *commands: Sequence[object]) -> None:
        """Send commands at once."""
        await self.stream.send(b"".join(_encoded(command) for command in commands))

    async def reply(self) -> Any:
        """The next reply. Raises `StreamBroken`, also for bytes that are no RESP."""
        return await self._reply(_DEEPEST)

    async def _reply(self, depth: int) -> Any:
        line = (await self.reader.until(b"\r\n", _LONGEST_LINE))[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode(errors="replace")
        if kind == b"-":
            text = rest.decode(errors="replace")
            word = _WORD.fullmatch(text.partition(" ")[0])
            return Refusal(word.group() if word else "ERR", text)
        if kind == b":":
            return self._number(rest)
        if kind == b"$":
            return await self._bulk(self._number(rest))
        if kind == b"*" and depth:
            return await self._array(self._number(rest), depth - 1)
        raise self._garbled()

    async def _bulk(self, length: int) -> bytes | None:
        if length < 0:
            return None
        kept = await self.reader.exactly(length) if length <= _LONGEST_VALUE else await self._skip(length)
        if await self.reader.exactly(2) != b"\r\n":
            raise self._garbled()
        return kept

    async def _skip(self, length: int) -> bytes:
        while length:
            length -= len(await self.reader.exactly(min(length, 65536)))
        return b""

    async def _array(self, count: int, depth: int) -> list[Any] | None:
        if count > _MOST_ELEMENTS:
            raise self._garbled()
        return None if count < 0 else [await self._reply(depth) for _ in range(count)]

    def _number(self, digits: bytes) -> int:
        if not re.fullmatch(rb"[-+]?\d{1,19}", digits):
            raise self._garbled()
        return int(digits)

    def _garbled(self) -> StreamBroken:
        return StreamBroken("error", received=self.stream.received, error="PROTOCOL")


def _encoded(command: Sequence[object]) -> bytes:
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def info_lines(reply: object) -> Iterable[tuple[str, str]]:
    """The fields of INFO; none where it was refused."""
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else ""
    return ((key, value) for key, colon, value in (line.partition(":") for line in text.splitlines()) if colon)


def masters_of(reply: object) -> Iterable[str]:
    """Where the servers are that a Sentinel watches, from its answer to SENTINEL MASTERS: names and values in turn."""
    for row in reply if isinstance(reply, list) else ():
        about = dict(zip(row[::2], row[1::2], strict=False)) if isinstance(row, list) else {}
        host, port = about.get(b"ip"), about.get(b"port")
        if isinstance(host, bytes) and isinstance(port, bytes):
            yield printable(host + b":" + port)
