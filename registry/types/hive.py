"""Apache Hive, through HiveServer2."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from registry.connection.fields import (
    ClientKeyPassword,
    CloudIdentity,
    DatabaseName,
    FileReference,
    SecretReference,
    TrustedBundle,
    TruststorePassword,
    spelled,
)
from registry.connection.kerberos import KerberosFiles, Principal
from registry.connection.model import Mode
from registry.connection.parts import Address, CloudInstance
from registry.connection.tls import TlsMode, TlsSettings
from registry.types import DataSourceType
from registry.urls.parsed import endpoint

_PROTOCOLS = ("authTypeNone", "authTypeSsl", "authTypeKerberos")
_IDENTITIES = ("Executor", "PrimaryAccount", "SubAccount", "RamRole")


def _metastores(text: str) -> str:
    for one in text.split(","):
        scheme, _, rest = one.strip().partition("://")
        if scheme != "thrift" or not rest:
            raise ValueError("metastore URIs look like thrift://metastore.example.com:9083, separated by commas")
        endpoint(rest)
    return text


class Warehouse(KerberosFiles):
    """A database of Hive, and who logs in to it."""

    database: DatabaseName = Field(default="default", description="Name of the database.", examples=["orders"])
    version: str = Field(default="", max_length=32, description="Version of Hive.", examples=["3.1.3"])
    login_mode: Annotated[Literal["Anonymous", "LDAP"], spelled("Anonymous", "LDAP")] = Field(
        default="Anonymous", description="Anonymous, or LDAP (user name and password).", examples=["LDAP"]
    )
    username: str | None = Field(default=None, max_length=255, description="LDAP: account.", examples=["app"])
    password: SecretReference | None = Field(
        default=None, description="LDAP: its password.", examples=["env:HIVE_PASSWORD"]
    )
    security_protocol: Annotated[Literal["authTypeNone", "authTypeSsl", "authTypeKerberos"], spelled(*_PROTOCOLS)] = (
        Field(
            default="authTypeNone",
            description="authTypeNone, authTypeSsl or authTypeKerberos.",
            examples=["authTypeSsl"],
        )
    )
    truststore_file: TrustedBundle = None
    truststore_password: TruststorePassword = None
    keystore_file: FileReference | None = Field(
        default=None, description="Client certificate and key (PEM).", examples=["file:/etc/headwater/client.pem"]
    )
    keystore_password: ClientKeyPassword = None
    principal: Principal | None = Field(
        default=None,
        description="authTypeKerberos: principal that logs in. The server's is hive/HOST unless `properties` have "
        "another as `principal`; one that names the host, or _HOST, and is not in the keytab counts as the server's.",
        examples=["app@EXAMPLE.COM"],
    )
    hive_config: dict[str, str] = Field(
        default_factory=dict,
        description="Further settings of sessions.",
        examples=[{"hive.execution.engine": "tez"}],
    )

    @model_validator(mode="after")
    def _account_of_the_mode(self) -> Self:
        if self.login_mode == "LDAP" and not (self.username and self.password):
            raise ValueError("login_mode LDAP needs username and password")
        if self.security_protocol == "authTypeKerberos" and not self.kerberos_file_keytab:
            raise ValueError("authTypeKerberos needs kerberos_file_keytab and kerberos_file_conf")
        return self

    def tls(self) -> TlsSettings:
        """Verifies as soon as there is a truststore."""
        if self.security_protocol != "authTypeSsl":
            return TlsSettings()
        mode: TlsMode = "verify-full" if self.truststore_file else "require"
        return TlsSettings(mode, self.truststore_file, self.keystore_file, None, self.keystore_password)


class ConnectionString(Warehouse, Address):
    """The address of HiveServer2, and where the metadata are."""

    url_scheme: ClassVar[str] = "hive2"

    meta_type: Annotated[Literal["HiveMetastore", "DLF1.0"], spelled("HiveMetastore", "DLF1.0")] = Field(
        default="HiveMetastore", description="HiveMetastore or DLF1.0.", examples=["HiveMetastore"]
    )
    metastore_uris: Annotated[str, AfterValidator(_metastores)] | None = Field(
        default=None, description="Where the metastore listens.", examples=["thrift://metastore.example.com:9083"]
    )
    access_id: str | None = Field(
        default=None, max_length=255, description="DLF1.0: id of the access key.", examples=["LTAI5tExample"]
    )
    access_key: SecretReference | None = Field(
        default=None, description="DLF1.0: its secret.", examples=["env:DLF_ACCESS_KEY_SECRET"]
    )
    default_fs: str | None = Field(
        default=None,
        alias="defaultFS",
        description="File system of the warehouse.",
        examples=["hdfs://nn.example.com:8020"],
    )


class InstanceById(Warehouse, CloudInstance):
    """A managed cluster."""

    cluster_id: str = Field(min_length=1, description="Id of the cluster.", examples=["c-bp1example"])
    auth_type: Annotated[Literal["Executor", "PrimaryAccount", "SubAccount", "RamRole"], spelled(*_IDENTITIES)] = Field(
        default="PrimaryAccount",
        description="Identity that reads object storage: Executor, PrimaryAccount, SubAccount or RamRole.",
        examples=["PrimaryAccount"],
    )
    auth_identity: CloudIdentity = None


TYPE = DataSourceType(
    name="hive",
    title="Hive",
    protocol="hive2",
    default_port=10000,
    modes={Mode.CONNECTION_STRING: ConnectionString, Mode.INSTANCE: InstanceById},
    aliases=("hiveserver2",),
    url_schemes=("hive2",),
    example={
        "address": [{"host": "hive.example.com", "port": 10000}],
        "database": "orders",
        "login_mode": "LDAP",
        "username": "app",
        "password": "env:HIVE_PASSWORD",
        "metastore_uris": "thrift://metastore.example.com:9083",
    },
    tested="wire",
    notes="HTTP mode and SASL's security layers are Unsupport; the exchanges tested were recorded from Spark's server.",
)
