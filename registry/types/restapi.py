"""RestAPI: an HTTP service that answers with data."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from registry.connection.fields import OwnBundle, SecretReference, spelled
from registry.connection.http import Headers, HttpWithHeaders
from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.urls import http


class ConnectionString(HttpWithHeaders):
    """A URL, and how to log in to it."""

    secret_mappings: ClassVar[tuple[str, ...]] = ("default_header",)

    url: Annotated[str, AfterValidator(http.normal_url)] = Field(
        max_length=4096, description="http or https URL, without credentials.", examples=["https://api.example.com/v1"]
    )
    default_header: Headers = Field(default_factory=dict, examples=[{"Accept": "application/json"}])
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
    truststore_file: OwnBundle = None

    @model_validator(mode="after")
    def _credentials_of_the_method(self) -> Self:
        if self.security_protocol == "basic" and not (self.username and self.password):
            raise ValueError("security_protocol basic needs username and password")
        if self.security_protocol == "token" and not self.auth_token:
            raise ValueError("security_protocol token needs auth_token")
        return self


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
