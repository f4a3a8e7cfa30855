"""HiveServer2's SASL exchange as `TSaslTransport` has it, with tickets that Cyrus SASL checks; then what was recorded.

Takes as its argument: address, port, mechanism, service, host and keytab, separated by commas.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys

from tests.lab.acceptor import Acceptor
from tests.tasks.test_hive2 import ANY_TABLE

_START, _OK, _BAD, _COMPLETE = 1, 2, 3, 5


class HiveServer:
    """One server; `mechanism` is the one it takes."""

    def __init__(self, mechanism: str, service: str, host: str, keytab: str) -> None:
        self.mechanism = mechanism
        self.principal = (service, host, keytab)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            if await self._log_in(reader, writer):
                for answer in ANY_TABLE[1:]:
                    (size,) = struct.unpack("!I", await reader.readexactly(4))
                    await reader.readexactly(size)
                    writer.write(answer)
        writer.close()

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        status, name = await _frame(reader)
        if status != _START or name.decode() != self.mechanism:
            _say(writer, _BAD, b"Unsupported mechanism type " + name)
            return False
        acceptor = Acceptor(*self.principal)
        while True:
            _, token = await _frame(reader)
            answer = acceptor.step(token)
            if answer is None:
                _say(writer, _BAD, b"GSS initiate failed")
                return False
            complete, said = answer
            _say(writer, _COMPLETE if complete else _OK, said)
            if complete:
                return True


async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    status, size = struct.unpack("!BI", await reader.readexactly(5))
    return status, await reader.readexactly(size)


def _say(writer: asyncio.StreamWriter, status: int, said: bytes) -> None:
    writer.write(struct.pack("!BI", status, len(said)) + said)


async def main(address: str, port: str, *server: str) -> None:
    """Serve until killed."""
    await asyncio.start_server(HiveServer(*server).serve, address, int(port))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1].split(",")))
