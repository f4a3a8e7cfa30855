"""KingbaseES: speaks PostgreSQL's protocol."""

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.postgresql import SingleHost

TYPE = DataSourceType(
    name="kingbasees",
    title="KingbaseES",
    protocol="postgresql",
    default_port=54321,
    modes={Mode.CONNECTION_STRING: SingleHost},
    aliases=("kingbase", "kingbase8"),
    url_schemes=("kingbase8",),
    example={
        "address": [{"host": "db.example.com", "port": 54321}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
)
