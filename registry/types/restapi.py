"""RestAPI: an HTTP service that answers with data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from registry.connection.fields import Endpoint, FileReference, SecretReference, is_reference, spelled
from registry.connection.model import Connection, Mode
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType
from registry.urls import http

#: Headers that carry a credential: their values are references.
SECRET_HEADER = re.compile(r"authorization|cookie|token|secret|password|api-?key|access-?key|signature", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def checked_headers(headers: dict[str, str]) -> dict[str, str]:
    """The headers. Raises `ValueError` for what is none, and for a secret that is no reference."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise ValueError("a header has a name of letters, digits and '-', and a value without line breaks")
        if SECRET_HEADER.search(name) and not is_reference(value):
            raise ValueError(f'{name} carries a secret (value not shown); use a reference such as "env:SHOP_TOKEN"')
    return headers


class ConnectionString(Connection):
    """A URL, and how to log in to it."""

    secret_mappings: ClassVar[tuple[str, ...]] = ("default_header",)

    url: Annotated[str, AfterValidator(http.normal_url)] = Field(
        max_length=4096, description="http or https URL, without credentials.", examples=["https://api.example.com/v1"]
    )
    default_header: Annotated[dict[str, str], AfterValidator(checked_headers)] = Field(
        default_factory=dict,
        description="Headers of every request; one that carries a secret has a reference as its value.",
        examples=[{"Accept": "application/json"}],
    )
    security_protocol: Annotated[
        Literal["authTypeNone", "basic", "token"], spelled("authTypeNone", "basic", "token")
    ] = Field(default="authTypeNone", description="authTypeNone, basic or token.", examples=["token"])
    username: str | None = Field(default=None, max_length=255, description="basic: account.", examples=["app"])
    password: SecretReference | None = Field(
        default=None, description="basic: password.", examples=["env:SHOP_PASSWORD"]
    )
    auth_token: SecretReference | None = Field(
        default=None, description="token: the bearer token.", examples=["env:SHOP_TOKEN"]
    )
    truststore_file: FileReference | None = Field(
        default=None,
        description="Bundle of trusted certificates (PEM) in place of the system's.",
        examples=["file:/etc/headwater/ca.pem"],
    )

    @model_validator(mode="after")
    def _credentials_of_the_method(self) -> Self:
        if self.security_protocol == "basic" and not (self.username and self.password):
            raise ValueError("security_protocol basic needs username and password")
        if self.security_protocol == "token" and not self.auth_token:
            raise ValueError("security_protocol token needs auth_token")
        return self

    def endpoints(self) -> tuple[Endpoint, ...]:
        host, port = http.endpoint_of(self.url)
        return (Endpoint(host=host, port=port),)

    def tls(self) -> TlsSettings:
        if not self.url.startswith("https:"):
            return TlsSettings()
        return TlsSettings("verify-full", self.truststore_file)

    @classmethod
    def secret_keys(cls, mapping: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(key for key in mapping if SECRET_HEADER.search(str(key)))


TYPE = DataSourceType(
    name="restapi",
    title="RestAPI (HTTP)",
    protocol="http",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("rest", "rest_api", "http", "https"),
    url_schemes=("http", "https"),
    example={
        "url": "https://api.example.com/v1",
        "default_header": {"Accept": "application/json"},
        "security_protocol": "token",
        "auth_token": "env:SHOP_TOKEN",
        "objects": ["orders"],
    },
    tested="server",
)
