"""GBase 8a: speaks MySQL's protocol."""

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.mysql import SingleHost

TYPE = DataSourceType(
    name="gbase8a",
    title="GBase 8a",
    protocol="mysql",
    default_port=5258,
    modes={Mode.CONNECTION_STRING: SingleHost},
    aliases=("gbase",),
    url_schemes=("gbase",),
    example={
        "address": [{"host": "db.example.com", "port": 5258}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
    modules=("data_integration",),
)
