"""Verdicts of several places together: each rule on views made for it, and nothing left of it when it is taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from registry.network import Network, declared
from registry.verdict import INCONCLUSIVE, STAGES, Stage, State, Status, Verdict
from tasks import causes
from tasks.perspectives import Insight, Rule, View, review, rules

_AT = {"address": "10.1.2.3", "port": 5432}
_PUBLIC = {"address": "8.8.4.4", "port": 5432}
_SILENT = {"silent": True, "waited_ms": 3900, "ports_that_answer": [], "answers_ping": False}
_CANARY = ["198.51.100.1:443", "198.51.100.2:443"]
_NAMED = {"name": "db.example", "from": "dns", "nameservers": ["10.0.0.53"]}


def stage(name: str, status: Status = Status.PASSED, /, **evidence: Any) -> Stage:
    return Stage(name=name, status=status, started_at="2026-03-01T12:00:00Z", elapsed_ms=1, evidence=evidence)


def view(
    group: str, cause: str | None = None, failed: str = "", network: Mapping[str, Any] | None = None,
    before: Verdict | None = None, alternatives: Sequence[str] = (), **evidence: Mapping[str, Any],
) -> View:  # fmt: skip
    """A place: how far it came, and what it noted in which stage."""
    last = STAGES.index(failed) if failed else len(STAGES)
    stages = [
        stage(
            name,
            Status.FAILED if position == last else Status.PASSED if position < last else Status.SKIPPED,
            **evidence.get(name, {}),
        )
        for position, name in enumerate(STAGES)
    ]
    state = State.CONNECTABLE
    if cause is not None:
        state = causes.state_of(cause, tuple(alternatives))
    verdict = Verdict(
        workspace="sales", source="orders", type="postgresql", env="prod", resource_group=group, state=state,
        cause=cause, alternatives=list(alternatives), component="there" if cause else "",
        message="It fails." if cause else "", remedy="Mend it." if cause else "", stages=stages,
        started_at="2026-03-01T12:00:00Z", elapsed_ms=100.0,
    )  # fmt: skip
    return View(verdict, declared(network or {}), before)


def silent(group: str, at: Mapping[str, Any] = _AT, *, network: Mapping[str, Any] | None = None, **seen: Any) -> View:
    """A place to which nothing comes back."""
    left = ("FILTER.DROP", "HOST.DOWN")
    return view(
        group, INCONCLUSIVE, "connect", network, alternatives=left,
        route={"source_address": "10.9.0.2"}, connect={**at, **_SILENT, **seen},
    )  # fmt: skip


def fine(
    group: str, at: Mapping[str, Any] = _AT, elapsed: Mapping[str, float] | None = None, **evidence: Mapping[str, Any]
) -> View:
    """A place where everything works; `elapsed`: the milliseconds of some stages."""
    connect = {**at, "source_address": "10.8.0.2", **evidence.pop("connect", {})}
    seen = view(group, connect=connect, **evidence)
    times = elapsed or {}
    stages = [replace(one, elapsed_ms=times.get(one.name, one.elapsed_ms)) for one in seen.verdict.stages]
    return replace(seen, verdict=seen.verdict.model_copy(update={"stages": stages}))


def mute(group: str, silent_ms: float = 3000.0, at: Mapping[str, Any] = _AT) -> View:
    """A place where somebody accepts and says nothing."""
    greet = {"broken": "silent", "mute": True, "received_bytes": 0, "silent_ms": silent_ms}
    return view(group, "PEER.MUTE", "greet", connect=at, greet=greet)


def refused(group: str) -> View:
    return view(group, "PORT.CLOSED", "connect", connect={**_AT, "errno": "ECONNREFUSED"})


def _unclear(group: str) -> View:
    """A place that cannot tell who refuses."""
    unclear = {"errno": "ECONNREFUSED", "refusal_unclear": True}
    left = ("PORT.CLOSED", "FILTER.REJECT")
    return view(group, INCONCLUSIVE, "connect", alternatives=left, connect={**_AT, **unclear})


def _hung_up(group: str) -> View:
    """A place where somebody accepts and hangs up without a word."""
    return view(group, "PEER.RESET_EARLY", "greet", connect=_AT, greet={"broken": "reset", "received_bytes": 0})


def rejected(group: str) -> View:
    icmp = {"icmp_type": 3, "icmp_code": 13, "icmp_from": "10.9.0.1"}
    return view(group, "FILTER.REJECT", "connect", connect={**_AT, "errno": "EHOSTUNREACH", **icmp})


def named(group: str, *addresses: str, cause: str | None = None, failed: str = "", **more: Any) -> View:
    """A place that looks a name up first."""
    network = more.pop("network", None)
    at = {"address": addresses[0] if addresses else "", "port": 5432}
    connect = {**at, **(_SILENT if failed == "connect" else {}), **more.pop("connect", {})}
    resolve = {**_NAMED, **({"addresses": list(addresses)} if addresses else {}), **more.pop("resolve", {})}
    return view(group, cause, failed, network, resolve=resolve, connect=connect, **more)


_OLD = fine("a", config={"configuration_version": 3}, resolve={**_NAMED, "addresses": ["10.1.2.2"]}).verdict
_CERTIFICATE = {"issuer": "CN=Right CA", "verified": True, "tls_version": "TLSv1.3"}
_OTHER = {"issuer": "CN=Inspection CA"}


@dataclass(frozen=True)
class Scene:
    """Views of one data source; the first is the one that is looked at.

    Attributes:
        code: Its cause in the end.
        by: The places that decided it.
        says: What its component, message or remedy must contain.
        warns: The code of a warning that it must bear.
    """

    rule: str
    views: tuple[View, ...]
    code: str | None
    by: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    warns: str = ""


_SERVERLESS = {"type": "serverless", "vpc_id": "vpc-1", "vswitch_id": "vsw-1", "vswitch_cidrs": ["10.9.0.0/24"]}
_NO_CANARY = {"canaries_asked": _CANARY, "canaries_that_answer": [], "canaries_on_port": [], "canaries_elsewhere": []}
_BLOCKED = {
    "canaries_asked": _CANARY, "canaries_that_answer": _CANARY, "canaries_on_port": [],
    "canaries_elsewhere": ["198.51.100.1"],
}  # fmt: skip

_LEFT_OUT = {"allowlist_standing": "lacks", "allowlist": ["10.8.0.0/24"]}
_PARTLY = {"allowlist_standing": "unsure", "allowlist": ["10.8.0.0/24", "10.9.0.0/28"]}

SCENES = (
    Scene("left out of the allowlist", (silent("a", network=_SERVERLESS, **_LEFT_OUT), fine("b")), "ADMIT.ALLOWLIST",
          ("b",), ("lets in b", "leaves out", "10.9.0.0/24 (the CIDR of its vSwitch) for a")),
    Scene("left out of the allowlist", (silent("a", **_PARTLY), fine("b")), INCONCLUSIVE, ("b",), ("10.9.0.2/32",),
          ("ADMIT.ALLOWLIST", "FILTER.DROP")),
    Scene("nobody let in", (silent("a", **_LEFT_OUT), silent("b", **_LEFT_OUT)), INCONCLUSIVE, (),
          ("lets in none of them",), ("FILTER.DROP", "HOST.DOWN")),
    Scene("no way out", (silent("a", _PUBLIC, network=_SERVERLESS, **_NO_CANARY), fine("b", _PUBLIC)),
          "ROUTE.NAT_MISSING", ("b",), ("a", "vpc-1", "vsw-1", "NAT gateway")),
    Scene("no way out", (silent("a", _PUBLIC, **_NO_CANARY), silent("b", _PUBLIC, canaries_asked=_CANARY,
                                                                  canaries_that_answer=_CANARY)),
          "ROUTE.NAT_MISSING", ("b",)),
    Scene("way out unknown", (silent("a", _PUBLIC), fine("b", _PUBLIC)), INCONCLUSIVE, ("b",), ("canaries",),
          ("FILTER.DROP", "ROUTE.NAT_MISSING")),
    Scene("dropped here only", (silent("a", network=_SERVERLESS), fine("b"), fine("c")), "FILTER.DROP", ("b", "c"),
          ("10.1.2.3:5432", "b and c connect to", "nothing comes back to a", "10.9.0.0/24")),
    Scene("dropped here only", (silent("a"), refused("b")), "FILTER.DROP", ("b",), ("closed", "10.9.0.2/32")),
    Scene("dropped here only", (silent("a"), silent("b", answers_ping=True)), "FILTER.DROP", ("b",)),
    Scene("dropped here only", (silent("a", _PUBLIC, network={**_SERVERLESS, "nat_eips": ["8.8.8.8"]}),
                                fine("b", _PUBLIC)), "FILTER.DROP", ("b",), ("8.8.8.8",)),
    Scene("dead everywhere", (silent("a"), silent("b"), silent("c")), "HOST.DOWN", ("b", "c"),
          ("10.1.2.3", "nor to b and c")),
    Scene("port blocked on the way out",
          (silent("a", _PUBLIC, **_BLOCKED),
           silent("b", _PUBLIC, **{**_BLOCKED, "canaries_on_port": ["198.51.100.1"]})),
          "FILTER.EGRESS", ("b",), ("TCP port 5432 out of a", "198.51.100.1")),
    Scene("port blocked here", (silent("a", **_BLOCKED, port_blocked=True), fine("b")), "FILTER.EGRESS", ("b",),
          ("TCP port 5432 out of a",)),
    Scene("port blocked here or there", (silent("a", **_BLOCKED), fine("b")), INCONCLUSIVE, ("b",), (),
          ("FILTER.EGRESS", "FILTER.DROP")),
    Scene("refused on the way", (refused("a"), fine("b")), "FILTER.REJECT", ("b",), ("RST", "b connects")),
    Scene("refusal read elsewhere", (_unclear("a"), refused("b")), "PORT.CLOSED", ("b",), ("b sees",)),
    Scene("refusal read elsewhere", (_unclear("a"), rejected("b")), "FILTER.REJECT", ("b",), ("b sees",)),
    Scene("refused on the way", (_unclear("a"), fine("b")), "FILTER.REJECT", ("b",), ("a gets a refusal",)),
    Scene("rejected here only", (rejected("a"), fine("b")), "FILTER.REJECT", ("b",), ("b gets through", "10.9.0.1")),
    Scene("refused everywhere", (refused("a"), refused("b")), "PORT.CLOSED", ("b",), ("b sees the same",)),
    Scene("refused everywhere", (rejected("a"), rejected("b")), "FILTER.REJECT", ("b",)),
    Scene("another address here",
          (named("a", "10.1.2.9", cause=INCONCLUSIVE, failed="connect", network=_SERVERLESS,
                 alternatives=("FILTER.DROP", "HOST.DOWN")), named("b", "10.1.2.3")),
          "DNS.SPLIT_VIEW", ("b",), ("db.example", "10.1.2.9", "10.1.2.3", "PrivateZone of vpc-1")),
    Scene("another address here",
          (named("a", "10.1.2.9", cause="AUTH.BAD_CREDENTIALS", failed="login", network={"type": "exclusive"}),
           named("b", "10.1.2.3")), "DNS.SPLIT_VIEW", ("b",), ("host binding of db.example in a to 10.1.2.3",)),
    Scene("another address here",
          (named("a", "10.1.2.9", cause=INCONCLUSIVE, failed="connect", resolve={"from": "hosts"},
                 alternatives=("FILTER.DROP", "HOST.DOWN")), named("b", "10.1.2.3")),
          "DNS.SPLIT_VIEW", ("b",), ("/etc/hosts", "by a host binding")),
    Scene("name unknown here only",
          (named("a", cause="DNS.NXDOMAIN", failed="resolve", resolve={"rcode": "NXDOMAIN"}), named("b", "10.1.2.3")),
          "DNS.SPLIT_VIEW", ("b",), ("db.example", "10.1.2.3", "10.0.0.53")),
    Scene("resolver fails here only",
          (named("a", cause="DNS.SERVER_FAILURE", failed="resolve", resolve={"rcode": "SERVFAIL"}),
           named("b", "10.1.2.3")), "DNS.SERVER_FAILURE", ("b",), ("b resolves it by 10.0.0.53",)),
    Scene("name unknown everywhere",
          (named("a", cause="DNS.NXDOMAIN", failed="resolve", resolve={"rcode": "NXDOMAIN"}),
           named("b", cause="DNS.NXDOMAIN", failed="resolve", resolve={"rcode": "NXDOMAIN"})),
          "DNS.NXDOMAIN", ("b",), ("nor does it for b",)),
    Scene("other name servers than declared",
          (named("a", cause="DNS.NXDOMAIN", failed="resolve", resolve={"rcode": "NXDOMAIN"},
                 network={"dns_servers": ["10.0.0.99"]}),), "DNS.NXDOMAIN", (), ("10.0.0.53", "10.0.0.99")),
    Scene("other name servers than declared",
          (named("a", "10.1.2.3", network={"dns_servers": ["10.0.0.99"]}),), None, (), (), (), "GROUP.NETWORK_DIFFERS"),
    Scene("name completed",
          (named("a", "10.1.2.9", cause="PORT.CLOSED", failed="connect", connect={"silent": None},
                 resolve={"completed_to": "db.example.corp", "addresses_by_itself": ["10.1.2.3"]}),),
          "PORT.CLOSED", (), ("completed db.example to db.example.corp", "10.1.2.3")),
    Scene("some addresses fail",
          (named("a", "10.1.2.3", "10.1.2.4", connect={"failing_addresses": ["10.1.2.4"]}),
           named("b", "10.1.2.3", "10.1.2.4")), None, ("b",), (), (), "DNS.SOME_ADDRESSES_FAIL"),
    Scene("family missing here only",
          (named("a", "2001:db8::3", cause="DNS.NO_USABLE_FAMILY", failed="route", route={"family": "IPv6"}),
           named("b", "2001:db8::3")), "DNS.NO_USABLE_FAMILY", ("b",), ("b reaches it over IPv6",)),
    Scene("certificate of another issuer",
          (view("a", "TLS.UNTRUSTED_CA", "tls", connect=_AT, tls={**_OTHER, "verify_code": 19}),
           fine("b", tls=_CERTIFICATE)),
          "TLS.UNTRUSTED_CA", ("b",), ("CN=Inspection CA", "CN=Right CA", "decrypts")),
    Scene("unverified issuers differ",
          (fine("a", tls={**_OTHER, "verified": False}), fine("b", tls={**_CERTIFICATE, "verified": False})),
          None, ("b",), (), (), "TLS.NOT_VERIFIED"),
    Scene("same credentials elsewhere",
          (view("a", "AUTH.BAD_CREDENTIALS", "login", connect={**_AT, "source_address": "10.9.0.2"},
                credentials={"references": ["password from stored:1"]}), fine("b")),
          "ADMIT.ALLOWLIST", ("b",), ("10.9.0.2",)),
    Scene("same credentials elsewhere",
          (view("a", "AUTH.BAD_CREDENTIALS", "login", connect=_AT,
                credentials={"references": ["password from env:X"], "resolved_by": "a"}),
           fine("b")), INCONCLUSIVE, ("b",), ("secret",), ("ADMIT.ALLOWLIST", "AUTH.BAD_CREDENTIALS")),
    Scene("same credentials elsewhere",
          (view("a", "AUTH.BAD_CREDENTIALS", "login", connect={**_AT, "source_address": "10.9.0.2"},
                credentials={"references": ["password from env:X"]}, config={"protocol": "mysql"}), fine("b")),
          "ADMIT.ALLOWLIST", ("b",), ("another account user@host", "mysql.user", "10.9.0.2", "the same in both")),
    Scene("same credentials elsewhere",
          (view("a", "AUTH.BAD_CREDENTIALS", "login", connect=_AT, config={"protocol": "postgresql"}), fine("b")),
          "ADMIT.ALLOWLIST", ("b",), ("line of pg_hba.conf",)),
    Scene("waited too short", (mute("a", 3401.0), fine("b", elapsed={"greet": 3500.0})), "PROBE.DEADLINE", ("b",),
          ("b waits 3500 ms", "a had 3401 ms", "headwater test orders --timeout 14")),
    Scene("accepted by whom", (mute("a"), rejected("b")), "PEER.MUTE", ("b",), ("b gets no connection", "proxy")),
    Scene("some dropped", (replace(silent("a", answers_ping=True), conversed_for=("users/prod",)),), INCONCLUSIVE, (),
          ("converses with a for users/prod", "rate limit", "TcpExtListenOverflows"),
          ("FILTER.DROP", "CAPACITY.CONNECTIONS")),
    Scene("some dropped", (replace(silent("a"), conversed_for=("users/prod",)), fine("b")), INCONCLUSIVE, (), (),
          ("FILTER.DROP", "CAPACITY.CONNECTIONS")),
    Scene("some refused", (replace(refused("a"), conversed_for=("users/prod",)), fine("b")), INCONCLUSIVE, (),
          ("converses with a for users/prod", "backend that is down"), ("FILTER.REJECT", "PORT.CLOSED")),
    Scene("some refused", (replace(rejected("a"), conversed_for=("users/prod",)), fine("b")), "FILTER.REJECT", (),
          ("converses with a for users/prod", "limits of new connections")),
    Scene("not admitted here only",
          (view("a", "ADMIT.ALLOWLIST", "admit", _SERVERLESS, connect={**_AT, "source_address": "10.9.0.2"}),
           fine("b")),
          "ADMIT.ALLOWLIST", ("b",), ("it admits b", "10.9.0.0/24 for a")),
    Scene("admitted nowhere",
          (view("a", "ADMIT.ALLOWLIST", "admit", connect=_AT), view("b", "ADMIT.ALLOWLIST", "admit", connect=_AT)),
          "ADMIT.ALLOWLIST", ("b",), ("nor does it admit b",)),
    Scene("cut off here only",
          (view("a", "PEER.RESET_EARLY", "greet", connect=_AT, greet={"broken": "reset"}), fine("b")),
          "PEER.RESET_EARLY", ("b",), ("with b it converses",)),
    Scene("worked before",
          (view("a", "PORT.CLOSED", "connect", before=_OLD, config={"configuration_version": 4},
                resolve={**_NAMED, "addresses": ["10.1.2.3"]}, connect={**_AT, "errno": "ECONNREFUSED"}),),
          "PORT.CLOSED", (), ("it worked from a until 2026-03-01 12:00 UTC", "the address changed from 10.1.2.2 to",
                              "the version of the configuration changed from 3 to 4")),
    Scene("worked before",
          (replace(view("a", "FILTER.DROP", "connect", connect={**_AT, **_SILENT, "answers_ping": True}),
                   before=fine("a").verdict),),
          "FILTER.DROP", (), ("until 2026-03-01 12:00 UTC, so what drops it now is either new or a limit",)),
    Scene("slower than usual", (replace(fine("a"), verdict=fine("a").verdict.model_copy(update={"elapsed_ms": 2000.0}),
                                        usual_ms=100.0),), None, (), (), (), "LATENCY.HIGH"),
)  # fmt: skip


def _told(verdict: Verdict) -> str:
    return " ".join((verdict.component, verdict.message, verdict.remedy))


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.rule)
def test_what_places_tell_together(scene: Scene) -> None:
    verdict = review(scene.views)[0]
    assert verdict.cause == scene.code, verdict
    assert set(verdict.alternatives) == set(scene.alternatives)
    state = causes.state_of(scene.code, scene.alternatives) if scene.code else State.CONNECTABLE
    assert verdict.state is state
    for words in scene.says:
        assert words in _told(verdict), _told(verdict)
    assert not scene.warns or scene.warns in [warning.code for warning in verdict.warnings]
    noted = [one.evidence["decided_by"] for one in verdict.stages if "decided_by" in one.evidence]
    assert noted == ([list(scene.by)] if scene.by else [])
    if scene.by and scene.code is not None:
        assert View(verdict).failed.evidence["others_saw"]  # type: ignore[union-attr]
        assert all(group in verdict.message for group in scene.by), verdict.message


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.rule)
def test_without_its_rule_something_else_is_said(scene: Scene) -> None:
    others = [rule for rule in rules() if rule.name != scene.rule]
    assert len(others) == len(rules()) - 1
    assert review(scene.views, by=others)[0] != review(scene.views)[0]


def test_every_rule_has_a_scene() -> None:
    assert {rule.name for rule in rules()} == {scene.rule for scene in SCENES}
    assert len({rule.name for rule in rules()}) == len(rules())


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.rule)
def test_a_place_that_could_not_test_decides_nothing(scene: Scene) -> None:
    """The others' verdicts count for nothing when they are Unsupport, and stay as they are."""
    first, *others = scene.views
    muted = [
        replace(other, verdict=other.verdict.model_copy(update={"state": State.UNSUPPORT, "cause": "PROBE.AGENT_DOWN"}))
        for other in others
    ]
    alone = review([first])
    assert review([first, *muted]) == [*alone, *(other.verdict for other in muted)]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.rule)
