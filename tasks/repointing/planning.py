"""From a wish to a stored plan: what changes where, to the character, and what speaks against it."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from registry import model
from registry.audit import By
from registry.dependents import Use
from registry.errors import HeadwaterError, InvalidInput
from registry.plans import PlanDraft, PlannedStep
from registry.store import Store
from tasks.dependents import Adapter, NotRewritable, Rename
from tasks.repointing import waves
from tasks.repointing.candidates import Candidate, Sharing, Unit, blast, bundles, gather
from tasks.repointing.columns import Severity
from tasks.repointing.diffs import called, diff
from tasks.repointing.facts import Looked, Observed, Observer, Pair
from tasks.repointing.judging import WRITERS, Finding, Subject, judge, tables_of
from tasks.repointing.requests import Known, Request, know

KIND = "repoint"
#: Units that are read at the same time.
_AT_ONCE = 32
#: Units after which progress is told.
_PORTION = 256
#: Blocked dependents of one unit whose diffs are told one by one, each of which takes a rewriting of the whole unit;
#: those of more are told as one.
MOST_ALONE = 20

#: Hears how far it has come: (what, done, total).
Progress = Callable[[str, int, int], object]


def _unheard(what: str, done: int, total: int) -> None:
    """Nobody listens."""


async def plan(
    store: Store,
    request: Request,
    adapters: Mapping[str, Adapter],
    observer: Observer,
    by: By,
    progress: Progress = _unheard,
) -> model.Plan:
    """Make a plan and keep it. Nothing is changed, and nothing is left behind anywhere.

    Raises:
        NotFound: No such source.
        InvalidInput: A wish that can't be, or nothing to repoint.
        Forbidden: No role of whoever acts allows it.
    """
    known = await asyncio.to_thread(know, store, request, by)
    if not known.chosen:
        if known.others:
            told = f"nothing that uses {request.old} passes the filters"
            raise InvalidInput(told, where="--where", instruction=request.missed(known.others))
        told, advice = f"nothing uses {request.old}", f"`headwater dependents {request.old}` shows what was found"
        raise InvalidInput(told, where=request.old, instruction=advice)
    candidates = gather(known.chosen)
    observed = await observe(known, observer, progress)
    find(candidates, known.subject, observed)
    rewriting = Rewriting(candidates, known, adapters, progress)
    await rewriting.settle()
    draft = await _draft(_Made(request, known, candidates, observed, rewriting), by.at)
    return await asyncio.to_thread(store.plans.create, draft, by)


async def observe(known: Known, observer: Observer, progress: Progress = _unheard) -> Observed:
    """Look at both sources as far as these uses need it: one check a side and group, one survey a side."""
    subject = known.subject
    groups, tables = defaultdict[str, set[str]](set), defaultdict[tuple[str, str], set[str]](set)
    for use in known.chosen:
        side = subject.side(use)
        if side is None:
            continue
        groups[side].update(subject.groups(use))
        if use.objects or use.role in WRITERS:
            for source, env in ((subject.new.path, side), (subject.old.path, use.env)):
                tables[source, env] |= tables_of(use.objects)
    pairs = sorted(Pair(subject.new.path, side, group) for side, names in groups.items() for group in names)
    progress("testing", 0, len(pairs))
    reach = await observer.reach(pairs)
    progress("looking at tables", 0, len(tables))
    surveys = dict[tuple[str, str], Looked]()
    workspaces = dict.fromkeys([subject.new.workspace.name, *sorted({use.workspace for use in known.chosen})])
    others = [group for workspace in workspaces for group in subject.bound.get(workspace, ())]
    for (source, env), names in tables.items():
        seen = [pair for pair in pairs if pair.env == env or source != subject.new.path]
        # Whoever reaches the new one is the likeliest to reach the old one too.
        places = dict.fromkeys(pair.group for pair in sorted(seen, key=lambda pair: not reach[pair].connectable))
        # Tables are the server's, wherever it is seen from: another group will do where none of theirs can look.
        places |= dict.fromkeys(others)
        surveys[source, env] = await observer.survey(source, env, [*places], names)
    return Observed(reach, surveys)


def find(candidates: Sequence[Candidate], subject: Subject, observed: Observed) -> None:
    """Judge every use; those that are alike in what counts are judged once."""
    known: dict[tuple[Any, ...], list[Finding]] = {}
    for candidate in candidates:
        for use in candidate.uses:
            key = _alike(use)
            if key not in known:
                known[key] = judge(use, subject, observed)
            candidate.findings += known[key]


def _alike(use: Use) -> tuple[Any, ...]:
    needs = frozenset((name, *words) for place in use.places for name, words in place.needs.items())
    written = (bool(use.places), frozenset(place.type for place in use.places), needs)
    place = (use.workspace, use.env, use.run_env, use.resource_group, use.owner, use.locked_by)
    return (*place, use.module, use.task_kind, use.role, use.objects, written)


@dataclass(frozen=True)
class Rewritten:
    """A unit as it would be."""

    renames: tuple[Rename, ...]
    before: str
    after: str
    diff: str


class Rewriting:
    """What each unit becomes; whoever can't be rewritten is blocked, and whoever shares a place with it."""

    def __init__(
        self, candidates: Sequence[Candidate], known: Known, adapters: Mapping[str, Adapter], progress: Progress
    ) -> None:
        self.units = defaultdict[Unit, list[Candidate]](list)
        self.done: dict[Unit, Rewritten] = {}
        self._adapters = adapters
        self._progress = progress
        self._renames: dict[tuple[Unit, int], list[Rename]] = defaultdict(list)
        for candidate in candidates:
            for unit, rename in candidate.renames(known.subject):
                if candidate not in self.units[unit][-1:]:
                    self.units[unit].append(candidate)
                self._renames[unit, candidate.one.dependent_id].append(rename)
        self._sharing = Sharing(candidates, known.others)
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def settle(self) -> None:
        """Rewrite every unit, until what is blocked has been left out everywhere."""
        while True:
            self._sharing.spread()
            stale = [unit for unit in self.units if self._wanted(unit) != self._rewritten(unit)]
            if not stale:
                return
            for start in range(0, len(stale), _PORTION):
                self._progress("reading", start, len(stale))
                await asyncio.gather(*(self._settle_one(unit) for unit in stale[start : start + _PORTION]))

    def active(self) -> dict[Unit, list[Candidate]]:
        """Unit -> the dependents in it that are to be repointed."""
        found = {unit: [one for one in there if not one.blocked] for unit, there in self.units.items()}
        return {unit: there for unit, there in found.items() if there}

    def crowded(self) -> dict[Unit, list[Candidate]]:
        """Units in which too many are blocked for a diff each -> these."""
        found = {unit: [one for one in there if one.blocked] for unit, there in self.units.items()}
        return {unit: there for unit, there in found.items() if len(there) > MOST_ALONE}

    async def diff_of_blocked(self, candidate: Candidate, crowded: Collection[Unit]) -> str:
        """What would change for a dependent that stays as it is; empty where that can't be told."""
        told = []
        for unit in dict.fromkeys((one.adapter, place.unit) for one in candidate.uses for place in one.places):
            if unit in crowded:
                told.append(f"(in the diff of all that are blocked of {unit[1]})")
            else:
                told.append(await self._diff_of(unit, [candidate]))
        return "\n".join(one for one in told if one)

    async def diff_of_crowd(self, unit: Unit, there: Sequence[Candidate]) -> str:
        """What would change for all of these, without those whose names can't be changed; empty: for none."""
        return await self._diff_of(unit, await self._changeable(unit, there))

    async def _diff_of(self, unit: Unit, there: Sequence[Candidate]) -> str:
        try:
            return (await self._rewrite(unit, self._of(unit, there))).diff if there else ""
        except (HeadwaterError, OSError):
            return ""

    async def _changeable(self, unit: Unit, there: Sequence[Candidate]) -> list[Candidate]:
        """Those whose names can be changed, found by halves."""
        try:
            await self._rewrite(unit, self._of(unit, there))
        except NotRewritable:
            half = len(there) // 2
            if not half:
                return []
            return [*await self._changeable(unit, there[:half]), *await self._changeable(unit, there[half:])]
        except (HeadwaterError, OSError):
            return []
        return [*there]

    def _of(self, unit: Unit, candidates: Sequence[Candidate]) -> tuple[Rename, ...]:
        renames = (one for each in candidates for one in self._renames[unit, each.one.dependent_id])
        return tuple(dict.fromkeys(renames))

    def _wanted(self, unit: Unit) -> tuple[Rename, ...]:
        return self._of(unit, [one for one in self.units[unit] if not one.blocked])

    def _rewritten(self, unit: Unit) -> tuple[Rename, ...]:
        return self.done[unit].renames if unit in self.done else ()

    async def _settle_one(self, unit: Unit) -> None:
        wanted = self._wanted(unit)
        self.done.pop(unit, None)
        if not wanted:
            return
        try:
            self.done[unit] = await self._rewrite(unit, wanted)
        except NotRewritable:
            await self._block_culprits(unit)
        except (HeadwaterError, OSError) as error:
            self._block(unit, self.units[unit], error)

    async def _block_culprits(self, unit: Unit) -> None:
        """Those whose own names can't be changed; all of the unit where each could be, but not together."""
        there = [one for one in self.units[unit] if not one.blocked]
        await self._block_alone(unit, there)
        if not any(one.blocked for one in there):
            self._block(unit, there, NotRewritable("its names can't be changed together", where=unit[1]))

    async def _block_alone(self, unit: Unit, there: Sequence[Candidate]) -> None:
        """Block each that can't be rewritten, found by halves: a file of thousands is rewritten some dozen times."""
        try:
            await self._rewrite(unit, self._of(unit, there))
        except (HeadwaterError, OSError) as error:
            if len(there) == 1:
                self._block(unit, there, error)
                return
            half = len(there) // 2
            await self._block_alone(unit, there[:half])
            await self._block_alone(unit, there[half:])

    @staticmethod
    def _block(unit: Unit, candidates: Sequence[Candidate], error: Exception) -> None:
        reason = error.reason if isinstance(error, HeadwaterError) else type(error).__name__
        place = (error.where if isinstance(error, HeadwaterError) else "") or unit[1]
        for candidate in candidates:
            if not candidate.blocked:
                candidate.block(f"{place}: {reason}; scan again if it has changed")

    async def _rewrite(self, unit: Unit, renames: tuple[Rename, ...]) -> Rewritten:
        adapter = self._adapters.get(unit[0])
        if adapter is None:
            raise InvalidInput(f"nothing here can rewrite what {unit[0]} found", where=unit[1])
        async with self._gate:
            content = await adapter.read(unit[1])
        after = adapter.rewrite(content, renames)
        name = called(unit[1], ((each.one.key, each.one.name) for each in self.units[unit]))
        changed = diff(name, content.text, after.text, renames)
        return Rewritten(renames, content.fingerprint, after.fingerprint, changed)


