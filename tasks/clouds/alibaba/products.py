"""What is asked of each product, and where in its answers the facts are, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tasks.clouds import Place

Body = Mapping[str, Any]

#: Statuses in which nobody can connect, of all products (RDS: instance state table; PolarDB: cluster status table).
DOWN = frozenset(
    {
        *("creating", "starting", "restoring", "rebooting", "restarting", "stopping", "stopped", "pausing", "paused"),
        *("inactive", "unavailable", "deleting", "deleted", "released"),
    }
)
#: Locks under which nobody can connect, and not only nobody can write.
LOCKED = frozenset({"lockbyexpiration", "released"})


class Rows(NamedTuple):
    """An API operation, and the path to its list of rows."""

    operation: str
    path: tuple[str, ...]
    field: str = ""


class TlsFields(NamedTuple):
    """The operation that tells of TLS, and its fields; `path` where they stand in rows."""

    operation: str
    enabled: str
    expires: str
    forced: str = ""
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Product:
    """How instances of one product are asked for.

    Attributes:
        sdk: A key of `calls.SDKS`.
        key: The parameter that names the instance.
        vpc: The attribute that names its VPC.
        endpoints: Operation and path; none: the rows stand in the attributes.
    """

    sdk: str
    key: str
    attributes: Rows
    status: str
    vpc: str
    endpoints: Rows
    place: Callable[[Body], Iterator[Place]]
    allowlist: Rows
    groups: Rows
    tls: TlsFields


def _rds_place(row: Body) -> Iterator[Place]:
    yield _place(row, "ConnectionString", row.get("IPType"), row.get("ConnectionStringType") == "ReadWriteSplitting")


def _polardb_place(row: Body) -> Iterator[Place]:
    read_only = row.get("ReadWriteMode") == "ReadOnly"
    if row.get("EndpointType") == "Custom" and not read_only:
        return  # made for some clients: not what a cluster's id stands for
    for address in row.get("AddressItems") or ():
        place = _place(address, "ConnectionString", address.get("NetType"), read_only)
        yield Place(**{**vars(place), "name": str(row.get("DBEndpointId", ""))})


def _redis_place(row: Body) -> Iterator[Place]:
    yield _place(row, "ConnectionString", row.get("IPType") or row.get("DBInstanceNetType"), False)


def _mongodb_place(row: Body) -> Iterator[Place]:
    if row.get("NodeType") in (None, "mongos"):
        host = "ConnectionDomain" if "ConnectionDomain" in row else "NetworkAddress"
        yield _place(row, host, row.get("NetworkType"), False)


def _place(row: Body, host: str, net: object, read_only: bool) -> Place:
    return Place(
        host=str(row.get(host) or ""),
        port=_port(row.get("Port") or row.get("ConnectionPort")),
        public=net in ("Public", "0"),
        read_only=read_only,
        vpc_id=row.get("VPCId") or None,
        vswitch_id=row.get("VSwitchId") or row.get("VswitchId") or None,
    )


def _port(value: object) -> int:
    text = str(value or 0)
    return int(text) if text.isdecimal() else 0


_IPS = ("Items", "EcsSecurityGroupRelation")
_RDS = Product(
    "RDS", "DBInstanceId", Rows("DescribeDBInstanceAttribute", ("Items", "DBInstanceAttribute")),
    "DBInstanceStatus", "VpcId",
    Rows("DescribeDBInstanceNetInfo", ("DBInstanceNetInfos", "DBInstanceNetInfo")), _rds_place,
    Rows("DescribeDBInstanceIPArrayList", ("Items", "DBInstanceIPArray"), "SecurityIPList"),
    Rows("DescribeSecurityGroupConfiguration", _IPS, "SecurityGroupId"),
    TlsFields("DescribeDBInstanceSSL", "SSLEnabled", "SSLExpireTime", "ForceEncryption"),
)  # fmt: skip
_POLARDB = Product(
    "POLARDB", "DBClusterId", Rows("DescribeDBClusterAttribute", ()), "DBClusterStatus", "VPCId",
    Rows("DescribeDBClusterEndpoints", ("Items",)), _polardb_place,
    Rows("DescribeDBClusterAccessWhitelist", ("Items", "DBClusterIPArray"), "SecurityIps"),
    Rows(
        "DescribeDBClusterAccessWhitelist", ("DBClusterSecurityGroups", "DBClusterSecurityGroup"), "SecurityGroupId"
    ),
    TlsFields("DescribeDBClusterSSL", "SSLEnabled", "SSLExpireTime", path=("Items",)),
)  # fmt: skip
_REDIS = Product(
    "R_KVSTORE", "InstanceId", Rows("DescribeInstanceAttribute", ("Instances", "DBInstanceAttribute")),
    "InstanceStatus", "VpcId",
    Rows("DescribeDBInstanceNetInfo", ("NetInfoItems", "InstanceNetInfo")), _redis_place,
    Rows("DescribeSecurityIps", ("SecurityIpGroups", "SecurityIpGroup"), "SecurityIpList"),
    Rows("DescribeSecurityGroupConfiguration", _IPS, "SecurityGroupId"),
    TlsFields("DescribeInstanceSSL", "SSLEnabled", "SSLExpiredTime"),
)  # fmt: skip
MONGODB = Product(
    "DDS", "DBInstanceId", Rows("DescribeDBInstanceAttribute", ("DBInstances", "DBInstance")),
    "DBInstanceStatus", "VPCId",
    Rows("DescribeReplicaSetRole", ("ReplicaSets", "ReplicaSet")), _mongodb_place,
    Rows("DescribeSecurityIps", ("SecurityIpGroups", "SecurityIpGroup"), "SecurityIpList"),
    Rows("DescribeSecurityGroupConfiguration", ("Items", "RdsEcsSecurityGroupRel"), "SecurityGroupId"),
    TlsFields("DescribeDBInstanceSSL", "SSLStatus", "SSLExpiredTime", "ForceEncryption"),
)  # fmt: skip
#: A sharded cluster is reached by its mongos nodes.
MONGOS = Rows("DescribeShardingNetworkAddress", ("NetworkAddresses", "NetworkAddress"))

#: Data source type -> product.
PRODUCTS: Mapping[str, Product] = {
    "mysql": _RDS,
    "postgresql": _RDS,
    "sqlserver": _RDS,
    "mariadb": _RDS,
    "polardb": _POLARDB,
    "polardbo": _POLARDB,
    "redis": _REDIS,
    "mongodb": MONGODB,
}
