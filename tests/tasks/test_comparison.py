"""What differs between two surveys, and which difference explains a failure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.verdict import Stage, State, Status, Verdict
from tasks.comparison import CONSEQUENCES, Difference, differences, entry_differences
from tasks.comparison.explanation import REASONS, explanations
from tasks.comparison.survey import Column, Object, Survey

COLUMNS = (Column("id", "integer", False, 1), Column("total", "numeric(10,2)", True, 2))
ORDERS = Object(
    "orders", exists=True, kind="table", place="public", columns=COLUMNS, rows=10, exact=True,
    privileges=("SELECT", "INSERT"),
)  # fmt: skip


def _of(*objects: Object, complete: bool = True, **settings: str) -> Survey:
    return Survey(settings, objects, complete)


def _one(dev: Object, prod: Object) -> Difference:
    (found,) = differences(_of(dev), _of(prod))
    return found


@given(st.dictionaries(st.sampled_from(sorted(CONSEQUENCES)), st.text()), st.integers(0, 10**9))
def test_a_survey_does_not_differ_from_itself(settings: dict[str, str], rows: int) -> None:
    survey = Survey(settings, (replace(ORDERS, rows=rows),))
    assert differences(survey, survey) == []


@pytest.mark.parametrize(
    ("change", "aspect", "dev", "prod"),
    [
        ({"kind": "view"}, "kind", "table", "view"),
        ({"columns": (COLUMNS[0],)}, "column", "numeric(10,2)", "no such column"),
        ({"columns": (COLUMNS[0], replace(COLUMNS[1], nullable=False))}, "column", "numeric(10,2)",
         "numeric(10,2) not null"),
        ({"columns": (replace(COLUMNS[1], position=1), replace(COLUMNS[0], position=2))}, "column", "id, total",
         "total, id"),
        ({"privileges": ("SELECT",)}, "privilege", "SELECT, INSERT", "SELECT"),
        ({"rows": 0}, "rows", "10 rows", "0 rows"),
    ],
)  # fmt: skip
def test_what_a_job_can_tell(change: dict[str, Any], aspect: str, dev: str, prod: str) -> None:
    found = _one(ORDERS, replace(ORDERS, **change))
    assert (found.aspect, found.dev, found.prod, found.matters) == (aspect, dev, prod, True)


@pytest.mark.parametrize(
    "change", [{"rows": 2000}, {"rows": 0, "exact": False}, {"newest": "2026-01-01", "newest_of": None}]
)
def test_what_no_job_fails_of(change: dict[str, Any]) -> None:
    assert not any(one.matters for one in differences(_of(ORDERS), _of(replace(ORDERS, **change))))


def test_a_count_that_is_near_is_no_difference() -> None:
    assert differences(_of(ORDERS), _of(replace(ORDERS, rows=12))) == []


def test_an_object_beyond_what_was_looked_at_is_not_missing() -> None:
    assert differences(_of(ORDERS), _of(complete=False)) == []
    assert [one.aspect for one in differences(_of(ORDERS), _of())] == ["missing"]


@pytest.mark.parametrize(
    ("name", "dev", "prod", "matters"),
    [
        ("server_version", "15.4", "15.9 (Debian)", False),
        ("server_version", "15.4", "16.1", True),
        ("version", "8.0.36", "8.0.41", False),
        ("version", "8.0.36", "8.4.0", True),
        ("version", "10.11.6-MariaDB", "10.11.6", True),
        ("TimeZone", "UTC", "Asia/Shanghai", True),
        ("max_connections", "100", "200", False),
    ],
)
def test_settings(name: str, dev: str, prod: str, matters: bool) -> None:
    (found,) = differences(_of(**{name: dev}), _of(**{name: prod}))
    assert found.matters == matters
    assert bool(found.why) == matters


def test_a_setting_that_one_server_does_not_tell_is_no_difference() -> None:
    assert differences(_of(sql_mode="ANSI"), _of()) == []


def test_entries_are_shown_and_do_not_matter() -> None:
    (found,) = entry_differences({"database": "a", "username": "app"}, {"database": "b", "username": "app"})
    assert (found.subject, found.dev, found.prod, found.matters) == ("database", "a", "b", False)


def test_addresses_are_told_as_people_write_them() -> None:
    dev = {"address": [{"host": "db-dev", "port": 5432}], "properties": {"sslmode": "require"}}
    prod = {"address": [{"host": "fd00::1", "port": 5432}, {"host": "db", "port": 5433}], "properties": {}}
    address, properties = entry_differences(dev, prod)
    assert (address.dev, address.prod) == ("db-dev:5432", "[fd00::1]:5432, db:5433")
    assert (properties.dev, properties.prod) == ("sslmode=require", "not set")


# -- why ---------------------------------------------------------------------------------------------------------------


def _verdict(env: str, cause: str | None, *, group: str = "vpc_a", component: str = "orders") -> Verdict:
    seen = {"address": "10.1.0.1" if env == "dev" else "10.2.0.1", "port": 5432}
    return Verdict(
        workspace="w", source="s", type="postgresql", env=env, resource_group=group,
        state=State.CONFIG_ERROR if cause else State.CONNECTABLE, cause=cause, component=component,
        message="It fails." if cause else "", remedy="Mend it." if cause else "",
        stages=[Stage("connect", Status.PASSED, "", 1.0, seen)], started_at="", elapsed_ms=1.0,
    )  # fmt: skip


GOOD = _verdict("dev", None)
MISSING = Object("orders", exists=False, elsewhere=("archive",))


def test_a_missing_object_is_told_with_where_it_is() -> None:
    (why,) = explanations([GOOD, _verdict("prod", "TARGET.OBJECT_MISSING")], differences(_of(ORDERS), _of(MISSING)))
    assert "table in public in dev, missing (but in archive) in prod" in why
    assert "(archive)" in why


def test_only_the_object_at_fault_explains() -> None:
    found = differences(
        _of(ORDERS, replace(ORDERS, name="lines")), _of(replace(ORDERS, privileges=()), replace(MISSING, name="lines"))
    )
    (why,) = explanations([GOOD, _verdict("prod", "PRIV.OBJECT_DENIED")], found)
    assert "lacks SELECT, INSERT on orders" in why


def test_what_only_the_good_side_lacks_explains_nothing() -> None:
    found = differences(_of(replace(ORDERS, privileges=())), _of(ORDERS))
    (why,) = explanations([GOOD, _verdict("prod", "PRIV.OBJECT_DENIED")], found)
    assert why == "prod fails with PRIV.OBJECT_DENIED: It fails. Mend it."


def test_a_failure_on_the_way_is_told_by_the_groups_and_addresses() -> None:
    verdicts = [
        GOOD,
        _verdict("dev", None, group="office"),
        _verdict("prod", "FILTER.DROP"),
        _verdict("prod", None, group="office"),
    ]
    (why,) = explanations(verdicts, [])
    assert why.startswith("prod cannot be reached from vpc_a (FILTER.DROP)")
    assert "From office it works" in why
    assert "vpc_a does reach dev at 10.1.0.1:5432, so what differs is the way to 10.2.0.1:5432" in why


def _fails_in(stage: str, verdict: Verdict, *alternatives: str) -> Verdict:
    stages = [*verdict.stages, Stage(stage, Status.FAILED, "", 1.0, {})]
    return verdict.model_copy(update={"stages": stages, "alternatives": list(alternatives)})


def test_a_server_that_refuses_one_group_was_reached_from_it() -> None:
    codes = ("ADMIT.ALLOWLIST", "AUTH.BAD_CREDENTIALS")
    refused = _fails_in("login", _verdict("prod", "INCONCLUSIVE"), *codes)
    (why,) = explanations([GOOD, _verdict("prod", None, group="office"), refused], [])
    assert why.startswith("prod refuses vpc_a the login (ADMIT.ALLOWLIST or AUTH.BAD_CREDENTIALS): It fails.")
    assert "From office it works: the server is reached from both" in why
    assert "dev at 10.1.0.1:5432 lets vpc_a in" in why
    assert "cannot be reached" not in why
    assert "network of the group" not in why


def test_a_peer_that_never_spoke_was_not_reached() -> None:
    mute = _fails_in("login", _verdict("prod", "PEER.MUTE"))
    (why,) = explanations([GOOD, mute], [])
    assert why.startswith("prod cannot be reached from vpc_a (PEER.MUTE)")


def test_both_failing_alike_is_no_difference() -> None:
    (why,) = explanations([_verdict("dev", "PORT.CLOSED"), _verdict("prod", "PORT.CLOSED")], [])
    assert why.startswith("Both environments fail with PORT.CLOSED")


def test_without_a_failure_a_job_may_trip_over_columns_first() -> None:
    found = differences(
        _of(ORDERS, TimeZone="UTC"), _of(replace(ORDERS, columns=COLUMNS[:1]), TimeZone="Asia/Shanghai")
    )
    first, second = explanations([GOOD, _verdict("prod", None)], found)
    assert first.startswith("orders.total is numeric(10,2) in dev and no such column in prod")
    assert "hours apart" in second


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.says[:40])
def test_every_reason_explains_something(reason: Any) -> None:
    code = reason.causes[0] + ("BAD_CREDENTIALS" if reason.causes[0] == "AUTH." else "")
    aspect, subject = reason.aspects[0], (reason.subjects or ("orders",))[0]
    details = (("prod_lacks", "SELECT"),) if aspect == "privilege" else ()
    one = Difference(aspect, subject, "DEV-SIDE", "missing" if aspect == "missing" else "PROD-SIDE", details=details)
    (why,) = explanations([GOOD, _verdict("prod", code, component="orders")], [one])
    assert why.startswith(("prod", "The entries differ", subject))
    assert "{" not in why
