"""RabbitMQ, and other brokers of AMQP 0-9-1."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from registry.connection.fields import AccountName, SecretReference
from registry.connection.model import Mode
from registry.connection.parts import ManyAddresses, StoresTransport
from registry.types import DataSourceType


class ConnectionString(StoresTransport, ManyAddresses):
    """Brokers, a virtual host, and who logs in."""

    url_scheme: ClassVar[str] = "amqp"

    virtual_host: str = Field(default="/", min_length=1, max_length=255, description="Virtual host.", examples=["shop"])
    username: AccountName
    password: SecretReference | None = Field(
        default=None,
        description="Its password; none where a client certificate proves the account (EXTERNAL).",
        examples=["env:BROKER_PASSWORD"],
    )

    @property
    def url_path(self) -> str:
        """What stands behind the hosts in its URL."""
        return "" if self.virtual_host == "/" else self.virtual_host


TYPE = DataSourceType(
    name="rabbitmq",
    title="RabbitMQ",
    protocol="amqp",
    default_port=5672,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("amqp",),
    url_schemes=("amqp", "amqps"),
    example={
        "address": [{"host": "broker.example.com", "port": 5672}],
        "virtual_host": "shop",
        "username": "app",
        "password": "env:BROKER_PASSWORD",
        "objects": ["orders"],
    },
    tested="server",
    notes="Objects are queues; none of their messages is taken.",
)
