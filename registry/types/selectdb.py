"""SelectDB: speaks MySQL's protocol."""

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.starrocks import ConnectionString

TYPE = DataSourceType(
    name="selectdb",
    title="SelectDB",
    protocol="mysql",
    default_port=9030,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    example={
        "address": [{"host": "fe.example.com", "port": 9030}],
        "load_address": [{"host": "fe.example.com", "port": 8030}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
)
