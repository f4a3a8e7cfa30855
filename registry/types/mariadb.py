"""MariaDB: speaks MySQL's protocol."""

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.mysql import SingleHost

TYPE = DataSourceType(
    name="mariadb",
    title="MariaDB",
    protocol="mysql",
    default_port=3306,
    modes={Mode.CONNECTION_STRING: SingleHost},
    url_schemes=("mariadb",),
    example={
        "address": [{"host": "db.example.com", "port": 3306}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
    tested="server",
)
