"""SAP HANA: its digests, its errors by number, and what it takes for another protocol."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.connection import read_url
from registry.verdict import Verdict
from tasks.protocols.saphana import wire
from tasks.protocols.saphana.session import quoted
from tests.tasks.certified import server_context, trusting
from tests.tasks.fake_saphana import FakeHana, error, fields, rows
from tests.tasks.support import PASSWORD, listening
from tests.tasks.wired import verdict_at, verdict_over

ENTRY = {"username": "APP"}


async def verdict(server: FakeHana, **entry: Any) -> Verdict:
    return await verdict_over(server, "saphana", {**ENTRY, **entry})


@pytest.mark.parametrize("method", [b"SCRAMSHA256", b"SCRAMPBKDF2SHA256"])
async def test_a_login_and_something_to_read_are_connectable(method: bytes) -> None:
    server = FakeHana(method)
    found = await verdict(server, database="hxe", objects=("sales.orders",))
    assert found.cause is None, found.message
    assert server.proved
    assert PASSWORD.encode() not in b"".join(server.heard)
    assert b'SELECT 1 FROM "SALES"."ORDERS" WHERE 1 = 0' in b"".join(server.heard)


def test_the_digest_of_a_published_login() -> None:
    """Salt, challenges and proof as SAP's first open client has them among its tests."""
    challenge = bytes.fromhex(
        "edbd7cc8b2f26489d65a7cd51e27f2e73fca227d1ab6aafcac0f428ca4d8e10c"
        "19e3e38f3aac51075e67bbe52fdb6103a7c34c8a70908ed5be0b3542705f738c"
    )
    server = bytes.fromhex(
        "41065150117e455fec2f03f6f47c19d405ade50dd65731dc0fb3f7954db62c8aa67a7e825e1300bee975e74518238c9a"
    )
    answer = fields(bytes.fromhex("80964fa85428ae3a81acd3e686a27933"), server)
    assert wire.proof(wire.SHA256, "secret", challenge, answer) == bytes.fromhex(
        "000120e47d8f244855b92dc966395d0d282547b54dfd09614d44374df94f293c1a020e"
    )


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"password": "another"}, "AUTH.BAD_CREDENTIALS"),
        ({"password": "another", "refusal": 414}, "AUTH.EXPIRED_OR_LOCKED"),
        ({"password": "another", "refusal": 416}, "AUTH.EXPIRED_OR_LOCKED"),
        ({"password": "another", "refusal": 415}, "AUTH.LOGIN_FORBIDDEN"),
        ({"password": "another", "refusal": 591}, "SERVER.ERROR"),
        ({"method": b"SAML"}, "AUTH.METHOD_UNSUPPORTED"),
    ],
)
async def test_a_refused_login(changes: dict[str, Any], cause: str) -> None:
    found = await verdict(FakeHana(**changes))
    assert found.cause == cause, found.message
    assert PASSWORD not in found.model_dump_json()


@pytest.mark.parametrize(
    ("statements", "entry", "cause"),
    [
        ({"M_DATABASE": rows(0)}, {"database": "HXE"}, "TARGET.MISSING"),
        ({"M_DATABASE": error(258)}, {"database": "HXE"}, None),
        ({"M_DATABASE": error(591)}, {"database": "HXE"}, "SERVER.ERROR"),
        ({"1 = 0": error(259)}, {"objects": ("orders",)}, "TARGET.OBJECT_MISSING"),
        ({"1 = 0": error(362)}, {"objects": ("x.orders",)}, "TARGET.OBJECT_MISSING"),
        ({"1 = 0": error(258)}, {"objects": ("orders",)}, "PRIV.OBJECT_DENIED"),
        ({"1 = 0": rows(0)}, {"objects": ("orders",)}, None),
        ({"EFFECTIVE_PRIVILEGES": rows(0)}, {}, "PRIV.OBJECT_DENIED"),
        ({"EFFECTIVE_PRIVILEGES": rows(1)}, {}, None),
    ],
)
async def test_what_may_be_read(statements: dict[str, bytes], entry: dict[str, Any], cause: str | None) -> None:
    found = await verdict(FakeHana(statements=statements), **entry)
    assert found.cause == cause, found.message


async def test_tls_from_the_first_byte() -> None:
    async with listening(FakeHana(), ssl=server_context()) as port:
        entry = {**ENTRY, "properties": {"encrypt": "true"}}
        assert (await verdict_at(port, "saphana", entry, **trusting())).cause is None
        assert (await verdict_at(port, "saphana", entry)).cause == "TLS.UNTRUSTED_CA"
        assert (await verdict_at(port, "saphana", ENTRY)).cause == "TLS.REQUIRED"


@given(st.binary(max_size=120))
def test_no_answer_breaks_more_than_the_stage(data: bytes) -> None:
    for read in (wire.parts, wire.unpacked, wire.version, wire.error_number, wire.length_behind):
        with contextlib.suppress(wire.Malformed, struct.error):
            read(data)  # type: ignore[operator]
    with contextlib.suppress(wire.Malformed):
        wire.proof(wire.PBKDF2, "x", data, data)


def test_the_url_of_the_jdbc_driver() -> None:
    connection: Any = read_url("jdbc:sap://h:30041/?databaseName=HXE&user=APP&password=x&encrypt=true")[1].connection
    assert (connection.database, connection.username, connection.tls().mode) == ("HXE", "APP", "verify-full")


@pytest.mark.parametrize(("name", "sql"), [("orders", '"ORDERS"'), ('"Sales".orders', '"Sales"."ORDERS"')])
def test_names_as_sql(name: str, sql: str) -> None:
    assert quoted(name) == sql


async def test_bytes_of_nobody_in_answer_to_tls_are_another_protocol() -> None:
    async def charge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"abcdefghijklmnop\r\n")
        await writer.drain()
        await reader.read(4096)

    found = await verdict_over(charge, "saphana", {**ENTRY, "properties": {"encrypt": "true"}})
    assert found.cause == "PROTO.MISMATCH", found.message
