"""Graph databases that are asked in Gremlin (GDB)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from registry.connection.fields import Endpoint, NetworkHost, Port, SecretReference
from registry.connection.model import Mode
from registry.connection.parts import StorePasswords
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType


class ConnectionString(StorePasswords):
    """One host and port."""

    url_scheme: ClassVar[str] = "gremlin"

    host: NetworkHost = Field(description="Host name or IP address.", examples=["db.example.com"])
    port: Port = Field(default=8182, description="Port.", examples=[8182])
    username: str | None = Field(default=None, max_length=255, description="Account that logs in.", examples=["app"])
    password: SecretReference | None = Field(default=None, description="Its password.", examples=["env:GRAPH_PASSWORD"])

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint(host=self.host, port=self.port),)

    def tls(self) -> TlsSettings:
        return self.settled(None, self.keystore_password, default="disable")


TYPE = DataSourceType(
    name="graph_database",
    title="Graph database (Gremlin)",
    protocol="graph_database",
    default_port=8182,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("gdb", "maxgraph", "gremlin"),
    url_schemes=("gremlin",),
    example={
        "host": "gds-example.graphdb.rds.aliyuncs.com",
        "port": 8182,
        "username": "app",
        "password": "env:GRAPH_PASSWORD",
        "objects": ["customer"],
    },
    tested="wire",
    notes="Objects are labels of vertices.",
    modules=("data_integration",),
)
