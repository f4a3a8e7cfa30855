"""The page of a planned deletion: what it does to whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from registry.impacts import EFFECTS, Effect
from tasks.report import markdown

#: Sources that a few lines name.
_BRIEF = 8
_HEADS = ("risk", "workspace", "module", "dependents", "what happens", "what helps")


def deletion(plan: str, document: Mapping[str, Any], *, creator: str, expires_at: datetime, why: str) -> str:
    """A stored plan of a deletion (`registry.deletion`) as Markdown.

    Args:
        plan: Its id.
        document: What the plan keeps of itself.
    """
    reason = f" Reason: {markdown.text(why)}." if why else ""
    lines = [
        f"## Deletion {markdown.code(plan)}",
        f"Planned by {markdown.text(creator)}, to be applied until {markdown.minute(expires_at)} UTC.{reason}",
    ]
    for source in document["sources"]:
        lines += _source(source, document["refused"].get(source["source"]))
    return "\n".join(lines)


def brief(document: Mapping[str, Any]) -> str:
    """A planned deletion in a few lines, for whoever is asked."""
    sources = document["sources"]
    what = f"{len(sources)} data source{'s' if len(sources) > 1 else ''}"
    lines = [f"**Delete {what}**, to be brought back within 30 days if need be.\n"]
    for one in sources[:_BRIEF]:
        envs = " and ".join(one["envs"]) or "no configuration"
        used = f"used by {one['dependents_in_all'] or 'nobody'}"
        shared = ", ".join(f"{markdown.text(grant['workspace'])}/{grant['env']}" for grant in one["shared_with"][:3])
        lines.append(f"- {markdown.text(one['source'])} ({envs}): {used}{f'; {shared} lose it' if shared else ''}")
    if len(sources) > _BRIEF:
        lines.append(f"- and {len(sources) - _BRIEF} more")
    return "\n".join(lines)


def _source(source: Mapping[str, Any], refused: str | None) -> Iterator[str]:
    yield f"\n### {markdown.text(source['source'])}: {' and '.join(source['envs']) or 'no configuration'}\n"
    if refused:
        yield f"**Refused as it stands**: {markdown.text(refused)}\n"
    yield from (f"- {text}" for text in source["consequences"])
    for grant in source["shared_with"]:
        whom = f"{markdown.text(grant['user'])} in " if grant["user"] else ""
        yield f"- {whom}{markdown.text(grant['workspace'])}/{grant['env']} loses it"
    if source["modules"]:
        rows = [
            (
                row["risk"],
                markdown.text(row["workspace"]),
                row["module"],
                str(row["dependents"]),
                EFFECTS[Effect(row["effect"])],
                row["remedy"],
            )
            for row in source["modules"]
        ]
        yield "\n" + markdown.table(_HEADS, rows, align="lllrll")
    named = [f"{markdown.text(one['name'])} ({markdown.text(one['workspace'])})" for one in source["dependents"]]
    if named:
        left = source["dependents_in_all"] - len(named)
        yield f"\nDependents: {', '.join(named)}{f', and {left} more' if left else ''}"
