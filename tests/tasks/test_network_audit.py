"""The network audit: each requirement met and missing, and that one that is missing for want of another is not told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.allowlists import parse
from registry.network import Network
from tasks.clouds import Eip, NatGateway, Route, SnatEntry, Vpc, VSwitch
from tasks.networks import audit as network_audit
from tasks.networks.audit import Facts, Finding, Status

GATEWAY = NatGateway("ngw-1", "Available", available=True, internet=True)
ENTRY = SnatEntry("snat-1", "ngw-1", "Available", True, ("47.97.0.1",), "vsw-1")
VPC = Vpc(
    id="vpc-1",
    region="cn-hangzhou",
    vswitches=(VSwitch("vsw-1", "10.1.0.0/24"), VSwitch("vsw-9", "10.9.0.0/24")),
    nat_gateways=(GATEWAY,),
    snat_entries=(ENTRY,),
    eips=(Eip("47.97.0.1", "InUse", in_use=True, bound_to="ngw-1"),),
    routes=(Route("172.16.0.0/12", "cen-1"), Route("0.0.0.0/0", "ngw-1")),
)
GROUP = {"type": "serverless", "vpc_id": "vpc-1", "vswitch_id": "vsw-1", "vswitch_cidrs": ["10.1.0.0/24"]}


def facts(*, group: Mapping[str, Any] | None = None, vpc: Vpc | None = VPC, **more: Any) -> Facts:
    """A serverless group whose way out is complete, and a public data source that lets it in."""
    given = {"public": True, "address": "47.96.0.10", "allowlist": parse(["47.97.0.1", "10.1.0.0/24"]), **more}
    return Facts(Network.model_validate({**GROUP, **(group or {})}), vpc, **given)


def private(**more: Any) -> Facts:
    """The same, and a private one."""
    return facts(**{"public": False, "address": "172.16.0.10", **more})


def found(given: Facts) -> dict[str, Finding]:
    """The findings by their rules."""
    return {finding.rule: finding for finding in network_audit.audit(given)}


def missing(given: Facts) -> dict[str, str]:
    """What is missing, with the value to add."""
    return {name: each.value for name, each in found(given).items() if each.status is Status.MISSING}


def test_a_way_out_that_is_complete() -> None:
    assert {name: each.status for name, each in found(facts()).items()} == {
        "nat_gateway": Status.MET,
        "snat_entry": Status.MET,
        "eip": Status.MET,
        "allowlist_eip": Status.MET,
        "allowlist_narrow": Status.MET,
    }


def test_a_private_address_that_is_reached() -> None:
    assert {name: each.status for name, each in found(private()).items()} == {
        "route": Status.MET,
        "allowlist_vswitch": Status.MET,
        "allowlist_narrow": Status.MET,
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"nat_gateways": (), "routes": ()}, {"nat_gateway": "vpc-1"}),
        ({"nat_gateways": (replace(GATEWAY, internet=False),)}, {"nat_gateway": "vpc-1"}),
        ({"nat_gateways": (replace(GATEWAY, available=False),)}, {"nat_gateway": "ngw-1"}),
        ({"snat_entries": ()}, {"snat_entry": "10.1.0.0/24"}),
        ({"snat_entries": (replace(ENTRY, vswitch_id="vsw-9"),)}, {"snat_entry": "10.1.0.0/24"}),
        ({"snat_entries": (replace(ENTRY, available=False, status="Pending"),)}, {"snat_entry": "10.1.0.0/24"}),
        ({"snat_entries": (replace(ENTRY, gateway="ngw-elsewhere"),)}, {"snat_entry": "10.1.0.0/24"}),
        ({"snat_entries": (replace(ENTRY, vswitch_id=None, source_cidr="10.0.0.0/8"),)}, {}),
        (
            {"snat_entries": (replace(ENTRY, vswitch_id=None, source_cidr="10.1.0.0/25"),)},
            {"snat_entry": "10.1.0.0/24"},
        ),
        ({"eips": ()}, {"eip": "47.97.0.1"}),
        ({"eips": (Eip("47.97.0.1", "Available", in_use=False),)}, {"eip": "47.97.0.1"}),
    ],
)
def test_the_part_of_the_way_out_that_is_missing(change: dict[str, Any], expected: dict[str, str]) -> None:
    """Only the first: what hangs on it is not asked."""
    assert missing(facts(vpc=replace(VPC, **change))) == expected


def test_the_remedy_of_a_missing_entry_names_gateway_and_vswitch() -> None:
    entry = found(facts(vpc=replace(VPC, snat_entries=())))["snat_entry"]
    assert entry.remedy.startswith("Add an SNAT entry for vsw-1 (10.1.0.0/24) to the NAT gateway ngw-1")


def test_every_address_of_the_snat_entries_has_to_be_let_in() -> None:
    two = replace(ENTRY, addresses=("47.97.0.1", "47.97.0.2"))
    eips = (*VPC.eips, Eip("47.97.0.2", "InUse", in_use=True))
    given = facts(vpc=replace(VPC, snat_entries=(two,), eips=eips))
    assert missing(given) == {"allowlist_eip": "47.97.0.2"}


def test_a_name_without_an_address_is_held_against_the_list_all_the_same() -> None:
    assert missing(facts(address="", allowlist=parse(["10.1.0.0/24"]))) == {"allowlist_eip": "47.97.0.1"}


def test_the_declared_eips_are_held_against_the_real_ones() -> None:
    assert missing(facts(group={"nat_eips": ["47.97.0.9"]})) == {"declared_eips": "47.97.0.1"}
    assert missing(facts(group={"nat_eips": ["47.97.0.1"]})) == {}


def test_a_vswitch_that_is_not_let_in() -> None:
    assert missing(private(allowlist=parse(["47.97.0.1"]))) == {"allowlist_vswitch": "10.1.0.0/24"}


def test_a_private_address_without_a_route() -> None:
    given = private(address="192.168.5.5", allowlist=parse(["10.1.0.0/24"]))
    assert missing(given) == {"route": "192.168.5.5/32"}
    assert "NAT" not in found(given)["route"].remedy
    assert "a new instance is best made in vpc-1 itself" in found(given)["route"].remedy


def test_the_default_route_leads_to_no_private_address() -> None:
    assert missing(private(vpc=replace(VPC, routes=(Route("0.0.0.0/0", "ngw-1"),)))) == {"route": "172.16.0.10/32"}


def test_the_same_vpc_needs_no_route() -> None:
    assert missing(private(vpc=replace(VPC, routes=()), target_vpc="vpc-1")) == {}


def test_a_route_of_another_vswitch_does_not_count() -> None:
    other = replace(VPC, routes=(Route("172.16.0.0/12", "cen-1", "vsw-9"),))
    assert missing(private(vpc=other)) == {"route": "172.16.0.10/32"}


def test_a_list_for_everybody() -> None:
    assert missing(facts(allowlist=parse(["0.0.0.0/0"]))) == {"allowlist_narrow": "0.0.0.0/0"}


def test_an_exclusive_group_comes_from_its_own_eip() -> None:
    group = {"type": "exclusive", "eips": ["47.98.0.1"]}
    assert missing(facts(group=group)) == {"allowlist_own_eip": "47.98.0.1"}
    assert found(facts(group={"type": "exclusive"}))["own_eip"].status is Status.UNKNOWN


def test_a_shared_group_comes_from_its_published_ranges() -> None:
    group = {"type": "shared", "published_cidrs": ["100.104.0.0/16"], "vswitch_cidrs": []}
    assert missing(facts(group=group)) == {"allowlist_own_eip": "100.104.0.0/16"}


@pytest.mark.parametrize(
    "given",
    [
        facts(vpc=None),
        facts(group={"vpc_id": None}, vpc=None),
        facts(group={"vswitch_id": "vsw-none"}),
        facts(vpc=replace(VPC, snat_entries=(), routes=(Route("0.0.0.0/0", "i-natbox"),))),
        facts(allowlist=None),
        private(vpc=replace(VPC, routes=None)),
    ],
)
def test_what_is_not_known_is_not_missing(given: Facts) -> None:
    assert missing(given) == {}
    assert any(each.status is Status.UNKNOWN for each in found(given).values())


@given(
    st.ip_addresses(network="10.0.0.0/8").map(str)
    | st.ip_addresses(network="172.16.0.0/12").map(str)
    | st.ip_addresses(network="192.168.0.0/16").map(str)
)
def test_no_private_address_ever_gets_a_nat_remedy(address: str) -> None:
    """RFC 1918."""
    empty = replace(VPC, nat_gateways=(), snat_entries=(), eips=(), routes=())
    for finding in network_audit.audit(private(address=address, vpc=empty)):
        assert "NAT" not in finding.remedy + finding.told
        assert finding.rule not in ("nat_gateway", "snat_entry", "eip")


def test_each_rule_says_where_it_is_documented() -> None:
    assert len({rule.name for rule in network_audit.RULES}) == len(network_audit.RULES)
    for rule in network_audit.RULES:
        assert "Alibaba Cloud, " in rule.source


def test_each_missing_requirement_has_a_value_and_a_remedy() -> None:
    bare = Vpc("vpc-1", "cn-hangzhou", vswitches=VPC.vswitches, routes=())
    for one in (facts(vpc=bare), private(vpc=bare, allowlist=parse([])), facts(allowlist=parse(["0.0.0.0/0"]))):
        for each in network_audit.audit(one):
            if each.status is Status.MISSING:
                assert each.value
                assert each.remedy
                assert each.component
