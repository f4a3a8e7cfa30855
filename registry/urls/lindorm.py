"""`lindorm://user@host:port/namespace`: the seed server and the namespace behind it."""

from __future__ import annotations

from typing import Any

from registry.urls import mysql
from registry.urls.parsed import ParsedUrl, written_endpoint

EXAMPLE = "lindorm://app@ld-example-proxy-lindorm.lindorm.rds.aliyuncs.com:30020/orders"
DEFAULT_PORT = 30020

parse, build = mysql.parse, mysql.build


def fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that this URL gives."""
    if len(url.endpoints) != 1:
        raise ValueError("one host is needed after '//'")
    ((host, port),) = url.endpoints
    found = {
        "seedserver": written_endpoint(host, port or default_port),
        "namespace": url.database,
        "username": url.username,
        "password": url.password,
        "properties": dict(url.properties),
    }
    return {name: value for name, value in found.items() if value}


def scheme_of(connection: Any) -> str:
    """Its own."""
    return "lindorm"
