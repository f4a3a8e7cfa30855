"""StarRocks, and the models of its relatives that load through their front ends: all speak MySQL's protocol."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from registry.connection.fields import Endpoint, as_list, spelled
from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.mysql import PlainInstance, SingleHost


class ConnectionString(SingleHost):
    """One host and port for queries, and the front ends that take loads."""

    load_address: Annotated[tuple[Endpoint, ...], BeforeValidator(as_list)] = Field(
        default=(),
        description="HTTP hosts and ports of the front ends, needed by tasks that load; not part of the test.",
        examples=[[{"host": "fe.example.com", "port": 8030}]],
    )


class InstanceById(PlainInstance):
    """A managed instance."""

    instance_type: Annotated[Literal["emr-olap", "serverless"], spelled("emr-olap", "serverless")] = Field(
        description="emr-olap (semi-managed) or serverless.", examples=["serverless"]
    )


TYPE = DataSourceType(
    name="starrocks",
    title="StarRocks",
    protocol="mysql",
    default_port=9030,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    url_schemes=("starrocks",),
    example={
        "address": [{"host": "fe.example.com", "port": 9030}],
        "load_address": [{"host": "fe.example.com", "port": 8030}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
)
