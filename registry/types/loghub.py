"""LogHub (Simple Log Service)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from registry.connection.access_key import AccessKey
from registry.connection.http import HttpEndpoint
from registry.connection.model import Mode
from registry.types import DataSourceType


class ConnectionString(HttpEndpoint, AccessKey):
    """A project and the access key that reads it."""

    url_scheme: ClassVar[str] = "loghub"

    region_id: str = Field(default="", max_length=64, description="Region of the project.", examples=["cn-hangzhou"])
    project: str = Field(min_length=1, max_length=128, description="Name of the project.", examples=["orders"])

    @property
    def url_path(self) -> str:
        """What stands behind the host in its URL."""
        return self.project


TYPE = DataSourceType(
    name="loghub",
    title="LogHub (Simple Log Service)",
    protocol="loghub",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("sls",),
    url_schemes=("loghub",),
    example={
        "region_id": "cn-hangzhou",
        "endpoint": "https://orders.cn-hangzhou.log.aliyuncs.com",
        "project": "orders",
        "access_id": "LTAI5tExample",
        "access_key": "env:ACCESS_KEY_SECRET",
    },
    tested="wire",
)
