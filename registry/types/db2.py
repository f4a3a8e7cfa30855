"""Db2."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from registry.connection import tls
from registry.connection.fields import spelled
from registry.connection.model import Mode
from registry.connection.parts import Address, Login, StorePasswords
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType

_DRIVERS = ("db2_1", "as400_1", "db2_2")


class ConnectionString(StorePasswords, Login, Address):
    """One host and port; TLS from the first byte, or not at all."""

    jdbc_driver: Annotated[Literal["db2_1", "as400_1", "db2_2"], spelled(*_DRIVERS)] = Field(
        default="db2_1", description="Kind of Db2: db2_1, db2_2 or as400_1 (Db2 for i).", examples=["db2_1"]
    )

    def tls(self) -> TlsSettings:
        return self.settled(
            tls.switch_word(self.properties, "sslConnection", on="verify-ca"), self.keystore_password, default="disable"
        )


TYPE = DataSourceType(
    name="db2",
    title="Db2",
    protocol="db2",
    default_port=50000,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("db2",),
    example={
        "address": [{"host": "db.example.com", "port": 50000}],
        "database": "ORDERS",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
        "objects": ["sales.orders"],
    },
    tested="protocol",
    notes="Logins with user and password; encrypted ones (SERVER_ENCRYPT) and Kerberos are told as unsupported. Where "
    "there is no SYSCAT.TABLES (Db2 for i, for z/OS), bind the tables to be read.",
    modules=("data_integration",),
)
