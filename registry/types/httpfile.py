"""HttpFile: files that a web server hands out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from registry.connection.fields import Endpoint, FileReference
from registry.connection.model import Connection, Mode
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType
from registry.types.restapi import SECRET_HEADER, checked_headers
from registry.urls import http


def _headers(given: Any) -> Any:
    """DataWorks has the headers as a JSON object in a string."""
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given or "{}")
    except ValueError:
        raise ValueError('a mapping of headers is needed, or JSON as in {"Accept": "*/*"}') from None


class ConnectionString(Connection):
    """The beginning of URLs, and the headers of requests."""

    url_scheme: ClassVar[str] = "httpfile"
    secret_mappings: ClassVar[tuple[str, ...]] = ("default_headers",)

    url_prefix: Annotated[str, AfterValidator(http.normal_url)] = Field(
        max_length=4096,
        description="http or https URL under which the files are, without credentials.",
        examples=["https://files.example.com/export"],
    )
    default_headers: Annotated[dict[str, str], BeforeValidator(_headers), AfterValidator(checked_headers)] = Field(
        default_factory=dict,
        description="Headers of every request; one that carries a secret has a reference as its value.",
        examples=[{"Accept": "text/csv"}],
    )
    truststore_file: FileReference | None = Field(
        default=None,
        description="Bundle of trusted certificates (PEM) in place of the system's.",
        examples=["file:/etc/headwater/ca.pem"],
    )

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.url_prefix

    @property
    def url_path(self) -> str:
        """What stands behind the host in its URL."""
        return "/".join(self.url_prefix.split("/")[3:])

    def endpoints(self) -> tuple[Endpoint, ...]:
        host, port = http.endpoint_of(self.url_prefix)
        return (Endpoint(host=host, port=port),)

    def tls(self) -> TlsSettings:
        secured = self.url_prefix.startswith("https:")
        return TlsSettings("verify-full", self.truststore_file) if secured else TlsSettings()

    @classmethod
    def secret_keys(cls, mapping: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(key for key in mapping if SECRET_HEADER.search(str(key)))


TYPE = DataSourceType(
    name="httpfile",
    title="HttpFile",
    protocol="httpfile",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("http_file",),
    url_schemes=("httpfile",),
    example={"url_prefix": "https://files.example.com/export", "objects": ["orders.csv"]},
    tested="server",
    notes="Objects are files under the prefix; one byte of each is read.",
)
