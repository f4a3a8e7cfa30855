"""A name server that misbehaves as told: each name has its own answer, or its own way not to answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.lab.network import Network
from tests.lab.topology import DOMAIN, NAME_SERVER, NAME_SERVER_V6


@dataclass(frozen=True)
class Answer:
    """What the server says about one name. A name without an answer does not exist (NXDOMAIN).

    Attributes:
        a, aaaa: Addresses. Neither, with the default `rcode`: the name exists without an address (NODATA).
        cname: The name that it stands for; two names that stand for each other are a loop.
        rcode: ``SERVFAIL``, ``REFUSED``, ``NXDOMAIN`` ...
        drop: No answer at all.
        truncate: Over UDP only the flag that says to ask again over TCP.
        delay: Seconds before the answer.
    """

    a: Sequence[str] = ()
    aaaa: Sequence[str] = ()
    cname: str = ""
    rcode: str = "NOERROR"
    drop: bool = False
    truncate: bool = False
    delay: float = 0.0


def qualified(name: str) -> str:
    """The name with the lab's domain if it has no dot of its own."""
    return name.rstrip(".").lower() if "." in name else f"{name.lower()}.{DOMAIN}"


class NameServer:
    """Serves UDP and TCP on port 53, IPv4 and IPv6, from a thread of this process with sockets of the namespace.

    Args:
        place: Whose sockets it has.
        beneath: The name server whose answers count where this one has none of its own (split horizon).
    """

    def __init__(
        self,
        network: Network,
        place: str = "server",
        addresses: Sequence[str] = (NAME_SERVER, NAME_SERVER_V6),
        beneath: NameServer | None = None,
    ) -> None:
        self.beneath = beneath
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str]] = []  # name and record type, in order of arrival
        self.down = False
        self._network = network
        self._loop = asyncio.new_event_loop()
        with network.inside(place):
            self._sockets = [_bound(address, kind) for address in addresses for kind in _KINDS]
        self._thread = threading.Thread(target=self._serve, name="nameserver", daemon=True)

    def __setitem__(self, name: str, answer: Answer) -> None:
        self.answers[qualified(name)] = answer

    @contextlib.contextmanager
    def answering(self, name: str, answer: Answer) -> Iterator[str]:
        """An answer for as long as the block lasts; gives the full name."""
        self[name] = answer
        try:
            yield qualified(name)
        finally:
            self.answers.pop(qualified(name), None)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Nothing is answered, whatever the name."""
        self.down = True
        try:
            yield
        finally:
            self.down = False

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        for sock in self._sockets:
            sock.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        for sock in self._sockets:
            if sock.type == socket.SOCK_DGRAM:
                self._loop.run_until_complete(self._loop.create_datagram_endpoint(lambda: _Udp(self), sock=sock))
            else:
                self._loop.run_until_complete(asyncio.start_server(self._tcp, sock=sock))
        self._loop.run_forever()

    async def _tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                reply = await self.reply(query, tcp=True)
                if reply is not None:
                    writer.write(len(reply).to_bytes(2, "big") + reply)
        writer.close()

    async def reply(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """The answer to one question; None when there is none to be had."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append((name, dns.rdatatype.to_text(question.rdtype)))
        answer = self.answer_for(name)
        await asyncio.sleep(answer.delay)
        if self.down or answer.drop:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        response.set_rcode(dns.rcode.from_text(answer.rcode))
        if answer.truncate and not tcp:
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, question.rdtype)
        return response.to_wire()

    def answer_for(self, name: str) -> Answer:
        """What is said about a name: by this view, else by the one beneath."""
        if name in self.answers:
            return self.answers[name]
        return self.beneath.answer_for(name) if self.beneath else _ROOT if name in ("", ".", DOMAIN) else _ABSENT

    def _fill(self, response: dns.message.Message, name: str, wanted: dns.rdatatype.RdataType) -> None:
        """The records, following aliases as a recursive server does; a loop ends the answer in the middle."""
        seen: set[str] = set()
        while name not in seen:
            seen.add(name)
            answer = self.answer_for(name)
            if answer.cname:
                response.answer.append(dns.rrset.from_text(f"{name}.", 0, "IN", "CNAME", f"{qualified(answer.cname)}."))
                name = qualified(answer.cname)
                continue
            records = {dns.rdatatype.A: answer.a, dns.rdatatype.AAAA: answer.aaaa}.get(wanted, ())
            if records:
                kind = dns.rdatatype.to_text(wanted)
                response.answer.append(dns.rrset.from_text(f"{name}.", 0, "IN", kind, *records))
            elif len(seen) > 1 and answer.rcode != "NOERROR":
                response.set_rcode(dns.rcode.from_text(answer.rcode))


_ROOT = Answer()
_ABSENT = Answer(rcode="NXDOMAIN")
_KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)


def _bound(address: str, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setblocking(False)
    sock.bind((address, 53))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = await self._server.reply(data, tcp=False)
        if reply is not None:
            self._transport.sendto(reply, addr)  # type: ignore[attr-defined]
