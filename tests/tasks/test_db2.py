"""Db2: DRDA's codes and SQLSTATEs, and what it takes for another protocol. Against Derby: tests/lab/test_db2.py."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.connection import read_url
from registry.verdict import Verdict
from tasks.protocols.db2 import wire
from tasks.protocols.db2.session import quoted
from tasks.protocols.db2.wire import Code
from tests.tasks.certified import server_context, trusting
from tests.tasks.fake_db2 import FakeDb2, card, checked, rows, value
from tests.tasks.support import PASSWORD, listening
from tests.tasks.wired import seen, verdict_at, verdict_over

ENTRY = {"database": "SHOP", "username": "app"}


async def verdict(server: FakeDb2, **entry: Any) -> Verdict:
    return await verdict_over(server, "db2", {**ENTRY, **entry})


async def test_a_login_and_a_readable_table_are_connectable() -> None:
    found = await verdict(FakeDb2())
    assert found.cause is None, found.message
    assert seen(found, "greet")["server_class"] == "QDB2/LINUXX8664"
    assert seen(found, "privilege")["read"] == '"SALES"."ORDERS"'


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (0x0E, "AUTH.EXPIRED_OR_LOCKED"),
        (0x0F, "AUTH.BAD_CREDENTIALS"),
        (0x13, "AUTH.BAD_CREDENTIALS"),
        (0x14, "AUTH.EXPIRED_OR_LOCKED"),
        (0x01, "AUTH.METHOD_UNSUPPORTED"),
        (0x0A, "SERVER.ERROR"),
    ],
)
async def test_a_refused_login(code: int, cause: str) -> None:
    found = await verdict(FakeDb2(check=checked(code)))
    assert found.cause == cause, found.message
    assert PASSWORD not in found.model_dump_json()


async def test_a_server_that_wants_passwords_encrypted_gets_none() -> None:
    server = FakeDb2(security=value(Code.ACCSECRD, value(Code.SECMEC, b"\0\x09") + value(Code.SECMEC, b"\0\x09")))
    found = await verdict(server)
    assert (found.cause, found.component) == ("AUTH.METHOD_UNSUPPORTED", "encrypted user and password")
    assert PASSWORD.encode("cp500") not in b"".join(server.heard)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"security": value(Code.RDBNFNRM, b"")}, "TARGET.MISSING"),
        ({"check": value(Code.RDBNFNRM, b"")}, "TARGET.MISSING"),
        ({"access": (value(Code.RDBNFNRM, b""),)}, "TARGET.MISSING"),
        ({"access": (value(Code.RDBATHRM, b""),)}, "TARGET.NO_CONNECT"),
        ({"access": (value(Code.RDBAFLRM, b""), card(-1060, "08004"))}, "TARGET.NO_CONNECT"),
        ({"access": (value(Code.RDBAFLRM, b""), card(-20157, "57046"))}, "SERVER.NOT_READY"),
        ({"access": (value(Code.RDBAFLRM, b""), card(-1040, "57030"))}, "CAPACITY.CONNECTIONS"),
        ({"access": (value(0x1232, b""),)}, "SERVER.ERROR"),
    ],
)
async def test_a_database_that_is_not_opened(changes: dict[str, Any], cause: str) -> None:
    found = await verdict(FakeDb2(**changes))
    assert found.cause == cause, found.message


@pytest.mark.parametrize(
    ("statements", "objects", "cause"),
    [
        ({"1 = 0": (card(0, "00000"),)}, ("sales.orders",), None),
        ({"1 = 0": (card(-551, "42501", "<"),)}, ("sales.orders",), "PRIV.OBJECT_DENIED"),
        ({"1 = 0": (card(-204, "42704", "<"),)}, ("sales.orders",), "TARGET.OBJECT_MISSING"),
        ({"1 = 0": (card(-805, "51002", "<"),)}, ("sales.orders",), "PRIV.OBJECT_DENIED"),
        ({"1 = 0": (card(-911, "40001", "<"),)}, ("sales.orders",), "SERVER.ERROR"),
        ({"SYSCAT": (card(0, "00000", "<"), card(100, "02000", "<"))}, (), None),
        ({"QSYS2": (card(0, "00000"), rows("Q.X", nullable=False)), "1 = 0": (card(0, "00000"),)}, (), None),
        ({}, (), "DRIVER.MISSING"),
        ({"SYSCAT": (card(0, "00000", "<"), rows("A.B")), "1 = 0": (card(-551, "42501", "<"),)}, (),
         "PRIV.OBJECT_DENIED"),
    ],
)  # fmt: skip
async def test_what_may_be_read(statements: dict[str, Any], objects: tuple[str, ...], cause: str | None) -> None:
    found = await verdict(FakeDb2(statements=statements), objects=objects)
    assert found.cause == cause, found.message


# -- TLS and other peers ----------------------------------------------------------------------------------------------


async def test_tls_from_the_first_byte() -> None:
    async with listening(FakeDb2(), ssl=server_context()) as port:
        assert (
            await verdict_at(port, "db2", {**ENTRY, "security_protocol": "authTypeSsl"}, **trusting())
        ).cause is None
        assert (await verdict_at(port, "db2", ENTRY)).cause == "TLS.REQUIRED"
        untrusted = await verdict_at(port, "db2", {**ENTRY, "properties": {"sslConnection": "true"}})
        assert untrusted.cause == "TLS.UNTRUSTED_CA"


# -- bytes ------------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=120))
def test_no_answer_breaks_more_than_the_stage(data: bytes) -> None:
    readers: tuple[Callable[[], Any], ...] = (
        lambda: [one.values() for one in wire.replies(data, False)],
        lambda: wire.sql_answer(data, "big"),
        lambda: wire.names(data, data, "little"),
    )
    for read in readers:
        with contextlib.suppress(wire.Malformed):
            read()


def test_the_url_of_the_jdbc_driver() -> None:
    connection: Any = read_url("jdbc:db2://h:50001/SHOP:user=app;password=x;sslConnection=true;")[1].connection
    assert (connection.database, connection.username, connection.tls().mode) == ("SHOP", "app", "verify-ca")


@pytest.mark.parametrize(
    ("name", "sql"),
    [("orders", '"ORDERS"'), ("sales.orders", '"SALES"."ORDERS"'), ('"Sales"."my ""x"""', '"Sales"."my ""x"""')],
)
def test_names_as_sql(name: str, sql: str) -> None:
    assert quoted(name) == sql
