"""OpenSearch: speaks Elasticsearch's protocol."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from registry.connection.fields import AccountName, SecretReference, spelled
from registry.connection.model import Mode
from registry.connection.parts import Instance
from registry.types import DataSourceType
from registry.types.elasticsearch import Cluster

_EDITIONS = ("vectorSearchVersion", "recallEnginVersion")


class ConnectionString(Cluster):
    """An endpoint of OpenSearch."""

    url_scheme: ClassVar[str] = "opensearch"


class InstanceById(Instance):
    """A managed instance."""

    instance_type: Annotated[Literal["vectorSearchVersion", "recallEnginVersion"], spelled(*_EDITIONS)] = Field(
        description="vectorSearchVersion or recallEnginVersion.", examples=["vectorSearchVersion"]
    )
    username: AccountName
    password: SecretReference = Field(description="Its password.", examples=["env:SEARCH_PASSWORD"])


TYPE = DataSourceType(
    name="opensearch",
    title="OpenSearch",
    protocol="elasticsearch",
    default_port=9200,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    url_schemes=("opensearch",),
    example={
        "endpoint": "https://search.example.com:9200",
        "username": "app",
        "password": "env:SEARCH_PASSWORD",
        "objects": ["orders"],
    },
    tested="wire",
    notes="DataWorks itself offers the instance mode only.",
)
