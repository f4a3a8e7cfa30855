"""Redis."""

from __future__ import annotations

from pydantic import Field

from registry.connection import tls
from registry.connection.fields import SecretReference
from registry.connection.model import Mode
from registry.connection.parts import Address, Instance, StorePasswords
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType


class Keyspace(StorePasswords):
    """Who logs in, and to which numbered database.

    Servers without any account exist, and accounts by name only since Redis 6: all three may be left out.
    """

    username: str | None = Field(default=None, max_length=255, description="ACL user (Redis 6).", examples=["app"])
    password: SecretReference | None = Field(
        default=None,
        description="Password of the user, or of the server (`requirepass`).",
        examples=["env:CACHE_PASSWORD"],
    )
    database: int = Field(default=0, ge=0, le=65535, description="Number of the database.", examples=[0])

    def tls(self) -> TlsSettings:
        """Verifies as soon as there is a truststore, unless the properties say otherwise."""
        switched, verify = tls.redis_switches(self.properties)
        if self.tls_asked and switched is False:
            raise ValueError("security_protocol asks for TLS and the properties switch it off; drop one of the two")
        said = [word for word in (self.tls_asked, switched) if word is not None]
        if not (any(said) if said else self.truststore_file or self.keystore_file):
            return TlsSettings()
        return TlsSettings(
            "verify-full" if self.truststore_file and verify else "require",
            self.truststore_file,
            self.keystore_file,
            self.key_file,
            self.keystore_password,
        )


class ConnectionString(Keyspace, Address):
    """One host and port."""


class InstanceById(Keyspace, Instance):
    """A managed instance."""


TYPE = DataSourceType(
    name="redis",
    title="Redis",
    protocol="redis",
    default_port=6379,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    aliases=("valkey", "tair"),
    url_schemes=("redis", "rediss", "unix"),
    example={
        "address": [{"host": "cache.example.com", "port": 6379}],
        "password": "env:CACHE_PASSWORD",
        "security_protocol": "authTypeSsl",
        "truststore_file": "file:/etc/headwater/ca.pem",
        "objects": ["session:"],
    },
    tested="server",
)
