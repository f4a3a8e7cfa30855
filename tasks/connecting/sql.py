"""SQLAlchemy engines. The password goes to the driver when it connects; the engine and its URL have none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import InvalidInput
from tasks.connecting import places

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

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
    "mysql": Driver("mysql+pymysql", "pymysql", "mysql+aiomysql", "aiomysql"),
    "oracle": Driver("oracle+oracledb", "oracledb", "oracle+oracledb_async", "oracledb"),
    "sqlserver": Driver("mssql+pymssql", "pymssql"),
}


def engine(found: Details) -> Engine:
    """An engine; it connects when it is used first.

    Raises:
        InvalidInput: The driver is not installed.
        NotConnectable: An instance has no address, or a file of TLS cannot be used.
    """
    from sqlalchemy import create_engine

    driver = DRIVERS[found.protocol]
    memory = places.Memory()
    url, arguments = _prepared(found, driver.name, memory)
    try:
        made = create_engine(url, connect_args=arguments, pool_pre_ping=True)
    except ImportError:
        raise _missing(found, driver.package) from None
    memory.live_with(made)
    _give_password(made, found)
    return made


def asynchronous_engine(found: Details) -> AsyncEngine:
    """As `engine`, for asynchronous code."""
    from sqlalchemy.ext.asyncio import create_async_engine

    driver = DRIVERS[found.protocol]
    memory = places.Memory()
    url, arguments = _prepared(found, driver.asynchronous, memory)
    try:
        made = create_async_engine(url, connect_args=arguments, pool_pre_ping=True)
    except ImportError:
        raise _missing(found, driver.asynchronous_package) from None
    memory.live_with(made.sync_engine)
    _give_password(made.sync_engine, found)
    return made


def _prepared(found: Details, driver: str, memory: places.Memory) -> tuple[URL, dict[str, Any]]:
    from sqlalchemy.engine import URL

    there = places.endpoints(found)
    first = there[0]
    port = first.port
    connection: Any = found.connection
    url = URL.create(driver, connection.username, None, first.host, port, getattr(connection, "database", None))
    if found.protocol == "postgresql":
        arguments = _libpq_files(found, memory)
        if len(there) > 1:
            ports = ",".join(str(one.port or "") for one in there)
            arguments |= {"host": ",".join(one.host for one in there), "port": ports}
        return url, arguments
    if found.protocol == "mysql":
        trusted = places.context(found)
        arguments = {"connect_timeout": int(places.PATIENCE)}
        return url, arguments | ({"ssl": trusted} if trusted is not None else {})
    return url, {}


def _libpq_files(found: Details, memory: places.Memory) -> dict[str, Any]:
    """TLS in libpq's words; what it wants as files is in memory."""
    tls = places.material(found)
    arguments: dict[str, Any] = {"sslmode": tls.mode, "connect_timeout": int(places.PATIENCE)}
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


def _give_password(made: Engine, found: Details) -> None:
    from sqlalchemy import event

    password, key_password = found.secrets.get("password"), found.secrets.get("client_password")

    def connecting(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        if password is not None:
            parameters["password"] = password.get_secret_value()
        if key_password is not None and "sslkey" in parameters:
            parameters["sslpassword"] = key_password.get_secret_value()

    event.listen(made, "do_connect", connecting)


def _missing(found: Details, package: str) -> InvalidInput:
    return InvalidInput(
        f"connecting to {found.type} needs a driver that is not installed",
        where=f"data_source:{found.source}",
        instruction=f"pip install '{package}'",
    )
