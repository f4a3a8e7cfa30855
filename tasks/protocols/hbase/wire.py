"""A read-only client of ZooKeeper, and the server name in HBase's znodes."""

from __future__ import annotations

import struct

from tasks.protocols.protobuf import fields
from tasks.streams import Reader, Stream, StreamBroken

_GET_DATA, _GET_CHILDREN, _SASL, _CLOSE = 4, 8, 102, -11
_LONGEST, _SIZE = 1 << 22, 4
#: Error codes (KeeperException.Code).
OK, NO_NODE = 0, -101
_MAGIC, _PROTOBUF = b"\xff", b"PBUF"


class Wire:
    """Requests and replies over a stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.reader = Reader(stream)
        self._number = 0

    async def connect(self) -> None:
        """Ask for a session; `connected` has the answer."""
        await self._send(struct.pack("!iqiq", 0, 0, 10000, 0) + _buffer(bytes(16)) + b"\0")

    async def connected(self) -> int:
        """The session's number."""
        data = await self._receive()
        _, _, session = struct.unpack_from("!iiq", data)
        return int(session)

    async def data(self, path: str) -> tuple[int, bytes]:
        """Error code, and what a znode holds."""
        error, body = await self._ask(_GET_DATA, _path(path))
        if error:
            return error, b""
        (size,) = struct.unpack_from("!i", body)
        return error, body[4 : 4 + max(size, 0)]

    async def children(self, path: str) -> tuple[int, list[str]]:
        """Error code, and the names under a znode."""
        error, body = await self._ask(_GET_CHILDREN, _path(path))
        names: list[str] = []
        if not error:
            (count,), position = struct.unpack_from("!i", body), 4
            for _ in range(count):
                (size,) = struct.unpack_from("!i", body, position)
                if size < 0:
                    raise ValueError("a name of no length")
                names.append(body[position + 4 : position + 4 + size].decode("utf-8", "replace"))
                position += 4 + size
        return error, sorted(names)

    async def sasl(self, token: bytes) -> tuple[int, bytes | None]:
        """Error code, and the server's token; None where it knows no SASL."""
        error, body = await self._ask(_SASL, _buffer(token))
        (size,) = struct.unpack_from("!i", body) if len(body) >= _SIZE else (-1,)
        return error, None if size < 0 else body[_SIZE : _SIZE + size]

    async def end(self) -> None:
        """Give the session back."""
        await self._send(struct.pack("!ii", self._number + 1, _CLOSE))

    async def _ask(self, kind: int, body: bytes) -> tuple[int, bytes]:
        self._number += 1
        await self._send(struct.pack("!ii", self._number, kind) + body)
        while True:
            data = await self._receive()
            number, _, error = struct.unpack_from("!iqi", data)
            if number == self._number:
                return error, data[16:]

    async def _send(self, data: bytes) -> None:
        await self.stream.send(_buffer(data))

    async def _receive(self) -> bytes:
        (size,) = struct.unpack("!i", await self.reader.exactly(4))
        if not 16 <= size <= _LONGEST:
            raise StreamBroken("error", received=self.stream.received, error="PROTOCOL")
        return await self.reader.exactly(size)


def _path(path: str) -> bytes:
    """A path, and no watch on it."""
    return _buffer(path.encode()) + b"\0"


def _buffer(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


def server_name(data: bytes) -> tuple[str, int]:
    """Host and port in a znode `master` or `meta-region-server`: both begin with a ServerName.

    Raises:
        ValueError: The data is none of HBase's.
    """
    if data[:1] == _MAGIC:
        (size,) = struct.unpack_from("!i", data, 1)
        data = data[5 + size :]
    if not data.startswith(_PROTOBUF):
        raise ValueError("no record of HBase's")
    server = next((value for number, value in fields(data[4:]) if number == 1 and isinstance(value, bytes)), b"")
    host, port = "", 0
    for number, value in fields(server):
        if number == 1 and isinstance(value, bytes):
            host = value.decode("utf-8", "replace")
        elif number == 2 and isinstance(value, int):
            port = value
    if not host or not 0 < port < 65536:
        raise ValueError("a server without host or port")
    return host, port
