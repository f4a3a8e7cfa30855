"""Memcached, ApsaraDB for Memcache among it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from registry.connection.fields import Endpoint, NetworkHost, Port, SecretReference
from registry.connection.model import Mode
from registry.connection.parts import StorePasswords
from registry.connection.tls import TlsMode, TlsSettings
from registry.types import DataSourceType


class ConnectionString(StorePasswords):
    """One server (or the proxy before a cluster), and who logs in where it asks for a login."""

    url_scheme: ClassVar[str] = "memcached"

    proxy: NetworkHost = Field(description="Host name or IP address.", examples=["cache.example.com"])
    port: Port = Field(default=11211, description="Port, 1 to 65535.", examples=[11211])
    username: str | None = Field(default=None, max_length=255, description="Account of SASL.", examples=["app"])
    password: SecretReference | None = Field(default=None, description="Its password.", examples=["env:CACHE_PASSWORD"])

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint(host=self.proxy, port=self.port),)

    def tls(self) -> TlsSettings:
        """Verifies as soon as there is a truststore."""
        if not (self.truststore_file or self.keystore_file if self.tls_asked is None else self.tls_asked):
            return TlsSettings()
        mode: TlsMode = "verify-full" if self.truststore_file else "require"
        return TlsSettings(mode, self.truststore_file, self.keystore_file, self.key_file, self.keystore_password)


TYPE = DataSourceType(
    name="memcache",
    title="Memcached",
    protocol="memcached",
    default_port=11211,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("memcached", "ocs"),
    url_schemes=("memcached",),
    example={"proxy": "cache.example.com", "port": 11211, "username": "app", "password": "env:CACHE_PASSWORD"},
    tested="server",
    notes="Objects are keys; Memcached cannot list them.",
)
