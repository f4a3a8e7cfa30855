"""AWS, through boto3: RDS instances and clusters, ElastiCache; security groups, NAT gateways; roles of other accounts.

A subnet stands for a vSwitch, the rules of the security groups for the allowlist, and a default route from a subnet to
a NAT gateway for an SNAT entry. Credentials come from boto3's default chain; `AWS_ENDPOINT_URL` and its like are
boto3's.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tasks import clouds
from tasks.budget import Budget
from tasks.clouds import Instance, SnatEntry, Vpc, Wanted
from tasks.clouds.aws.calls import Caller, identity
from tasks.clouds.aws.databases import cache, database
from tasks.clouds.aws.networks import eips, gateway, let_in, public_addresses, routes_of, subnets
from tasks.evidence import StageFailed

#: Statuses in which nobody can connect (viewing the status of RDS and Aurora; ElastiCache's groups and clusters).
_DOWN = frozenset(
    {
        *("creating", "starting", "rebooting", "stopping", "stopped", "deleting", "deleted", "failed", "create-failed"),
        *("inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable", "restore-error"),
        *("incompatible-network", "incompatible-parameters", "incompatible-restore", "rebooting cluster nodes"),
    }
)
_RDS_TYPES = frozenset({"mysql", "mariadb", "postgresql", "oracle", "sqlserver"})
_CACHE_TYPES = frozenset({"redis", "memcache", "memcached"})


def open_cloud() -> clouds.Cloud:
    """AWS, with the credentials of this machine."""
    return Aws()


class Aws:
    """Asks the APIs; each question has a thread and timeouts of its own."""

    name = "aws"

    def configured(self) -> bool:
        variables = (
            "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        )  # fmt: skip
        files = (os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), "~/.aws/config")
        return any(os.environ.get(name) for name in variables) or any(
            Path(name).expanduser().exists() for name in files
        )

    async def instance(self, wanted: Wanted, budget: Budget) -> Instance:
        if wanted.type not in _RDS_TYPES | _CACHE_TYPES:
            raise StageFailed(unsupported_type=wanted.type)
        caller = Caller(wanted.region, budget, await identity(wanted, budget))
        found = await (database if wanted.type in _RDS_TYPES else cache)(caller, wanted.instance)
        rules, own = await asyncio.gather(
            caller.optional("allowlist", let_in(caller, found.groups, [one.port for one in found.endpoints])),
            caller.optional("vswitch_cidrs", subnets(caller, found.vpc_id)),
        )
        entries, groups = rules or ((), ())
        return Instance(
            id=wanted.instance,
            region=wanted.region,
            status=found.status,
            running=found.status not in _DOWN,
            endpoints=found.endpoints,
            vpc_id=found.vpc_id,
            vswitch_cidrs=tuple(one.cidr for one in own or ()),
            allowlist=entries if rules is not None and found.groups else None,
            security_groups=groups,
            allowlist_whole=not groups,
            tls=found.tls,
            untold=tuple(caller.untold),
        )

    async def vpc(self, region: str, vpc_id: str, budget: Budget) -> Vpc | None:
        caller = Caller(region, budget, await identity(None, budget))
        of_vpc = {"Filters": [{"Name": "vpc-id", "Values": [vpc_id]}]}
        own, gateways, tables = await asyncio.gather(
            subnets(caller, vpc_id),
            caller.rows("ec2", "describe_nat_gateways", "NatGateways", Filter=of_vpc["Filters"]),
            caller.rows("ec2", "describe_route_tables", "RouteTables", **of_vpc),
        )
        if not own:
            return None
        routes = list(routes_of(tables, [one.id for one in own]))
        addresses = {one["NatGatewayId"]: public_addresses(one) for one in gateways}
        entries = [
            SnatEntry(
                id=f"{route.destination} of {route.vswitch_id}",
                gateway=route.next_hop,
                status="active",
                available=True,
                addresses=addresses[route.next_hop],
                vswitch_id=route.vswitch_id,
            )
            for route in routes
            if route.destination == "0.0.0.0/0" and addresses.get(route.next_hop)
        ]
        return Vpc(
            id=vpc_id,
            region=region,
            vswitches=tuple(own),
            nat_gateways=tuple(gateway(one) for one in gateways),
            snat_entries=tuple(entries),
            eips=tuple(await eips(caller, sorted({each for one in entries for each in one.addresses}))),
            routes=tuple(routes),
        )
