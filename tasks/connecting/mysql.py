"""What MySQL's drivers are told, so that they do what a check did: TLS, hosts, passwords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.errors import InvalidInput
from tasks.connecting import places

if TYPE_CHECKING:
    from registry.connection import Endpoint
    from tasks.connecting.detailing import Details

#: What they say where no server answers, or one hangs up before it greets.
NOBODY_THERE = (2002, 2003, 2013)
#: The first pymysql that refuses a server without TLS where TLS is asked for.
_INSISTS = (1, 2)
#: Arguments of pymysql that aiomysql has not.
_SYNCHRONOUS_ALONE = ("read_timeout", "write_timeout")


def place(there: Endpoint) -> dict[str, Any]:
    """Where to go: to them, a socket's path is no host."""
    if there.host.startswith("/"):
        return {"unix_socket": there.host}
    return {"host": there.host, "port": there.port, "unix_socket": None}


def password(text: str) -> str:
    """They send it in Latin-1; the server, and every other client, has it in UTF-8."""
    return text.encode().decode("latin-1")


def synchronous(found: Details, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """For pymysql, which takes TLS where it is offered, and insists on it when it is given a context.

    Raises:
        InvalidInput: It is one that does not insist.
        ImportError: It is not installed.
    """
    tls = places.material(found)
    if not tls.demanded:
        return {**arguments, **({} if tls.wanted else {"ssl_disabled": True})}
    import pymysql

    if pymysql.VERSION < _INSISTS:
        raise InvalidInput(
            f"the entry asks for TLS, and pymysql {pymysql.VERSION_STRING} goes on without it where a server has none",
            where=f"entry:{found.source}/{found.env}",
            instruction="pip install 'pymysql>=1.2'",
        )
    return {**arguments, "ssl": places.context(found)}


def asynchronous(found: Details, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """For aiomysql, which takes TLS only when it is given a context, and never insists on it."""
    tls = places.material(found)
    told = {name: value for name, value in arguments.items() if name not in _SYNCHRONOUS_ALONE}
    if tls.wanted:
        told["ssl"] = places.context(found, preferred=True)
    if tls.demanded:
        told["async_creator_fn"] = _insisting
    return told


async def _insisting(**arguments: Any) -> Any:
    """A connection of aiomysql; nothing is said to a server that offers no TLS."""
    from aiomysql import Connection, OperationalError
    from pymysql.constants import CLIENT, CR

    class Insisting(Connection):  # type: ignore[misc]
        async def _get_server_information(self) -> None:
            await super()._get_server_information()
            if not self.server_capabilities & CLIENT.SSL:
                raise OperationalError(CR.CR_SSL_CONNECTION_ERROR, "TLS is asked for, and the server offers none")

    made = Insisting(**arguments)
    await made._connect()
    return made
