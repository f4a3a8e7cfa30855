"""The network audit: what a resource group's network lacks to reach a data source, from facts alone.

A public address is reached from a serverless group through an Internet NAT gateway of its VPC: an SNAT entry for the
group's vSwitch, whose address is an EIP in use, which the data source lets in. A private address needs a route, and the
vSwitch's CIDR let in; no NAT gateway helps there. Pure functions; one row of `RULES` a requirement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_network

from registry import allowlists
from registry.allowlists import Allowlist, plain
from registry.network import Network
from tasks.clouds import NatGateway, SnatEntry, Vpc, VSwitch


class Status(StrEnum):
    """How a requirement stands."""

    MET = "met"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Facts:
    """What is known about one resource group and one data source.

    Attributes:
        network: What is declared about the group.
        vpc: Its VPC, as the cloud tells; None where the cloud was not asked or does not know it.
        public: Whether the data source is reached at a public address.
        address: The data source's, numeric; empty where none is in question.
        allowlist: Who may come in there; None where that is not known.
        target_vpc: The VPC of the data source.
    """

    network: Network
    vpc: Vpc | None
    public: bool
    address: str = ""
    allowlist: Allowlist | None = None
    target_vpc: str | None = None


@dataclass(frozen=True)
class Finding:
    """How one requirement stands, and the exact value that mends it.

    Attributes:
        component: What is at fault or was looked at.
        value: What to add or bind: ids, addresses, CIDRs.
    """

    rule: str
    status: Status
    component: str
    told: str
    remedy: str = ""
    value: str = ""
    source: str = ""


@dataclass(frozen=True)
class Rule:
    """One requirement.

    Attributes:
        applies: To which group and address.
        judge: How it stands; the engine adds the rule's name and source.
        source: Where the requirement is documented.
    """

    name: str
    applies: Callable[[Facts], bool]
    judge: Callable[[Facts], Finding]
    source: str


def audit(facts: Facts) -> list[Finding]:
    """Every requirement that applies, in the order of the way out; one that hangs on a missing one is not asked."""
    found: list[Finding] = []
    for rule in RULES:
        if rule.applies(facts):
            found.append(replace(rule.judge(facts), rule=rule.name, source=rule.source))
            if found[-1].status is Status.MISSING and rule.name in _CHAIN:
                break
    return found


#: The evidence of a way out that is incomplete.
EVIDENCE = ("nat_lacks", "nat_told", "nat_remedy")


def way_out_lacks(network: Network, vpc: Vpc | None) -> dict[str, str]:
    """What a group's VPC lacks to reach public addresses, as evidence; empty for nothing, or nothing known."""
    missing = [each for each in audit(Facts(network, vpc, public=True)) if each.status is Status.MISSING]
    chain = [each for each in missing if each.rule in _CHAIN]
    return dict(zip(EVIDENCE, (chain[0].component, chain[0].told, chain[0].remedy), strict=True)) if chain else {}


# --- the parts ------------------------------------------------------------------------------------------------------


def own_vswitches(facts: Facts) -> list[VSwitch]:
    """The vSwitches of the VPC that are the group's."""
    network, known = facts.network, facts.vpc.vswitches if facts.vpc else ()
    declared = {str(cidr) for cidr in network.vswitch_cidrs}
    if network.vswitch_id is not None:
        return [one for one in known if one.id == network.vswitch_id]
    return [one for one in known if one.cidr in declared]


def _working(vpc: Vpc) -> list[NatGateway]:
    return [gateway for gateway in vpc.nat_gateways if gateway.internet and gateway.available]


def _covers(entry: SnatEntry, vswitch: VSwitch) -> bool:
    if entry.vswitch_id == vswitch.id:
        return True
    return entry.source_cidr is not None and _inside(vswitch.cidr, entry.source_cidr)


def _inside(inner: str, outer: str) -> bool:
    return Allowlist((ip_network(outer, strict=False),)).covers(ip_network(inner, strict=False))


