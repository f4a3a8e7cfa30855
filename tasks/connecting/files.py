"""Clients of file servers: they are logged in, and stand in the entry's folder."""

from __future__ import annotations

import io
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.errors import InvalidInput
from tasks.connecting import places
from tasks.connecting.refusals import NotConnectable

if TYPE_CHECKING:
    import ftplib
    import socket

    import paramiko

    from tasks.connecting.detailing import Details

#: FTP over TLS from the first byte.
_IMPLICIT = 990


def ftp(found: Details, options: Mapping[str, Any]) -> ftplib.FTP:
    """An `ftplib.FTP`, or an `ftplib.FTP_TLS` whose data connections are encrypted too.

    Raises:
        NotConnectable: It does not answer, or does not let in.
    """
    import ftplib

    _expect_none(found, options)
    connection: Any = found.connection
    trusted = places.context(found)
    if trusted is not None and connection.port == _IMPLICIT:
        raise InvalidInput(
            "there is no client for FTP with TLS from the first byte", where=f"data_source:{found.source}"
        )
    made = _resuming()(context=trusted) if trusted is not None else ftplib.FTP()  # noqa: S321 - as it is configured
    try:
        made.connect(connection.host, connection.port, timeout=places.PATIENCE)
        made.login(connection.username, _value(found, "password") or "")
        if isinstance(made, ftplib.FTP_TLS):
            made.prot_p()
        if connection.base_dir:
            made.cwd(connection.base_dir)
    except (OSError, EOFError, ftplib.Error) as error:
        made.close()
        raise _refused(found, error) from None
    return made


def _resuming() -> type[ftplib.FTP_TLS]:
    import ftplib

    class Resuming(ftplib.FTP_TLS):
        """Data connections resume the session of the control connection: vsftpd, for one, insists on that."""

        def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
            made, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321 - encrypted in the next line but one
            session = getattr(self.sock, "session", None)
            return self.context.wrap_socket(made, server_hostname=self.host, session=session), size

    return Resuming


def sftp(found: Details, options: Mapping[str, Any]) -> paramiko.SFTPClient:
    """A `paramiko.SFTPClient`. The server's key must be the entry's `host_key`, or known to this user.

    Raises:
        NotConnectable: It does not answer, shows another key, or does not let in.
    """
    import paramiko

    _expect_none(found, options)
    connection: Any = found.connection
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    if connection.host_key:
        _trust(client, connection)
    else:
        client.load_system_host_keys()
    try:
        client.connect(
            connection.host,
            connection.port,
            connection.username,
            password=_value(found, "password"),
            pkey=_key(found),
            timeout=places.PATIENCE,
            look_for_keys=False,
            allow_agent=False,
        )
        made = client.open_sftp()
        if connection.base_dir:
            made.chdir(connection.base_dir)
    except (OSError, paramiko.SSHException) as error:
        client.close()
        raise _refused(found, error) from None
    weakref.finalize(made, client.close)
    return made


def _trust(client: paramiko.SSHClient, connection: Any) -> None:
    import paramiko

    name = connection.host if connection.port == 22 else f"[{connection.host}]:{connection.port}"
    for line in connection.host_key.splitlines():
        known = paramiko.hostkeys.HostKeyEntry.from_line(f"{name} {line}")
        if known is not None and known.key is not None:
            client.get_host_keys().add(name, known.key.get_name(), known.key)


def _key(found: Details) -> paramiko.PKey | None:
    import paramiko

    text = _value(found, "ssh_key_file")
    if text is None:
        return None
    password = _value(found, "ssh_key_password")
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), password)
        except (paramiko.SSHException, ValueError):
            continue
    raise NotConnectable(
        "ssh_key_file holds no private key that can be used",
        where=f"entry:{found.source}/{found.env}.ssh_key_file",
        instruction=f"headwater test {found.source}",
    )


def _expect_none(found: Details, options: Mapping[str, Any]) -> None:
    """Raises: InvalidInput: Options were given; the client is logged in already."""
    if options:
        told = f"a client of {found.type} takes no options, and got {', '.join(options)}"
        raise InvalidInput(told, where=f"data_source:{found.source}", instruction="leave out options")


def _value(found: Details, field: str) -> str | None:
    value = found.secrets.get(field)
    return value.get_secret_value() if value is not None else None


def _refused(found: Details, error: BaseException) -> NotConnectable:
    where = f"entry:{found.source}/{found.env}"
    return NotConnectable(
        f"it does not let in ({type(error).__name__})", where=where, instruction=f"headwater test {found.source}"
    )
