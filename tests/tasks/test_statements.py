"""Statements of remedies: what is copied means the user and the table that it should, and the server knows it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tasks.diagnosis import explain
from tasks.protocols import load
from tasks.protocols.clickhouse.session import access_by_sql
from tests.tasks.support import failed, target

_WITH_STATEMENTS = ("mysql", "postgresql", "clickhouse", "oracle", "db2", "saphana", "hive2", "sqlserver", "vertica")


def _remedy(type_: str, stage: str, evidence: dict[str, Any], **changes: Any) -> str:
    return explain(target(type=type_, properties={}, **changes), failed(stage, evidence), None).remedy


@pytest.mark.parametrize(
    ("type_", "username", "written"),
    [
        ("postgresql", "app", "TO app;"),
        ("postgresql", "App-1", 'TO "App-1";'),
        ("postgresql", "user", 'TO "user";'),
        ("vertica", "app-1", 'TO "app-1";'),
        ("clickhouse", "app", "TO app;"),
        ("clickhouse", "app-1", "TO `app-1`;"),
    ],
)
def test_a_user_is_quoted_where_it_must_be(type_: str, username: str, written: str) -> None:
    seen = {"object": "t", "table_sql": "shop.t", "sqlstate": "42501", "error_code": 497, "access_by_sql": True}
    assert written in _remedy(type_, "privilege", seen, username=username)


@pytest.mark.parametrize("name", _WITH_STATEMENTS)
def test_no_statement_holds_a_bare_user(name: str) -> None:
    for answer in load(name).answers:
        assert not re.search(r"(?:\bTO|USER|ROLE|LOGIN|MEMBER) \[?\{username\}", answer.remedy or ""), answer.remedy


def test_a_clickhouse_without_access_control_by_sql_is_sent_to_its_files() -> None:
    denied = {"error_code": 291, "object": "t", "table_sql": "shop.t"}
    assert "GRANT" not in _remedy("clickhouse", "target", {**denied, "access_by_sql": False})
    assert "users.xml" in _remedy("clickhouse", "privilege", {**denied, "access_by_sql": False})
    assert "GRANT SELECT ON shop.*" in _remedy("clickhouse", "target", {**denied, "access_by_sql": True})
    told = [access_by_sql(version) for version in ("18.16.1", "ClickHouse 20.3.8", "20.4.2.9", "24.3", None)]
    assert told == [False, False, True, True, None]
