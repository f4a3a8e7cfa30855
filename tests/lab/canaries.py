"""The public places that every lab has: canaries that accept, and an echo of the address that a client has there."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.lab.faults import Listener, listen
from tests.lab.network import Network
from tests.lab.topology import CANARIES, ECHO


class Canaries:
    """Served from threads of this process for the life of the lab."""

    def __init__(self, network: Network) -> None:
        self._listeners: list[Listener] = [listen(network, "close", host, port) for host, port in CANARIES]
        with network.inside("server"):
            self._echo = ThreadingHTTPServer(ECHO, _Echo)
        self._echo.daemon_threads = True
        threading.Thread(target=self._echo.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._echo.shutdown()
        self._echo.server_close()


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{self.client_address[0]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
