"""Second looks: what one more observation tells where the first leaves more than one cause of a failure.

Witnesses are asked and further conversations held with the same address, beside a wait or after a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry.network import endpoint
from registry.verdict import Stage, Status
from tasks import path_mtu, strangers, witnesses
from tasks.budget import Budget
from tasks.evidence import StageFailed, Steps
from tasks.protocols import Access, Outcome, Session
from tasks.streams import StreamBroken
from tasks.tls import TlsMaterial, in_time, may_want_tls, start_tls
from tasks.vantages import ConnectFailed, is_public

if TYPE_CHECKING:
    from tasks.conversation import Conversation

#: The part of the time left that witnesses may take: they come back before the connect gives up.
_WITNESS_SHARE = 0.6
#: The part of the time left that is spent on looking around after a refusal that came at once.
_LOOK_AROUND = 0.2
#: The part of the time left, and after a hang-up the most seconds, for questions of other protocols: whoever speaks one
#: of them answers at once.
_ASK_MUTE, _ASK, _ASK_MOST = 0.8, 0.3, 1.0
#: A middle box that accepts for everybody does so about as fast as it did for this address: so many times, in seconds.
_AS_FAST, _AT_LEAST = 4.0, 0.1
#: Seconds after which it has had its time, where we are waiting anyway.
_SURELY = 1.0
#: What witnesses report of themselves, and of servers that differ: no cause, but that one is not excluded.
_UNHEARD = ("path_mtu_unknown", "acceptance_unheard", "further_conversations", "servers_differ")
#: The stages before anything secret is said: a conversation may be repeated to their end.
_REPEATABLE = ("greet", "tls", "admit")
#: Conversations that are repeated to see whether the first one's failure was the rule, and the part of the time left.
_FURTHER, _REPEAT = 2, 0.3
#: The part of the time for a check that a failure may have taken to be repeated.
_QUICK = 0.1
#: What fails at our own side fails again.
_OUR_OWN = frozenset({"missing_module", "bad_file", "forbidden", "no_probe_for", "unsendable"})
#: Verify codes of a certificate that is out of date.
_OUT_OF_DATE = frozenset({9, 10})


class SecondLooks:
    """The second looks at the peer of one conversation."""

    def __init__(self, conversation: Conversation) -> None:
        self._at = conversation

    # -- a connection that does not come about ------------------------------------------------------------------------

    async def silence(self) -> dict[str, Any]:
        """Beside a connect that is not answered: other ports, other places, the same once more."""
        address, port = self._at.socket_address()
        budget = self._at.talk.within(_WITNESS_SHARE)
        silence, canaries, lacking = await asyncio.gather(
            witnesses.of_silence(self._at.vantage, address, port, self._at.default_port, budget),
            self._canaries(budget),
            self._way_out(address, budget),
        )
        seen = {**silence, **canaries, **lacking}
        return {**seen, "host_answers": bool(seen["ports_that_answer"] or seen["answers_ping"]) or None}

    async def no_connection(self, evidence: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, Any]:
        """After a connect that failed with this evidence, beside which that was seen."""
        return {
            **await self._refused(evidence),
            **await self._next_hop(evidence, seen),
            **await self._stopped(evidence),
        }

    async def _canaries(self, budget: Budget) -> dict[str, Any]:
        canaries = [endpoint(text) for text in self._at.network.canaries]
        return await witnesses.of_canaries(self._at.vantage, canaries, *self._at.socket_address(), budget)

    async def _way_out(self, address: str, budget: Budget) -> Mapping[str, Any]:
        """What the group's VPC lacks to reach a public address, where the cloud that knows it is declared."""
        if self._at.network.cloud is None or not is_public(address):
            return {}
        from tasks import instances

        return await instances.way_out_lacks(self._at.network, budget)

    async def _stopped(self, evidence: Mapping[str, Any]) -> Mapping[str, Any]:
        """After word from the way that there is none: is it so to every place? After a hang-up: was it the peer?"""
        if evidence.get("errno") == "ECONNRESET":
            return await self._accepted_for_nobody()
        stopped = "icmp_type" in evidence or evidence.get("errno") in ("EHOSTUNREACH", "ENETUNREACH")
        ask = stopped and not evidence.get("silent")
        return await self._canaries(self._at.talk.within(_LOOK_AROUND)) if ask else {}

    async def _refused(self, evidence: Mapping[str, Any]) -> dict[str, Any]:
        """After a refusal: is it the rule, and does the type's own port on the same host speak the protocol?"""
        refused = evidence.get("errno") == "ECONNREFUSED" and "icmp_type" not in evidence
        if not refused or self._on_socket_file:
            return {}
        address, port = self._at.socket_address()
        default_port = self._at.default_port
        seen = await witnesses.of_repetition(self._at.vantage, address, port, self._at.talk.within(_WITNESS_SHARE))
        if port == default_port or seen["further_connects_answered"]:
            return seen
        _, outcome = await self._at.again(replace(self._at.access, port=default_port), until="greet")
        return {**seen, "default_port": default_port, "default_port_answers": outcome.stage is None}

    async def _next_hop(self, evidence: Mapping[str, Any], seen: Mapping[str, Any]) -> Mapping[str, Any]:
        """After an unreachable of our own kernel that came before the witnesses: is the next hop there?"""
        own = evidence.get("icmp_from_here") and "neighbour" not in {**evidence, **seen}
        return await self._at.vantage.neighbour(self._at.access.address) if own else {}

    # -- a peer that keeps us waiting ---------------------------------------------------------------------------------

    async def mute(self, stage: str) -> Mapping[str, Any]:
        """Beside a peer that has not said a byte yet: who is it, and is it there for this address at all?"""
        # What a peer says first is large where it is a certificate or a page, and nowhere else.
        large = stage == "tls" or "HTTP" in (self._at.protocol.title, self._spoken)
        seen = await witnesses.until(
            self.decides,
            self._asked_otherwise(stage),
            self._everybody_mute(),
            self._another(stage),
            *([self.stuck(stage)] if large else []),
        )
        if not seen.get("answers_small"):
            seen.pop("path_mtu_unknown", None)  # nothing small gets an answer either
        return seen

    async def stuck(self, stage: str) -> Mapping[str, Any]:
        """Beside a conversation that hangs: does it go on when its packets are small?"""
        if self._on_socket_file:
            return {}

        async def goes_on(size: int | None) -> bool:
            _, outcome = await self._at.again(self._at.access, until=stage, largest_segment=size)
            if outcome.evidence.get("unsupported"):
                raise ConnectFailed(**outcome.evidence)
            return outcome.stage is None

        try:
            return await path_mtu.find(goes_on, 6 if ":" in self._at.access.address else 4, self._at.talk)
        except ConnectFailed:
            return {"path_mtu_unknown": True}

    def decides(self, seen: Mapping[str, Any]) -> bool:
        """Whether a witness has seen why the conversation hangs."""
        return self._is_stranger(seen) or not {"path_mtu", "accepts_for_everybody", "not_tls"}.isdisjoint(seen)

    def counting(self, seen: Mapping[str, Any]) -> Mapping[str, Any]:
        """What counts of the things seen: all of it where it decides, else only what could not be excluded."""
        return seen if self.decides(seen) else {key: seen[key] for key in _UNHEARD if key in seen}

    async def _asked_otherwise(self, stage: str) -> Mapping[str, Any]:
        """What a mute peer answers to questions of other protocols, and to those of its own in clear."""
        seconds = self._at.talk.left() * _ASK_MUTE
        heard = await strangers.asked(self._at.dial, seconds)
        if stage != "tls" or heard.get("looks_like") not in ("TLS", self._spoken):
            return heard
        # Servers of TLS tell whoever comes in clear, some of them in clear: so that alone is not to have no TLS.
        spoken = heard.pop("looks_like")
        if spoken != "TLS" and await strangers.answers_lines_with(self._at.dial, seconds / 2) == spoken:
            return {**heard, "looks_like": spoken, "not_tls": True}
        return heard

    async def _everybody_mute(self) -> Mapping[str, Any]:
        """Whether connections are accepted in everybody's name; there is time to be sure of it."""
        overdue = max(self._overdue, min(_SURELY, self._at.talk.left() / 3))
        found = await self._accepted_for_nobody(overdue)
        if "accepts_for_everybody" in found:
            await asyncio.sleep(self._overdue)  # what speaks there has been accepted only now
        return found

    # -- a conversation that ended badly ------------------------------------------------------------------------------

    async def failure(self, session: Session, steps: Steps, failed: Stage, evidence: Mapping[str, Any]) -> None:
        """After a stage that failed with this evidence: what its record is to say more."""
        others = await self._others(failed, evidence)
        steps.amend(failed.name, **others)
        evidence = {**evidence, **others}
        stranger = await self._stranger(evidence) if failed.name == _first(session, steps) else {}
        steps.amend(failed.name, **stranger)
        if not stranger:
            steps.amend(failed.name, **await self._by_protocol(session, failed.name, evidence))
        steps.amend(failed.name, **await self._for_everybody({**evidence, **stranger}))
        if failed.name == session.order[0] == "greet" and not stranger and "over_tls" not in failed.evidence:
            steps.amend(failed.name, **await self._inside_tls(evidence))

    async def _stranger(self, evidence: Mapping[str, Any]) -> Mapping[str, Any]:
        """After a peer that hung up on our first words without one of its own: does it speak another protocol?"""
        if not _hung_up(evidence) or "looks_like" in evidence:
            return {}
        # Before anything else: a server that waits for the end of a line lets a handshake of TLS hang.
        return await strangers.named(self._at.dial, min(_ASK_MOST, self._at.talk.left() * _ASK), self._spoken)

    async def _by_protocol(self, session: Session, stage: str, evidence: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a second conversation in the protocol itself tells about the failure of the first.

        Of servers that differ it would be another one's.
        """

        async def retry(access: Access, until: str = "login") -> Outcome:
            _, outcome = await self._at.again(access, until=until)
            return outcome

        try:
            if "verify_code" in evidence:
                return await self._certificate(evidence)
            return {} if "servers_differ" in evidence else await session.second_look(stage, evidence, retry)
        except (ConnectFailed, StreamBroken, StageFailed):
            return {}

    async def _others(self, failed: Stage, evidence: Mapping[str, Any]) -> Mapping[str, Any]:
        """Whether the same conversation goes on when it is held again: who answers then is not the same server."""
        kept_waiting = failed.elapsed_ms > self._at.budget.total * 1000 * _QUICK
        if kept_waiting or not _OUR_OWN.isdisjoint(evidence):
            return {}
        return await self._another(failed.name, _FURTHER)

    async def _another(self, stage: str, most: int = 1) -> Mapping[str, Any]:
        """Whether one of a few more conversations passes a stage."""
        if self._on_socket_file or stage not in _REPEATABLE:
            return {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._at.talk.left() * _REPEAT):
                for number in range(1, most + 1):
                    _, outcome = await self._at.again(self._at.access, until=stage)
                    if outcome.stage is None:
                        return {"further_conversations": number, "servers_differ": True}
        return {}

    async def _certificate(self, evidence: Mapping[str, Any]) -> dict[str, Any]:
        """The certificate of a peer that is not trusted; of servers that differ, one that explains the failure."""
        if "servers_differ" not in evidence:
            return await self._presented()
        if evidence["verify_code"] not in _OUT_OF_DATE:
            return {}
        shown = [await self._presented() for _ in range(_FURTHER)]
        return next((one for one in shown if one.get("in_time") is False), {"in_time": False})

    async def _presented(self) -> dict[str, Any]:
        """A certificate of the peer, from a conversation that ends with the handshake."""
        material = replace(self._at.access.tls, mode="require")
        steps, _ = await self._at.again(self._at.access.over(material), until="tls")
        tls = steps.named("tls")
        wanted = ("subject", "issuer", "names", "not_before", "not_after", "fingerprint_sha256")
        if tls is None:
            return {}
        found = {key: tls.evidence[key] for key in wanted if key in tls.evidence}
        return {**found, "in_time": in_time(found)} if "not_after" in found else found

    async def _for_everybody(self, evidence: Mapping[str, Any]) -> Mapping[str, Any]:
        """After a peer that hung up without a word, or spoke another protocol: was it the peer at all?"""
        another = bool(evidence.get("not_protocol")) or self._is_stranger(evidence)
        if not (_hung_up(evidence) or another) or "accepts_for_everybody" in evidence:
            return {}
        return {**await self._accepted_for_nobody(), "another_protocol": another or None}

    async def _inside_tls(self, evidence: Mapping[str, Any]) -> Mapping[str, Any]:
        """After a peer that hung up, or answered in TLS: does it speak our protocol to whoever begins with TLS?"""
        if self._on_socket_file or not may_want_tls(evidence):
            return {}
        in_clear = self._at.access.over(TlsMaterial())
        with contextlib.suppress(TimeoutError, ConnectFailed, StageFailed):
            async with asyncio.timeout(self._at.talk.left() * _WITNESS_SHARE):
                stream = await self._at.dial()
                try:
                    inside, _ = await start_tls(stream, TlsMaterial(mode="require"), self._at.access.host)
                    await self._at.converse(inside, in_clear, Steps(), until="greet")
                    return {"inside_tls": "answers"}
                finally:
                    stream.close()
        return {}

    # -- both ---------------------------------------------------------------------------------------------------------

    async def _accepted_for_nobody(self, overdue: float | None = None) -> Mapping[str, Any]:
        if self._on_socket_file:
            return {}
        seconds = self._overdue if overdue is None else overdue
        return await witnesses.of_acceptance(self._at.vantage, *self._at.socket_address(), self._at.talk, seconds)

    @property
    def _overdue(self) -> float:
        """Seconds after which somebody who accepts as fast as this address does would have."""
        return _AT_LEAST + _AS_FAST * self._at.connected_in

    def _is_stranger(self, seen: Mapping[str, Any]) -> bool:
        """Whether the peer spoke another protocol to the witness."""
        return seen.get("looks_like") not in (None, self._spoken)

    @property
    def _spoken(self) -> str:
        """How the first bytes of our protocol are called."""
        return self._at.protocol.fingerprint or self._at.protocol.title

    @property
    def _on_socket_file(self) -> bool:
        """Whether the peer is on this machine, with no network between."""
        return self._at.access.address.startswith("/")


def _hung_up(evidence: Mapping[str, Any]) -> bool:
    """Whether the peer ended the conversation without a word."""
    return evidence.get("broken") in ("eof", "reset", "error") and not evidence.get("received_bytes")


def _first(session: Session, steps: Steps) -> str | None:
    """The stage in which this session said its first words."""
    said = (stage.name for stage in steps.stages if stage.name in session.order and stage.status is not Status.SKIPPED)
    return next(said, None)
