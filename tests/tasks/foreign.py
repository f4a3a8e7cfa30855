"""Servers of well-known protocols, as far as strangers hear them, and a place from which every name leads to one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import SecretStr

from registry import types
from registry.connection import read_entry
from registry.verdict import Verdict
from tasks.budget import Budget
from tasks.streams import SocketStream
from tasks.target import Target
from tasks.vantages import Resolution
from tasks.vantages.local import LocalVantage
from tests.tasks.support import PASSWORD, Handler

#: What an answer to the first bytes of a client is, or nothing (hang up), or None (wait for more).
Answer = Callable[[bytes], bytes | None]
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")


def memcached(said: bytes) -> bytes | None:
    """As 1.6 answers: an error to a line, none to HTTP, and it waits for the end of a line or of a binary header."""
    line, end, _ = said.partition(b"\n")
    if said[:1] == b"\x80" or not end:
        return None
    if b" HTTP/" in line:
        return b""
    return b"VERSION 1.6.18\r\n" if line.startswith(b"version") else b"ERROR\r\n"


def redis(said: bytes) -> bytes | None:
    line, end, _ = said.partition(b"\n")
    if not end:
        return None
    return b"-NOAUTH Authentication required.\r\n" if line.strip() == b"PING" else b"-ERR unknown command\r\n"


def postgresql(said: bytes) -> bytes | None:
    """As 15 answers: a letter to who asks for TLS, an error to a start-up, and nothing to what is no packet of its."""
    if said == _SSL_REQUEST:
        return b"N"
    length, version = int.from_bytes(said[:4]), said[4:8]
    if 8 < length <= 10000:
        return b"E\0\0\0\x1bSFATAL\0C0A000\0Munknown\0\0" if version != b"\0\3\0\0" else b"R\0\0\0\x08\0\0\0\3"
    return None if len(said) < 4 else b""


def http(said: bytes) -> bytes | None:
    """As nginx answers: an error to the first line that is none of HTTP."""
    return b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\n\r\n" if b"\n" in said else None


_MYSQL = (
    b"\x4a\0\0\0\x0a8.0.36\0\x2a\0\0\0\1\2\3\4\5\6\7\x08\0\xff\xff\xff\2\0\xff\xdf\x15" + bytes(10)
    + b"\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\0caching_sha2_password\0"
)  # fmt: skip

#: The server -> its first words, and how it answers those of a client.
STRANGERS: Mapping[str, tuple[bytes, Answer]] = {
    "Memcached": (b"", memcached),
    "Redis": (b"", redis),
    "PostgreSQL": (b"", postgresql),
    "MySQL": (_MYSQL, lambda _: b""),
    "SSH": (b"SSH-2.0-OpenSSH_9.2p1\r\n", lambda said: b"Invalid SSH identification string.\r\n"),
    "HTTP": (b"", http),
    "SMTP": (b"220 mail.test ESMTP Postfix\r\n", lambda said: b"500 5.5.2 bad syntax\r\n" if b"\n" in said else None),
}


def stranger(name: str) -> Handler:
    """One of `STRANGERS` as a listener."""
    greeting, answer = STRANGERS[name]

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        said = b""
        while more := await reader.read(4096):
            said += more
            reply = answer(said)
            if reply is None:
                continue
            writer.write(reply)
            await writer.drain()
            return

    return handler


class Aimed(LocalVantage):
    """This machine, where every name and every port lead to one listener."""

    def __init__(self, address: str, port: int) -> None:
        super().__init__(f"aimed at {address}:{port}")
        self._aim = (address, port)

    async def resolve(self, host: str, budget: Budget) -> Resolution:
        return Resolution((self._aim[0],), {"from": "literal"})

    async def connect(
        self, address: str, port: int, budget: Budget, *, conversation: Budget, largest_segment: int | None = None
    ) -> SocketStream:
        port = self._aim[1] if address == self._aim[0] else port
        return await super().connect(address, port, budget, conversation=conversation, largest_segment=largest_segment)


def examples() -> dict[str, Target]:
    """A data source for the example of every type, and one without TLS where the example asks for it, by name."""
    found = {}
    for name, kind in types.catalogue().items():
        entry = {field: value for field, value in kind.example.items() if not field.endswith("truststore_file")}
        found[name] = _target(kind, entry)
        if (clear := _in_clear(entry)) != entry:
            found[f"{name} in clear"] = _target(kind, clear)
    return found


def _in_clear(entry: Mapping[str, Any]) -> dict[str, Any]:
    words = {"https://": "http://", "authTypeSaslSsl": "authTypeSaslPlaintext", "authTypeSsl": "authTypeNone"}
    text = json.dumps({field: value for field, value in entry.items() if field != "properties"})
    for encrypted, clear in words.items():
        text = text.replace(encrypted, clear)
    return dict(json.loads(text))


def _target(kind: types.DataSourceType, entry: Mapping[str, Any]) -> Target:
    connection = read_entry(kind, entry).connection
    hidden = {field: SecretStr(PASSWORD) for field in connection.secret_references()}
    return Target(
        workspace="sales", source="orders", type=kind.name, env="prod", resource_group="vpc1",
        protocol=kind.protocol_of(connection), default_port=kind.default_port, connection=connection,
        secrets=lambda: hidden,
    )  # fmt: skip


def misses(verdict: Verdict, spoken: str) -> str:
    """What is wrong with a verdict over a stranger that speaks this protocol; nothing if it is named."""
    named = verdict.cause == "PROTO.MISMATCH" and spoken in verdict.message
    safe = PASSWORD not in verdict.model_dump_json()
    return "" if named and safe else f"{verdict.type}: {verdict.cause} {verdict.alternatives}: {verdict.message}"
