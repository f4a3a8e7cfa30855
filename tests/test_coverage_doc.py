"""The page of coverage keeps its word: every row is there once, and every test that it names exists."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from scripts.generate_coverage_doc import PAGE, STATUSES, load, markdown

TESTS = Path(__file__).parent
DATA = load()
ENTRIES = [(part, row) for part in ("rows", "traps") for row in DATA[part]]


@cache
def _tests_of(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


def _named(entry: tuple[str, dict[str, Any]]) -> str:
    return f"{entry[0]}-{entry[1]['row']}"


def test_every_row_stands_there_once_and_in_order() -> None:
    assert [row["row"] for row in DATA["rows"]] == [*range(1, 113)]
    assert [row["row"] for row in DATA["traps"]] == [*range(1, 15)]


@pytest.mark.parametrize("entry", ENTRIES, ids=_named)
def test_every_test_that_is_named_exists(entry: tuple[str, dict[str, Any]]) -> None:
    for named in entry[1].get("tests", ()):
        file, _, name = named.partition("::")
        name, _, scenario = name.rstrip("]").partition("[")
        assert name.startswith("test_")
        assert name in _tests_of(file), named
        assert not scenario or (TESTS / "lab" / "scenarios" / f"{scenario}.yaml").is_file(), named


@pytest.mark.parametrize("entry", ENTRIES, ids=_named)
def test_what_is_said_fits_the_status(entry: tuple[str, dict[str, Any]]) -> None:
    row = entry[1]
    assert row["status"] in STATUSES
    assert set(row) <= {"row", "feature", "status", "by", "tests", "missing"}
    assert bool(row.get("tests")) == bool(row.get("by")) == (row["status"] != "not yet")
    assert ("missing" in row) == (row["status"] != "done")


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run scripts/generate_coverage_doc.py"
