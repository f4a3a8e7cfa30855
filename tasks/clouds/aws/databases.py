"""RDS and ElastiCache: what they say of an instance, cluster or replication group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.clouds import Place, Refused, Tls
from tasks.clouds.aws.calls import Body, Caller


@dataclass(frozen=True)
class Found:
    """What the service of a database or cache says of it."""

    status: str
    endpoints: tuple[Place, ...]
    groups: tuple[str, ...]
    vpc_id: str | None = None
    tls: Tls = field(default_factory=Tls)


async def database(caller: Caller, name: str) -> Found:
    """An RDS instance, else an Aurora or Multi-AZ cluster of this id."""
    try:
        (row,) = await caller.rows("rds", "describe_db_instances", "DBInstances", DBInstanceIdentifier=name)
    except Refused as refused:
        if refused.answer != "not_found":
            raise
        (row,) = await caller.rows("rds", "describe_db_clusters", "DBClusters", DBClusterIdentifier=name)
        return await _cluster(caller, row)
    endpoint, vpc_id = row.get("Endpoint") or {}, (row.get("DBSubnetGroup") or {}).get("VpcId")
    public = bool(row.get("PubliclyAccessible"))
    ends = (row.get("CertificateDetails") or {}).get("ValidTill")
    return Found(
        status=str(row.get("DBInstanceStatus", "")),
        endpoints=_places(endpoint.get("Address"), endpoint.get("Port"), public=public, vpc_id=vpc_id),
        groups=_group_ids(row),
        vpc_id=vpc_id,
        tls=Tls(enabled=True, expires=ends.isoformat().replace("+00:00", "Z") if ends else None),
    )


async def _cluster(caller: Caller, row: Body) -> Found:
    members = [one.get("DBInstanceIdentifier") for one in row.get("DBClusterMembers") or ()]
    group = await caller.optional(
        "vpc_id", caller.rows("rds", "describe_db_subnet_groups", "DBSubnetGroups",
                              DBSubnetGroupName=str(row.get("DBSubnetGroup", ""))),
    )  # fmt: skip
    vpc_id = group[0].get("VpcId") if group else None
    port, public = row.get("Port"), bool(row.get("PubliclyAccessible"))
    writer = _places(row.get("Endpoint"), port, public=public, vpc_id=vpc_id)
    reader = _places(row.get("ReaderEndpoint"), port, public=public, vpc_id=vpc_id, read_only=True)
    return Found(
        status=str(row.get("Status", "")),
        endpoints=writer + (reader if len(members) > 1 else ()),
        groups=_group_ids(row),
        vpc_id=vpc_id,
        tls=Tls(enabled=True),
    )


async def cache(caller: Caller, name: str) -> Found:
    """A replication group of ElastiCache, else a cache cluster of this id; they have no public addresses."""
    members: Sequence[Body]
    try:
        (row,) = await caller.rows(
            "elasticache", "describe_replication_groups", "ReplicationGroups", ReplicationGroupId=name
        )
        places = list(_cache_places(row))
        first = next(iter(row.get("MemberClusters") or ()), None)
        members = await caller.optional("security_groups", _cache_cluster(caller, first)) if first else []
    except Refused as refused:
        if refused.answer != "not_found":
            raise
        members = await _cache_cluster(caller, name)
        row = members[0]
        places = list(_node_places(row))
    member: Body = next(iter(members or ()), {})
    groups = tuple(str(one.get("SecurityGroupId")) for one in member.get("SecurityGroups") or ())
    encrypted = row.get("TransitEncryptionEnabled")
    mode = row.get("TransitEncryptionMode") or ("required" if encrypted else None)
    return Found(
        status=str(row.get("Status") or row.get("CacheClusterStatus") or ""),
        endpoints=tuple(places),
        groups=groups,
        vpc_id=await caller.optional("vpc_id", _cache_vpc(caller, member)),
        tls=Tls(enabled=encrypted, forced=mode == "required" if encrypted else None),
    )


async def _cache_cluster(caller: Caller, name: str) -> Sequence[Body]:
    return await caller.rows(
        "elasticache", "describe_cache_clusters", "CacheClusters", CacheClusterId=name, ShowCacheNodeInfo=True
    )


async def _cache_vpc(caller: Caller, member: Body) -> str | None:
    name = member.get("CacheSubnetGroupName")
    if not name:
        return None
    rows = await caller.rows(
        "elasticache", "describe_cache_subnet_groups", "CacheSubnetGroups", CacheSubnetGroupName=name
    )
    return str(rows[0]["VpcId"]) if rows else None


def _cache_places(row: Body) -> Iterator[Place]:
    configuration = row.get("ConfigurationEndpoint")
    if configuration:
        yield from _places(configuration.get("Address"), configuration.get("Port"))
        return
    for group in row.get("NodeGroups") or ():
        for key, read_only in (("PrimaryEndpoint", False), ("ReaderEndpoint", True)):
            endpoint = group.get(key) or {}
            yield from _places(endpoint.get("Address"), endpoint.get("Port"), read_only=read_only)


def _node_places(row: Body) -> Iterator[Place]:
    configuration = row.get("ConfigurationEndpoint")
    endpoints = [configuration] if configuration else [one.get("Endpoint") or {} for one in row.get("CacheNodes") or ()]
    for endpoint in endpoints:
        yield from _places(endpoint.get("Address"), endpoint.get("Port"))


def _places(host: Any, port: Any, **more: Any) -> tuple[Place, ...]:
    return (Place(host=str(host), port=int(port), **more),) if host and port else ()


def _group_ids(row: Body) -> tuple[str, ...]:
    return tuple(str(one.get("VpcSecurityGroupId")) for one in row.get("VpcSecurityGroups") or ())
