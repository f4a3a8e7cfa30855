"""The client of each protocol, made of what the registry knows. A secret is inside of it, and in no text of it.

Driver properties of an entry are those of JDBC; `properties` has them in the words of each driver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from registry.errors import InvalidInput
from tasks.connecting import files, http, keyspaces, sql

if TYPE_CHECKING:
    from tasks.connecting.detailing import Details

#: What opens a client, with options of whoever uses it.
_Opener = Callable[["Details", Mapping[str, Any]], Any]
#: Protocol -> what opens a client.
SYNCHRONOUS: Mapping[str, _Opener] = {
    **dict.fromkeys(sql.DRIVERS, sql.engine),
    "redis": keyspaces.client,
    "ftp": files.ftp,
    "sftp": files.sftp,
    "http": http.client,
}
ASYNCHRONOUS: Mapping[str, _Opener] = {
    **{protocol: sql.asynchronous_engine for protocol, driver in sql.DRIVERS.items() if driver.asynchronous},
    "redis": keyspaces.asynchronous_client,
    "http": http.asynchronous_client,
}


def open(found: Details, options: Mapping[str, Any] | None = None) -> Any:
    """A client.

    Args:
        options: Keywords of the client, such as the size of its pool.

    Raises:
        InvalidInput: There is none for the protocol, or its driver is not installed.
        NotConnectable: An instance has no address, or a file server does not let in.
    """
    return _opener(SYNCHRONOUS, found, "")(found, options or {})


def open_asynchronous(found: Details, options: Mapping[str, Any] | None = None) -> Any:
    """As `open`, for asynchronous code."""
    return _opener(ASYNCHRONOUS, found, "asynchronous ")(found, options or {})


def expect_asynchronous(found: Details) -> None:
    """Raises: InvalidInput: There is no asynchronous client."""
    _opener(ASYNCHRONOUS, found, "asynchronous ")


def _opener(openers: Mapping[str, _Opener], found: Details, kind: str) -> _Opener:
    if found.protocol not in openers:
        raise InvalidInput(
            f"there is no {kind}client for {found.type}",
            where=f"data_source:{found.source}",
            instruction="take `tasks.connecting.details`, which has the fields and secrets, and a client of your own",
        )
    return openers[found.protocol]
