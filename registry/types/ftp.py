"""FTP, FTP over TLS, and SFTP: DataWorks' one type for the three."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from registry.connection.fields import AccountName, Endpoint, FileReference, NetworkHost, Port, SecretReference, spelled
from registry.connection.model import Connection, Mode
from registry.connection.tls import TlsSettings
from registry.types import DataSourceType


class FileServer(Connection):
    """A server of files and who logs in to it."""

    host: NetworkHost = Field(description="Host name or IP address.", examples=["files.example.com"])
    port: Port = Field(description="Port, 1 to 65535.", examples=[22])
    base_dir: str = Field(default="", description="Directory under which `objects` are.", examples=["/export/orders"])
    username: AccountName
    password: SecretReference | None = Field(
        default=None, description="Its password, unless it logs in with a key.", examples=["env:FILES_PASSWORD"]
    )

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint(host=self.host, port=self.port),)


class SshKey(Connection):
    """What SFTP adds: login by key, and the server's own key."""

    security_protocol: (
        Annotated[Literal["passwordAuth", "authTypeSshKey"], spelled("passwordAuth", "authTypeSshKey")] | None
    ) = Field(
        default=None,
        description="SFTP: passwordAuth or authTypeSshKey; unset: the key where there is one.",
        examples=["authTypeSshKey"],
    )
    ssh_key_file: FileReference | None = Field(
        default=None, description="SFTP: private key that logs in.", examples=["file:/etc/headwater/id_ed25519"]
    )
    ssh_key_password: SecretReference | None = Field(
        default=None, description="SFTP: password of the private key.", examples=["env:FILES_KEY_PASSWORD"]
    )
    host_key: str | None = Field(
        default=None,
        description="SFTP: the server's key as in known_hosts, without the name.",
        examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample"],
    )

    @model_validator(mode="after")
    def _key_where_asked(self) -> Self:
        if self.security_protocol == "authTypeSshKey" and self.ssh_key_file is None:
            raise ValueError("security_protocol authTypeSshKey needs ssh_key_file")
        return self


class ConnectionString(SshKey, FileServer):
    """Host and port, with the protocol spoken there."""

    protocol: Annotated[Literal["ftp", "sftp", "ftps"], spelled("ftp", "sftp", "ftps")] = Field(
        description="ftp, ftps (over TLS; port 990: from the first byte) or sftp.", examples=["sftp"]
    )
    truststore_file: FileReference | None = Field(
        default=None,
        description="FTPS: bundle of trusted certificates (PEM); without it nothing is verified.",
        examples=["file:/etc/headwater/ca.pem"],
    )

    def tls(self) -> TlsSettings:
        if self.protocol != "ftps":
            return TlsSettings()
        return TlsSettings("verify-full" if self.truststore_file else "require", self.truststore_file)


TYPE = DataSourceType(
    name="ftp",
    title="FTP, FTPS and SFTP",
    protocol="ftp",
    variant_field="protocol",
    variants={"sftp": "sftp"},
    default_port=21,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    aliases=("ftps",),
    url_schemes=("ftp", "ftps"),
    example={
        "protocol": "ftp",
        "host": "files.example.com",
        "port": 21,
        "base_dir": "/export/orders",
        "username": "app",
        "password": "env:FILES_PASSWORD",
    },
    tested="server",
)