def test_reviewing_changes_nothing_that_was_given_and_reviewing_again_no_cause(scene: Scene) -> None:
    given = [one.verdict.model_dump_json() for one in scene.views]
    told = review(scene.views)
    assert [one.verdict.model_dump_json() for one in scene.views] == given
    again = review([replace(one, verdict=verdict) for one, verdict in zip(scene.views, told, strict=True)])
    assert [verdict.cause for verdict in again] == [verdict.cause for verdict in told]


UNCHANGED = (
    (view("a", "AUTH.BAD_CREDENTIALS", "login", connect=_AT), view("b", "AUTH.BAD_CREDENTIALS", "login", connect=_AT)),
    (view("a", "TARGET.MISSING", "target", connect=_AT), view("b", "TARGET.MISSING", "target", connect=_AT)),
    (silent("a", _PUBLIC, **_NO_CANARY), silent("b", _PUBLIC, **_NO_CANARY)),
    (silent("a"), silent("b", {"address": "10.1.2.4", "port": 5432})),
    (refused("a"), silent("b")),
    (named("a", "10.1.2.9", cause="ADMIT.ALLOWLIST", failed="admit"), named("b", "10.1.2.3")),
    (named("a", "10.1.2.9", cause="PORT.CLOSED", failed="connect", connect={"silent": False, "errno": "EMFILE"}),
     named("b", "10.1.2.3"), named("c", "10.1.2.9")),
    (fine("a"), silent("b")),
    # Who is accepted and hears nothing has not got through: a proxy accepts in anybody's name.
    *((here, there) for here in (refused("a"), _unclear("a"), rejected("a"), silent("a"), silent("a", **_LEFT_OUT))
      for there in (mute("b"), _hung_up("b"))),
    *((silent("a", _PUBLIC, **seen), mute("b", at=_PUBLIC))
      for seen in ({}, _BLOCKED, {**_BLOCKED, "port_blocked": True})),
    (silent("a", _PUBLIC, network=_SERVERLESS, **_NO_CANARY), mute("b", at=_PUBLIC)),
    (named("a", cause="DNS.NXDOMAIN", failed="resolve", resolve={"rcode": "NXDOMAIN"}),
     named("b", "10.1.2.3", cause="PEER.MUTE", failed="greet")),
    (named("a", "2001:db8::3", cause="DNS.NO_USABLE_FAMILY", failed="route", route={"family": "IPv6"}),
     named("b", "2001:db8::3", cause="PEER.MUTE", failed="greet")),
    # Who waited long enough is told so; and who heard nothing does not know how long it takes.
    (mute("a", 3401.0), mute("b")),
    (named("a", "10.1.2.9", cause="TARGET.MISSING", failed="target", tls={"fingerprint_sha256": "ab"}),
     named("b", "10.1.2.3", tls={"fingerprint_sha256": "ab"})),
    (named("a", "10.1.2.3", network={"dns_servers": ["10.0.0.99"]}, resolve={"nameservers": ["127.0.0.53"]}),),
    (fine("a"), fine("b", tls=_CERTIFICATE)),
)  # fmt: skip


