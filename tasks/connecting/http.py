"""Clients of HTTP services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tasks.connecting import places

if TYPE_CHECKING:
    import httpx

    from tasks.connecting.detailing import Details


def client(found: Details, options: Mapping[str, Any]) -> httpx.Client:
    """An `httpx.Client` with the service's URL as its base, its headers and its login."""
    import httpx

    return httpx.Client(**{**options, **_arguments(found)})


def asynchronous_client(found: Details, options: Mapping[str, Any]) -> httpx.AsyncClient:
    """As `client`, for asynchronous code."""
    import httpx

    return httpx.AsyncClient(**{**options, **_arguments(found)})


def _arguments(found: Details) -> dict[str, Any]:
    import httpx

    connection: Any = found.connection
    secrets = {name: value.get_secret_value() for name, value in found.secrets.items()}
    headers = {name: secrets.get(f"default_header.{name}", value) for name, value in connection.default_header.items()}
    if connection.security_protocol == "token":
        headers["Authorization"] = f"Bearer {secrets['auth_token']}"
    basic = connection.security_protocol == "basic"
    return {
        "base_url": connection.url,
        "headers": headers,
        "auth": httpx.BasicAuth(connection.username, secrets["password"]) if basic else None,
        "verify": places.context(found) or False,
        "timeout": places.PATIENCE,
    }
