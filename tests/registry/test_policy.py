"""Which addresses tests may be aimed at."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.policy import METADATA, is_nobodys, refusal_of


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "::1", "8.8.8.8", "2001:db8::1", "fd00::1"])
def test_ordinary_addresses_may_be_tested(address: str) -> None:
    assert refusal_of(address) is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("169.254.169.254", "metadata"),
        ("100.100.100.200", "Alibaba"),
        ("fd00:ec2::254", "AWS"),
        ("169.254.170.2", "ECS"),
        ("168.63.129.16", "Azure"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("255.255.255.255", "broadcast"),
    ],
)
def test_refused_by_default(address: str, reason: str) -> None:
    refusal = refusal_of(address)
    assert refusal is not None
    assert reason in refusal.reason


_REFUSED = [address for address in METADATA if isinstance(address, IPv4Address)] + [IPv4Address("169.254.9.9")]


@given(st.sampled_from(_REFUSED), st.integers(0, 2**64 - 1))
def test_no_form_that_carries_a_refused_address_gets_through(address: IPv4Address, rest: int) -> None:
    number = int(address)
    for form in (
        0xFFFF << 32 | number,
        number,
        0xFFFF << 48 | number,
        0x0064_FF9B << 96 | number,
        0x0064_FF9B_0001 << 80 | number,
        0x2002 << 112 | number << 80 | rest,
    ):
        refusal = refusal_of(ip_address(form.to_bytes(16)))
        assert refusal is not None
        assert str(address) in refusal.reason


def test_permitted_ranges_shut_everything_else() -> None:
    ranges = ["10.0.0.0/8", "2001:db8::/32"]
    assert refusal_of("10.1.2.3", ranges) is None
    assert refusal_of("::ffff:10.1.2.3", ranges) is None
    assert refusal_of("2001:db8::9", ranges) is None
    for outside in ("192.168.0.1", "127.0.0.1", "::1", "2002:a01:203::1"):
        refusal = refusal_of(outside, ranges)
        assert refusal is not None
        assert "outside the permitted ranges 10.0.0.0/8" in refusal.reason


def test_link_local_is_opened_only_by_name() -> None:
    assert refusal_of("169.254.1.1", ["169.254.0.0/16"]) is None
    assert refusal_of("169.254.1.1", ["169.254.1.0/24"]) is None
    assert refusal_of("fe80::1", ["fe80::/10"]) is None
    assert refusal_of("169.254.1.1", ["0.0.0.0/0"]) is not None


def test_metadata_is_opened_only_by_its_very_address() -> None:
    for wide in (["0.0.0.0/0"], ["169.254.0.0/16"], ["169.254.169.254/31"]):
        assert refusal_of("169.254.169.254", wide) is not None
    assert refusal_of("169.254.169.254", ["169.254.169.254/32"]) is None
    assert refusal_of("fd00:ec2::254", ["fd00::/8"]) is not None
    assert refusal_of("fd00:ec2::254", ["fd00:ec2::254/128"]) is None


def test_nothing_opens_what_is_nobodys() -> None:
    assert refusal_of("224.0.0.1", ["224.0.0.1/32"]) is not None
    assert refusal_of("0.0.0.0", ["0.0.0.0/0"]) is not None


@pytest.mark.parametrize(
    ("address", "nobodys"),
    [("0.0.0.0", True), ("::", True), ("::ffff:224.0.0.1", True), ("169.254.169.254", False), ("10.0.0.1", False)],
)
def test_what_no_one_host_has(address: str, nobodys: bool) -> None:
    assert is_nobodys(address) is nobodys
