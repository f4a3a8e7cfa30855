"""`jdbc:postgresql:` (pgJDBC), and libpq's `postgresql://`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from registry.urls.normal import is_socket, normal_host, normal_port, refuse_invisible
from registry.urls.parsed import (
    ParsedUrl,
    address_fields,
    addressed,
    parts,
    quoted_database_of,
    same,
    split_pairs,
    user_parameter,
    written_database,
    written_endpoints,
    written_query,
    written_user,
)

EXAMPLE = "postgresql://app@db.example.com:5432/orders"
DEFAULT_PORT = 5432

#: Where libpq looks when no host is given, as Debian builds it.
SOCKET_DIRECTORY = "/var/run/postgresql"

_LIBPQ_WORDS = ("host", "port", "dbname")


def parse(scheme: str, rest: str) -> ParsedUrl:
    """Both forms; without any host, pgJDBC means localhost and libpq the Unix socket."""
    jdbc = scheme.startswith("jdbc:")
    if jdbc and not rest.startswith("//"):
        rest = "///" + rest.removeprefix("/")
    split = parts(rest)
    url = addressed(scheme, split, split_pairs(split.query), quoted_database_of)
    if not jdbc:
        url = _with_libpq_words(url)
    if url.endpoints:
        return url
    return replace(url, endpoints=(("localhost" if jdbc else SOCKET_DIRECTORY, None),))


def _with_libpq_words(url: ParsedUrl) -> ParsedUrl:
    """`host`, `port` and `dbname` as parameters; in libpq they override the rest, here the two must agree.

    Raises:
        ValueError: They do not.
    """
    said = {key.lower(): value for key, value in url.properties.items() if key.lower() in _LIBPQ_WORDS}
    if ("host" in said and url.endpoints) or ("port" in said and any(port for _, port in url.endpoints)):
        raise ValueError("the host or port is given twice: before the path and as a parameter")
    found = url.endpoints or ((SOCKET_DIRECTORY, None),)
    if "host" in said:
        found = tuple((normal_host(host), None) for host in said["host"].split(","))
    if "port" in said:
        ports = [normal_port(port) for port in said["port"].split(",")]
        if len(ports) not in (1, len(found)):
            raise ValueError("there are as many ports as hosts, or one for all")
        found = tuple((host, ports[index % len(ports)]) for index, (host, _) in enumerate(found))
    database = refuse_invisible(said["dbname"]) if "dbname" in said else None
    kept = {key: value for key, value in url.properties.items() if key.lower() not in _LIBPQ_WORDS}
    return replace(url, endpoints=found, database=same(url.database, database, "the database"), properties=kept)


def build(url: ParsedUrl) -> str:
    """pgJDBC knows no user before the hosts: it goes into the parameters there."""
    hosts = written_endpoints(url)
    database = written_database(url)
    if url.scheme.startswith("jdbc:"):
        return f"{url.scheme}://{hosts}/{database}{written_query({**user_parameter(url), **url.properties})}"
    return f"{url.scheme}://{written_user(url.username)}{hosts}/{database}{written_query(url.properties)}"


def fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that this URL gives; the database is named like the user unless it is given."""
    return address_fields(replace(url, database=url.database or url.username), default_port)


def scheme_of(connection: Any) -> str:
    """pgJDBC's, unless there is a Unix socket, which it does not know."""
    socket = any(is_socket(endpoint.host) for endpoint in connection.endpoints())
    return "postgresql" if socket else "jdbc:postgresql"
