"""Oracle: what its listener answers, where it sends its clients on to, and the database's numbers through oracledb."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import oracledb
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from oracledb import errors as driver_errors

from registry.connection import read_url
from registry.verdict import INCONCLUSIVE, Verdict
from tasks.diagnosis import explain
from tasks.evidence import Recorder, StageFailed
from tasks.protocols import Access
from tasks.protocols.oracle import wire
from tasks.protocols.oracle.session import OracleSession, quoted
from tasks.tls import TlsMaterial
from tests.tasks.certified import server_context, trusting
from tests.tasks.fake_oracle import ACCEPT, RESEND, FakeOracle, redirect, refuse
from tests.tasks.scripted import Peer
from tests.tasks.support import PASSWORD, failed, listening
from tests.tasks.wired import seen, target_of, verdict_at, verdict_over

ENTRY = {"service_name": "orders", "username": "app"}


async def verdict(server: FakeOracle, **entry: Any) -> Verdict:
    return await verdict_over(server, "oracle", {**ENTRY, **entry})


# -- the listener -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (12514, INCONCLUSIVE),
        (12505, INCONCLUSIVE),
        (12504, "TARGET.MISSING"),
        (12506, "ADMIT.ALLOWLIST"),
        (12529, "ADMIT.ALLOWLIST"),
        (12516, "CAPACITY.CONNECTIONS"),
        (12519, "CAPACITY.CONNECTIONS"),
        (12520, "CAPACITY.CONNECTIONS"),
        (12518, "CAPACITY.CONNECTIONS"),
        (12528, "SERVER.NOT_READY"),
        (12526, "SERVER.NOT_READY"),
        (12500, "SERVER.ERROR"),
    ],
)
async def test_a_listener_that_refuses(number: int, cause: str) -> None:
    server = FakeOracle((refuse(number),))
    found = await verdict(server)
    assert found.cause == cause, found.message
    assert seen(found, "greet")["answer"] == "refuse"
    assert b"SERVICE_NAME=orders" in server.heard[0]
    if cause == INCONCLUSIVE:
        assert (found.alternatives, found.component) == (["TARGET.MISSING", "SERVER.NOT_READY"], "orders")


async def test_a_sid_is_asked_for_as_one() -> None:
    server = FakeOracle((refuse(12505),))
    found = await verdict(server, service_name=None, sid="ORCL")
    assert b"(SID=ORCL)" in server.heard[0]
    assert found.component == "ORCL"


async def test_a_long_description_follows_in_a_packet_of_its_own() -> None:
    server = FakeOracle((refuse(12514),))
    await verdict(server, service_name="o" * 220)
    assert server.heard[0][66:68] == b"\0\0"
    assert b"o" * 220 in server.heard[0]


async def test_a_listener_that_asks_again_gets_the_same_again() -> None:
    server = FakeOracle((RESEND, refuse(12528)))
    assert (await verdict(server)).cause == "SERVER.NOT_READY"
    assert server.heard[0] == server.heard[1]


async def test_a_listener_that_sends_its_clients_on() -> None:
    behind = FakeOracle((refuse(12520),))
    async with listening(behind) as port:
        found = await verdict(FakeOracle((redirect("127.0.0.1", port),)))
    assert found.cause == "CAPACITY.CONNECTIONS"
    assert b"INSTANCE_NAME=o1" in behind.heard[0], "what the first listener gave is said to the second"


@pytest.mark.parametrize(("host", "cause"), [("127.0.0.1", "PORT.CLOSED"), ("node1.invalid", "DNS.")])
async def test_an_instance_that_cannot_be_reached_from_here(host: str, cause: str) -> None:
    found = await verdict(FakeOracle((redirect(host, 1),)))
    assert (found.cause or "").startswith(cause), found.message
    assert found.component == f"{host}:1"


# -- the database -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (1017, "AUTH.BAD_CREDENTIALS"),
        (1005, "AUTH.BAD_CREDENTIALS"),
        (28000, "AUTH.EXPIRED_OR_LOCKED"),
        (28001, "AUTH.EXPIRED_OR_LOCKED"),
        (1045, "AUTH.LOGIN_FORBIDDEN"),
        (1035, "AUTH.LOGIN_FORBIDDEN"),
        (28009, "AUTH.LOGIN_FORBIDDEN"),
        (28040, "AUTH.METHOD_UNSUPPORTED"),
        (12660, "AUTH.METHOD_UNSUPPORTED"),
        (1033, "SERVER.NOT_READY"),
        (1034, "SERVER.NOT_READY"),
        (20, "CAPACITY.CONNECTIONS"),
        (2391, "CAPACITY.CONNECTIONS"),
        (600, "SERVER.ERROR"),
    ],
)
async def test_a_login_that_the_database_refuses(number: int, cause: str) -> None:
    server = FakeOracle((ACCEPT,), login_error=number)
    found = await verdict(server)
    assert found.cause == cause, found.message
    assert seen(found, "login")["oracle_error"] == number
    assert PASSWORD.encode() not in b"".join(server.heard)


async def test_the_login_follows_to_the_instance() -> None:
    async with listening(FakeOracle((ACCEPT,), login_error=28000)) as port:
        found = await verdict(FakeOracle((redirect("127.0.0.1", port),)))
    assert found.cause == "AUTH.EXPIRED_OR_LOCKED"


async def test_a_database_that_falls_silent_is_not_waited_for() -> None:
    async def mute_after_accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(ACCEPT)
        await writer.drain()
        await reader.read(1000)
        await asyncio.sleep(9)

    found = await verdict_over(mute_after_accept, "oracle", ENTRY, timeout=1)
    assert found.cause == "PEER.MUTE", found.message
    assert found.elapsed_ms < 1500


async def test_a_database_that_hangs_up() -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(ACCEPT)
        await writer.drain()
        await reader.read(1000)

    found = await verdict_over(hangs_up, "oracle", ENTRY)
    assert found.cause == "SERVER.ERROR", found.message


class Database:
    """A logged-in connection that answers statements by what stands in them."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"SYS_CONTEXT": [("192.0.2.7", "PRIMARY", None)], **answers}
        self.heard: list[str] = []

    @contextlib.contextmanager
    def cursor(self) -> Any:
        yield self

    async def execute(self, sql: str) -> None:
        self.heard.append(sql)
        self._rows = next((rows for words, rows in self.answers.items() if words in sql), [])
        if isinstance(self._rows, int):
            raise oracledb.DatabaseError(driver_errors._Error(f"ORA-{self._rows:05d}: irgendetwas", code=self._rows))

    async def fetchall(self) -> list[Any]:
        return self._rows

    async def close(self) -> None:
        pass


