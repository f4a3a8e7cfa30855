"""TDS as bytes: packets, PRELOGIN, LOGIN7, and the tokens of an answer. Computes; sends nothing.

Source: [MS-TDS] sections 2.2.3 (packets), 2.2.6.4 (LOGIN7), 2.2.6.5 (PRELOGIN), 2.2.7 (tokens).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

BATCH, ANSWER, LOGIN, PRELOGIN = 0x01, 0x04, 0x10, 0x12
HEADER = 8
_LAST = 0x01
#: Every peer takes packets of this size before another is agreed on.
_PACKET_SIZE = 4096
_TDS_7_4 = 0x74000004


class Encryption(IntEnum):
    """What a side says of TLS in PRELOGIN."""

    OFF = 0  # for the login only
    ON = 1
    NOT_SUPPORTED = 2
    REQUIRED = 3


class Malformed(ValueError):
    """Bytes that no SQL Server sends."""


def packets(kind: int, payload: bytes) -> bytes:
    """A message, cut into packets: type, status, length with the header, process, number, window."""
    room = _PACKET_SIZE - HEADER
    pieces = [payload[start : start + room] for start in range(0, len(payload), room)] or [b""]
    return b"".join(
        struct.pack(">BBHHBB", kind, _LAST if number == len(pieces) else 0, len(piece) + HEADER, 0, number % 256, 0)
        + piece
        for number, piece in enumerate(pieces, start=1)
    )


def packet_head(head: bytes) -> tuple[int, bool, int]:
    """Type, whether it is the last of its message, and the length of what follows the header."""
    kind, status, length = struct.unpack(">BBH", head[:4])
    if length < HEADER:
        raise Malformed("a packet shorter than its header")
    return kind, bool(status & _LAST), length - HEADER


def begins_like_sqlserver(head: bytes) -> bool:
    """Whether the first packet may answer a PRELOGIN: one whole message of type 4, and not a long one."""
    return head[:2] == bytes([ANSWER, _LAST]) and HEADER < int.from_bytes(head[2:4]) <= _PACKET_SIZE


_VERSION, _ENCRYPTION, _INSTANCE, _THREAD, _MARS, _END = 0, 1, 2, 3, 4, 0xFF


def prelogin(encryption: Encryption) -> bytes:
    """The first message of a client."""
    options = (
        (_VERSION, bytes(6)),
        (_ENCRYPTION, bytes([encryption])),
        (_INSTANCE, b"\0"),
        (_THREAD, bytes(4)),
        (_MARS, b"\0"),
    )
    offset, table, data = 5 * len(options) + 1, b"", b""
    for token, value in options:
        table += struct.pack(">BHH", token, offset + len(data), len(value))
        data += value
    return packets(PRELOGIN, table + bytes([_END]) + data)


@dataclass(frozen=True)
class Greeting:
    """What a server says in PRELOGIN."""

    version: str
    encryption: Encryption


def greeting(payload: bytes) -> Greeting:
    """The server's PRELOGIN. Raises `Malformed`."""
    found: dict[int, bytes] = {}
    position = 0
    while payload[position : position + 1] != bytes([_END]):
        if position + 5 > len(payload):
            raise Malformed("options without end")
        token, offset, length = struct.unpack_from(">BHH", payload, position)
        found[token] = payload[offset : offset + length]
        if len(found[token]) != length or (token in (_VERSION, _ENCRYPTION) and not length):
            raise Malformed("an option beyond its message")
        position += 5
    if len(found.get(_VERSION, b"")) < 6 or found.get(_ENCRYPTION, b"\xff")[0] not in tuple(Encryption):
        raise Malformed("no version, or no word on encryption")
    major, minor, build = struct.unpack_from(">BBH", found[_VERSION])
    return Greeting(f"{major}.{minor}.{build}", Encryption(found[_ENCRYPTION][0]))


def login(*, username: str, password: str, database: str, host: str, read_only: bool) -> bytes:
    """LOGIN7 with an account of SQL Server itself."""
    texts = [
        "headwater",  # the client's host name: what its DBA sees among the sessions
        username,
        password,
        "headwater",  # the application
        host,
        "",  # no features are asked for
        "headwater",  # the library
        "",  # the server's own language
        database,
    ]
    encoded = [text.encode("utf-16-le") for text in texts]
    encoded[2] = hidden(encoded[2])
    start = 94
    table, data = b"", b""
    for value in encoded:
        table += struct.pack("<HH", start + len(data), len(value) // 2)
        data += value
    nothing = struct.pack("<HH", start + len(data), 0)
    # Behind the database: the client's id (a MAC address), then SSPI, attached file, new password, and SSPI's length.
    table += bytes(6) + nothing * 3 + bytes(4)
    fixed = struct.pack(
        "<IIIIIBBBBiI",
        _TDS_7_4,
        _PACKET_SIZE,
        0,
        0,
        0,
        0xE0,  # the database must be there; say when it changes
        0x03,  # an ODBC client, whose language must be there: ANSI settings
        0x20 if read_only else 0x00,
        0x00,
        0,
        0x0409,
    )
    return packets(LOGIN, struct.pack("<I", 4 + len(fixed) + len(table) + len(data)) + fixed + table + data)


def hidden(password: bytes) -> bytes:
    """The halves of each byte exchanged, then XOR 0xA5: no encryption, only out of sight."""
    return bytes(((byte << 4 | byte >> 4) & 0xFF) ^ 0xA5 for byte in password)


def batch(sql: str) -> bytes:
    """A statement, with the header that says it runs in no transaction."""
    headers = struct.pack("<IIHQI", 22, 18, 2, 0, 1)
    return packets(BATCH, headers + sql.encode("utf-16-le"))


@dataclass(frozen=True)
class ServerError:
    """An error of the server, by its number; words decide nothing."""

    number: int
    state: int
    severity: int
    message: str

    def evidence(self) -> dict[str, Any]:
        """What to note in a stage."""
        return {"mssql_error": self.number, "error_state": self.state, "severity": self.severity,
                "server_said": self.message}  # fmt: skip


@dataclass
class Answer:
    """What one message of the server says."""

    errors: list[ServerError] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)
    logged_in: bool = False
    #: Another server and port that the client is to go to.
    routing: tuple[str, int] | None = None