def snat_entries(facts: Facts) -> list[SnatEntry]:
    """The working entries of working gateways through which the group's vSwitches leave."""
    if facts.vpc is None:
        return []
    gateways = {gateway.id for gateway in _working(facts.vpc)}
    own = own_vswitches(facts)
    return [
        entry
        for entry in facts.vpc.snat_entries
        if entry.available and entry.gateway in gateways and any(_covers(entry, vswitch) for vswitch in own)
    ]


# --- the judgements -------------------------------------------------------------------------------------------------


def _met(component: str, told: str) -> Finding:
    return Finding("", Status.MET, component, told)


def _unknown(component: str, told: str, remedy: str = "") -> Finding:
    return Finding("", Status.UNKNOWN, component, told, remedy)


def _missing(component: str, told: str, remedy: str, value: str) -> Finding:
    return Finding("", Status.MISSING, component, told, remedy, value)


def _gateway(facts: Facts) -> Finding:
    vpc = facts.vpc
    if vpc is None:
        return _vpc_unknown(facts)
    leading = [gateway for gateway in vpc.nat_gateways if gateway.internet]
    working = _working(vpc)
    other = _other_way(facts)
    if other is not None:
        return other
    if working:
        return _met(working[0].id, f"{vpc.id} has the Internet NAT gateway {working[0].id}")
    if leading:
        one = leading[0]
        return _missing(
            one.id,
            f"the Internet NAT gateway {one.id} of {vpc.id} is {one.status}, not Available",
            f"Bring {one.id} back (its charges, its state in the VPC console) or create another in {vpc.id}",
            one.id,
        )
    return _missing(
        vpc.id,
        f"the VPC {vpc.id} has no Internet NAT gateway",
        f"Create an Internet NAT gateway in {vpc.id} ({vpc.region}), bind an EIP to it, and add an SNAT entry for "
        f"{_vswitch_words(facts)}",
        vpc.id,
    )


def _other_way(facts: Facts) -> Finding | None:
    """A default route of the group's vSwitch that leads to no NAT gateway known: what is behind it is not known."""
    if facts.vpc is None:
        return None
    own, gateways = {one.id for one in own_vswitches(facts)}, {one.id for one in facts.vpc.nat_gateways}
    for route in facts.vpc.routes or ():
        if route.destination == "0.0.0.0/0" and route.vswitch_id in (None, *own) and route.next_hop not in gateways:
            return _unknown(route.next_hop, f"the default route leads to {route.next_hop}, which is no NAT gateway")
    return None


def _vpc_unknown(facts: Facts) -> Finding:
    name = facts.network.vpc_id
    if name is None:
        return _unknown(
            "network.vpc_id",
            "the VPC of the group is not declared",
            "Declare network: {cloud, region_id, vpc_id, vswitch_id} of the group",
        )
    return _unknown(name, f"the cloud does not tell what is in {name}", "Check cloud and region_id of the group")


def _vswitch_words(facts: Facts) -> str:
    own = own_vswitches(facts)
    named = [f"{one.id} ({one.cidr})" for one in own]
    declared = [*filter(None, [facts.network.vswitch_id]), *map(str, facts.network.vswitch_cidrs)]
    return ", ".join(named or declared) or "the vSwitch of the group"


def _snat(facts: Facts) -> Finding:
    vpc = facts.vpc
    if vpc is None:
        return _vpc_unknown(facts)
    own = own_vswitches(facts)
    if not own:
        return _unknown(
            _vswitch_words(facts),
            f"{vpc.id} is not known to have {_vswitch_words(facts)}",
            "Declare network.vswitch_id of the group, one of: " + (", ".join(one.id for one in vpc.vswitches) or "-"),
        )
    other = _other_way(facts)
    if other is not None:
        return other
    bare = [one for one in own if not any(_covers(entry, one) for entry in snat_entries(facts))]
    if not bare:
        return _met(own[0].id, f"SNAT entries cover {_vswitch_words(facts)}")
    one, gateway = bare[0], _working(vpc)[0].id
    stopped = [entry for entry in vpc.snat_entries if _covers(entry, one) and not entry.available]
    if stopped:
        entry = stopped[0]
        return _missing(
            entry.id,
            f"the SNAT entry {entry.id} for {one.id} is {entry.status}, not Available",
            f"Wait until {entry.id} is Available, or add another SNAT entry for {one.id} ({one.cidr}) to {gateway}",
            one.cidr,
        )
    return _missing(
        gateway,
        f"no SNAT entry of {gateway} covers {one.id} ({one.cidr})",
        f"Add an SNAT entry for {one.id} ({one.cidr}) to the NAT gateway {gateway}, with an EIP that is bound to it",
        one.cidr,
    )


