"""What a source's network needs, by where the source is: the six situations of the documents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry.allowlists import parse
from tasks.networks.audit import Facts, Status
from tests.tasks.test_network_audit import VPC, facts, found, missing, private

#: What an audit has to find where nothing was done yet.
NOBODY = parse(["192.0.2.1"])
BARE = replace(VPC, routes=(), nat_gateways=(), snat_entries=(), eips=())

SITUATIONS: dict[str, tuple[Facts, dict[str, str]]] = {
    "in the group's VPC": (
        private(address="10.9.0.5", target_vpc="vpc-1", vpc=BARE, allowlist=NOBODY),
        {"allowlist_vswitch": "10.1.0.0/24"},
    ),
    "in a VPC of another region": (
        private(address="192.168.5.5", target_vpc="vpc-of-beijing", vpc=BARE, allowlist=NOBODY),
        {"route": "192.168.5.5/32", "allowlist_vswitch": "10.1.0.0/24"},
    ),
    "in a VPC of another account": (
        private(address="192.168.6.6", target_vpc="vpc-of-others", vpc=BARE, allowlist=NOBODY),
        {"route": "192.168.6.6/32", "allowlist_vswitch": "10.1.0.0/24"},
    ),
    "on a machine in the cloud": (
        private(address="10.200.0.9", vpc=BARE, allowlist=NOBODY),
        {"route": "10.200.0.9/32", "allowlist_vswitch": "10.1.0.0/24"},
    ),
    "in a data centre": (
        private(address="192.168.100.7", vpc=BARE, allowlist=NOBODY),
        {"route": "192.168.100.7/32", "allowlist_vswitch": "10.1.0.0/24"},
    ),
    "in public": (facts(vpc=BARE, allowlist=NOBODY), {"nat_gateway": "vpc-1"}),
    "in public, all but the allowlist done": (facts(allowlist=NOBODY), {"allowlist_eip": "47.97.0.1"}),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_each_situation_is_told_what_it_lacks(situation: str) -> None:
    given, lacking = SITUATIONS[situation]
    assert missing(given) == lacking
    findings = found(given)
    for rule in lacking:
        assert lacking[rule] in findings[rule].remedy
    if "route" in lacking:
        assert all(way in findings["route"].remedy for way in ("CEN", "VPN", "Express Connect"))
    assert not given.public or not any(
        one.status is Status.MISSING and one.rule == "route" for one in findings.values()
    )
