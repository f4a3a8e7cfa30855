"""PostgreSQL's wire format: names quoted, rows and errors read."""

from __future__ import annotations

import asyncio
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.verdict import State, Status
from tasks.check import check
from tasks.protocols.postgresql.wire import columns, error_of, quoted
from tasks.vantages.local import LocalVantage
from tests.tasks.support import listening, target


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("orders", '"orders"'),
        ("Orders", '"orders"'),
        ("shop.Orders", '"shop"."orders"'),
        ('"Orders"', '"Orders"'),
        ('shop."Big.Table"', '"shop"."Big.Table"'),
        ('"say ""hi"""', '"say ""hi"""'),
        ("orders; DROP TABLE orders", '"orders; drop table orders"'),
        ('o" FROM x; --', '"o"" FROM x; --"'),
        ("GRÖSSE", '"grÖsse"'),
        ("shop..orders", '"shop..orders"'),
    ],
)
def test_names(name: str, sql: str) -> None:
    assert quoted(name) == sql


def test_a_name_may_be_taken_as_it_is_written() -> None:
    assert quoted("shop.Orders", fold=False) == '"shop"."Orders"'


def _parse(sql: str) -> list[str]:
    """The parts of a quoted name, read as PostgreSQL's scanner does; anything left over is an injection."""
    parts, position = [], 0
    while True:
        assert sql[position] == '"', sql
        position += 1
        part = ""
        while True:
            if sql.startswith('""', position):
                part, position = part + '"', position + 2
            elif sql[position] == '"':
                position += 1
                break
            else:
                part, position = part + sql[position], position + 1
        assert part, "PostgreSQL knows no empty name"
        parts.append(part)
        if position == len(sql):
            return parts
        assert sql[position] == ".", sql
        position += 1


@given(st.text(min_size=1))
def test_no_name_breaks_out_of_its_quotes(name: str) -> None:
    _parse(quoted(name))


@given(st.lists(st.text(min_size=1).filter(lambda part: "\0" not in part), min_size=1, max_size=3))
def test_quoted_names_are_taken_as_they_are(parts: list[str]) -> None:
    written = ".".join('"' + part.replace('"', '""') + '"' for part in parts)
    assert _parse(quoted(written)) == parts


@given(st.lists(st.none() | st.text(), max_size=8))
def test_rows(values: list[str | None]) -> None:
    body = struct.pack("!H", len(values))
    for value in values:
        encoded = value.encode() if value is not None else b""
        body += struct.pack("!i", -1 if value is None else len(encoded)) + encoded
    assert columns(body) == values


def test_error_fields() -> None:
    error = error_of(b"SFATAL\0VFATAL\0C28P01\0Mnein\0Fauth.c\0L334\0Rauth_failed\0\0")
    assert error.evidence() == {
        "sqlstate": "28P01", "sqlstate_class": "28", "routine": "auth_failed", "server_line": "334",
        "server_message": "nein", "server_said": "SQLSTATE 28P01",
    }  # fmt: skip


def _message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


@pytest.mark.parametrize(("count", "status"), [(b"3", Status.PASSED), (b"0", Status.WARNED)])
async def test_a_server_without_postgresqls_catalogue_is_asked_more_plainly(count: bytes, status: Status) -> None:
    """What only speaks the protocol: it refuses the long question and answers the short one."""
    ready = _message(b"Z", b"I")
    unknown = _message(b"E", b"SERROR\0C42883\0Mno such function\0\0")
    row = _message(b"D", struct.pack("!Hi", 1, len(count)) + count)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(_message(b"R", bytes(4)) + _message(b"S", b"server_version\0009\0") + ready)
        for answer in (unknown, unknown, row):  # two of the long ones are asked at once
            kind, length = struct.unpack("!cI", await reader.readexactly(5))
            assert kind == b"Q"
            await reader.readexactly(length - 4)
            writer.write(answer + ready)
        await reader.read(1024)

    async with listening(handler) as port:
        verdict = await check(target(port=port), LocalVantage(), timeout=2)
    assert verdict.state is State.CONNECTABLE
    assert verdict.stages[-1].status is status
