"""openGauss: speaks PostgreSQL's protocol."""

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.postgresql import SingleHost

TYPE = DataSourceType(
    name="opengauss",
    title="openGauss",
    protocol="postgresql",
    default_port=5432,
    modes={Mode.CONNECTION_STRING: SingleHost},
    aliases=("gaussdb",),
    url_schemes=("opengauss",),
    example={
        "address": [{"host": "db.example.com", "port": 5432}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
)
