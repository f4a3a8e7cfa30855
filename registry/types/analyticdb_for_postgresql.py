"""AnalyticDB for PostgreSQL: speaks PostgreSQL's protocol."""

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.postgresql import PlainInstance, SingleHost

TYPE = DataSourceType(
    name="analyticdb_for_postgresql",
    title="AnalyticDB for PostgreSQL",
    protocol="postgresql",
    default_port=5432,
    modes={Mode.CONNECTION_STRING: SingleHost, Mode.INSTANCE: PlainInstance},
    aliases=("hybriddb_for_postgresql", "adb_for_postgresql"),
    example={
        "address": [{"host": "db.example.com", "port": 5432}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
)
