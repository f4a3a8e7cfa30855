"""Milvus."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from registry.connection.fields import AccountName, SecretReference
from registry.connection.http import HttpEndpoint
from registry.connection.model import Connection, Mode
from registry.connection.parts import CloudInstance
from registry.types import DataSourceType


class _Login(Connection):
    """A database, and who logs in to it."""

    database: str = Field(default="", max_length=255, description="Name of the database.", examples=["orders"])
    username: AccountName
    password: SecretReference | None = Field(
        default=None, description="Its password.", examples=["env:MILVUS_PASSWORD"]
    )


class ConnectionString(HttpEndpoint, _Login):
    """The endpoint of a Milvus."""

    url_scheme: ClassVar[str] = "milvus"

    auth_type: str | None = Field(
        default=None, max_length=64, description="How the account proves itself.", examples=["password"]
    )

    @property
    def url_path(self) -> str:
        """What stands behind the host in its URL."""
        return self.database


class InstanceById(CloudInstance, _Login):
    """A managed instance."""

    instance_id: str = Field(min_length=1, description="Id of the instance.", examples=["c-1234567890"])

    @property
    def instance(self) -> str:
        return self.instance_id


TYPE = DataSourceType(
    name="milvus",
    title="Milvus",
    protocol="milvus",
    default_port=19530,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    url_schemes=("milvus",),
    modules=("data_integration",),
    example={
        "endpoint": "https://milvus.example.com:19530",
        "database": "orders",
        "username": "app",
        "password": "env:MILVUS_PASSWORD",
    },
    tested="wire",
)
