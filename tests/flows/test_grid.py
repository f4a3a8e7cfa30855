"""Tables on terminals of 60 columns and of 200: no short word is broken, and nothing is left out."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from flows.grid import Grid
from flows.present import table
from registry.verdict import Owner, State, Verdict

WIDTHS = (60, 80, 120, 200)
HEADS = ("dependent", "module", "side", "role", "workspace", "owner", "risk", "last run", "last seen", "where")
DEPENDENTS = [
    (
        f"daily_report_{number}",
        "data_integration",
        "prod",
        "reader" if number % 2 else "writer",
        "shop",
        "alice",
        "high" if number % 3 else "low",
        "never",
        "2026-11-21 17:04",
        f"/srv/checkouts/reports/specs/daily/nodes/{number}/node.json",
    )
    for number in range(6)
]


def verdict(source: str, group: str, **changes: object) -> Verdict:
    """One that failed."""
    fields = {
        "workspace": "jobs",
        "source": source,
        "type": "postgresql",
        "env": "prod",
        "resource_group": group,
        "state": State.UNREACHABLE,
        "cause": "SERVER.MAINTENANCE",
        "component": "orders-db.lab.test:5432",
        "message": "No program listens on port 5432 of orders-db.lab.test, and one did until yesterday.",
        "remedy": "Start the server, or correct the port of the data source.",
        "owner": Owner.DBA,
        "stages": [],
        "started_at": "2026-11-21T06:00:00.000Z",
        "elapsed_ms": 12.5,
    }
    return Verdict.model_validate(fields | changes)


def drawn(grid: object, width: int) -> str:
    """What a terminal of this width shows."""
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(grid)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def grid_of(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Grid:
    """Rows of plain text."""
    return Grid(heads, [[*map(Text, row)] for row in rows])


def words_of(told: str) -> set[str]:
    """Whole words, without the lines of a table."""
    return set(re.sub("[│┃,]", " ", told).split())


def glued(told: str) -> str:
    """Every character of text."""
    return re.sub(r"[\s│┃┏┓└┘├┤━─┡┩╇┴┼┳]", "", told)


@pytest.mark.parametrize("width", WIDTHS)
def test_what_hangs_on_a_source_can_be_read_at_any_width(width: int) -> None:
    told = drawn(grid_of(HEADS, DEPENDENTS), width)
    assert max(map(cell_len, told.splitlines())) <= width
    short = {word for row in DEPENDENTS for cell in row[:-1] for word in cell.split()}
    assert short <= words_of(told)
    assert re.search("2026-11-21 17:04", told), "a date is on one line"
    assert all(row[-1] in glued(told) for row in DEPENDENTS), "a long path folds, and is whole"
    assert told.count("shop") == (1 if "the same in every row" in told else len(DEPENDENTS))


@pytest.mark.parametrize("width", WIDTHS)
def test_verdicts_of_two_groups_can_be_read_at_any_width(width: int) -> None:
    ill = [verdict("orders", "office"), verdict("orders", "jobs"), verdict("stock", "jobs", cause="PORT.CLOSED")]
    well = verdict("items", "office", state=State.CONNECTABLE, cause=None, message="", remedy="")
    told = drawn(table([*ill, well]), width)
    assert max(map(cell_len, told.splitlines())) <= width
    whole = {"jobs/orders", "jobs/stock", "jobs/items", "office", "jobs", "prod", "Unreachable", "Connectable"}
    assert whole | {"SERVER.MAINTENANCE", "PORT.CLOSED", "12"} <= words_of(told)
    assert words_of(f"{ill[0].cause} {ill[0].message} -> {ill[0].remedy}") <= words_of(told)


def test_the_form_follows_the_width() -> None:
    grid = grid_of(HEADS, DEPENDENTS)
    wide, middle, narrow = (drawn(grid, width) for width in (200, 120, 60))
    assert wide.startswith("┏")
    assert len(wide.splitlines()) == len(DEPENDENTS) + 4, "nothing folds where there is room"
    assert middle.startswith("the same in every row: module data_integration, side prod, workspace shop, owner alice")
    assert "\n┏" in middle
    assert "│" not in narrow
    assert narrow.startswith("the same in every row: module data_integration, side prod,")
    assert re.search(r"\n\ndependent +daily_report_0\nrole +writer\nrisk +low\nwhere +/srv", narrow)


def test_one_row_keeps_all_its_columns() -> None:
    told = drawn(grid_of(HEADS, DEPENDENTS[:1]), 60)
    assert "the same" not in told
    assert re.search(r"^workspace +shop$", told, re.MULTILINE)


def test_counts_stand_below_each_other_at_their_end() -> None:
    told = drawn(grid_of(("risk", "dependents"), [("high", "7"), ("none", ""), ("low", "1234")]), 80)
    assert "          7 │" in told
    assert "       1234 │" in told


def test_names_in_brackets_are_no_markup() -> None:
    assert all("[bold]orders" in drawn(grid_of(("n",), [("[bold]orders",)]), width) for width in (15, 80))


_CELL = st.text("abc é数", max_size=40)
_ROWS = st.integers(1, 6).flatmap(lambda count: st.lists(st.tuples(*[_CELL] * count), max_size=4))


@settings(max_examples=60, deadline=None)
@given(rows=_ROWS, width=st.integers(24, 140))
def test_nothing_is_lost_and_nothing_sticks_out(rows: list[tuple[str, ...]], width: int) -> None:
    heads = [f"head {number}" for number in range(len(rows[0]) if rows else 3)]
    told = drawn(grid_of(heads, rows), width)
    assert max(map(cell_len, told.splitlines()), default=0) <= width
    for cell in {cell for row in rows for cell in row}:
        assert all(told.count(letter) for letter in set(cell.strip()) - {" "})
        assert {word for word in cell.split() if cell_len(word) <= 10} <= words_of(told)