@pytest.mark.parametrize("views", UNCHANGED)
def test_what_others_did_not_see_outweighs_nothing(views: tuple[View, ...]) -> None:
    assert review(views)[0] == views[0].verdict


def test_a_peer_that_refused_with_a_word_of_its_own_was_heard() -> None:
    admitted_not = view("b", "CAPACITY.CONNECTIONS", "greet", connect=_AT)
    assert review([silent("a"), admitted_not])[0].cause == "FILTER.DROP"


def test_who_waited_far_longer_than_others_need_was_not_waiting_too_short() -> None:
    told = review([mute("a", 3401.0), fine("b", elapsed={"greet": 12.0})])[0]
    assert told.cause == "PEER.MUTE"
    assert "with b it converses" in told.message


def test_an_overloaded_server_is_named_where_a_firewall_is_only_one_of_two() -> None:
    alive = review([silent("a"), silent("b", answers_ping=True)])[0]
    assert "too busy to accept" in alive.message
    assert "its queue of connections is full" in alive.remedy
    through = review([silent("a"), fine("b")])[0]
    assert "busy" not in through.message + through.remedy


def test_the_way_out_is_never_blamed_for_a_private_address() -> None:
    told = review([silent("a", network={**_SERVERLESS, "nat_eips": []}, **_NO_CANARY), fine("b")])
    assert told[0].cause == "FILTER.DROP"


