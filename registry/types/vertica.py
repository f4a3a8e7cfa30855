"""Vertica."""

from __future__ import annotations

from typing import ClassVar

from registry.connection import tls
from registry.connection.model import Mode
from registry.connection.parts import Address, Login, StorePasswords
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType


class ConnectionString(StorePasswords, Login, Address):
    """One host and port."""

    url_scheme: ClassVar[str] = "vertica"

    def tls(self) -> TlsSettings:
        mode = {key.lower(): value for key, value in self.properties.items()}.get("tlsmode")
        return self.settled(tls.postgresql_word({"sslmode": mode} if mode else {}), self.keystore_password)


TYPE = DataSourceType(
    name="vertica",
    title="Vertica",
    protocol="vertica",
    default_port=5433,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("vertica",),
    example={
        "address": [{"host": "db.example.com", "port": 5433}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
        "properties": {"TLSmode": "require"},
        "objects": ["sales.orders"],
    },
    tested="wire",
    notes="Password logins; Kerberos, LDAP tickets and OAuth are told as unsupported.",
    modules=("data_integration",),
)
