"""The verdicts of one run: a table of them all, and the sick ones in detail."""

from __future__ import annotations

import html
from collections.abc import Sequence

from registry.verdict import Verdict
from tasks.report import markdown
from tasks.report.flowchart import drawing
from tasks.report.limits import DETAILS, DRAWN, ROWS, bounded, size
from tasks.report.single import facts, finding, stages
from tasks.report.summary import MARKS, heading, place, source_name


def several(verdicts: Sequence[Verdict], *, seconds: float, title: str = "Connectivity") -> str:
    """Many verdicts: a table of them, the sick ones first, each of these in detail."""
    ordered = sorted(verdicts, key=lambda one: (one.connectable, place(one)))
    ill = [one for one in ordered if not one.connectable]
    parts = [
        *heading(markdown.text(title), verdicts, seconds),
        _overview(ordered[:ROWS], len(ordered) > ROWS and f"{len(ordered) - ROWS} more are not shown."),
    ]
    if ill:
        folded = (_folded(one, drawn=len(ill) <= DRAWN) for one in ill[:DETAILS])
        parts += ["## In detail", *bounded(folded, len(ill), used=size(parts))]
    return "\n\n".join(parts)


def _overview(verdicts: Sequence[Verdict], note: str | bool) -> str:
    rows = [
        (
            markdown.text(source_name(one)),
            one.env,
            markdown.text(one.resource_group),
            f"{MARKS[one.state]}\u00a0{one.state}",
            markdown.code(one.cause) if one.cause else "",
            markdown.text(markdown.cut(one.remedy, 300)),
            markdown.ms(one.elapsed_ms),
        )
        for one in verdicts
    ]
    table = markdown.table(("data source", "env", "from", "state", "cause", "what to do", "ms"), rows, align="llllllr")
    return f"{table}\n\n{note}" if note else table


def _folded(verdict: Verdict, *, drawn: bool) -> str:
    title = (
        f"{MARKS[verdict.state]} {source_name(verdict)} · {verdict.env} from {verdict.resource_group}: {verdict.cause}"
    )
    parts = [finding(verdict), facts(verdict), *([drawing(verdict)] if drawn else []), stages(verdict)]
    body = "\n\n".join(parts)
    return f"<details>\n<summary>{html.escape(title)}</summary>\n\n{body}\n\n</details>"
