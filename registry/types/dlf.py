"""Data Lake Formation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from registry.connection.fields import CloudIdentity, spelled
from registry.connection.http import HttpEndpoint
from registry.connection.model import Mode
from registry.types import DataSourceType

_IDENTITIES = ("Executor", "PrimaryAccount", "SubAccount", "RamRole")


class ConnectionString(HttpEndpoint):
    """A database of a catalog."""

    url_scheme: ClassVar[str] = "dlf"

    region_id: str = Field(default="", max_length=64, description="Region of the catalog.", examples=["cn-hangzhou"])
    catalog_id: str = Field(min_length=1, max_length=128, description="Id of the catalog.", examples=["clg-paimon-1"])
    catalog_name: str = Field(default="", max_length=128, description="Name of the catalog.", examples=["lake"])
    catalog_type: Annotated[Literal["Paimon"], spelled("Paimon")] = Field(
        default="Paimon", description="Type of the catalog: Paimon.", examples=["Paimon"]
    )
    database: str = Field(default="", max_length=128, description="Name of the database.", examples=["orders"])
    auth_type: Annotated[Literal["Executor", "PrimaryAccount", "SubAccount", "RamRole"], spelled(*_IDENTITIES)] = Field(
        default="Executor",
        description="Whose identity is used: Executor (development), PrimaryAccount, SubAccount or RamRole.",
        examples=["PrimaryAccount"],
    )
    auth_identity: CloudIdentity = None

    @property
    def url_path(self) -> str:
        """What stands behind the host in its URL."""
        return self.database


TYPE = DataSourceType(
    name="dlf",
    title="Data Lake Formation",
    protocol="lake",
    default_port=443,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("dlf",),
    example={
        "region_id": "cn-hangzhou",
        "endpoint": "https://cn-hangzhou-vpc.dlf.aliyuncs.com",
        "catalog_id": "clg-paimon-1",
        "catalog_name": "lake",
        "database": "orders",
        "auth_type": "PrimaryAccount",
    },
    tested="wire",
    notes="The login is one of the platform's identities: Unsupport after the stage greet.",
)
