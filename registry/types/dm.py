"""DM (Dameng)."""

from __future__ import annotations

from typing import ClassVar

from registry.connection.fields import AccountName, AccountPassword
from registry.connection.model import Mode
from registry.connection.parts import Address
from registry.types import DataSourceType


class ConnectionString(Address):
    """One host and port; an account's own schema is its database."""

    url_scheme: ClassVar[str] = "dm"

    username: AccountName
    password: AccountPassword = None


TYPE = DataSourceType(
    name="dm",
    title="DM (Dameng)",
    protocol="dm",
    default_port=5236,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("dameng",),
    url_schemes=("dm",),
    example={
        "address": [{"host": "db.example.com", "port": 5236}],
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    },
    tested="wire",
    notes="Its protocol is not public: the way to it is tested, and Unsupport is told from the greeting on.",
    modules=("data_integration",),
)
