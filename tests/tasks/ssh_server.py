"""SSH servers of paramiko on this machine, for behaviour that no installed server shows on demand."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import paramiko


class Stalling(paramiko.ServerInterface):
    """Lets everybody in and never answers the request for a subsystem."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        self.ended.wait(10)
        return False

    def serve(self, transport: paramiko.Transport) -> None:
        """What is done with a connection until the test ends."""
        self.ended.wait(10)


class HangsUp(Stalling):
    """Closes every session before anything is asked on it."""

    def serve(self, transport: paramiko.Transport) -> None:
        while not self.ended.is_set():
            if (channel := transport.accept(0.05)) is not None:
                channel.close()


@contextlib.contextmanager
def serving(server: Stalling) -> Iterator[tuple[int, str]]:
    """An SSH server on this machine for one client: its port and its host key."""
    host_key = paramiko.ECDSAKey.generate()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        accepted, _ = listening.accept()
        transport = paramiko.Transport(accepted)
        transport.set_log_channel("headwater.ssh")
        transport.add_server_key(host_key)
        transport.start_server(server=server)
        server.serve(transport)
        transport.close()

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1], f"{host_key.get_name()} {host_key.get_base64()}"
    server.ended.set()
    listening.close()
