"""The dependents that a plan is about, and the places that they share. No input, no output."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.dependents import Use
from tasks.dependents import Place, Rename
from tasks.repointing.bundles import together
from tasks.repointing.columns import Severity
from tasks.repointing.judging import Finding, Subject, worst

#: (adapter, unit): what is rewritten in one go.
Unit = tuple[str, str]
_Spot = tuple[str, str, str]

#: What would hurt least first: the order within a plan.
_RISKS = ("low", "medium", "high")


@dataclass
class Candidate:
    """One dependent with all its uses of the old source that were chosen."""

    uses: Sequence[Use]
    findings: list[Finding] = field(default_factory=list)

    @property
    def one(self) -> Use:
        """Any of its uses, for what they share."""
        return self.uses[0]

    @property
    def verdict(self) -> Severity:
        return worst(self.findings)

    @property
    def blocked(self) -> bool:
        return any(one.severity is Severity.BLOCKED for one in self.findings)

    def block(self, why: str) -> None:
        """Take it out of what is applied."""
        self.findings.append(Finding(Severity.BLOCKED, why))

    def renames(self, subject: Subject) -> Iterator[tuple[Unit, Rename]]:
        """What would change for it, by unit."""
        for use in self.uses:
            for place in use.places:
                new = subject.new_name(place.name, use.workspace)
                yield (use.adapter, place.unit), Rename(Place(place.unit, place.pointer), place.name, new)

    def document(self) -> dict[str, Any]:
        """As the plan keeps it."""
        one = self.one
        row = {
            "id": one.dependent_id,
            "adapter": one.adapter,
            "key": one.key,
            "name": one.name,
            "module": one.module,
            "task_kind": one.task_kind,
            "workspace": one.workspace,
            "run_env": one.run_env,
            "env": sorted({use.env for use in self.uses}),
            "owner": one.owner,
            "group": one.resource_group,
            "risk": one.risk,
            "locked_by": one.locked_by,
            "units": sorted({place.unit for use in self.uses for place in use.places}),
            "uses": [[use.source, use.env, use.role, [*use.objects]] for use in self.uses],
            "verdict": self.verdict.value,
            "reasons": [*dict.fromkeys(f"{each.severity.value}: {each.told}" for each in self.findings)],
        }
        return row | ({"details": dict(one.details)} if one.details.get("smoke") else {})


def gather(uses: Iterable[Use]) -> list[Candidate]:
    """The dependents behind these uses, in their order."""
    by_dependent = defaultdict[int, list[Use]](list)
    for use in uses:
        by_dependent[use.dependent_id].append(use)
    return [Candidate(each) for each in by_dependent.values()]


class Sharing:
    """Who else's name stands where a dependent's does, such as in a file of properties that several read."""

    def __init__(self, candidates: Sequence[Candidate], others: Iterable[Use]) -> None:
        self._at = defaultdict[_Spot, list[Candidate]](list)
        for candidate in candidates:
            for spot in {*_spots(candidate.uses)}:
                self._at[spot].append(candidate)
        strangers = defaultdict[_Spot, set[str]](set)
        for use in others:
            for spot in _spots([use]):
                if spot in self._at:
                    strangers[spot].add(use.name)
        for spot, names in strangers.items():
            told = f"its name stands in {spot[1]} at {spot[2]}, which others use that were not chosen: {_some(names)}"
            for candidate in self._at[spot]:
                candidate.block(told)

    def spread(self) -> None:
        """Whoever shares a place with one that is blocked is blocked with it."""
        moved = True
        while moved:
            moved = False
            for spot, sharers in self._at.items():
                blocked = [one for one in sharers if one.blocked]
                if not blocked or len(blocked) == len(sharers):
                    continue
                names = _some({one.one.name for one in blocked})
                for one in sharers:
                    if not one.blocked:
                        one.block(f"it shares its place in {spot[1]} with {names}, blocked")
                moved = True


def _spots(uses: Iterable[Use]) -> Iterator[_Spot]:
    return ((use.adapter, place.unit, place.pointer) for use in uses for place in use.places)


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:3]) + (f" and {len(ordered) - 3} more" if len(ordered) > 3 else "")


def bundles(units: Mapping[Unit, Sequence[Candidate]]) -> list[list[Unit]]:
    """Units that belong into one wave, because a dependent lies in several; what would hurt least first."""
    parts = {unit: [one.one.dependent_id for one in units[unit]] for unit in sorted(units)}
    found = together(parts)
    return sorted(found, key=lambda bundle: (_harm([one for unit in bundle for one in units[unit]]), bundle))


def _harm(candidates: Sequence[Candidate]) -> tuple[Any, ...]:
    return (
        max([Severity.OK, Severity.WARN].index(one.verdict) for one in candidates),
        any(one.one.run_env == "prod" for one in candidates),
        max(_risk(one.one) for one in candidates),
        len(candidates),
    )


def _risk(use: Use) -> int:
    """What is not said is the least."""
    said = use.risk.lower()
    return _RISKS.index(said) if said in _RISKS else -1


def blast(candidates: Sequence[Candidate]) -> dict[str, dict[str, int]]:
    """How many dependents a change reaches: by module, side, workspace, owner, group, risk and verdict."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for candidate in candidates:
        one = candidate.one
        keys = {"module": one.module, "workspace": one.workspace, "owner": one.owner or "unknown"}
        keys |= {"group": one.resource_group or "unknown", "risk": one.risk or "none"}
        for table, key in (keys | {"verdict": candidate.verdict.value}).items():
            counts[table][key] += 1
        counts["env"].update({use.env for use in candidate.uses})
    return {table: dict(counter.most_common()) for table, counter in counts.items()}
