"""A NameNode's SASL exchange as `RpcHeader.proto` has it, with tickets that Cyrus SASL checks; then a directory.

Takes as its argument: address, port, method, service, host, keytab, separated by commas; and ``closed``
where nobody is let in.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys

from tasks.protocols.protobuf import first_number, messages, number, text, varint_at
from tests.lab.acceptor import Acceptor
from tests.tasks.test_hdfs import DIRECTORY, LISTING, refused, said

_SUCCESS, _NEGOTIATE, _INITIATE, _CHALLENGE = 0, 1, 2, 3


class NameNode:
    """One server; `method` is the one it offers, none where it is SIMPLE."""

    def __init__(self, method: str, service: str, host: str, keytab: str, closed: str = "") -> None:
        self.closed = closed
        self.method = method
        self.principal = (service, host, keytab)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readexactly(7)
            if head[6:] != b"\xdf":
                writer.write(refused("security.AccessControlException", 2))
            elif await self._log_in(reader, writer):
                assert b"ClientProtocol" in await _record(reader)
                closed = refused("security.authorize.AuthorizationException", 2)
                for answer in (closed,) if self.closed else (DIRECTORY, DIRECTORY, LISTING):
                    await _record(reader)
                    writer.write(answer)
                await reader.read()
        writer.close()

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        service, host, _ = self.principal
        acceptor = Acceptor(*self.principal)
        offer = text(1, self.method) + text(2, "GSSAPI") + text(3, service) + text(4, host)
        while True:
            message = _sasl(await _record(reader))
            state = first_number(message, 2)
            if state == _NEGOTIATE:
                simple = self.method == "SIMPLE"
                answer = number(2, _SUCCESS if simple else _NEGOTIATE) + (b"" if simple else text(4, offer))
                writer.write(said(0, answer))
                continue
            assert (state == _INITIATE) == bool(messages(message, 4))
            stepped = acceptor.step(messages(message, 3)[0])
            if stepped is None:
                writer.write(said(2, exception="javax.security.sasl.SaslException"))
                return False
            complete, token = stepped
            writer.write(said(0, number(2, _SUCCESS if complete else _CHALLENGE) + text(3, token)))
            if complete:
                return True


async def _record(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack("!I", await reader.readexactly(4))
    return await reader.readexactly(size)


def _sasl(record: bytes) -> bytes:
    """The message after the header; its call is -33."""
    size, position = varint_at(record, 0)
    assert first_number(record[position : position + size], 3) == 65
    size, position = varint_at(record, position + size)
    return record[position : position + size]


async def main(address: str, port: str, *server: str) -> None:
    """Serve until killed."""
    await asyncio.start_server(NameNode(*server).serve, address, int(port))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1].split(",")))
