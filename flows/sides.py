"""Both environments of one data source: checked from every resource group, surveyed from one, compared."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flows import checking
from flows.checking import GroupPlan
from registry.connection import Connection
from registry.store import Store
from registry.targets import CheckTarget
from registry.verdict import STAGES, Status, Verdict
from tasks.comparison import Difference, differences, entry_differences
from tasks.comparison.explanation import explanations
from tasks.comparison.survey import Survey, Wanted
from tasks.comparison.surveying import Surveyed, survey
from tasks.target import Target
from tasks.vantages import Outpost

_ENVS = ("dev", "prod")
_WORKERS_ALONE = (
    "neither side was looked into: a worker checks, and does not survey, and the workspace has worker groups alone "
    "({workers}). To have the sides compared, bind a group of kind ssh to the workspace that leads to a machine in the "
    "network of a worker; or one of kind local, and run this on that machine"
)
_NOBODY = "no local or ssh group ({others}) gets as far as its login"
_A_WORKER_DOES = "{workers} does, and is a worker, which checks and does not survey: bind an ssh group in its network"


@dataclass(frozen=True)
class Sides:
    """What was found.

    Attributes:
        surveys: Environment -> its survey, None where it could not be made.
        looked_from: Environment -> the group that it was surveyed from.
        notes: What could not be found out, and why.
    """

    verdicts: Sequence[Verdict]
    surveys: Mapping[str, Survey | None]
    looked_from: Mapping[str, str]
    differences: Sequence[Difference]
    explanations: Sequence[str]
    notes: Sequence[str]

    @property
    def complete(self) -> bool:
        """Whether both sides were looked into."""
        return all(self.surveys[env] is not None for env in _ENVS)

    @property
    def matter(self) -> bool:
        """Whether anything differs that a job can tell, or a side fails."""
        return any(one.matters for one in self.differences) or not all(one.connectable for one in self.verdicts)


async def gather(store: Store, found: Sequence[CheckTarget], wanted: Wanted, *, timeout: float) -> Sides:
    """Check, survey and compare both environments.

    Args:
        found: The targets of one data source, both environments.
        timeout: Seconds for each check and each survey.
    """
    verdicts = [one async for one in checking.run(checking.plan(store, found), timeout=timeout)]
    surveyed = await _surveys(store, found, verdicts, wanted, timeout)
    surveys = {env: surveyed[env][1].survey if env in surveyed else None for env in _ENVS}
    dev, prod = (surveys[env] for env in _ENVS)
    differing = differences(dev, prod) if dev is not None and prod is not None else []
    differing += _entries(found)
    return Sides(
        verdicts,
        surveys,
        {env: group for env, (group, _) in surveyed.items()},
        differing,
        explanations(verdicts, differing),
        [*_not_reached(found, verdicts, surveyed), *_notes(surveyed)],
    )


async def _surveys(
    store: Store, found: Sequence[CheckTarget], verdicts: Sequence[Verdict], wanted: Wanted, timeout: float
) -> dict[str, tuple[str, Surveyed]]:
    """Environment -> the group that it was surveyed from, and what came of it."""
    plans = {plan.group: plan for plan in checking.plan(store, found)}
    chosen = _places([name for name, plan in plans.items() if not isinstance(plan.vantage, Outpost)], verdicts)

    objects = _bound(found)

    async def one(env: str, plan: GroupPlan) -> tuple[str, tuple[str, Surveyed]]:
        target = next(target for target in plan.targets if target.env == env)
        return env, (plan.group, await _survey(_binding(target, objects), plan, wanted, timeout))

    try:
        return dict(await asyncio.gather(*(one(env, plans[group]) for env, group in chosen.items())))
    finally:
        await asyncio.gather(*(plan.vantage.close() for plan in plans.values()))


def _bound(found: Sequence[CheckTarget]) -> tuple[str, ...]:
    """What either environment binds: both are asked for all of it."""
    return tuple(dict.fromkeys(name for one in found if one.connection for name in one.connection.objects))


def _binding(target: Target, objects: tuple[str, ...]) -> Target:
    if target.connection is None:
        return target
    return replace(target, connection=target.connection.model_copy(update={"objects": objects}))


async def _survey(target: Target, plan: GroupPlan, wanted: Wanted, timeout: float) -> Surveyed:
    assert not isinstance(plan.vantage, Outpost)  # noqa: S101 - `_places` chose among the others
    return await survey(target, plan.vantage, wanted, timeout=timeout)


def _places(groups: Sequence[str], verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Environment -> the group to survey it from: one for both where there is one, the first of equals."""
    reached = {(one.env, one.resource_group): _reached(one) for one in verdicts}
    best = {env: max(groups, key=lambda group: reached.get((env, group), 0), default=None) for env in _ENVS}
    both = max(groups, key=lambda group: min(reached.get((env, group), 0) for env in _ENVS), default=None)
    if both is not None and all(reached.get((env, both), 0) > STAGES.index("login") for env in _ENVS):
        return dict.fromkeys(_ENVS, both)
    return {env: group for env, group in best.items() if group and reached.get((env, group), 0) > STAGES.index("login")}


