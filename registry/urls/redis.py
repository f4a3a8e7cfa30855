"""`redis://`, `rediss://` (over TLS) and `unix://`, as redis-py and redis-cli read them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from registry.urls.normal import is_socket, normal_host
from registry.urls.parsed import (
    ParsedUrl,
    Parts,
    address_fields,
    addressed,
    parts,
    split_pairs,
    userinfo,
    with_parameters,
    written_endpoints,
    written_query,
    written_user,
)

EXAMPLE = "redis://cache.example.com:6379/0"
DEFAULT_PORT = 6379

_DATABASE_KEYS = ("db", "database")


def parse(scheme: str, rest: str) -> ParsedUrl:
    """The database is a number, in the path or as `db`; that of `unix://` is always a parameter."""
    split = parts(rest)
    pairs = split_pairs(split.query)
    url = _of_socket(split, pairs) if scheme == "unix" else addressed(scheme, split, pairs)
    chosen = {value for key, value in url.properties.items() if key.lower() in _DATABASE_KEYS}
    if url.database:
        chosen.add(url.database)
    if len(chosen) > 1 or not all(re.fullmatch(r"[0-9]{1,5}", number) for number in chosen):
        raise ValueError("the database is one number, as in redis://cache.example.com:6379/0")
    return replace(
        url,
        endpoints=url.endpoints or (("localhost", None),),
        database=next(iter(chosen), None),
        properties={key: value for key, value in url.properties.items() if key.lower() not in _DATABASE_KEYS},
    )


def _of_socket(split: Parts, pairs: list[tuple[str, str]]) -> ParsedUrl:
    hosts, username, password = userinfo(split.authority)
    if hosts:
        raise ValueError("a socket has an absolute path, as in unix:///run/redis/redis.sock")
    socket = normal_host("/" + split.path)
    return with_parameters(ParsedUrl("unix", "", ((socket, None),), None, username, password), "", pairs)


def build(url: ParsedUrl) -> str:
    """Without the password."""
    user = written_user(url.username)
    if url.scheme == "unix":
        number = {"db": url.database} if url.database else {}
        return f"unix://{user}{url.endpoints[0][0]}{written_query({**number, **url.properties})}"
    hosts = written_endpoints(url)
    return f"{url.scheme}://{user}{hosts}/{url.database or ''}{written_query(url.properties)}"


def fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that this URL gives."""
    found = address_fields(url, default_port)
    if "database" in found:
        found["database"] = int(found["database"])
    if url.scheme == "rediss":
        found["security_protocol"] = "authTypeSsl"
    return found


def scheme_of(connection: Any) -> str:
    """By socket and TLS."""
    if any(is_socket(endpoint.host) for endpoint in connection.endpoints()):
        return "unix"
    return "redis" if connection.tls().mode == "disable" else "rediss"
