"""Messages of PostgreSQL's protocol: what is sent, what comes back, and names as SQL."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SSL_REQUEST = struct.pack("!II", 8, 80877103)
_PROTOCOL_3 = 196608
#: The longest message that a handshake has reason to send; a longer length means another protocol.
LONGEST_MESSAGE = 1 << 24


class ServerError(Exception):
    """An ErrorResponse. `fields` has the one-letter keys of the protocol."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__()
        self.fields = fields

    def evidence(self) -> dict[str, Any]:
        """Codes first; the server's words are for people only."""
        code, routine = self.fields.get("C"), self.fields.get("R")
        return {
            "sqlstate": code,
            "sqlstate_class": (code or "")[:2],
            "routine": routine,
            "server_line": self.fields.get("L"),
            "server_message": self.fields.get("M"),
            "server_said": f"SQLSTATE {code}",
        }


@dataclass(frozen=True)
class Message:
    """One message of the server: its letter and what follows its length."""

    kind: bytes
    body: bytes


def startup(words: Mapping[str, str]) -> bytes:
    """The message that opens a session; it carries no credentials."""
    body = b"".join(f"{key}\0{value}\0".encode() for key, value in words.items() if value) + b"\0"
    return struct.pack("!II", len(body) + 8, _PROTOCOL_3) + body


def framed(kind: bytes, body: bytes) -> bytes:
    """A message of ours, with its letter and length."""
    return kind + struct.pack("!I", len(body) + 4) + body


def error_of(body: bytes) -> ServerError:
    """What an ErrorResponse says."""
    fields = {part[:1].decode("latin-1"): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    return ServerError(fields)


def columns(body: bytes) -> list[str | None]:
    """The values of a DataRow, as text."""
    (count,) = struct.unpack_from("!H", body)
    position, values = 2, list[str | None]()
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, position)
        position += 4
        if length < 0:
            values.append(None)
            continue
        values.append(body[position : position + length].decode(errors="replace"))
        position += length
    return values


_PART = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')
_NAME = re.compile(rf"(?:{_PART.pattern})(?:\.(?:{_PART.pattern}))*")


def _folded(part: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in part)


#: Reserved words that somebody would call a role or a database (PostgreSQL documentation, "SQL Key Words").
_RESERVED = frozenset(
    {"all", "analyse", "analyze", "array", "column", "default", "end", "group", "limit", "offset", "order", "public"}
    | {"select", "session_user", "table", "user", "current_user", "current_role", "references", "window"}
)


def written(name: str) -> str:
    """One name for people to copy into a statement: in quotes where it would fold or be read otherwise."""
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _RESERVED
    return name if plain else '"' + name.replace('"', '""') + '"'


def quoted(name: str, *, fold: bool = True) -> str:
    """A table's name as SQL: ``schema.table``; parts that are not quoted fold to lower case as in SQL (ASCII only).

    What is no such name is taken for the name of one table, letter by letter.

    Args:
        fold: False: take every letter as it is written.
    """
    if _NAME.fullmatch(name):
        unquoted = _folded if fold else str
        parts = [one.replace('""', '"') if one else unquoted(two) for one, two in _PART.findall(name)]
    else:
        parts = [name]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
