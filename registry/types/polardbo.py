"""PolarDB for PostgreSQL, compatible with Oracle (PolarDB O): speaks PostgreSQL's protocol."""

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.postgresql import PlainInstance, SingleHost

TYPE = DataSourceType(
    name="polardbo",
    title="PolarDB for PostgreSQL (compatible with Oracle)",
    protocol="postgresql",
    default_port=1521,
    modes={Mode.CONNECTION_STRING: SingleHost, Mode.INSTANCE: PlainInstance},
    aliases=("polardb_o", "polardb_for_oracle"),
    example={
        "address": [{"host": "db.example.com", "port": 1521}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
    notes="It speaks PostgreSQL's protocol, on Oracle's port.",
)
