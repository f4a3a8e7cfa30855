"""MySQL, and the models of everything that speaks its protocol."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from registry.connection.fields import CloudIdentity, spelled
from registry.connection.model import Mode
from registry.connection.parts import Address, Instance, ManyAddresses, MysqlTransport, QuotedLogin, ReadReplica
from registry.types import DataSourceType


class ConnectionString(MysqlTransport, QuotedLogin, ManyAddresses):
    """Hosts and ports."""


class SingleHost(MysqlTransport, QuotedLogin, Address):
    """One host and port."""


class PlainInstance(MysqlTransport, QuotedLogin, Instance):
    """A managed instance."""


class InstanceById(PlainInstance, ReadReplica):
    """A managed instance with replicas."""

    driver_version: Literal["", "8.2.0", "5.1.49", "5.1.46"] = Field(
        default="", description="Version of the JDBC driver that tasks use; empty for the default.", examples=["8.2.0"]
    )
    auth_type: (
        Annotated[
            Literal["PrimaryAccount", "SubAccount", "RamRole"], spelled("PrimaryAccount", "SubAccount", "RamRole")
        ]
        | None
    ) = Field(
        default=None,
        description="Identity that reads binary logs from object storage; RamRole for an instance of another account.",
        examples=["RamRole"],
    )
    auth_identity: CloudIdentity = None


TYPE = DataSourceType(
    name="mysql",
    title="MySQL",
    protocol="mysql",
    default_port=3306,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    aliases=("rds_mysql",),
    url_schemes=("mysql",),
    example={
        "address": [{"host": "db.example.com", "port": 3306}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
        "properties": {"sslMode": "VERIFY_IDENTITY"},
        "objects": ["orders", "order_lines"],
    },
    tested="protocol",
)
