"""Lindorm: its seed server, or its interface for MySQL's protocol."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from registry.connection.fields import AccountName, AccountPassword, DatabaseName, Endpoint, spelled
from registry.connection.model import Mode
from registry.connection.parts import Instance, MysqlTransport
from registry.types import DataSourceType
from registry.urls.parsed import endpoint


class Account(MysqlTransport):
    """A namespace, and who logs in to it."""

    namespace: DatabaseName = Field(description="Namespace, which is the database.", examples=["orders"])
    username: AccountName
    password: AccountPassword = None

    @property
    def database(self) -> str:
        """What stands for the database's name elsewhere."""
        return self.namespace


class ConnectionString(Account):
    """The seed server, as `host:port`."""

    seedserver: str = Field(
        min_length=1,
        description="Host and port of the seed server, or of the interface for MySQL's protocol (33060).",
        examples=["ld-example-proxy-lindorm.lindorm.rds.aliyuncs.com:30020"],
    )
    interface: Annotated[Literal["lindorm", "mysql"], spelled("lindorm", "mysql")] = Field(
        default="lindorm",
        description="What is spoken at that address: lindorm, or mysql for the interface of MySQL's protocol.",
        examples=["lindorm"],
    )

    @field_validator("seedserver")
    @classmethod
    def _one_host_and_port(cls, text: str) -> str:
        _, port = endpoint(text)
        if port is None:
            raise ValueError("a port is needed, as in host:30020")
        return text

    def endpoints(self) -> tuple[Endpoint, ...]:
        host, port = endpoint(self.seedserver)
        return (Endpoint(host=host, port=port or TYPE.default_port),)


class InstanceById(Account, Instance):
    """A managed instance."""

    engine_type: Annotated[Literal["compute"], spelled("compute")] = Field(
        default="compute", description="Engine; compute.", examples=["compute"]
    )


TYPE = DataSourceType(
    name="lindorm",
    title="Lindorm",
    protocol="lindorm",
    variant_field="interface",
    variants={"mysql": "mysql"},
    default_port=30020,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    url_schemes=("lindorm",),
    example={
        "seedserver": "ld-example-proxy-sql-lindorm.lindorm.rds.aliyuncs.com:33060",
        "interface": "mysql",
        "namespace": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
    notes="The seed server's protocol is not public: the way to it is tested, and Unsupport is told from the greeting "
    "on. The interface for MySQL's protocol is tested to the end.",
    modules=("data_integration",),
)
