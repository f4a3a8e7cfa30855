"""What must be let in, in the form that each database or cloud wants."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.allowlist_forms import FORMS, Need, form_of, mysql_host
from registry.allowlists import collapsed, parse

BOTH = collapsed([ip_network("10.77.1.0/24"), ip_network("8.8.8.1/32"), ip_network("2001:db8::/32")])


def written(form: str, *cidrs: str, **more: object) -> list[str]:
    networks = collapsed(ip_network(cidr) for cidr in cidrs) or BOTH
    return [*FORMS[form](Need(networks, 5432, **{"database": "orders", "username": "app", **more}))]


def test_pg_hba_says_how_a_client_comes() -> None:
    assert written("postgresql", "10.77.1.0/24") == ["host orders app 10.77.1.0/24 scram-sha-256"]
    assert written("postgresql", "10.77.1.0/24", over_tls=True) == ["hostssl orders app 10.77.1.0/24 scram-sha-256"]
    assert written("postgresql", "8.8.8.1/32", over_tls=False) == ["hostnossl orders app 8.8.8.1/32 scram-sha-256"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("all", '"all"'), ("+staff", '"+staff"'), ("a b", '"a b"'), ('x"y', '"x""y"'), ("Orders-1", "Orders-1")],
)
def test_pg_hba_takes_names_for_names(name: str, text: str) -> None:
    assert written("postgresql", "8.8.8.1/32", username=name)[0].split(" ", 2)[2].startswith(text)


@pytest.mark.parametrize(
    ("cidr", "host"),
    [
        ("8.8.8.1/32", "8.8.8.1"), ("10.77.1.0/24", "10.77.1.%"), ("10.77.0.0/16", "10.77.%"), ("10.0.0.0/8", "10.%"),
        ("10.77.0.0/23", "10.77.0.0/255.255.254.0"), ("0.0.0.0/0", "%"), ("2001:db8::/32", "2001:db8:%"),
        ("2001:db8::5/128", "2001:db8::5"), ("2001:db8::/48", None), ("2001:db8::/33", None), ("::/0", None),
    ],
)  # fmt: skip
def test_mysql_knows_hosts_by_their_text(cidr: str, host: str | None) -> None:
    assert mysql_host(ip_network(cidr)) == host


def _mysql_lets_in(host: str, address: str) -> bool:
    """As the server compares: a netmask on numbers, `%` on text."""
    base, slash, mask = host.partition("/")
    if slash:
        return int(IPv4Address(address)) & int(IPv4Address(mask)) == int(IPv4Address(base))
    return re.fullmatch(re.escape(host).replace("%", ".*"), address) is not None


@given(st.integers(0, 2**32 - 1), st.integers(1, 32), st.integers(0, 2**32 - 1))
def test_a_mysql_host_lets_in_exactly_the_network(base: int, length: int, other: int) -> None:
    network = ip_network(f"{IPv4Address(base)}/{length}", strict=False)
    host = mysql_host(network)
    assert host is not None
    near = (network.network_address, network.broadcast_address, IPv4Address(other))
    assert [_mysql_lets_in(host, str(one)) for one in near] == [one in network for one in near]


@given(st.integers(0, 2**128 - 1), st.integers(1, 8), st.integers(0, 2**128 - 1))
def test_a_mysql_host_never_lets_in_more_ipv6(base: int, groups: int, other: int) -> None:
    network = ip_network(f"{IPv6Address(base)}/{16 * groups}", strict=False)
    host = mysql_host(network)
    for one in (network.network_address, network.broadcast_address, IPv6Address(other)):
        assert host is None or _mysql_lets_in(host, str(one)) == (one in network)


def test_mysql_accounts_are_whole_statements() -> None:
    made = written("mysql", "10.77.1.0/24", username="o'neil", over_tls=True)
    assert made == [
        "CREATE USER 'o''neil'@'10.77.1.%' IDENTIFIED BY '...' REQUIRE SSL;",
        "GRANT SELECT ON `orders`.* TO 'o''neil'@'10.77.1.%';",
    ]
    assert written("mysql", "2001:db8::/33")[0].startswith("-- 2001:db8::/33")


def test_an_rds_list_has_no_blanks_and_a_thousand_entries_at_most() -> None:
    assert written("rds") == ["8.8.8.1,10.77.1.0/24,2001:db8::/32"]
    many = written("rds", *(f"10.0.{number // 128}.{number % 128 * 2}/32" for number in range(1001)))
    assert [len(one.split(",")) for one in many] == [1000, 1]


def test_nftables_has_a_rule_a_family() -> None:
    v4, v6 = written("nftables", name='retail/orders "x"')
    assert v4.endswith('ip saddr { 8.8.8.1, 10.77.1.0/24 } tcp dport 5432 accept comment "retail/orders x"')
    assert " ip6 saddr { 2001:db8::/32 } tcp dport 5432 accept" in v6
    assert written("nftables", "8.8.8.1/32")[1:] == []


def test_a_security_group_rule_for_both_clouds() -> None:
    (text,) = written("security-group")
    rules = json.loads(text)
    assert rules["aws"]["IpPermissions"][0]["IpRanges"][1]["CidrIp"] == "10.77.1.0/24"
    assert rules["aws"]["IpPermissions"][0]["Ipv6Ranges"][0]["CidrIpv6"] == "2001:db8::/32"
    assert {one["PortRange"] for one in rules["alibaba"]["Permissions"]} == {"5432/5432"}
    assert [one.get("Ipv6SourceCidrIp") for one in rules["alibaba"]["Permissions"]] == [None, None, "2001:db8::/32"]


@pytest.mark.parametrize("form", ["plain", "rds"])
def test_lists_are_read_as_they_are_written(form: str) -> None:
    assert parse(written(form)).networks == BOTH


@pytest.mark.parametrize("form", FORMS)
def test_nothing_to_let_in_is_no_line(form: str) -> None:
    assert [*FORMS[form](Need((), 5432))] == []


def test_the_form_that_goes_with_a_type() -> None:
    assert [form_of(name, managed=True) for name in ("postgresql", "mysql", "redis")] == ["postgresql", "mysql", "rds"]
    assert form_of("restapi", managed=False) == "plain"
