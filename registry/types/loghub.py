"""LogHub (Simple Log Service)."""

from __future__ import annotations

from typing import ClassVar

from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.datahub import Project


class ConnectionString(Project):
    """A project and the access key that reads it."""

    url_scheme: ClassVar[str] = "loghub"


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
