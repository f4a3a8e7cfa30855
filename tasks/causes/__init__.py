"""The catalogue of root causes: what each code means, who mends it, and which evidence asserts it.

One file a family, found by listing this folder; other people's packages add causes by the entry point group
``headwater.causes``. Rules are data: the first row that fits the failed stage counts, in the order of `Rule.rank`.
Codes are never renamed: scripts outside this repository depend on them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from registry.verdict import INCONCLUSIVE, Owner, State


@dataclass(frozen=True)
class Rule:
    """Evidence of a failed stage that asserts a cause.

    Attributes:
        stage: The failed stage; None for any.
        when: Evidence key -> value, set of values or predicate; all must fit.
        rank: Rules of a lower rank are tried first: what excludes a neighbour comes before the neighbour. Those below
            zero come even before the table of the protocol: what speaks there is not the peer.
        alternatives: The codes that remain, for `INCONCLUSIVE`.
        component, message, remedy: Templates that replace those of the cause.
        owner: Who can fix it, where that is somebody else than the cause's own.
    """

    stage: str | None
    when: Mapping[str, Any]
    rank: int = 50
    alternatives: tuple[str, ...] = ()
    component: str | None = None
    message: str | None = None
    remedy: str | None = None
    owner: Owner | None = None


@dataclass(frozen=True)
class Cause:
    """One root cause.

    Attributes:
        meaning: For the documentation: what is so, and what was excluded.
        component, message, remedy: Templates over the evidence and `tasks.diagnosis.context`.
    """

    code: str
    state: State
    owner: Owner
    meaning: str
    component: str
    message: str
    remedy: str
    rules: tuple[Rule, ...] = ()


@cache
def catalogue() -> Mapping[str, Cause]:
    """Every cause by its code, in the order of the files."""
    return {cause.code: cause for cause in _all()}


@cache
def rules() -> tuple[tuple[str, Rule], ...]:
    """Every generic rule with the code it asserts, the ones that exclude others first."""
    rows = [(cause.code, rule) for cause in catalogue().values() for rule in cause.rules]
    return tuple(sorted(rows, key=lambda row: row[1].rank))


@cache
def rules_before_answers() -> tuple[tuple[str, Rule], ...]:
    """The rules that come before the table of a protocol."""
    return tuple(row for row in rules() if row[1].rank < 0)


@cache
def rules_after_answers() -> tuple[tuple[str, Rule], ...]:
    """The rules that come after it."""
    return tuple(row for row in rules() if row[1].rank >= 0)


def _all() -> Iterator[Cause]:
    for module in pkgutil.iter_modules(__path__):
        yield from getattr(importlib.import_module(f"{__name__}.{module.name}"), "CAUSES", ())
    for point in entry_points(group="headwater.causes"):
        yield from point.load()


def state_of(code: str, alternatives: tuple[str, ...] = ()) -> State:
    """The state that goes with a code; that of the first alternative when no single one remains."""
    return catalogue()[alternatives[0] if code == INCONCLUSIVE else code].state
