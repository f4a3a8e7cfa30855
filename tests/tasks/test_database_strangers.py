"""What listens is no database of the type: it is named, gets no password, and silence is told from hanging up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tasks.protocols.sqlserver import wire
from tests.tasks.support import PASSWORD, hanging_up, mute, speaking
from tests.tasks.wired import seen, verdict_over

ENTRIES: dict[str, dict[str, Any]] = {
    "db2": {"database": "SHOP", "username": "app"},
    "mongodb": {"database": "shop", "username": "app"},
    "oracle": {"service_name": "orders", "username": "app"},
    "saphana": {"username": "APP"},
    "sqlserver": {"database": "shop", "username": "app"},
}
STRANGERS = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "MySQL": bytes.fromhex("4a0000000a382e302e333600") + bytes(70),
    "SSH": b"SSH-2.0-x\r\n",
    None: b"hello, this is no server of yours",
}
#: The password as each protocol would write it.
WRITTEN = [PASSWORD.encode(), PASSWORD.encode("utf-16-le"), wire.hidden(PASSWORD.encode("utf-16-le"))]


@pytest.mark.parametrize("name", STRANGERS, ids=str)
@pytest.mark.parametrize("type_name", ENTRIES)
async def test_another_protocol_is_named_and_gets_no_password(type_name: str, name: str | None) -> None:
    heard = bytearray()
    found = await verdict_over(speaking(STRANGERS[name], heard), type_name, ENTRIES[type_name])
    assert found.cause == "PROTO.MISMATCH", found.message
    assert seen(found, "greet").get("looks_like") == name
    assert not any(password in heard for password in WRITTEN)


@pytest.mark.parametrize(
    ("type_name", "first", "cause", "name"),
    [
        ("oracle", b"\x15\x03\x03\x00\x02\x02\x46", "TLS.REQUIRED", "TLS"),
        ("sqlserver", b"\x15\x03\x01\x00\x02\x02\x46", "PROTO.MISMATCH", "TLS"),
        ("sqlserver", b"\x04\x01\x00\x09\x00\x00\x00\x00\x00", "PROTO.MISMATCH", None),
        ("sqlserver", b"\x04\x01\x00\x0f\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\xff", "PROTO.MISMATCH", None),
    ],
)
async def test_what_only_begins_like_an_answer(type_name: str, first: bytes, cause: str, name: str | None) -> None:
    found = await verdict_over(speaking(first), type_name, ENTRIES[type_name])
    assert found.cause == cause, found.message
    assert seen(found, "greet").get("looks_like") == name or name is None


async def test_a_mute_peer_and_one_that_hangs_up() -> None:
    """All types at once: a mute peer costs each of them its whole time."""
    silent = await asyncio.gather(*(verdict_over(mute, name, entry, timeout=1) for name, entry in ENTRIES.items()))
    assert [found.cause for found in silent] == ["PEER.MUTE"] * len(ENTRIES)
    gone = await asyncio.gather(*(verdict_over(hanging_up(4), name, entry) for name, entry in ENTRIES.items()))
    assert [found.cause for found in gone] == ["PEER.RESET_EARLY"] * len(ENTRIES)
