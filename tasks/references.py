"""Secret references whose values lie elsewhere: Prefect's blocks and HashiCorp Vault, each one HTTP request.

Both are asked by their documented REST interface, so that a check needs neither Prefect's library nor Vault's.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from registry import secrets
from registry.errors import SecretUnresolved
from tasks import prefect_api

_REMOTE = ("prefect:", "vault:")
#: Seconds that a secret store may take for its whole answer, and the bytes that the answer may have.
_PATIENCE = 3.0
_LARGEST = 1 << 20


def remote(references: Iterable[str]) -> bool:
    """Whether resolving any of these takes a network round trip."""
    return any(reference.startswith(_REMOTE) for reference in references)


def install() -> None:
    """Let the registry resolve `prefect:` and `vault:`."""
    secrets.register_resolver("prefect", _from_prefect)
    secrets.register_resolver("vault", _from_vault)


def _from_prefect(reference: str) -> str:
    """`BLOCK-SLUG/NAME[.FIELD]`: a field of a block document; `value` where none is named."""
    slug, slash, rest = reference.partition("/")
    name, _, field = rest.partition(".")
    if not slash or not name:
        raise SecretUnresolved(
            f"prefect:{reference} names no block",
            instruction='write "prefect:secret/NAME" or "prefect:SLUG/NAME.FIELD"',
        )
    settings = prefect_api.settings()
    api = settings.get("PREFECT_API_URL")
    if not api:
        raise SecretUnresolved(
            "PREFECT_API_URL is not set, so Prefect's blocks cannot be read",
            instruction="set it to the server's address, such as http://127.0.0.1:4200/api",
        )
    path = f"/block_types/slug/{quote(slug, safe='')}/block_documents/name/{quote(name, safe='')}"
    document = _get(
        f"{api.rstrip('/')}{path}?include_secrets=true", prefect_api.headers(settings), f"prefect:{slug}/{name}"
    )
    return _field(document.get("data") or {}, field or "value", f"prefect:{reference}")


def _from_vault(reference: str) -> str:
    """`PATH#FIELD`: a field of a secret, of either version of Vault's key-value engine (its API's own path)."""
    path, hash_, field = reference.partition("#")
    if not hash_ or not path or not field:
        raise SecretUnresolved(f"vault:{path} names no field", instruction='write "vault:secret/data/orders#password"')
    address, token = os.environ.get("VAULT_ADDR"), os.environ.get("VAULT_TOKEN")
    if not address or not token:
        missing = "VAULT_ADDR" if not address else "VAULT_TOKEN"
        raise SecretUnresolved(f"{missing} is not set, so Vault cannot be asked", instruction=f"set {missing}")
    headers = {"X-Vault-Token": token}
    if namespace := os.environ.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = namespace
    data = _get(f"{address.rstrip('/')}/v1/{quote(path)}", headers, f"vault:{path}").get("data")
    inner = data.get("data") if isinstance(data, dict) and "metadata" in data else None
    return _field(inner if isinstance(inner, dict) else data, field, f"vault:{reference}")


def _get(url: str, headers: Mapping[str, str], told: str) -> dict[str, Any]:
    import httpx

    try:
        # In a thread of its own there is no event loop yet, whoever asks; and only one can bound the time as a whole.
        with ThreadPoolExecutor(1) as thread:
            status, body = thread.submit(lambda: asyncio.run(_ask(url, headers))).result()
    except TimeoutError:
        raise SecretUnresolved(
            f"{told} cannot be read: no answer within {_PATIENCE:g} s",
            instruction="look after the secret store, or correct its address",
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise SecretUnresolved(
            f"{told} cannot be read: {type(error).__name__}",
            instruction="start the secret store, or correct its address",
        ) from None
    if status != httpx.codes.OK:
        raise SecretUnresolved(
            f"{told} cannot be read: the store answers HTTP {status}",
            instruction=_ADVICE.get(status, "look after the secret store"),
        )
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SecretUnresolved(
            f"{told} cannot be read: the store does not answer in JSON", instruction="correct the store's address"
        )
    return found


_ADVICE = {
    401: "give the key or token that the store asks for",
    403: "renew the token, or let its policy read this path",
    404: "look whether it exists there; a path of Vault's versioned engine has data/ in it: secret/data/orders",
}


async def _ask(url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    import httpx

    body = b""
    async with (
        asyncio.timeout(_PATIENCE),
        httpx.AsyncClient(timeout=_PATIENCE) as client,
        client.stream("GET", url, headers=dict(headers)) as response,
    ):
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _LARGEST:
                break
        return response.status_code, body


def _field(data: Any, field: str, told: str) -> str:
    for part in field.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    if not isinstance(data, (str, int, float)) or data == "":
        raise SecretUnresolved(f"{told} has no field {field!r} that holds a text", instruction="name one of its fields")
    return str(data)
