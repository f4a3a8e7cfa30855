"""The packets of MySQL's client/server protocol, read and written; no conversation.

Source: MySQL internals manual, "Client/Server Protocol" (connection and text protocols), and MariaDB's knowledge base,
"Client/Server Protocol", for what MariaDB does otherwise.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.evidence import StageFailed

LONG_PASSWORD = 1 << 0
LONG_FLAG = 1 << 2
PROTOCOL_41 = 1 << 9
SSL = 1 << 11
TRANSACTIONS = 1 << 13
SECURE_CONNECTION = 1 << 15
MULTI_STATEMENTS = 1 << 16
MULTI_RESULTS = 1 << 17
PLUGIN_AUTH = 1 << 19
CONNECT_ATTRS = 1 << 20
PLUGIN_AUTH_LENENC = 1 << 21

OK, AUTH_MORE_DATA, LOCAL_INFILE, EOF, ERROR = 0x00, 0x01, 0xFB, 0xFE, 0xFF
MORE_RESULTS = 0x0008

#: What this client asks for, where the server has it.
_WANTED = LONG_FLAG | TRANSACTIONS | MULTI_STATEMENTS | MULTI_RESULTS | PLUGIN_AUTH | CONNECT_ATTRS | PLUGIN_AUTH_LENENC
#: What it cannot do without. A client that leaves out the first one is taken for one with MariaDB's extensions.
_NEEDED = LONG_PASSWORD | PROTOCOL_41 | SECURE_CONNECTION

#: utf8mb4_general_ci
_CHARSET = 45
_LONGEST_ANSWER = 1 << 24
#: What MariaDB puts before its version, for the sake of old replicas.
_REPLICATION_PREFIX = "5.5.5-"


class Malformed(StageFailed):
    """Bytes that cannot be a packet of the protocol."""

    def __init__(self, what: str) -> None:
        super().__init__(malformed=what, server_said=f"a malformed packet: {what}")


class Fields:
    """Reads a packet from its front to its back. Everything raises `Malformed` where the packet is too short."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """So many bytes."""
        if count > self.left:
            raise Malformed("it ends too early")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, size: int) -> int:
        """An integer of so many bytes."""
        return int.from_bytes(self.take(size), "little")

    def word(self) -> bytes:
        """Everything up to a zero byte, or to the end."""
        end = self._data.find(b"\0", self._at)
        found = self.take(self.left if end < 0 else end - self._at)
        self._at += end >= 0
        return found

    def lenenc(self) -> bytes | None:
        """A string with its length before it; None for NULL."""
        first = self.number(1)
        if first == 0xFB:
            return None
        sizes = {0xFC: 2, 0xFD: 3, 0xFE: 8}
        if first == 0xFF:
            raise Malformed("a length that is none")
        return self.take(self.number(sizes[first]) if first in sizes else first)

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left)


def lenenc(data: bytes) -> bytes:
    """A string with its length before it, up to 65,535 bytes."""
    size = bytes([len(data)]) if len(data) < 0xFB else b"\xfc" + struct.pack("<H", len(data))
    return size + data


def packet(sequence: int, payload: bytes) -> bytes:
    """One packet on the wire."""
    return len(payload).to_bytes(3, "little") + bytes([sequence & 0xFF]) + payload


@dataclass(frozen=True)
class ServerError:
    """An ERR packet: the number decides, the words are for people."""

    number: int
    sqlstate: str
    message: str

    def evidence(self) -> dict[str, Any]:
        """What to note in the stage."""
        return {
            "mysql_error": self.number,
            "sqlstate": self.sqlstate or None,
            "server_message": self.message,
            "server_said": f"error {self.number}" + (f", SQLSTATE {self.sqlstate}" if self.sqlstate else ""),
        }


def server_error(payload: bytes) -> ServerError:
    """Read an ERR packet; the SQLSTATE is missing where the server does not yet know what the client understands."""
    fields = Fields(payload[1:])
    number, rest = fields.number(2), fields.rest()
    state = rest[1:6].decode("ascii", "replace") if rest[:1] == b"#" else ""
    return ServerError(number, state, rest[6 if state else 0 :].decode(errors="replace"))


@dataclass(frozen=True)
class Greeting:
    """What the server says first.

    Attributes:
        plugin: How accounts authenticate unless they have a method of their own.
        nonce: 20 bytes that answers are scrambled with.
    """

    version: str
    capabilities: int
    plugin: str
    nonce: bytes

    @property
    def offers_tls(self) -> bool:
        """Whether the server would speak TLS."""
        return bool(self.capabilities & SSL)


def begins_like_mysql(head: bytes) -> bool:
    """Whether five bytes may be the header and the first byte of a greeting, or of an error in its place."""
    length, sequence, kind = int.from_bytes(head[:3], "little"), head[3], head[4]
    if kind == ERROR:
        return sequence in (0, 1) and 3 <= length <= 1024
    return kind == 10 and sequence == 0 and 34 <= length <= 1024


def greeting(payload: bytes) -> Greeting:
    """Read protocol 10's greeting."""
    fields = Fields(payload[1:])
    version = fields.word()
    if not version or not version.isascii():
        raise Malformed("a version that is none")
    fields.take(4)
    nonce = fields.take(8)
    fields.take(1)
    capabilities = fields.number(2)
    plugin = b""
    if fields.left:
        fields.take(3)
        capabilities |= fields.number(2) << 16
        size = fields.number(1)
        fields.take(10)
        # Its last byte is a zero that does not count.
        nonce += fields.take(min(max(13, size - 8), fields.left))[:12]
        plugin = fields.word()
    said = version.decode()
    if "MariaDB" in said:
        said = said.removeprefix(_REPLICATION_PREFIX)
    return Greeting(said, capabilities, plugin.decode("ascii", "replace"), nonce)


