"""EC2: security groups, subnets, NAT gateways, route tables, elastic IP addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.clouds import Eip, NatGateway, Route, VSwitch
from tasks.clouds.aws.calls import Body, Caller


async def let_in(
    caller: Caller, groups: Sequence[str], ports: Sequence[int]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The CIDRs that security groups let in on some ports, and the groups and prefix lists that they name besides."""
    if not groups:
        return (), ()
    rows = await caller.rows("ec2", "describe_security_groups", "SecurityGroups", GroupIds=list(groups))
    rules = [rule for row in rows for rule in row.get("IpPermissions") or () if _on(rule, ports)]
    cidrs = [one["CidrIp"] for rule in rules for one in rule.get("IpRanges") or ()]
    cidrs += [one["CidrIpv6"] for rule in rules for one in rule.get("Ipv6Ranges") or ()]
    named = [one["GroupId"] for rule in rules for one in rule.get("UserIdGroupPairs") or ()]
    named += [one["PrefixListId"] for rule in rules for one in rule.get("PrefixListIds") or ()]
    return tuple(dict.fromkeys(cidrs)), tuple(dict.fromkeys(named))


def _on(rule: Body, ports: Sequence[int]) -> bool:
    if rule.get("IpProtocol") == "-1":
        return True
    first, last = rule.get("FromPort", 0), rule.get("ToPort", 65535)
    return rule.get("IpProtocol") in ("tcp", "6") and any(first <= port <= last for port in ports)


async def subnets(caller: Caller, vpc_id: str | None) -> Sequence[VSwitch]:
    if vpc_id is None:
        return ()
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}]
    rows = await caller.rows("ec2", "describe_subnets", "Subnets", Filters=filters)
    return [VSwitch(str(row["SubnetId"]), str(row["CidrBlock"])) for row in rows]


def gateway(row: Body) -> NatGateway:
    state = str(row.get("State", ""))
    internet = row.get("ConnectivityType", "public") == "public"
    return NatGateway(str(row["NatGatewayId"]), state, state == "available", internet)


def public_addresses(gateway: Body) -> tuple[str, ...]:
    found = (one.get("PublicIp") for one in gateway.get("NatGatewayAddresses") or ())
    return tuple(str(address) for address in found if address)


def routes_of(tables: Sequence[Body], subnets: Sequence[str]) -> Iterator[Route]:
    """The active routes of every subnet: those of its own table, else those of the VPC's main one."""
    own = {one["SubnetId"]: table for table in tables for one in table.get("Associations") or () if "SubnetId" in one}
    main = next((table for table in tables if any(one.get("Main") for one in table.get("Associations") or ())), {})
    for subnet in subnets:
        for route in own.get(subnet, main).get("Routes") or ():
            destination = route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")
            if destination and route.get("State", "active") == "active":
                yield Route(str(destination), _hop(route), subnet)


def _hop(route: Body) -> str:
    names = (
        "NatGatewayId", "GatewayId", "TransitGatewayId", "VpcPeeringConnectionId", "NetworkInterfaceId", "InstanceId"
    )  # fmt: skip
    return str(next((route[name] for name in names if route.get(name)), "another hop"))


async def eips(caller: Caller, addresses: Sequence[str]) -> list[Eip]:
    if not addresses:
        return []
    filters = [{"Name": "public-ip", "Values": list(addresses)}]
    rows = await caller.rows("ec2", "describe_addresses", "Addresses", Filters=filters)
    return [
        Eip(
            address=str(row["PublicIp"]),
            status="associated" if row.get("AssociationId") else "not associated",
            in_use=bool(row.get("AssociationId")),
            bound_to=str(row.get("NetworkInterfaceId", "")),
        )
        for row in rows
    ]
