"""MaxCompute, ODPS in old exports."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from registry.connection.access_key import OptionalAccessKey
from registry.connection.fields import CloudIdentity, spelled
from registry.connection.http import EndpointUrl, HttpService
from registry.connection.model import Mode
from registry.types import DataSourceType

_IDENTITIES = ("Executor", "TaskOwner", "PrimaryAccount", "SubAccount", "RamRole", "HadoopUser")


class ConnectionString(OptionalAccessKey, HttpService):
    """A project, and whose identity reads it."""

    url_scheme: ClassVar[str] = "maxcompute"

    project: str = Field(min_length=1, max_length=128, description="Name of the project.", examples=["orders"])
    region_id: str = Field(default="", max_length=64, description="Region of the project.", examples=["cn-hangzhou"])
    endpoint_mode: Annotated[Literal["SelfAdaption", "Custom"], spelled("SelfAdaption", "Custom")] = Field(
        default="SelfAdaption",
        description="SelfAdaption: the public endpoint of the region; Custom: the one given.",
        examples=["Custom"],
    )
    endpoint: EndpointUrl | None = Field(
        default=None,
        description="URL of the service, for the mode Custom.",
        examples=["https://service.cn-hangzhou-vpc.maxcompute.aliyun-inc.com/api"],
    )
    tunnel_server: EndpointUrl | None = Field(
        default=None,
        description="URL of the Tunnel service, for the mode Custom.",
        examples=["https://dt.cn-hangzhou-vpc.maxcompute.aliyun-inc.com"],
    )
    auth_type: Annotated[
        Literal["Executor", "TaskOwner", "PrimaryAccount", "SubAccount", "RamRole", "HadoopUser"],
        spelled(*_IDENTITIES),
    ] = Field(
        default="Executor",
        description="Whose identity is used: Executor, TaskOwner, PrimaryAccount, SubAccount, RamRole or HadoopUser.",
        examples=["PrimaryAccount"],
    )
    auth_identity: CloudIdentity = None
    cross_account_owner_id: str | None = Field(
        default=None,
        description="Id of the cloud account that owns the project, where it is another one.",
        examples=["1234567890123456"],
    )
    cross_account_role_name: str | None = Field(
        default=None, description="Role of that account which may read the project.", examples=["dataworks-reader"]
    )

    @model_validator(mode="after")
    def _endpoint_of_the_mode(self) -> Self:
        if self.endpoint_mode == "Custom" and not (self.endpoint and self.tunnel_server):
            raise ValueError("endpoint_mode Custom needs endpoint and tunnel_server")
        if self.endpoint_mode == "SelfAdaption" and not (self.endpoint or self.region_id):
            raise ValueError("endpoint_mode SelfAdaption needs region_id")
        return self

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.endpoint or f"https://service.{self.region_id}.maxcompute.aliyun.com/api"

    @property
    def url_path(self) -> str:
        """What stands behind the host in its URL."""
        return f"{urlsplit(self.url).path}/projects/{self.project}"


TYPE = DataSourceType(
    name="maxcompute",
    title="MaxCompute",
    protocol="maxcompute",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("odps",),
    url_schemes=("maxcompute",),
    example={
        "project": "orders",
        "region_id": "cn-hangzhou",
        "access_id": "LTAI5tExample",
        "access_key": "env:ACCESS_KEY_SECRET",
    },
    tested="wire",
    notes="Logs in with access_id and access_key; an identity of the platform (auth_type alone) is Unsupport.",
)
