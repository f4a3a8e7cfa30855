"""`jdbc:db2://host:port/database:key=value;key=value;` (IBM's JDBC driver)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from registry.urls.parsed import (
    ParsedUrl,
    address_fields,
    addressed,
    parts,
    split_pairs,
    user_parameter,
    written_database,
    written_endpoints,
)

EXAMPLE = "jdbc:db2://db.example.com:50000/ORDERS:sslConnection=true;"
DEFAULT_PORT = 50000


def parse(scheme: str, rest: str) -> ParsedUrl:
    """Parameters stand behind a colon that ends the database, each with a semicolon behind it."""
    split = parts(rest)
    path, _, tail = split.path.partition(":")
    url = addressed(scheme, replace(split, path=path), split_pairs(tail, ";"))
    if not url.endpoints or split.query:
        raise ValueError("a host is needed after '//', and parameters stand behind ':'")
    return url


def build(url: ParsedUrl) -> str:
    """Everything but the password."""
    hosts = written_endpoints(url)
    words = {**user_parameter(url), **url.properties}
    tail = "".join(f"{key}={quote(value, safe='')};" for key, value in words.items())
    return f"{url.scheme}://{hosts}/{written_database(url)}{':' + tail if tail else ''}"


fields = address_fields


def scheme_of(connection: Any) -> str:
    """IBM's."""
    return "jdbc:db2"
