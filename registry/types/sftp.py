"""SFTP as a type of its own; DataWorks' name for the same is `ftp` with `protocol: sftp`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from registry.connection.fields import spelled
from registry.connection.model import Mode
from registry.types import DataSourceType
from registry.types.ftp import FileServer, SshKey


class ConnectionString(SshKey, FileServer):
    """Host and port."""

    protocol: Annotated[Literal["sftp"], spelled("sftp")] = Field(
        default="sftp", description="Always sftp.", examples=["sftp"]
    )


TYPE = DataSourceType(
    name="sftp",
    title="SFTP",
    protocol="sftp",
    default_port=22,
    modes={Mode.CONNECTION_STRING: ConnectionString},
    url_schemes=("sftp",),
    example={
        "host": "files.example.com",
        "port": 22,
        "base_dir": "/export/orders",
        "username": "app",
        "ssh_key_file": "file:/etc/headwater/id_ed25519",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample",
    },
    tested="server",
)
