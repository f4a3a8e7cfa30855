"""Applying a plan wave by wave, so that a process killed at any instruction leaves nothing between two states.

A unit is journalled before it is touched (`RUNNING`, with the fingerprints of both its states) and after its wave is
verified (`DONE`, in the transaction in which the registry's references move). Whoever applies the plan again reads the
units under way: one that holds its old content is done, one that holds its new content is gone on with, and one that
holds neither is somebody else's, told and left alone. The way back is journalled the same (`REVERTING`).

Units are journalled many at a time. That says less of a moment, and loses nothing: `RUNNING` is no claim that a unit
was touched, only that it may have been, and it is on the disk for all of a chunk before the first of them is. Each
unit is replaced in one step, so what it holds tells by itself which of its two states it is in; and `DONE` is told of
a chunk when all of it is on the disk, and verified. Whoever is killed between has units under way that are at their
goal already, which the next run finds and hands in once more. So no unit's journal depends on another's, and several
threads may bring the units of a chunk on their way in any order.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from registry import access, model, sources
from registry.access import Verb
from registry.audit import By
from registry.errors import Conflict, HeadwaterError, InvalidInput
from registry.plans import PlanState, StepState
from registry.store import Store
from tasks import lanes
from tasks.dependents import Adapter, blocks
from tasks.repointing import bundles, moving, records, units, waves
from tasks.repointing.bundles import Bundle
from tasks.repointing.facts import Observer, Pair
from tasks.repointing.planning import KIND
from tasks.repointing.records import Shift
from tasks.repointing.running import NOBODY, PLAINLY, Audience, Options, Outcome, Progress

#: Units that are journalled in one transaction.
CHUNK = 500
#: Units that a refusal names.
_NAMED = 20
#: What is edited where units go together.
_TIED = "it, or what goes with it"
#: Steps that a run takes up; the others are at their end.
_OPEN = frozenset(StepState) - {StepState.DONE, StepState.REVERTING}

T = TypeVar("T")
R = TypeVar("R")


async def apply(
    store: Store,
    plan: str,
    adapters: Mapping[str, Adapter],
    observer: Observer,
    by: By,
    options: Options = PLAINLY,
    audience: Audience = NOBODY,
) -> Outcome:
    """Apply a plan, or go on with one that was paused, failed or killed.

    Raises:
        NotFound: No such plan.
        InvalidInput: It is no repoint, at its end, expired, or some are blocked and not left out.
        Conflict: Somebody else is at it, or something has moved since the plan was made; nothing was changed then.
        Forbidden: No role of whoever acts allows it.
    """
    found = _expect(store.plans.get(plan))
    with store.plans.hold(found.id):
        found = store.plans.get(found.id)  # as whoever held it before has left it
        return await _Run(store, found, adapters, observer, by, options, audience).apply()


async def rollback(
    store: Store,
    plan: str,
    adapters: Mapping[str, Adapter],
    observer: Observer,
    by: By,
    audience: Audience = NOBODY,
) -> Outcome:
    """Take back everything that a plan has done, or go on with taking it back.

    What somebody else has changed since is told, left alone, and keeps the plan from ending as rolled back.

    Raises:
        NotFound: No such plan.
        InvalidInput: It is no repoint, or nothing of it was done.
        Conflict: Somebody else is at it.
        Forbidden: No role of whoever acts allows it.
    """
    found = _expect(store.plans.get(plan))
    with store.plans.hold(found.id):
        found = store.plans.get(found.id)
        return await _Run(store, found, adapters, observer, by, PLAINLY, audience).rollback()


def pause(store: Store, plan: str, by: By) -> model.Plan:
    """Have whoever applies a plan stop after the units that are under way.

    Raises:
        NotFound: No such plan.
        InvalidInput: It is not being applied.
        Forbidden: No role of whoever acts allows it.
    """
    found = _expect(store.plans.get(plan))
    _permit(store, found, by)
    if found.state != PlanState.APPLYING:
        raise InvalidInput(f"plan {found.id} is {found.state}, not being applied", where=f"plan:{found.id}")
    return store.plans.move(found.id, PlanState.PAUSED, by)


def _expect(plan: model.Plan) -> model.Plan:
    if plan.kind != KIND:
        told = f"plan {plan.id} is of kind {plan.kind}"
        raise InvalidInput(told, where=f"plan:{plan.id}", instruction=f"headwater plan show {plan.id}")
    return plan


def _permit(store: Store, plan: model.Plan, by: By) -> None:
    with store.database.read() as session:
        names = {plan.document["old"].partition("/")[0], *plan.document["blast"]["workspace"]}
        for name in sorted(names):
            owner = session.query(model.Workspace).filter_by(name=name).one()
            access.require(session, by, Verb.REPOINT, owner)


@dataclass
class _Run:
    """One run over one plan."""

    store: Store
    plan: model.Plan
    adapters: Mapping[str, Adapter]
    observer: Observer
    by: By
    options: Options
    audience: Audience
    started: float = field(default_factory=time.monotonic)
    done: int = 0
    total: int = 0
    wave: int = 0
    warned: bool = False

    def __post_init__(self) -> None:
        _permit(self.store, self.plan, self.by)
        self.steps = self.store.plans.steps(self.plan.id)
        self.waves = max((step.wave for step in self.steps), default=0) + 1
        document = self.plan.document
        self.title = f"repoint {document['old']} to {document['new']} (plan {self.plan.id})"

    # --- there --------------------------------------------------------------------------------------------------

    async def apply(self) -> Outcome:
        """Every wave that is not done yet."""
        if self.plan.state == PlanState.READY:
            self._expect_complete()
            if moved := self._moved():
                told = "\n  ".join(["something has changed since the plan was made", *moved])
                raise Conflict(told, where=f"plan:{self.plan.id}", instruction="plan again, and look at it again")
            await self._expect_unmoved()
        self.store.plans.begin(self.plan.id, self.by)
        await self._expect_same_world()
        interrupted = [step for step in self.steps if step.state == StepState.REVERTING]
        if interrupted:
            await self._revert(interrupted, {}, "its wave failed")
            if not self.options.keep_going:
                return self._end(PlanState.FAILED)
        return self._end(await self._waves())

    async def _waves(self) -> PlanState:
        by_wave = defaultdict[int, list[model.PlanStep]](list)
        for step in self.steps:
            if step.state in _OPEN:
                by_wave[step.wave].append(step)
        self.total = sum(map(len, by_wave.values()))
        broken = False
        for self.wave in sorted(by_wave):
            self._warn_late()
            done = await self._run_wave(by_wave[self.wave])
            if done is None:
                return PlanState.PAUSED
            if not done:
                broken = True
                if not self.options.keep_going:
                    break
        return PlanState.FAILED if broken else PlanState.APPLIED

    def _warn_late(self) -> None:
        """Tell once when what is deployed now takes effect a day later than one might think."""
        late = None if self.warned else waves.late(model.now(), self.plan.document["zone"])
        if late:
            self.warned = True
            self.audience.remark(late)

    def _expect_complete(self) -> None:
        blocked = self.plan.document["blocked"]
        if blocked and not self.options.leave_out_blocked:
            raise InvalidInput(
                f"{len(blocked)} of {self.plan.document['counts']['dependents']} dependents are blocked",
                where=f"plan:{self.plan.id}",
                instruction="remove what blocks them and plan again, or apply with --leave-out-blocked",
            )

    async def _expect_unmoved(self) -> None:
        """Raises: Conflict: a unit does not hold what it held when the plan was made."""
        untouched = await self._each(self.steps, self._is_on_old)
        moved = [step.action["unit"] for step, same in zip(self.steps, untouched, strict=True) if not same]
        if moved:
            more = [f"and {len(moved) - _NAMED} more"] if len(moved) > _NAMED else []
            told = "\n  ".join(["these have changed since the plan was made", *moved[:_NAMED], *more])
            raise Conflict(told, where=f"plan:{self.plan.id}", instruction="scan and plan again, and look at it again")

    async def _expect_same_world(self) -> None:
        """Bring what is under way back where both sources are not what was looked at any more.

        Raises:
            Conflict: Something of the registry has changed since the plan was made.
        """
        moved = self._moved()
        if not moved:
            return
        under_way = [step for step in self.steps if step.state in (StepState.RUNNING, StepState.REVERTING)]
        await self._revert(under_way, {}, "something has changed since the plan was made")
        self._end(PlanState.FAILED)
        raise Conflict(
            "\n  ".join(["something has changed since the plan was made; nothing is under way any more", *moved]),
            where=f"plan:{self.plan.id}",
            instruction=f"plan again for the rest, or `headwater repoint rollback {self.plan.id}` takes all of it back",
        )

    async def _run_wave(self, steps: Sequence[model.PlanStep]) -> bool | None:
        """One wave, verified. Returns False where it failed and was rolled back, None where it was cut by a pause."""
        whole = self._unlocked(bundles.of(steps))
        failures, touched, cut = dict[int, str](), list[model.PlanStep](), False
        for chunk in bundles.filled(whole, CHUNK):
            if self._paused():
                cut = True
                break
            touched += chunk
            failures |= await self._forward(chunk)
            if failures:
                break
        failures = failures or await self._verified(touched) or self._record_done(touched)
        if failures:
            left = await self._revert(touched, failures, f"wave {self.wave + 1} failed")
            ended = f"{left} of it could not be brought back" if left else "was rolled back"
            self.audience.remark(f"wave {self.wave + 1} failed and {ended}: {next(iter(failures.values()))}")
            return False
        return None if cut else True

    def _unlocked(self, whole: Sequence[Bundle]) -> Sequence[Bundle]:
        """Without those that somebody is editing right now, and those that a dependent ties to them."""
        if self.options.force_locked:
            return whole
        ids = [one["id"] for bundle in whole for step in bundle for one in step.action["dependents"]]
        with self.store.database.read() as session:
            editors = records.locked(session, ids, self.by)
        # What was begun is ended: it had no editor then, or was forced.
        held = [
            (bundle, editor)
            for bundle in whole
            if (editor := bundles.editor(bundle, editors)) and all(one.state != StepState.RUNNING for one in bundle)
        ]
        moves = [
            (step, StepState.SKIPPED, None, None, f"{editor} is editing {'it' if len(bundle) == 1 else _TIED}")
            for bundle, editor in held
            for step in bundle
        ]
        if moves:
            self.store.plans.record_all(moves)
            self.audience.remark(f"{len(moves)} skipped: somebody is editing them")
        self.total -= len(moves)
        skipped = {step.id for step, *_ in moves}
        return [bundle for bundle in whole if bundle[0].id not in skipped]

    async def _forward(self, steps: Sequence[model.PlanStep]) -> dict[int, str]:
        """Journal and rewrite a chunk. Returns what failed: id of the step -> why."""
        self.store.plans.record_all(
            [(step, StepState.RUNNING, _print(step, "before"), _print(step, "after"), "") for step in steps]
        )
        told = await self._each(steps, self._there)
        self.done += len(steps)
        self._tell()
        return {step.id: why for step, why in zip(steps, told, strict=True) if why is not None}

    async def _there(self, step: model.PlanStep) -> str | None:
        try:
            await units.go(self._adapter(step), units.there(step), self.title)
        except Exception as error:
            return units.told(error)
        return None

    async def _verified(self, steps: Sequence[model.PlanStep]) -> dict[int, str]:
        """Test the new source from where these run, and run those that declare a smoke run."""
        pairs = {Pair(*pair) for step in steps for pair in step.action["pairs"]}
        reach = await self.observer.reach(sorted(pairs)) if pairs else {}
        failures = {
            step.id: f"not Connectable from {pair[2]} any more: {reach[Pair(*pair)].told}"
            for step in steps
            for pair in step.action["pairs"]
            if not reach[Pair(*pair)].connectable
        }
        smoking = [step for step in steps if any(one.get("details") for one in step.action["dependents"])]
        told = await self._each(smoking, self._smoke) if not failures else []
        return failures | {step.id: why for step, why in zip(smoking, told, strict=False) if why}

    async def _smoke(self, step: model.PlanStep) -> str | None:
        for one in step.action["dependents"]:
            if not one.get("details"):
                continue
            try:
                problem = await self._adapter(step).smoke(step.action["unit"], one["details"])
            except Exception as error:
                problem = units.told(error)
            if problem:
                return f"the smoke run of {one['name']} failed: {problem}"
        return None

    def _record_done(self, steps: Sequence[model.PlanStep]) -> dict[int, str]:
        """Let the references move. Returns what failed: that the new source, or a side of it, was deleted meanwhile."""
        for chunk in _chunks(steps):
            with self.store.database.write() as session:
                if lost := moving.lost(session, self.plan):
                    return {step.id: f"{lost} meanwhile" for step in chunk}
                self.store.plans.record_all([(step, StepState.DONE, None, None, "") for step in chunk], session=session)
                old, new = moving.ends(session, self.plan)
                shifts = [_shift(step) for step in chunk]
                records.shift(session, shifts, old, new)
                records.audited(session, shifts, "repoint", old, new, self.plan.id, self.by)
        self._tell()
        return {}

    # --- back ---------------------------------------------------------------------------------------------------

    async def rollback(self) -> Outcome:
        """Everything that was done, the last wave first."""
        if self.plan.state in (PlanState.READY, PlanState.ROLLED_BACK):
            told = f"plan {self.plan.id} is {self.plan.state}: there is nothing to take back"
            raise InvalidInput(told, where=f"plan:{self.plan.id}")
        with self.store.database.read() as session:
            sources.find(session, *self.plan.document["old"].split("/", 1))  # nobody is sent to what is gone
        if self.plan.state != PlanState.ROLLING_BACK:
            self.store.plans.move(self.plan.id, PlanState.ROLLING_BACK, self.by)
        touched = (StepState.DONE, StepState.RUNNING, StepState.REVERTING, StepState.FAILED)
        steps = [step for step in reversed(self.steps) if step.state in touched]
        # A wave that failed has brought its units back; what became of them since is their owners' affair.
        there = [step for step in steps if step.state == StepState.FAILED and step.after == _print(step, "before")]
        self.store.plans.record_all([(step, StepState.ROLLED_BACK, None, None, step.message) for step in there])
        steps = [step for step in steps if step not in there]
        self.total = len(steps)
        left = await self._revert(steps, {}, "rolled back", tell=True)
        return self._end(PlanState.ROLLING_BACK if left else PlanState.ROLLED_BACK)

    async def _revert(
        self, steps: Sequence[model.PlanStep], failures: Mapping[int, str], why: str, *, tell: bool = False
    ) -> int:
        """Bring these back to the old source. Returns how many could not be.

        Args:
            failures: Id of the step -> why it made the others go back.
            tell: Whether this is what the run is for, and its progress.
        """
        left, old = 0, self.plan.document["old"]
        for chunk in _chunks(steps):
            told = [failures.get(step.id, why) for step in chunk]
            self.store.plans.record_all(
                [(step, StepState.REVERTING, None, None, each) for step, each in zip(chunk, told, strict=True)]
            )
            kept = await self._each(chunk, self._backward)
            moves = []
            for step, each, problem in zip(chunk, told, kept, strict=True):
                failed = problem is not None or step.id in failures
                where = f"it could not be brought back: {problem}" if problem is not None else f"it is on {old} again"
                state = StepState.FAILED if failed else StepState.ROLLED_BACK
                moves.append(
                    (step, state, None, _print(step, "before") if problem is None else None, f"{each}; {where}")
                )
            back = [step for step, problem in zip(chunk, kept, strict=True) if problem is None]
            left += len(chunk) - len(back)
            with self.store.database.write() as session:
                self.store.plans.record_all(moves, session=session)
                source, target = moving.ends(session, self.plan)
                shifts = [_shift(step, backwards=True) for step in back]
                records.shift(session, shifts, target, source)
                records.audited(session, shifts, "roll_back", target, source, self.plan.id, self.by)
            if tell:
                self.done, self.wave = self.done + len(chunk), chunk[-1].wave
            self._tell()
        return left

    async def _backward(self, step: model.PlanStep) -> str | None:
        try:
            await units.go(self._adapter(step), units.back(step), f"undo: {self.title}")
        except Exception as error:
            again = await self._is_on_old(step)
            names = f"it names {self.plan.document['old']} again, which did not take effect: " if again else ""
            return names + units.told(error)
        return None

    # --- both ---------------------------------------------------------------------------------------------------

    async def _is_on_old(self, step: model.PlanStep) -> bool:
        """Whether a unit holds what it held when the plan was made."""
        try:
            held = await self._adapter(step).read(step.action["unit"])
        except Exception:
            return False
        return {"fingerprint": held.fingerprint} == _print(step, "before")

    async def _each(self, steps: Sequence[model.PlanStep], work: Callable[[model.PlanStep], Awaitable[R]]) -> list[R]:
        return await lanes.each(steps, work, lambda step: blocks(self.adapters.get(step.action["adapter"])))

    def _adapter(self, step: model.PlanStep) -> Adapter:
        found = self.adapters.get(step.action["adapter"])
        if found is None:
            raise HeadwaterError(f"nothing here can rewrite what {step.action['adapter']} found")
        return found

    def _moved(self) -> list[str]:
        with self.store.database.read() as session:
            return moving.moved(session, self.plan)

    def _paused(self) -> bool:
        return self.store.plans.state(self.plan.id) is PlanState.PAUSED

    def _tell(self) -> None:
        seconds = time.monotonic() - self.started
        self.audience.progress(Progress(self.done, self.total, self.wave + 1, self.waves, seconds))

    def _end(self, state: PlanState) -> Outcome:
        if self.store.plans.state(self.plan.id) != state:
            self.store.plans.move(self.plan.id, state, self.by)
        counts = self.store.plans.counts(self.plan.id)
        return Outcome(self.plan.id, state, counts, time.monotonic() - self.started)


def _print(step: model.PlanStep, side: str) -> dict[str, str]:
    return {"fingerprint": step.action[side]}


def _shift(step: model.PlanStep, *, backwards: bool = False) -> Shift:
    renames = records.renames_of(step.action)
    renames = records.backwards(renames) if backwards else renames
    return Shift(step.action["unit"], renames, step.action["dependents"])


def _chunks(steps: Sequence[T]) -> Iterator[Sequence[T]]:
    return (steps[start : start + CHUNK] for start in range(0, len(steps), CHUNK))
