"""Data sources as blocks on a Prefect server, their passwords with them: Prefect encrypts what it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from registry.errors import HeadwaterError, NotFound, SecretUnresolved
from registry.export_prefect import SECRET_FIELD, Block
from registry.importing.prefect import CONNECTOR
from registry.store import Store

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient


def save(store: Store, blocks: Sequence[Block]) -> Iterator[str]:
    """Make or change each block, with its password.

    Yields:
        What was done, a line each.

    Raises:
        SecretUnresolved: A password cannot be had; nothing was saved.
        HeadwaterError: The server does not answer, or knows no such blocks.
    """
    from tasks import references

    references.install()
    documents = []
    for block, found in zip(blocks, store.secrets.resolve(blocks), strict=True):
        if isinstance(found, SecretUnresolved):
            raise found
        data = deepcopy(dict(block.document["data"]))
        if "password" in found:
            outer, _, inner = SECRET_FIELD.partition(".")
            data[outer][inner] = found["password"].get_secret_value()
        documents.append((str(block.document["name"]), data))
    yield from asyncio.run(_save(documents))


async def _save(documents: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    try:
        async with get_client() as client:
            try:
                kind = await client.read_block_type_by_slug(CONNECTOR)
                schema = await client.get_most_recent_block_schema_for_block_type(kind.id)
            except ObjectNotFound:
                schema = None
            if schema is None:
                advice = "pip install prefect-sqlalchemy && prefect block register -m prefect_sqlalchemy"
                raise NotFound(f"the Prefect server knows no block type {CONNECTOR}", instruction=advice)
            return [await _put(client, kind.id, schema.id, name, data) for name, data in documents]
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        told = f"the Prefect server does not take the blocks: {type(error).__name__}"
        raise HeadwaterError(told, instruction="look after the server that PREFECT_API_URL names") from None


async def _put(client: PrefectClient, kind: Any, schema: Any, name: str, data: dict[str, Any]) -> str:
    from prefect.client.schemas.actions import BlockDocumentCreate, BlockDocumentUpdate
    from prefect.exceptions import ObjectNotFound

    try:
        there = await client.read_block_document_by_name(name, CONNECTOR, include_secrets=False)
    except ObjectNotFound:
        wanted = BlockDocumentCreate(name=name, data=data, block_schema_id=schema, block_type_id=kind)
        await client.create_block_document(wanted)
        return f"made {CONNECTOR}/{name}"
    change = BlockDocumentUpdate(block_schema_id=schema, data=data, merge_existing_data=False)
    await client.update_block_document(there.id, change)
    return f"changed {CONNECTOR}/{name}"
