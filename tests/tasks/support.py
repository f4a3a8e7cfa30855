"""What tests of the probes share: targets, recorded evidence, and peers that answer as told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from pydantic import SecretStr

from registry import types
from registry.connection import Mode
from registry.verdict import Stage, Status
from tasks.target import Target

PASSWORD = "canary-5ecret"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def target(
    host: str = "127.0.0.1",
    port: int = 5432,
    *,
    type: str = "postgresql",
    permitted: tuple[str, ...] = (),
    **changes: Any,
) -> Target:
    """A data source `orders` at an address, by default without TLS."""
    kind = types.get(type)
    entry = {
        "address": [{"host": host, "port": port}],
        "database": "shop",
        "username": "app",
        "password": "env:UNUSED",
        "properties": {"sslmode": "disable"},
        **changes,
    }
    connection = kind.modes[Mode.CONNECTION_STRING].model_validate(entry)
    return Target(
        workspace="sales", source="orders", type=kind.name, env="prod", resource_group="vpc1",
        protocol=kind.protocol_of(connection), default_port=kind.default_port, connection=connection,
        secrets=lambda: {"password": SecretStr(PASSWORD)}, permitted_ranges=permitted,
    )  # fmt: skip


def failed(stage: str, evidence: Mapping[str, Any]) -> Stage:
    """A failed stage with this evidence."""
    return Stage(
        name=stage, status=Status.FAILED, started_at="2026-01-01T00:00:00Z", elapsed_ms=1, evidence=dict(evidence)
    )


def speaking(first: bytes, heard: bytearray | None = None) -> Handler:
    """A peer that says this at once, and then only listens; what it hears goes into `heard`."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        while said := await reader.read(65536):
            if heard is not None:
                heard.extend(said)

    return handler


def hanging_up(after: int) -> Handler:
    """A peer that hears at most so many bytes, and goes without a word."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(after)

    return handler


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A peer that takes everything and never answers."""
    while await reader.read(65536):
        pass


@contextlib.asynccontextmanager
async def listening(handler: Handler, host: str = "127.0.0.1", **options: Any) -> AsyncIterator[int]:
    """A listener on a free port for as long as the block lasts; gives the port."""
    conversations: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.transport.abort() if writer.transport.is_closing() else writer.close()
        conversations.discard(task)

    server = await asyncio.start_server(serve, host, 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(conversations):
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
