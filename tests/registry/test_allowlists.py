"""What an allowlist lets in, and what a group needs of one."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import types
from registry.allowlists import Allowlist, among, host, networks_of, parse, plain, split
from registry.connection import read_entry
from registry.errors import InvalidInputs
from registry.network import Network

V4 = st.integers(0, 2**32 - 1)
V6 = st.integers(0, 2**128 - 1)


@given(st.tuples(V4, V4), V4)
def test_a_range_lets_in_exactly_what_lies_between_its_ends(ends, address):
    low, high = sorted(ends)
    found = parse(f"{IPv4Address(low)}-{IPv4Address(high)}")
    assert found.covers(host(IPv4Address(address))) == (low <= address <= high)
    assert found.covers(host(IPv4Address(low)))
    assert found.covers(host(IPv4Address(high)))


@given(V6, st.integers(0, 128), V6)
def test_a_cidr_lets_in_what_shares_its_prefix(base, length, address):
    found = parse([f"{IPv6Address(base)}/{length}"])
    inside = base >> (128 - length) == address >> (128 - length)
    mapped = ip_network("::ffff:0:0/96")
    if IPv6Address(base) not in mapped and IPv6Address(address) not in mapped:
        assert found.covers(host(IPv6Address(address))) == inside


@given(st.lists(st.tuples(V4, st.integers(8, 32)), max_size=8), V4)
def test_a_list_lets_in_what_one_of_its_entries_does(entries, address):
    texts = [f"{IPv4Address(base)}/{length}" for base, length in entries]
    wanted = any(IPv4Address(address) in ip_network(text, strict=False) for text in texts)
    assert parse(texts).covers(host(IPv4Address(address))) == wanted
    assert parse(",".join(texts)) == parse(texts)


@given(st.lists(st.tuples(V4, st.integers(8, 32)), max_size=6))
def test_what_is_written_is_read_again(entries):
    found = parse([f"{IPv4Address(base)}/{length}" for base, length in entries])
    assert parse(map(plain, found.networks)) == found


def test_two_halves_cover_the_whole():
    assert parse("10.0.0.0/25,10.0.0.128/25").covers(ip_network("10.0.0.0/24"))
    assert not parse("10.0.0.0/25").covers(ip_network("10.0.0.0/24"))
    assert parse("10.0.0.0/25").touches(ip_network("10.0.0.0/24"))
    assert not parse("10.0.0.0/25").touches(ip_network("10.0.0.128/25"))


def test_the_families_do_not_mix():
    assert not parse("::/0").covers(host("192.0.2.1"))
    assert not parse("0.0.0.0/0").covers(host("2001:db8::1"))
    assert parse("::ffff:10.0.0.0/104").covers(host("10.1.2.3"))
    assert parse("10.0.0.0/8").covers(host("::ffff:10.1.2.3"))


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("10.0.0.0/8,192.0.2.7", ("10.0.0.0/8", "192.0.2.7")),
        (" 10.1.1.1 - 10.1.1.20 ;\n2001:db8::/32,", ("10.1.1.1-10.1.1.20", "2001:db8::/32")),
        (["192.0.2.1,192.0.2.2", "10.0.0.0/255.0.0.0"], ("192.0.2.1", "192.0.2.2", "10.0.0.0/255.0.0.0")),
        ("", ()),
    ],
)
def test_lists_as_consoles_write_them(text, entries):
    assert split(text) == entries
    parse(text)


@pytest.mark.parametrize(
    "entry", ["db.example.com", "10.0.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0.1-2001:db8::1", "10.0.0.1-", "10.0.0", "%"]
)
def test_what_is_no_entry_is_refused_by_name(entry):
    with pytest.raises(ValueError, match=r"is no (address|range)") as refused:
        networks_of(entry)
    assert repr(entry) in str(refused.value)


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("0.0.0.0/1,128.0.0.0/1", "0.0.0.0/0"),
        ("0.0.0.0-255.255.255.255", "0.0.0.0/0"),
        ("10.0.0.0/8,2.0.0.0/7", "public IPv4"),
        ("2000::/4", "public IPv6"),
    ],
)
def test_a_list_that_lets_the_internet_in_is_too_wide(entries, named):
    assert named in (parse(entries).too_wide() or "")


@pytest.mark.parametrize("entries", ["", "10.0.0.0/8,172.16.0.0/12", "8.0.0.0/8", "2001:db8::/32", "fd00::/8"])
def test_lists_of_known_networks_are_not_too_wide(entries):
    assert parse(entries).too_wide() is None


def test_too_wide_counts_the_public_addresses_alone():
    assert Allowlist((ip_network("10.0.0.0/7"),)).too_wide() is None  # 11.0.0.0/8 is public, a /8
    assert ipaddress.ip_network("11.0.0.0/8").is_global


def test_an_entry_keeps_its_servers_list():
    reading = read_entry(types.get("postgresql"), {
        "address": [{"host": "db", "port": 5432}], "database": "d", "username": "u",
        "allowlist": "10.0.0.0/8,192.0.2.7",
    })  # fmt: skip
    assert reading.connection.allowlist == ("10.0.0.0/8", "192.0.2.7")


def test_a_wrong_entry_is_told_with_its_place():
    entry = {"address": [{"host": "db", "port": 5432}], "database": "d", "username": "u", "allowlist": ["10.0.0.300"]}
    with pytest.raises(InvalidInputs) as refused:
        read_entry(types.get("postgresql"), entry, where="retail/orders/prod")
    assert "retail/orders/prod" in str(refused.value)
    assert "allowlist" in str(refused.value)
    assert "10.0.0.300" in str(refused.value)


@pytest.mark.parametrize("entries", [["10.0.0.1", "garbage", "10.0.0.300"], "10.0.0.1, garbage, 10.0.0.300"])
def test_every_wrong_entry_is_told_in_its_place(entries):
    entry = {"address": [{"host": "db", "port": 5432}], "database": "d", "username": "u", "allowlist": entries}
    with pytest.raises(InvalidInputs) as refused:
        read_entry(types.get("postgresql"), entry, where="retail/orders/prod")
    places = [(problem.where, problem.reason.split()[0]) for problem in refused.value.problems]
    assert places == [
        ("retail/orders/prod.allowlist[1]", "'garbage'"),
        ("retail/orders/prod.allowlist[2]", "'10.0.0.300'"),
    ]


# -- what a group needs --------------------------------------------------------------------------------------------

SERVERLESS = Network.model_validate(
    {"type": "serverless", "vswitch_cidrs": ["10.77.1.0/24"], "nat_eips": ["8.8.8.1", "8.8.8.2"]}
)


def test_the_vswitch_is_let_in_at_internal_addresses_and_the_nat_at_public_ones():
    assert SERVERLESS.allowlist_entries(public=False) == (ip_network("10.77.1.0/24"),)
    assert SERVERLESS.allowlist_entries(public=True) == (ip_network("8.8.8.1/32"), ip_network("8.8.8.2/32"))
    own = Network.model_validate({"type": "exclusive", "vswitch_cidrs": ["10.1.0.0/16"], "eips": ["2001:db8::9"]})
    assert own.allowlist_entries(public=True) == (ip_network("2001:db8::9/128"),)


def test_a_shared_group_comes_from_the_published_ranges():
    shared = Network.model_validate({"type": "shared", "published_cidrs": ["100.64.0.0/10"]})
    assert shared.allowlist_entries(public=True) == shared.allowlist_entries(public=False) != ()
    assert shared.platform_cidrs == ()
    beside = Network.model_validate({"type": "serverless", "published_cidrs": ["100.64.0.0/10"]})
    assert beside.allowlist_entries(public=False) == ()
    assert beside.platform_cidrs == (ip_network("100.64.0.0/10"),)


@pytest.mark.parametrize("type_", ["serverless", "exclusive", "shared", "local"])
@pytest.mark.parametrize("public", [True, False])
def test_what_is_not_declared_is_asked_for_by_its_field(type_, public):
    network = Network(type=type_)
    assert network.allowlist_entries(public) == ()
    assert "network." in network.undeclared(public)
    assert network.entry_kind(public)


def test_the_first_network_that_holds_an_address():
    assert among("10.77.1.9", SERVERLESS.vswitch_cidrs) == ip_network("10.77.1.0/24")
    assert among("10.77.2.9", SERVERLESS.vswitch_cidrs) is None
