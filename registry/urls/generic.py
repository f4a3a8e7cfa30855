"""`jdbc:SCHEME://hosts/database;k=v?k=v`: what most other JDBC URLs look like (ClickHouse, Hive)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

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
)

EXAMPLE = "jdbc:clickhouse://db.example.com:8123/orders"
DEFAULT_PORT = 8123


def parse(scheme: str, rest: str) -> ParsedUrl:
    """Session words after `;` count as parameters."""
    split = parts(rest)
    hosts, username, password = userinfo(split.authority)
    path, _, session = split.path.partition(";")
    given = parameters([*split_pairs(session, ";"), *split_pairs(split.query)])
    found = endpoints(hosts)
    if not found:
        raise ValueError("a host is needed after '//'")
    return ParsedUrl(
        scheme,
        "",
        found,
        database_of(path),
        same(username, given.username, "the user"),
        same_secret(password, given.password),
        given.properties,
    )


def build(url: ParsedUrl) -> str:
    """Everything but the password; the user among the parameters."""
    hosts = ",".join(written_endpoint(host, port) for host, port in url.endpoints)
    user = {"user": url.username} if url.username else {}
    query = written_query({**user, **url.properties})
    return f"{url.scheme}://{hosts}/{quote(url.database or '', safe='')}{query}"


def fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that this URL gives."""
    return address_fields(url, default_port)


def scheme_of(connection: Any) -> str:
    """JDBC's own for its type."""
    return f"jdbc:{connection.url_scheme}"


def options_of(connection: Any) -> dict[str, str]:
    """None."""
    return {}
