"""Elasticsearch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from registry.connection.fields import AccountName, SecretReference, spelled
from registry.connection.http import HttpEndpoint
from registry.connection.model import Mode
from registry.connection.parts import Instance
from registry.types import DataSourceType


class Cluster(HttpEndpoint):
    """A cluster behind an endpoint, and who logs in where it asks for a login."""

    auth_enable: Annotated[Literal["enable", "disable"], spelled("enable", "disable")] = Field(
        default="enable", description="disable for a cluster without login.", examples=["enable"]
    )
    username: str | None = Field(default=None, max_length=255, description="Account that logs in.", examples=["app"])
    password: SecretReference | None = Field(
        default=None, description="Its password.", examples=["env:SEARCH_PASSWORD"]
    )

    @property
    def security_protocol(self) -> str:
        """How credentials are sent."""
        return "basic" if self.auth_enable == "enable" else "authTypeNone"

    @model_validator(mode="after")
    def _account_where_enabled(self) -> Self:
        if self.auth_enable == "enable" and not (self.username and self.password):
            raise ValueError("auth_enable: enable needs username and password; set disable for a cluster without login")
        return self


class ConnectionString(Cluster):
    """An endpoint of Elasticsearch."""

    url_scheme: ClassVar[str] = "elasticsearch"


class InstanceById(Instance):
    """A managed cluster."""

    instance_type: Annotated[Literal["cloudNative", "serverless"], spelled("cloudNative", "serverless")] = Field(
        default="cloudNative", description="cloudNative or serverless.", examples=["cloudNative"]
    )
    username: AccountName
    password: SecretReference = Field(description="Its password.", examples=["env:SEARCH_PASSWORD"])


TYPE = DataSourceType(
    name="elasticsearch",
    title="Elasticsearch",
    protocol="elasticsearch",
    default_port=9200,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    aliases=("es",),
    url_schemes=("elasticsearch",),
    example={
        "endpoint": "https://search.example.com:9200",
        "username": "app",
        "password": "env:SEARCH_PASSWORD",
        "objects": ["orders"],
    },
    tested="wire",
    notes="Objects are indexes, aliases or patterns of them.",
)
