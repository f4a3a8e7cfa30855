"""A machine that commands are run on over SSH."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from registry.connection.fields import AccountName, Endpoint, FileReference, NetworkHost, Port, SecretReference, spelled
from registry.connection.model import Connection, Mode
from registry.types import DataSourceType

_METHODS = ("passwordAuth", "authTypeSshKey", "authTypeSshPublicKey")


class ConnectionString(Connection):
    """Host and port, and who logs in: by password or by a key."""

    url_scheme: ClassVar[str] = "ssh"

    host: NetworkHost = Field(description="Host name or IP address.", examples=["jobs.example.com"])
    port: Port = Field(default=22, description="Port, 1 to 65535.", examples=[22])
    username: AccountName
    security_protocol: Annotated[
        Literal["passwordAuth", "authTypeSshKey", "authTypeSshPublicKey"], spelled(*_METHODS)
    ] = Field(
        default="passwordAuth",
        description="passwordAuth, authTypeSshKey, or authTypeSshPublicKey (a key that was made here).",
        examples=["authTypeSshKey"],
    )
    password: SecretReference | None = Field(
        default=None, description="Its password, for passwordAuth.", examples=["env:JOBS_PASSWORD"]
    )
    ssh_key_file: FileReference | None = Field(
        default=None, description="Private key that logs in.", examples=["file:/etc/headwater/id_ed25519"]
    )
    ssh_key_password: SecretReference | None = Field(
        default=None, description="Password of the private key.", examples=["env:JOBS_KEY_PASSWORD"]
    )
    public_key: str | None = Field(
        default=None,
        description="The public key that the machine has to accept.",
        examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample"],
    )
    host_key: str | None = Field(
        default=None,
        description="The machine's key as in known_hosts, without the name.",
        examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample"],
    )

    @model_validator(mode="after")
    def _proof_of_the_method(self) -> Self:
        if self.security_protocol == "passwordAuth" and self.password is None:
            raise ValueError("security_protocol passwordAuth needs password")
        if self.security_protocol != "passwordAuth" and self.ssh_key_file is None:
            raise ValueError(f"security_protocol {self.security_protocol} needs ssh_key_file")
        return self

    @property
    def url_path(self) -> str:
        """Nothing stands behind the host in its URL."""
        return ""

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint(host=self.host, port=self.port),)


TYPE = DataSourceType(
    name="ssh",
    title="SSH",
    protocol="ssh",
    default_port=22,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("ssh",),
    modules=("data_studio",),
    example={
        "host": "jobs.example.com",
        "port": 22,
        "username": "app",
        "security_protocol": "authTypeSshKey",
        "ssh_key_file": "file:/etc/headwater/id_ed25519",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample",
    },
    tested="server",
)
