"""Secret references whose values lie elsewhere: Prefect's blocks and HashiCorp Vault, each one HTTP request.

Both are asked by their documented REST interface, so that a check needs neither Prefect's library nor Vault's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from registry import secrets
from registry.errors import SecretUnresolved

_REMOTE = ("prefect:", "vault:")
#: Seconds that a secret store may take to answer.
_PATIENCE = 3.0


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
    api = os.environ.get("PREFECT_API_URL")
    if not api:
        raise SecretUnresolved(
            "PREFECT_API_URL is not set, so Prefect's blocks cannot be read",
            instruction="set it to the server's address, such as http://127.0.0.1:4200/api",
        )
    path = f"/block_types/slug/{quote(slug, safe='')}/block_documents/name/{quote(name, safe='')}"
    document = _get(f"{api.rstrip('/')}{path}?include_secrets=true", _prefect_headers(), f"prefect:{slug}/{name}")
    return _field(document.get("data") or {}, field or "value", f"prefect:{reference}")


def _prefect_headers() -> dict[str, str]:
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if user := os.environ.get("PREFECT_API_AUTH_STRING"):
        import base64

        return {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()}
    return {}


def _from_vault(reference: str) -> str:
    """`PATH#FIELD`: a field of a secret, of either version of Vault's key-value engine (its API's own path)."""
    path, hash_, field = reference.partition("#")
    if not hash_ or not path or not field:
        raise SecretUnresolved(f"vault:{path} names no field", instruction='write "vault:secret/data/orders#password"')
    address, token = os.environ.get("VAULT_ADDR"), os.environ.get("VAULT_TOKEN")
    if not address or not token:
        missing = "VAULT_ADDR" if not address else "VAULT_TOKEN"
        raise SecretUnresolved(f"{missing} is not set, so Vault cannot be asked", instruction=f"set {missing}")
    answer = _get(f"{address.rstrip('/')}/v1/{quote(path)}", {"X-Vault-Token": token}, f"vault:{path}")
    data = answer.get("data") or {}
    inner = data.get("data")
    return _field(inner if isinstance(inner, dict) else data, field, f"vault:{reference}")


def _get(url: str, headers: Mapping[str, str], told: str) -> dict[str, Any]:
    import httpx

    try:
        response = httpx.get(url, headers=dict(headers), timeout=_PATIENCE)
    except httpx.HTTPError as error:
        raise SecretUnresolved(
            f"{told} cannot be read: {type(error).__name__}",
            instruction="start the secret store, or correct its address",
        ) from None
    if response.status_code != httpx.codes.OK:
        raise SecretUnresolved(
            f"{told} cannot be read: the store answers HTTP {response.status_code}",
            instruction="look whether it exists there and whether this user may read it",
        )
    try:
        found = response.json()
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise SecretUnresolved(f"{told} cannot be read: the store does not answer in JSON")
    return found


def _field(data: Any, field: str, told: str) -> str:
    for part in field.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    if not isinstance(data, (str, int, float)):
        raise SecretUnresolved(f"{told} has no field {field!r} that is a text", instruction="name one of its fields")
    return str(data)
