"""PostgreSQL."""

from __future__ import annotations

from registry.connection import Addresses, Connection, Endpoint, FileReference, Mode, SecretReference
from registry.types import DataSourceType


class ConnectionString(Connection):
    """DataWorks' connection string mode."""

    address: Addresses
    database: str
    username: str
    password: SecretReference | None = None
    security_protocol: str = "authTypeNone"
    truststore_file: FileReference | None = None
    keystore_file: FileReference | None = None
    key_file: FileReference | None = None
    client_password: SecretReference | None = None

    def endpoints(self) -> tuple[Endpoint, ...]:
        return self.address


TYPE = DataSourceType(
    name="postgresql",
    title="PostgreSQL",
    protocol="postgresql",
    default_port=5432,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("postgres", "pg"),
    url_schemes=("postgresql", "postgres"),
    example={"address": [{"host": "db.example.com", "port": 5432}], "database": "orders", "username": "app",
             "password": "env:ORDERS_PASSWORD"},
    tested="server",
)
