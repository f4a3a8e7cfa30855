"""PostgreSQL, and the models of everything that speaks its protocol."""

from __future__ import annotations

from registry.connection.kerberos import KerberosFiles
from registry.connection.model import Mode
from registry.connection.parts import Address, Instance, ManyAddresses, PostgresqlTransport, QuotedLogin, ReadReplica
from registry.types import DataSourceType


class ConnectionString(PostgresqlTransport, QuotedLogin, KerberosFiles, ManyAddresses):
    """Hosts and ports."""


class SingleHost(PostgresqlTransport, QuotedLogin, KerberosFiles, Address):
    """One host and port."""


class PlainInstance(PostgresqlTransport, QuotedLogin, Instance):
    """A managed instance."""


class InstanceById(PlainInstance, ReadReplica):
    """A managed instance with replicas."""


TYPE = DataSourceType(
    name="postgresql",
    title="PostgreSQL",
    protocol="postgresql",
    default_port=5432,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    aliases=("postgres", "pgsql", "pg"),
    url_schemes=("postgresql", "postgres"),
    example={
        "address": [{"host": "db.example.com", "port": 5432}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
        "properties": {"sslmode": "verify-full"},
        "objects": ["orders", "order_lines"],
    },
    tested="server",
)
