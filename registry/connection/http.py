"""The parts of connections that go to an HTTP endpoint."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from registry.connection.fields import Endpoint, FileReference
from registry.connection.model import Connection
from registry.connection.tls import TlsSettings
from registry.urls import http


def _normal(endpoint: str) -> str:
    """A URL; a bare host is meant to be reached over TLS."""
    url = http.normal_url(endpoint if "://" in endpoint else f"https://{endpoint}")
    if "?" in url:
        raise ValueError("an endpoint has no query")
    return url.rstrip("/")


#: `https://host:port/path`, or a bare host.
EndpointUrl = Annotated[str, AfterValidator(_normal)]


class HttpEndpoint(Connection):
    """A service behind a URL, verified against the system's certificates unless a bundle is given."""

    endpoint: EndpointUrl = Field(
        max_length=1024,
        description="URL of the service; https where it names no scheme.",
        examples=["https://search.example.com:9200"],
    )
    truststore_file: FileReference | None = Field(
        default=None,
        description="Bundle of trusted certificates (PEM) in place of the system's.",
        examples=["file:/etc/headwater/ca.pem"],
    )

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.endpoint

    def endpoints(self) -> tuple[Endpoint, ...]:
        host, port = http.endpoint_of(self.url)
        return (Endpoint(host=host, port=port),)

    def tls(self) -> TlsSettings:
        return TlsSettings("verify-full", self.truststore_file) if self.url.startswith("https:") else TlsSettings()
