"""What stands between a place and its data source and meddles: proxies, limits, hidden MTUs, inspected TLS."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry.verdict import Verdict
from tests.lab.certificates import Authority
from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.network import run
from tests.lab.test_network import CONFIG, FINE, UNREACHABLE, entry, stage
from tests.lab.test_perspectives import together


@contextlib.contextmanager
def rules(lab: Lab, place: str, table: str, rules: str) -> Iterator[None]:
    """A table of nftables at a place for as long as the block lasts; it begins with its family and name."""
    enter = ["nsenter", f"--net=/run/netns/{lab.network.namespace(place)}", "nft"]
    run([*enter, "-f", "-"], text=f"table {table} {{\n{rules}\n}}\n")
    try:
        yield
    finally:
        run([*enter, "delete", "table", *table.split()])


@contextlib.contextmanager
def diverted(lab: Lab, port: int, to: str, of: str = "10.77.1.2") -> Iterator[None]:
    """Whatever a client sends to a port goes to another machine, whoever it was meant for."""
    chain = f"chain pre {{ type nat hook prerouting priority -100; ip saddr {of} tcp dport {port} dnat to {to}; }}"
    with rules(lab, "router", "ip diverted", chain):
        yield


# -- transparent proxies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mute", "close", "reset", "close-after-hello", "reset-after-hello"])
@pytest.mark.parametrize("public", [False, True], ids=["private", "public"])
def test_a_proxy_accepts_in_everybodys_name(lab: Lab, expect: Expectation, kind: str, public: bool) -> None:
    host = lab.postgresql().host
    address = host.public if public else host.v4
    with lab.listener(kind, 15998) as box, diverted(lab, 15998, box.host):
        verdict = lab.check("postgresql", entry(lab, address, 15998), timeout=2)
    expect(verdict, f"a proxy accepts in everybody's name ({kind})", code="FILTER.EGRESS", state=UNREACHABLE,
           component="the way out of client", within=2.5, owner="network")  # fmt: skip
    assert "192.0.2.1" in verdict.message
    assert all(lab.password.encode() not in heard for heard in box.heard)


def test_a_proxy_that_speaks_another_protocol(lab: Lab, expect: Expectation) -> None:
    address = lab.postgresql().v4
    with lab.listener("http", 15998) as box, diverted(lab, 15998, box.host):
        verdict = lab.check("postgresql", entry(lab, address, 15998), timeout=2)
    expect(verdict, "a proxy speaks another protocol", code="INCONCLUSIVE", state=UNREACHABLE, within=2.5,
           alternatives=["FILTER.EGRESS", "PROTO.MISMATCH"])  # fmt: skip


def test_a_proxy_that_lets_this_one_pass_is_no_fault(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql()
    with diverted(lab, 5432, server.v4):
        verdict = lab.check("postgresql", entry(lab, server.v4), timeout=2)
    expect(verdict, "a proxy lets this one pass", code=None, state=FINE, within=2)


@pytest.mark.parametrize(("kind", "code"), [("mute", "PEER.MUTE"), ("reset", "PEER.RESET_EARLY")])
def test_a_dead_backend_without_a_proxy_stays_the_servers(lab: Lab, expect: Expectation, kind: str, code: str) -> None:
    with lab.listener(kind, 5432) as listener:
        verdict = lab.check("postgresql", entry(lab, listener.host), timeout=2)
    expect(verdict, f"half-open load balancer ({kind})", code=code, state=UNREACHABLE, within=2.5)


# -- load balancers ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def balanced(lab: Lab, one: str, other: str) -> Iterator[None]:
    """Whoever connects to the one gets to it and to the other in turn."""
    turns = f"numgen inc mod 2 map {{ 0 : {one}, 1 : {other} }}"
    chain = f"chain pre {{ type nat hook prerouting priority -100; ip daddr {one} tcp dport 5432 dnat to {turns}; }}"
    with rules(lab, "router", "ip balanced", chain):
        yield


def test_one_of_two_servers_demands_tls(lab: Lab, expect: Expectation) -> None:
    certificate = lab.ca.issue("balanced.lab.test")
    strict = lab.postgresql(own="strict", tls=certificate, hba=["hostssl all all all scram-sha-256"])
    other = lab.postgresql(own="other")
    told = {"disable": "INCONCLUSIVE", "require": "TLS.NOT_OFFERED"}
    with balanced(lab, strict.v4, other.v4):
        for sslmode, code in told.items():
            source = {**entry(lab, strict.v4), "properties": {"sslmode": sslmode}}
            verdicts = [lab.check("postgresql", source) for _ in range(2)]
            failing = [verdict for verdict in verdicts if not verdict.connectable]
            for verdict in failing:
                expect(verdict, f"one of two servers demands TLS, sslmode {sslmode}", code=code, state="ConfigError",
                       remedy="make them alike", within=1,
                       alternatives=["TLS.REQUIRED", "ADMIT.ALLOWLIST"] if code == "INCONCLUSIVE" else [])  # fmt: skip
            assert failing, verdicts


def test_one_of_two_servers_has_an_expired_certificate(lab: Lab, expect: Expectation) -> None:
    expired = lab.postgresql(own="expired", tls=lab.ca.issue("balanced.lab.test", valid_from=-9, valid_to=-2))
    other = lab.postgresql(own="valid", tls=lab.ca.issue("balanced.lab.test"))
    name = lab.name("balanced", expired.v4)
    source = {
        **entry(lab, name), "properties": {"sslmode": "verify-full"}, "truststore_file": f"file:{lab.ca.bundle}"
    }  # fmt: skip
    with balanced(lab, expired.v4, other.v4):
        verdicts = [lab.check("postgresql", source) for _ in range(2)]
    failing = [verdict for verdict in verdicts if not verdict.connectable]
    for verdict in failing:
        expect(verdict, "one of two certificates has expired", code="TLS.EXPIRED", state="ConfigError",
               remedy="make them alike", within=1)  # fmt: skip
        assert "A CA certificate" not in verdict.message, "the other server's certificate was no other's fault"
    assert failing, verdicts


# -- large packets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("limit", [700, 1280])
def test_large_packets_vanish(lab: Lab, expect: Expectation, ipv6: bool, limit: int) -> None:
    server = lab.postgresql(own="mtu", tls=lab.ca.issue("mtu.lab.test"))
    host = server.host.v6 if ipv6 else server.v4
    source = {**entry(lab, host), "properties": {"sslmode": "require"}}
    with lab.filter("drop", host, longer_than=limit):
        verdict = lab.check("postgresql", source, timeout=5)
    expect(verdict, f"packets above {limit} bytes vanish", code="ROUTE.MTU", state=UNREACHABLE, within=5.5,
           owner="network", component=host, remedy="MSS")  # fmt: skip
    seen = stage(verdict, "tls")
    assert seen["path_mtu"] <= limit < seen["vanishing_packet"] <= limit + 32
    assert lab.check("postgresql", source).connectable


def test_large_packets_vanish_before_the_peers_first_word(lab: Lab, expect: Expectation) -> None:
    """TLS from the first byte: the server's certificates are the first thing that it would say."""
    server = lab.redis(tls=lab.ca.issue("mtu.lab.test"))
    source = {
        "address": {"host": server.v4, "port": 6379}, "username": "app", "password": lab.password,
        "security_protocol": "authTypeSsl",
    }  # fmt: skip
    with lab.filter("drop", server.v4, longer_than=700):
        verdict = lab.check("redis", source, timeout=5)
    expect(verdict, "packets above 700 bytes vanish, nothing said yet", code="ROUTE.MTU", state=UNREACHABLE, within=5.5)