def test_many_places_are_not_all_named_in_a_sentence() -> None:
    told = review([silent("a"), *(fine(f"b{number}") for number in range(9))])[0]
    assert "b0, b1, b2 and 6 more" in told.message
    assert len(View(told).failed.evidence["decided_by"]) == 9  # type: ignore[union-attr]


def test_rules_are_data_of_which_any_may_be_left_out() -> None:
    never = Rule("never", lambda _view, _others: None)
    always = Rule("always", lambda _view, others: Insight("HOST.DOWN", decided_by=others))
    views = [refused("a"), refused("b")]
    assert [verdict.cause for verdict in review(views, by=[never])] == ["PORT.CLOSED"] * 2
    assert [verdict.cause for verdict in review(views, by=[never, always])] == ["HOST.DOWN"] * 2


def test_a_network_is_declared_or_empty() -> None:
    assert view("a").network == Network()


def test_a_list_that_somebody_outside_of_it_gets_past_is_not_the_cause() -> None:
    outsider = fine("b", connect={"source_address": "10.7.0.2"})
    assert review([silent("a", **_LEFT_OUT), outsider])[0].cause == "FILTER.DROP"


def test_two_places_that_the_list_lets_in_may_call_a_host_dead() -> None:
    listed = {"allowlist_standing": "contains", "allowlist": ["10.9.0.0/24"]}
    assert review([silent("a", **listed), silent("b", **listed)])[0].cause == "HOST.DOWN"
    elsewhere = {"allowlist_standing": "lacks", "allowlist": ["10.6.0.0/24"]}
    assert review([silent("a", **elsewhere), silent("b", **elsewhere)])[0].cause == INCONCLUSIVE