def _eip(facts: Facts) -> Finding:
    if facts.vpc is None or not snat_entries(facts):
        return _unknown(_vswitch_words(facts), "no SNAT entry is known whose address could be looked at")
    states = {eip.address: eip for eip in facts.vpc.eips}
    for entry in snat_entries(facts):
        for address in entry.addresses:
            eip = states.get(address)
            if eip is None or not eip.in_use:
                state = f"is {eip.status}, not InUse" if eip else "is no EIP of this account"
                return _missing(
                    address,
                    f"the address {address} of the SNAT entry {entry.id} {state}",
                    f"Bind the EIP {address} to the NAT gateway {entry.gateway}, or give {entry.id} an EIP that is",
                    address,
                )
    used = _snat_addresses(facts)
    return _met(", ".join(used), f"the group comes from {', '.join(used)}")


def _snat_addresses(facts: Facts) -> list[str]:
    return list(dict.fromkeys(address for entry in snat_entries(facts) for address in entry.addresses))


def _own_eip(facts: Facts) -> Finding:
    own = [str(address) for address in facts.network.eips]
    if own:
        return _met(", ".join(own), f"the group has its own EIP {', '.join(own)}")
    return _unknown(
        "network.eips",
        "the EIP of the group is not declared",
        "Declare network.eips: the group's details show its EIP",
    )


def _declared(facts: Facts) -> Finding:
    declared = sorted(str(address) for address in facts.network.nat_eips or ())
    real = sorted(_snat_addresses(facts))
    if declared == real:
        return _met("network.nat_eips", "what is declared is what the NAT gateway has")
    return _missing(
        "network.nat_eips",
        f"declared are {', '.join(declared) or 'none'}, the SNAT entries have {', '.join(real)}",
        f"Declare network.nat_eips: [{', '.join(real)}] of the group",
        ", ".join(real),
    )


def _let_in_public(facts: Facts) -> Finding:
    return _let_in(facts, [allowlists.host(address) for address in _snat_addresses(facts)], "the EIP")


def _let_in_declared(facts: Facts) -> Finding:
    entries = facts.network.allowlist_entries(facts.public)
    return _let_in(facts, entries, facts.network.entry_kind(facts.public))


def _let_in(facts: Facts, entries: Sequence[allowlists.Network], kind: str) -> Finding:
    if facts.allowlist is None:
        return _unknown("allowlist", "the allowlist of the data source is not known")
    if not entries:
        return _unknown(kind, f"{kind} is not known", facts.network.undeclared(facts.public))
    lacking = [plain(entry) for entry in entries if not facts.allowlist.covers(entry)]
    if not lacking:
        return _met(kind, f"the allowlist lets in {', '.join(map(plain, entries))}")
    value = ", ".join(lacking)
    return _missing(
        value,
        f"the allowlist does not let in {value}: {kind}",
        f"Add {value} to the allowlist of the data source",
        value,
    )


def _narrow(facts: Facts) -> Finding:
    wide = facts.allowlist.too_wide() if facts.allowlist is not None else None
    if wide is None:
        return _met("allowlist", "the allowlist lets in no more than clients need")
    return _missing(
        wide,
        f"the allowlist lets in {wide}",
        f"Take {wide} out, after adding what the resource groups come from",
        wide,
    )


