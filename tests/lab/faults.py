"""Listeners that misbehave: mute, hanging up, resetting, speaking another protocol or too slowly, too busy to accept.

They live in threads of this process; their sockets belong to the servers' network.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.lab.network import Network

_MYSQL_GREETING = (
    bytes.fromhex(
        "4a0000000a382e302e3336002a0000000102030405060708"
        "00ffffff0200ffdf15000000000000000000000102030405060708090a0b0c00"
    )
    + b"caching_sha2_password\x00"
)


@dataclass(frozen=True)
class Script:
    """What a listener does with a connection.

    Attributes:
        greeting: Sent as soon as the connection is accepted.
        reply: Sent after the first bytes of the client.
        pace: Seconds before each byte; 0 sends everything at once.
        end: ``hold`` keeps the connection open and silent, ``close`` ends it, ``reset`` breaks it.
        wait: Whether `end` waits for the client's first bytes.
        accept: Whether connections are accepted at all; if not the queue is full and SYNs go unanswered.
    """

    greeting: bytes = b""
    reply: bytes = b""
    pace: float = 0.0
    end: str = "hold"
    wait: bool = False
    accept: bool = True


SCRIPTS: Mapping[str, Script] = {
    "mute": Script(),
    "close": Script(end="close"),
    "reset": Script(end="reset"),
    "close-after-hello": Script(end="close", wait=True),
    "reset-after-hello": Script(end="reset", wait=True),
    "full": Script(accept=False),
    "slow": Script(greeting=b"\x00" * 600, pace=1.0),
    "garbage": Script(greeting=b"\x8f\x02\xde\xad\xbe\xef\x00\xff\x13\x37" * 4, end="close"),
    "http": Script(
        reply=b"HTTP/1.1 400 Bad Request\r\nServer: lab\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        end="close", wait=True,
    ),
    "ssh": Script(greeting=b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
    "smtp": Script(greeting=b"220 mail.lab.test ESMTP Postfix\r\n", reply=b"500 5.5.2 Error: bad syntax\r\n"),
    "ftp": Script(greeting=b"220 (vsFTPd 3.0.3)\r\n", reply=b"530 Please login with USER and PASS.\r\n"),
    "mysql": Script(greeting=_MYSQL_GREETING),
    "redis": Script(reply=b"-ERR unknown command\r\n", wait=True),
    "postgresql": Script(
        reply=b"E\x00\x00\x00\x2aSFATAL\x00C08P01\x00Mprotocol violation\x00\x00", end="close", wait=True
    ),
    "tls": Script(reply=b"\x15\x03\x03\x00\x02\x02\x28", end="close", wait=True),
}  # fmt: skip


@dataclass
class Listener:
    """A misbehaving listener; `heard` is what its clients sent, one entry a connection; `peers` their addresses."""

    host: str
    port: int
    script: Script
    heard: list[bytes] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)
    _sockets: list[socket.socket] = field(default_factory=list, repr=False)
    _closing: threading.Event = field(default_factory=threading.Event, repr=False)

    def serve(self, listening: socket.socket) -> None:
        self._sockets.append(listening)
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self, listening: socket.socket) -> None:
        while not self._closing.is_set():
            try:
                connection, peer = listening.accept()
            except OSError:
                return
            self._sockets.append(connection)
            self.peers.append(peer[0])
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        number = len(self.heard)
        self.heard.append(b"")
        with contextlib.suppress(OSError):
            self._say(connection, self.script.greeting)
            if self.script.reply or self.script.wait:
                self.heard[number] += connection.recv(65536)
                self._say(connection, self.script.reply)
            self._finish(connection, number)

    def _say(self, connection: socket.socket, words: bytes) -> None:
        if not self.script.pace:
            connection.sendall(words)
            return
        for index in range(len(words)):
            if self._closing.wait(self.script.pace):
                return
            connection.sendall(words[index : index + 1])

    def _finish(self, connection: socket.socket, number: int) -> None:
        if self.script.end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        elif self.script.end == "close":
            connection.shutdown(socket.SHUT_WR)
            connection.close()
        else:
            while heard := connection.recv(65536):
                self.heard[number] += heard


def listen(network: Network, kind: str, host: str, port: int, *, place: str = "server", **changes: object) -> Listener:
    """Start a listener of a kind (a key of `SCRIPTS`) at a place, with changes to its script."""
    script = replace(SCRIPTS[kind], **changes)  # type: ignore[arg-type]
    listener = Listener(host, port, script)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with network.inside(place):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128 if script.accept else 0)
        if script.accept:
            listener.serve(listening)
        else:
            listener._sockets.append(listening)
            listener._sockets += [_filler(family, host, port) for _ in range(3)]
            time.sleep(0.05)
    return listener


def _filler(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    """A connection that takes a place in the queue."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.connect_ex((host, port))
    return sock
