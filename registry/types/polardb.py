"""PolarDB: speaks MySQL's or PostgreSQL's protocol, as `db_type` says."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from registry.connection.fields import spelled
from registry.connection.model import Mode
from registry.connection.parts import (
    Address,
    CloudInstance,
    MysqlTransport,
    PostgresqlTransport,
    QuotedLogin,
    ReadReplica,
)
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType


class Engine(MysqlTransport, PostgresqlTransport):
    """Which of the two engines, with the words for TLS of either."""

    db_type: Annotated[Literal["mysql", "postgresql"], spelled("mysql", "postgresql")] = Field(
        description="Engine: mysql or postgresql.", examples=["mysql"]
    )

    def tls(self) -> TlsSettings:
        words = PostgresqlTransport if self.db_type == "postgresql" else MysqlTransport
        return words.tls(self)


class ConnectionString(Engine, QuotedLogin, Address):
    """One host and port."""


class Cluster(Engine, QuotedLogin, ReadReplica, CloudInstance):
    """A managed cluster by its id."""

    cluster_id: str = Field(min_length=1, description="Id of the cluster.", examples=["pc-bp1example"])


TYPE = DataSourceType(
    name="polardb",
    title="PolarDB",
    protocol="mysql",
    variant_field="db_type",
    variants={"postgresql": "postgresql"},
    default_port=3306,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: Cluster},
    url_schemes=("polardb",),
    example={
        "db_type": "mysql",
        "address": [{"host": "db.example.com", "port": 3306}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
)
