"""One conversation with one address: connect, then the protocol's stages, then what parts the causes if one fails."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from registry.network import Network, endpoint
from registry.policy import Refusal
from registry.verdict import Stage
from tasks import path_mtu, witnesses
from tasks.budget import Budget
from tasks.evidence import Recorder, StageFailed, Steps
from tasks.fingerprints import identify
from tasks.protocols import Access, Outcome, Protocol, Session
from tasks.streams import Reader, Stream, StreamBroken, printable, unix_socket_path
from tasks.tls import TlsMaterial, in_time, may_want_tls, start_tls
from tasks.vantages import ConnectFailed, Vantage, is_public

#: The part of the time left that a connect may take, so that something is left for saying why it failed.
_CONNECT_SHARE = 0.8
#: The part of the time left that witnesses may take: they come back before the connect gives up.
_WITNESS_SHARE = 0.6
#: The part of the time left after which a peer that keeps us waiting has witnesses called.
_PATIENCE = 0.3
#: The part of the time left that is spent on looking around after a refusal that came at once.
_LOOK_AROUND = 0.2
#: A middle box that accepts for everybody does so about as fast as it did for this address: so many times, in seconds.
_AS_FAST, _AT_LEAST = 4.0, 0.1
#: Seconds after which it has had its time, where we are waiting anyway.
_SURELY = 1.0
#: What witnesses report of themselves: no evidence of a cause, but that one is not excluded.
_UNHEARD = ("path_mtu_unknown", "acceptance_unheard")
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
        self._dial = _Dialer(self, refusal_of)
        self._connected_in = 0.0

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
        started = time.monotonic()
        waiting = asyncio.create_task(self._dial())
        seen = await witnesses.beside(waiting, self.budget.left() * _PATIENCE, self._silence)
        try:
            stream = waiting.result()
        except ConnectFailed as failure:
            silent = failure.evidence.get("silent")
            public = is_public(address)
            raise StageFailed(
                **{
                    **seen,
                    **failure.evidence,
                    **await self._refused(failure.evidence),
                    **await self._next_hop(failure.evidence, seen),
                    **await self._stopped(failure.evidence),
                },
                unix=address.startswith("/") or None,
                public=public or None,
                no_nat_declared=(public and self.network.has_no_nat) or None,
                hasty=(silent and failure.evidence["waited_ms"] < self.budget.total * 400) or None,
            ) from None
        self._connected_in = time.monotonic() - started
        recorder.see(source_address=stream.local_address() or None)
        return stream

    async def _silence(self) -> dict[str, Any]:
        """Beside a connect that is not answered: other ports, other places, the same once more."""
        address, port = self.socket_address()
        budget = self.talk.within(_WITNESS_SHARE)
        silence, canaries, lacking = await asyncio.gather(
            witnesses.of_silence(self.vantage, address, port, self.default_port, budget),
            self._canaries(budget),
            self._way_out(address, budget),
        )
        seen = {**silence, **canaries, **lacking}
        return {**seen, "host_answers": bool(seen["ports_that_answer"] or seen["answers_ping"]) or None}

    async def _canaries(self, budget: Budget) -> dict[str, Any]:
        canaries = [endpoint(text) for text in self.network.canaries]
        return await witnesses.of_canaries(self.vantage, canaries, *self.socket_address(), budget)

    async def _way_out(self, address: str, budget: Budget) -> Mapping[str, Any]:
        """What the group's VPC lacks to reach a public address, where the cloud that knows it is declared."""
        if self.network.cloud is None or not is_public(address):
            return {}
        from tasks import instances

        return await instances.way_out_lacks(self.network, budget)

    async def _stopped(self, evidence: Mapping[str, Any]) -> Mapping[str, Any]:
        """After word from the way that there is none: is it so to every place? After a hang-up: was it the peer?"""
        if evidence.get("errno") == "ECONNRESET":
            return await self._accepted_for_nobody()
        stopped = "icmp_type" in evidence or evidence.get("errno") in ("EHOSTUNREACH", "ENETUNREACH")
        return await self._canaries(self.talk.within(_LOOK_AROUND)) if stopped and not evidence.get("silent") else {}

    async def _refused(self, evidence: Mapping[str, Any]) -> dict[str, Any]:
        """After a refusal: is it the rule, and does the type's own port on the same host speak the protocol?"""
        refused = evidence.get("errno") == "ECONNREFUSED" and "icmp_type" not in evidence
        if not refused or self.access.address.startswith("/"):
            return {}
        address, port = self.socket_address()
        seen = await witnesses.of_repetition(self.vantage, address, port, self.talk.within(_WITNESS_SHARE))
        if port == self.default_port or seen["further_connects_answered"]:
            return seen
        _, outcome = await self._again(replace(self.access, port=self.default_port), until="greet")
        return {**seen, "default_port": self.default_port, "default_port_answers": outcome.stage is None}

    async def _next_hop(self, evidence: Mapping[str, Any], seen: Mapping[str, Any]) -> Mapping[str, Any]:
        """After an unreachable of our own kernel that came before the witnesses: is the next hop there?"""
        own = evidence.get("icmp_from_here") and "neighbour" not in {**evidence, **seen}
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
                    await self._stage(session, name, recorder, stream, plainly)
                if name == until:
                    return
        except StageFailed as failure:
            failed = steps.failed()
            if failed is not None and not plainly:
                steps.amend(failed.name, **await self._second_look(session, failed.name, failure.evidence))
                steps.amend(failed.name, **await self._for_everybody(failure.evidence))
                if failed.name == session.order[0] == "greet" and "over_tls" not in failed.evidence:
                    steps.amend(failed.name, **await self._inside_tls(failure.evidence))
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
            return await (self._stuck(name) if heard else self._mute(name))

        seen = await witnesses.beside(waiting, self.talk.left() * _PATIENCE, witness, self._decides)
        if not self._decides(seen):
            seen = {key: seen[key] for key in _UNHEARD if key in seen}
        if not waiting.done():
            raise StageFailed(broken="silent", received_bytes=stream.received, **seen)
        try:
            waiting.result()
        except StageFailed as failure:
            raise StageFailed(**{**failure.evidence, **seen}) from None
        except _BROKEN as broken:
            raise StageFailed(**{**_how(broken), **seen}) from None

    async def _mute(self, name: str) -> Mapping[str, Any]:
        """Beside a peer that has not said a byte yet: who is it, and is it there for this address at all?"""
        # What a peer says first is large where it is a certificate or a page, and nowhere else.
        large = name == "tls" or "HTTP" in (self.protocol.title, self.protocol.fingerprint)
        seen = await witnesses.until(
            self._decides,
            self._asked_otherwise(name),
            self._everybody_mute(),
            *([self._stuck(name)] if large else []),
        )
        if not seen.get("answers_small"):
            seen.pop("path_mtu_unknown", None)  # nothing small gets an answer either
        return seen

    async def _asked_otherwise(self, name: str) -> Mapping[str, Any]:
        """What a mute peer answers to questions of other protocols, and to those of its own in clear."""
        seconds = self.talk.left() * _CONNECT_SHARE
        heard = await witnesses.of_muteness(self._dial, seconds)
        if name != "tls" or heard.get("looks_like") not in ("TLS", self._spoken):
            return heard
        # Servers of TLS tell whoever comes in clear, some of them in clear: so that alone is not to have no TLS.
        spoken = heard.pop("looks_like")
        if spoken != "TLS" and await witnesses.of_plainness(self._dial, seconds / 2) == spoken:
            return {**heard, "looks_like": spoken, "not_tls": True}
        return heard

    async def _everybody_mute(self) -> Mapping[str, Any]:
        """Whether connections are accepted in everybody's name; there is time to be sure of it."""
        overdue = max(self._overdue, min(_SURELY, self.talk.left() / 3))
        found = await self._accepted_for_nobody(overdue)
        if "accepts_for_everybody" in found:
            await asyncio.sleep(self._overdue)  # what speaks there has been accepted only now
        return found

    async def _stuck(self, name: str) -> Mapping[str, Any]:
        """Beside a conversation that hangs: does it go on when its packets are small?"""
        if self.access.address.startswith("/"):
            return {}

        async def goes_on(size: int | None) -> bool:
            _, outcome = await self._again(self.access, until=name, largest_segment=size)
            if outcome.evidence.get("unsupported"):
                raise ConnectFailed(**outcome.evidence)
            return outcome.stage is None

        try:
            return await path_mtu.find(goes_on, 6 if ":" in self.access.address else 4, self.talk)
        except ConnectFailed:
            return {"path_mtu_unknown": True}

    async def _for_everybody(self, evidence: Mapping[str, Any]) -> Mapping[str, Any]:
        """After a peer that hung up without a word, or spoke another protocol: was it the peer at all?"""
        hung_up = evidence.get("broken") in ("eof", "reset", "error") and not evidence.get("received_bytes")
        another = bool(evidence.get("not_protocol")) or self._is_another(evidence)
        if not (hung_up or another) or "accepts_for_everybody" in evidence:
            return {}
        return {**await self._accepted_for_nobody(), "another_protocol": another or None}

    async def _inside_tls(self, evidence: Mapping[str, Any]) -> Mapping[str, Any]:
        """After a peer that hung up, or answered in TLS: does it speak our protocol to whoever begins with TLS?"""
        if self.access.address.startswith("/") or not may_want_tls(evidence):
            return {}
        in_clear = self.access.over(TlsMaterial())
        with contextlib.suppress(TimeoutError, ConnectFailed, StageFailed):
            async with asyncio.timeout(self.talk.left() * _WITNESS_SHARE):
                stream = await self._dial()
                try:
                    inside, _ = await start_tls(stream, TlsMaterial(mode="require"), self.access.host)
                    await self._talk(inside, in_clear, Steps(), until="greet", plainly=True)
                    return {"inside_tls": "answers"}
                finally:
                    stream.close()
        return {}

    async def _accepted_for_nobody(self, overdue: float | None = None) -> Mapping[str, Any]:
        if self.access.address.startswith("/"):
            return {}
        seconds = self._overdue if overdue is None else overdue
        return await witnesses.of_acceptance(self.vantage, *self.socket_address(), self.talk, seconds)

    @property
    def _overdue(self) -> float:
        """Seconds after which somebody who accepts as fast as this address does would have."""
        return _AT_LEAST + _AS_FAST * self._connected_in

    def _decides(self, seen: Mapping[str, Any]) -> bool:
        """Whether a witness has seen why the conversation hangs."""
        return self._is_another(seen) or not {"path_mtu", "accepts_for_everybody", "not_tls"}.isdisjoint(seen)

    def _is_another(self, seen: Mapping[str, Any]) -> bool:
        """Whether the peer spoke another protocol to the witness."""
        return seen.get("looks_like") not in (None, self._spoken)

    @property
    def _spoken(self) -> str:
        """How the first bytes of our protocol are called."""
        return self.protocol.fingerprint or self.protocol.title

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
        wanted = ("subject", "issuer", "names", "not_before", "not_after", "fingerprint_sha256")
        if tls is None:
            return {}
        found = {key: tls.evidence[key] for key in wanted if key in tls.evidence}
        return {**found, "in_time": in_time(found)} if "not_after" in found else found

    async def _again(
        self, access: Access, until: str = "", largest_segment: int | None = None
    ) -> tuple[Steps, Outcome]:
        """A second conversation with the same host, to the end of a stage, without second looks of its own."""
        steps = Steps()
        try:
            stream = await self._dial(access.port, largest_segment=largest_segment)
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
