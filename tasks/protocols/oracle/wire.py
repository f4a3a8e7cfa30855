"""TNS packets as bytes: CONNECT and what a listener answers. Computes; sends nothing."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

CONNECT, ACCEPT, REFUSE, REDIRECT, DATA, RESEND = 1, 2, 4, 5, 6, 11
HEADER = 8
#: The listener hands the connection to another process, which shakes hands anew (TCPS).
TLS_AGAIN = 0x08
#: The connection was sent on by another listener.
SENT_ON = 0x04

#: Version 3.19 of the protocol (Oracle 23), down to 3.00 (Oracle 8).
_VERSION, _OLDEST = 319, 300
_SDU = 8192
_OFFSET = 74
#: Longer ones follow in a packet of their own.
_MOST_CONNECT_DATA = 230
#: No native encryption is needed, and security may be negotiated anew.
_NETWORK_FLAGS = 0x80 | 0x04


class Malformed(ValueError):
    """Bytes that no listener sends."""


@dataclass(frozen=True)
class Packet:
    """One packet: its type, flags and what follows the header."""

    kind: int
    flags: int
    body: bytes


def begins_like_oracle(head: bytes) -> bool:
    """Whether a header can be a listener's first answer."""
    length, checksum, kind, _, header_checksum = struct.unpack(">HHBBH", head)
    known = kind in (ACCEPT, REFUSE, REDIRECT, RESEND)
    return known and checksum == 0 and header_checksum == 0 and HEADER <= length <= 32767


def length_behind(head: bytes) -> int:
    """How many bytes follow a header of the time before ACCEPT. Raises `Malformed`."""
    length = int.from_bytes(head[:2])
    if length < HEADER:
        raise Malformed("a packet shorter than its header")
    return length - HEADER


def _packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack(">HHBBH", HEADER + len(body), 0, kind, flags, 0) + body


def connect(descriptor: str, *, sent_on: bool = False) -> bytes:
    """The first packet of a client, and the second where the descriptor is long."""
    data = descriptor.encode("ascii", "replace")
    fields = struct.pack(
        ">HHHHHHHHHHIBB",
        _VERSION, _OLDEST, 1, _SDU, _SDU, 0x4F98, 0, 1, len(data), _OFFSET, 0, _NETWORK_FLAGS, _NETWORK_FLAGS,
    )  # fmt: skip
    fields += bytes(24) + struct.pack(">IIII", _SDU, _SDU, 0, 0)
    flags = SENT_ON if sent_on else 0
    if len(data) <= _MOST_CONNECT_DATA:
        return _packet(CONNECT, fields + data, flags)
    return _packet(CONNECT, fields, flags) + _packet(DATA, b"\0\0" + data)


#: What the listener's log shows of us.
CLIENT = "(CID=(PROGRAM=headwater)(HOST=headwater)(USER=headwater))"


def descriptor(host: str, port: int, service: str | None, sid: str | None, client: str = "") -> str:
    """Where a client wants to go; the names are letters, digits and a few signs, and need no quoting."""
    names = "".join(f"({key}={value})" for key, value in (("SERVICE_NAME", service), ("SID", sid)) if value)
    return f"(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST={host})(PORT={port}))(CONNECT_DATA={names}{client}))"


def version(accepted: bytes) -> int:
    """The version that an ACCEPT settles on."""
    return int.from_bytes(accepted[:2])


_NUMBER = re.compile(r"\((?:ERR|CODE)=(\d{1,6})\)")


def error_number(refused: bytes) -> int:
    """The error behind a REFUSE: (ERR=12514), or the code at the bottom of its stack; 0 where it names none."""
    numbers = [int(number) for number in _NUMBER.findall(_text(refused[4:]))]
    return next((number for number in numbers if number), 0)


def redirect(data: bytes) -> tuple[str, int, str]:
    """Host, port and what to say there, of the text behind a REDIRECT. Raises `Malformed`."""
    where, _, said = _text(data).partition("\0")
    host, port = re.search(r"\(HOST=([^()=]+)\)", where, re.I), re.search(r"\(PORT=(\d{1,5})\)", where, re.I)
    if not host or not port:
        raise Malformed("a redirection to nowhere")
    return host[1].strip(), int(port[1]), said


def _text(data: bytes) -> str:
    return data.decode("ascii", "replace")
