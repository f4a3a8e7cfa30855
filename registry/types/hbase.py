"""HBase, found through its ZooKeeper quorum."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from registry.connection.fields import Endpoint, SecretReference, from_json, spelled
from registry.connection.kerberos import KerberosFiles
from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.urls.parsed import endpoint

_QUORUM, _PORT, _PARENT = "hbase.zookeeper.quorum", "hbase.zookeeper.property.clientPort", "zookeeper.znode.parent"
_PROTOCOLS = ("authTypeNone", "authTypeClientPassword", "authTypeKerberos")


def _mapping(given: Any) -> Any:
    """DataWorks has the configuration as a JSON object, often in a string."""
    given = from_json(given, f'a mapping is needed, or JSON as in {{"{_QUORUM}": "zk1:2181"}}')
    return {key: str(value) for key, value in given.items()} if isinstance(given, dict) else given


def _with_quorum(config: dict[str, str]) -> dict[str, str]:
    if not config.get(_QUORUM, "").strip():
        raise ValueError(f"{_QUORUM} is missing: the hosts of the ZooKeeper quorum, separated by commas")
    hosts_of(config)
    if not config.get(_PARENT, "/hbase").startswith("/"):
        raise ValueError(f"{_PARENT} is a path, as in /hbase")
    return config


def hosts_of(config: dict[str, str]) -> tuple[Endpoint, ...]:
    """The quorum. Raises `ValueError` for what is no host or port."""
    usual = int(config.get(_PORT, "2181"))
    found = (endpoint(one) for one in config[_QUORUM].split(","))
    return tuple(Endpoint(host=host, port=port or usual) for host, port in found)


class ConnectionString(KerberosFiles):
    """The quorum, and how clients prove who they are."""

    url_scheme: ClassVar[str] = "hbase"

    hbase_config: Annotated[dict[str, str], BeforeValidator(_mapping), AfterValidator(_with_quorum)] = Field(
        description="Settings of HBase's client, the quorum among them.",
        examples=[{_QUORUM: "zk1.example.com:2181,zk2.example.com:2181", _PARENT: "/hbase"}],
    )
    security_protocol: Annotated[
        Literal["authTypeNone", "authTypeClientPassword", "authTypeKerberos"], spelled(*_PROTOCOLS)
    ] = Field(
        default="authTypeNone",
        description="authTypeNone, authTypeClientPassword or authTypeKerberos.",
        examples=["authTypeKerberos"],
    )
    username: str | None = Field(
        default=None, max_length=255, description="authTypeClientPassword: account.", examples=["app"]
    )
    password: SecretReference | None = Field(
        default=None, description="authTypeClientPassword: its password.", examples=["env:HBASE_PASSWORD"]
    )

    @model_validator(mode="after")
    def _proof_of_the_kind(self) -> Self:
        if self.security_protocol == "authTypeClientPassword" and not (self.username and self.password):
            raise ValueError("authTypeClientPassword needs username and password")
        if self.security_protocol == "authTypeKerberos" and not (self.kerberos_file_keytab and self.principal):
            raise ValueError("authTypeKerberos needs kerberos_file_keytab and principal")
        return self

    @property
    def parent(self) -> str:
        """The znode under which HBase keeps everything."""
        return self.hbase_config.get(_PARENT, "/hbase").rstrip("/") or "/"

    @property
    def url_path(self) -> str:
        """What stands behind the hosts in its URL."""
        return "" if self.parent == "/hbase" else self.parent

    def endpoints(self) -> tuple[Endpoint, ...]:
        return hosts_of(self.hbase_config)


TYPE = DataSourceType(
    name="hbase",
    title="HBase",
    protocol="hbase",
    default_port=2181,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("hbase11x", "hbase20x"),
    url_schemes=("hbase",),
    example={"hbase_config": {_QUORUM: "zk1.example.com:2181,zk2.example.com:2181"}, "objects": ["orders"]},
    tested="protocol",
    notes="ZooKeeper (with a login by Kerberos), HBase's znodes and the server they name; reading is Unsupport.",
)
