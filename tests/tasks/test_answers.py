"""Every row of a database protocol's table can be the first to fit: none is shadowed by one before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from registry.verdict import INCONCLUSIVE, STAGES
from tasks import causes
from tasks.evidence import matches
from tasks.protocols import Answer, load
from tasks.protocols.advertised import ADVERTISED_ANSWERS

PROTOCOLS = ("sqlserver", "oracle", "mongodb", "db2", "saphana", "vertica", "graph_database")
ROWS = [(name, row) for name in PROTOCOLS for row in load(name).answers if row not in ADVERTISED_ANSWERS]
NAMES = [f"{name}-{number}-{row.code}" for number, (name, row) in enumerate(ROWS)]
#: What predicates over evidence accept, one after the other.
CANDIDATES = ((4413,), 7, "words", True, None)


def examples(when: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Evidence that fits: each value of a set once."""
    found: list[dict[str, Any]] = [{}]
    for key, wanted in when.items():
        if callable(wanted):
            values = [next(value for value in CANDIDATES if wanted(value))]
        else:
            values = sorted(wanted, key=str) if isinstance(wanted, frozenset) else [wanted]
        found = [{**one, key: value} for one in found for value in values]
    return found


@pytest.mark.parametrize(("name", "row"), ROWS, ids=NAMES)
def test_no_row_is_shadowed(name: str, row: Answer) -> None:
    answers = load(name).answers
    stages = STAGES if row.stage is None else (row.stage,)
    firsts = [
        next(one for one in answers if one.stage in (None, stage) and matches(evidence, one.when))
        for evidence in examples(row.when)
        for stage in stages
    ]
    assert row in firsts


@pytest.mark.parametrize("name", PROTOCOLS)
def test_codes_and_stages_are_known(name: str) -> None:
    for row in load(name).answers:
        assert row.code in causes.catalogue()
        assert row.stage in (None, *STAGES)
        assert bool(row.alternatives) == (row.code == INCONCLUSIVE)