def test_a_large_answer_vanishes_over_http(lab: Lab, expect: Expectation) -> None:
    server = lab.http(config="location /large { default_type text/plain; return 200 '" + "x" * 3000 + "'; }")
    with lab.filter("drop", server.v4, longer_than=900):
        verdict = lab.check("restapi", {"url": server.url("/large")}, timeout=5)
    expect(verdict, "a large answer vanishes", code="ROUTE.MTU", state=UNREACHABLE, within=5.5)


# -- limits -----------------------------------------------------------------------------------------------------------


def test_every_other_connection_is_refused(lab: Lab, expect: Expectation) -> None:
    """A load balancer with a backend that is down, or a limit that answers with RST."""
    server = lab.postgresql()
    chain = (
        f"chain pre {{ type filter hook input priority -5; ip daddr {server.v4} tcp dport 5432 tcp flags syn / syn,ack "
        "numgen inc mod 2 0 reject with tcp reset; }"
    )
    causes = []
    with rules(lab, "server", "ip limited", chain):
        for _ in range(2):
            verdict = lab.check("postgresql", entry(lab, server.v4), timeout=2)
            if not verdict.connectable:
                expect(verdict, "every other connection is refused", code="INCONCLUSIVE", state=UNREACHABLE,
                       alternatives=["FILTER.REJECT", "PORT.CLOSED"], within=1)  # fmt: skip
                assert "accepted 1 of the next 2" in verdict.message
            causes.append(verdict.cause)
    assert "INCONCLUSIVE" in causes


