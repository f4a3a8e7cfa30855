"""The parts of connections that go to an HTTP endpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from registry.connection.fields import Endpoint, OwnBundle, is_reference
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


class HttpService(Connection):
    """A service behind `url`, verified against the system's certificates unless there is a `truststore_file`."""

    if TYPE_CHECKING:  # a field of some types, a property of others

        @property
        def url(self) -> str:
            """Where requests go."""

    def endpoints(self) -> tuple[Endpoint, ...]:
        host, port = http.endpoint_of(self.url)
        return (Endpoint(host=host, port=port),)

    def tls(self) -> TlsSettings:
        if not self.url.startswith("https:"):
            return TlsSettings()
        return TlsSettings("verify-full", getattr(self, "truststore_file", None))


class HttpEndpoint(HttpService):
    """A service whose URL is given as its endpoint."""

    endpoint: EndpointUrl = Field(
        max_length=1024,
        description="URL of the service; https where it names no scheme.",
        examples=["https://search.example.com:9200"],
    )
    truststore_file: OwnBundle = None

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.endpoint


#: Headers that carry a credential: their values are references.
_SECRET_HEADER = re.compile(r"authorization|cookie|token|secret|password|api-?key|access-?key|signature", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _checked_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise ValueError("a header has a name of letters, digits and '-', and a value without line breaks")
        if _SECRET_HEADER.search(name) and not is_reference(value):
            raise ValueError(f'{name} carries a secret (value not shown); use a reference such as "env:SHOP_TOKEN"')
    return headers


#: Headers of every request; a secret among them is a reference.
Headers = Annotated[
    dict[str, str],
    AfterValidator(_checked_headers),
    Field(description="Headers of every request; one that carries a secret has a reference as its value."),
]


class HttpWithHeaders(HttpService):
    """A service whose requests carry headers of the user's own."""

    @classmethod
    def secret_keys(cls, mapping: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(key for key in mapping if _SECRET_HEADER.search(str(key)))
