"""Gremlin over a real WebSocket server; what is asked and answered as TinkerPop's documents have it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from registry.verdict import Verdict
from tests.tasks.certified import server_context, trusting
from tests.tasks.support import PASSWORD, speaking
from tests.tasks.wired import verdict_at, verdict_over


@dataclass
class FakeGremlin:
    """Whether it asks who is there, whom it lets in, and how it answers."""

    asks: bool = True
    login: int = 200
    status: int = 200
    counts: dict[str, int] = field(default_factory=lambda: {"customer": 1})
    http_status: int = 101
    typed: bool = True
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, socket: ServerConnection) -> None:
        waiting = self.asks
        async for frame in socket:
            assert isinstance(frame, bytes)
            assert frame[1 : 1 + frame[0]] == b"application/json"
            asked = json.loads(frame[1 + frame[0] :])
            self.heard.append(asked)
            if asked["op"] == "authentication":
                waiting = False
                await self._say(socket, asked, self.login)
            elif waiting:
                await self._say(socket, asked, 407)
            else:
                label = asked["args"].get("bindings", {}).get("label")
                count = self.counts.get(label, 0) if label else sum(self.counts.values())
                await self._say(socket, asked, self.status, count)

    async def _say(self, socket: ServerConnection, asked: dict[str, Any], status: int, count: int = 0) -> None:
        data: Any = [count]
        if self.typed:
            data = {"@type": "g:List", "@value": [{"@type": "g:Int64", "@value": count}]}
        answer = {"requestId": asked["requestId"], "status": {"code": status, "message": "x"}, "result": {"data": data}}
        await socket.send(json.dumps(answer))

    def refuse(self, socket: ServerConnection, request: Request) -> Response | None:
        return None if self.http_status == 101 else socket.respond(self.http_status, "no")  # type: ignore[arg-type]


@asynccontextmanager
async def serving(server: FakeGremlin, **options: Any) -> AsyncIterator[int]:
    async with serve(server, "127.0.0.1", 0, process_request=server.refuse, **options) as listening:
        yield next(iter(listening.sockets)).getsockname()[1]


async def verdict(server: FakeGremlin, **entry: Any) -> Verdict:
    async with serving(server) as port:
        return await verdict_at(port, "graph_database", {"username": "app", **entry})


async def test_a_login_and_a_vertex_are_connectable() -> None:
    server = FakeGremlin()
    found = await verdict(server, objects=("customer",))
    assert found.cause is None, found.message
    sasl = server.heard[1]["args"]["sasl"]
    assert base64.b64decode(sasl) == f"\0app\0{PASSWORD}".encode()
    assert PASSWORD not in found.model_dump_json()


@pytest.mark.parametrize(
    ("changes", "entry", "cause"),
    [
        ({"login": 401}, {}, "AUTH.BAD_CREDENTIALS"),
        ({}, {"username": None}, "AUTH.BAD_CREDENTIALS"),
        ({"login": 407}, {}, "AUTH.METHOD_UNSUPPORTED"),
        ({"login": 403}, {}, "PRIV.OBJECT_DENIED"),
        ({"asks": False, "status": 500}, {}, "SERVER.ERROR"),
        ({"asks": False}, {"username": None}, None),
        ({"counts": {}}, {}, None),
        ({"counts": {}}, {"objects": ("customer",)}, "TARGET.OBJECT_MISSING"),
        ({"typed": False}, {"objects": ("customer",)}, None),
        ({"http_status": 404}, {}, "PROTO.MISMATCH"),
        ({"http_status": 401}, {}, "AUTH.BAD_CREDENTIALS"),
        ({"http_status": 503}, {}, "SERVER.NOT_READY"),
        ({"http_status": 429}, {}, "CAPACITY.CONNECTIONS"),
        ({"asks": False, "status": 429}, {}, "CAPACITY.CONNECTIONS"),
        ({"http_status": 500}, {}, "SERVER.ERROR"),
    ],
)
async def test_what_a_server_answers(changes: dict[str, Any], entry: dict[str, Any], cause: str | None) -> None:
    found = await verdict(FakeGremlin(**changes), **entry)
    assert found.cause == cause, found.message


async def test_tls_from_the_first_byte() -> None:
    async with serving(FakeGremlin(), ssl=server_context()) as port:
        entry = {"username": "app", "security_protocol": "authTypeSsl"}
        assert (await verdict_at(port, "graph_database", entry, **trusting())).cause is None
        assert (await verdict_at(port, "graph_database", {"username": "app"})).cause == "TLS.REQUIRED"


async def test_another_protocol_is_named() -> None:
    found = await verdict_over(speaking(b"SSH-2.0-OpenSSH_9.2\r\n"), "graph_database", {"username": "app"})
    assert found.cause == "PROTO.MISMATCH"
    assert "SSH" in found.message
