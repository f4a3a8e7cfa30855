"""An access key, or the identity that stands for one."""

from __future__ import annotations

from pydantic import Field

from registry.connection.fields import SecretReference
from registry.connection.model import Connection


class AccessKey(Connection):
    """The key that signs requests."""

    access_id: str = Field(
        min_length=1, max_length=255, description="Id of the access key.", examples=["LTAI5tExample"]
    )
    access_key: SecretReference = Field(description="Its secret.", examples=["env:ACCESS_KEY_SECRET"])


class OptionalAccessKey(Connection):
    """The key that signs requests, where the identity is not that of the platform."""

    access_id: str | None = Field(
        default=None, max_length=255, description="Id of the access key.", examples=["LTAI5tExample"]
    )
    access_key: SecretReference | None = Field(
        default=None, description="Its secret.", examples=["env:ACCESS_KEY_SECRET"]
    )
