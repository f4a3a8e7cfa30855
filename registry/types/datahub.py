"""DataHub."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from registry.connection.access_key import AccessKey
from registry.connection.http import HttpEndpoint
from registry.connection.model import Mode
from registry.types import DataSourceType


class Project(HttpEndpoint, AccessKey):
    """What stands behind the endpoint of a service with projects."""

    region_id: str = Field(default="", max_length=64, description="Region of the project.", examples=["cn-hangzhou"])
    project: str = Field(min_length=1, max_length=128, description="Name of the project.", examples=["orders"])

    @property
    def url_path(self) -> str:
        """What stands behind the host in its URL."""
        return self.project


class ConnectionString(Project):
    """A project and the access key that reads it."""

    url_scheme: ClassVar[str] = "datahub"


TYPE = DataSourceType(
    name="datahub",
    title="DataHub",
    protocol="datahub",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("datahub",),
    example={
        "region_id": "cn-hangzhou",
        "endpoint": "https://dh-cn-hangzhou.aliyuncs.com",
        "project": "orders",
        "access_id": "LTAI5tExample",
        "access_key": "env:ACCESS_KEY_SECRET",
    },
    tested="wire",
)
