"""Clients of Redis."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.errors import InvalidInput
from tasks.connecting import places

if TYPE_CHECKING:
    from tasks.connecting.detailing import Details


def client(found: Details, options: Mapping[str, Any]) -> Any:
    """A `redis.Redis`; it connects when it is used first. Raises: InvalidInput: redis is not installed."""
    return _made(found, "Redis", options)


def asynchronous_client(found: Details, options: Mapping[str, Any]) -> Any:
    """A `redis.asyncio.Redis`."""
    return _made(found, "asyncio.Redis", options)


def _made(found: Details, name: str, options: Mapping[str, Any]) -> Any:
    try:
        import redis
        import redis.asyncio
    except ImportError:
        raise InvalidInput(
            "connecting to Redis needs a driver that is not installed",
            where=f"data_source:{found.source}",
            instruction="pip install redis",
        ) from None
    make = redis.asyncio.Redis if name.startswith("asyncio") else redis.Redis
    there, connection = places.endpoints(found)[0], found.connection
    memory = places.Memory()
    arguments: dict[str, Any] = {"db": getattr(connection, "database", 0), "socket_connect_timeout": places.PATIENCE}
    if there.host.startswith("/"):
        arguments["unix_socket_path"] = there.host
    else:
        arguments |= {"host": there.host, "port": there.port or 6379, **_tls(found, memory)}
    password = found.secrets.get("password")
    if password is not None:
        user = getattr(connection, "username", None)
        value = password.get_secret_value()
        arguments["credential_provider"] = redis.UsernamePasswordCredentialProvider(user, value)
    made = make(**{**options, **arguments})
    memory.live_with(made)
    return made


def _tls(found: Details, memory: places.Memory) -> dict[str, Any]:
    tls = places.material(found)
    if not tls.demanded:
        return {}
    arguments: dict[str, Any] = {
        "ssl": True,
        "ssl_cert_reqs": ssl.CERT_REQUIRED if tls.verifies else ssl.CERT_NONE,
        "ssl_check_hostname": tls.mode == "verify-full",
    }
    if tls.ca is not None:
        arguments["ssl_ca_data"] = tls.ca
    if tls.certificate is not None:
        arguments["ssl_certfile"] = memory.file(tls.certificate)
        arguments["ssl_keyfile"] = memory.file(tls.key.get_secret_value() if tls.key else tls.certificate)
        arguments["ssl_password"] = tls.key_password.get_secret_value() if tls.key_password else None
    return arguments
