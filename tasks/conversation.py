"""One conversation with one address: connect, then the protocol's stages, then what parts the causes if one fails."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from registry.policy import Refusal
from registry.verdict import Stage
from tasks import witnesses
from tasks.budget import Budget
from tasks.evidence import Recorder, StageFailed, Steps
from tasks.fingerprints import identify
from tasks.protocols import Access, Outcome, Protocol, Session
from tasks.streams import Reader, Stream, StreamBroken, printable, unix_socket_path
from tasks.tls import in_time
from tasks.vantages import ConnectFailed, Vantage, is_public

#: The part of the time left that a connect may take, so that something is left for saying why it failed.
_CONNECT_SHARE = 0.8
#: The part of the time left that witnesses may take: they come back before the connect gives up.
_WITNESS_SHARE = 0.6
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
    ) -> None:
        self.vantage = vantage
        self.protocol = protocol
        self.access = access
        self.budget = budget
        self.talk = budget.less(min(_RESERVE, budget.total / 10))
        self.default_port = default_port
        self._dial = _Dialer(self, refusal_of)

    async def run(self, steps: Steps) -> None:
        """Connect and run every stage of the protocol. Raises `StageFailed` when one fails; the steps tell which."""
        with steps.stage("connect") as recorder:
            stream = await self._connect(recorder)
        try:
            await self._talk(stream, self.access, steps)
        except StageFailed:
            failed = steps.failed()
            preferred = self.access.tls.mode == "prefer"
            may_fall_back = preferred and failed is not None and failed.name in self.protocol.fall_back_after
            if not (may_fall_back and failed is not None and await self._fell_back(steps, failed)):
                raise

    async def _fell_back(self, steps: Steps, failed: Stage) -> bool:
        """Whether the conversation succeeds without TLS, where TLS was only preferred; its stages then stand."""
        plain, outcome = await self._again(self.access.over(replace(self.access.tls, mode="disable")))
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
        waiting = asyncio.create_task(self._dial())

        async def witness() -> dict[str, Any]:
            budget = self.talk.within(_WITNESS_SHARE)
            return await witnesses.of_silence(self.vantage, address, port, self.default_port, budget)

        seen = await witnesses.beside(waiting, self.budget.left() * _PATIENCE, witness)
        try:
            stream = waiting.result()
        except ConnectFailed as failure:
            silent = failure.evidence.get("silent")
            raise StageFailed(
                **failure.evidence,
                **seen,
                **await self._refused(failure.evidence),
                **await self._next_hop(failure.evidence, seen),
                unix=address.startswith("/") or None,
                public=is_public(address) or None,
                hasty=(silent and failure.evidence["waited_ms"] < self.budget.total * 400) or None,
            ) from None
        recorder.see(source_address=stream.local_address())
        return stream

    async def _refused(self, evidence: Mapping[str, Any]) -> dict[str, Any]:
        """After a refusal: does the type's own port on the same host speak the protocol?"""
        refused = evidence.get("errno") == "ECONNREFUSED" and "icmp_type" not in evidence
        if not refused or self.access.port == self.default_port or self.access.address.startswith("/"):
            return {}
        _, outcome = await self._again(replace(self.access, port=self.default_port), until="greet")
        return {"default_port": self.default_port, "default_port_answers": outcome.stage is None}

    async def _next_hop(self, evidence: Mapping[str, Any], seen: Mapping[str, Any]) -> Mapping[str, Any]:
        """After an unreachable of our own kernel that came before the witnesses: is the next hop there?"""
        own = evidence.get("icmp_from_here") and "neighbour" not in seen
        return await self.vantage.neighbour(self.access.address) if own else {}

    def socket_address(self) -> tuple[str, int]:
        """Where streams of this conversation go to."""
        address, port = self.access.address, self.access.port
        return (
            (unix_socket_path(address, port, self.protocol.name), port) if address.startswith("/") else (address, port)
        )

    async def _talk(self, stream: Stream, access: Access, steps: Steps, until: str = "", plainly: bool = False) -> None:
        session = self.protocol.session(stream, access, self._dial)
        try:
            for name in session.order:
                with steps.stage(name) as recorder:
                    await self._stage(session, name, recorder, plainly or stream.received > 0)
                if name == until:
                    return
        except StageFailed as failure:
            failed = steps.failed()
            if failed is not None and not plainly:
                steps.amend(failed.name, **await self._second_look(session, failed.name, failure.evidence))
            raise
        finally:
            await session.close()

    async def _stage(self, session: Session, name: str, recorder: Recorder, plainly: bool) -> None:
        """Run a stage; unless `plainly`, beside a witness of the peer's silence: it has not said a byte yet."""
        run = getattr(session, name)
        if plainly:
            try:
                await run(recorder)
            except _BROKEN as broken:
                raise StageFailed(**_how(broken)) from None
            return
        waiting: asyncio.Task[None] = asyncio.create_task(run(recorder))

        async def witness() -> dict[str, Any]:
            return await witnesses.of_muteness(self._dial)

        seen = await witnesses.beside(waiting, self.talk.left() * _PATIENCE, witness, self._is_another)
        if not self._is_another(seen):
            seen = {}
        if not waiting.done():
            raise StageFailed(broken="silent", received_bytes=0, **seen)
        try:
            waiting.result()
        except StageFailed as failure:
            raise StageFailed(**{**failure.evidence, **seen}) from None
        except _BROKEN as broken:
            raise StageFailed(**{**_how(broken), **seen}) from None

    def _is_another(self, seen: Mapping[str, Any]) -> bool:
        """Whether the peer spoke another protocol to the witness."""
        return seen.get("looks_like") not in (None, self.protocol.fingerprint or self.protocol.title)

    async def _second_look(self, session: Session, stage: str, evidence: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a second conversation tells about the failure of the first."""

        async def retry(access: Access, until: str = "login") -> Outcome:
            _, outcome = await self._again(access, until=until)
            return outcome

        try:
            if "verify_code" in evidence:
                return await self._certificate()
            return await session.second_look(stage, evidence, retry)
        except (ConnectFailed, StreamBroken, StageFailed):
            return {}

    async def _certificate(self) -> dict[str, Any]:
        """The certificate of a peer that is not trusted, from a conversation that ends with the handshake."""
        material = replace(self.access.tls, mode="require")
        steps, _ = await self._again(self.access.over(material), until="tls")
        tls = steps.named("tls")
        wanted = ("subject", "issuer", "names", "not_before", "not_after")
        if tls is None:
            return {}
        found = {key: tls.evidence[key] for key in wanted if key in tls.evidence}
        return {**found, "in_time": in_time(found)} if "not_after" in found else found

    async def _again(self, access: Access, until: str = "") -> tuple[Steps, Outcome]:
        """A second conversation with the same host, to the end of a stage, without second looks of its own."""
        steps = Steps()
        try:
            stream = await self._dial(access.port)
        except ConnectFailed as failure:
            return steps, Outcome("connect", failure.evidence)
        try:
            await self._talk(stream, access, steps, until, plainly=True)
        except StageFailed:
            failed = steps.failed()
            return steps, Outcome(failed.name if failed else "connect", failed.evidence if failed else {})
        return steps, Outcome(None, steps.stages[-1].evidence if steps.stages else {})


class _Dialer:
    """Streams to the address of a conversation, or to where its peer sends us, within the policy."""

    def __init__(self, conversation: Conversation, refusal_of: Callable[[str], Refusal | None]) -> None:
        self._conversation = conversation
        self._refusal_of = refusal_of

    async def __call__(
        self, port: int | None = None, *, host: str | None = None, largest_segment: int | None = None
    ) -> Stream:
        here, default = self._conversation.socket_address()
        return await self._conversation.vantage.connect(
            here if host is None else await self._permitted(host),
            default if port is None else port,
            self._time,
            conversation=self._conversation.talk,
            largest_segment=largest_segment,
        )

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


async def first_bytes(reader: Reader, count: int = 16) -> dict[str, Any]:
    """The peer's next bytes as evidence of what it speaks; they stay in the reader."""
    data = await reader.peek(count)
    return {"first_bytes": printable(data), "looks_like": identify(data)}
