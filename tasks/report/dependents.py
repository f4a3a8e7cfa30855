"""What hangs on data sources, as Markdown with a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from registry.dependents import Counts, Summary, risk_of
from registry.usage import MODULES
from tasks.dependents import Unread
from tasks.report import markdown
from tasks.report.flowchart import label

#: Rows that are shown of a table.
MOST = 20
_CLASSES = (
    "  classDef source fill:#ddf4ff,stroke:#0969da,color:#0a3069",
    "  classDef high fill:#ffebe9,stroke:#d1242f,color:#82071e",
    "  classDef medium fill:#fff8c5,stroke:#bf8700,color:#3b2300",
    "  classDef low fill:#f6f8fa,stroke:#9aa0a6,color:#57606a",
)


def dependents(
    workspace: str,
    summaries: Sequence[Summary],
    *,
    counts: Counts | None = None,
    unread: Sequence[Unread] = (),
) -> str:
    """The sources of a workspace with what hangs on each.

    Args:
        counts: What a scan has changed just now.
        unread: What it could not read.
    """
    lines = [f"# What hangs on the data sources of {markdown.text(workspace)}", ""]
    if counts is not None:
        lines += [_told(counts), ""]
    lines += [*_table(summaries), ""] if summaries else ["Nothing is known to use any of them.", ""]
    for one in summaries[:MOST]:
        lines += [f"## {markdown.text(one.source)}", "", f"```mermaid\n{picture(one)}\n```", ""]
    if unread:
        lines += ["## Not read, and left alone", "", *_unread(unread), ""]
    if counts is not None and counts.unresolved:
        lines += ["## Names that mean no data source", "", *_unresolved(counts), ""]
    return "\n".join(lines)


def picture(summary: Summary) -> str:
    """One source, the workspaces that use it, and their modules by risk, as a mermaid flowchart."""
    lines = ["flowchart LR", f"  source[({label(summary.source)})]", "  class source source"]
    for number, (module, count) in enumerate(summary.by_module.items()):
        told = f"{MODULES.get(module, module)}: {count}"
        lines += [f"  m{number}[{label(told)}]", f"  m{number} --> source", f"  class m{number} {risk_of(module)}"]
    home = summary.source.partition("/")[0]
    others = {name: count for name, count in summary.by_workspace.items() if name != home}
    for number, (name, count) in enumerate(others.items()):
        lines += [f"  w{number}([{label(f'shared with {name}: {count}')}])", f"  w{number} -.-> source"]
    return "\n".join([*lines, *_CLASSES])


def _told(counts: Counts) -> str:
    return (
        f"This scan: {counts.new} new, {counts.changed} changed, {counts.unchanged} as before, {counts.gone} gone, "
        f"{len(counts.unresolved)} names that mean no data source."
    )


def _table(summaries: Sequence[Summary]) -> list[str]:
    heads = ("data source", "dependents", "high risk", "modules", "sides", "workspaces", "last run", "last seen")
    rows = [
        (
            markdown.text(one.source),
            str(one.dependents),
            str(one.by_risk.get("high", 0)),
            _counted(one.by_module),
            _counted(one.by_env),
            _counted(one.by_workspace),
            markdown.minute(one.last_run_at) if one.last_run_at else "",
            markdown.minute(one.last_seen_at) if one.last_seen_at else "",
        )
        for one in summaries
    ]
    return [markdown.table(heads, rows, align="lrrlllll")]


def _counted(table: Mapping[str, int]) -> str:
    return ", ".join(f"{markdown.text(MODULES.get(name, name))} {count}" for name, count in table.items())


def _unread(unread: Sequence[Unread]) -> list[str]:
    rows = [
        (markdown.code(f"{one.place.unit} {one.place.pointer}".strip()), markdown.text(one.reason))
        for one in unread[:MOST]
    ]
    return [markdown.table(("place", "why"), rows), *_more(len(unread))]


def _unresolved(counts: Counts) -> list[str]:
    rows = [
        (markdown.text(one.name), markdown.text(one.dependent), markdown.code(f"{one.unit} {one.pointer}".strip()))
        for one in counts.unresolved[:MOST]
    ]
    return [markdown.table(("name", "dependent", "place"), rows), *_more(len(counts.unresolved))]


def _more(count: int) -> list[str]:
    return ["", f"and {count - MOST} more"] if count > MOST else []