def test_some_connections_are_dropped(lab: Lab, expect: Expectation) -> None:
    """The first request of each three is dropped, and so is what the kernel repeats of it."""
    server = lab.postgresql()
    chain = (
        "set first { type inet_service; flags dynamic; size 64; }\n"
        f"chain pre {{ type filter hook input priority -5; ip daddr {server.v4} tcp dport 5432 jump judge; }}\n"
        "chain judge { tcp sport @first drop; tcp flags syn / syn,ack numgen inc mod 9 0 "
        "add @first { tcp sport } drop; }"
    )
    with rules(lab, "server", "ip limited", chain):
        verdict = lab.check("postgresql", entry(lab, server.v4), timeout=2)
    expect(verdict, "some connections are dropped", code="INCONCLUSIVE", state=UNREACHABLE, within=2.5,
           alternatives=["FILTER.DROP", "CAPACITY.CONNECTIONS"])  # fmt: skip
    assert "accepted 2 of the next 2" in verdict.message


def test_a_limit_of_new_connections_is_no_closed_port(lab: Lab, expect: Expectation, tmp_path: Path) -> None:
    """Several sources behind one address: one is answered, and the limit leaves the others without an answer."""
    server = lab.postgresql()
    names = [f"orders{number}" for number in range(4)]
    entries = [{"name": name, "type": "postgresql", "prod": entry(lab, server.v4)} for name in names]
    workspace = {"name": "sales", "mode": "basic", "resource_groups": ["client"], "data_sources": entries}
    groups = [{"name": "client", "kind": "local"}]
    for one in entries:
        one["prod"] |= {"password": "env:SECRET", "properties": {"sslmode": "disable"}}
    declared = tmp_path / "sales.yaml"
    declared.write_text(yaml.safe_dump({"version": 1, "resource_groups": groups, "workspaces": [workspace]}))
    env = {"HEADWATER_HOME": str(tmp_path / "home"), "SECRET": lab.password}
    applied = lab.cli(["apply", "-f", str(declared)], env=env)
    assert applied.returncode == 0, applied.stderr
    chain = (
        f"chain pre {{ type filter hook input priority -5; ip daddr {server.v4} tcp dport 5432 ct state new "
        "limit rate over 1/minute burst 2 packets drop; }"
    )
    with rules(lab, "server", "ip limited", chain):
        told = lab.cli(["test", "--timeout", "3", "--output", "json"], env=env)
    verdicts = [Verdict.model_validate(one) for one in json.loads(told.stdout)]
    answered = [one for one in verdicts if one.connectable]
    silent = [one for one in verdicts if not one.connectable]
    assert answered, told.stdout
    assert silent, told.stdout
    for verdict in silent:
        expect(verdict, "a limit of new connections, seen by several sources", code="INCONCLUSIVE", state=UNREACHABLE,
               alternatives=["FILTER.DROP", "CAPACITY.CONNECTIONS"], within=3.5, remedy="limits")  # fmt: skip
        assert "converses with client for orders" in verdict.message


# -- inspected TLS ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def inspected(lab: Lab) -> Iterator[str]:
    """A server whose TLS is decrypted on the way from `client`, and from there alone."""
    right = lab.postgresql(own="right", tls=lab.ca.issue("inspected.lab.test"))
    name = lab.name("inspected", right.v4)
    forger = Authority(lab.network.directory, "Inspection CA")
    forged = lab.postgresql(own="forged", tls=forger.issue("inspected.lab.test"))
    chain = (
        f"chain pre {{ type nat hook prerouting priority -100; ip saddr 10.77.1.2 ip daddr {right.v4} tcp dport 5432 "
        f"dnat to {forged.v4}; }}"
    )
    with rules(lab, "router", "ip inspecting", chain):
        yield name


def _secure(lab: Lab, name: str, **changes: Any) -> dict[str, Any]:
    return {**entry(lab, name), **changes}


def test_tls_is_decrypted_on_the_way(lab: Lab, expect: Expectation, inspected: str) -> None:
    source = _secure(
        lab, inspected, properties={"sslmode": "verify-full"}, truststore_file=f"file:{lab.ca.bundle}"
    )  # fmt: skip
    here, there = together(lab, "postgresql", source, "client", "elsewhere")
    expect(there, "TLS is decrypted elsewhere", code=None, state=FINE, within=2)
    expect(here, "TLS is decrypted on the way", code="TLS.UNTRUSTED_CA", state=CONFIG, component="Inspection CA",
           within=2, owner="network", remedy="Exempt")  # fmt: skip
    assert "elsewhere has verified" in here.message
    assert stage(here, "tls")["decided_by"] == ["elsewhere"]


def test_tls_is_decrypted_and_nobody_verifies(lab: Lab, expect: Expectation, inspected: str) -> None:
    source = _secure(lab, inspected, properties={"sslmode": "require"})
    verdicts: list[Verdict] = together(lab, "postgresql", source, "client", "elsewhere")
    for verdict in verdicts:
        expect(verdict, "TLS is decrypted on the way and nobody verifies", code=None, state=FINE, within=2,
               warnings=["TLS.NOT_VERIFIED"])  # fmt: skip
        assert any("Inspection CA" in warning.message for warning in verdict.warnings)
