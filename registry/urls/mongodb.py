"""`mongodb://user:password@host1,host2/database?authSource=admin&replicaSet=rs0`, MongoDB's connection string."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from registry.urls.normal import normal_database
from registry.urls.parsed import (
    ParsedUrl,
    address_fields,
    addressed,
    parts,
    split_pairs,
    with_a_host,
    written_database,
    written_endpoints,
    written_query,
    written_user,
)

EXAMPLE = "mongodb://app@mongo1.example.com:27017,mongo2.example.com:27017/orders?authSource=admin"
DEFAULT_PORT = 27017

_AUTH_SOURCE = "authsource"


def parse(scheme: str, rest: str) -> ParsedUrl:
    """The authentication database is an option of its own: the data source has a field for it."""
    split = parts(rest)
    url = with_a_host(addressed(scheme, split, split_pairs(split.query)))
    source = next((value for key, value in url.properties.items() if key.lower() == _AUTH_SOURCE), None)
    return replace(
        url,
        properties={key: value for key, value in url.properties.items() if key.lower() != _AUTH_SOURCE},
        options={"auth_db": normal_database(source)} if source else {},
    )


def build(url: ParsedUrl) -> str:
    """Everything but the password."""
    hosts = written_endpoints(url)
    source = {"authSource": url.options["auth_db"]} if url.options.get("auth_db") else {}
    query = written_query({**source, **url.properties})
    return f"{url.scheme}://{written_user(url.username)}{hosts}/{written_database(url)}{query}"


def fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that this URL gives; drivers log in to the database of the path unless told otherwise."""
    found = address_fields(url, default_port)
    source = url.options.get("auth_db") or url.database
    return {**found, "auth_db": source} if source else found


def scheme_of(connection: Any) -> str:
    """MongoDB's own."""
    return "mongodb"


def options_of(connection: Any) -> dict[str, str]:
    """The authentication database."""
    return {"auth_db": str(connection.auth_db)}
