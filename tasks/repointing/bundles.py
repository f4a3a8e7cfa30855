"""Units that belong together, because a dependent lies in several of them: all of them are changed, or none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from registry import model

P = TypeVar("P", bound=Hashable)


def together(parts: Mapping[P, Iterable[Hashable]]) -> list[list[P]]:
    """Parts that belong together because they share a member, over others too; in the order of the parts.

    Args:
        parts: Part -> its members, such as a unit and the dependents that lie in it.
    """
    parent = {part: part for part in parts}

    def root(part: P) -> P:
        while parent[part] != part:
            parent[part] = part = parent[parent[part]]
        return part

    first = dict[Hashable, P]()
    for part, members in parts.items():
        for member in members:
            parent[root(part)] = root(first.setdefault(member, part))
    found = defaultdict[P, list[P]](list)
    for part in parts:
        found[root(part)].append(part)
    return [*found.values()]


Bundle = Sequence[model.PlanStep]


def of(steps: Sequence[model.PlanStep]) -> list[Bundle]:
    """The bundles of these steps, in their order."""
    by_id = {step.id: step for step in steps}
    parts = {id_: [one["id"] for one in step.action["dependents"]] for id_, step in by_id.items()}
    return [[by_id[id_] for id_ in bundle] for bundle in together(parts)]


def editor(bundle: Bundle, editors: Mapping[int, str]) -> str:
    """Somebody who is editing one of these; empty: nobody is.

    Args:
        editors: Id of a dependent -> who is editing it.
    """
    dependents = (one["id"] for step in bundle for one in step.action["dependents"])
    return next((editors[id_] for id_ in dependents if id_ in editors), "")


def filled(bundles: Iterable[Bundle], least: int) -> Iterator[list[model.PlanStep]]:
    """The steps in chunks of whole bundles, of so many steps or a few more; the last one may have fewer."""
    chunk = list[model.PlanStep]()
    for bundle in bundles:
        chunk += bundle
        if len(chunk) >= least:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
