"""Paimon Catalog: metadata of a lake, to be collected and governed, never read or written by tasks."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from registry.connection.http import HttpEndpoint
from registry.connection.model import Mode
from registry.types import DataSourceType


class ConnectionString(HttpEndpoint):
    """A catalog behind a REST catalog server. DataWorks publishes no field list of this type."""

    url_scheme: ClassVar[str] = "paimon"

    warehouse: str = Field(min_length=1, max_length=1024, description="Warehouse of the catalog.", examples=["lake"])

    @property
    def url_path(self) -> str:
        """What stands behind the host in its URL."""
        return self.warehouse


TYPE = DataSourceType(
    name="paimon_catalog",
    title="Paimon Catalog",
    protocol="lake",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("paimon",),
    url_schemes=("paimon",),
    kind="metadata",
    modules=("data_map",),
    example={"endpoint": "https://catalog.example.com:8080", "warehouse": "lake"},
    tested="wire",
    notes="Metadata only: no task may read or write it. The login is Unsupport after the stage greet.",
)