def ssl_request(server: Greeting) -> bytes:
    """The front of a handshake response: what follows is TLS."""
    return _front(_capabilities(server) | SSL)


def handshake_response(
    server: Greeting, *, username: str, plugin: str, answer: bytes, tls: bool, attributes: Mapping[str, str]
) -> bytes:
    """Who logs in, without a database: whether that is there is another question."""
    capabilities = _capabilities(server) | (SSL if tls else 0)
    payload = _front(capabilities) + username.encode() + b"\0"
    payload += lenenc(answer) if capabilities & PLUGIN_AUTH_LENENC else bytes([len(answer)]) + answer
    if capabilities & PLUGIN_AUTH:
        payload += plugin.encode() + b"\0"
    if capabilities & CONNECT_ATTRS:
        payload += lenenc(b"".join(lenenc(word.encode()) for pair in attributes.items() for word in pair))
    return payload


def _capabilities(server: Greeting) -> int:
    return _NEEDED | (_WANTED & server.capabilities)


def _front(capabilities: int) -> bytes:
    return struct.pack("<IIB23x", capabilities, _LONGEST_ANSWER, _CHARSET)


def is_eof(payload: bytes) -> bool:
    """Whether this ends a list of columns or rows; a long first column begins with the same byte."""
    return payload[:1] == bytes([EOF]) and len(payload) < 9


def row(payload: bytes) -> list[str | None]:
    """The columns of one row of a text result."""
    fields, values = Fields(payload), list[str | None]()
    while fields.left:
        value = fields.lenenc()
        values.append(None if value is None else value.decode(errors="replace"))
    return values


def status_of_ok(payload: bytes) -> int:
    """The status flags of an OK packet."""
    fields = Fields(payload[1:])
    for _ in range(2):  # affected rows, last inserted id
        first = fields.number(1)
        fields.take({0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first, 0))
    return fields.number(2)


def status_of_eof(payload: bytes) -> int:
    """The status flags of an EOF packet."""
    return int.from_bytes(payload[3:5], "little")
