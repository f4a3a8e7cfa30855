"""Calls on a NameNode."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from tasks.protocols.protobuf import delimited, first_number, messages, number, text, varint_at
from tasks.streams import Reader, Stream, StreamBroken

#: `hrpc`, version 9, service class 0; then whether SASL comes first.
_HEADER, _BARE, _SASL = b"hrpc\x09\x00", b"\x00", b"\xdf"
_PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
_PROTOBUF, _FINAL, _CONTEXT_CALL, _SASL_CALL = 2, 0, -3, -33
#: What a client says in a SASL exchange (`RpcSaslProto`).
NEGOTIATE, INITIATE, RESPONSE = 1, 2, 4
_LONGEST = 1 << 24


@dataclass(frozen=True)
class Refusal:
    """An exception of the server: its class, and whether it ends the connection."""

    exception: str
    fatal: bool


@dataclass(frozen=True)
class Offer:
    """A way of logging in that a server offers: as it came, and what it says."""

    encoded: bytes
    method: str
    protocol: str
    server: str


@dataclass(frozen=True)
class Sasl:
    """A server's message of a SASL exchange; it offers something only where it asks for a login."""

    token: bytes
    offers: tuple[Offer, ...]


@dataclass(frozen=True)
class DataNode:
    """Where a block can be read."""

    address: str
    name: str
    port: int


class Wire:
    """Calls over a stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.reader = Reader(stream)
        self._client = os.urandom(16)
        self._call = 0

    async def begin(self, user: str) -> None:
        """Say who we are, and ask for the root: a server answers only to a call."""
        await self.stream.send(_HEADER + _BARE + self._introduction(text(2, text(1, user))))

    async def ask_for_sasl(self) -> None:
        """Ask how to log in; `sasl_answer` has the offers."""
        await self.stream.send(_HEADER + _SASL)
        await self.say(NEGOTIATE)

    async def say(self, state: int, token: bytes | None = None, offer: Offer | None = None) -> None:
        """One message of a SASL exchange."""
        said = (
            number(2, state) + (b"" if token is None else text(3, token)) + (text(4, offer.encoded) if offer else b"")
        )
        head = number(1, _PROTOBUF) + number(2, _FINAL) + number(3, _zigzag(_SASL_CALL)) + text(4, b"")
        body = delimited(head) + delimited(said)
        await self.stream.send(struct.pack("!I", len(body)) + body)

    async def sasl_answer(self) -> Sasl | Refusal:
        """The server's message."""
        found = await self.answer()
        if isinstance(found, Refusal):
            return found
        return Sasl(next(iter(messages(found, 3)), b""), tuple(_offer(one) for one in messages(found, 4)))

    async def go_on(self) -> None:
        """After a SASL exchange: we are who has logged in, and ask for the root."""
        await self.stream.send(self._introduction(b""))

    def _introduction(self, user: bytes) -> bytes:
        first = delimited(self._head(_CONTEXT_CALL)) + delimited(user + text(3, _PROTOCOL))
        return struct.pack("!I", len(first)) + first + self._request("getFileInfo", text(1, "/"))

    async def answer(self) -> bytes | Refusal:
        """The answer to the last call."""
        (size,) = struct.unpack("!I", await self.reader.exactly(4))
        if not 2 <= size <= _LONGEST:
            raise StreamBroken("error", received=self.stream.received, error="PROTOCOL")
        data = await self.reader.exactly(size)
        length, position = varint_at(data, 0)
        head, rest = data[position : position + length], data[position + length :]
        status = first_number(head, 2)
        if status:
            exception = next(iter(messages(head, 4)), b"").decode("ascii", "replace")
            return Refusal(exception, status == 2)
        if not rest:
            return b""
        length, position = varint_at(rest, 0)
        return rest[position : position + length]

    async def file(self, path: str) -> bytes | Refusal | None:
        """The status of a file or directory; None where there is none."""
        found = await self._ask("getFileInfo", text(1, path))
        return found if isinstance(found, Refusal) else next(iter(messages(found, 1)), None)

    async def listing(self, path: str) -> bytes | Refusal:
        """What a directory holds, by as many entries as come in one answer."""
        return await self._ask("getListing", text(1, path) + text(2, b"") + number(3, 0))

    async def data_nodes(self, path: str) -> list[DataNode] | Refusal:
        """Where the first block of a file can be read."""
        found = await self._ask("getBlockLocations", text(1, path) + number(2, 0) + number(3, 1))
        if isinstance(found, Refusal):
            return found
        blocks = [block for located in messages(found, 1) for block in messages(located, 2)]
        ids = [one for block in blocks[:1] for location in messages(block, 3) for one in messages(location, 1)]
        return [_data_node(one) for one in ids]

    async def _ask(self, method: str, request: bytes) -> bytes | Refusal:
        await self.stream.send(self._request(method, request))
        return await self.answer()

    def _request(self, method: str, request: bytes) -> bytes:
        self._call += 1
        called = text(1, method) + text(2, _PROTOCOL) + number(3, 1)
        body = delimited(self._head(self._call)) + delimited(called) + delimited(request)
        return struct.pack("!I", len(body)) + body

    def _head(self, call: int) -> bytes:
        return (
            number(1, _PROTOBUF) + number(2, _FINAL) + number(3, _zigzag(call)) + text(4, self._client) + number(5, 0)
        )


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _offer(data: bytes) -> Offer:
    method, protocol, server = (
        next(iter(messages(data, field)), b"").decode("utf-8", "replace") for field in (1, 3, 4)
    )
    return Offer(data, method, protocol, server)


def _data_node(data: bytes) -> DataNode:
    address, name = (next(iter(messages(data, field)), b"").decode("utf-8", "replace") for field in (1, 2))
    return DataNode(address, name, first_number(data, 4) or 0)


def is_directory(status: bytes) -> bool:
    """Whether a HdfsFileStatusProto is of a directory."""
    return first_number(status, 1) == 1
