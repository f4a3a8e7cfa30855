"""Memcached, ApsaraDB for Memcache among it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from registry.connection.fields import Endpoint, NetworkHost, Port, SecretReference
from registry.connection.model import Mode
from registry.connection.parts import StoresTransport
from registry.types import DataSourceType


class ConnectionString(StoresTransport):
    """One server (or the proxy before a cluster), and who logs in where it asks for a login."""

    url_scheme: ClassVar[str] = "memcached"

    proxy: NetworkHost = Field(description="Host name or IP address.", examples=["cache.example.com"])
    port: Port = Field(default=11211, description="Port, 1 to 65535.", examples=[11211])
    username: str | None = Field(default=None, max_length=255, description="Account of SASL.", examples=["app"])
    password: SecretReference | None = Field(default=None, description="Its password.", examples=["env:CACHE_PASSWORD"])

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint(host=self.proxy, port=self.port),)


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