class _Bytes:
    """The rest of a message, taken from the front."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    @property
    def left(self) -> bool:
        return self.position < len(self.data)

    def take(self, count: int) -> bytes:
        taken = self.data[self.position : self.position + count]
        if len(taken) != count:
            raise Malformed("a token beyond its message")
        self.position += count
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def text(self, length_bytes: int) -> str:
        return self.take(2 * self.number(length_bytes)).decode("utf-16-le", "replace")


_ERROR, _LOGIN_ACK, _ENVIRONMENT = 0xAA, 0xAD, 0xE3
_COLUMNS, _ROW, _ROW_WITH_NULLS = 0x81, 0xD1, 0xD2
_ROUTING = 20
#: Tokens that say nothing asked for: their length stands in two bytes (INFO, ORDER, TABNAME, COLINFO, SSPI) ...
_MEASURED = frozenset({0xAB, 0xA9, 0xA4, 0xA5, 0xED})
#: ... or is fixed (return status; DONE, DONEPROC, DONEINPROC).
_FIXED: Mapping[int, int] = {0x79: 4, 0xFD: 12, 0xFE: 12, 0xFF: 12}


def answer(data: bytes) -> Answer:
    """The tokens of an answer. Raises `Malformed`."""
    rest, found = _Bytes(data), Answer()
    columns: list[Callable[[_Bytes], str | None]] = []
    while rest.left:
        token = rest.number(1)
        if token == _ERROR:
            found.errors.append(_error(_Bytes(rest.take(rest.number(2)))))
        elif token == _LOGIN_ACK:
            rest.take(rest.number(2))
            found.logged_in = True
        elif token == _ENVIRONMENT:
            found.routing = _routing(_Bytes(rest.take(rest.number(2)))) or found.routing
        elif token == _COLUMNS:
            columns = _columns(rest)
        elif token == _ROW:
            found.rows.append([column(rest) for column in columns])
        elif token == _ROW_WITH_NULLS:
            found.rows.append(_with_nulls(rest, columns))
        elif token in _MEASURED:
            rest.take(rest.number(2))
        elif token in _FIXED:
            rest.take(_FIXED[token])
        else:
            raise Malformed("a token that answers nothing asked")
    return found


def _error(rest: _Bytes) -> ServerError:
    number, state, severity = rest.number(4), rest.number(1), rest.number(1)
    return ServerError(number, state, severity, rest.text(2))


def _routing(rest: _Bytes) -> tuple[str, int] | None:
    if rest.number(1) != _ROUTING:
        return None
    rest.take(2)  # the length of what follows
    rest.take(1)  # TCP
    port = rest.number(2)
    return rest.text(2), port


def _columns(rest: _Bytes) -> list[Callable[[_Bytes], str | None]]:
    count = rest.number(2)
    if count == 0xFFFF:
        return []
    return [_column(rest) for _ in range(count)]


#: Types of a fixed size: one, two, four and eight bytes of a number, and a bit.
_NUMBERS: Mapping[int, int] = {0x30: 1, 0x32: 1, 0x34: 2, 0x38: 4, 0x7F: 8}
_NULLABLE_NUMBERS = frozenset({0x26, 0x68})
_TEXTS: Mapping[int, str] = {0xE7: "utf-16-le", 0xEF: "utf-16-le", 0xA7: "latin-1", 0xAF: "latin-1"}


def _column(rest: _Bytes) -> Callable[[_Bytes], str | None]:
    """How the values of a column are read."""
    rest.take(6)  # user type and flags
    kind = rest.number(1)
    if kind in _NUMBERS:
        size = _NUMBERS[kind]
        read: Callable[[_Bytes], str | None] = lambda row: _whole(row.take(size))  # noqa: E731
    elif kind in _NULLABLE_NUMBERS:
        rest.take(1)
        read = lambda row: _whole(row.take(row.number(1)))  # noqa: E731
    elif kind in _TEXTS:
        if rest.number(2) == 0xFFFF:
            raise Malformed("a text without a limit was not asked for")
        rest.take(5)  # its collation
        read = lambda row: _characters(row, _TEXTS[kind])  # noqa: E731
    else:
        raise Malformed("a type that was not asked for")
    rest.text(1)
    return read


def _whole(data: bytes) -> str | None:
    return str(int.from_bytes(data, "little", signed=len(data) > 1)) if data else None


def _characters(row: _Bytes, encoding: str) -> str | None:
    length = row.number(2)
    return None if length == 0xFFFF else row.take(length).decode(encoding, "replace")


def _with_nulls(rest: _Bytes, columns: list[Callable[[_Bytes], str | None]]) -> list[str | None]:
    bitmap = rest.take((len(columns) + 7) // 8)
    return [
        None if bitmap[position // 8] >> position % 8 & 1 else column(rest) for position, column in enumerate(columns)
    ]
