"""Protocol buffers without a schema: numbers and bytes, which is all that the messages here are made of."""

from __future__ import annotations

from collections.abc import Iterator


def fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Number and value of a protobuf message's fields; of numbers and bytes, which are all that is used here."""
    position = 0
    while position < len(data):
        tag, position = varint_at(data, position)
        value, position = varint_at(data, position)
        if tag & 7 == 2:
            yield tag >> 3, data[position : position + value]
            position += value
        elif tag & 7 == 0:
            yield tag >> 3, value
        else:
            raise ValueError("a field of another kind")


def varint_at(data: bytes, position: int) -> tuple[int, int]:
    """The number at a position, and where it ends."""
    found = shift = 0
    while True:
        byte = data[position]
        found |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return found, position
        if shift > 63:
            raise ValueError("a number too long to be one")


def number(field: int, value: int) -> bytes:
    """A field that holds a number."""
    return varint(field << 3) + varint(value)


def text(field: int, value: str | bytes) -> bytes:
    """A field that holds text, bytes or another message."""
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """A number of variable length."""
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def delimited(message: bytes) -> bytes:
    """A message with its length before it."""
    return varint(len(message)) + message


def messages(data: bytes, field: int) -> list[bytes]:
    """Every value of a field that holds bytes."""
    return [value for found, value in fields(data) if found == field and isinstance(value, bytes)]


def first_number(data: bytes, field: int) -> int | None:
    """The first value of a field that holds a number."""
    return next((value for found, value in fields(data) if found == field and isinstance(value, int)), None)
