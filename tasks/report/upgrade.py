"""The pages of an upgrade: what is planned, and how far dev and prod have drifted apart after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from registry.upgrade_plan import MEANING, Fate
from tasks.report import markdown

if TYPE_CHECKING:
    from tasks.drift import Drift

#: Rows of a table; a page is for reading.
_MOST = 200


def upgrade(
    plan: str,
    workspace: str,
    document: Mapping[str, Any],
    actions: Sequence[Mapping[str, Any]],
    *,
    creator: str,
    expires_at: datetime,
    why: str,
) -> str:
    """A stored plan of an upgrade (`registry.upgrade`) as Markdown.

    Args:
        actions: The steps of the plan, one a data source.
    """
    reason = f" Reason: {markdown.text(why)}." if why else ""
    lines = [
        f"## Upgrade of {markdown.text(workspace)} to standard mode, plan {markdown.code(plan)}",
        f"Planned by {markdown.text(creator)}, to be applied until {markdown.minute(expires_at)} UTC.{reason}",
        "\n**Irreversible** once anything is changed in the standard workspace; until then "
        f"`headwater workspace upgrade {markdown.text(workspace)} --undo` takes it back.\n",
        *_blocks(document["blocks"]),
        *(f"- {count} x {MEANING[Fate(fate)]}" for fate, count in document["sources"].items()),
        *_sources(actions),
        *_members(document["members"]),
        *_tasks(document),
    ]
    return "\n".join(lines)


def brief(workspace: str, document: Mapping[str, Any]) -> str:
    """A planned upgrade in a few lines, for whoever is asked."""
    lose = sum(1 for one in document["members"] if one["loses"])
    return "\n".join(
        (
            f"**Upgrade {markdown.text(workspace)} to standard mode**; irreversible once anything is changed in it.\n",
            *(f"- data sources: {count} x {MEANING[Fate(fate)]}" for fate, count in document["sources"].items()),
            f"- members: {len(document['members'])}, of whom {lose or 'none'} lose what they may do",
            f"- tasks that need submit and deploy from now on: {len(document['tasks'])}",
        )
    )


def _blocks(stuck: Sequence[Mapping[str, str]]) -> Iterator[str]:
    if stuck:
        rows = [(markdown.text(one["where"]), markdown.text(one["why"]), markdown.text(one["remedy"])) for one in stuck]
        yield (
            "\n### In the way\n\n" + markdown.table(("where", "what", "what helps"), rows[:_MOST]) + _left(rows) + "\n"
        )


def _sources(actions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    rows = [
        (
            markdown.text(one["source"]),
            one["type"],
            "not isolated" if one["shares_target"] else "",
            markdown.text("; ".join(one["notes"][:1])),
        )
        for one in actions
    ]
    if rows:
        yield (
            "\n### Data sources\n\n"
            + markdown.table(("name", "type", "dev", "what happens"), rows[:_MOST])
            + _left(rows)
        )


def _members(members: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    rows = [
        (
            markdown.text(one["user"]),
            ", ".join(one["roles"]) + (f" ({', '.join(lake)})" if (lake := one.get("in_maxcompute")) else ""),
            one["loses"] or "nothing",
            "yes" if one["deploys"] else "",
        )
        for one in members
    ]
    heads = ("member", "keeps in development", "loses", "may deploy")
    yield "\n### Members\n\n" + markdown.table(heads, rows[:_MOST]) + _left(rows)


def _tasks(document: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (
            markdown.text(one["name"]),
            one["module"],
            markdown.text(one["owner"]),
            one["dev_run_gets"],
            markdown.text(", ".join(one["sources"])),
        )
        for one in document["tasks"]
    ]
    if rows:
        who = ", ".join(map(markdown.text, document["deployers"])) or "nobody yet"
        yield f"\n### Tasks that need submit and deploy from now on (may deploy: {who})\n"
        heads = ("task", "module", "owner", "a dev run gets", "data sources")
        yield markdown.table(heads, rows[:_MOST]) + _left(rows)
    if document["shared_in"]:
        names = ", ".join(map(markdown.text, document["shared_in"]))
        yield f"\nShared with production alone, and not seen in development: {names}"


def _left(rows: Sequence[Any]) -> str:
    return f"\n\n{len(rows) - _MOST} more: `headwater plan show`" if len(rows) > _MOST else ""


def drift(workspace: str, found: Sequence[Drift]) -> str:
    """How far dev and prod have drifted apart, as Markdown: the sources that want attention first."""
    from tasks.drift import summary

    rows = [
        (
            markdown.text(one.source),
            one.type,
            markdown.text(str(one.target.same) if one.target else "-"),
            markdown.text(one.target.by if one.target else ""),
            markdown.text(one.side("dev")),
            markdown.text(one.side("prod")),
            markdown.text(markdown.cut(one.told(), 300)),
        )
        for one in sorted(found, key=lambda one: (one.is_well, one.is_isolated, one.source))
    ]
    heads = ("name", "type", "target", "known by", "dev", "prod", "differs (dev / prod)")
    return "\n".join(
        (
            f"## Drift of {markdown.text(workspace)}: dev against prod\n",
            f"{summary(found)}\n",
            markdown.table(heads, rows[:_MOST]) + _left(rows),
        )
    )
