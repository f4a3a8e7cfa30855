"""The page of what hangs on data sources: numbers, a picture by risk, and what was left alone."""

from __future__ import annotations

from datetime import UTC, datetime

from registry.dependents import Counts, Summary, Unresolved
from tasks import report
from tasks.dependents import Place, Unread
from tasks.report.dependents import MOST, picture

SUMMARY = Summary(
    "retail/orders",
    dependents=4,
    references=5,
    by_module={"data_studio": 3, "data_quality": 1},
    by_env={"prod": 4},
    by_workspace={"retail": 3, "finance": 1},
    by_risk={"high": 3, "medium": 1},
    last_run_at=datetime(2026, 5, 4, 3, 2, tzinfo=UTC),
)


def test_the_picture_has_the_modules_by_risk_and_other_workspaces() -> None:
    drawn = picture(SUMMARY).splitlines()
    assert '  m0["Data Studio: 3"]' in drawn
    assert "  class m0 high" in drawn
    assert "  class m1 medium" in drawn
    assert '  w0(["shared with finance: 1"])' in drawn
    assert not any("shared with retail" in line for line in drawn)


def test_the_page_tells_what_was_left_alone_and_makes_no_markup_of_it() -> None:
    counts = Counts(new=2, unresolved=(Unresolved("no<b>where", "job", "/a.json", "/spec"),))
    unread = [Unread(Place(f"/{number}.json", "1:2"), "it is no JSON") for number in range(MOST + 3)]
    page = report.dependents("retail", [SUMMARY], counts=counts, unread=unread)
    assert "| retail/orders | 4 | 3 | Data Studio 3, Data Quality 1 | prod 4 |" in page
    assert "no\\<b\\>where" in page
    assert "and 3 more" in page
    assert "2 new" in page


def test_a_workspace_that_nothing_uses_is_told_so() -> None:
    assert "Nothing is known to use any of them." in report.dependents("retail", [])
