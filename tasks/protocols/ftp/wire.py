"""The bytes of FTP's control connection: replies, and what stands in their words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.evidence import StageFailed
from tasks.fingerprints import identify
from tasks.streams import Reader, printable

#: A reply that is longer than this is none.
_LONGEST_LINE = 4096
_MOST_LINES = 500
_REPLY = re.compile(rb"[1-6][0-9][0-9][ -]")
_EXTENDED_PASSIVE = re.compile(r"\((.)\1\1([0-9]{1,5})\1\)")
_PASSIVE = re.compile(r"(?:[0-9]{1,3},){4}([0-9]{1,3}),([0-9]{1,3})")
_QUOTED = re.compile(r'"((?:[^"]|"")+)"')


@dataclass(frozen=True)
class Reply:
    """A code of three digits and the words of the first line."""

    code: int
    text: str

    @property
    def done(self) -> bool:
        """Whether the command was carried out."""
        return 200 <= self.code < 300

    @property
    def begun(self) -> bool:
        """Whether another reply follows."""
        return self.code < 200


async def read_reply(reader: Reader) -> Reply:
    """The next reply, of one line or more (RFC 959, section 4.2).

    Raises:
        StageFailed: ``not_protocol``: these bytes are no reply.
        StreamBroken: The conversation broke.
    """
    # A stranger may never end its line: four bytes tell.
    while len(reader.buffer) < 4 and b"\n" not in reader.buffer:
        reader.buffer += await reader.stream.receive()
    if not _REPLY.match(reader.buffer):
        first = bytes(reader.buffer[:64])
        raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=other(first))
    first = line = await reader.until(b"\n", _LONGEST_LINE)
    code = line[:3]
    for _ in range(_MOST_LINES):
        if line[:3] == code and line[3:4] == b" ":
            return Reply(int(code), printable(first[4:].strip(), 200))
        line = await reader.until(b"\n", _LONGEST_LINE)
    raise StageFailed(not_protocol=True, first_bytes=printable(first))


def other(first: bytes) -> str | None:
    name = identify(first)
    return None if name == "FTP" else name


def extended_passive_port(reply: Reply) -> int | None:
    """The port that an answer to EPSV names (RFC 2428, section 3); None where it names none."""
    found = _EXTENDED_PASSIVE.search(reply.text) if reply.code == 229 else None
    return int(found[2]) if found else None


def passive_port(reply: Reply) -> int | None:
    """The port that an answer to PASV names (RFC 959, section 4.1.2); None where it names none."""
    found = _PASSIVE.search(reply.text) if reply.code == 227 else None
    return int(found[1]) * 256 + int(found[2]) if found else None


def quoted_path(reply: Reply) -> str | None:
    """The directory that an answer to PWD names (RFC 959, appendix II); None where it names none."""
    found = _QUOTED.search(reply.text) if reply.code == 257 else None
    return found[1].replace('""', '"') if found else None
