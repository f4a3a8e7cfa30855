"""AnalyticDB for MySQL: speaks MySQL's protocol."""

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.mysql import PlainInstance, SingleHost

TYPE = DataSourceType(
    name="analyticdb_for_mysql",
    title="AnalyticDB for MySQL",
    protocol="mysql",
    default_port=3306,
    modes={Mode.CONNECTION_STRING: SingleHost, Mode.INSTANCE: PlainInstance},
    aliases=("ads", "adb_for_mysql"),
    example={
        "address": [{"host": "db.example.com", "port": 3306}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
)
