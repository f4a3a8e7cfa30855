"""`gremlin://user@host:port`: a Gremlin server."""

from __future__ import annotations

from typing import Any

from registry.urls import service
from registry.urls.parsed import ParsedUrl

EXAMPLE = "gremlin://app@db.example.com:8182"
DEFAULT_PORT = 8182

parse, build = service.parse, service.build


def fields(url: ParsedUrl, default_port: int) -> dict[str, Any]:
    """The fields of an entry that this URL gives."""
    ((host, port), *_) = url.endpoints
    found = {"host": host, "port": port or default_port, "username": url.username, "password": url.password}
    return {name: value for name, value in found.items() if value}


def scheme_of(connection: Any) -> str:
    """Its own."""
    return "gremlin"
