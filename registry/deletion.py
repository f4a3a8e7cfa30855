"""Deleting data sources: planned, held against those who depend on them, done all or nothing.

A plan tells for each source what its deletion does to whom. While production depends on an entry, it is not deleted,
unless its name is typed as well (`force`). What is applied is what was shown: whoever has begun to depend on a source
since, or may use it since, is a reason to plan again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from registry import access, audit, burying, impacts, model, reconcile, sources, tombstones, workspaces
from registry.access import Verb
from registry.audit import By
from registry.database import Database
from registry.errors import Conflict, HeadwaterError, InvalidInput, InvalidInputs, NotFound
from registry.impacts import Granted, Impact, Use
from registry.plans import PlanDraft, PlannedStep, Plans, PlanState, StepState
from registry.resolving import chunks

KIND = "delete"

Side = Literal["dev", "prod", "both"]

#: Sources that one plan deletes at most: it is one transaction.
MOST = 5_000
#: Dependents that the audit names of a deletion that was forced.
_NAMED = 50
_AGAIN = "plan again, and look at it again"


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
            rows = _rows(session, dict.fromkeys(paths), by)
            uses, grants = impacts.uses_of(session, ids := [row.id for row in rows]), impacts.grants_of(session, ids)
            moving = _moving(session)
            found = [_Step.wanted(row, env, detach, uses[row.id], grants[row.id]) for row in rows]
            for step in found:
                step.moving = moving.get(step.path, "")
            problems = [problem for step in found for problem in step.problems]
            if problems:
                raise InvalidInputs(problems)
            versions = {name: version for step in found for name, version in step.versions.items()}
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
        self._permit(plan, by)
        with self._plans.hold(plan.id):
            if self._plans.state(plan.id) is PlanState.FAILED:  # nothing of it was done
                self._plans.expect_fresh(plan.id, by)
            plan = self._plans.begin(plan.id, by)
            try:
                self._delete_all(plan, {*force, *plan.document["force"]}, by)
            except HeadwaterError:
                self._plans.move(plan.id, PlanState.FAILED, by)
                raise
            self._plans.move(plan.id, PlanState.APPLIED, by)
        return self.done(plan.id)

    def _permit(self, plan: model.Plan, by: By) -> None:
        """Raises: Forbidden: before the plan is touched."""
        owners = sorted({one["source"].partition("/")[0] for one in plan.document["sources"]})
        with self._database.read() as session:
            for owner in owners:
                access.require(session, by, Verb.DELETE, workspaces.find(session, owner))

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
        return self._plans.of_run(KIND, run) if run else None

    def _delete_all(self, plan: model.Plan, force: Collection[str], by: By) -> None:
        waiting = [step for step in self._plans.steps(plan.id) if step.state != StepState.DONE]
        with self._database.write() as session:
            tombstones.purge(session, by)
            moving = _moving(session)
            for chunk in chunks(waiting):
                rows = _rows_still_there(session, plan, chunk, by)
                ids = [row.id for row in rows]
                uses, grants = impacts.uses_of(session, ids), impacts.grants_of(session, ids)
                forced = []
                for row, step in zip(rows, chunk, strict=True):
                    now = _Step(row, step.action["envs"], uses[row.id], grants[row.id])
                    now.moving = moving.get(now.path, "")
                    _expect_same(plan, step, row, now, force)
                    forced += [now.forced(by)] if now.refusal(()) else []
                audit.write(session, forced)
                gone = [(row, step.action["envs"]) for row, step in zip(rows, chunk, strict=True)]
                left = burying.bury(session, gone, by)
                done = [
                    (step, StepState.DONE, None, {"tombstone": one.id}, "")
                    for step, one in zip(chunk, left, strict=True)
                ]
                self._plans.record_all(done, session=session)
                session.expunge_all()


class _Step:
    """One source on its way out."""

    def __init__(
        self, row: model.DataSource, envs: Collection[str], uses: Sequence[Use], grants: Sequence[Granted]
    ) -> None:
        self.path, self.envs, self.row = row.path, sorted(envs), row
        left = {entry.env for entry in row.entries} - set(envs)
        self.impact = impacts.impact(row.path, envs, left, uses, grants)
        self.detach: str | None = None
        #: The repoint that is moving its dependents right now; empty: none is.
        self.moving = ""
        self.problems: list[InvalidInput] = []

    @classmethod
    def wanted(
        cls,
        row: model.DataSource,
        env: Side,
        detach: str | None,
        uses: Sequence[Use],
        grants: Sequence[Granted],
    ) -> _Step:
        """The step of a source as it is now, with what is wrong with it."""
        present = [entry.env for entry in row.entries]
        step = cls(row, present if env == "both" else [env], uses, grants)
        step.detach = detach
        if env != "both" and env not in present:
            told, advice = f"it has no {env} entry", f"it has: {', '.join(present) or 'none'}"
            step.problems.append(InvalidInput(told, where=f"{row.path}/{env}", instruction=advice))
        if row.origin == "automatically" and detach is None:
            step.problems.append(reconcile.belongs_to_compute_resource(row.path))
        return step

    @property
    def versions(self) -> dict[str, int]:
        """What it was seen at."""
        entries = {f"entry:{self.path}/{entry.env}": entry.version for entry in self.row.entries}
        seen = {name: version for name, version in entries.items() if name.rpartition("/")[2] in self.envs}
        return {f"data_source:{self.path}": self.row.version, **seen}

    def refusal(self, force: Collection[str]) -> str:
        """Why it must not be deleted; empty: it may."""
        if {self.path, self.path.partition("/")[2]} & set(force):
            return ""
        if self.moving:
            return f"being repointed, which is under way: headwater repoint status {self.moving}"
        hits = self.impact.blocking
        if not hits:
            return ""
        names = ", ".join(f"{hit.use.name} ({hit.use.workspace}, {hit.use.module})" for hit in hits[:5])
        return f"in use by {len(hits)} in production: {names}{', ...' if len(hits) > 5 else ''}"

    def forced(self, by: By) -> dict[str, Any]:
        """What the audit keeps of a deletion although production depends on it."""
        hits = self.impact.blocking
        named = [f"{hit.use.workspace}/{hit.use.name} ({hit.use.module})" for hit in hits[:_NAMED]]
        after = {"envs": self.envs, "production_dependents": len(hits), "dependents": named}
        after |= {"repoint": self.moving} if self.moving else {}
        return by.record("force", f"data_source:{self.path}", version=None, before=None, after=after)

    def planned(self) -> PlannedStep:
        action: dict[str, Any] = {
            "do": "detach" if self.detach else "delete",
            "source": self.path,
            "envs": self.envs,
            "blocking": sorted({hit.use.dependent for hit in self.impact.blocking}),
            "grants": _grants(self.impact),
        }
        return PlannedStep(action)


#: The states of a repoint in which dependents are on their way; of one that is rolled back, while it has such steps:
#: what others have changed meanwhile is left to them, and keeps no source.
_UNDER_WAY = (PlanState.APPLYING, PlanState.PAUSED)
_GOING_BACK = (StepState.DONE, StepState.RUNNING, StepState.REVERTING)


def _moving(session: Session) -> dict[str, str]:
    """Source -> the repoint that is moving dependents from it or to it: who comes is not in its references yet."""
    plan, step = model.Plan, model.PlanStep
    ends = [plan.document[end].as_string() for end in ("old", "new")]
    going_back = exists().where(step.plan_id == plan.id, step.state.in_(_GOING_BACK))
    under_way = or_(plan.state.in_(_UNDER_WAY), and_(plan.state == PlanState.ROLLING_BACK, going_back))
    rows = session.execute(select(plan.id, *ends).where(plan.kind == "repoint", under_way))
    return {path: id_ for id_, *paths in rows for path in paths}


def _expect_some(paths: Sequence[str]) -> None:
    if not paths:
        raise InvalidInput("no data source is to be deleted", where="source", instruction="`headwater list` shows them")
    if len(paths) > MOST:
        told = f"{len(paths)} data sources are too many for one plan, {MOST} are the most"
        raise InvalidInput(told, where="source", instruction="narrow the filter")


def _grants(impact: Impact) -> list[list[str]]:
    return sorted([grant.entry, grant.workspace, grant.env, grant.user] for grant in impact.grants)


def _rows(session: Session, paths: Iterable[str], by: By) -> list[model.DataSource]:
    """The sources of these paths in their order, with their workspaces and entries.

    Raises:
        Forbidden: No role of whoever acts allows it to delete them.
        NotFound: No such source.
        InvalidInput: It is one that another workspace shares.
    """
    named: defaultdict[str, list[str]] = defaultdict(list)
    for path in (paths := [*paths]):
        owner, _, name = path.partition("/")
        named[owner].append(name)
    found: dict[str, model.DataSource] = {}
    for owner, names in named.items():
        workspace = workspaces.find(session, owner)
        access.require(session, by, Verb.DELETE, workspace)
        for chunk in chunks(names):
            for row in reconcile.existing(session, workspace, chunk).values():
                set_committed_value(row, "workspace", workspace)
                found[f"{owner}/{row.name}"] = row
    return [found.get(path) or sources.find(session, *path.split("/", 1)) for path in paths]


def _rows_still_there(
    session: Session, plan: model.Plan, steps: Sequence[model.PlanStep], by: By
) -> list[model.DataSource]:
    """As `_rows`, of sources that were there when the plan began. Raises: Conflict: one has gone since."""
    try:
        return _rows(session, [step.action["source"] for step in steps], by)
    except NotFound as gone:
        told = f"something has gone since the plan was made: {gone.reason}"
        raise Conflict(told, where=f"plan:{plan.id}", instruction=_AGAIN) from None


def _expect_same(
    plan: model.Plan, step: model.PlanStep, row: model.DataSource, now: _Step, force: Collection[str]
) -> None:
    """Let a step pass where everything is as the plan showed it, in the transaction that deletes.

    Raises:
        InvalidInput: Production depends on it.
        Conflict: Something is otherwise.
    """
    if any(plan.versions.get(name) != version for name, version in now.versions.items()):
        told = f"{now.path} has changed since the plan was made"
        raise Conflict(told, where=f"plan:{plan.id}", instruction=_AGAIN)
    if row.origin == "automatically" and step.action["do"] != "detach":
        raise reconcile.belongs_to_compute_resource(now.path)
    refused = now.refusal(force)
    if refused:
        raise in_use(now.path, refused)
    new = {hit.use.dependent for hit in now.impact.blocking} - set(step.action["blocking"])
    if new or _grants(now.impact) != step.action["grants"]:
        what = f"{len(new)} more in production depend on it" if new else "it is shared otherwise"
        raise Conflict(f"since the plan was made, {what}", where=f"data_source:{now.path}", instruction=_AGAIN)


def in_use(path: str, refused: str) -> InvalidInput:
    """The refusal to delete what production depends on."""
    return InvalidInput(
        f"data source {path} is {refused}",
        where=f"data_source:{path}",
        instruction=f"move them to another source first (headwater repoint {path} NEW), or type its name as well: "
        f"--force {path.partition('/')[2]}",
    )
