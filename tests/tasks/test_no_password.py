"""Servers that ask for a password where none is configured say so, and are not told that it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasks.check import check
from tasks.vantages.local import LocalVantage
from tests.tasks import test_db2, test_vertica
from tests.tasks.fake_mongodb import FakeMongoDb
from tests.tasks.fake_saphana import FakeHana
from tests.tasks.support import Handler, listening
from tests.tasks.wired import target_of

SERVERS: dict[str, tuple[Callable[[], Handler], dict[str, Any]]] = {
    "db2": (lambda: test_db2.FakeDb2(check=test_db2.checked(0x10)), {"database": "SHOP"}),
    "mongodb": (FakeMongoDb, {"database": "shop"}),
    "saphana": (FakeHana, {}),
    "vertica": (test_vertica.FakeVertica, test_vertica.ENTRY),
}


@pytest.mark.parametrize("type_name", SERVERS)
async def test_a_missing_password_is_told_from_a_wrong_one(type_name: str) -> None:
    server, entry = SERVERS[type_name]
    async with listening(server()) as port:
        where = {"address": [{"host": "127.0.0.1", "port": port}]}
        found = await check(target_of(type_name, {**where, "username": "app", **entry}), LocalVantage(), timeout=3)
    assert found.cause == "AUTH.BAD_CREDENTIALS", found
    assert "Set password for orders/prod" in found.remedy
