"""Names, routes, firewalls and hosts: what keeps any protocol from its server, here with PostgreSQL's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from registry.verdict import Verdict
from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.nameserver import Answer
from tests.lab.topology import NAME_SERVER, Dead

CONFIG, UNREACHABLE, UNSUPPORT, FINE = "ConfigError", "Unreachable", "Unsupport", "Connectable"


def entry(lab: Lab, host: str, port: int = 5432) -> dict[str, Any]:
    return {
        "address": {"host": host, "port": port},
        "database": "shop",
        "username": "app",
        "password": lab.password,
        "properties": {"sslmode": "disable"},
    }


def check(lab: Lab, host: str, port: int = 5432, **options: Any) -> Verdict:
    return lab.check("postgresql", entry(lab, host, port), **{"timeout": 2, **options})


def stage(verdict: Verdict, name: str) -> dict[str, Any]:
    return next(stage.evidence for stage in verdict.stages if stage.name == name)


@pytest.fixture(scope="module")
def server(lab: Lab) -> str:
    return lab.postgresql().v4


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "answer", "code", "component"),
    [
        ("name server fails", Answer(rcode="SERVFAIL"), "DNS.SERVER_FAILURE", "odd"),
        ("name server refuses", Answer(rcode="REFUSED"), "DNS.SERVER_FAILURE", "odd"),
        ("name without an address", Answer(), "DNS.NO_ADDRESS", "odd"),
        ("alias to a name without an address", Answer(cname="nodata-end"), "DNS.NO_ADDRESS", "nodata-end"),
    ],
)
def test_name_server_says_no(
    lab: Lab, expect: Expectation, kind: str, answer: Answer, code: str, component: str
) -> None:
    lab.names["nodata-end"] = Answer()
    with lab.names.answering("odd", answer) as name:
        expect(check(lab, name), kind, code=code, state=UNREACHABLE, component=f"{component}.lab.test", within=1)


@pytest.mark.parametrize("name", ["absent.lab.test", "absent", "absent.elsewhere.example", "absent.lab.test."])
def test_name_that_does_not_exist(lab: Lab, expect: Expectation, name: str) -> None:
    expect(check(lab, name), "name does not exist", code="DNS.NXDOMAIN", state=UNREACHABLE, component="absent",
           within=1, owner="user")  # fmt: skip


def test_alias_to_nowhere(lab: Lab, expect: Expectation) -> None:
    with lab.names.answering("dangling", Answer(cname="not-there")) as name:
        verdict = check(lab, name)
    expect(verdict, "alias of a name that does not exist", code="DNS.NXDOMAIN", state=UNREACHABLE, within=1)


def test_aliases_in_a_circle(lab: Lab, expect: Expectation) -> None:
    lab.names["round-a"] = Answer(cname="round-b")
    lab.names["round-b"] = Answer(cname="round-a")
    verdict = check(lab, "round-a.lab.test")
    expect(verdict, "aliases in a circle", code="DNS.NO_ADDRESS", state=UNREACHABLE, within=1.5)
    assert "circle" in verdict.message


def test_chain_of_aliases(lab: Lab, expect: Expectation, server: str) -> None:
    lab.name("chain-end", server)
    lab.names["chain-b"] = Answer(cname="chain-end")
    lab.names["chain-a"] = Answer(cname="chain-b")
    expect(check(lab, "chain-a.lab.test"), "chain of aliases", code=None, state=FINE, within=1)


def test_name_server_silent_for_every_name(lab: Lab, expect: Expectation) -> None:
    verdict = check(lab, "db.lab.test", vantage="noresolver")
    expect(verdict, "name server unreachable", code="DNS.RESOLVER_DOWN", state=UNREACHABLE, component="10.77.9.53",
           within=2.5, owner="network")  # fmt: skip
    with lab.names.stopped():
        verdict = check(lab, "db.lab.test")
    expect(
        verdict, "name server silent", code="DNS.RESOLVER_DOWN", state=UNREACHABLE, component=NAME_SERVER, within=2.5
    )


def test_name_server_silent_for_one_name(lab: Lab, expect: Expectation) -> None:
    with lab.names.answering("silent", Answer(drop=True)) as name:
        verdict = check(lab, name)
    expect(verdict, "name server silent for one name", code="INCONCLUSIVE", state=UNREACHABLE, component="silent",
           alternatives=["DNS.SERVER_FAILURE", "DNS.RESOLVER_DOWN"], within=2.5)  # fmt: skip


def test_name_server_that_refuses_connections(lab: Lab, expect: Expectation) -> None:
    nobody = lab.host().v4
    with lab.etc("resolv.conf", f"nameserver {nobody}\n"):
        verdict = check(lab, "db.lab.test")
    expect(verdict, "no name server where one is configured", code="DNS.RESOLVER_DOWN", state=UNREACHABLE,
           component=nobody, within=2.5)  # fmt: skip


def test_nothing_configured(lab: Lab, expect: Expectation) -> None:
    with lab.etc("resolv.conf", "# nothing\n"):
        verdict = check(lab, "db.lab.test")
    expect(verdict, "no name server configured", code="DNS.RESOLVER_DOWN", state=UNREACHABLE, component="127.0.0.1",
           within=2.5)  # fmt: skip


def test_second_name_server_steps_in(lab: Lab, expect: Expectation, server: str) -> None:
    name = lab.name("stepped", server)
    with lab.etc("resolv.conf", f"nameserver 10.77.9.53\nnameserver {NAME_SERVER}\n"):
        verdict = check(lab, name)
    expect(verdict, "first name server silent, second answers", code=None, state=FINE, within=2)
    assert any("10.77.9.53" in line and "TIMEOUT" in line for line in stage(verdict, "resolve")["answers"])
    assert stage(verdict, "resolve")["silent_nameservers"] == ["10.77.9.53"]


def test_truncated_answer_is_asked_for_again(lab: Lab, expect: Expectation, server: str) -> None:
    with lab.names.answering("large", Answer(a=[server], truncate=True)) as name:
        expect(check(lab, name), "answer truncated, complete over TCP", code=None, state=FINE, within=1)


def test_slow_name_server(lab: Lab, expect: Expectation, server: str) -> None:
    with lab.names.answering("tardy", Answer(a=[server], delay=0.3)) as name:
        expect(check(lab, name), "slow name server", code=None, state=FINE, within=2)


def test_search_list_and_hosts_file(lab: Lab, expect: Expectation, server: str) -> None:
    lab.name("short", server)
    verdict = check(lab, "short")
    expect(verdict, "name by the search list", code=None, state=FINE, within=1)
    assert "short.lab.test" in stage(verdict, "resolve")["asked"]
    lab.name("pinned", lab.host().v4)
    with lab.etc("hosts", f"{server} other pinned.lab.test # the hosts file wins\n"):
        expect(check(lab, "pinned.lab.test"), "hosts file before DNS", code=None, state=FINE, within=1)
    with (
        lab.etc("hosts", f"{server} pinned.lab.test\n"),
        lab.etc("nsswitch.conf", "hosts: dns files\n"),
    ):
        verdict = check(lab, "pinned.lab.test")
    assert verdict.cause == "PORT.CLOSED", "nsswitch.conf puts DNS first"
    with lab.etc("hosts", f"{server} onlyhosts\n"), lab.etc("nsswitch.conf", "hosts: dns files\n"):
        verdict = check(lab, "onlyhosts")
    expect(verdict, "hosts file after DNS", code=None, state=FINE, within=1)


def test_addresses_of_a_family_that_this_place_lacks(lab: Lab, expect: Expectation) -> None:
    name = lab.name("six", lab.postgresql().host.v6)
    verdict = check(lab, name, vantage="v4only")
    expect(verdict, "IPv6 only, seen from IPv4", code="DNS.NO_USABLE_FAMILY", state=UNREACHABLE,
           component="six.lab.test", within=1)  # fmt: skip
    expect(check(lab, name), "IPv6 only, seen from IPv6", code=None, state=FINE, within=1)


def test_a_family_that_this_place_lacks_is_no_hindrance(lab: Lab, expect: Expectation) -> None:
    host = lab.postgresql().host
    verdict = check(lab, lab.name("both", host.v4, host.v6), vantage="v4only")
    expect(verdict, "both families, seen from IPv4", code=None, state=FINE, within=1)


@pytest.mark.parametrize("dead", [0, 1], ids=["IPv4 dead", "IPv6 dead"])
def test_localhost_with_one_dead_family(lab: Lab, expect: Expectation, dead: int) -> None:
    bound = ["::1", "127.0.0.1"][dead]
    server = lab.postgresql()
    with _forwarder(lab, bound, server.v4):
        verdict = check(lab, "localhost", 15432)
    expect(verdict, "localhost, one family dead", code=None, state=FINE, within=1,
           warnings=["DNS.SOME_ADDRESSES_FAIL"])  # fmt: skip


def _forwarder(lab: Lab, bound: str, to: str) -> Any:
    """Carries connections to a loopback address of the client on to a server."""
    import contextlib
    import socket
    import threading

    @contextlib.contextmanager
    def run() -> Iterator[None]:
        family = socket.AF_INET6 if ":" in bound else socket.AF_INET
        with lab.inside("client"):
            listening = socket.socket(family)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((bound, 15432))
            listening.listen()

        def carry(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = listening.accept()
                    with lab.inside("client"):
                        far = socket.create_connection((to, 5432))
                    for pair in ((near, far), (far, near)):
                        threading.Thread(target=carry, args=pair, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    return run()


# -- routes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [Dead.LOCAL_UNREACHABLE, Dead.LOCAL_UNREACHABLE_V6])
def test_no_route_here(lab: Lab, expect: Expectation, address: str) -> None:
    expect(check(lab, address), "no route here", code="ROUTE.NONE", state=UNREACHABLE, component=address, within=0.5,
           owner="network")  # fmt: skip


def test_no_route_to_a_private_address(lab: Lab, expect: Expectation) -> None:
    verdict = check(lab, "10.99.1.1", vantage="nogateway")
    expect(verdict, "no route to a private address", code="ROUTE.NONE", state=UNREACHABLE, component="10.99.1.1",
           within=0.5, remedy="10.99.1.0/24")  # fmt: skip


@pytest.mark.parametrize("address", [Dead.LOCAL_PROHIBITED, Dead.LOCAL_BLACKHOLE])
def test_route_that_forbids(lab: Lab, expect: Expectation, address: str) -> None:
    expect(check(lab, address), "route here forbids", code="ROUTE.NONE", state=UNREACHABLE, within=0.5)


@pytest.mark.parametrize("which", ["public", "public_v6"])
def test_no_way_out(lab: Lab, expect: Expectation, which: str) -> None:
    address = getattr(lab.postgresql().host, which)
    verdict = check(lab, address, vantage="nogateway")
    expect(verdict, "public address without a way out", code="ROUTE.NAT_MISSING", state=UNREACHABLE,
           component="nogateway", within=0.5)  # fmt: skip
    expect(check(lab, address), "public address", code=None, state=FINE, within=1)


@pytest.mark.parametrize(
    ("address", "router"),
    [
        (Dead.UNREACHABLE, "10.77.1.1"),
        (Dead.UNREACHABLE_V6, "fd77:1::1"),
        (Dead.NO_ROUTE_BEYOND, "10.77.1.1"),
        (Dead.NO_ROUTE_BEYOND_V6, "fd77:1::1"),
    ],
)
def test_router_reports_unreachable(lab: Lab, expect: Expectation, address: str, router: str) -> None:
    expect(check(lab, address), "router reports unreachable", code="ROUTE.REMOTE_UNREACHABLE", state=UNREACHABLE,
           component=router, within=2.5, owner="network")  # fmt: skip


def test_router_finds_no_neighbour(lab: Lab, expect: Expectation) -> None:
    verdict = check(lab, Dead.ROUTED, timeout=5)
    expect(
        verdict, "router finds nobody at the address", code="ROUTE.REMOTE_UNREACHABLE", state=UNREACHABLE, within=5.5
    )


# -- hosts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [Dead.ON_LINK, Dead.ON_LINK_V6])
@pytest.mark.parametrize("timeout", [2, 5])
def test_host_down_on_the_own_segment(lab: Lab, expect: Expectation, address: str, timeout: int) -> None:
    expect(check(lab, address, timeout=timeout), "host down on the own segment", code="HOST.DOWN", state=UNREACHABLE,
           component=address, within=timeout + 0.5)  # fmt: skip


def test_dead_gateway(lab: Lab, expect: Expectation, server: str) -> None:
    from tests.lab.network import run

    namespace = lab.network.namespace("elsewhere")
    run(["ip", "-n", namespace, "route", "add", "10.77.2.0/24", "via", "10.77.3.99"])
    try:
        verdict = check(lab, server, vantage="elsewhere")
    finally:
        run(["ip", "-n", namespace, "route", "del", "10.77.2.0/24", "via", "10.77.3.99"])
    expect(verdict, "gateway down", code="HOST.DOWN", state=UNREACHABLE, component="10.77.3.99", within=2.5)


def _at_port(address: str) -> str:
    return f"[{address}]:5432" if ":" in address else f"{address}:5432"


@pytest.mark.parametrize("address", [Dead.BLACKHOLE, Dead.BLACKHOLE_V6])
def test_blackhole(lab: Lab, expect: Expectation, address: str) -> None:
    expect(check(lab, address), "address swallowed on the way", code="INCONCLUSIVE", state=UNREACHABLE,
           component=_at_port(address), alternatives=["FILTER.DROP", "HOST.DOWN"], within=2.5)  # fmt: skip


def test_blackholed_public_address(lab: Lab, expect: Expectation) -> None:
    expect(check(lab, Dead.BLACKHOLE_PUBLIC), "public address swallowed, canaries answer", code="INCONCLUSIVE",
           state=UNREACHABLE, alternatives=["FILTER.DROP", "HOST.DOWN"], within=2.5)  # fmt: skip
    expect(check(lab, Dead.BLACKHOLE_PUBLIC, network={}), "public address swallowed", code="INCONCLUSIVE",
           state=UNREACHABLE, alternatives=["FILTER.DROP", "HOST.DOWN", "ROUTE.NAT_MISSING"], within=2.5)  # fmt: skip


# -- firewalls --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_closed_port(lab: Lab, expect: Expectation, ipv6: bool) -> None:
    host = lab.host().v6 if ipv6 else lab.host().v4
    expect(check(lab, host), "port closed", code="PORT.CLOSED", state=UNREACHABLE, within=0.5, owner="dba",
           component=_at_port(host))  # fmt: skip


@pytest.mark.parametrize("at", ["router", "server", "client"])
@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_firewall_drops(lab: Lab, expect: Expectation, at: str, ipv6: bool) -> None:
    found = lab.postgresql().host
    host = found.v6 if ipv6 else found.v4
    with lab.filter("drop", host, 5432, at=at):
        verdict = check(lab, host)
    expect(verdict, f"firewall of the {at} drops", code="FILTER.DROP", state=UNREACHABLE, component=_at_port(host),
           within=2.5, owner="network", remedy="/128" if ipv6 else "10.77.1.2/32")  # fmt: skip


def test_firewall_drops_everything(lab: Lab, expect: Expectation, server: str) -> None:
    with lab.filter("drop", server):
        verdict = check(lab, server)
    expect(verdict, "firewall drops every packet", code="INCONCLUSIVE", state=UNREACHABLE, within=2.5,
           alternatives=["FILTER.DROP", "HOST.DOWN"])  # fmt: skip


def test_own_firewall_lets_nothing_out(lab: Lab, expect: Expectation, server: str) -> None:
    verdict = check(lab, server, vantage="egress")
    expect(verdict, "own firewall lets no known port out", code="INCONCLUSIVE", state=UNREACHABLE, within=2.5,
           alternatives=["FILTER.EGRESS", "FILTER.DROP"])  # fmt: skip
    verdict = check(lab, lab.postgresql().host.public, vantage="egress")
    expect(verdict, "own firewall lets no known port out to public addresses", code="FILTER.EGRESS",
           state=UNREACHABLE, within=2.5, component="TCP port 5432 out of egress")  # fmt: skip


@pytest.mark.parametrize("action", ["port-unreachable", "admin-prohibited", "host-prohibited", "net-prohibited"])
@pytest.mark.parametrize("at", ["router", "server"])
def test_firewall_rejects(lab: Lab, expect: Expectation, action: str, at: str, server: str) -> None:
    with lab.filter(action, server, 5432, at=at):
        verdict = check(lab, server)
    reporter = "10.77.1.1" if at == "router" else server
    expect(verdict, f"firewall rejects: {action}", code="FILTER.REJECT", state=UNREACHABLE, component=reporter,
           within=1, owner="network")  # fmt: skip


@pytest.mark.parametrize("action", ["port-unreachable", "admin-prohibited"])
def test_firewall_rejects_ipv6(lab: Lab, expect: Expectation, action: str) -> None:
    host = lab.postgresql().host.v6
    with lab.filter(action, host, 5432):
        verdict = check(lab, host, timeout=3)
    expect(verdict, f"firewall rejects: {action}, IPv6", code="FILTER.REJECT", state=UNREACHABLE, within=3.5)


@pytest.mark.parametrize("address", [Dead.PROHIBITED, Dead.PROHIBITED_V6])
def test_router_prohibits(lab: Lab, expect: Expectation, address: str) -> None:
    time.sleep(3)  # a router limits the messages that it sends, and earlier tests have used up its share
    verdict = check(lab, address)
    # Where this port got none, what the other ports got is a hint and no proof.
    hinted = ("FILTER.REJECT", "FILTER.DROP") if verdict.cause == "INCONCLUSIVE" else ()
    code = "INCONCLUSIVE" if hinted else "FILTER.REJECT"
    expect(verdict, "router prohibits", code=code, state=UNREACHABLE, alternatives=hinted, within=2.5)


@pytest.mark.parametrize("action", ["host-unreachable", "net-unreachable"])
def test_router_imitates_unreachable(lab: Lab, expect: Expectation, action: str, server: str) -> None:
    """From a router it says that the router cannot reach the host, which is what is told."""
    with lab.filter(action, server, 5432):
        verdict = check(lab, server)
    expect(verdict, f"router answers {action}", code="ROUTE.REMOTE_UNREACHABLE", state=UNREACHABLE, within=1,
           component="10.77.1.1")  # fmt: skip


def test_host_unreachable_from_the_host_itself(lab: Lab, expect: Expectation, server: str) -> None:
    """A host that says of itself that it cannot be reached is a firewall on that host."""
    with lab.filter("host-unreachable", server, 5432, at="server"):
        verdict = check(lab, server)
    expect(verdict, "host's own firewall answers host-unreachable", code="FILTER.REJECT", state=UNREACHABLE, within=1,
           component=server)  # fmt: skip


def test_own_firewall_rejects(lab: Lab, expect: Expectation, server: str) -> None:
    with lab.filter("admin-prohibited", server, 5432, at="client"):
        verdict = check(lab, server)
    expect(verdict, "own firewall rejects", code="FILTER.REJECT", state=UNREACHABLE, within=1)


def test_full_backlog(lab: Lab, expect: Expectation) -> None:
    with lab.listener("full", 5432) as listener:
        verdict = check(lab, listener.host)
    assert verdict.cause in ("FILTER.DROP", "INCONCLUSIVE")


# -- policy -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["169.254.169.254", "169.254.10.10", "100.100.100.200", "0.0.0.0", "224.0.0.1"])
def test_forbidden_addresses(lab: Lab, expect: Expectation, address: str) -> None:
    expect(check(lab, address), "forbidden address", code="POLICY.FORBIDDEN_TARGET", state=UNSUPPORT,
           component=address, within=0.5)  # fmt: skip


def test_name_that_leads_to_a_forbidden_address(lab: Lab, expect: Expectation) -> None:
    name = lab.name("rebound", "169.254.169.254")
    expect(check(lab, name), "name of a forbidden address", code="POLICY.FORBIDDEN_TARGET", state=UNSUPPORT,
           component="169.254.169.254", within=0.5)  # fmt: skip


def test_permitted_ranges(lab: Lab, expect: Expectation, server: str) -> None:
    verdict = check(lab, server, permitted_ranges=["10.77.2.0/24"])
    expect(verdict, "inside the permitted ranges", code=None, state=FINE, within=1)
    verdict = check(lab, server, permitted_ranges=["192.0.2.0/24"])
    expect(verdict, "outside the permitted ranges", code="POLICY.FORBIDDEN_TARGET", state=UNSUPPORT, component=server,
           within=0.5)  # fmt: skip
