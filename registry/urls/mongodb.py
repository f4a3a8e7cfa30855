"""`mongodb://user:password@host1,host2/database?authSource=admin&replicaSet=rs0`, MongoDB's connection string."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from registry.urls.normal import normal_database
from registry.urls.parsed import (
    ParsedUrl,
    address_fields,
    database_of,
    endpoints,
    parameters,
    parts,
    same,
    same_secret,
    split_pairs,
    userinfo,
    written_endpoint,
    written_query,
    written_user,
)

EXAMPLE = "mongodb://app@mongo1.example.com:27017,mongo2.example.com:27017/orders?authSource=admin"
DEFAULT_PORT = 27017

_AUTH_SOURCE = "authsource"


def parse(scheme: str, rest: str) -> ParsedUrl:
    """The authentication database is an option of its own: the data source has a field for it."""
    split = parts(rest)
    hosts, username, password = userinfo(split.authority)
    given = parameters(split_pairs(split.query))
    found = endpoints(hosts)
    if not found:
        raise ValueError("a host is needed after '//'")
    source = next((value for key, value in given.properties.items() if key.lower() == _AUTH_SOURCE), None)
    return ParsedUrl(
        scheme,
        "",
        found,
        database_of(split.path),
        same(username, given.username, "the user"),
        same_secret(password, given.password),
        {key: value for key, value in given.properties.items() if key.lower() != _AUTH_SOURCE},
        {"auth_db": normal_database(source)} if source else {},
    )


def build(url: ParsedUrl) -> str:
    """Everything but the password."""
    hosts = ",".join(written_endpoint(host, port) for host, port in url.endpoints)
    source = {"authSource": url.options["auth_db"]} if url.options.get("auth_db") else {}
    query = written_query({**source, **url.properties})
    return f"{url.scheme}://{written_user(url.username)}{hosts}/{quote(url.database or '', safe='')}{query}"


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