async def read(database: Database, *objects: str) -> tuple[str | None, Recorder]:
    target = target_of("oracle", {**ENTRY, "address": [{"host": "h", "port": 1521}], "objects": objects})
    assert target.connection is not None
    access = Access("h", 1521, "192.0.2.2", target.connection, {}, TlsMaterial())
    session = OracleSession(Peer(), access, None)  # type: ignore[arg-type]
    session._connection, session._gate = database, SimpleNamespace(broken=None, sent_elsewhere=False)  # type: ignore
    recorder = Recorder()
    try:
        await session.privilege(recorder)
    except StageFailed as failure:
        return explain(target, failed("privilege", failure.evidence), None).code, recorder
    return None, recorder


@pytest.mark.parametrize(
    ("answers", "objects", "cause"),
    [
        ({"WHERE 1 = 0": []}, ("orders",), None),
        ({"WHERE 1 = 0": 942}, ("orders",), INCONCLUSIVE),
        ({"WHERE 1 = 0": 1031}, ("orders",), "PRIV.OBJECT_DENIED"),
        ({"WHERE 1 = 0": 4063}, ("orders",), "TARGET.OBJECT_MISSING"),
        ({"WHERE 1 = 0": 980}, ("orders",), "TARGET.OBJECT_MISSING"),
        ({"user_tables": [("ORDERS",)]}, (), None),
        ({"user_tables": []}, (), "PRIV.OBJECT_DENIED"),
        ({"SYS_CONTEXT": 3113}, (), "SERVER.ERROR"),
    ],
)
async def test_what_may_be_read(answers: dict[str, Any], objects: tuple[str, ...], cause: str | None) -> None:
    database = Database(**answers)
    found, recorder = await read(database, *objects)
    assert found == cause
    if cause is None:
        assert recorder.evidence["source_address_seen_by_server"] == "192.0.2.7"


