"""Whether dev and prod are one physical target: what servers say of themselves goes before what is written of them."""

from __future__ import annotations

from typing import Any

import pytest

from registry.connection import Connection
from registry.entries import draft_entry
from registry.types import get
from registry.verdict import Stage, State, Status, Verdict
from tasks import same_target
from tasks.drift import drifts, summary
from tasks.same_target import CODE, Same


def connection(host: str = "db", database: str = "orders", port: int = 5432) -> Connection:
    raw = {"address": [{"host": host, "port": port}], "database": database, "username": "app", "password": "env:P"}
    return draft_entry(get("postgresql"), raw, where="", literals_allowed=False).connection


def verdict(env: str, group: str = "local", **evidence: Any) -> Verdict:
    place = {name: evidence.pop(name) for name in ("address", "port") if name in evidence}
    stages = [
        Stage("connect", Status.PASSED, "2026-01-01T00:00:00Z", 1.0, place),
        Stage("privilege", Status.PASSED, "2026-01-01T00:00:00Z", 1.0, evidence),
    ]
    return Verdict(
        workspace="retail",
        source="orders",
        type="postgresql",
        env=env,
        resource_group=group,
        state=State.CONNECTABLE,
        stages=stages,
        started_at="2026-01-01T00:00:00Z",
        elapsed_ms=1.0,
    )


def seen(cluster: str, database: str = "5", **more: Any) -> dict[str, Any]:
    return {"server_identity": f"PostgreSQL system {cluster}", "database_identity": database, **more}


ONE, OTHER = {"address": "10.0.0.1", "port": 5432}, {"address": "10.0.0.2", "port": 5432}


@pytest.mark.parametrize(
    ("dev", "prod", "told"),
    [
        # One server behind two names and two addresses, and two servers behind one of each.
        (("a", seen("1") | ONE), ("b", seen("1") | OTHER), Same.TARGET),
        (("a", seen("1") | ONE), ("a", seen("2") | ONE), Same.NO),
        (("a", seen("1", "5")), ("a", seen("1", "6")), Same.SERVER),
        # One cluster, started again between the tests; and a copy of it.
        (("a", seen("1", server_run="r1") | ONE), ("b", seen("1", server_run="r1") | OTHER), Same.TARGET),
        (("a", seen("1", server_run="r1") | ONE), ("b", seen("1", server_run="r2") | ONE), Same.TARGET),
        (("a", seen("1", server_run="r1") | ONE), ("b", seen("1", server_run="r2") | OTHER), Same.UNKNOWN),
        (("a", seen("1", server_run="r1")), ("b", seen("1", server_run="r2")), Same.UNKNOWN),
        # A server without a lasting name.
        (("a", {"server_run": "r1"} | ONE), ("b", {"server_run": "r1"} | OTHER), Same.TARGET),
        (("a", {"server_run": "r1"} | ONE), ("a", {"server_run": "r2"} | ONE), Same.TARGET),
        (("a", {"server_run": "r1"} | ONE), ("a", {"server_run": "r2"} | OTHER), Same.NO),
        # Only one of them says who it is.
        (("a", seen("1") | ONE), ("b", ONE), Same.TARGET),
        (("a", ONE), ("b", OTHER), Same.NO),
        (("a", ONE), ("b", {**ONE, "port": 6432}), Same.NO),
        # Nothing was reached.
        (("a", {}), ("a", {}), Same.TARGET),
        (("a", {}), ("b", {}), Same.UNKNOWN),
    ],
)
def test_who_a_server_says_it_is_goes_before_addresses_and_names(
    dev: tuple[str, dict[str, Any]], prod: tuple[str, dict[str, Any]], told: Same
) -> None:
    verdicts = [verdict("dev", **dev[1]), verdict("prod", **prod[1])]
    assert same_target.compare(connection(dev[0]), connection(prod[0]), verdicts).same is told


def test_another_database_of_one_address_is_another_target() -> None:
    verdicts = [verdict("dev", **ONE), verdict("prod", **ONE)]
    found = same_target.compare(connection(database="a"), connection(database="b"), verdicts)
    assert found.same is Same.SERVER


def test_one_address_seen_from_two_groups_is_no_proof() -> None:
    verdicts = [
        verdict("dev", "here", address="127.0.0.1", port=1),
        verdict("prod", "there", address="127.0.0.1", port=1),
    ]
    assert same_target.compare(connection("a"), connection("b"), verdicts).same is Same.UNKNOWN


def test_both_sides_are_warned_of_where_they_come_together_and_the_second_where_they_do_not() -> None:
    def codes(verdicts: list[Verdict]) -> list[bool]:
        return [any(one.code == CODE for one in each.warnings) for each in verdicts]

    dev, prod, other = verdict("dev", **seen("1")), verdict("prod", **seen("1")), verdict("prod", **seen("2"))
    assert codes(same_target.Sides().told([dev, prod])) == [True, True]
    one_by_one = same_target.Sides()
    assert codes([*one_by_one.told([dev]), *one_by_one.told([prod])]) == [False, True]
    assert codes(same_target.Sides().told([dev, other])) == [False, False]
    assert codes(same_target.Sides().told([verdict("dev"), verdict("prod")])) == [False, False]


def test_nothing_to_compare_is_no_drift() -> None:
    assert drifts([], []) == []
    assert summary([]).startswith("0 data sources")