@dataclass(frozen=True)
class _Made:
    """Everything that goes into a plan."""

    request: Request
    known: Known
    candidates: Sequence[Candidate]
    observed: Observed
    rewriting: Rewriting


async def _draft(made: _Made, at: datetime) -> PlanDraft:
    active = made.rewriting.active()
    order = bundles(active)
    numbers = waves.cut((len(bundle) for bundle in order), made.request.sizes)
    steps = [
        PlannedStep(_action(made, unit, active[unit]), wave)
        for bundle, wave in zip(order, numbers, strict=True)
        for unit in bundle
    ]
    subject = made.known.subject
    among = {use.workspace for use in made.known.chosen} - {subject.new.workspace.name}
    groups = sorted({group for use in made.known.chosen for group in subject.groups(use)})
    rewriting = made.rewriting
    crowded = rewriting.crowded()
    async with asyncio.TaskGroup() as reading:
        blocked = [
            reading.create_task(_blocked(one, rewriting, crowded.keys())) for one in made.candidates if one.blocked
        ]
        crowds = {unit[1]: reading.create_task(rewriting.diff_of_crowd(unit, there)) for unit, there in crowded.items()}
    document = {
        "old": made.request.old,
        "new": made.request.new,
        "env": made.request.env,
        "where": made.request.chosen_by(),
        "zone": made.request.zone,
        "run": made.request.run,
        "groups": groups,
        "counts": {
            "dependents": len(made.candidates),
            "units": len(steps),
            "waves": [*Counter(step.wave for step in steps).values()],
            "left_alone": len({use.dependent_id for use in made.known.others}),
        },
        "grants": sorted([*astuple(one)] for one in subject.grants if one.workspace in among),
        "blast": blast(made.candidates),
        "blocked": [one.result() for one in blocked],
        "blocked_together": [{"unit": unit, "diff": one.result()} for unit, one in crowds.items()],
        "looked": _looked(made.observed),
        "warnings": [*_warnings(made, at)],
    }
    return PlanDraft(KIND, subject.old.workspace.name, document, made.known.versions, steps)


