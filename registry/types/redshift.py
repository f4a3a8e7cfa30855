"""Amazon Redshift: speaks PostgreSQL's protocol."""

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.postgresql import SingleHost

TYPE = DataSourceType(
    name="redshift",
    title="Amazon Redshift",
    protocol="postgresql",
    default_port=5439,
    modes={Mode.CONNECTION_STRING: SingleHost},
    url_schemes=("redshift",),
    example={
        "address": [{"host": "db.example.com", "port": 5439}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
)
