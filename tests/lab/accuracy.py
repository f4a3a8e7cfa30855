"""docs/accuracy.md: what every scenario should come to and came to, from every kind of vantage, and over time."""

from __future__ import annotations

import datetime as dt
import re
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from registry.verdict import INCONCLUSIVE, Verdict
from tests.lab.passing import Outcome, differences
from tests.lab.scenario import KINDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "accuracy.md"

#: How a check can end. The last two are counted beside each other: a verdict can be right and late.
NAMED, TWO_FOLD, WRONG, FALSE_GREEN = "named", "two-fold", "wrong", "false green"

_INTRODUCTION = """# Accuracy

What Headwater said about every scenario of `tests/lab/scenarios`, each a real fault in front of a real server or the
want of one, from each kind of vantage that it can be seen from: **local** on the spot, **ssh** through an SSH server
there, **worker** by a Prefect worker there. Made by the lab: `HEADWATER_WRITE_MATRIX=1 scripts/test`.

- *named*: the one cause that was made, or nothing wrong where nothing was broken, with the right thing at fault.
- *two-fold*: the evidence cannot part two or more causes; the verdict names them all, and what would decide.
- *wrong*: anything else. *False green*: connectable, and it is not. *Late*: beyond the deadline of the check or the
  time that the scenario allows.
"""
_SECTIONS = ("totals", "families", "rules", "history", "scenarios")
_HISTORY = ("date", "after commit", "scenarios", "checks", "named", "two-fold", "wrong", "false green", "late")


@dataclass(frozen=True)
class Result:
    """How one check ended. `seconds` is its time."""

    outcome: Outcome
    ending: str

    @property
    def seconds(self) -> float:
        return self.outcome.seconds

    @property
    def late(self) -> bool:
        return self.outcome.late


def result(outcome: Outcome) -> Result:
    """How a check ended."""
    verdict, expected = outcome.verdict, outcome.expected
    if verdict is None:
        return Result(outcome, WRONG)
    if verdict.connectable and expected.code is not None and not expected.may_pass:
        return Result(outcome, FALSE_GREEN)
    if differences(verdict, expected):
        return Result(outcome, WRONG)
    return Result(outcome, TWO_FOLD if verdict.cause == INCONCLUSIVE else NAMED)


def write(outcomes: Iterable[Outcome], page: Path = PAGE) -> None:
    """Rewrite what the page tells of scenarios, and add a line to its history; the rest stays as it is."""
    results = [result(outcome) for outcome in outcomes]
    kinds = {kind: [one for one in results if one.outcome.kind == kind] for kind in KINDS}
    families = {
        family: list(found)
        for family, found in groupby(
            sorted(results, key=lambda one: one.outcome.scenario.family), key=lambda one: one.outcome.scenario.family
        )
    }
    scenarios = len({one.outcome.scenario.name for one in results})
    head = f"{scenarios} scenarios, {len(results)} checks.\n"
    put(page, "totals", "## Totals\n\n" + head + "\n" + _counts("from", {**kinds, "all": results}))
    put(page, "families", "## By family\n\n" + _counts("family", families))
    put(page, "history", _history(page, results, scenarios))
    put(page, "scenarios", "## Scenarios\n\n" + _rows(results))


def put(page: Path, section: str, text: str) -> None:
    """Replace a section of the page, or add it where it belongs."""
    known = {name: body for name, body in _known(page).items() if name != section} | {section: text.strip()}
    parts = [f"<!-- {name} -->\n\n{known[name]}\n" for name in _SECTIONS if name in known]
    page.write_text("\n".join([_INTRODUCTION, *parts]))


def totals(page: Path = PAGE) -> Mapping[str, int]:
    """The last line of the page's history as numbers, by the heading."""
    last = _known(page)["history"].splitlines()[-1]
    cells = [cell.strip() for cell in last.strip("|").split("|")]
    return {name: int(cell) for name, cell in zip(_HISTORY[2:], cells[2:], strict=True)}


def _known(page: Path) -> dict[str, str]:
    text = page.read_text() if page.exists() else ""
    found = re.split(rf"<!-- ({'|'.join(_SECTIONS)}) -->\n", text)
    return {name: body.strip() for name, body in zip(found[1::2], found[2::2], strict=True)}


def table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _counts(what: str, groups: Mapping[str, Sequence[Result]]) -> str:
    heading = (what, "checks", NAMED, TWO_FOLD, WRONG, FALSE_GREEN, "late", "median", "slowest")
    rows = [(name, len(found), *_numbers(found), *_times(found)) for name, found in groups.items() if found]
    return table(heading, rows)


def _numbers(results: Sequence[Result]) -> tuple[int, ...]:
    endings = [one.ending for one in results]
    return *(endings.count(ending) for ending in (NAMED, TWO_FOLD, WRONG, FALSE_GREEN)), sum(x.late for x in results)


def _times(results: Sequence[Result]) -> tuple[str, str]:
    seconds = [one.seconds for one in results]
    return f"{statistics.median(seconds):.2f} s", f"{max(seconds):.2f} s"


def _history(page: Path, results: Sequence[Result], scenarios: int) -> str:
    told = [line for line in _known(page).get("history", "").splitlines() if line.startswith("| 2")]
    today, commit = dt.datetime.now(dt.UTC).date().isoformat(), _commit()
    kept = [line for line in told if not line.startswith(f"| {today} | {commit} |")]
    row = (today, commit, scenarios, len(results), *_numbers(results))
    lines = table(_HISTORY, [row]).splitlines()
    return "## Over time\n\n" + "\n".join([*lines[:2], *kept, lines[2]]) + "\n"


def _commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return asked.stdout.strip() or "?"


def _rows(results: Sequence[Result]) -> str:
    """A line for each scenario, language and vantage, with a column for each kind."""

    def place(one: Result) -> tuple[str, str, str]:
        return one.outcome.scenario.name, one.outcome.language, one.outcome.vantage

    lines = []
    for (name, language, vantage), found in groupby(sorted(results, key=place), key=place):
        kinds = {one.outcome.kind: one for one in found}
        first = next(iter(kinds.values())).outcome
        spoken = language[:2] if len(first.scenario.languages) > 1 else ""
        cells = [_cell(kinds[kind]) if kind in kinds else first.scenario.left_out.get(kind, "") for kind in KINDS]
        lines.append(
            (name, first.scenario.title, vantage, spoken, _code(first.scenario.expected(vantage, "local")), *cells)
        )
    return table(("scenario", "what is so", "from", "language", "expected", *KINDS), lines)


def _cell(one: Result) -> str:
    said = one.ending
    wanted = one.outcome.scenario.expected(one.outcome.vantage, "local")
    if one.outcome.verdict is not None and (
        one.ending in (WRONG, FALSE_GREEN) or _code(one.outcome.verdict) != _code(wanted)
    ):
        said += f": {_code(one.outcome.verdict)}"
    return f"{said}, {one.seconds:.2f} s" + (" LATE" if one.late else "")


def _code(said: object) -> str:
    """The cause of a verdict or of what is expected, with its alternatives."""
    code = said.cause if isinstance(said, Verdict) else getattr(said, "code", None)
    if code == INCONCLUSIVE:
        return " or ".join(sorted(getattr(said, "alternatives", ())))
    return code or "-"