# -- TLS and other peers ----------------------------------------------------------------------------------------------


async def test_tcps_from_the_first_byte() -> None:
    async with listening(FakeOracle((ACCEPT,), login_error=28000), ssl=server_context()) as port:
        entry = {**ENTRY, "security_protocol": "authTypeSsl"}
        assert (await verdict_at(port, "oracle", entry, **trusting())).cause == "AUTH.EXPIRED_OR_LOCKED"
        assert (await verdict_at(port, "oracle", ENTRY)).cause == "TLS.REQUIRED"
        other = trusting(trustme.CA())
        assert (await verdict_at(port, "oracle", entry, **other)).cause == "TLS.UNTRUSTED_CA"


async def test_tcps_to_a_plain_listener() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A length of 0x1603 in the first two bytes, and a checksum: no packet of a client."""
        head = await reader.readexactly(8)
        if head[:1] != b"\x16":
            writer.write(refuse(12514))

    found = await verdict_over(plain, "oracle", {**ENTRY, "security_protocol": "authTypeSsl"})
    assert found.cause == "TLS.NOT_OFFERED", found.message


# -- words ------------------------------------------------------------------------------------------------------------


def test_urls_give_service_sid_and_tcps() -> None:
    def read_fields(url: str) -> Any:
        return read_url(url)[1].connection

    assert read_fields("jdbc:oracle:thin:app/x@//h:1521/orders").service_name == "orders"
    assert read_fields("jdbc:oracle:thin:app/x@h:1521:ORCL").sid == "ORCL"
    over_tls = read_fields("jdbc:oracle:thin:app/x@tcps://h:2484/orders")
    assert over_tls.tls().mode == "require"


@pytest.mark.parametrize(
    ("name", "sql"),
    [("orders", '"ORDERS"'), ("sales.orders", '"SALES"."ORDERS"'), ('"Sales"."my Orders"', '"Sales"."my Orders"')],
)
def test_names_as_sql(name: str, sql: str) -> None:
    assert quoted(name) == sql


@given(st.binary(max_size=120))
def test_no_answer_breaks_more_than_the_stage(data: bytes) -> None:
    assert wire.error_number(data) >= 0
    with contextlib.suppress(wire.Malformed):
        host, port, _ = wire.redirect(data)
        assert host
        assert 0 <= port <= 99999


@pytest.mark.parametrize(
    ("stage", "seen", "cause"),
    [
        ("login", {"driver_error": "DPY-3010", "server_said": "DPY-3010"}, "AUTH.METHOD_UNSUPPORTED"),
        ("login", {"driver_error": "DPY-4011", "server_said": "DPY-4011"}, "SERVER.ERROR"),
        ("privilege", {"broken": "silent", "mute": True, "object": "orders"}, "PROBE.DEADLINE"),
        ("login", {"broken": "silent", "mute": True}, "PEER.MUTE"),
    ],
)
def test_what_the_driver_and_a_long_silence_mean(stage: str, seen: dict[str, Any], cause: str) -> None:
    target = target_of("oracle", {**ENTRY, "address": [{"host": "h", "port": 1521}]})
    assert explain(target, failed(stage, seen), None).code == cause
