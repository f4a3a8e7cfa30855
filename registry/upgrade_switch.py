"""The parts of an upgrade's one transaction: what must hold before it, and what it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from registry import entries, model, reconcile, upgrade_plan, usage
from registry.audit import By
from registry.entries import EntryDraft, SourceDraft
from registry.errors import Conflict, InvalidInput, SecretUnresolved
from registry.plans import Plans, StepState
from registry.upgrade_plan import Outlook

_CHUNK = 500


def expect_clear(plan: model.Plan, name: str, confirmed: bool) -> None:
    """Raises: InvalidInput: something was in the way of a plan when it was made, or nobody has said yes."""
    where, stuck = f"plan:{plan.id}", plan.document["blocks"]
    if stuck:
        told = "\n  ".join(f"{one['where']}: {one['why']}; {one['remedy']}" for one in stuck[:20])
        more = f"\n  and {len(stuck) - 20} more" if len(stuck) > 20 else ""
        advice = f"mend them, then plan again: headwater workspace upgrade {name}"
        raise InvalidInput(f"workspace {name} cannot be upgraded:\n  {told}{more}", where=where, instruction=advice)
    if not confirmed:
        told = f"upgrading {name} to standard is irreversible once something is changed in it, and nobody has said yes"
        raise InvalidInput(told, where=where, instruction="say --yes after looking at the plan")


def expect_unmoved(session: Session, owner: model.Workspace, plan: model.Plan, steps: Sequence[model.PlanStep]) -> None:
    """Let the sources be those of the plan, each in the version that was planned.

    Raises:
        Conflict: They are not; names them.
    """
    planned = {step.action["source"]: step.action["version"] for step in steps if step.wave == 0}
    wanted = select(model.DataSource.name, model.DataSource.version).where(model.DataSource.workspace_id == owner.id)
    now = dict(session.execute(wanted).tuples().all())
    moved = [
        f"{owner.name}/{name}: {_moved(planned.get(name), now.get(name))}"
        for name in sorted({*planned, *now})
        if planned.get(name) != now.get(name)
    ]
    if moved:
        told = "\n  ".join(["something has changed since the plan was made", *moved[:20]])
        advice = f"plan again, and look at it again: headwater workspace upgrade {owner.name}"
        raise Conflict(told, where=f"plan:{plan.id}", instruction=advice)


def _moved(was: int | None, now: int | None) -> str:
    if was is None:
        return "is new"
    return "is gone" if now is None else f"version {was} then, {now} now"


def expect_alone(session: Session, owner: model.Workspace, plan: model.Plan) -> None:
    """Raises: Conflict: another plan is being applied to the workspace."""
    others = upgrade_plan.plans_in_progress(session, owner, but=plan.id)
    if others:
        told = f"{others[0]['where']}: {others[0]['why']}"
        raise Conflict(told, where=f"plan:{plan.id}", instruction=others[0]["remedy"])


def draft(one: Outlook, secrets: Any) -> SourceDraft | None:
    """A source as it shall be; None where nothing of it changes."""
    prod = one.row.entry("prod")
    if one.dev is None or prod is None:
        return None
    if isinstance(secrets, SecretUnresolved):
        raise secrets
    sides = {"dev": EntryDraft(one.dev.connection, dict(secrets), one.dev.removed)}
    if one.prod:
        changed = {**prod.properties, **{name: after for name, (_, after) in one.prod.items()}}
        kept = entries.build(one.row.type, prod.mode, changed, prod.references)
        sides["prod"] = EntryDraft(kept, removed=upgrade_plan.removed(prod))
    return SourceDraft(one.row.name, one.row.type, sides)


def prod_sides(session: Session, owner: model.Workspace, steps: Sequence[model.PlanStep]) -> dict[str, dict[str, Any]]:
    """What upgrade_undo needs of the prod sides that change: source -> its properties before."""
    names = [step.action["source"] for step in steps if step.action.get("prod")]
    found = {}
    for start in range(0, len(names), _CHUNK):
        for row in reconcile.existing(session, owner, names[start : start + _CHUNK]).values():
            prod = row.entry("prod")
            assert prod is not None  # noqa: S101 - it changes
            found[row.name] = dict(prod.properties)
    return found


def point_development_at_dev(session: Session, owner: model.Workspace) -> None:
    """References of what runs in development lead to dev sides from now on, by the rules of use."""
    one = model.Dependent
    wanted = select(one.id, one.task_kind, one.module).where(one.workspace_id == owner.id, one.env == "dev")
    ids = [
        id_ for id_, kind, module in session.execute(wanted) if usage.env_for(kind, module, "dev", "standard") == "dev"
    ]
    own = select(model.Entry.data_source_id).join(model.DataSource)
    own = own.where(model.DataSource.workspace_id == owner.id, model.Entry.env == "dev")
    for start in range(0, len(ids), _CHUNK):
        of_them = model.Reference.dependent_id.in_(ids[start : start + _CHUNK])
        moving = update(model.Reference).where(of_them, model.Reference.data_source_id.in_(own))
        session.execute(moving.values(env="dev"), execution_options={"synchronize_session": False})


def note_done(
    session: Session,
    plans_: Plans,
    owner: model.Workspace,
    steps: Sequence[model.PlanStep],
    before: Mapping[str, Mapping[str, Any]],
) -> None:
    """Record the steps of a plan, with what undoing them takes."""
    wanted = select(model.DataSource.name, model.DataSource.version).where(model.DataSource.workspace_id == owner.id)
    versions = dict(session.execute(wanted).tuples().all())
    moves = []
    for step in steps:
        name = step.action.get("source", "")
        old: dict[str, Any] = {"version": step.action.get("version"), "prod": before.get(name)}
        new: dict[str, Any] = {"version": versions.get(name)}
        if step.wave:
            old, new = {"mode": "basic"}, {"mode": "standard", "version": owner.version}
        moves.append((step, StepState.DONE, old, new, ""))
    plans_.record_all(moves, session=session)


def switched(owner: model.Workspace, action: str, was: str, now: str, plan: model.Plan, by: By) -> dict[str, Any]:
    """The record of the audit that a workspace has changed its mode: the last one of the transaction."""
    after = {"mode": now, "plan": plan.id}
    return by.record(action, f"workspace:{owner.name}", version=owner.version, before={"mode": was}, after=after)
