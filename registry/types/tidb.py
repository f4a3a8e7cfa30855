"""TiDB: speaks MySQL's protocol."""

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.mysql import SingleHost

TYPE = DataSourceType(
    name="tidb",
    title="TiDB",
    protocol="mysql",
    default_port=4000,
    modes={Mode.CONNECTION_STRING: SingleHost},
    example={
        "address": [{"host": "db.example.com", "port": 4000}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
)
