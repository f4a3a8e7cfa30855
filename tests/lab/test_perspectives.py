"""One data source from several real places: what only their verdicts together tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from registry.network import declared
from registry.verdict import Verdict
from tasks.perspectives import View, review
from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.nameserver import Answer
from tests.lab.network import run
from tests.lab.recording import keep_review
from tests.lab.test_network import FINE, UNREACHABLE, check, entry, stage
from tests.lab.topology import VANTAGES


def together(
    lab: Lab, type: str, source: Mapping[str, Any], *vantages: str, timeout: float = 2.0,
    network: Mapping[str, Mapping[str, Any]] | None = None, before: Mapping[str, Verdict] | None = None,
    usual_ms: float | None = None,
) -> list[Verdict]:  # fmt: skip
    """The verdicts of several places at once, reviewed; in the order of the places.

    Args:
        network: What is declared about a place, in place of what is true.
        before: The last good verdict of a place.
        usual_ms: What a check usually takes from any of them.
    """

    told = {vantage: (network or {}).get(vantage, VANTAGES[vantage].network) for vantage in vantages}
    common = {"type": type, "entry": source, "timeout": timeout, "source": "orders", "permitted_ranges": []}
    answers = lab.check_all([{**common, "vantage": one, "network": told[one]} for one in vantages])
    assert [answer["broken"] for answer in answers if "broken" in answer] == []
    verdicts = [Verdict.model_validate(answer["verdict"]) for answer in answers]
    views = [
        View(verdict, declared(told[vantage]), (before or {}).get(vantage), usual_ms)
        for vantage, verdict in zip(vantages, verdicts, strict=True)
    ]
    keep_review(f"{type} from {', '.join(vantages)}", views, lab.recorded)
    return review(views)


def at(lab: Lab, host: str, *vantages: str, port: int = 5432, **options: Any) -> list[Verdict]:
    return together(lab, "postgresql", entry(lab, host, port), *vantages, **options)


# -- silence ----------------------------------------------------------------------------------------------------------


def test_dropped_for_one_place_only(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql()
    with lab.filter("drop", server.v4, at="client"):
        here, there, third = at(lab, server.v4, "client", "elsewhere", "exclusive")
    assert there.connectable
    assert third.connectable
    expect(here, "dropped for one place only", code="FILTER.DROP", state=UNREACHABLE, component=f"{server.v4}:5432",
           within=2.5, remedy="10.77.1.2/32", owner="network")  # fmt: skip
    assert stage(here, "connect")["decided_by"] == ["elsewhere", "exclusive"]
    assert "elsewhere and exclusive" in here.message
    assert "nothing comes back to client" in here.message


def test_the_vswitch_is_what_to_let_in(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql()
    with lab.filter("drop", server.v4, at="serverless_nat"):
        here, _ = at(lab, server.v4, "serverless_nat", "client")
    expect(here, "dropped for a serverless group", code="FILTER.DROP", state=UNREACHABLE, within=2.5,
           remedy="10.77.20.0/24")  # fmt: skip
    with lab.filter("drop", server.host.public, at="serverless_nat"):
        here, _ = at(lab, server.host.public, "serverless_nat", "client")
    expect(here, "dropped for a serverless group, public address", code="FILTER.DROP", state=UNREACHABLE, within=2.5,
           remedy="25.77.20.1")  # fmt: skip


def test_a_dead_host_is_dead_from_everywhere(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql(own="dead")
    with lab.filter("drop", server.v4, at="server"):
        verdicts = at(lab, server.v4, "client", "elsewhere", "onprem")
    for verdict in verdicts:
        expect(verdict, "silent to every place", code="HOST.DOWN", state=UNREACHABLE, component=server.v4, within=2.5,
               owner="dba")  # fmt: skip


def test_a_port_dropped_for_everybody_is_no_dead_host(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql()
    with lab.filter("drop", server.v4, 5432, at="server"):
        for verdict in at(lab, server.v4, "client", "elsewhere"):
            expect(verdict, "one port silent to every place", code="FILTER.DROP", state=UNREACHABLE, within=2.5)
            assert "the same" in verdict.message


# -- the way out ------------------------------------------------------------------------------------------------------


def test_no_nat_is_seen_by_canaries(lab: Lab, expect: Expectation) -> None:
    """Declared to have a gateway, and has none: what is observed counts."""
    wrong = {**VANTAGES["serverless"].network, "nat_eips": ["25.77.20.9"]}
    public = lab.postgresql().host.public
    here, there = at(lab, public, "serverless", "serverless_nat", network={"serverless": wrong})
    assert there.connectable
    expect(here, "no way out, by the canaries", code="ROUTE.NAT_MISSING", state=UNREACHABLE, component="serverless",
           within=2.5, remedy="vsw-plain")  # fmt: skip
    assert stage(here, "connect")["decided_by"] == ["serverless_nat"]


def test_no_nat_is_declared(lab: Lab, expect: Expectation) -> None:
    public = lab.postgresql().host.public
    verdict = check(lab, public, vantage="serverless")
    expect(verdict, "no way out, by declaration", code="ROUTE.NAT_MISSING", state=UNREACHABLE, component="serverless",
           within=2.5)  # fmt: skip
    private = check(lab, lab.postgresql().v4, vantage="serverless")
    expect(private, "a private address needs no way out", code=None, state=FINE, within=1)


def test_a_way_out_that_works_refutes_the_declaration(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql()
    none = {**VANTAGES["serverless_nat"].network, "nat_eips": []}
    with lab.filter("drop", server.host.public, at="serverless_nat"):
        alone = check(lab, server.host.public, vantage="serverless_nat", network=none)
        here, _ = at(lab, server.host.public, "serverless_nat", "client", network={"serverless_nat": none})
    expect(alone, "declared without a way out, and has one", code="INCONCLUSIVE", state=UNREACHABLE, within=2.5,
           alternatives=["FILTER.DROP", "HOST.DOWN"])  # fmt: skip
    assert here.cause == "FILTER.DROP"


def test_canaries_that_answer_nobody_prove_nothing_alone(lab: Lab, expect: Expectation) -> None:
    nobody = {"canaries": [f"{lab.dead.BLACKHOLE_PUBLIC}:443"]}
    verdict = check(lab, lab.dead.BLACKHOLE_PUBLIC, network=nobody)
    expect(verdict, "neither the address nor the canaries answer", code="INCONCLUSIVE", state=UNREACHABLE, within=2.5,
           alternatives=["ROUTE.NAT_MISSING", "FILTER.EGRESS"])  # fmt: skip


def test_a_port_that_leads_nowhere_from_one_place(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql()
    here, there = at(lab, server.v4, "egress", "client")
    assert there.connectable
    expect(here, "a port that leads nowhere from one place", code="FILTER.EGRESS", state=UNREACHABLE, within=2.5,
           component="TCP port 5432 out of egress", owner="network")  # fmt: skip


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_refused_on_the_way_for_one_place_only(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql()
    with lab.filter("reset", server.v4, 5432, at="client"):
        here, _ = at(lab, server.v4, "client", "elsewhere")
    expect(here, "refused with a RST for one place only", code="FILTER.REJECT", state=UNREACHABLE, within=1,
           component=f"{server.v4}:5432")  # fmt: skip
    assert "elsewhere connects" in here.message
    nobody = lab.host().v4
    for verdict in at(lab, nobody, "client", "elsewhere"):
        expect(verdict, "port closed to every place", code="PORT.CLOSED", state=UNREACHABLE, within=1)
        assert "the same" in verdict.message


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vantage", "view", "remedy"),
    [
        ("serverless_nat", "vpc", "PrivateZone of vpc-lab"),
        ("exclusive", "vpc", "host binding"),
        ("onprem", "office", "name servers of onprem"),
    ],
)
def test_the_name_stands_for_another_address_here(
    lab: Lab, expect: Expectation, vantage: str, view: str, remedy: str
) -> None:
    server, wrong = lab.postgresql(), lab.host().v4
    name = lab.name("split", server.v4)
    with lab.views[view].answering("split", Answer(a=[wrong])):
        here, there = at(lab, name, vantage, "client")
    assert there.connectable
    expect(here, "another address in one place's name server", code="DNS.SPLIT_VIEW", state=UNREACHABLE, component=name,
           within=2.5, remedy=remedy)  # fmt: skip
    assert stage(here, "connect")["addresses_here"] == [wrong]
    assert stage(here, "connect")["addresses_where_it_works"] == [server.v4]


def test_the_name_is_unknown_here(lab: Lab, expect: Expectation) -> None:
    name = lab.name("hidden", lab.postgresql().v4)
    with lab.views["office"].answering("hidden", Answer(rcode="NXDOMAIN")):
        here, _ = at(lab, name, "onprem", "client")
    expect(here, "a name that one place does not know", code="DNS.SPLIT_VIEW", state=UNREACHABLE, component=name,
           within=2)  # fmt: skip


def test_a_stale_host_binding(lab: Lab, expect: Expectation) -> None:
    name, stale = lab.name("bound", lab.postgresql().v4), lab.host().v4
    with lab.etc("hosts", f"127.0.0.1 localhost\n{stale} {name}\n", "exclusive"):
        here, _ = at(lab, name, "exclusive", "client")
    expect(here, "a stale host binding", code="DNS.SPLIT_VIEW", state=UNREACHABLE, component=name, within=2,
           remedy=f"host binding of {name} in exclusive")  # fmt: skip
    assert "/etc/hosts" in here.message


def test_a_dead_resolver_in_one_place(lab: Lab, expect: Expectation) -> None:
    name = lab.name("asked", lab.postgresql().v4)
    here, _ = at(lab, name, "noresolver", "client")
    expect(here, "one place's name server is dead", code="DNS.RESOLVER_DOWN", state=UNREACHABLE, within=2.5)
    assert "client resolves it by 10.77.2.53" in here.message


def test_the_search_list_makes_another_name(lab: Lab, expect: Expectation) -> None:
    lab.names["db.shop"] = Answer(a=[lab.postgresql().v4])
    lab.names["db.shop.lab.test"] = Answer(a=[lab.host().v4])
    with lab.etc("resolv.conf", "search lab.test\nnameserver 10.77.2.53\noptions ndots:3\n"):
        (verdict,) = at(lab, "db.shop", "client")
    expect(verdict, "the search list makes another name", code="PORT.CLOSED", state=UNREACHABLE, within=2)
    assert "completed db.shop to db.shop.lab.test" in verdict.message
    assert lab.postgresql().v4 in verdict.message


# -- the past ---------------------------------------------------------------------------------------------------------


def test_the_past_tells_what_changed(lab: Lab, expect: Expectation) -> None:
    name = lab.name("moved", lab.postgresql().v4)
    before = check(lab, name)
    assert before.connectable
    lab.name("moved", lab.host().v4)
    (verdict,) = together(lab, "postgresql", entry(lab, name), "client", before={"client": before})
    expect(verdict, "worked before, and the name has moved", code="PORT.CLOSED", state=UNREACHABLE, within=2)
    assert "it worked from client until" in verdict.message
    assert f"the address changed from {lab.postgresql().v4} to" in verdict.message
    assert stage(verdict, "connect")["last_worked_at"] == before.started_at


def test_a_check_takes_far_longer_than_usual(lab: Lab, expect: Expectation) -> None:
    with lab.names.answering("delayed", Answer(a=[lab.postgresql().v4], delay=0.8)) as name:
        (verdict,) = together(lab, "postgresql", entry(lab, name), "client", usual_ms=40.0, timeout=5)
    expect(verdict, "a check takes far longer than usual", code=None, state=FINE, within=2, warnings=["LATENCY.HIGH"])


def test_one_address_of_several_fails_from_one_place_only(lab: Lab, expect: Expectation) -> None:
    host = lab.postgresql().host
    name = lab.name("several", host.v4, host.v6)
    with lab.filter("drop", host.v6, at="client"):
        here, there = at(lab, name, "client", "elsewhere")
    expect(there, "every address answers elsewhere", code=None, state=FINE, within=2)
    expect(here, "one address fails from one place only", code=None, state=FINE, within=2.5,
           warnings=["DNS.SOME_ADDRESSES_FAIL"])  # fmt: skip
    told = [warning.message for warning in here.warnings]
    assert any("not from elsewhere" in message for message in told), told


def test_a_route_back_that_is_missing_is_the_networks(lab: Lab, expect: Expectation) -> None:
    """The server's network has no way back to one place: silence there, and everything well elsewhere."""
    server, namespace = lab.postgresql(), lab.network.namespace("server")
    run(["ip", "-n", namespace, "route", "add", "blackhole", "10.77.3.0/24"])
    try:
        here, _ = at(lab, server.v4, "elsewhere", "client")
    finally:
        run(["ip", "-n", namespace, "route", "del", "blackhole", "10.77.3.0/24"])
    expect(here, "no way back to one place", code="FILTER.DROP", state=UNREACHABLE, within=2.5, owner="network",
           remedy="find their way back")  # fmt: skip
