"""`jdbc:SCHEME://hosts/database;k=v?k=v`: what most other JDBC URLs look like (ClickHouse, Hive)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from registry.urls.parsed import (
    ParsedUrl,
    address_fields,
    addressed,
    parts,
    split_pairs,
    user_parameter,
    with_a_host,
    written_database,
    written_endpoints,
    written_query,
)

EXAMPLE = "jdbc:clickhouse://db.example.com:8123/orders"
DEFAULT_PORT = 8123


def parse(scheme: str, rest: str) -> ParsedUrl:
    """Session words after `;` count as parameters."""
    split = parts(rest)
    path, _, session = split.path.partition(";")
    pairs = [*split_pairs(session, ";"), *split_pairs(split.query)]
    return with_a_host(addressed(scheme, replace(split, path=path), pairs))


def build(url: ParsedUrl) -> str:
    """Everything but the password; the user among the parameters."""
    hosts = written_endpoints(url)
    query = written_query({**user_parameter(url), **url.properties})
    return f"{url.scheme}://{hosts}/{written_database(url)}{query}"


fields = address_fields


def scheme_of(connection: Any) -> str:
    """JDBC's own for its type."""
    return f"jdbc:{connection.url_scheme}"
