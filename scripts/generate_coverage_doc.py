"""Writes docs/coverage.md from docs/coverage.yaml: which rule of the documents is kept, by what, and what proves it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parent.parent / "docs"
PAGE, DATA = DOCS / "coverage.md", DOCS / "coverage.yaml"

STATUSES = ("done", "in part", "not yet")

_INTRODUCTION = """\
# Coverage

Made by `scripts/generate_coverage_doc.py` from `docs/coverage.yaml`; do not edit it by hand.

Headwater follows DataWorks' data sources. What its pages on data source management and on development with MaxCompute
promise, and what its OpenAPI adds, was drawn up as a list of 112 features; this page says of each of them whether it
is here, what does it, and which tests prove it. *Done* means that a test asserts it. Of what is *in part* or *not yet*
here, it says what is missing.

Tests are named by their file below `tests/`; in square brackets stands the scenario of the lab.
"""


def load() -> dict[str, list[dict[str, Any]]]:
    """The data: `rows` and `traps`, each a list of entries."""
    found: dict[str, list[dict[str, Any]]] = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    return found


def markdown() -> str:
    """The page."""
    data = load()
    return "\n".join(
        [
            _INTRODUCTION,
            _counts(data["rows"]),
            "",
            "## The features\n",
            *_table(data["rows"]),
            "\n## Traps\n",
            "What is easily got wrong about them, and is proved as well.\n",
            *_table(data["traps"]),
            "",
        ]
    )


def _counts(rows: Sequence[Mapping[str, Any]]) -> str:
    counted = Counter(row["status"] for row in rows)
    return f"Of {len(rows)} features " + ", ".join(f"{counted[status]} are {status}" for status in STATUSES) + "."


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| # | feature | | by | proved by |"
    yield "|---|---|---|---|---|"
    for row in rows:
        missing = f": {row['missing']}" if "missing" in row else ""
        tests = "<br>".join(f"`{test}`" for test in row.get("tests", ()))
        cells = (str(row["row"]), row["feature"], f"**{row['status']}**{missing}", row.get("by", ""), tests)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")
    print(f"wrote {PAGE}")
