"""OceanBase in MySQL mode: speaks MySQL's protocol."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from registry.connection.fields import spelled
from registry.connection.model import Mode
from registry.connection.parts import ReadReplica
from registry.types import DataSourceType
from registry.types.mysql import PlainInstance, SingleHost


class ConnectionString(SingleHost):
    """One host and port; the account is `user@tenant` or `user@tenant#cluster`."""

    db_mode: Annotated[Literal["mysql"], spelled("mysql")] = Field(
        default="mysql", description="Compatibility mode of the tenant; mysql.", examples=["mysql"]
    )


class InstanceById(PlainInstance, ReadReplica):
    """A managed instance."""

    tenant: str = Field(min_length=1, description="Id of the tenant.", examples=["t-example"])


TYPE = DataSourceType(
    name="apsaradb_for_oceanbase",
    title="OceanBase (MySQL mode)",
    protocol="mysql",
    default_port=2881,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    aliases=("oceanbase",),
    url_schemes=("oceanbase",),
    example={
        "address": [{"host": "db.example.com", "port": 2881}],
        "database": "orders",
        "username": "app@retail",
        "password": "env:ORDERS_PASSWORD",
    },
)
