"""What is done where a Prefect server takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tasks import prefect_api
from tasks.evidence import StageFailed
from tasks.prefect_api import PrefectApi


@asynccontextmanager
async def slow(unanswered: int) -> AsyncIterator[tuple[dict[str, str], list[bytes]]]:
    """Settings that lead to a server which leaves its first requests without an answer, and what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        if len(asked) > unanswered:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n" + b'{"id": "a"}')
        else:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}, asked


@pytest.mark.parametrize(("again", "answered"), [(0, False), (1, False), (2, True)])
def test_what_may_be_done_twice_is_asked_again(monkeypatch: pytest.MonkeyPatch, again: int, answered: bool) -> None:
    monkeypatch.setattr(prefect_api, "PATIENCE", 0.2)

    async def ask() -> object:
        async with slow(2) as (settings, asked), PrefectApi(settings, again=again) as api:
            try:
                return await api.patch("/deployments/a", {"parameters": {}})
            except StageFailed as failed:
                return failed.evidence["agent"]
            finally:
                assert asked == [b"PATCH /api/deployments/a HTTP/1.1"] * min(again + 1, 3)

    assert asyncio.run(ask()) == (True if answered else "server-silent")
