"""Tablestore."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from registry.connection.access_key import AccessKey
from registry.connection.http import HttpEndpoint
from registry.connection.model import Mode
from registry.types import DataSourceType


class ConnectionString(HttpEndpoint, AccessKey):
    """An instance and the access key that reads it."""

    url_scheme: ClassVar[str] = "tablestore"

    region_id: str = Field(default="", max_length=64, description="Region of the instance.", examples=["cn-hangzhou"])
    instance_name: str = Field(min_length=1, max_length=128, description="Name of the instance.", examples=["orders"])

    @property
    def url_path(self) -> str:
        """What stands behind the host in its URL."""
        return self.instance_name


TYPE = DataSourceType(
    name="tablestore",
    title="Tablestore",
    protocol="tablestore",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("ots",),
    url_schemes=("tablestore",),
    example={
        "region_id": "cn-hangzhou",
        "endpoint": "https://orders.cn-hangzhou.ots.aliyuncs.com",
        "instance_name": "orders",
        "access_id": "LTAI5tExample",
        "access_key": "env:ACCESS_KEY_SECRET",
    },
    tested="wire",
)
