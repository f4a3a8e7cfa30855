"""One conversation with one address: connect, then the protocol's stages; `tasks.second_looks` at what fails."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from registry.network import Network
from registry.policy import Refusal
from registry.verdict import Stage
from tasks import witnesses
from tasks.budget import Budget
from tasks.evidence import Recorder, StageFailed, Steps
from tasks.protocols import Access, Outcome, Protocol, Session
from tasks.second_looks import SecondLooks
from tasks.streams import Stream, StreamBroken, unix_socket_path
from tasks.vantages import ConnectFailed, Vantage, is_public

#: The part of the time left that a connect may take, so that something is left for saying why it failed.
_CONNECT_SHARE = 0.8
#: The part of the time left after which a peer that keeps us waiting has witnesses called.
_PATIENCE = 0.3
#: Seconds at the end of a conversation kept for saying what was found, at most; a tenth of a shorter budget.
_RESERVE = 0.3


class Conversation:
    """Talks to one address and records what happens."""

    def __init__(
        self,
        vantage: Vantage,
        protocol: Protocol,
        access: Access,
        budget: Budget,
        default_port: int,
        refusal_of: Callable[[str], Refusal | None],
        network: Network | None = None,
    ) -> None:
        self.vantage = vantage
        self.protocol = protocol
        self.access = access
        self.network = network or Network()
        self.budget = budget
        self.talk = budget.less(min(_RESERVE, budget.total / 10))
        self.default_port = default_port
        self.dial = _Dialer(self, refusal_of)
        #: Seconds that the connect took.
        self.connected_in = 0.0
        self._look = SecondLooks(self)

    async def run(self, steps: Steps) -> None:
        """Connect and run every stage of the protocol. Raises `StageFailed` when one fails; the steps tell which."""
        with steps.stage("connect") as recorder:
            stream = await self._connect(recorder)
        try:
            await self.converse(stream, self.access, steps, plainly=False)
        except StageFailed:
            failed = steps.failed()
            if failed is None or not self._may_fall_back(failed) or not await self._fell_back(steps, failed):
                raise

    def _may_fall_back(self, failed: Stage) -> bool:
        """Whether a client would now come without TLS: after a refusal or an error, and never out of a silence.

        A peer that has agreed to TLS and says no more leaves clients waiting: libpq's `sslmode=prefer` comes back in
        clear after an answer alone.
        """
        hangs = failed.evidence.get("broken") == "silent"
        return self.access.tls.mode == "prefer" and failed.name in self.protocol.fall_back_after and not hangs

    async def _fell_back(self, steps: Steps, failed: Stage) -> bool:
        """Whether the conversation succeeds without TLS, where TLS was only preferred; its stages then stand."""
        plain, outcome = await self.again(self.access.over(replace(self.access.tls, mode="disable")))
        if outcome.stage is not None:
            return False
        first = next(stage.name for stage in plain.stages)
        kept = next(position for position, stage in enumerate(steps.stages) if stage.name == first)
        steps.stages[kept:] = plain.stages
        steps.amend(first, fell_back_from_tls_after=failed.name)
        return True

    async def _connect(self, recorder: Recorder) -> Stream:
        address, port = self.socket_address()
        recorder.see(address=address, port=port)
        started = time.monotonic()
        waiting = asyncio.create_task(self.dial())
        seen = await witnesses.beside(waiting, self.budget.left() * _PATIENCE, self._look.silence)
        try:
            stream = waiting.result()
        except ConnectFailed as failure:
            waited = failure.evidence.get("waited_ms", 0) / 1000
            hasty = failure.evidence.get("silent") and self.budget.too_short_for_silence(waited)
            public = is_public(address)
            raise StageFailed(
                **{**seen, **failure.evidence, **await self._look.no_connection(failure.evidence, seen)},
                unix=address.startswith("/") or None,
                public=public or None,
                no_nat_declared=(public and self.network.has_no_nat) or None,
                hasty=hasty or None,
            ) from None
        self.connected_in = time.monotonic() - started
        recorder.see(source_address=stream.local_address() or None)
        return stream

    def socket_address(self) -> tuple[str, int]:
        """Where streams of this conversation go to."""
        address, port = self.access.address, self.access.port
        return (
            (unix_socket_path(address, port, self.protocol.name), port) if address.startswith("/") else (address, port)
        )

    async def converse(
        self,
        stream: Stream,
        access: Access,
        steps: Steps,
        until: str = "",
        plainly: bool = True,
        largest_segment: int | None = None,
    ) -> None:
        """Run the stages of the protocol on a stream, to the end of one; `plainly`: without second looks at a failure.

        Args:
            largest_segment: That of further streams which the session opens, in bytes.

        Raises `StageFailed`.
        """
        session = self.protocol.session(stream, access, self.dial.keeping(largest_segment))
        try:
            for name in session.order:
                with steps.stage(name) as recorder:
                    await self._stage(session, name, recorder, stream, plainly)
                if name == until:
                    return
        except StageFailed as failure:
            failed = steps.failed()
            if failed is not None and not plainly:
                await self._look.failure(session, steps, failed, failure.evidence)
            raise
        finally:
            await session.close()

    async def _stage(self, session: Session, name: str, recorder: Recorder, stream: Stream, plainly: bool) -> None:
        """Run a stage; unless `plainly`, beside a witness of its hanging."""
        run = getattr(session, name)
        if plainly:
            try:
                await run(recorder)
            except _BROKEN as broken:
                raise StageFailed(**_how(broken)) from None
            return
        waiting: asyncio.Task[None] = asyncio.create_task(run(recorder))
        heard = stream.received

        async def witness() -> Mapping[str, Any]:
            return await (self._look.stuck(name) if heard else self._look.mute(name))

        seen = await witnesses.beside(waiting, self.talk.left() * _PATIENCE, witness, self._look.decides)
        seen = self._look.counting(seen)
        if not waiting.done():
            raise StageFailed(broken="silent", received_bytes=stream.received, **seen)
        try:
            waiting.result()
        except StageFailed as failure:
            raise StageFailed(**{**failure.evidence, **seen}) from None
        except _BROKEN as broken:
            raise StageFailed(**{**_how(broken), **seen}) from None

    async def again(self, access: Access, until: str = "", largest_segment: int | None = None) -> tuple[Steps, Outcome]:
        """A second conversation with the same host, to the end of a stage, without second looks of its own."""
        steps = Steps()
        try:
            stream = await self.dial(access.port, largest_segment=largest_segment)
        except ConnectFailed as failure:
            return steps, Outcome("connect", failure.evidence)
        try:
            await self.converse(stream, access, steps, until, largest_segment=largest_segment)
        except StageFailed:
            failed = steps.failed()
            return steps, Outcome(failed.name if failed else "connect", failed.evidence if failed else {})
        return steps, Outcome(None, steps.stages[-1].evidence if steps.stages else {})


class _Dialer:
    """Streams to the address of a conversation, or to where its peer sends us, within the policy."""

    def __init__(
        self,
        conversation: Conversation,
        refusal_of: Callable[[str], Refusal | None],
        largest_segment: int | None = None,
    ) -> None:
        self._conversation = conversation
        self._refusal_of = refusal_of
        self._largest_segment = largest_segment

    def keeping(self, largest_segment: int | None) -> _Dialer:
        """One whose streams have no larger segments than this, in bytes."""
        return _Dialer(self._conversation, self._refusal_of, largest_segment)

    async def __call__(
        self, port: int | None = None, *, host: str | None = None, largest_segment: int | None = None
    ) -> Stream:
        here, default = self._conversation.socket_address()
        address = here if host is None else await self._permitted(host)
        try:
            return await self._conversation.vantage.connect(
                address,
                default if port is None else port,
                self._time,
                conversation=self._conversation.talk,
                largest_segment=largest_segment or self._largest_segment,
            )
        except ConnectFailed as failure:
            if host is None:
                raise
            raise ConnectFailed(**failure.evidence, dialled=address) from None

    async def ask(self, host: str, port: int, datagram: bytes) -> bytes | None:
        return await self._conversation.vantage.exchange(await self._permitted(host), port, datagram, self._time)

    @property
    def _time(self) -> Budget:
        return self._conversation.talk.within(_CONNECT_SHARE)

    async def _permitted(self, host: str) -> str:
        resolution = await self._conversation.vantage.resolve(host, self._time)
        if not resolution.addresses:
            raise StageFailed(**resolution.evidence)
        for address in resolution.addresses:
            refusal = self._refusal_of(address)
            if refusal is not None:
                raise StageFailed(forbidden=refusal.reason, address=address, host=host)
        return resolution.addresses[0]


#: How a peer's bytes may end a conversation: it breaks, or they cannot be read as the protocol has them.
_BROKEN = (StreamBroken, ModuleNotFoundError, ValueError, LookupError, struct.error)


def _how(broken: Exception) -> Mapping[str, Any]:
    if isinstance(broken, ModuleNotFoundError):
        return {"missing_module": broken.name}
    if isinstance(broken, StreamBroken):
        return broken.evidence()
    return {"broken": "error", "malformed": type(broken).__name__, "server_said": "an answer that cannot be read"}
