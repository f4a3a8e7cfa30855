"""SQL Server, and Azure SQL Database."""

from __future__ import annotations

from registry.connection import tls
from registry.connection.fields import TruststorePassword
from registry.connection.model import Mode
from registry.connection.parts import Address, Instance, Login, ReadReplica, Transport
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType


class SqlserverTransport(Transport):
    """TLS by the words of Microsoft's JDBC driver."""

    truststore_password: TruststorePassword = None

    def tls(self) -> TlsSettings:
        return self.settled(tls.sqlserver_word(self.properties), None)


class ConnectionString(SqlserverTransport, Login, Address):
    """One host and port."""


class InstanceById(SqlserverTransport, Login, Instance, ReadReplica):
    """A managed instance with replicas."""


TYPE = DataSourceType(
    name="sqlserver",
    title="SQL Server",
    protocol="sqlserver",
    default_port=1433,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    aliases=("sql_server", "mssql", "rds_sqlserver"),
    url_schemes=("sqlserver",),
    example={
        "address": [{"host": "db.example.com", "port": 1433}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
        "properties": {"encrypt": "true"},
        "objects": ["dbo.orders", "dbo.order_lines"],
    },
    tested="wire",
    notes="Accounts of SQL Server itself; Windows and Entra accounts are not tested. Strict encryption (TDS 8) is not "
    "spoken.",
)
