"""BigQuery."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from registry.connection.fields import FileReference
from registry.connection.http import EndpointUrl, HttpEndpoint
from registry.connection.model import Mode
from registry.types import DataSourceType


class ConnectionString(HttpEndpoint):
    """A project, and the service account that reads it."""

    url_scheme: ClassVar[str] = "bigquery"

    endpoint: EndpointUrl = Field(
        default="https://bigquery.googleapis.com",
        max_length=1024,
        description="URL of the service; another one behind a private endpoint.",
        examples=["https://bigquery.googleapis.com"],
    )
    big_query_project_id: str = Field(
        min_length=1, max_length=128, description="Id of the project.", examples=["orders-1234"]
    )
    big_query_auth: FileReference = Field(
        description="Key file of the service account (JSON).", examples=["file:/run/secrets/bigquery.json"]
    )

    @property
    def url_path(self) -> str:
        """What stands behind the host in its URL."""
        return self.big_query_project_id


TYPE = DataSourceType(
    name="bigquery",
    title="BigQuery",
    protocol="bigquery",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("bigquery",),
    modules=("data_integration",),
    example={"big_query_project_id": "orders-1234", "big_query_auth": "file:/run/secrets/bigquery.json"},
    tested="wire",
)
