"""Alibaba Cloud, through its SDKs: RDS, PolarDB, Redis and MongoDB instances; VPCs; roles of other accounts.

The SDK of each product knows where its API is and signs; what is asked and where in the answer the facts are stands in
`products`. Credentials come from the SDK's default chain. Answers are read by the names of the API's own reference
(RDS 2014-08-15, PolarDB 2017-08-01, R-KVStore 2015-01-01, DDS 2015-12-01, VPC 2016-04-28, STS 2015-04-01).

`ALIBABA_CLOUD_ENDPOINT_URL` and `ALIBABA_CLOUD_ENDPOINT_URL_<PRODUCT>` (RDS, POLARDB, R_KVSTORE, DDS, VPC, STS) lead to
another endpoint, such as one inside of a VPC.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from registry import allowlists
from tasks import clouds
from tasks.budget import Budget
from tasks.clouds import Eip, Instance, NatGateway, Refused, Route, SnatEntry, Tls, Vpc, VSwitch, Wanted
from tasks.clouds.alibaba.calls import PAGE, Caller, identity, under
from tasks.clouds.alibaba.products import DOWN, LOCKED, MONGODB, MONGOS, PRODUCTS, Body, Product, Rows
from tasks.evidence import StageFailed

_YES = frozenset({"on", "yes", "true", "1", "enable", "enabled", "open"})
_NO = frozenset({"off", "no", "false", "0", "disable", "disabled", "closed"})


def open_cloud() -> clouds.Cloud:
    """Alibaba Cloud, with the credentials of this machine."""
    return Alibaba()


class Alibaba:
    """Asks the APIs; each question has a thread and timeouts of its own."""

    name = "alibaba"

    def configured(self) -> bool:
        variables = (
            "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ECS_METADATA", "ALIBABA_CLOUD_CREDENTIALS_URI",
            "ALIBABA_CLOUD_CREDENTIALS_FILE", "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
        )  # fmt: skip
        files = ("~/.alibabacloud/credentials", "~/.alibabacloud/credentials.ini", "~/.aliyun/config.json")
        return any(os.environ.get(name) for name in variables) or any(
            Path(name).expanduser().exists() for name in files
        )

    async def instance(self, wanted: Wanted, budget: Budget) -> Instance:
        product = PRODUCTS.get(wanted.type)
        if product is None:
            raise StageFailed(unsupported_type=wanted.type)
        caller = Caller(wanted.region, budget, await identity(wanted, budget))
        named = {product.key: wanted.instance}
        attributes = (await caller.rows(product.sdk, product.attributes, named))[0]
        region = str(attributes.get("RegionId") or wanted.region)
        if region != wanted.region:
            raise Refused("not_found", cloud_error="RegionId", found_in=f"region_id {region}")
        sharded = product is MONGODB and attributes.get("DBInstanceType") == "sharding"
        vpc_id = attributes.get(product.vpc) or None
        places, entries, groups, tls, cidrs = await asyncio.gather(
            caller.rows(product.sdk, MONGOS if sharded else product.endpoints, named),
            caller.optional("allowlist", caller.rows(product.sdk, product.allowlist, named, may_be_empty=True)),
            caller.optional("security_groups", caller.rows(product.sdk, product.groups, named, may_be_empty=True)),
            caller.optional("tls", _tls(caller, product, named)),
            caller.optional("vswitch_cidrs", _vswitches(caller, vpc_id)),
        )
        allowlist, readable = _entries(entries or (), product.allowlist.field)
        status, lock = str(attributes.get(product.status, "")), str(attributes.get("LockMode", ""))
        locked = lock.casefold() in LOCKED
        return Instance(
            id=wanted.instance,
            region=region,
            status=f"{status}, {lock}" if locked else status,
            running=status.casefold() not in DOWN and not locked,
            endpoints=tuple(one for row in places for one in product.place(row) if one.host and one.port),
            vpc_id=vpc_id,
            vswitch_cidrs=tuple(one.cidr for one in cidrs or ()),
            allowlist=None if entries is None else allowlist,
            allowlist_whole=readable and groups is not None and not groups,
            security_groups=tuple(str(row.get(product.groups.field, "")) for row in groups or ()),
            tls=tls or Tls(),
            untold=tuple(caller.untold),
        )

    async def vpc(self, region: str, vpc_id: str, budget: Budget) -> Vpc | None:
        caller = Caller(region, budget, await identity(None, budget))
        vswitches, gateways = await asyncio.gather(
            caller.pages(Rows("DescribeVSwitches", ("VSwitches", "VSwitch")), {"VpcId": vpc_id}),
            caller.pages(Rows("DescribeNatGateways", ("NatGateways", "NatGateway")), {"VpcId": vpc_id}),
        )
        if not vswitches:
            return None  # no such VPC in this region, or nothing in it
        rows = Rows("DescribeSnatTableEntries", ("SnatTableEntries", "SnatTableEntry"))
        ids = [str(gateway.get("NatGatewayId")) for gateway in gateways]
        tables, routes = await asyncio.gather(
            asyncio.gather(*(caller.pages(rows, {"NatGatewayId": gateway}) for gateway in ids)),
            caller.optional("routes", _routes(caller, vswitches)),
        )
        entries = [_snat(row, gateway) for gateway, table in zip(ids, tables, strict=True) for row in table]
        addresses = sorted({address for entry in entries for address in entry.addresses})
        eips = await _eips(caller, addresses)
        return Vpc(
            id=vpc_id,
            region=region,
            vswitches=tuple(VSwitch(str(row["VSwitchId"]), str(row["CidrBlock"])) for row in vswitches),
            nat_gateways=tuple(map(_gateway, gateways)),
            snat_entries=tuple(entries),
            eips=tuple(eips),
            routes=routes,
        )


def _entries(rows: Sequence[Body], field: str) -> tuple[tuple[str, ...], bool]:
    """The entries of all lists of an instance that are addresses, and whether all are."""
    stated = dict.fromkeys(entry for row in rows for entry in allowlists.split(str(row.get(field) or "")))
    read = tuple(entry for entry in stated if _is_entry(entry))
    return read, len(read) == len(stated)


def _is_entry(text: str) -> bool:
    try:
        return bool(allowlists.networks_of(text))
    except ValueError:
        return False


async def _tls(caller: Caller, product: Product, named: Body) -> Tls:
    fields = product.tls
    body = await caller.call(product.sdk, fields.operation, named)
    row = next(iter(under(body, fields.path)), {}) if fields.path else body
    expires = str(row.get(fields.expires) or "") or None
    enabled = _truth(row.get(fields.enabled))
    return Tls(enabled, _truth(row.get(fields.forced)) if fields.forced else None, expires if enabled else None)


def _truth(word: object) -> bool | None:
    folded = str(word).strip().casefold()
    return True if folded in _YES else False if folded in _NO else None


async def _vswitches(caller: Caller, vpc_id: str | None) -> Sequence[VSwitch]:
    if vpc_id is None:
        return ()
    rows = await caller.pages(Rows("DescribeVSwitches", ("VSwitches", "VSwitch")), {"VpcId": vpc_id})
    return [VSwitch(str(row["VSwitchId"]), str(row["CidrBlock"])) for row in rows]


def _gateway(row: Body) -> NatGateway:
    status = str(row.get("Status", ""))
    internet = row.get("NetworkType", "internet") == "internet"
    return NatGateway(str(row.get("NatGatewayId")), status, status == "Available", internet)


def _snat(row: Body, gateway: str) -> SnatEntry:
    status = str(row.get("Status", ""))
    return SnatEntry(
        id=str(row.get("SnatEntryId")),
        gateway=gateway,
        status=status,
        available=status == "Available",
        addresses=allowlists.split(str(row.get("SnatIp") or "")),
        vswitch_id=row.get("SourceVSwitchId") or None,
        source_cidr=row.get("SourceCIDR") or None,
    )


async def _eips(caller: Caller, addresses: Sequence[str]) -> list[Eip]:
    rows = Rows("DescribeEipAddresses", ("EipAddresses", "EipAddress"))
    found: list[Body] = []
    for start in range(0, len(addresses), PAGE):
        found += await caller.pages(rows, {"EipAddress": ",".join(addresses[start : start + PAGE])})
    return [
        Eip(str(row["IpAddress"]), str(row.get("Status")), row.get("Status") == "InUse", str(row.get("InstanceId", "")))
        for row in found
    ]


async def _routes(caller: Caller, vswitches: Sequence[Body]) -> tuple[Route, ...]:
    tables: dict[str, list[str]] = {}
    for row in vswitches:
        tables.setdefault(str(row.get("RouteTable", {}).get("RouteTableId", "")), []).append(str(row["VSwitchId"]))
    rows = Rows("DescribeRouteEntryList", ("RouteEntrys", "RouteEntry"))
    found: list[Route] = []
    for table, members in tables.items():
        for row in await caller.tokens(rows, {"RouteTableId": table}):
            hops = under(row, ("NextHops", "NextHop"))
            hop = str(hops[0].get("NextHopId") or hops[0].get("NextHopType")) if hops else str(row.get("Type", ""))
            found += [Route(str(row["DestinationCidrBlock"]), hop, member) for member in members]
    return tuple(found)
