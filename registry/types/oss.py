"""Alibaba Cloud Object Storage Service."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from registry.connection.fields import SecretReference, spelled
from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.s3 import Bucket


class ConnectionString(Bucket):
    """A bucket, and who reads it: an access key or a role."""

    url_scheme: ClassVar[str] = "oss"

    auth_type: Annotated[Literal["Ak", "RamRole"], spelled("Ak", "RamRole")] = Field(
        default="Ak", description="Ak (an access key) or RamRole.", examples=["Ak"]
    )
    auth_identity: str | None = Field(default=None, description="Id of the role.", examples=["3000001"])
    access_id: str | None = Field(
        default=None, max_length=255, description="Id of the access key.", examples=["LTAI5tExample"]
    )
    access_key: SecretReference | None = Field(
        default=None, description="Its secret.", examples=["env:OSS_ACCESS_KEY_SECRET"]
    )

    @model_validator(mode="after")
    def _identity_of_the_kind(self) -> Self:
        if self.auth_type == "Ak" and not (self.access_id and self.access_key):
            raise ValueError("auth_type Ak needs access_id and access_key")
        if self.auth_type == "RamRole" and not self.auth_identity:
            raise ValueError("auth_type RamRole needs auth_identity")
        return self


TYPE = DataSourceType(
    name="oss",
    title="Alibaba Cloud OSS",
    protocol="oss",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("oss",),
    example={
        "region_id": "cn-hangzhou",
        "endpoint": "https://oss-cn-hangzhou.aliyuncs.com",
        "bucket": "orders",
        "auth_type": "Ak",
        "access_id": "LTAI5tExample",
        "access_key": "env:OSS_ACCESS_KEY_SECRET",
        "objects": ["daily/"],
    },
    tested="wire",
    notes="Logs in with an access key; a role (RamRole) is Unsupport.",
)
