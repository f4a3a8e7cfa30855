"""What the verdicts of several resource groups, and those of the past, tell together about one data source.

One check sees the world from one place. Here its verdict is held against those of the other places and against the last
one that was good: pure functions over verdicts, like the diagnosis itself. One file a family of rules.

A rule that says something else about the cause rests on what another place *did* see; that others saw nothing never
outweighs what a peer said here. Places that could not test decide nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from registry.verdict import INCONCLUSIVE, Owner, Verdict, Warning
from tasks import causes
from tasks.perspectives.view import View

__all__ = ["Insight", "Rule", "View", "review", "rules"]


@dataclass(frozen=True)
class Insight:
    """What a verdict has to say in the light of others. What is None stays as it was.

    Attributes:
        code: The cause; `INCONCLUSIVE` with two or more `alternatives`.
        also: A clause to be added to the message.
        decided_by: The places whose evidence this rests on.
        stage: Where the evidence is noted; by default the stage that failed.
    """

    code: str | None = None
    alternatives: tuple[str, ...] = ()
    component: str | None = None
    message: str | None = None
    remedy: str | None = None
    owner: Owner | None = None
    also: str = ""
    decided_by: Sequence[View] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    stage: str = ""
    warnings: tuple[Warning, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One thing that several places tell together.

    Attributes:
        look: Given a view and those of the other places that count; None when it has nothing to say.
        rank: Of those that speak about the cause, the first that has something to say counts.
        remark: It adds to a verdict whatever the others say, and leaves its cause alone.
    """

    name: str
    look: Callable[[View, Sequence[View]], Insight | None]
    rank: int = 50
    remark: bool = False


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, in the order in which they are tried."""
    return tuple(sorted(_all(), key=lambda rule: (rule.remark, rule.rank)))


def _all() -> Iterator[Rule]:
    for module in pkgutil.iter_modules(__path__):
        yield from getattr(importlib.import_module(f"{__name__}.{module.name}"), "RULES", ())


def review(views: Sequence[View], by: Sequence[Rule] | None = None) -> list[Verdict]:
    """The verdicts of all places over one environment of one data source, each in the light of the others.

    Args:
        by: The rules to go by; all of them by default.
    """
    chosen = rules() if by is None else by
    return [_reviewed(view, [other for other in views if other is not view and other.counts], chosen) for view in views]


def _reviewed(view: View, others: Sequence[View], by: Sequence[Rule]) -> Verdict:
    verdict = view.verdict
    if not view.counts:
        return verdict
    decided = False
    for rule in by:
        if decided and not rule.remark:
            continue
        # A remark is about what the verdict says by now.
        insight = rule.look(replace(view, verdict=verdict) if rule.remark else view, others)
        if insight is not None:
            verdict = _with(verdict, insight)
            decided = decided or not rule.remark
    return verdict


def _with(verdict: Verdict, insight: Insight) -> Verdict:
    changes: dict[str, Any] = {
        key: value
        for key in ("component", "message", "remedy", "owner")
        if (value := getattr(insight, key)) is not None
    }
    if insight.code is not None:
        responsible = causes.catalogue()[insight.alternatives[0] if insight.code == INCONCLUSIVE else insight.code]
        changes = {"owner": responsible.owner, **changes}
        changes |= {"cause": insight.code, "alternatives": list(insight.alternatives), "state": responsible.state}
    if insight.also:
        changes["message"] = f"{changes.get('message', verdict.message).rstrip('.')}; {insight.also}."
    if insight.warnings:
        changes["warnings"] = [*verdict.warnings, *insight.warnings]
    evidence = dict(insight.evidence)
    if insight.decided_by:
        evidence["decided_by"] = sorted(other.group for other in insight.decided_by)
        evidence["others_saw"] = sorted(other.summary() for other in insight.decided_by)
    if evidence:
        changes["stages"] = list(_noted(verdict, insight.stage, evidence))
    return verdict.model_copy(update=changes)


def _noted(verdict: Verdict, name: str, evidence: Mapping[str, Any]) -> Iterator[Any]:
    """The stages, with evidence added to one of them."""
    failed = View(verdict).failed
    wanted = name or (failed.name if failed else "")
    for stage in verdict.stages:
        if stage.name == wanted:
            known = stage.evidence.get("decided_by", [])
            merged = {**stage.evidence, **evidence}
            if known and "decided_by" in evidence:
                merged["decided_by"] = sorted({*known, *evidence["decided_by"]})
                merged["others_saw"] = sorted({*stage.evidence.get("others_saw", []), *evidence["others_saw"]})
            yield replace(stage, evidence=merged)
        else:
            yield stage
