"""SQL Server: its errors by number, TLS in all its arrangements, and what it takes for another protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from registry.verdict import INCONCLUSIVE, State, Verdict
from tasks.diagnosis import explain
from tasks.protocols.sqlserver import wire
from tasks.protocols.sqlserver.session import quoted
from tests.tasks import fake_sqlserver as fake
from tests.tasks.certified import CA, server_context, trusting
from tests.tasks.fake_sqlserver import FakeSqlServer, refused, rows
from tests.tasks.support import PASSWORD, failed, listening
from tests.tasks.wired import seen, target_of, verdict_at, verdict_over

OFF, ON, NOT_SUPPORTED, REQUIRED = range(4)
ENTRY = {"database": "shop", "username": "app"}


async def verdict(server: FakeSqlServer, *, secrets: dict[str, str] | None = None, **entry: Any) -> Verdict:
    return await verdict_over(server, "sqlserver", {**ENTRY, **entry}, **(secrets or {}))


# -- what it answers --------------------------------------------------------------------------------------------------


async def test_a_login_and_a_readable_table_are_connectable() -> None:
    server = FakeSqlServer()
    found = await verdict(server)
    assert found.state is State.CONNECTABLE, found.message
    assert server.passwords == [PASSWORD]
    assert seen(found, "greet")["server_version"] == "16.0.1000"
    assert seen(found, "privilege")["source_address_seen_by_server"] == "192.0.2.7"


async def test_bound_objects_are_read_and_quoted() -> None:
    server = FakeSqlServer()
    found = await verdict(server, objects=("dbo.orders", "lines"))
    assert found.state is State.CONNECTABLE
    assert [sql for sql in server.heard if "1 = 0" in sql] == [
        "SELECT TOP (1) 1 FROM [dbo].[orders] WHERE 1 = 0",
        "SELECT TOP (1) 1 FROM [lines] WHERE 1 = 0",
    ]


@pytest.mark.parametrize(
    ("numbers", "cause"),
    [
        ((18456,), "AUTH.BAD_CREDENTIALS"),
        ((18452,), "AUTH.METHOD_UNSUPPORTED"),
        ((18470,), "AUTH.LOGIN_FORBIDDEN"),
        ((17892,), "AUTH.LOGIN_FORBIDDEN"),
        ((18486,), "AUTH.EXPIRED_OR_LOCKED"),
        ((18487,), "AUTH.EXPIRED_OR_LOCKED"),
        ((18488,), "AUTH.EXPIRED_OR_LOCKED"),
        ((17809,), "CAPACITY.CONNECTIONS"),
        ((10928,), "CAPACITY.CONNECTIONS"),
        ((18401,), "SERVER.NOT_READY"),
        ((17142,), "SERVER.NOT_READY"),
        ((18461,), "SERVER.NOT_READY"),
        ((40613,), "SERVER.NOT_READY"),
        ((18458,), "CAPACITY.CONNECTIONS"),
        ((17835,), "TLS.REQUIRED"),
        ((40532,), "SERVER.ERROR"),
        # "The login failed" follows its reason.
        ((18456, 18487), "AUTH.EXPIRED_OR_LOCKED"),
    ],
)
async def test_a_refused_login_is_named_by_its_number(numbers: tuple[int, ...], cause: str) -> None:
    found = await verdict(FakeSqlServer(login=refused(*numbers)))
    assert found.cause == cause, found.message
    assert PASSWORD not in found.model_dump_json()


async def test_the_firewall_of_azure_names_the_address_to_admit() -> None:
    words = "Der Client mit der IP-Adresse „198.51.100.9“ darf nicht auf den Server zugreifen."
    found = await verdict(FakeSqlServer(login=fake.error(40615, words)))
    assert (found.cause, found.component) == ("ADMIT.ALLOWLIST", "198.51.100.9")
    assert found.state is State.UNREACHABLE
    assert "198.51.100.9/32" in found.remedy


@pytest.mark.parametrize(
    ("numbers", "about", "cause"),
    [
        ((4060, 18456), rows(None, None), "TARGET.MISSING"),
        ((4060, 18456), rows(0, "ONLINE"), "TARGET.NO_CONNECT"),
        ((4060, 18456), rows(1, "RESTORING"), "SERVER.NOT_READY"),
        ((4060, 18456), refused(229), INCONCLUSIVE),
        ((942, 4060, 18456), refused(229), "SERVER.NOT_READY"),
        ((978,), refused(229), "SERVER.WRONG_ROLE"),
        ((911,), refused(229), "TARGET.MISSING"),
        ((916,), refused(229), "TARGET.NO_CONNECT"),
    ],
)
async def test_a_database_that_is_not_opened(numbers: tuple[int, ...], about: bytes, cause: str) -> None:
    """The login passed: whether the database is there is asked in a conversation that names none."""
    server = FakeSqlServer(
        login=lambda database: refused(*numbers) if database else fake.LOGGED_IN, answers={"HAS_DBACCESS": about}
    )
    found = await verdict(server)
    assert found.cause == cause, found.message
    assert next(stage for stage in found.stages if stage.name == "login").status == "passed"


async def test_an_account_that_has_no_other_database_leaves_two_causes() -> None:
    found = await verdict(FakeSqlServer(login=refused(4060, 18456)))
    assert (found.cause, found.alternatives) == (INCONCLUSIVE, ["TARGET.MISSING", "TARGET.NO_CONNECT"])


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (refused(229), "PRIV.OBJECT_DENIED"),
        (refused(916), "PRIV.OBJECT_DENIED"),
        (refused(208), "TARGET.OBJECT_MISSING"),
        (refused(208, 4413), "TARGET.OBJECT_MISSING"),
        (refused(823), "SERVER.ERROR"),
    ],
)
async def test_a_bound_object_that_cannot_be_read(answer: bytes, cause: str) -> None:
    found = await verdict(FakeSqlServer(answers={"1 = 0": answer}), objects=("dbo.orders",))
    assert (found.cause, seen(found, "privilege")["object"]) == (cause, "dbo.orders")


@pytest.mark.parametrize(
    ("facts", "properties", "cause", "warned"),
    [
        (rows(None, 0, "READ_WRITE", None, None), {}, "PRIV.OBJECT_DENIED", False),
        (rows(None, 1, "READ_WRITE", None, None), {}, None, True),
        (rows("dbo.x", 1, "READ_ONLY", None, None), {}, None, False),
        (rows("dbo.x", 1, "READ_ONLY", None, None), {"ApplicationIntent": "ReadWrite"}, "SERVER.WRONG_ROLE", False),
        (refused(229), {}, "PRIV.OBJECT_DENIED", False),
    ],
)
async def test_without_bound_objects_something_must_be_readable(
    facts: bytes, properties: dict[str, str], cause: str | None, warned: bool
) -> None:
    found = await verdict(FakeSqlServer(facts=facts), properties=properties)
    assert found.cause == cause
    assert (next(one for one in found.stages if one.name == "privilege").status == "warned") is warned


async def test_a_gateway_sends_on_to_the_server() -> None:
    async with listening(FakeSqlServer()) as behind:
        gateway = FakeSqlServer(login=fake.LOGGED_IN + fake.routing("127.0.0.1", behind))
        found = await verdict(gateway)
    assert found.state is State.CONNECTABLE, found.message
    assert seen(found, "login")["routed_to"] == f"127.0.0.1:{behind}"


async def test_a_gateway_that_sends_to_a_closed_port_is_not_blamed_on_the_login() -> None:
    found = await verdict(FakeSqlServer(login=fake.LOGGED_IN + fake.routing("127.0.0.1", 1)))
    assert found.cause == "PORT.CLOSED", found.message


# -- TLS --------------------------------------------------------------------------------------------------------------


async def test_the_login_is_encrypted_even_where_tls_is_not_asked_for() -> None:
    server = FakeSqlServer(encryption=OFF, context=server_context())
    found = await verdict(server, security_protocol="authTypeNone")
    assert found.state is State.CONNECTABLE, found.message
    assert server.passwords == [PASSWORD]


@pytest.mark.parametrize("encryption", [OFF, ON, REQUIRED])
async def test_a_verified_channel(encryption: int) -> None:
    server = FakeSqlServer(encryption=encryption, context=server_context())
    found = await verdict(server, security_protocol="authTypeSsl", secrets=trusting())
    assert found.state is State.CONNECTABLE, found.message
    assert seen(found, "tls")["tls_version"] == "TLSv1.2"
    assert not found.warnings


@pytest.mark.parametrize(
    ("server", "entry", "trusted", "cause"),
    [
        ((NOT_SUPPORTED, ()), {"security_protocol": "authTypeSsl"}, None, "TLS.NOT_OFFERED"),
        ((REQUIRED, ()), {"security_protocol": "authTypeNone"}, None, "TLS.REQUIRED"),
        ((ON, ()), {"properties": {"encrypt": "true"}}, trustme.CA(), "TLS.UNTRUSTED_CA"),
        ((ON, ("db.elsewhere",)), {"properties": {"encrypt": "true"}}, CA, "TLS.NAME_MISMATCH"),
        ((NOT_SUPPORTED, ()), {}, None, None),
        ((ON, ()), {}, None, None),
    ],
)
async def test_tls_that_the_two_sides_do_not_agree_on(
    server: tuple[int, tuple[str, ...]], entry: dict[str, Any], trusted: trustme.CA | None, cause: str | None
) -> None:
    peer = FakeSqlServer(encryption=server[0], context=server_context(*server[1]))
    secrets = trusting(trusted) if trusted else {}
    found = await verdict(peer, secrets=secrets, **entry)
    assert found.cause == cause, found.message
    assert bool(peer.passwords) is (cause is None), "no secret goes to a peer that is refused"


async def test_a_server_that_hangs_up_on_a_login_in_the_clear_wants_tls() -> None:
    def hangs_up(_database: str) -> bytes:
        raise ConnectionError

    met: list[FakeSqlServer] = []

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(FakeSqlServer(NOT_SUPPORTED, login=hangs_up) if not met else FakeSqlServer(ON, server_context()))
        await met[-1](reader, writer)

    found = await verdict_over(server, "sqlserver", {**ENTRY, "security_protocol": "authTypeNone"})
    assert found.cause == "TLS.REQUIRED", found


# -- what is no SQL Server --------------------------------------------------------------------------------------------


async def test_another_type_recognises_a_sql_server() -> None:
    async with listening(FakeSqlServer()) as port:
        found = await verdict_at(port, "redis", {})
    assert found.cause in ("PROTO.MISMATCH", "PEER.MUTE", "PEER.RESET_EARLY")


def test_a_statement_that_takes_too_long_is_no_mute_server() -> None:
    target = target_of("sqlserver", {**ENTRY, "address": [{"host": "h", "port": 1433}]})
    silence = {"broken": "silent", "mute": True}
    assert explain(target, failed("privilege", {**silence, "object": "orders"}), None).code == "PROBE.DEADLINE"
    assert explain(target, failed("login", silence), None).code == "PEER.MUTE"


# -- bytes ------------------------------------------------------------------------------------------------------------


def test_the_example_login_of_the_protocol_document_is_hidden_alike() -> None:
    """[MS-TDS] 4.2: the password of the login record in its example."""
    assert wire.hidden("c".encode("utf-16-le")) == bytes([0x93, 0xA5])


@given(st.binary(max_size=200))
def test_no_answer_breaks_more_than_the_stage(data: bytes) -> None:
    try:
        wire.answer(data)
        wire.greeting(data)
    except (ValueError, LookupError, wire.struct.error):
        pass


@given(st.text(min_size=1, max_size=9000))
def test_a_long_statement_is_cut_into_whole_packets(sql: str) -> None:
    data, payload, last = wire.batch(sql), b"", False
    while data:
        kind, last, length = wire.packet_head(data[:8])
        assert kind == wire.BATCH
        payload += data[8 : 8 + length]
        data = data[8 + length :]
        assert last is (not data)
    assert payload[22:].decode("utf-16-le", "surrogatepass") == sql.encode("utf-16-le", "surrogatepass").decode(
        "utf-16-le", "surrogatepass"
    )


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("orders", "[orders]"),
        ("dbo.orders", "[dbo].[orders]"),
        ("[my schema].[a.b]", "[my schema].[a.b]"),
        ('"x"."y""z"', '[x].[y"z]'),
        ("o]; DROP TABLE x--", "[o]]; DROP TABLE x--]"),
        ("shop..orders", "[shop]..[orders]"),
    ],
)
def test_names_as_sql(name: str, sql: str) -> None:
    assert quoted(name) == sql
