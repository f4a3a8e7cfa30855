"""A Db2 that answers DRDA's commands as its documents say."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field

from tasks.protocols.db2.wire import Code


def value(code: int, data: bytes) -> bytes:
    return struct.pack(">HH", 4 + len(data), code) + data


def reply(*bodies: bytes) -> bytes:
    """A chain of structures, as servers send it: all of one command."""
    return b"".join(
        struct.pack(">HBBH", 6 + len(body), 0xD0, 0x02 | (0x50 if number < len(bodies) else 0), 1) + body
        for number, body in enumerate(bodies, start=1)
    )


def card(code: int, state: str, order: str = ">") -> bytes:
    return value(Code.SQLCARD, b"\0" + struct.pack(order + "i", code) + state.encode() + bytes(40))


ATTRIBUTES = value(Code.EXCSATRD, value(Code.SRVCLSNM, "QDB2/LINUXX8664".encode("cp500")))
SECURITY = value(Code.ACCSECRD, value(Code.SECMEC, b"\0\x03"))
ACCESSED = value(Code.ACCRDBRM, value(Code.TYPDEFNAM, "QTDSQLX86".encode("cp500")))


def checked(code: int) -> bytes:
    return value(Code.SECCHKRM, value(Code.SVRCOD, b"\0\0") + value(Code.SECCHKCD, bytes([code])))


def description(nullable: bool) -> bytes:
    return value(Code.QRYDSC, bytes([6, 0x76, 0xD0, 0x33 if nullable else 0x32, 1, 5]))


def rows(*names: str, nullable: bool = True) -> bytes:
    present = b"\0" if nullable else b""
    data = b"".join(b"\xff\0" + present + struct.pack("<H", len(name)) + name.encode() for name in names)
    return description(nullable) + value(Code.QRYDTA, data)


@dataclass
class FakeDb2:
    """Answers by the command; statements by what stands in them."""

    security: bytes = SECURITY
    check: bytes = checked(0)
    access: tuple[bytes, ...] = (ACCESSED,)
    statements: dict[str, tuple[bytes, ...]] = field(
        default_factory=lambda: {
            "SYSCAT": (card(0, "00000", "<"), rows('"SALES"."ORDERS"')),
            "1 = 0": (card(0, "00000"),),
        }
    )
    heard: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            command, text, more = 0, b"", True
            while more:
                head = await reader.readexactly(6)
                body = await reader.readexactly(int.from_bytes(head[:2]) - 6)
                more = bool(head[3] & 0x40)
                command = command or int.from_bytes(body[2:4])
                text += body
            self.heard.append(text)
            writer.write(reply(*self._answers(command, text)))
            await writer.drain()

    def _answers(self, command: int, text: bytes) -> tuple[bytes, ...]:
        fixed: dict[int, tuple[bytes, ...]] = {
            Code.EXCSAT: (ATTRIBUTES, self.security), Code.SECCHK: (self.check,), Code.ACCRDB: self.access,
        }  # fmt: skip
        if command in fixed:
            return fixed[command]
        unknown = (card(-204, "42704", "<"),)
        return next((answer for words, answer in self.statements.items() if words.encode() in text), unknown)