def _warnings(made: _Made, at: datetime) -> Iterator[str]:
    """What is to be said once, of the plan."""
    late = waves.late(at, made.request.zone)
    if late:
        yield late
    found = (finding for one in made.candidates for finding in one.findings if finding.severity is Severity.OK)
    yield from dict.fromkeys(one.told for one in found)


async def _blocked(candidate: Candidate, rewriting: Rewriting, crowded: Collection[Unit]) -> dict[str, Any]:
    return candidate.document() | {"diff": await rewriting.diff_of_blocked(candidate, crowded)}


def _action(made: _Made, unit: Unit, candidates: Sequence[Candidate]) -> dict[str, Any]:
    rewritten, subject = made.rewriting.done[unit], made.known.subject
    seen = {(side, group) for one in candidates for use in one.uses for side, group in subject.seen_from(use)}
    pairs = [
        (subject.new.path, side, group)
        for side, group in sorted(seen)
        if made.observed.reach[Pair(subject.new.path, side, group)].connectable
    ]
    return {
        "adapter": unit[0],
        "unit": unit[1],
        "renames": [[one.place.pointer, one.old, one.new] for one in rewritten.renames],
        "before": rewritten.before,
        "after": rewritten.after,
        "diff": rewritten.diff,
        "pairs": [[*pair] for pair in pairs],
        "dependents": [one.document() for one in candidates],
    }


def _looked(observed: Observed) -> list[dict[str, Any]]:
    """What was looked at, for people."""
    seen: list[dict[str, Any]] = [
        {"source": pair.source, "env": pair.env, "group": pair.group, "connectable": one.connectable, "told": one.told}
        for pair, one in sorted(observed.reach.items())
    ]
    return seen + [
        {"source": source, "env": env, "surveyed": looked.survey is not None, "told": looked.told}
        for (source, env), looked in sorted(observed.surveys.items())
    ]
