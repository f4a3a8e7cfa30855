"""A broker that answers as the Kafka protocol guide has it: for what no Kafka server of Debian's is there to do.

It listens on several ports, each a listener of its own; its metadata say what they are told to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import struct
import sys
from typing import Any

from scramp import ScramException, ScramMechanism

_NONE, _UNKNOWN_TOPIC, _DENIED, _UNSUPPORTED, _ILLEGAL_STATE, _AUTHENTICATION_FAILED = 0, 3, 29, 33, 34, 58
_APIS = {1: (4, 11), 2: (1, 5), 3: (1, 9), 17: (0, 1), 18: (0, 3), 36: (0, 1)}


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("!h", len(data)) + data


def array(items: list[bytes]) -> bytes:
    return struct.pack("!i", len(items)) + b"".join(items)


class Listener:
    """One port. `settings`: `mechanisms`, `user`, `password`, `brokers`, `topics` (name -> leader, -1 refuses)."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.mechanisms: list[str] = settings.get("mechanisms", [])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (size,) = struct.unpack("!i", await reader.readexactly(4))
                if not 0 < size < 1 << 20:
                    break  # as a broker does with what is none of its protocol
                data = await reader.readexactly(size)
                key, _, correlation = struct.unpack_from("!hhi", data)
                (length,) = struct.unpack_from("!h", data, 8)
                answer = session.answer(key, data[10 + max(length, 0) :])
                if answer is None:
                    break
                writer.write(struct.pack("!ii", len(answer) + 4, correlation) + answer)
                await writer.drain()
        writer.close()


class Session:
    """What one client has done so far."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.logged_in = not listener.mechanisms
        self.mechanism = ""
        self.scram: Any = None
        self.acceptor: Any = None

    def answer(self, key: int, body: bytes) -> bytes | None:
        """The response; None to hang up."""
        if key == 18:
            rows = [struct.pack("!hhh", key, *span) for key, span in _APIS.items()]
            return struct.pack("!h", _NONE) + array(rows)
        if key == 17:
            return self.handshake(body[2:].decode())
        if key == 36:
            return self.authenticate(body[4:])
        if not self.logged_in:
            return None
        return {1: self.fetch, 2: self.offsets, 3: self.metadata}[key](body)

    def handshake(self, mechanism: str) -> bytes:
        offered = self.listener.mechanisms
        error = _NONE if mechanism in offered else _UNSUPPORTED if offered else _ILLEGAL_STATE
        self.mechanism = mechanism
        return struct.pack("!h", error) + array([text(name) for name in offered])

    def authenticate(self, token: bytes) -> bytes:
        settings = self.listener.settings
        if self.mechanism == "PLAIN":
            good, said = token == f"\0{settings['user']}\0{settings['password']}".encode(), b""
            self.logged_in = good
        elif self.mechanism == "GSSAPI":
            good, said = self.kerberos_step(token)
        else:
            good, said = self.scram_step(token.decode())
        if not good:
            return struct.pack("!hh", _AUTHENTICATION_FAILED, -1) + struct.pack("!i", 0)
        return struct.pack("!hh", _NONE, -1) + struct.pack("!i", len(said)) + said

    def scram_step(self, message: str) -> tuple[bool, bytes]:
        settings = self.listener.settings
        mechanism = ScramMechanism(self.mechanism)
        known = {settings["user"]: mechanism.make_auth_info(settings["password"], 4096)}
        try:
            if self.scram is None:
                self.scram = mechanism.make_server(known.__getitem__)
                self.scram.set_client_first(message)
                return True, self.scram.get_server_first().encode()
            self.scram.set_client_final(message)
            self.logged_in = True
            return True, self.scram.get_server_final().encode()
        except (ScramException, KeyError):
            return False, b""

    def kerberos_step(self, token: bytes) -> tuple[bool, bytes]:
        if self.acceptor is None:
            from tests.lab.acceptor import Acceptor

            self.acceptor = Acceptor(**self.listener.settings["kerberos"])
        fault = self.listener.settings.get("fault")
        if fault == "impostor":
            return True, b"nothing that it could prove"
        answer = self.acceptor.step(token)
        if answer is None or (answer[0] and fault == "account"):
            return False, b""
        self.logged_in, said = answer
        return True, said

    def metadata(self, body: bytes) -> bytes:
        settings = self.listener.settings
        brokers = [
            struct.pack("!i", node) + text(host) + struct.pack("!ih", port, -1)
            for node, host, port in settings["brokers"]
        ]
        count, position, names = struct.unpack_from("!i", body)[0], 4, []
        for _ in range(max(count, 0)):
            (length,) = struct.unpack_from("!h", body, position)
            names.append(body[position + 2 : position + 2 + length].decode())
            position += 2 + length
        topics = settings["topics"]
        rows = [self.topic(name, topics.get(name)) for name in (names if count >= 0 else list(topics))]
        return struct.pack("!i", 0) + array(brokers) + text("lab") + struct.pack("!i", 1) + array(rows)

    def topic(self, name: str, leader: int | None) -> bytes:
        if leader is None or leader < 0:
            return struct.pack("!h", _UNKNOWN_TOPIC if leader is None else _DENIED) + text(name) + b"\0" + array([])
        nodes = array([struct.pack("!i", leader)])
        return struct.pack("!h", _NONE) + text(name) + b"\0" + array([struct.pack("!hii", 0, 0, leader) + nodes * 2])

    def offsets(self, body: bytes) -> bytes:
        return array([text("orders") + array([struct.pack("!ihqq", 0, _NONE, -1, 0)])])

    def fetch(self, body: bytes) -> bytes:
        error = _DENIED if b"unreadable" in body else _NONE
        partition = struct.pack("!ihqqii", 0, error, 1, 1, 0, 0)
        return struct.pack("!i", 0) + array([text("orders") + array([partition])])


async def main(settings: dict[str, Any]) -> None:
    """Serve every listener until killed."""
    for port, listener in settings["listeners"].items():
        context = None
        if listener.get("certificate"):
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(listener["certificate"], listener["key"])
        served = Listener({**settings, **listener})
        await asyncio.start_server(served.serve, settings["host"], int(port), ssl=context)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
