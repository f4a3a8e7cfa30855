"""PolarDB-X 2.0: speaks MySQL's protocol."""

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.mysql import PlainInstance, SingleHost

TYPE = DataSourceType(
    name="polardb_x_2_0",
    title="PolarDB-X 2.0",
    protocol="mysql",
    default_port=3306,
    modes={Mode.CONNECTION_STRING: SingleHost, Mode.INSTANCE: PlainInstance},
    aliases=("polardbx", "polardb_x_20"),
    url_schemes=("polardbx",),
    example={
        "address": [{"host": "db.example.com", "port": 3306}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
)
