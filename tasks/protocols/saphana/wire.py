"""HANA's messages as bytes: a header, one segment, its parts. Computes; sends nothing."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: A filler, the product's version 4.20, the protocol's 4.1, one option: numbers with the smallest byte first.
INITIALIZATION = bytes.fromhex("ffffffff 04 1400 04 0100 00 01 01 01")
INITIALIZED = 8
HEADER = 32

EXECUTE, AUTHENTICATE, CONNECT, DISCONNECT = 2, 65, 66, 77
COMMAND, RESULT_SET, ERROR, AUTHENTICATION, CLIENT_ID, CONNECT_OPTIONS = 3, 5, 6, 33, 35, 42

_SEGMENT_HEADER, _PART_HEADER = 24, 16
_REQUEST = 1
_ROOM = 120_000
SHA256, PBKDF2 = b"SCRAMSHA256", b"SCRAMPBKDF2SHA256"
_INTEGER, _BOOLEAN = 3, 28
#: Iterations that a login may cost here.
_MOST_ROUNDS = 1_000_000


class Malformed(ValueError):
    """Bytes that no HANA sends."""


@dataclass(frozen=True)
class Part:
    """One part of a reply: its kind, how many values it has, and their bytes."""

    kind: int
    count: int
    data: bytes


def version(answer: bytes) -> str:
    """The product's version in the answer to the initialization. Raises `Malformed`."""
    major, minor, protocol, _ = struct.unpack("<bHbH", answer[:6])
    # Every HANA so far is of major version 1 to 9, and the protocol's of 1 to 9.
    if not (0 < major < 10 and 0 <= protocol < 10):
        raise Malformed("no versions")
    return f"{major}.{minor}"


def request(session: int, number: int, kind: int, *parts: tuple[int, bytes]) -> bytes:
    """A message with one segment."""
    body = b"".join(_part(part, data) for part, data in parts)
    segment = struct.pack("<iihhbbbb8x", _SEGMENT_HEADER + len(body), 0, len(parts), 1, _REQUEST, kind, 1, 0) + body
    return struct.pack("<qiIIh10x", session, number, len(segment), _ROOM, 1) + segment


def _part(kind: int, data: bytes) -> bytes:
    count = len(_OPTIONS) if kind == CONNECT_OPTIONS else 1
    padding = bytes(-len(data) % 8)
    return struct.pack("<bbhiii", kind, 0, count, 0, len(data), _ROOM) + data + padding


#: Values in the current format; a connection to this server alone.
_OPTIONS = ((2, _BOOLEAN, 1), (12, _INTEGER, 1), (15, _INTEGER, 0), (23, _INTEGER, 1))


def options() -> bytes:
    """How we want to be answered."""
    return b"".join(
        struct.pack("<bb?" if kind == _BOOLEAN else "<bbi", key, kind, value) for key, kind, value in _OPTIONS
    )


def fields(*values: bytes) -> bytes:
    """Values of an authentication, each behind its length."""
    return struct.pack("<H", len(values)) + b"".join(
        (bytes([len(value)]) if len(value) < 246 else b"\xff" + struct.pack("<H", len(value))) + value
        for value in values
    )


def unpacked(data: bytes) -> list[bytes]:
    """The values of `fields`. Raises `Malformed`."""
    count, position, found = int.from_bytes(data[:2], "little"), 2, []
    for _ in range(count):
        length, position = data[position : position + 1], position + 1
        size = length[0] if length else 0
        if size == 0xFF:
            size, position = int.from_bytes(data[position : position + 2], "little"), position + 2
        found.append(data[position : position + size])
        position += size
    if position > len(data):
        raise Malformed("a value beyond its part")
    return found


def length_behind(head: bytes) -> int:
    """How many bytes follow a message's header. Raises `Malformed`."""
    length = int.from_bytes(head[12:16], "little")
    if not 0 <= length <= 1 << 22:
        raise Malformed("a length that no answer has")
    return length


def session_of(head: bytes) -> int:
    """The session that the server has given us."""
    return int.from_bytes(head[:8], "little", signed=True)


def parts(body: bytes) -> list[Part]:
    """The parts of a reply's segment. Raises `Malformed`."""
    return list(_parts(body))


def _parts(body: bytes) -> Iterator[Part]:
    if len(body) < _SEGMENT_HEADER:
        raise Malformed("no segment")
    (count,) = struct.unpack_from("<h", body, 8)
    position = _SEGMENT_HEADER
    for _ in range(count):
        if position + _PART_HEADER > len(body):
            raise Malformed("half a part")
        kind, _, few, many, length, _ = struct.unpack_from("<bbhiii", body, position)
        position += _PART_HEADER
        if length < 0 or position + length > len(body):
            raise Malformed("a part beyond its message")
        yield Part(kind, many if few == -1 else few, body[position : position + length])
        position += length + -length % 8


def error_number(data: bytes) -> int:
    """The first error's number. Raises `Malformed`."""
    if len(data) < 18:
        raise Malformed("an error cut short")
    return int.from_bytes(data[:4], "little", signed=True)


def proof(method: bytes, password: str, challenge: bytes, answer: bytes) -> bytes:
    """What shows that we know the password, for the server's answer to our challenge. Raises `Malformed`."""
    values = unpacked(answer)
    salt, server = values[0] if values else b"", values[1] if len(values) > 1 else b""
    if not salt or not server:
        raise Malformed("an answer without salt")
    secret = password.encode()
    if method == PBKDF2:
        rounds = int.from_bytes(values[2]) if len(values) > 2 else 0
        if not 0 < rounds <= _MOST_ROUNDS:
            raise Malformed("a number of rounds that no server asks for")
        salted = hashlib.pbkdf2_hmac("sha256", secret, salt, rounds)
    else:
        salted = hmac.digest(secret, salt, "sha256")
    key = hashlib.sha256(salted).digest()
    signature = hmac.digest(hashlib.sha256(key).digest(), salt + server + challenge, "sha256")
    return _one(bytes(one ^ two for one, two in zip(key, signature, strict=True)))


def _one(value: bytes) -> bytes:
    """A list of one value, whose count has its largest byte first."""
    return b"\0\x01" + bytes([len(value)]) + value


def chosen(values: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The method that the server takes, and its answer. Raises `Malformed`."""
    if len(values) < 2:
        raise Malformed("no method of logging in")
    return values[0], values[1]
