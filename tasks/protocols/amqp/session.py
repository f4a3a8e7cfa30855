"""One conversation with one broker."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tasks.evidence import Recorder, StageFailed
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry
from tasks.protocols.amqp import wire
from tasks.protocols.amqp.wire import Method, Wire
from tasks.protocols.hanging_up import over_tls
from tasks.protocols.tls_first import TlsFirst
from tasks.streams import Stream, StreamBroken, printable
from tasks.tls import may_want_tls

#: Tells the broker that we understand `connection.close` after a refused login: it hangs up without a word otherwise.
_CAPABILITIES = wire.short("authentication_failure_close") + b"t\x01"
_CLIENT = (
    wire.short("product") + b"S" + wire.long(b"headwater")
    + wire.short("capabilities") + b"F" + wire.long(_CAPABILITIES)
)  # fmt: skip
#: A priority that is no number: a broker checks it after the right to read and before it hands out a message.
_NO_PRIORITY = wire.short("x-priority") + b"S" + wire.long(b"none")
_PRECONDITION_FAILED, _NOT_ALLOWED = 406, 530
#: The refusals that share one code, by words that stand behind any name in them.
_REFUSALS = {
    "limit": re.compile(r"limit \([0-9]+\) is reached$"),
    "missing": re.compile(r" not found$"),
    "denied": re.compile(r" refused for user '[^']*'$"),
}


class AmqpSession(TlsFirst):
    """One conversation with one broker."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.wire = Wire(stream)
        self._mechanisms: list[str] = []
        self._tune = b""

    # -- stages -------------------------------------------------------------------------------------------------------

    def read_anew(self) -> None:
        self.wire = Wire(self.stream)

    async def greet(self, recorder: Recorder) -> None:
        await self.stream.send(wire.HEADER)
        first = await self.wire.reader.peek(8)
        looks_like = identify(first)
        if first.startswith(b"AMQP"):
            raise StageFailed(other_version=".".join(str(byte) for byte in first[4:8]), looks_like=looks_like)
        if first[:1] != b"\x01":
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=looks_like)
        start = await self.wire.method()
        if start.kind != wire.START:
            raise self._refused(start)
        table, position = wire.long_at(start.arguments, 2)
        mechanisms, _ = wire.long_at(start.arguments, position)
        self._mechanisms = printable(mechanisms, 200).split()
        server = wire.text_entries(table)
        recorder.see(
            protocol_version=f"{start.arguments[0]}-{start.arguments[1]}",
            mechanisms=self._mechanisms,
            **{key: server.get(key) for key in ("product", "version", "cluster_name")},
        )

    async def login(self, recorder: Recorder) -> None:
        mechanism, response = self._proof()
        if mechanism not in self._mechanisms:
            raise StageFailed(unsupported=True, method=", ".join(self._mechanisms) or "no mechanism at all")
        await self.wire.send(
            0, wire.START_OK, wire.long(_CLIENT), wire.short(mechanism), wire.long(response), wire.short("en_US")
        )
        answer = await self.wire.method()
        if answer.kind != wire.TUNE:
            guest = self.access.setting("username") == "guest" or None
            raise self._refused(answer, mechanism=mechanism, guest=guest)
        self._tune = answer.arguments
        recorder.see(authenticated=True, mechanism=mechanism)

    async def target(self, recorder: Recorder) -> None:
        host = str(self.access.setting("virtual_host", "/"))
        await self.wire.send(0, wire.TUNE_OK, self._tune[:6], struct.pack("!H", 0))
        await self.wire.send(0, wire.OPEN, wire.short(host), wire.short(""), b"\x00")
        answer = await self.wire.method()
        if answer.kind != wire.OPEN_OK:
            raise self._refused(answer, virtual_host=host)
        recorder.see(virtual_host=host)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for channel, name in enumerate(objects, start=1):
            await self._queue(channel, name)
        if objects:
            recorder.see(objects=list(objects))
        else:
            # A passive declaration asks for no right (RabbitMQ, "Access Control"), and a name that is made up tells of
            # itself alone: an account may be let read by a pattern that it does not fit.
            recorder.warn(nothing_to_read="no queue is bound, and AMQP cannot list them: bind one to have it proved")

    async def close(self) -> None:
        if self._tune:
            goodbye = struct.pack("!H", 200) + wire.short("") + struct.pack("!HH", 0, 0)
            with suppress(StreamBroken):
                await self.wire.send(0, wire.CLOSE, goodbye)
        self.stream.close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """Who hangs up on plaintext is asked over TLS."""
        if stage == "greet" and not self.access.tls.wanted and may_want_tls(evidence):
            return await over_tls(self.access, retry)
        return {}

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _queue(self, channel: int, name: str) -> None:
        """A queue that is there and may be read. No message is taken."""
        await self.wire.send(channel, wire.CHANNEL_OPEN, wire.short(""))
        await self._expect(wire.CHANNEL_OPEN_OK, name)
        passive = b"\x00\x00" + wire.short(name) + b"\x01" + wire.long(b"")
        await self.wire.send(channel, wire.DECLARE, passive)
        await self._expect(wire.DECLARE_OK, name)
        await self.wire.send(channel, wire.QOS, struct.pack("!IHB", 0, 1, 0))
        await self._expect(wire.QOS_OK, name)
        consume = b"\x00\x00" + wire.short(name) + wire.short("headwater") + b"\x00" + wire.long(_NO_PRIORITY)
        await self.wire.send(channel, wire.CONSUME, consume)
        answer = await self.wire.method()
        if answer.kind == wire.CONSUME_OK:
            return  # a broker without priorities: closing puts back the one message that it may hand out
        code, _ = answer.refusal() if answer.closes else (0, "")
        if code != _PRECONDITION_FAILED:
            raise self._refused(answer, object=name)
        await self.wire.send(channel, wire.CHANNEL_CLOSE_OK)

    async def _expect(self, kind: tuple[int, int], name: str) -> None:
        answer = await self.wire.method()
        if answer.kind != kind:
            raise self._refused(answer, object=name)

    def _proof(self) -> tuple[str, bytes]:
        """The mechanism, and what it says: a password, or that the certificate has said it."""
        password = self.access.secret("password")
        if password is None and self.access.tls.certificate:
            return "EXTERNAL", b""
        return "PLAIN", f"\0{self.access.setting('username', '')}\0{password or ''}".encode()

    def _refused(self, answer: Method, **more: Any) -> StageFailed:
        if not answer.closes:
            return StageFailed(broken="error", errno="PROTOCOL", received_bytes=self.stream.received, **more)
        code, words = answer.refusal()
        return StageFailed(
            reply_code=code,
            server_said=f"{code} {printable(words.encode(), 200)}",
            refusal=_refusal(code, words),
            **more,
        )


def _refusal(code: int, words: str) -> str | None:
    """Which refusal a code is that stands for several; RabbitMQ writes these words in English only."""
    if code != _NOT_ALLOWED:
        return None
    for name, pattern in _REFUSALS.items():
        if pattern.search(words):
            return name
    return None
