"""SQLAlchemy engines. The password goes to the driver when it connects; the engine and its URL have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from registry.errors import InvalidInput
from tasks.connecting import mysql, places, properties

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

    from registry.connection import Endpoint
    from tasks.connecting.detailing import Details


@dataclass(frozen=True)
class Driver:
    """How SQLAlchemy names a driver; `package` is what installs it."""

    name: str
    package: str
    asynchronous: str = ""
    asynchronous_package: str = ""


#: Protocol -> its driver.
DRIVERS: Mapping[str, Driver] = {
    "postgresql": Driver("postgresql+psycopg", "psycopg[binary]", "postgresql+psycopg", "psycopg[binary]"),
    "mysql": Driver("mysql+pymysql", "pymysql>=1.2", "mysql+aiomysql", "aiomysql"),
    "oracle": Driver("oracle+oracledb", "oracledb", "oracle+oracledb_async", "oracledb"),
    "sqlserver": Driver("mssql+pymssql", "pymssql"),
}


def engine(found: Details, options: Mapping[str, Any]) -> Engine:
    """An engine; it connects when it is used first.

    Args:
        options: Keywords of `create_engine`.

    Raises:
        InvalidInput: The driver is not installed, or cannot do what the entry asks for.
        NotConnectable: An instance has no address, or a file of TLS cannot be used.
    """
    from sqlalchemy import create_engine

    driver = DRIVERS[found.protocol]
    memory = places.Memory()
    try:
        prepared = _prepared(found, driver.name, memory)
        made = create_engine(prepared.url, **_keywords(prepared, options))
    except ImportError:
        raise _missing(found, driver.package) from None
    memory.live_with(made)
    _dial(made, found, prepared)
    return made


def asynchronous_engine(found: Details, options: Mapping[str, Any]) -> AsyncEngine:
    """As `engine`, for asynchronous code."""
    from sqlalchemy.ext.asyncio import create_async_engine

    driver = DRIVERS[found.protocol]
    memory = places.Memory()
    try:
        prepared = _prepared(found, driver.asynchronous, memory)
        made = create_async_engine(prepared.url, **_keywords(prepared, options))
    except ImportError:
        raise _missing(found, driver.asynchronous_package) from None
    memory.live_with(made.sync_engine)
    _dial(made.sync_engine, found, prepared)
    return made


@dataclass(frozen=True)
class _Prepared:
    """What an engine is made of.

    Attributes:
        arguments: Keywords of the driver.
        further: Hosts and ports that are tried after the one of the URL, where the driver tries one alone.
    """

    url: URL
    arguments: dict[str, Any]
    further: tuple[Endpoint, ...] = ()


def _keywords(prepared: _Prepared, options: Mapping[str, Any]) -> dict[str, Any]:
    """The entry decides where a connection goes and how; the rest is for whoever uses the engine."""
    arguments = {**options.get("connect_args", {}), **prepared.arguments}
    return {"pool_pre_ping": True, **options, "connect_args": arguments}


def _prepared(found: Details, driver: str, memory: places.Memory) -> _Prepared:
    from sqlalchemy.engine import URL

    there = places.endpoints(found)
    connection: Any = found.connection
    database = getattr(connection, "database", None) if found.protocol != "oracle" else None
    url = URL.create(driver, connection.username, None, there[0].host, there[0].port, database)
    told = properties.arguments(found.protocol, connection.properties)
    if found.protocol == "postgresql":
        arguments = {"connect_timeout": int(places.PATIENCE), **told, **_libpq_files(found, memory)}
        if len(there) > 1:
            ports = ",".join(str(one.port or "") for one in there)
            arguments |= {"host": ",".join(one.host for one in there), "port": ports}
        return _Prepared(url, arguments)
    if found.protocol == "mysql":
        arguments = {"connect_timeout": int(places.PATIENCE), **told, **mysql.place(there[0])}
        in_their_words = mysql.asynchronous if driver == DRIVERS["mysql"].asynchronous else mysql.synchronous
        return _Prepared(url, in_their_words(found, arguments), there[1:])
    if found.protocol == "oracle":
        return _Prepared(url, {**told, **_oracle(found, there)})
    return _Prepared(url, {**told, **_sqlserver(found)})


def _oracle(found: Details, there: Sequence[Endpoint]) -> dict[str, Any]:
    """A connect descriptor: the URL of SQLAlchemy has room for one listener and no TLS."""
    tls, connection = places.material(found), cast(Any, found.connection)
    protocol = "tcps" if tls.demanded else "tcp"
    listeners = "".join(f"(ADDRESS=(PROTOCOL={protocol})(HOST={one.host})(PORT={one.port}))" for one in there)
    service = connection.service_name
    asked = f"(SERVICE_NAME={service})" if service else f"(SID={connection.sid})"
    descriptor = f"(DESCRIPTION=(ADDRESS_LIST={listeners})(CONNECT_DATA={asked}))"
    if not tls.demanded:
        return {"dsn": descriptor}
    return {"dsn": descriptor, "ssl_context": places.context(found), "ssl_server_dn_match": tls.mode == "verify-full"}


def _sqlserver(found: Details) -> dict[str, Any]:
    """pymssql encrypts, and looks at no certificate.

    Raises:
        InvalidInput: The certificate is to be verified.
    """
    tls = places.material(found)
    if tls.verifies:
        raise InvalidInput(
            "the entry asks for a verified certificate, and pymssql verifies none",
            where=f"entry:{found.source}/{found.env}",
            instruction="take `tasks.connecting.details`, and a driver that does (pyodbc, mssql-python)",
        )
    return {"encryption": "require"} if tls.demanded else {}


def _libpq_files(found: Details, memory: places.Memory) -> dict[str, Any]:
    """TLS in libpq's words; what it wants as files is in memory."""
    tls = places.material(found)
    arguments: dict[str, Any] = {"sslmode": tls.mode}
    if tls.ca is not None:
        arguments["sslrootcert"] = memory.file(tls.ca)
    elif tls.verifies:
        arguments |= {
            "sslrootcert": "system",
            "sslmode": "verify-full",
        }  # libpq takes the system's store for this alone
    if tls.certificate is not None:
        arguments["sslcert"] = memory.file(tls.certificate)
        arguments["sslkey"] = memory.file(tls.key.get_secret_value() if tls.key else tls.certificate)
    return arguments


def _dial(made: Engine, found: Details, prepared: _Prepared) -> None:
    """Give the secrets to the driver when it connects, and let it try one host after the other."""
    from sqlalchemy import event

    password, key_password = found.secrets.get("password"), found.secrets.get("client_password")
    spelled = mysql.password if found.protocol == "mysql" else str

    def connecting(dialect: Any, _record: Any, words: Sequence[Any], parameters: dict[str, Any]) -> Any:
        if password is not None:
            parameters["password"] = spelled(password.get_secret_value())
        if key_password is not None and "sslkey" in parameters:
            parameters["sslpassword"] = key_password.get_secret_value()
        for after in prepared.further:
            try:
                return dialect.connect(*words, **parameters)
            except dialect.loaded_dbapi.OperationalError as error:
                if error.args and error.args[0] not in mysql.NOBODY_THERE:
                    raise
            parameters |= mysql.place(after)
        return None  # the engine connects, with what stands there now

    event.listen(made, "do_connect", connecting)


def _missing(found: Details, package: str) -> InvalidInput:
    return InvalidInput(
        f"connecting to {found.type} needs a driver that is not installed",
        where=f"data_source:{found.source}",
        instruction=f"pip install '{package}'",
    )
