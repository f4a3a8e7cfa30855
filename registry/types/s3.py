"""Amazon S3, and every store that speaks its protocol."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from registry.connection.fields import SecretReference
from registry.connection.http import HttpEndpoint
from registry.connection.model import Mode
from registry.types import DataSourceType


class Bucket(HttpEndpoint):
    """A bucket behind an endpoint."""

    region_id: str = Field(
        default="",
        max_length=64,
        description="Region of the bucket; requests are signed for it.",
        examples=["eu-west-1"],
    )
    bucket: str = Field(min_length=1, max_length=255, description="Name of the bucket.", examples=["orders"])

    @property
    def url_path(self) -> str:
        """What stands behind the host in its URL."""
        return self.bucket

    @property
    def database(self) -> None:
        """None: what is missing or may not be entered is the bucket."""


class ConnectionString(Bucket):
    """A bucket, and the access key that reads it."""

    url_scheme: ClassVar[str] = "s3"

    access_id: str = Field(
        min_length=1, max_length=255, description="Id of the access key.", examples=["AKIAIOSFODNN7EXAMPLE"]
    )
    access_key: SecretReference = Field(description="Its secret.", examples=["env:S3_SECRET_KEY"])


TYPE = DataSourceType(
    name="s3",
    title="Amazon S3",
    protocol="s3",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("amazon_s3", "aws_s3"),
    url_schemes=("s3",),
    example={
        "region_id": "eu-west-1",
        "endpoint": "https://s3.eu-west-1.amazonaws.com",
        "bucket": "orders",
        "access_id": "AKIAIOSFODNN7EXAMPLE",
        "access_key": "env:S3_SECRET_KEY",
        "objects": ["daily/"],
    },
    tested="server",
)
