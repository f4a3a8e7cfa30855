"""DRDS (PolarDB-X 1.0): speaks MySQL's protocol."""

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.mysql import PlainInstance, SingleHost

TYPE = DataSourceType(
    name="drds",
    title="DRDS (PolarDB-X 1.0)",
    protocol="mysql",
    default_port=3306,
    modes={Mode.CONNECTION_STRING: SingleHost, Mode.INSTANCE: PlainInstance},
    aliases=("polardb_x",),
    example={
        "address": [{"host": "db.example.com", "port": 3306}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
)
