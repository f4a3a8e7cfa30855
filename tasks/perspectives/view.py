"""How one place sees a data source, and what can be read off its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.network import Network
from registry.verdict import STAGES, Stage, State, Status, Verdict
from tasks.networks import provenance
from tasks.vantages import is_public

_REACHED = (Status.PASSED, Status.WARNED)
#: What a peer that was never heard to speak its protocol fails with: whoever accepted may be anybody on the way.
_UNHEARD = ("PEER.MUTE", "PEER.RESET_EARLY", "PROTO.", "FILTER.", "INCONCLUSIVE")
#: Where an answer of the server itself tells from where it sees us come.
_SEEN_BY_SERVER = ("privilege", "target", "login", "admit")


@dataclass(frozen=True)
class View:
    """How one place sees a data source.

    Attributes:
        network: What is declared about the place.
        before: The last verdict from there that was Connectable, if there is one.
        usual_ms: What a check from there usually takes, in milliseconds; None where too little is known.
        conversed_for: The other data sources for which the same address and port conversed with it in the same run.
    """

    verdict: Verdict
    network: Network = field(default_factory=Network)
    before: Verdict | None = None
    usual_ms: float | None = None
    conversed_for: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The name of the place."""
        return self.verdict.resource_group

    @property
    def counts(self) -> bool:
        """Whether anything is known from there: a place that could not test tells nothing about others."""
        return self.verdict.state is not State.UNSUPPORT

    def stage(self, name: str) -> Stage | None:
        """The stage of this name."""
        return next((stage for stage in self.verdict.stages if stage.name == name), None)

    def seen(self, name: str) -> Mapping[str, Any]:
        """The evidence of a stage; empty when it was not reached."""
        stage = self.stage(name)
        return stage.evidence if stage is not None else {}

    @property
    def failed(self) -> Stage | None:
        """The stage that failed, if one did."""
        return next((stage for stage in self.verdict.stages if stage.status is Status.FAILED), None)

    def fails_in(self, name: str) -> Mapping[str, Any]:
        """The evidence of a stage if it is the one that failed; empty otherwise."""
        failed = self.failed
        return failed.evidence if failed is not None and failed.name == name else {}

    def passed(self, name: str) -> bool:
        """Whether a stage ended well."""
        stage = self.stage(name)
        return stage is not None and stage.status in _REACHED

    def beyond(self, name: str) -> bool:
        """Whether any stage after this one ended well."""
        return any(self.passed(later) for later in STAGES[STAGES.index(name) + 1 :])

    # -- where it went -------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The address that was tried; empty when it did not come to that."""
        return str(self.seen("connect").get("address") or self.seen("route").get("address") or "")

    @property
    def place(self) -> tuple[str, object]:
        """The address and port that was tried."""
        return self.address, self.seen("connect").get("port")

    @property
    def public(self) -> bool:
        """Whether the address is one that the Internet routes."""
        return bool(self.address) and is_public(self.address)

    @property
    def connected(self) -> bool:
        """Whether somebody accepted the connection, whoever that was."""
        return self.passed("connect")

    @property
    def conversed(self) -> bool:
        """Whether the peer was heard to speak the right protocol: only then is it known that the connection got there.

        A transparent proxy accepts in the peer's name, and then says nothing or hangs up.
        """
        failed = self.failed
        spoke = failed is not None and not (self.verdict.cause or "").startswith(_UNHEARD)
        return self.connected and (self.verdict.connectable or self.beyond("connect") or spoke)

    # -- what came back ------------------------------------------------------------------------------------------------

    @property
    def silent(self) -> bool:
        """Whether nothing came back from the port."""
        return bool(self.fails_in("connect").get("silent"))

    @property
    def refused(self) -> bool:
        """Whether a RST came back from the port."""
        connect = self.fails_in("connect")
        doubtful = "icmp_type" in connect or connect.get("refused_by") == "icmp" or connect.get("refusal_unclear")
        return connect.get("errno") == "ECONNREFUSED" and not doubtful and not connect.get("unix")

    @property
    def host_answers(self) -> bool:
        """Whether the host itself gave any sign of life."""
        connect = self.fails_in("connect")
        otherwise = connect.get("ports_that_answer") or connect.get("answers_ping")
        return self.conversed or self.refused or bool(otherwise)

    @property
    def lost(self) -> bool:
        """Whether nothing at all came back from the host, or word of a router that there is no way to it."""
        connect = self.fails_in("connect")
        unreachable = connect.get("errno") in ("EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT")
        return (self.silent or unreachable) and not self.host_answers

    # -- the way out ---------------------------------------------------------------------------------------------------

    @property
    def canaries_answer(self) -> bool | None:
        """Whether any public place answers from there; None when none was asked."""
        connect = self.seen("connect")
        return bool(connect.get("canaries_that_answer")) if connect.get("canaries_asked") else None

    @property
    def gets_out(self) -> bool | None:
        """Whether the place has a way out to public addresses: by observation, else as declared, else None."""
        if self.canaries_answer is not None:
            return self.canaries_answer
        if self.public and self.host_answers:
            return True
        declared = self.network.type == "shared" or self.network.nat_eips or self.network.eips
        return True if declared else False if self.network.has_no_nat else None

    @property
    def source_address(self) -> str:
        """The address that it comes from: as the server saw it, else as this side knows it; empty when unknown."""
        return self._told or str(provenance.observed(self.verdict.stages) or "")

    @property
    def _told(self) -> str:
        """The address that the server says it comes from."""
        refused = str(
            self.fails_in("admit").get("source_address") or self.fails_in("login").get("source_address") or ""
        )
        said = (self.seen(name).get("source_address_seen_by_server") for name in _SEEN_BY_SERVER)
        return refused or next((str(address) for address in said if address), "")

    @property
    def entries(self) -> str:
        """What a firewall or an allowlist in front of the address must let in for this place."""
        source = provenance.numeric(self.source_address)
        return provenance.entry(self.network, self.public, source, told=bool(self._told))

    # -- names ---------------------------------------------------------------------------------------------------------

    @property
    def addresses(self) -> frozenset[str]:
        """What the name stands for there; empty when it was no name, or stands for nothing."""
        return frozenset(self.seen("resolve").get("addresses") or ())

    @property
    def name(self) -> str:
        """The name that was looked up; empty when the address is given as a number."""
        return str(self.seen("resolve").get("name") or "")

    def summary(self) -> str:
        """What was seen from there, in a few words."""
        if self.verdict.connectable:
            return f"{self.group}: {self.verdict.state}"
        failed = self.failed
        return f"{self.group}: {self.verdict.cause} in {failed.name if failed else 'no stage'}"


def agreeing(views: Sequence[View], verb: str, plural: str) -> str:
    """Places and a verb that agrees with them: ``a connects``, ``a and b connect``."""
    return f"{names(views)} {verb if len({view.group for view in views}) == 1 else plural}"


def names(views: Iterable[View]) -> str:
    """Places in a sentence; no more than three by name."""
    found: Sequence[str] = sorted({view.group for view in views})
    if len(found) > 3:
        found = [*found[:3], f"{len(found) - 3} more"]
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)
