"""A plan of a repoint in words: lines for a terminal, Markdown for an artifact."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from registry import model
from registry.plans import StepState
from tasks.repointing.columns import Severity
from tasks.repointing.diffs import called
from tasks.report import markdown as cells

#: Reasons and units that are told one by one; the others are counted.
_TOLD = 50
#: Lines of diffs in a report: a file may hold the names of thousands.
_LINES = 3000
#: Dependents that are named with a reason.
_NAMED = 3
_BRIEF = ("verdict", "module", "env")
#: Characters of a place that a row has room for.
_WIDE = 32
_TABLES = ("verdict", "module", "env", "workspace", "owner", "group", "risk")


def lines(plan: model.Plan, steps: Sequence[model.PlanStep], *, diffs: int = 10) -> Iterator[str]:
    """The plan for a terminal.

    Args:
        diffs: Units whose changes are shown.
    """
    document = plan.document
    yield f"{document['old']} -> {document['new']}: {_counts(document)}"
    yield from (f"  by {name:<10}{_table(document['blast'][name])}" for name in _TABLES if name in document["blast"])
    yield from (f"  {one}" for one in _looked(document))
    yield from (f"! {one}" for one in document["warnings"])
    yield from _some([*_findings(document, steps)], "reasons")
    everything = f"`headwater plan show {plan.id} --output json` has them all"
    for step in steps[:diffs]:
        yield step.action["diff"]
    if len(steps) > diffs:
        yield f"and {len(steps) - diffs} more units; {everything}"
    stays = _of_blocked(document)
    if stays:
        yield "not changed, because it is blocked:"
        yield from stays[:diffs]
    if len(stays) > diffs:
        yield f"and {len(stays) - diffs} more; {everything}"


def _of_blocked(document: Mapping[str, Any]) -> list[str]:
    """The changes that are not made because they are blocked: each diff once."""
    alone = (one["diff"] for one in document["blocked"] if one["diff"].startswith("---"))
    together = (one["diff"] for one in document.get("blocked_together", ()) if one["diff"])
    return [*dict.fromkeys([*alone, *together])]


def _counts(document: Mapping[str, Any]) -> str:
    counts = document["counts"]
    told = f"{counts['dependents']} dependents, {counts['units']} units in waves of {_listed(counts['waves'])}"
    blocked = f"; {len(document['blocked'])} blocked" if document["blocked"] else ""
    left = f"; {counts['left_alone']} others stay" if counts["left_alone"] else ""
    return f"{told}{blocked}{left}"


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return f"{shown}, ..." if len(numbers) > 8 else shown or "none"


def _table(counts: Mapping[str, int]) -> str:
    shown = [f"{name} {count}" for name, count in [*counts.items()][:8]]
    return ", ".join([*shown, *(["..."] if len(counts) > 8 else [])])


def _looked(document: Mapping[str, Any]) -> Iterator[str]:
    for one in document["looked"]:
        if "group" in one:
            state = {True: "Connectable", False: "NOT Connectable", None: "not tested"}[one["connectable"]]
            told = f": {one['told']}" if one["told"] else ""
            yield f"{one['source']} {one['env']} from {one['group']}: {state}{told}"
        elif not one["surveyed"]:
            yield f"{one['source']} {one['env']}: tables not looked at: {one['told']}"


def _findings(document: Mapping[str, Any], steps: Sequence[model.PlanStep]) -> Iterator[str]:
    """Each reason once, the worst first, with those that it speaks of; what is told of the whole plan is no reason."""
    there = {one["id"]: one for step in steps for one in step.action["dependents"]}
    names = defaultdict[str, dict[int, str]](dict)
    for one in (*document["blocked"], *there.values()):
        for reason in one["reasons"]:
            names[reason][one["id"]] = f"{one['workspace']}/{one['name']} ({one['module']})"
    for severity in (Severity.BLOCKED, Severity.WARN):
        found = {reason: who for reason, who in names.items() if reason.startswith(f"{severity}: ")}
        for reason, who in sorted(found.items(), key=lambda each: -len(each[1])):
            yield f"{reason}: {_who([*who.values()])}"


def _who(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{len(names)} dependents: {shown}, ..." if len(names) > _NAMED else shown


def _some(found: Sequence[str], what: str) -> Iterator[str]:
    yield from found[:_TOLD]
    if len(found) > _TOLD:
        yield f"and {len(found) - _TOLD} more {what}"


def _cut(diffs: Iterable[str]) -> Iterator[str]:
    """Their first lines, and how many more there are."""
    lines = [line for diff in diffs for line in diff.splitlines()]
    yield from lines[:_LINES]
    if len(lines) > _LINES:
        yield f"and {len(lines) - _LINES} more lines"


def markdown(plan: model.Plan, steps: Sequence[model.PlanStep]) -> str:
    """The plan for whoever approves it."""
    document = plan.document
    rows = [(name, cells.text(_table(document["blast"][name]))) for name in _TABLES if name in document["blast"]]
    reason = f" Reason: {cells.text(plan.why)}." if plan.why else ""
    parts = [
        f"## Repoint {cells.text(document['old'])} to {cells.text(document['new'])}",
        f"Plan `{plan.id}`, digest `{plan.digest[:16]}`. Planned by {cells.text(plan.creator)}, to be applied until "
        f"{cells.minute(plan.expires_at)} UTC.{reason}",
        f"**{_counts(document)}**",
        cells.table(("by", "dependents"), rows),
        *(f"> {cells.text(one)}" for one in document["warnings"]),
        _code("Tested and looked at", [*_looked(document)]),
        _code("Findings", [*_some([*_findings(document, steps)], "reasons")]),
        _moves(steps),
        _code("Changes", [*_cut(step.action["diff"] for step in steps[:_TOLD])], "diff"),
        _code("Blocked changes", [*_cut(_some(_of_blocked(document), "diffs"))], "diff"),
    ]
    return "\n\n".join(part for part in parts if part)


def _moves(steps: Sequence[model.PlanStep]) -> str:
    """Who is moved in which wave, and where its name stands."""
    rows = [(str(step.wave + 1), *_move(step.action)) for step in steps[:_TOLD]]
    left = f"\n\nand {len(steps) - _TOLD} more units" if len(steps) > _TOLD else ""
    heads = ("wave", "dependent", "module", "side", "verdict", "where the name stands")
    return f"### Waves\n\n{cells.table(heads, rows, align='rlllll')}{left}" if rows else ""


def _move(action: Mapping[str, Any]) -> tuple[str, ...]:
    there = action["dependents"]
    names = cells.text(", ".join(one["name"] for one in there[:3]))
    return (
        f"{names} and {len(there) - 3} more" if len(there) > 3 else names,
        ", ".join(sorted({one["module"] for one in there})),
        ", ".join(sorted({env for one in there for env in one["env"]})),
        ", ".join(sorted({one["verdict"] for one in there})),
        cells.code(", ".join(dict.fromkeys(_end(pointer) for pointer, _, _ in action["renames"]))),
    )


def _end(pointer: str) -> str:
    """The end of a place's pointer: what tells it from others, and no more than a column has room for."""
    cut = pointer[-_WIDE:].partition("/")[2]
    return pointer if len(pointer) <= _WIDE else f"…/{cut}"