def _reached(verdict: Verdict) -> int:
    """How far a check came: the number of the stage that failed, or of those there are."""
    failed = next((stage.name for stage in verdict.stages if stage.status is Status.FAILED), None)
    return len(STAGES) if verdict.connectable or failed is None else STAGES.index(failed)


def _not_reached(
    found: Sequence[CheckTarget], verdicts: Sequence[Verdict], surveyed: Mapping[str, tuple[str, Surveyed]]
) -> list[str]:
    """Which side no group could be sent to, why, and from where it could be looked into."""
    kinds = {one.group.name: one.group.kind for one in found}
    workers, others = (
        [name for name, kind in kinds.items() if (kind == "worker") is is_one] for is_one in (True, False)
    )
    if not others:
        return [_WORKERS_ALONE.format(workers=", ".join(workers))]
    notes = []
    for env in _ENVS:
        if env in surveyed:
            continue
        get_there = [one.resource_group for one in verdicts if one.env == env and one.connectable]
        why = _NOBODY.format(others=", ".join(others))
        beside = _A_WORKER_DOES.format(workers=", ".join(get_there)) if get_there else ""
        notes.append(f"{env} could not be surveyed: {'; '.join(filter(None, (why, beside)))}")
    return notes


def _notes(surveyed: Mapping[str, tuple[str, Surveyed]]) -> list[str]:
    notes: list[str] = []
    for env, (group, one) in surveyed.items():
        if one.survey is None:
            why = one.verdict.message or _skipped(one.verdict)
            notes.append(f"{env} could not be surveyed from {group}: {why}")
        else:
            notes += [f"{env}: {thing.name}: {note}" for thing in one.survey.objects for note in thing.notes]
            notes += [f"{env}: {note}" for note in one.survey.notes]
    if len({group for group, _ in surveyed.values()}) > 1:
        places = ", ".join(f"{env} from {group}" for env, (group, _) in surveyed.items())
        notes.append(f"no group reaches both, so {places} was looked at")
    return notes


def _skipped(verdict: Verdict) -> str:
    return str(verdict.stages[-1].evidence.get("reason", "nothing came of it"))


def _entries(found: Sequence[CheckTarget]) -> list[Difference]:
    connections = {one.env: one.connection for one in found if one.connection is not None}
    if set(connections) != set(_ENVS):
        return []
    fields = [_fields(connections[env]) for env in _ENVS]
    return entry_differences(fields[0], fields[1])


def _fields(connection: Connection) -> dict[str, object]:
    """What an entry says openly: references to secrets stay away, as they say where a secret lies."""
    hidden = {*connection.sensitive_fields(), *connection.secret_mappings}
    return {"mode": connection.mode.value, **connection.model_dump(mode="json", exclude=hidden)}
