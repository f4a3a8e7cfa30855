"""Upgrading a workspace from basic to standard: planned, applied in one piece, taken back as long as nobody has built
on it.

What takes long (reading ten thousand sources, building their dev sides, opening their stored secrets) is done before,
in chunks, and changes nothing. The switch itself is one transaction: dev sides, encrypted secrets of their own, changed
identities, the mode, the audit and the steps of the plan. So nobody ever sees a workspace between its modes, and after
kill -9 it is either basic or standard; applied again, the plan goes on to the same end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import (
    access,
    audit,
    entries,
    model,
    plans,
    reconcile,
    texts,
    upgrade_plan,
    upgrade_switch,
    upgrade_undo,
    workspaces,
)
from registry.access import Verb
from registry.audit import By
from registry.connection import Connection
from registry.connection.reading import PENDING
from registry.database import Database
from registry.errors import HeadwaterError, InvalidInput, InvalidInputs, SecretUnresolved
from registry.plans import ENDED, PlanDraft, PlannedStep, Plans, PlanState, StepState
from registry.secrets import Secrets
from registry.upgrade_mapping import Mapped
from registry.upgrade_plan import Outlook

KIND = "upgrade"

#: Sources that are made ready together, between two reports of progress.
CHUNK = 500

#: Called with (what is being done, done, in all).
Progress = Callable[[str, int, int], None]


def silent(_what: str, _done: int, _total: int) -> None:
    """Progress for nobody."""


@dataclass(frozen=True)
class Upgraded:
    """What an upgrade did. `seconds` is how long the registry was held for the switch itself."""

    workspace: str
    plan: str
    copied: int
    seconds: float = 0.0


@dataclass(frozen=True)
class _Bearer:
    """A prod side whose stored secrets are wanted."""

    path: str
    connection: Connection | None


class Upgrades:
    """The upgrades of one registry."""

    def __init__(self, database: Database, secrets: Secrets, plans_: Plans) -> None:
        self._database = database
        self._secrets = secrets
        self._plans = plans_

    def plan(
        self,
        workspace: str,
        by: By,
        *,
        mapping: Mapped | None = None,
        run: str | None = None,
        progress: Progress = silent,
    ) -> model.Plan:
        """Show what an upgrade would do, and keep it as a plan; `document["blocks"]` tells what stands in its way.

        Args:
            mapping: What dev sides have of their own.
            run: The flow run that plans.

        Raises:
            Forbidden: No role of whoever acts allows it.
            NotFound: No such workspace.
            InvalidInput: It is standard already.
            InvalidInputs: Faults of the mapping file, each with its line.
        """
        with texts.collector_paused(), self._database.read() as session:
            owner = workspaces.find(session, workspace)
            access.require(session, by, Verb.UPGRADE, owner)
            _expect_basic(owner)
            sources = upgrade_plan.rows(session, owner)
            made = upgrade_plan.attached(session, owner)
            outlooks = upgrade_plan.beside(_outlooks(sources, made, mapping, workspace, progress))
            stuck = upgrade_plan.blocks(session, owner, outlooks, by.at)
            members = upgrade_plan.members(session, owner)
            document = {
                "run": run,
                "blocks": stuck + self._unreadable(workspace, outlooks),
                "sources": _counts(outlooks),
                "shares_target": [one.row.name for one in outlooks if one.shares],
                "members": members,
                "deployers": [one["user"] for one in members if one["deploys"]],
                "tasks": upgrade_plan.tasks(session, owner),
                "shared_in": upgrade_plan.shared_in(session, owner),
            }
            versions = plans.versions_of(session, [f"workspace:{workspace}"])
        given = mapping.given if mapping is not None else {}
        steps = [PlannedStep(one.action(given.get(one.row.name))) for one in outlooks]
        steps.append(PlannedStep({"do": "switch", "workspace": workspace}, wave=1))
        return self._plans.create(PlanDraft(KIND, workspace, document, versions, steps), by)

    def apply(self, plan_id: str, by: By, *, confirmed: bool, progress: Progress = silent) -> Upgraded:
        """Do what a plan says, all of it or nothing; a plan that was killed half-way is gone on with.

        Args:
            confirmed: Whether whoever acts has said yes to what cannot be taken back for ever.

        Raises:
            Forbidden: No role of whoever acts allows it.
            NotFound: No such plan.
            InvalidInput: It is not confirmed, is no upgrade, is blocked, has expired or is at its end.
            Conflict: Something has changed since it was shown, or somebody else applies it.
        """
        plan = self._get(plan_id)
        with self._plans.hold(plan.id):
            plan, name = self._plans.get(plan.id), self._workspace_of(plan)
            with self._database.write() as session:  # for its audit, where it is refused
                access.require(session, by, Verb.UPGRADE, workspaces.find(session, name))
            if plan.state not in ENDED:
                upgrade_switch.expect_clear(plan, name, confirmed)
            if plan.state == PlanState.READY:
                with self._database.read() as session:
                    upgrade_switch.expect_unmoved(
                        session, workspaces.find(session, name), plan, self._plans.steps(plan.id)
                    )
            plan = self._plans.begin(plan.id, by, lambda session: self._expect_alone(session, plan, name))
            seconds = 0.0
            if not self._is_switched(plan):
                with self._failing(plan, by), texts.collector_paused():
                    seconds = self._switch(plan, name, by, progress)
            self._plans.move(plan.id, PlanState.APPLIED, by)
        return Upgraded(name, plan.id, self._copied(plan), seconds)

    def undo(self, named: str, by: By, *, progress: Progress = silent) -> Upgraded:
        """Take an upgrade back, as long as nothing was changed in the standard workspace.

        Args:
            named: The workspace, or the plan.

        Raises:
            Forbidden: No role of whoever acts allows it.
            NotFound: No such plan.
            InvalidInput: The workspace was not upgraded.
            Conflict: Something was changed since; says what, by whom, when.
        """
        plan = self.latest(named) or self._get(self._expect_plan(named))
        with self._plans.hold(plan.id):
            plan, name = self._plans.get(plan.id), self._workspace_of(plan)
            if plan.state == PlanState.ROLLED_BACK:
                raise InvalidInput(f"plan {plan.id} is undone already", where=f"plan:{plan.id}")
            with self._database.write() as session:
                access.require(session, by, Verb.UPGRADE, workspaces.find(session, name))
            seconds = 0.0
            if self._is_switched(plan):
                with self._database.read() as session:
                    upgrade_undo.expect_untouched(session, name, plan.id)
                    upgrade_switch.expect_alone(session, workspaces.find(session, name), plan)
                self._plans.move(plan.id, PlanState.ROLLING_BACK, by)
                with self._failing(plan, by, PlanState.APPLIED), texts.collector_paused():
                    seconds = self._switch_back(plan, name, by, progress)
            done = self._copied(plan, StepState.ROLLED_BACK)
            self._plans.move(plan.id, PlanState.ROLLED_BACK, by)
        return Upgraded(name, plan.id, done, seconds)

    def latest(self, workspace: str) -> model.Plan | None:
        """The newest plan of an upgrade of this workspace that was begun; None: there is none."""
        wanted = (
            select(model.Plan)
            .join(model.Workspace, model.Workspace.id == model.Plan.workspace_id)
            .where(model.Plan.kind == KIND, model.Workspace.name == workspace)
            .where(model.Plan.state.not_in([PlanState.READY, PlanState.FAILED]))
            .order_by(model.Plan.created_at.desc())
        )
        with self._database.read() as session:
            return session.scalars(wanted.limit(1)).first()

    def is_done(self, plan: model.Plan) -> bool:
        """Whether the workspace of a plan is upgraded by it."""
        return plan.state == PlanState.APPLIED or self._is_switched(plan)

    # -- parts -------------------------------------------------------------------------------------------------------

    @staticmethod
    def _expect_alone(session: Session, plan: model.Plan, name: str) -> None:
        upgrade_switch.expect_alone(session, workspaces.find(session, name), plan)

    def _get(self, id_: str) -> model.Plan:
        plan = self._plans.get(id_)
        if plan.kind != KIND:
            raise InvalidInput(f"plan {plan.id} is no upgrade: it is of kind {plan.kind}", where=f"plan:{plan.id}")
        return plan

    def _expect_plan(self, named: str) -> str:
        with self._database.read() as session:
            if session.scalar(select(model.Workspace.id).where(model.Workspace.name == named)) is not None:
                told = f"workspace {named} was not upgraded: there is nothing to take back"
                raise InvalidInput(told, where=f"workspace:{named}")
        return named

    def _workspace_of(self, plan: model.Plan) -> str:
        with self._database.read() as session:
            return session.get_one(model.Workspace, plan.workspace_id).name

    def _copied(self, plan: model.Plan, state: StepState = StepState.DONE) -> int:
        return max(0, self._plans.counts(plan.id).get(state, 0) - 1)

    def _is_switched(self, plan: model.Plan) -> bool:
        wanted = select(model.PlanStep.state).where(model.PlanStep.plan_id == plan.id, model.PlanStep.wave == 1)
        with self._database.read() as session:
            return session.scalar(wanted) == StepState.DONE

    @contextmanager
    def _failing(self, plan: model.Plan, by: By, state: PlanState = PlanState.FAILED) -> Iterator[None]:
        """Nothing was changed where it fails: the plan says so."""
        try:
            yield
        except HeadwaterError:
            self._plans.move(plan.id, state, by)
            raise

    def _unreadable(self, workspace: str, outlooks: Sequence[Outlook]) -> list[dict[str, str]]:
        """A stored secret that no key opens cannot be copied."""
        found = []
        for path, secrets in self._secrets_of(workspace, outlooks).items():
            if isinstance(secrets, SecretUnresolved):
                remedy = secrets.instruction or "set the secret again"
                found.append({"where": path, "why": secrets.reason, "remedy": remedy})
        return found

    def _secrets_of(self, workspace: str, outlooks: Sequence[Outlook]) -> dict[str, Any]:
        """`workspace/name/prod` -> the stored secrets that its dev side takes over, or why they cannot be had."""
        bearers = []
        for one in outlooks:
            prod = one.row.entry("prod")
            if one.dev is None or prod is None or one.blocks:
                continue
            wanted = {name for name, text in one.dev.connection.secret_references().items() if text == PENDING}
            kept = {name: text for name, text in prod.references.items() if name in wanted}
            if kept:
                only = entries.build(one.row.type, prod.mode, prod.properties, kept)
                bearers.append(_Bearer(f"{workspace}/{one.row.name}/prod", only))
        return {bearer.path: found for bearer, found in zip(bearers, self._secrets.resolve(bearers), strict=True)}

    def _switch(self, plan: model.Plan, name: str, by: By, progress: Progress) -> float:
        steps = self._plans.steps(plan.id)
        ready = self._make_ready(name, steps, progress)
        started = time.perf_counter()
        with self._database.write() as session:
            owner = workspaces.find(session, name)
            access.require(session, by, Verb.UPGRADE, owner)
            _expect_basic(owner)
            upgrade_switch.expect_unmoved(session, owner, plan, steps)
            upgrade_switch.expect_alone(session, owner, plan)
            before = upgrade_switch.prod_sides(session, owner, steps)
            owner.mode = "standard"
            for column, value in by.changed(owner.version).items():
                setattr(owner, column, value)
            session.flush()

            def report(done: int, total: int) -> None:
                progress("copying", done, total)

            reconcile.put_ready(session, self._secrets, ready, by, progress=report)
            upgrade_switch.point_development_at_dev(session, owner)
            upgrade_switch.note_done(session, self._plans, owner, steps, before)
            audit.write(session, [upgrade_switch.switched(owner, "upgrade", "basic", "standard", plan, by)])
        return time.perf_counter() - started

    def _make_ready(self, workspace: str, steps: Sequence[model.PlanStep], progress: Progress) -> reconcile.Ready:
        """The sources as they shall be, chunk by chunk, before the registry is held.

        Raises:
            Conflict: One is otherwise than planned.
            SecretUnresolved: A stored secret that no key opens any more.
        """
        made = list[reconcile.Ready]()
        actions = {step.action["source"]: step.action for step in steps if step.wave == 0}
        with self._database.read() as session:
            owner = workspaces.find(session, workspace)
            attached = upgrade_plan.attached(session, owner)
            names = [*actions]
            for start in range(0, len(names), CHUNK):
                chunk = names[start : start + CHUNK]
                found = reconcile.existing(session, owner, chunk)
                outlooks = [upgrade_plan.outlook(row, attached, actions[row.name]["given"]) for row in found.values()]
                secrets = self._secrets_of(workspace, outlooks)
                drafts = [
                    upgrade_switch.draft(one, secrets.get(f"{workspace}/{one.row.name}/prod", {})) for one in outlooks
                ]
                wanted = [draft for draft in drafts if draft is not None]
                made.append(reconcile.make_ready(session, self._secrets, owner, wanted, "standard"))
                session.expunge_all()
                session.add(owner)
                progress("making ready", min(start + CHUNK, len(names)), len(names))
        return reconcile.Ready([step for one in made for step in one.steps])

    def _switch_back(self, plan: model.Plan, name: str, by: By, progress: Progress) -> float:
        started = time.perf_counter()
        steps = self._plans.steps(plan.id)
        with self._database.write() as session:
            owner = workspaces.find(session, name)
            access.require(session, by, Verb.UPGRADE, owner)
            upgrade_undo.expect_untouched(session, name, plan.id)
            upgrade_switch.expect_alone(session, owner, plan)
            upgrade_undo.take_back(session, owner, steps, by, lambda done, total: progress("taking back", done, total))
            owner.mode = "basic"
            for column, value in by.changed(owner.version).items():
                setattr(owner, column, value)
            session.flush()
            self._plans.record_all([(step, StepState.ROLLED_BACK, None, None, "") for step in steps], session=session)
            audit.write(session, [upgrade_switch.switched(owner, "undo upgrade", "standard", "basic", plan, by)])
        return time.perf_counter() - started


# --- planning -------------------------------------------------------------------------------------------------------


def _expect_basic(owner: model.Workspace) -> None:
    if owner.mode != "basic":
        raise InvalidInput(
            f"workspace {owner.name} is {owner.mode} already",
            where=f"workspace:{owner.name}",
            instruction=f"headwater workspace show {owner.name}",
        )


def _outlooks(
    sources: Sequence[model.DataSource],
    made: set[int],
    mapping: Mapped | None,
    workspace: str,
    progress: Progress,
) -> list[Outlook]:
    given = mapping.given if mapping is not None else {}
    problems = mapping.expect_known([row.name for row in sources], workspace) if mapping is not None else []
    found = []
    for number, row in enumerate(sources, start=1):
        try:
            found.append(upgrade_plan.outlook(row, made, given.get(row.name)))
        except InvalidInput as error:
            if mapping is None:
                raise
            problems += mapping.told(row.name, error)
        if number % CHUNK == 0 or number == len(sources):
            progress("looking", number, len(sources))
    if problems:
        raise InvalidInputs(problems)
    return found


def _counts(outlooks: Sequence[Outlook]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in outlooks:
        counts[one.fate] = counts.get(one.fate, 0) + 1
    return counts
