"""Deleting data sources: planned, held against those who depend on them, done all or nothing.

A plan tells for each source what its deletion does to whom. While production depends on an entry, it is not deleted,
unless its name is typed as well (`force`). What is applied is what was shown: whoever has begun to depend on a source
since, or may use it since, is a reason to plan again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from registry import access, impacts, model, plans, reconcile, sources, tombstones
from registry.access import Verb
from registry.audit import By
from registry.database import Database
from registry.errors import Conflict, HeadwaterError, InvalidInput, InvalidInputs
from registry.impacts import Impact
from registry.plans import PlanDraft, PlannedStep, Plans, PlanState, StepState

KIND = "delete"

Side = Literal["dev", "prod", "both"]

#: Sources that one plan deletes at most: it is one transaction.
MOST = 10_000


@dataclass(frozen=True)
class Proposal:
    """A stored plan of a deletion.

    Attributes:
        plan: As it is stored.
        impacts: One a source.
        refused: Source -> why it cannot be deleted as it stands; empty: the plan can be applied.
    """

    plan: model.Plan
    impacts: tuple[Impact, ...]
    refused: Mapping[str, str]


@dataclass(frozen=True)
class Deleted:
    """One source, or one side of it, that is gone; `tombstone` brings it back."""

    path: str
    envs: tuple[str, ...]
    tombstone: str


class Deletions:
    """Deletions in one registry."""

    def __init__(self, database: Database, plans_: Plans) -> None:
        self._database = database
        self._plans = plans_

    def plan(
        self,
        paths: Sequence[str],
        by: By,
        *,
        env: Side = "both",
        force: Collection[str] = (),
        detach: str | None = None,
        run: str | None = None,
    ) -> Proposal:
        """Show what deleting these sources would do, and keep it as a plan.

        Args:
            paths: `workspace/name` of each.
            env: Which entries; both: all that there are, and so the source.
            force: Names (or paths) of sources that go although production depends on them.
            detach: The compute resource that this is the detaching of; its source goes no other way.
            run: The flow run that plans.

        Raises:
            Forbidden: No role of whoever acts allows it.
            NotFound: No such workspace or source.
            InvalidInputs: A source has no such entry, or belongs to a compute resource; nothing is stored.
        """
        _expect_some(paths)
        with self._database.read() as session:
            found = [_Step.of(session, path, env, by, detach) for path in dict.fromkeys(paths)]
            problems = [problem for step in found for problem in step.problems]
            if problems:
                raise InvalidInputs(problems)
            versions = plans.versions_of(session, [name for step in found for name in step.objects])
        refused = {step.path: told for step in found if (told := step.refusal(force))}
        owners = {step.path.partition("/")[0] for step in found}
        document = {
            "env": env,
            "force": sorted(force),
            "refused": refused,
            "run": run,
            "sources": [step.impact.document() for step in found],
        }
        draft = PlanDraft(
            KIND, owners.pop() if len(owners) == 1 else None, document, versions, [step.planned() for step in found]
        )
        return Proposal(self._plans.create(draft, by), tuple(step.impact for step in found), refused)

    def apply(self, plan_id: str, by: By, *, force: Collection[str] = ()) -> list[Deleted]:
        """Do what a plan says, all of it or nothing; a plan that was killed half-way is gone on with.

        Args:
            force: As `plan`, beside what the plan says itself.

        Raises:
            Forbidden: No role of whoever acts allows it.
            NotFound: No such plan.
            InvalidInput: It is no deletion, is at its end or has expired; or production depends on a source.
            Conflict: Something has changed since it was shown.
        """
        plan = self._plans.get(plan_id)
        if plan.kind != KIND:
            raise InvalidInput(f"plan {plan.id} is no deletion: it is of kind {plan.kind}", where=f"plan:{plan.id}")
        with self._plans.hold(plan.id):
            plan = self._plans.begin(plan.id, by)
            try:
                self._delete_all(plan, {*force, *plan.document["force"]}, by)
            except HeadwaterError:
                self._plans.move(plan.id, PlanState.FAILED, by)
                raise
            self._plans.move(plan.id, PlanState.APPLIED, by)
        return self.done(plan.id)

    def done(self, plan_id: str) -> list[Deleted]:
        """What a plan has deleted."""
        return [
            Deleted(step.action["source"], tuple(step.action["envs"]), (step.after or {})["tombstone"])
            for step in self._plans.steps(plan_id, StepState.DONE)
        ]

    def delete(self, path: str, by: By, *, env: Side = "both", force: Collection[str] = ()) -> Deleted:
        """Plan and apply the deletion of one source.

        Raises:
            HeadwaterError: As `plan` and `apply`.
        """
        return self.apply(self.plan([path], by, env=env, force=force).plan.id, by)[0]

    def of_run(self, run: str) -> model.Plan | None:
        """The deletion that a flow run has planned: it finds it again when it goes on after an approval."""
        known = self._plans.list(kind=KIND, limit=1000)
        return next((plan for plan in known if plan.document.get("run") == run), None)

    def _delete_all(self, plan: model.Plan, force: Collection[str], by: By) -> None:
        waiting = [step for step in self._plans.steps(plan.id) if step.state != StepState.DONE]
        with self._database.write() as session:
            for step in waiting:
                row, envs = _still(session, plan, step, force, by)
                tombstone = tombstones.bury(session, row, envs, by)
                after = {"tombstone": tombstone.id}
                self._plans.record(step, StepState.DONE, after=after, session=session)


class _Step:
    """One source on its way out."""

    def __init__(self, session: Session, row: model.DataSource, envs: Collection[str]) -> None:
        self.path, self.envs = row.path, sorted(envs)
        left = {entry.env for entry in row.entries} - set(envs)
        uses, grants = impacts.uses_of(session, row.id), impacts.grants_of(session, row.id)
        self.impact = impacts.impact(row.path, envs, left, uses, grants)
        self.detach: str | None = None
        self.problems: list[InvalidInput] = []

    @classmethod
    def of(cls, session: Session, path: str, env: Side, by: By, detach: str | None) -> _Step:
        """The step of a source as it is now, with what is wrong with it.

        Raises:
            Forbidden: No role of whoever acts allows it.
            NotFound: No such source.
        """
        owner, _, name = path.partition("/")
        row = sources.find(session, owner, name)
        access.require(session, by, Verb.DELETE, row.workspace)
        present = [entry.env for entry in row.entries]
        step = cls(session, row, present if env == "both" else [env])
        step.detach = detach
        if env != "both" and env not in present:
            told, advice = f"it has no {env} entry", f"it has: {', '.join(present) or 'none'}"
            step.problems.append(InvalidInput(told, where=f"{path}/{env}", instruction=advice))
        if row.origin == "automatically" and detach is None:
            step.problems.append(reconcile.belongs_to_compute_resource(path))
        return step

    @property
    def objects(self) -> list[str]:
        return [f"data_source:{self.path}", *(f"entry:{self.path}/{env}" for env in self.envs)]

    def refusal(self, force: Collection[str]) -> str:
        """Why it must not be deleted; empty: it may."""
        if not self.impact.blocking or {self.path, self.path.partition("/")[2]} & set(force):
            return ""
        hits = self.impact.blocking
        names = ", ".join(f"{hit.use.name} ({hit.use.workspace}, {hit.use.module})" for hit in hits[:5])
        return f"in use by {len(hits)} in production: {names}{', ...' if len(hits) > 5 else ''}"

    def planned(self) -> PlannedStep:
        action: dict[str, Any] = {
            "do": "detach" if self.detach else "delete",
            "source": self.path,
            "envs": self.envs,
            "blocking": sorted({hit.use.dependent for hit in self.impact.blocking}),
            "grants": _grants(self.impact),
        }
        return PlannedStep(action)


def _expect_some(paths: Sequence[str]) -> None:
    if not paths:
        raise InvalidInput("no data source is to be deleted", where="source", instruction="`headwater list` shows them")
    if len(paths) > MOST:
        told = f"{len(paths)} data sources are too many for one plan, {MOST} are the most"
        raise InvalidInput(told, where="source", instruction="narrow the filter")


def _grants(impact: Impact) -> list[list[str]]:
    return sorted([grant.entry, grant.workspace, grant.env, grant.user] for grant in impact.grants)


def _still(
    session: Session, plan: model.Plan, step: model.PlanStep, force: Collection[str], by: By
) -> tuple[model.DataSource, list[str]]:
    """The source of a step, where everything is as the plan showed it, in the transaction that deletes it.

    Raises:
        Forbidden: No role of whoever acts allows it.
        InvalidInput: Production depends on it.
        Conflict: Something is otherwise.
    """
    path, where = step.action["source"], f"plan:{plan.id}"
    owner, _, name = path.partition("/")
    again = "plan again, and look at it again"
    expected = {object_: plan.versions[object_] for object_ in _objects(step)}
    if plans.versions_of(session, [*expected]) != expected:
        raise Conflict(f"{path} has changed since the plan was made", where=where, instruction=again)
    row = sources.find(session, owner, name)
    access.require(session, by, Verb.DELETE, row.workspace)
    if row.origin == "automatically" and step.action["do"] != "detach":
        raise reconcile.belongs_to_compute_resource(path)
    now = _Step(session, row, step.action["envs"])
    refused = now.refusal(force)
    if refused:
        raise in_use(path, refused)
    new = {hit.use.dependent for hit in now.impact.blocking} - set(step.action["blocking"])
    if new or _grants(now.impact) != step.action["grants"]:
        what = f"{len(new)} more in production depend on it" if new else "it is shared otherwise"
        raise Conflict(f"since the plan was made, {what}", where=f"data_source:{path}", instruction=again)
    return row, now.envs


def in_use(path: str, refused: str) -> InvalidInput:
    """The refusal to delete what production depends on."""
    return InvalidInput(
        f"data source {path} is {refused}",
        where=f"data_source:{path}",
        instruction=f"move them to another source first (headwater repoint {path} NEW), or type its name as well: "
        f"--force {path.partition('/')[2]}",
    )


def _objects(step: model.PlanStep) -> list[str]:
    path = step.action["source"]
    return [f"data_source:{path}", *(f"entry:{path}/{env}" for env in step.action["envs"])]
