"""ClickHouse."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from registry.connection.fields import TransportSecurity, TrustedBundle
from registry.connection.model import Mode
from registry.connection.parts import Address, Login
from registry.connection.tls import TlsMode, TlsSettings
from registry.types import DataSourceType

#: Ports of the native protocol; the one over TLS last.
_NATIVE_PORTS = (9000, 9440)


class ConnectionString(Login, Address):
    """One host and port: 8123 or 8443 for HTTP, 9000 or 9440 for the native protocol."""

    url_scheme: ClassVar[str] = "clickhouse"

    security_protocol: TransportSecurity | None = Field(
        default=None, description="authTypeSsl asks for TLS, authTypeNone for none.", examples=["authTypeSsl"]
    )
    ssl_root_certificate_file: TrustedBundle = None

    @property
    def native(self) -> bool:
        """Whether the native protocol is spoken, by the port or by the driver's own `protocol` (tcp)."""
        said = self.properties.get("protocol", "").lower()
        return said in ("tcp", "native") if said else self.address[0].port in _NATIVE_PORTS

    def tls(self) -> TlsSettings:
        """Verifies as soon as there are trusted certificates, unless `sslmode` says none."""
        asked = self.security_protocol or self.properties.get("ssl", "").lower() == "true"
        if (not asked and not self.ssl_root_certificate_file) or self.security_protocol == "authTypeNone":
            return TlsSettings()
        verified = self.ssl_root_certificate_file and self.properties.get("sslmode", "").lower() != "none"
        mode: TlsMode = "verify-full" if verified else "require"
        return TlsSettings(mode, self.ssl_root_certificate_file)


TYPE = DataSourceType(
    name="clickhouse",
    title="ClickHouse",
    protocol="clickhouse",
    default_port=8123,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("clickhouse",),
    example={
        "address": [{"host": "db.example.com", "port": 8123}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
        "objects": ["orders"],
    },
    tested="server",
)
