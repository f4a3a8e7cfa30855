"""Hologres: speaks PostgreSQL's protocol."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from registry.connection import tls
from registry.connection.fields import CloudIdentity, QuotedName, spelled
from registry.connection.model import Mode
from registry.connection.parts import Instance, PostgresqlTransport
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType
from registry.types.postgresql import SingleHost

_IDENTITIES = ("Executor", "PrimaryAccount", "SubAccount", "RamRole")


class InstanceById(PostgresqlTransport, Instance):
    """A managed instance, entered with a cloud identity in place of an account and password."""

    database: QuotedName = Field(description="Name of the database.", examples=["orders"])
    warehouse_name: str | None = Field(
        default=None, description="Compute group (warehouse).", examples=["init_warehouse"]
    )
    auth_type: Annotated[Literal["Executor", "PrimaryAccount", "SubAccount", "RamRole"], spelled(*_IDENTITIES)] = Field(
        description="Whose identity is used: Executor (development), PrimaryAccount, SubAccount or RamRole.",
        examples=["PrimaryAccount"],
    )
    auth_identity: CloudIdentity = None
    ssl_mode: Annotated[Literal["require"], spelled("require")] | None = Field(
        default=None, description="require: TLS, with verification where there is a truststore.", examples=["require"]
    )

    def tls(self) -> TlsSettings:
        word = tls.postgresql_word(self.properties)
        if word is None and self.ssl_mode and not self.truststore_file:
            word = "require"
        return self.settled(word, self.client_password)


TYPE = DataSourceType(
    name="hologres",
    title="Hologres",
    protocol="postgresql",
    default_port=80,
    modes={Mode.CONNECTION_STRING: SingleHost, Mode.INSTANCE: InstanceById},
    aliases=("holo",),
    url_schemes=("hologres",),
    example={
        "address": [{"host": "hgpost-cn-example.hologres.aliyuncs.com", "port": 80}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
    notes="DataWorks itself offers the instance mode only.",
)
