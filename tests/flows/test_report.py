"""Reports are pure: verdicts in, markdown out."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.verdict import STAGES, Owner, Stage, State, Status, Verdict, Warning
from registry.verdicts import Standing
from tasks import report

NOW = "2026-11-21T06:00:00.000Z"
WHEN = datetime(2026, 11, 21, 6, tzinfo=UTC)


def verdict(source: str = "orders", failed: str = "", **changes: Any) -> Verdict:
    """A verdict whose check ended at the stage `failed`; without one it is Connectable."""
    stages = []
    for name in STAGES:
        reached = not failed or STAGES.index(name) <= STAGES.index(failed)
        status = Status.FAILED if name == failed else Status.PASSED if reached else Status.SKIPPED
        stages.append(Stage(name=name, status=status, started_at=NOW, elapsed_ms=1.25, evidence={}))
    ill = {
        "state": State.UNREACHABLE,
        "cause": "PORT.CLOSED",
        "component": "db:5432",
        "message": "No program listens.",
        "remedy": "Start it.",
        "owner": Owner.DBA,
    }
    fields = {"state": State.CONNECTABLE, **(ill if failed else {}), "stages": stages, **changes}
    place = {"workspace": "retail", "source": source, "type": "postgresql", "env": "prod", "resource_group": "local"}
    return Verdict(**{**place, "started_at": NOW, "elapsed_ms": 12.5, **fields})


def test_the_broken_hop_is_marked_and_what_lies_beyond_is_not_claimed() -> None:
    drawn = report.path(verdict(failed="login"))
    assert '-. "✖ login: PORT.CLOSED" .-> login' in drawn
    assert "class login broken" in drawn
    assert "class target beyond" in drawn
    assert "privilege" not in drawn
    well = report.path(verdict())
    assert "broken\n" not in well.replace("classDef broken", "")
    assert "✖" not in well


def test_a_diagnosis_tells_cause_remedy_owner_stages_and_warnings() -> None:
    told = report.diagnosis(
        verdict(
            failed="connect",
            cause="INCONCLUSIVE",
            alternatives=["PORT.CLOSED", "FILTER.REJECT"],
            warnings=[Warning(code="LATENCY.HIGH", message="slow")],
        )
    )
    assert "`INCONCLUSIVE`: `PORT.CLOSED` or `FILTER.REJECT`" in told
    assert "**What to do** (the DBA): Start it." in told
    assert "| connect | ❌\u00a0**failed** | 1.2 |" in told
    assert "- `LATENCY.HIGH` slow" in told


@given(st.text(max_size=80))
def test_what_a_peer_says_never_becomes_markup(said: str) -> None:
    one = verdict(failed="connect", message=said, remedy=said, component=said)
    one.stages[5].evidence["server_message"] = said
    told = report.diagnosis(one)
    rows = [line for line in told.splitlines() if line.startswith("|")]
    for row in rows:
        bars = len(re.findall(r"(?<!\\)\|", row))
        assert bars in (3, 5), "a cell's text opens no other cell"
    outside_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", told.replace("\\`", ""))
    assert not re.search(r"(?<!\\)<[a-zA-Z/!]", outside_code), "no element of HTML"


@given(st.text(max_size=80))
def test_what_a_peer_says_never_becomes_a_drawing(said: str) -> None:
    one = verdict(failed="target")
    one.stages[3].evidence["addresses"] = [said]
    label = next(line for line in report.path(one).splitlines() if line.startswith("  resolve["))
    inner = label.removeprefix('  resolve["').removesuffix('"]')
    assert set(re.sub(r"#\d+;", "", inner)) <= {char for char in inner if char.isalnum()} | set(" .:,_-/@✖•…")
    assert "\n" not in inner


def test_the_line_of_a_state_can_be_read_back() -> None:
    many = [verdict(f"s{number}", failed="connect") for number in range(7)]
    line = report.tally([*many, verdict()])
    assert line.endswith("and 2 more")
    assert report.counted(line) == (7, 8)
    assert report.counted(report.tally([verdict()])) == (0, 1)
    assert report.counted("something else") is None
    assert report.counted(None) is None


def test_keys_are_prefects_and_names_that_look_alike_stay_apart() -> None:
    assert report.key("connectivity", "retail", "orders") == "connectivity-retail-orders"
    keys = {report.key("c", *names) for names in (("a", "b_c"), ("a_b", "c"), ("A", "b_c"), ("a", "b-c"))}
    assert len(keys) == 4
    assert all(re.fullmatch(r"[a-z0-9-]+", key) for key in keys)


def test_ten_thousand_sick_sources_stay_below_the_limit_and_it_says_what_is_left_out() -> None:
    long = "x" * 900
    ill = [verdict(f"source_{number}", failed="connect", remedy=long, message=long) for number in range(10_000)]
    for one in ill[: report.DETAILS]:
        one.stages[5].evidence["banner"] = ["y" * 250] * 200
    for told in (report.several(ill, seconds=1), report.health(ill, seconds=1, previous=WHEN)):
        assert len(told.encode()) < 1_000_000
        assert re.search(r"\d+ more are (left out|not shown)", told)


def test_a_large_fleet_shows_the_sick_and_counts_the_rest() -> None:
    fleet = [verdict(f"well_{number}") for number in range(1000)] + [verdict("ill", failed="connect")]
    told = report.health(fleet, seconds=2)
    matrix = told.partition("## Every data source")[2]
    assert "| retail/ill | 🔴 `PORT.CLOSED` |" in matrix
    assert "well" not in matrix
    assert "1000 of 1001 data sources are all Connectable" in matrix


def test_health_tells_since_when_and_what_changed() -> None:
    place = ("retail", "orders", "prod", "local")
    now = Standing(*place, State.UNREACHABLE, "PORT.CLOSED", WHEN, before=(State.CONNECTABLE, None))
    told = report.health([verdict(failed="connect")], seconds=1, changes=[now], standings=[now], previous=WHEN)
    since = "2026\u201111\u201121\u00a006:00"
    assert f"| retail/orders | prod | local | 🟢 Connectable | 🔴 `PORT.CLOSED` | {since} |" in told
    assert f"| retail/orders | prod | local | {since} | `PORT.CLOSED` | Start it. |" in told
    assert "This is the first run." in report.health([verdict()], seconds=1)


@pytest.mark.parametrize("count", [2, 96])
def test_the_trend_is_a_picture_in_the_markdown(count: int) -> None:
    points = [report.Point(WHEN + timedelta(minutes=15 * number), number % 3, 40) for number in range(count)]
    told = report.health([verdict()], seconds=1, trend=points, previous=WHEN)
    (picture,) = re.findall(r"\(data:image/svg\+xml;base64,([^)]+)\)", told)
    assert base64.b64decode(picture).decode().count("<rect ") == count
