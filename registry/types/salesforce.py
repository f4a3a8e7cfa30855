"""Salesforce."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from registry.connection.fields import SecretReference, spelled
from registry.connection.http import EndpointUrl, HttpService
from registry.connection.model import Mode
from registry.types import DataSourceType


class ConnectionString(HttpService):
    """An instance, and the long-lived permission to read it."""

    url_scheme: ClassVar[str] = "salesforce"

    type: Annotated[Literal["rest"], spelled("rest")] = Field(
        default="rest", description="The API: rest.", examples=["rest"]
    )
    instance_url: EndpointUrl = Field(
        max_length=1024, description="URL of the instance.", examples=["https://example.my.salesforce.com"]
    )
    refresh_token: SecretReference = Field(
        description="Refresh token of the connected app.", examples=["env:SALESFORCE_REFRESH_TOKEN"]
    )
    client_id: str | None = Field(
        default=None,
        max_length=255,
        description="Client id of the connected app that the token was issued to; a login needs it.",
        examples=["3MVG9example"],
    )
    client_secret: SecretReference | None = Field(
        default=None, description="Its secret, where it has one.", examples=["env:SALESFORCE_CLIENT_SECRET"]
    )
    api_version: str = Field(
        default="v58.0", pattern=r"^v[0-9]{2}\.0$", description="Version of the API.", examples=["v58.0"]
    )

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.instance_url

    @property
    def url_path(self) -> str:
        """Nothing stands behind the host in its URL."""
        return ""


TYPE = DataSourceType(
    name="salesforce",
    title="Salesforce",
    protocol="salesforce",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("salesforce",),
    modules=("data_integration",),
    example={
        "instance_url": "https://example.my.salesforce.com",
        "refresh_token": "env:SALESFORCE_REFRESH_TOKEN",
        "client_id": "3MVG9example",
    },
    tested="wire",
    notes="A refresh token is good only with the client_id of its connected app; without it the login is Unsupport.",
)
