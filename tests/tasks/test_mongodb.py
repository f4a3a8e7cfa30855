"""MongoDB: its error codes, the parts servers play in a replica set, and TLS from the first byte."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.connection import read_url
from registry.verdict import INCONCLUSIVE, State, Verdict
from tasks.protocols.mongodb import wire
from tests.tasks import fake_mongodb as fake
from tests.tasks.certified import server_context, trusting
from tests.tasks.fake_mongodb import FakeMongoDb, failure
from tests.tasks.support import PASSWORD, listening
from tests.tasks.wired import seen, verdict_at, verdict_over

ENTRY = {"database": "shop", "username": "app"}
SECONDARY = {"secondary": True, "setName": "rs0", "hosts": ["10.0.0.1:27017", "10.0.0.2:27017"]}


async def verdict(server: FakeMongoDb, *, secrets: dict[str, str] | None = None, **entry: Any) -> Verdict:
    return await verdict_over(server, "mongodb", {**ENTRY, **entry}, **(secrets or {}))


@pytest.mark.parametrize(("mechanisms", "used"), [
    (("SCRAM-SHA-1", "SCRAM-SHA-256"), "SCRAM-SHA-256"), (("SCRAM-SHA-1",), "SCRAM-SHA-1"),
])  # fmt: skip
async def test_a_login_and_a_readable_collection_are_connectable(mechanisms: tuple[str, ...], used: str) -> None:
    server = FakeMongoDb(mechanisms=mechanisms)
    found = await verdict(server)
    assert found.state is State.CONNECTABLE, found.message
    assert seen(found, "login")["method"] == used
    assert seen(found, "privilege")["read"] == "orders"
    assert PASSWORD not in str(server.heard)


async def test_pymongo_takes_the_same_server_for_mongodb() -> None:
    """What the tests here rest on: a driver of MongoDB's own logs in to it and reads from it."""
    import pymongo

    async with listening(FakeMongoDb()) as port:
        client = pymongo.AsyncMongoClient(
            "127.0.0.1", port, username="app", password=PASSWORD, directConnection=True, serverSelectionTimeoutMS=2000
        )
        assert await client["shop"].list_collection_names() == ["orders"]
        assert await client["shop"]["orders"].find_one() == {"_id": 1}
        await client.close()


async def test_names_with_signs_of_scram_in_them() -> None:
    found = await verdict(FakeMongoDb(username="a=b,c"), username="a=b,c")
    assert found.state is State.CONNECTABLE, found.message


async def test_a_server_before_hello_is_asked_its_older_name() -> None:
    found = await verdict(FakeMongoDb(answers={"hello": failure(59, "CommandNotFound")}))
    assert found.state is State.CONNECTABLE, found.message


@pytest.mark.parametrize(
    ("changes", "entry", "cause"),
    [
        ({"password": "another"}, {}, "AUTH.BAD_CREDENTIALS"),
        ({"username": "somebody"}, {}, "AUTH.BAD_CREDENTIALS"),
        ({"answers": {"saslStart": failure(8000, "AtlasError")}}, {}, "AUTH.BAD_CREDENTIALS"),
        ({"answers": {"saslStart": failure(11)}}, {}, "AUTH.USER_UNKNOWN"),
        ({"answers": {"saslStart": failure(334)}}, {}, "AUTH.METHOD_UNSUPPORTED"),
        ({"mechanisms": ("GSSAPI",)}, {}, "AUTH.METHOD_UNSUPPORTED"),
        ({}, {"properties": {"authMechanism": "MONGODB-AWS"}}, "AUTH.METHOD_UNSUPPORTED"),
        ({}, {"properties": {"authMechanism": "PLAIN"}}, "AUTH.METHOD_UNSUPPORTED"),
        ({}, {"properties": {"authMechanism": "MONGODB-X509"}}, "AUTH.METHOD_UNSUPPORTED"),
        ({"answers": {"saslStart": failure(91)}}, {}, "SERVER.NOT_READY"),
        ({"answers": {"hello": failure(91)}}, {}, "SERVER.NOT_READY"),
        ({"answers": {"saslStart": failure(1)}}, {}, "SERVER.ERROR"),
    ],
)
async def test_a_refused_login(changes: dict[str, Any], entry: dict[str, Any], cause: str) -> None:
    server = FakeMongoDb(**changes)
    found = await verdict(server, **entry)
    assert found.cause == cause, found.message
    assert PASSWORD not in str(server.heard) + found.model_dump_json()


async def test_a_server_that_does_not_know_the_password_is_not_believed() -> None:
    answers = {"saslContinue": {"ok": 1.0, "conversationId": 1, "done": True, "payload": b"v=AAAA"}}
    found = await verdict(FakeMongoDb(answers=answers))
    assert found.cause == "SERVER.ERROR"
    assert seen(found, "login")["server_proof"] == "wrong"


