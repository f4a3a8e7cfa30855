"""One conversation with one Memcached server."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry
from tasks.protocols.hanging_up import over_tls
from tasks.protocols.memcached.wire import ERRORS, MISSING, OK, UNKNOWN_COMMAND, Answer, BinaryWire, TextWire
from tasks.protocols.tls_first import LinesOrTls
from tasks.streams import Stream, StreamBroken, printable
from tasks.tls import may_want_tls, start_tls
from tasks.vantages import ConnectFailed

#: As long as a header of the binary protocol: a server that speaks binary only waits for one before it hangs up.
_ASK = b"version".ljust(24) + b"\r\n"
#: A key of the text protocol (protocol.txt, "Keys").
_KEY = re.compile(r"[^\x00-\x20\x7f]{1,250}")


class MemcachedSession(LinesOrTls):
    """One conversation with one Memcached server."""

    question = b"version\r\n"
    spoken = "Memcached"

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.wire: TextWire | BinaryWire = TextWire(stream)
        self._greeting = Answer(OK, "")

    # -- stages -------------------------------------------------------------------------------------------------------

    def read_anew(self) -> None:
        self.wire = TextWire(self.stream)

    async def greet(self, recorder: Recorder) -> None:
        try:
            await self._greeted_in_text()
        except StreamBroken as broken:
            if broken.kind not in ("eof", "reset") or self.wire.reader.buffer:
                raise
            if not await self._greeted_in_binary():
                raise broken from None
        recorder.see(
            spoken="text" if isinstance(self.wire, TextWire) else "binary",
            server_version=printable(self._greeting.value) or None,
        )

    async def admit(self, recorder: Recorder) -> None:
        if self._greeting.word in ("ERROR", "SERVER_ERROR"):
            raise StageFailed(error_word=self._greeting.word, server_said=printable(self._greeting.value))
        raise StageSkipped("the protocol does not tell admission from login")

    async def login(self, recorder: Recorder) -> None:
        username, password = self.access.setting("username"), self.access.secret("password")
        asked = isinstance(self.wire, BinaryWire) or self._greeting.word == "CLIENT_ERROR"
        if username is None and password is None:
            if asked:
                raise StageFailed(no_password=True)
            raise StageSkipped("no credentials are configured, and the server asks for none")
        if not asked:
            recorder.warn(not_needed="the server asks for no login; the configured one is not proved")
            return
        if isinstance(self.wire, BinaryWire):
            await self._offered(recorder)
        answer = await self.wire.log_in(str(username or ""), password or "")
        stored = answer.word == "STORED" or isinstance(self.wire, BinaryWire)
        if answer.status != OK or not stored:
            raise StageFailed(login_refused=True, server_said=answer.word)
        recorder.see(authenticated=True)

    async def privilege(self, recorder: Recorder) -> None:
        await self._facts(recorder)
        objects = self.access.connection.objects
        for name in objects or ("headwater",):
            if not _KEY.fullmatch(name):
                raise StageFailed(bad_key=name)
            answer = await self.wire.get(name)
            if answer.status not in (OK, MISSING) or answer.word in ERRORS:
                raise StageFailed(read_refused=True, object=name, server_said=answer.word)
            if objects and answer.status == MISSING:
                raise StageFailed(object_missing=True, object=name, database="the cache")
        recorder.see(objects=list(objects) or None, read="a key that need not exist" if not objects else None)

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """Who hangs up on plaintext is asked over TLS; an error is proved to come unasked."""
        if stage == "greet" and not self.access.tls.wanted and may_want_tls(evidence):
            return await over_tls(self.access, retry)
        if stage == "admit":
            return {"unasked": (await self.hears()).startswith(b"ERROR")}
        return {}

    # -- both protocols -----------------------------------------------------------------------------------------------

    async def _greeted_in_text(self) -> None:
        wire = TextWire(self.stream)
        self.wire = wire
        await self.stream.send(_ASK)
        first = await wire.reader.peek(64)
        looks_like = identify(first)
        if looks_like not in (None, "Memcached") or not first[:1].isupper():
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=looks_like)
        line = (await wire.reader.until(b"\r\n")).rstrip()
        word, _, rest = line.partition(b" ")
        if word not in (b"VERSION", b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR"):
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=looks_like)
        self._greeting = Answer(OK, word.decode(), rest if word == b"VERSION" else rest[:64])

    async def _greeted_in_binary(self) -> bool:
        """Whether the server answers in binary, on a connection of its own: it has hung up on text."""
        try:
            stream = await self.dial()
            if self.access.tls.wanted:
                stream, _ = await start_tls(stream, self.access.tls, self.access.host)
            wire = BinaryWire(stream)
            self._greeting = await wire.version()
        except (ConnectFailed, StreamBroken, StageFailed):
            return False
        self.stream.close()
        self.stream, self.wire = stream, wire
        return True

    async def _offered(self, recorder: Recorder) -> None:
        assert isinstance(self.wire, BinaryWire)  # noqa: S101 - the caller has seen to it
        answer = await self.wire.mechanisms()
        offered = printable(answer.value, 200).split() if answer.status == OK else []
        recorder.see(mechanisms=offered or None)
        if answer.status == UNKNOWN_COMMAND or "PLAIN" not in offered:
            raise StageFailed(unsupported=True, method=", ".join(offered) or "no SASL mechanism")

    async def _facts(self, recorder: Recorder) -> None:
        found = await self.wire.statistics()

        def number(name: str) -> int | None:
            return int(found[name]) if found.get(name, "").isdigit() else None

        clock = number("time")
        recorder.see(
            connections_used=number("curr_connections"),
            connections_limit=number("max_connections"),
            items=number("curr_items"),
            clock_skew_s=None if clock is None else clock - round(time.time()),
        )
