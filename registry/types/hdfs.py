"""HDFS, through its NameNodes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from registry.connection.fields import Endpoint, from_json
from registry.connection.kerberos import KerberosFiles
from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.urls.parsed import endpoint

_PORT = 8020


def _mapping(given: Any) -> Any:
    return from_json(given, "a mapping of settings is needed, or JSON")


def _default_fs(text: str) -> str:
    scheme, _, rest = text.rstrip("/").partition("://")
    if scheme != "hdfs" or not rest or "/" in rest:
        raise ValueError("it looks like hdfs://namenode.example.com:8020, or hdfs://NAMESERVICE with hadoop_config")
    for one in rest.split(","):
        endpoint(one)
    return text.rstrip("/")


class ConnectionString(KerberosFiles):
    """The default file system: one NameNode, or a name service whose NameNodes the configuration lists."""

    url_scheme: ClassVar[str] = "hdfs"

    default_fs: Annotated[str, AfterValidator(_default_fs)] = Field(
        alias="defaultFS",
        max_length=1024,
        description="hdfs://host:port of the NameNode, or hdfs:// and the name service.",
        examples=["hdfs://namenode.example.com:8020"],
    )
    hadoop_config: Annotated[dict[str, str], BeforeValidator(_mapping)] = Field(
        default_factory=dict,
        description="Settings of Hadoop's client: the NameNodes of a name service, for high availability.",
        examples=[{"dfs.client.use.datanode.hostname": "true"}],
    )
    username: str | None = Field(
        default=None, max_length=255, description="Account without Kerberos; hadoop unless given.", examples=["app"]
    )

    @property
    def by_host_name(self) -> bool:
        """Whether DataNodes are reached by their names in place of their addresses."""
        return self.hadoop_config.get("dfs.client.use.datanode.hostname", "").lower() == "true"

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The NameNodes."""
        service = self.default_fs.removeprefix("hdfs://")
        named = self.hadoop_config.get(f"dfs.ha.namenodes.{service}", "")
        keys = [f"dfs.namenode.rpc-address.{service}.{node.strip()}" for node in named.split(",") if node.strip()]
        found = [endpoint(self.hadoop_config[key]) for key in keys if key in self.hadoop_config]
        found = found or [endpoint(one) for one in service.split(",")]
        return tuple(Endpoint(host=host, port=port or _PORT) for host, port in found)


TYPE = DataSourceType(
    name="hdfs",
    title="HDFS",
    protocol="hdfs",
    default_port=_PORT,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("hdfs",),
    example={
        "default_fs": "hdfs://shop",
        "hadoop_config": {
            "dfs.ha.namenodes.shop": "nn1,nn2",
            "dfs.namenode.rpc-address.shop.nn1": "nn1.example.com:8020",
            "dfs.namenode.rpc-address.shop.nn2": "nn2.example.com:8020",
        },
        "objects": ["/export/orders"],
    },
    tested="wire",
    notes="Objects are paths. Their metadata are read; blocks are not. SASL's security layers are Unsupport.",
)