@pytest.mark.parametrize(
    ("changes", "cause", "alternatives"),
    [
        ({"databases": (), "privileges": (fake.SEES_ALL,)}, "TARGET.MISSING", []),
        ({"databases": (), "privileges": (fake.READ,)}, "TARGET.MISSING", []),
        ({"databases": (), "privileges": ()}, INCONCLUSIVE, ["TARGET.NO_CONNECT", "TARGET.MISSING"]),
        ({"answers": {"listDatabases": failure(13)}, "privileges": ()}, INCONCLUSIVE, None),
        ({"answers": {"listDatabases": failure(10107)}}, "SERVER.WRONG_ROLE", []),
        ({"collections": {}, "privileges": ()}, "PRIV.OBJECT_DENIED", []),
        ({"answers": {"find": failure(13)}}, "PRIV.OBJECT_DENIED", []),
        ({"collections": {}}, None, []),
    ],
)
async def test_what_the_account_may_see(changes: dict[str, Any], cause: str | None, alternatives: Any) -> None:
    found = await verdict(FakeMongoDb(**changes))
    assert found.cause == cause, found.message
    assert alternatives is None or found.alternatives == alternatives


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, None),
        ({"collections": {"orders": 0}}, None),
        ({"collections": {"lines": 1}}, "TARGET.OBJECT_MISSING"),
        ({"answers": {"find": failure(13)}}, "PRIV.OBJECT_DENIED"),
        ({"answers": {"find": failure(26)}}, "TARGET.OBJECT_MISSING"),
    ],
)
async def test_bound_collections(changes: dict[str, Any], cause: str | None) -> None:
    found = await verdict(FakeMongoDb(**changes), objects=("orders",))
    assert found.cause == cause, found.message


@pytest.mark.parametrize(
    ("hello", "properties", "cause"),
    [
        ({"arbiterOnly": True, "setName": "rs0"}, {}, "SERVER.WRONG_ROLE"),
        ({"isreplicaset": True}, {}, "SERVER.NOT_READY"),
        (SECONDARY, {}, None),
        (SECONDARY, {"readPreference": "primary"}, "SERVER.NOT_READY"),
        ({**SECONDARY, "primary": "10.0.0.1:27017"}, {"readPreference": "primary", "directConnection": "true"},
         "SERVER.WRONG_ROLE"),
        ({**SECONDARY, "primary": "127.0.0.1:1"}, {"replicaSet": "rs0"}, "PORT.CLOSED"),
        ({**SECONDARY, "primary": "no-such-host.invalid:27017"}, {"replicaSet": "rs0"}, "DNS."),
        ({**SECONDARY, "primary": "127.0.0.1:1"}, {}, None),
        (SECONDARY, {"replicaSet": "other"}, "CONFIG.BAD_VALUE"),
        ({"isWritablePrimary": True, "msg": "isdbgrid"}, {}, None),
    ],
)  # fmt: skip
async def test_the_part_that_a_server_plays(
    hello: dict[str, Any], properties: dict[str, str], cause: str | None
) -> None:
    found = await verdict(FakeMongoDb(hello=hello), properties=properties)
    assert (found.cause or "").startswith(cause or "")
    assert (found.cause is None) is (cause is None), found.message


# -- TLS --------------------------------------------------------------------------------------------------------------


async def over_tls(secrets: dict[str, str] | None = None, *names: str, **entry: Any) -> Verdict:
    async with listening(FakeMongoDb(), ssl=server_context(*names)) as port:
        return await verdict_at(port, "mongodb", {**ENTRY, **entry}, **(secrets or {}))


async def test_tls_from_the_first_byte() -> None:
    assert (await over_tls(trusting(), auth_type="authTypeSsl")).state is State.CONNECTABLE
    assert (await over_tls(trusting(), properties={"tls": "true"})).state is State.CONNECTABLE
    assert (await over_tls(trusting(), "db.elsewhere", properties={"tls": "true"})).cause == "TLS.NAME_MISMATCH"
    assert (await over_tls(properties={"tls": "true"})).cause == "TLS.UNTRUSTED_CA"


async def test_the_two_sides_of_tls_that_do_not_fit() -> None:
    assert (await over_tls()).cause == "TLS.REQUIRED"

    async def as_mongod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A hello of TLS has a length that no message has: mongod hangs up."""
        if (first := await reader.readexactly(1)) != b"\x16":
            rest = asyncio.StreamReader()
            rest.feed_data(first + await reader.read(65536))
            await asyncio.gather(_pump(reader, rest), server(rest, writer))

    async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamReader) -> None:
        while data := await source.read(65536):
            sink.feed_data(data)
        sink.feed_eof()

    server = FakeMongoDb()
    found = await verdict_over(as_mongod, "mongodb", {**ENTRY, "auth_type": "authTypeSsl"})
    assert found.cause == "TLS.NOT_OFFERED", found.message


@given(st.binary(max_size=120))
def test_no_answer_breaks_more_than_the_stage(body: bytes) -> None:
    head = struct.pack("<iiii", 16 + len(body), 1, 1, 2013)
    with contextlib.suppress(wire.Malformed):
        wire.document(head, body[: wire.length_behind(head)])


def test_the_url_gives_the_database_that_knows_the_account() -> None:
    type_, reading = read_url("mongodb://app:x@h1,h2:27018/shop?authSource=admin&replicaSet=rs0&tls=true")
    connection: Any = reading.connection
    assert (type_.name, connection.auth_db, connection.database) == ("mongodb", "admin", "shop")
    assert [(one.host, one.port) for one in connection.endpoints()] == [("h1", 27017), ("h2", 27018)]
    assert connection.tls().mode == "verify-full"
    assert read_url("mongodb://app@h/shop")[1].connection.auth_db == "shop"  # type: ignore[attr-defined]