def brief(plan: model.Plan) -> str:
    """The plan in a few lines, for whoever is asked."""
    document = plan.document
    lines = [
        f"**Repoint {cells.text(document['old'])} to {cells.text(document['new'])}**: {_counts(document)}.\n",
        *(
            f"- by {name}: {cells.text(_table(document['blast'][name]))}"
            for name in _BRIEF
            if name in document["blast"]
        ),
        *(f"- {cells.text(one)}" for one in document["warnings"]),
    ]
    return "\n".join(lines)


def results(steps: Sequence[model.PlanStep]) -> list[dict[str, Any]]:
    """How it stands with each unit."""
    return [
        {
            "unit": step.action["unit"],
            "name": _called(step),
            "wave": step.wave + 1,
            "state": step.state,
            "message": step.message,
            "dependents": [one["key"] for one in step.action["dependents"]],
        }
        for step in steps
    ]


def _called(step: model.PlanStep) -> str:
    return called(step.action["unit"], ((one["key"], one["name"]) for one in step.action["dependents"]))


def outcome(plan: model.Plan, steps: Sequence[model.PlanStep]) -> str:
    """How it went, in Markdown."""
    told = [f"{_called(one)}: {one.state}: {one.message}" for one in steps if one.state != StepState.DONE]
    waves = defaultdict[int, Counter[str]](Counter)
    for step in steps:
        waves[step.wave][step.state] += 1
    rows = [(str(wave + 1), str(found.total()), _table(found)) for wave, found in sorted(waves.items())[:_TOLD]]
    parts = [
        f"## {plan.state.replace('_', ' ').capitalize()}: {_table(Counter(step.state for step in steps))}",
        cells.table(("wave", "units", "came to"), rows, align="rrl"),
        _code("Not done", [*_some(told, "units")]),
    ]
    return "\n\n".join(part for part in parts if part)


def _code(title: str, found: Sequence[str], language: str = "") -> str:
    """A block that no text within can end: a fence longer than any of its own."""
    if not found:
        return ""
    text = "\n".join(found)
    fence = "`" * max(3, 1 + max((len(run) for run in _runs(text)), default=0))
    return f"### {title}\n\n{fence}{language}\n{text}\n{fence}"


def _runs(text: str) -> list[str]:
    return ["`" * len(part) for part in "".join(one if one == "`" else " " for one in text).split()]
