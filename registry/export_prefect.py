"""Data sources as blocks of Prefect: documents of `sqlalchemy-connector` (package prefect-sqlalchemy).

A password is never in them: `references` says where its value comes from. `registry.importing.prefect` reads them back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from registry import entries, model, types, workspaces
from registry.connection import Connection
from registry.errors import HeadwaterError
from registry.importing.prefect import CONNECTOR
from registry.store import Store

#: Protocol -> the driver of SQLAlchemy that Prefect's users have.
_DRIVERS: Mapping[str, str] = {
    "postgresql": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "sqlserver": "mssql+pyodbc",
    "oracle": "oracle+oracledb",
    "db2": "db2+ibm_db",
    "clickhouse": "clickhousedb+connect",
    "vertica": "vertica+vertica_python",
    "saphana": "hana+hdbcli",
}

#: The field of the document that holds the password.
SECRET_FIELD = "connection_info.password"  # noqa: S105 - where, not what


@dataclass(frozen=True)
class Block:
    """One entry as a block.

    Attributes:
        path: `workspace/source/env`.
        document: What the API takes, without its password.
    """

    path: str
    connection: Connection
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Blocks:
    """What an export found, and what has no block: `workspace/source/env` -> why."""

    blocks: list[Block]
    left_out: Mapping[str, str]


def blocks(store: Store, workspace: str | None = None, *, among: Sequence[str] | None = None) -> Blocks:
    """Every entry that SQLAlchemy can connect to, by name.

    Args:
        among: The workspaces that may be looked at; None: all.

    Raises:
        NotFound: No such workspace.
    """
    wanted = (
        select(model.Entry, model.DataSource, model.Workspace)
        .join(model.DataSource, model.DataSource.id == model.Entry.data_source_id)
        .join(model.Workspace, model.Workspace.id == model.DataSource.workspace_id)
        .order_by(model.Workspace.name, model.DataSource.name, model.Entry.env)
    )
    found, left = list[Block](), dict[str, str]()
    named: dict[str, str] = {}
    with store.database.read() as session:
        if workspace is not None:
            wanted = wanted.where(model.Workspace.id == workspaces.find(session, workspace).id)
        elif among is not None:
            wanted = wanted.where(model.Workspace.name.in_(among))
        for entry, source, owner in session.execute(wanted):
            path = f"{owner.name}/{source.name}/{entry.env}"
            try:
                connection = entries.connection_of(source.type, entry)
                block = Block(path, connection, _document(source.type, connection, path))
            except (HeadwaterError, _NoBlock) as error:
                left[path] = str(error)
                continue
            name = block.document["name"]
            if named.setdefault(name, path) != path:
                left[path] = f"{named[name]} has the name {name} already: Prefect knows neither case nor _"
                continue
            found.append(block)
    return Blocks(found, left)


class _NoBlock(Exception):
    """Why there is none."""


def _document(type_: str, connection: Connection, path: str) -> dict[str, Any]:
    known = types.get(type_)
    protocol = known.protocol_of(connection)
    if protocol not in _DRIVERS:
        raise _NoBlock(f"SQLAlchemy has no driver for {known.title}")
    endpoints = connection.endpoints()
    if not endpoints:
        raise _NoBlock("an instance has no address of its own")
    if len(endpoints) > 1:
        raise _NoBlock("a connector has one host, this entry has several")
    # Of Oracle, SQLAlchemy takes the database for a SID; a service is an option.
    database = getattr(connection, "database", None) or getattr(connection, "sid", None)
    info = {
        "driver": _DRIVERS[protocol],
        "username": getattr(connection, "username", None),
        "host": endpoints[0].host,
        "port": str(endpoints[0].port),
        "database": database,
        "query": _query(protocol, connection),
    }
    reference = connection.secret_references().get("password")
    return {
        "name": path.replace("/", "-").replace("_", "-").lower(),
        "block_type_slug": CONNECTOR,
        "data": {"connection_info": {name: value for name, value in info.items() if value}},
        **({"references": {SECRET_FIELD: reference}} if reference else {}),
    }


def _query(protocol: str, connection: Connection) -> dict[str, str]:
    """Options of the driver: those of libpq alone are the same for Prefect's drivers as here."""
    if protocol == "oracle":
        service = getattr(connection, "service_name", None)
        return {"service_name": service} if service else {}
    if protocol != "postgresql":
        return {}
    mode = connection.tls().mode  # "prefer" is what libpq does unless told otherwise
    return {**connection.properties, **({"sslmode": mode} if mode != "prefer" else {})}
