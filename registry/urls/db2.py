"""`jdbc:db2://host:port/database:key=value;key=value;` (IBM's JDBC driver)."""

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
)

EXAMPLE = "jdbc:db2://db.example.com:50000/ORDERS:sslConnection=true;"
DEFAULT_PORT = 50000


def parse(scheme: str, rest: str) -> ParsedUrl:
    """Parameters stand behind a colon that ends the database, each with a semicolon behind it."""
    split = parts(rest)
    hosts, username, password = userinfo(split.authority)
    path, _, tail = split.path.partition(":")
    given = parameters(split_pairs(tail, ";"))
    found = endpoints(hosts)
    if not found or split.query:
        raise ValueError("a host is needed after '//', and parameters stand behind ':'")
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
    """Everything but the password."""
    hosts = ",".join(written_endpoint(host, port) for host, port in url.endpoints)
    words = {**({"user": url.username} if url.username else {}), **url.properties}
    tail = "".join(f"{key}={quote(value, safe='')};" for key, value in words.items())
    return f"{url.scheme}://{hosts}/{quote(url.database or '', safe='')}{':' + tail if tail else ''}"


def fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that this URL gives."""
    return address_fields(url, default_port)


def scheme_of(connection: Any) -> str:
    """IBM's."""
    return "jdbc:db2"


def options_of(connection: Any) -> dict[str, str]:
    """None."""
    return {}
