"""SASL frames and Thrift's binary protocol, as far as sessions and statements need them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from tasks.streams import Reader, Stream, StreamBroken

START, PROCEED, BAD, ERROR, COMPLETE = 1, 2, 3, 4, 5
_BOOL, _BYTE, _DOUBLE, _I16, _I32, _I64, _STRING, _STRUCT, _MAP, _SET, _LIST = 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 15
_SIZES = {_BOOL: "!?", _BYTE: "!b", _DOUBLE: "!d", _I16: "!h", _I32: "!i", _I64: "!q"}
_CALL, _REPLY = 0x80010001, 0x80010002
_LONGEST, _DEEPEST = 1 << 24, 12
#: HIVE_CLI_SERVICE_PROTOCOL_V6: results by columns; every server since Hive 0.13 knows it.
_PROTOCOL = 5

Struct = dict[int, Any]


@dataclass(frozen=True)
class Status:
    """A TStatus: the code decides with SQL state and error number; the message is for people."""

    code: int
    sql_state: str
    error: int
    found: Struct = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Success, with information or without, or still under way."""
        return self.code in (0, 1, 2)


class Wire:
    """Calls over a stream: in frames after a SASL exchange, bare without one."""

    def __init__(self, stream: Stream, *, framed: bool = True) -> None:
        self.stream = stream
        self.reader = Reader(stream)
        self._framed = framed

    # -- SASL ---------------------------------------------------------------------------------------------------------

    async def sasl(self, *frames: tuple[int, bytes]) -> None:
        """Send negotiation frames."""
        await self.stream.send(b"".join(struct.pack("!BI", status, len(data)) + data for status, data in frames))

    async def sasl_answer(self) -> tuple[int, bytes]:
        """Status and payload of the server's next frame."""
        status, size = struct.unpack("!BI", await self.reader.exactly(5))
        if not START <= status <= COMPLETE or size > _LONGEST:
            raise self._malformed()
        return status, await self.reader.exactly(size)

    # -- calls --------------------------------------------------------------------------------------------------------

    async def open_session(self, username: str, password: str) -> Status:
        """A session; its handle is field 3 of what is found."""
        request = _integer(1, _PROTOCOL) + _text(2, username) + _text(3, password) + b"\0"
        return await self._call("OpenSession", request)

    async def execute(self, session: bytes, statement: str) -> Status:
        """Run a statement to its end; the operation's handle is field 2."""
        request = _struct(1, session) + _text(2, statement) + b"\0"
        return await self._call("ExecuteStatement", request)

    async def fetch(self, operation: bytes, rows: int) -> Status:
        """The first rows; the row set is field 3."""
        many = struct.pack("!bhq", _I64, 3, rows)
        return await self._call("FetchResults", _struct(1, operation) + _integer(2, 0) + many + b"\0")

    async def _call(self, name: str, request: bytes) -> Status:
        arguments = struct.pack("!bh", _STRUCT, 1) + request + b"\0"
        words = name.encode()
        message = struct.pack("!Ii", _CALL, len(words)) + words + struct.pack("!i", 1) + arguments
        await self.stream.send((struct.pack("!I", len(message)) if self._framed else b"") + message)
        data = await self._message()
        kind, size = struct.unpack_from("!Ii", data)
        if kind != _REPLY or size < 0:
            raise self._malformed()
        result = _Decoder(data, 12 + size).struct().get(0)
        status = result.get(1) if isinstance(result, dict) else None
        if not isinstance(result, dict) or not isinstance(status, dict):
            raise self._malformed()
        state = status.get(3, b"")
        return Status(int(status.get(1, 3)), state.decode("ascii", "replace"), int(status.get(4, 0)), result)

    async def _message(self) -> bytes:
        if self._framed:
            (size,) = struct.unpack("!I", await self.reader.exactly(4))
            if not 12 <= size <= _LONGEST:
                raise self._malformed()
            return await self.reader.exactly(size)
        # Bare messages have no length: more is read until a whole one is there.
        data = b""
        while True:
            data += await self.stream.receive()
            if len(data) > _LONGEST:
                raise self._malformed()
            try:
                _, size = struct.unpack_from("!Ii", data)
                _Decoder(data, 12 + size).struct()
                return data
            except (struct.error, IndexError):
                continue

    def _malformed(self) -> StreamBroken:
        return StreamBroken("error", received=self.stream.received, error="PROTOCOL")


class _Decoder:
    """Reads a struct as field number -> value; handles are kept as they came, to be sent back."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._at = position

    def struct(self, depth: int = 0) -> Struct:
        found: Struct = {}
        begun = self._at
        while kind := self._unpack("!b"):
            number = self._unpack("!h")
            found[number] = self._value(kind, depth + 1)
        found[-1] = self._data[begun : self._at]
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("structs within structs within structs")
        if kind in _SIZES:
            return self._unpack(_SIZES[kind])
        if kind == _STRING:
            return self._bytes()
        if kind == _STRUCT:
            return self.struct(depth)
        if kind == _MAP:
            keys, values, count = self._unpack("!b"), self._unpack("!b"), self._count()
            return [(self._value(keys, depth + 1), self._value(values, depth + 1)) for _ in range(count)]
        if kind in (_LIST, _SET):
            items, count = self._unpack("!b"), self._count()
            return [self._value(items, depth + 1) for _ in range(count)]
        raise ValueError("a type that Thrift has not")

    def _unpack(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def _bytes(self) -> bytes:
        size = self._count()
        self._at += size
        if self._at > len(self._data):
            raise IndexError("a string that ends too early")
        return self._data[self._at - size : self._at]

    def _count(self) -> int:
        count = int(self._unpack("!i"))
        if not 0 <= count <= _LONGEST:
            raise ValueError("a length that is none")
        return count


def text_columns(status: Status) -> list[list[str]]:
    """The columns of a row set that hold text (TRowSet.columns, TColumn.stringVal)."""
    columns = [column[7].get(1, []) for column in status.found.get(3, {}).get(3) or [] if 7 in column]
    return [[value.decode("utf-8", "replace") for value in values] for values in columns]


def handle(status: Status, number: int) -> bytes:
    """A handle of the answer, as it came. Raises `ValueError` for an answer without it."""
    found = status.found.get(number)
    if not isinstance(found, dict):
        raise ValueError("an answer without its handle")
    return bytes(found[-1])


def _text(number: int, value: str) -> bytes:
    data = value.encode()
    return struct.pack("!bhi", _STRING, number, len(data)) + data


def _integer(number: int, value: int) -> bytes:
    return struct.pack("!bhi", _I32, number, value)


def _struct(number: int, encoded: bytes) -> bytes:
    return struct.pack("!bh", _STRUCT, number) + encoded
