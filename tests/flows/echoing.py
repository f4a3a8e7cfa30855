"""A server that speaks just enough PostgreSQL to ask for a password in clear and to say it back in its error."""

from __future__ import annotations

import socketserver
import struct
import threading
from types import TracebackType
from typing import Self

_SSL_REQUEST = 80877103


class EchoingServer:
    """Listens on a free port of 127.0.0.1 while the block lasts; `heard` holds the passwords."""

    def __init__(self) -> None:
        heard: set[str] = set()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while (head := self.rfile.read(8)) and struct.unpack("!II", head)[1] == _SSL_REQUEST:
                    self.wfile.write(b"N")
                if not head:
                    return
                self.rfile.read(struct.unpack("!II", head)[0] - 8)
                self.wfile.write(b"R" + struct.pack("!II", 8, 3))
                answer = self.rfile.read(5)
                if len(answer) < 5:
                    return
                password = self.rfile.read(struct.unpack("!I", answer[1:])[0] - 4).rstrip(b"\0")
                heard.add(password.decode())
                fields = (b"SFATAL", b"VFATAL", b"C28P01", b"Mthe password " + password + b" is wrong", b"Rauth_failed")
                body = b"\0".join(fields) + b"\0\0"
                self.wfile.write(b"E" + struct.pack("!I", len(body) + 4) + body)

        self.heard = heard
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
