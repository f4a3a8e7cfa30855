"""Taking an upgrade back: only as long as nothing was changed in the workspace since, and then all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session, aliased

from registry import audit, model
from registry.audit import By
from registry.errors import Conflict

_CHUNK = 500

#: Actions of the audit that change nothing of a workspace: what was found, used or refused.
_NO_CHANGE = ("scan", "connect", "refuse")

#: Changes that a refusal names.
_MOST_NAMED = 10


def expect_untouched(session: Session, workspace: str, plan: str) -> None:
    """Let an upgrade be taken back only where nobody has changed anything since.

    A change is one of the workspace, its members, groups, sources, entries, shares or compute resources, or a repoint
    of a dependent from or to one of its sources.

    Raises:
        Conflict: Somebody has; says what, who and when.
    """
    one = model.AuditRecord
    upgraded = select(one.id).where(one.object == f"workspace:{workspace}", one.action == "upgrade")
    last = session.scalar(upgraded.order_by(one.id.desc()).limit(1)) or 0
    kinds = ("data_source", "entry", "compute_resource", "certificate_file")
    inside = [one.object.startswith(f"{kind}:{workspace}/", autoescape=True) for kind in kinds]
    here = or_(one.object == f"workspace:{workspace}", one.object.startswith("dependent:"), *inside)
    since = select(one).where(one.id > last, one.action.not_in(_NO_CHANGE), here).order_by(one.id)
    found = [record for record in session.scalars(since) if _concerns(record, workspace)]
    lines = [
        f"{record.actor} at {record.at:%Y-%m-%d %H:%M:%S} UTC: {record.action} {record.object}"
        for record in found[:_MOST_NAMED]
    ]
    lines += _shared_with_development(session, workspace)
    if lines:
        more = [f"and {len(found) - _MOST_NAMED} more"] if len(found) > _MOST_NAMED else []
        told = "\n  ".join([f"{workspace} was changed since it became standard", *lines, *more])
        advice = "an upgrade is taken back only until the first change: from here on the workspace stays standard"
        raise Conflict(told, where=f"plan:{plan}", instruction=advice)


def _shared_with_development(session: Session, workspace: str) -> list[str]:
    """What other workspaces share with a side that a basic workspace has not."""
    rule = model.SharingRule
    wanted = select(rule).join(model.Workspace, model.Workspace.id == rule.target_workspace_id)
    found = session.scalars(wanted.where(model.Workspace.name == workspace, rule.env == "dev"))
    return [f"{one.creator} at {one.created_at:%Y-%m-%d %H:%M:%S} UTC: share with its development" for one in found]


def _concerns(record: model.AuditRecord, workspace: str) -> bool:
    """Whether a record is of this workspace: a repoint is, whose source was or is one of its sources."""
    if not record.object.startswith("dependent:"):
        return True
    sides: tuple[Mapping[str, Any] | None, ...] = (record.before, record.after)
    return any(str((side or {}).get("source", "")).startswith(f"{workspace}/") for side in sides)


def take_back(
    session: Session,
    owner: model.Workspace,
    steps: Sequence[model.PlanStep],
    by: By,
    progress: Callable[[int, int], None],
) -> None:
    """Leave the sources of a workspace as they were before its upgrade; versions go on.

    Args:
        steps: Those of the plan, with what was before.
    """
    _point_development_at_prod(session, owner)
    before = {step.action["source"]: step.before or {} for step in steps if step.wave == 0}
    names = [*before]
    for start in range(0, len(names), _CHUNK):
        _restore(session, owner, {name: before[name] for name in names[start : start + _CHUNK]}, by)
        progress(min(start + _CHUNK, len(names)), len(names))


def _restore(session: Session, owner: model.Workspace, before: Mapping[str, Mapping[str, Any]], by: By) -> None:
    here = (model.DataSource.workspace_id == owner.id, model.DataSource.name.in_(before))
    columns = (model.DataSource.id, model.DataSource.name, model.DataSource.version)
    sources = {id_: (name, version) for id_, name, version in session.execute(select(*columns).where(*here))}
    mine = select(model.Entry).where(model.Entry.data_source_id.in_(sources))
    entries = [*session.scalars(mine)]
    touched: dict[int, dict[str, Any]] = {}
    records, changed = [], []
    for entry in entries:
        name, _ = sources[entry.data_source_id]
        path = f"{owner.name}/{name}"
        old = before[name].get("prod")
        if entry.env == "dev":
            record = by.record("delete", f"entry:{path}/dev", version=None, before=_shown(entry), after=None)
        elif old is not None:
            changed.append({"id": entry.id, "properties": old, **by.changed(entry.version)})
            sides = audit.sides(audit.differences(entry.properties, old))
            record = by.record(
                "update", f"entry:{path}/prod", version=entry.version + 1, before=sides[0], after=sides[1]
            )
        else:
            continue
        records.append(record)
        touched.setdefault(entry.data_source_id, {})[entry.env] = None
    rows = [{"id": id_, **by.changed(sources[id_][1])} for id_ in touched]
    for id_, sides_ in touched.items():
        told = {"undone": sorted(sides_)}
        path = f"{owner.name}/{sources[id_][0]}"
        records.append(by.record("update", f"data_source:{path}", version=sources[id_][1] + 1, before=None, after=told))
    session.expunge_all()
    session.add(owner)
    _write(session, rows, changed, [entry.id for entry in entries if entry.env == "dev"], [*sources])
    audit.write(session, records)


def _write(
    session: Session, rows: list[dict[str, Any]], changed: list[dict[str, Any]], gone: list[int], sources: list[int]
) -> None:
    if rows:
        session.execute(update(model.DataSource), rows)
    if changed:
        session.execute(update(model.Entry), changed)
    session.execute(delete(model.Entry).where(model.Entry.id.in_(gone)))
    for table in (model.Standing, model.VerdictRecord):
        session.execute(delete(table).where(table.data_source_id.in_(sources), table.env == "dev"))


def _shown(entry: model.Entry) -> dict[str, Any]:
    return {"mode": entry.mode, **entry.properties, **entry.references}


def _point_development_at_prod(session: Session, owner: model.Workspace) -> None:
    """A basic workspace has prod alone; a reference that was found on both sides is left once."""
    use, other = model.Reference, aliased(model.Reference)
    mine = select(model.Dependent.id).where(model.Dependent.workspace_id == owner.id)
    own = select(model.DataSource.id).where(model.DataSource.workspace_id == owner.id)
    here = (use.env == "dev", use.dependent_id.in_(mine), use.data_source_id.in_(own))
    same = (other.dependent_id == use.dependent_id, other.source == use.source, other.role == use.role)
    twice = session.scalars(select(use.id).join(other, same[0] & same[1] & same[2]).where(other.env == "prod", *here))
    quiet = {"synchronize_session": False}
    ids = [*twice]
    for start in range(0, len(ids), _CHUNK):
        session.execute(delete(use).where(use.id.in_(ids[start : start + _CHUNK])), execution_options=quiet)
    session.execute(update(use).where(*here).values(env="prod"), execution_options=quiet)
