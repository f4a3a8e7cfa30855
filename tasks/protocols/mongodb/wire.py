"""OP_MSG as bytes. Computes; sends nothing.

Source: MongoDB manual, "MongoDB Wire Protocol": a header of four numbers, flags, one section with a document.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import bson
from bson.errors import BSONError

HEADER = 16
_OP_MSG, _OP_REPLY = 2013, 1
#: The longest message of any server: 48 MB; nothing asked here has reason to be answered with more than this.
_LONGEST = 1 << 24

Document = Mapping[str, Any]


class Malformed(ValueError):
    """Bytes that no MongoDB sends."""


def message(number: int, document: Document) -> bytes:
    """A command: its first key is its name."""
    body = struct.pack("<IB", 0, 0) + bson.encode(document)
    return struct.pack("<iiii", HEADER + len(body), number, 0, _OP_MSG) + body


def begins_like_mongodb(head: bytes, number: int) -> bool:
    """Whether a header answers the message of this number."""
    length, _, answers, operation = struct.unpack("<iiii", head)
    return operation in (_OP_MSG, _OP_REPLY) and answers == number and HEADER + 10 <= length <= _LONGEST


def length_behind(head: bytes) -> int:
    """How many bytes follow a header. Raises `Malformed`."""
    length, _, _, operation = struct.unpack("<iiii", head)
    if operation not in (_OP_MSG, _OP_REPLY) or not HEADER + 10 <= length <= _LONGEST:
        raise Malformed("no answer to a command")
    return int(length) - HEADER


def document(head: bytes, body: bytes) -> Document:
    """The document of an answer. Raises `Malformed`."""
    operation = struct.unpack("<iiii", head)[3]
    # OP_REPLY: flags, cursor, offset and count stand before the document.
    data = body[20:] if operation == _OP_REPLY else body[5:]
    length = int.from_bytes(data[:4], "little")
    if operation == _OP_MSG and body[4:5] != b"\0":
        raise Malformed("an answer in another form than was asked for")
    try:
        found: Document = bson.decode(data[:length])
    except (BSONError, ValueError, TypeError, OverflowError):
        raise Malformed("no document") from None
    return found
