"""Snowflake."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from registry.connection.fields import FileReference, SecretReference, spelled
from registry.connection.http import EndpointUrl, HttpService
from registry.connection.model import Mode
from registry.types import DataSourceType

_METHODS = ("authTypeClientPassword", "authTypePrivateKey")
_DOMAIN = ".snowflakecomputing.com"


class ConnectionString(HttpService):
    """An account, and who logs in: by password or by a private key."""

    url_scheme: ClassVar[str] = "snowflake"

    account_url: EndpointUrl = Field(
        max_length=1024,
        description="The account: its locator with the region, or the whole URL.",
        examples=["https://xy12345.eu-central-1.snowflakecomputing.com"],
    )
    database: str = Field(min_length=1, max_length=255, description="Name of the database.", examples=["ORDERS"])
    warehouse_name: str | None = Field(default=None, description="Warehouse that queries run in.", examples=["LOAD_WH"])
    role: str | None = Field(default=None, description="Role of the session.", examples=["LOADER"])
    security_protocol: Annotated[Literal["authTypeClientPassword", "authTypePrivateKey"], spelled(*_METHODS)] = Field(
        default="authTypeClientPassword",
        description="authTypeClientPassword or authTypePrivateKey.",
        examples=["authTypePrivateKey"],
    )
    username: str = Field(min_length=1, max_length=255, description="Account that logs in.", examples=["LOADER"])
    password: SecretReference | None = Field(
        default=None, description="Its password, for authTypeClientPassword.", examples=["env:SNOWFLAKE_PASSWORD"]
    )
    private_key_file_id: FileReference | None = Field(
        default=None,
        description="Its private key (PEM), for authTypePrivateKey.",
        examples=["file:/run/secrets/snowflake.pem"],
    )
    private_key_password: SecretReference | None = Field(
        default=None, description="Password of the private key.", examples=["env:SNOWFLAKE_KEY_PASSWORD"]
    )

    @model_validator(mode="after")
    def _proof_of_the_method(self) -> Self:
        if self.security_protocol == "authTypePrivateKey" and self.private_key_file_id is None:
            raise ValueError("security_protocol authTypePrivateKey needs private_key_file_id")
        if self.security_protocol == "authTypeClientPassword" and self.password is None:
            raise ValueError("security_protocol authTypeClientPassword needs password")
        return self

    @property
    def url(self) -> str:
        """Where requests go: an account's locator alone stands for its host name."""
        scheme, _, rest = self.account_url.partition("://")
        host = rest.partition("/")[0]
        whole = ":" in host or ("." in host and not _is_locator(host))
        return self.account_url if whole else f"{scheme}://{host}{_DOMAIN}"

    @property
    def url_path(self) -> str:
        """What stands behind the host in its URL."""
        return self.database


def _is_locator(host: str) -> bool:
    """`account_locator.cloud_region_id[.cloud]` or with a compliance word, and no domain behind it."""
    return not host.endswith(_DOMAIN) and host.rpartition(".")[2] not in ("com", "net", "org", "cn", "local", "test")


TYPE = DataSourceType(
    name="snowflake",
    title="Snowflake",
    protocol="snowflake",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("snowflake",),
    modules=("data_integration",),
    example={
        "account_url": "https://xy12345.eu-central-1.snowflakecomputing.com",
        "database": "ORDERS",
        "warehouse_name": "LOAD_WH",
        "username": "LOADER",
        "password": "env:SNOWFLAKE_PASSWORD",
    },
    tested="wire",
)