def _route(facts: Facts) -> Finding:
    own = facts.network.vpc_id
    if own is not None and own == facts.target_vpc:
        return _met(own, f"the data source is in the VPC of the group, {own}")
    if facts.vpc is None:
        return _vpc_unknown(facts)
    if facts.vpc.routes is None or not facts.address:
        return _unknown(facts.vpc.id, f"the route tables of {facts.vpc.id} are not known")
    ids = {one.id for one in own_vswitches(facts)}
    wanted = plain(allowlists.host(facts.address))
    for route in facts.vpc.routes:
        everything = ip_network(route.destination, strict=False).prefixlen == 0
        if route.vswitch_id in (None, *ids) and not everything and _inside(wanted, route.destination):
            return _met(route.next_hop, f"{route.destination} is routed to {route.next_hop}")
    entry = f"{wanted}/{32 if '.' in wanted else 128}"
    return _missing(
        facts.vpc.id,
        f"no route of {facts.vpc.id} leads to {wanted}",
        f"Connect the networks (CEN, VPC peering, VPN, Express Connect) and add a route with the destination {entry}, "
        f"or the data source's own network, to {facts.vpc.id}; a new instance is best made in {facts.vpc.id} itself, "
        "which needs neither",
        entry,
    )


# --- the table ------------------------------------------------------------------------------------------------------


def _through_nat(facts: Facts) -> bool:
    return facts.public and facts.network.type == "serverless"


def _aimed(facts: Facts) -> bool:
    """Whether a data source is in question, and not the way out alone."""
    return bool(facts.address or facts.target_vpc or facts.allowlist is not None)


def _known_list(facts: Facts) -> bool:
    return facts.allowlist is not None


_NAT_PAGE = "Alibaba Cloud, NAT Gateway: use the SNAT feature of an Internet NAT gateway to access the Internet"
_DATAWORKS_PAGE = "Alibaba Cloud, DataWorks: network connectivity solutions, configure an IP address whitelist"

RULES: tuple[Rule, ...] = (
    Rule("nat_gateway", _through_nat, _gateway, f"{_NAT_PAGE}; VPC API 2016-04-28, DescribeNatGateways: Status"),
    Rule("snat_entry", _through_nat, _snat, f"{_NAT_PAGE}; DescribeSnatTableEntries: SourceVSwitchId, SourceCIDR"),
    Rule("eip", _through_nat, _eip, f"{_NAT_PAGE}; DescribeEipAddresses: Status InUse"),
    Rule(
        "declared_eips",
        lambda facts: _through_nat(facts) and facts.network.nat_eips is not None and bool(snat_entries(facts)),
        _declared,
        _DATAWORKS_PAGE,
    ),
    Rule("allowlist_eip", lambda facts: _through_nat(facts) and _aimed(facts), _let_in_public, _DATAWORKS_PAGE),
    Rule("own_eip", lambda facts: facts.public and facts.network.type == "exclusive", _own_eip, _DATAWORKS_PAGE),
    Rule(
        "allowlist_own_eip",
        lambda facts: facts.public and facts.network.type != "serverless" and _aimed(facts),
        _let_in_declared,
        _DATAWORKS_PAGE,
    ),
    Rule(
        "route",
        lambda facts: not facts.public and bool(facts.address or facts.target_vpc),
        _route,
        "Alibaba Cloud, DataWorks: network connectivity solutions; VPC API 2016-04-28, DescribeRouteEntryList",
    ),
    Rule("allowlist_vswitch", lambda facts: not facts.public, _let_in_declared, _DATAWORKS_PAGE),
    Rule("allowlist_narrow", _known_list, _narrow, "Alibaba Cloud, ApsaraDB RDS: 0.0.0.0/0 lets every address in"),
)

#: Each of these hangs on the one before: the first that is missing is the one to mend first.
_CHAIN = frozenset({"nat_gateway", "snat_entry", "eip"})


def shown(finding: Finding) -> Mapping[str, str]:
    """A finding as plain texts."""
    return {
        "rule": finding.rule, "status": str(finding.status), "component": finding.component, "message": finding.told,
        "remedy": finding.remedy, "value": finding.value, "source": finding.source,
    }  # fmt: skip
