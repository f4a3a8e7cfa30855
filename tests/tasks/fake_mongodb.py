"""A server that speaks as much of MongoDB's protocol as a login and a question need; PyMongo logs in to it as well."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import bson
from scramp import ScramException, ScramMechanism

from tests.tasks.support import PASSWORD

Document = Mapping[str, Any]

PRIMARY: Document = {"isWritablePrimary": True, "ismaster": True}
READ: Document = {"resource": {"db": "shop", "collection": ""}, "actions": ["find", "listCollections"]}
SEES_ALL: Document = {"resource": {"cluster": True}, "actions": ["listDatabases"]}


def failure(code: int, name: str = "") -> Document:
    return {"ok": 0.0, "code": code, "codeName": name, "errmsg": "irgendetwas"}


def reply(document: Document, answers: int) -> bytes:
    body = struct.pack("<IB", 0, 0) + bson.encode(document)
    return struct.pack("<iiii", 16 + len(body), 7, answers, 2013) + body


@dataclass
class FakeMongoDb:
    """What it is, whom it lets in, what it holds, and commands that it answers otherwise."""

    hello: Document = field(default_factory=lambda: PRIMARY)
    mechanisms: tuple[str, ...] = ("SCRAM-SHA-1", "SCRAM-SHA-256")
    username: str = "app"
    password: str = PASSWORD
    privileges: tuple[Document, ...] = (READ,)
    collections: Mapping[str, int] = field(default_factory=lambda: {"orders": 1})
    databases: tuple[str, ...] = ("shop",)
    answers: Mapping[str, Document] = field(default_factory=dict)
    heard: list[Document] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(self)
        while True:
            head = await reader.readexactly(16)
            length, number, _, operation = struct.unpack("<iiii", head)
            body = await reader.readexactly(length - 16)
            if operation == 2004:  # OP_QUERY: older drivers say their first word so
                document = bson.decode(body[body.index(b"\0", 4) + 9 :])
                answer = bson.encode(client.answer(document))
                head = struct.pack("<iiii", 36 + len(answer), 7, number, 1)
                writer.write(head + struct.pack("<iqii", 8, 0, 0, 1) + answer)
            else:
                writer.write(reply(client.answer(bson.decode(body[5:])), number))
            await writer.drain()


class _Client:
    def __init__(self, server: FakeMongoDb) -> None:
        self._server = server
        self._exchange: Any = None

    def answer(self, asked: Document) -> Document:
        server, command = self._server, next(iter(asked))
        server.heard.append(asked)
        if command in server.answers:
            return server.answers[command]
        if command in ("hello", "isMaster", "ismaster"):
            known = asked.get("saslSupportedMechs", "").endswith(f".{server.username}")
            offered = {"saslSupportedMechs": list(server.mechanisms)} if known else {}
            return {"ok": 1.0, "maxWireVersion": 21, "minWireVersion": 0, "maxBsonObjectSize": 1 << 24,
                    **server.hello, **offered}  # fmt: skip
        if command.startswith("sasl"):
            return self._sasl(command, asked)
        if command == "connectionStatus":
            users = [{"user": server.username, "db": "admin"}]
            info = {"authenticatedUsers": users, "authenticatedUserPrivileges": list(server.privileges)}
            return {"ok": 1.0, "authInfo": info}
        if command == "listDatabases":
            wanted = asked.get("filter", {}).get("name")
            return {"ok": 1.0, "databases": [{"name": one} for one in server.databases if wanted in (None, one)]}
        if command == "listCollections":
            wanted = asked.get("filter", {}).get("name")
            return self._batch([{"name": one} for one in server.collections if wanted in (None, one)])
        if command == "find":
            return self._batch([{"_id": 1}] * server.collections.get(asked["find"], 0))
        return {"ok": 1.0}

    def _batch(self, rows: list[Document]) -> Document:
        return {"ok": 1.0, "cursor": {"id": 0, "ns": "shop.x", "firstBatch": rows}}

    def _sasl(self, command: str, asked: Document) -> Document:
        payload = asked["payload"].decode()
        try:
            if command == "saslStart":
                self._exchange = ScramMechanism(asked["mechanism"]).make_server(self._account(asked["mechanism"]))
                self._exchange.set_client_first(payload)
                said, done = self._exchange.get_server_first(), False
            else:
                self._exchange.set_client_final(payload)
                said, done = self._exchange.get_server_final(), True
            return {"ok": 1.0, "conversationId": 1, "done": done, "payload": said.encode()}
        except (ScramException, KeyError):
            return failure(18, "AuthenticationFailed")

    def _account(self, mechanism: str) -> Any:
        password = self._server.password
        if mechanism == "SCRAM-SHA-1":
            password = hashlib.md5(f"{self._server.username}:mongo:{password}".encode()).hexdigest()
        made = ScramMechanism(mechanism).make_auth_info(password, iteration_count=4096)
        return lambda username: {self._server.username: made}[username]
