"""Where a connection leads, by what it says itself: the text of a physical target."""

from __future__ import annotations

from functools import cache
from typing import Any

from registry.connection import Connection

#: What names a place inside a server, type by type.
_INSIDE = (
    "account_url",
    "base_dir",
    "big_query_project_id",
    "bucket",
    "catalog_id",
    "catalog_name",
    "database",
    "default_fs",
    "endpoint",
    "instance_name",
    "instance_url",
    "metastore_uris",
    "namespace",
    "project",
    "region_id",
    "seedserver",
    "service_name",
    "sid",
    "tenant",
    "url",
    "url_prefix",
    "virtual_host",
    "warehouse",
)

Place = tuple[Any, ...]


def place(connection: Connection) -> Place:
    """The hosts, or the instance, and what is named inside; two connections of one place lead to the same target.

    Names of hosts count as they are written: two names of one server are two places here.
    """
    hosts = tuple(sorted((endpoint.host.lower(), endpoint.port) for endpoint in connection.endpoints()))
    named = ((name, getattr(connection, name)) for name in _inside(type(connection)))
    inside = tuple((name, str(value)) for name, value in named if value is not None)
    return hosts, connection.place(), inside


@cache
def _inside(type_: type[Connection]) -> tuple[str, ...]:
    return tuple(name for name in _INSIDE if name in type_.model_fields)


def server(connection: Connection) -> Place:
    """As `place`, without what is named inside."""
    return place(connection)[:2]
