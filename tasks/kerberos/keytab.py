"""Keytabs: the long-term keys of principals (MIT Kerberos, "The keytab file format", version 0x502)."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MAGIC = b"\x05\x02"
_DATA_URI = "data:;base64,"


@dataclass(frozen=True)
class LongTermKey:
    """One key of a principal.

    Attributes:
        kind: The encryption type's number (RFC 3961).
        version: The key's version number (kvno).
    """

    principal: str
    kind: int
    version: int
    contents: bytes

    def __repr__(self) -> str:
        return f"LongTermKey({self.principal}, kind {self.kind}, version {self.version})"


@dataclass(frozen=True)
class Identity:
    """A principal (``name[/instance]``), its realm, and its keys, the newest version first."""

    principal: str
    realm: str
    keys: tuple[LongTermKey, ...]

    @property
    def name(self) -> str:
        """Principal and realm."""
        return f"{self.principal}@{self.realm}"

    @property
    def versions(self) -> list[int]:
        """The versions of its keys."""
        return sorted({key.version for key in self.keys})


def read(text: str) -> tuple[LongTermKey, ...]:
    """The keys of a keytab, given as the secret that holds it: base64 of the file, as a data URI or bare.

    Raises:
        ValueError: It is no keytab.
    """
    try:
        data = base64.b64decode("".join(text.removeprefix(_DATA_URI).split()), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if data[:2] != _MAGIC:
        raise ValueError("it does not begin as a keytab (0x0502) does")
    try:
        return tuple(_entry(entry) for entry in _entries(data[2:]))
    except (struct.error, IndexError, UnicodeDecodeError):
        raise ValueError("it breaks off, or is damaged") from None


def _entries(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 4 <= len(data):
        (size,) = struct.unpack_from("!i", data, at)
        if size == 0:
            return
        if size > 0:
            if at + 4 + size > len(data):
                raise IndexError
            yield data[at + 4 : at + 4 + size]
        at += 4 + abs(size)  # a negative size is a hole, left by a removed entry


def _entry(data: bytes) -> LongTermKey:
    (components,) = struct.unpack_from("!H", data)
    at, texts = 2, []
    for _ in range(components + 1):
        (length,) = struct.unpack_from("!H", data, at)
        texts.append(data[at + 2 : at + 2 + length].decode())
        at += 2 + length
    _name_type, _stamp, version, kind, length = struct.unpack_from("!IIBHH", data, at)
    at += 13
    contents = data[at : at + length]
    if len(contents) != length:
        raise IndexError
    if len(data) - at - length >= 4:  # the version again, with room for more than 255
        version = struct.unpack_from("!I", data, at + length)[0] or version
    return LongTermKey(f"{'/'.join(texts[1:])}@{texts[0]}", kind, version, contents)


def identity(keys: tuple[LongTermKey, ...], principal: str, default_realm: str) -> Identity:
    """The keys of one principal; none where the keytab has none for it."""
    name, _, realm = principal.partition("@")
    realm = realm or default_realm
    own = [key for key in keys if key.principal == f"{name}@{realm}"]
    return Identity(name, realm, tuple(sorted(own, key=lambda key: -key.version)))
