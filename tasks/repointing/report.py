"""A plan of a repoint in words: lines for a terminal, Markdown for an artifact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from registry import model
from registry.plans import StepState

#: Dependents and units that are told one by one; the others are counted.
_TOLD = 50
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
    yield from _some([*_findings(document, steps)], "dependents")
    for step in steps[:diffs]:
        yield step.action["diff"]
    if len(steps) > diffs:
        yield f"and {len(steps) - diffs} more units; `headwater plan show {plan.id} --output json` has them all"


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
    told = {one["id"]: one for step in steps for one in step.action["dependents"] if one["reasons"]}
    for one in (*document["blocked"], *told.values()):
        yield f"{one['verdict']:<8}{one['workspace']}/{one['name']} ({one['module']}): {'; '.join(one['reasons'])}"


def _some(found: Sequence[str], what: str) -> Iterator[str]:
    yield from found[:_TOLD]
    if len(found) > _TOLD:
        yield f"and {len(found) - _TOLD} more {what}"


def markdown(plan: model.Plan, steps: Sequence[model.PlanStep]) -> str:
    """The plan for whoever approves it."""
    document = plan.document
    rows = [f"| {name} | {_table(document['blast'][name])} |" for name in _TABLES if name in document["blast"]]
    parts = [
        f"# Repoint {document['old']} to {document['new']}",
        f"Plan `{plan.id}`, digest `{plan.digest[:16]}`, by {plan.creator}, until "
        f"{plan.expires_at:%Y-%m-%d %H:%M} UTC{': ' if plan.why else ''}{plan.why}",
        f"**{_counts(document)}**",
        "\n".join(["| by | dependents |", "|---|---|", *rows]),
        *(f"> {one}" for one in document["warnings"]),
        _code("Looked", [*_looked(document)]),
        _code("Findings", [*_some([*_findings(document, steps)], "dependents")]),
        _code("Changes", [step.action["diff"] for step in steps[:_TOLD]], "diff"),
    ]
    return "\n\n".join(part for part in parts if part)


def results(steps: Sequence[model.PlanStep]) -> list[dict[str, Any]]:
    """How it stands with each unit."""
    return [
        {
            "unit": step.action["unit"],
            "wave": step.wave + 1,
            "state": step.state,
            "message": step.message,
            "dependents": [one["key"] for one in step.action["dependents"]],
        }
        for step in steps
    ]


def outcome(plan: model.Plan, steps: Sequence[model.PlanStep]) -> str:
    """How it went, in Markdown."""
    counts: dict[str, int] = {}
    for step in steps:
        counts[step.state] = counts.get(step.state, 0) + 1
    told = [f"{one.action['unit']}: {one.state}: {one.message}" for one in steps if one.state != StepState.DONE]
    parts = [f"## {plan.state}", _table(counts), _code("Not done", [*_some(told, "units")])]
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
