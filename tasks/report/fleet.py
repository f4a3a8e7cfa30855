"""The health of every data source: who is sick since when, what changed, and the matrix."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from registry.verdict import State, Verdict
from registry.verdicts import Standing
from tasks.report import markdown
from tasks.report.limits import ROWS, bounded, more
from tasks.report.summary import MARKS, heading, place, sick, source_name
from tasks.report.trend import Point, picture

#: A health matrix with more rows than these shows what is sick, and counts the rest.
_MATRIX = 200


def health(
    verdicts: Sequence[Verdict],
    *,
    seconds: float,
    changes: Sequence[Standing] = (),
    standings: Sequence[Standing] = (),
    previous: datetime | None = None,
    trend: Sequence[Point] = (),
) -> str:
    """All data sources at a glance: who is sick since when, what changed, and the matrix.

    Args:
        changes: What stands otherwise than after the run before.
        standings: What is sick, and since when.
        previous: When the run before ended; None where there was none.
        trend: The rounds before this one, oldest first.
    """
    ill = sick(verdicts)
    since = {(one.workspace, one.source, one.env, one.resource_group): one.since for one in standings}
    parts = [
        *heading("Health of the data sources", verdicts, seconds),
        picture(trend),
        _changed(changes, previous),
        _causes(ill),
        _sick_since(ill, since),
        _matrix(verdicts),
    ]
    told = [part for part in parts if part]
    return "\n\n".join(bounded(told, len(told)))


def _changed(changes: Sequence[Standing], previous: datetime | None) -> str:
    heading = "## Changes since the last run" + (f" ({markdown.moment(previous.isoformat())})" if previous else "")
    if not changes:
        return f"{heading}\n\n" + ("Nothing changed." if previous else "This is the first run.")
    rows = [
        (
            markdown.text(f"{one.workspace}/{one.source}"),
            one.env,
            markdown.text(one.resource_group),
            _was(one.before),
            _was((one.state, one.cause)),
            markdown.minute(one.since),
        )
        for one in changes[:ROWS]
    ]
    table = markdown.table(("data source", "env", "from", "was", "is", "since (UTC)"), rows)
    return f"{heading}\n\n{table}" + more(len(changes) - ROWS)


def _was(standing: tuple[State, str | None] | None) -> str:
    if standing is None:
        return "not checked"
    state, cause = standing
    return f"{MARKS[state]} {markdown.code(cause) if cause else state}"


def _causes(ill: Sequence[Verdict]) -> str:
    if not ill:
        return ""
    counts = Counter((one.cause or "", str(one.state), str(one.owner)) for one in ill)
    rows = [(markdown.code(cause), state, owner, str(count)) for (cause, state, owner), count in counts.most_common()]
    return "## Causes\n\n" + markdown.table(("cause", "state", "who can fix it", "checks"), rows, align="lllr")


def _sick_since(ill: Sequence[Verdict], since: Mapping[tuple[str, str, str, str], datetime]) -> str:
    if not ill:
        return ""
    rows = [
        (
            markdown.text(source_name(one)),
            one.env,
            markdown.text(one.resource_group),
            markdown.minute(since[found]) if (found := place(one)) in since else "",
            markdown.code(one.cause or ""),
            markdown.text(markdown.cut(one.remedy, 300)),
        )
        for one in ill[:ROWS]
    ]
    table = markdown.table(("data source", "env", "from", "since (UTC)", "cause", "what to do"), rows)
    return f"## Sick\n\n{table}" + more(len(ill) - ROWS)


def _matrix(verdicts: Sequence[Verdict]) -> str:
    cells: defaultdict[str, dict[tuple[str, str], Verdict]] = defaultdict(dict)
    for one in verdicts:
        cells[source_name(one)][one.env, one.resource_group] = one
    columns = sorted({column for row in cells.values() for column in row})
    shown, note = sorted(cells), ""
    if len(shown) > _MATRIX:
        ill = [name for name in shown if any(not one.connectable for one in cells[name].values())]
        note = f"\n\n{len(shown) - len(ill)} of {len(shown)} data sources are all Connectable and not shown." + more(
            len(ill) - ROWS
        )
        shown = ill[:ROWS]
    rows = [(markdown.text(name), *(_cell(cells[name].get(column)) for column in columns)) for name in shown]
    heads = ("data source", *(f"{env} from {markdown.text(group)}" for env, group in columns))
    return "## Every data source\n\n" + markdown.table(heads, rows) + note if rows else f"## Every data source{note}"


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    return f"{MARKS[verdict.state]} {markdown.code(verdict.cause) if verdict.cause else ''}".rstrip()
