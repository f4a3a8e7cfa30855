"""What the registry has become since a repoint was planned: what a plan rests on, and what a run may still lose."""

from __future__ import annotations

from dataclasses import astuple

from sqlalchemy.orm import Session

from registry import model, plans, sources
from tasks.repointing import records, requests
from tasks.repointing.records import End


def ends(session: Session, plan: model.Plan) -> tuple[End, End]:
    """The old source and the new one, as far as they are still there."""
    return records.end(session, plan.document["old"]), records.end(session, plan.document["new"])


def moved(session: Session, plan: model.Plan) -> list[str]:
    """What has changed since the plan was made. Where the old source is gone, nobody can stay there: on it goes."""
    old, new = ends(session, plan)
    found = plans.moved(session, plan)
    if old.id is None:
        mine = (f"data_source:{old.path}", f"entry:{old.path}/")
        found = {object_: told for object_, told in found.items() if not object_.startswith(mine)}
    unshared = _unshared(session, plan) if new.id is not None else []
    return [*found.values(), *(f"{new.path} is not shared with {one} any more" for one in unshared)]


def lost(session: Session, plan: model.Plan) -> str:
    """How the new source has been lost since the plan was made; empty: it has not."""
    new = plan.document["new"]
    mine = (f"data_source:{new}", f"entry:{new}/")
    now = plans.versions_of(session, [object_ for object_ in plan.versions if object_.startswith(mine)])
    gone = [f"{object_} was deleted" for object_, version in now.items() if plan.versions[object_] and not version]
    return ", ".join(gone or [f"it was shared no more with {one}" for one in _unshared(session, plan)])


def _unshared(session: Session, plan: model.Plan) -> list[str]:
    """The workspaces, each with its side, that could use the new source when the plan was made, and cannot now."""
    wanted = {tuple(one) for one in plan.document["grants"]}
    if not wanted:
        return []
    new = sources.find(session, *plan.document["new"].split("/", 1))
    now = {astuple(one) for one in requests.grants_of(session, new)}
    return [f"{workspace}/{seen_as}" for _, workspace, seen_as, _ in sorted(wanted - now)]
