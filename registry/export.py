"""`headwater export`: the registry as a declarative file. Applying it to the same registry changes nothing.

Secrets stand as references. `stored:ID` means something to this registry alone: elsewhere it is to be set anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from registry import entries, model, texts, workspaces
from registry.documents import VERSION
from registry.reconcile import ATTRIBUTES
from registry.store import Store

_HEADER = "# Written by `headwater export`; `headwater apply -f FILE` reads it back.\n"


def export(store: Store, workspace: str | None = None, *, among: Sequence[str] | None = None) -> str:
    """The YAML of a workspace and its resource groups, or of everything.

    Args:
        among: The workspaces that may be looked at; None: all.

    Raises:
        NotFound: No such workspace.
    """
    return _HEADER + texts.dump(document(store, workspace, among=among))


def document(store: Store, workspace: str | None = None, *, among: Sequence[str] | None = None) -> dict[str, Any]:
    """As `export`, but as data."""
    with store.database.read() as session:
        if workspace is None and among is None:
            owners = [*session.scalars(select(model.Workspace).order_by(model.Workspace.name))]
            places = [*session.scalars(select(model.ResourceGroup).order_by(model.ResourceGroup.name))]
        else:
            wanted = [workspace] if workspace is not None else sorted(among or ())
            owners = [workspaces.find(session, name) for name in wanted]
            bound = {group.name: group for owner in owners for group in workspaces.bound_groups(session, owner)}
            places = [bound[name] for name in sorted(bound)]
        return {
            "version": VERSION,
            "resource_groups": [_group(place) for place in places],
            "workspaces": [_workspace(session, owner) for owner in owners],
        }


def _group(group: model.ResourceGroup) -> dict[str, Any]:
    settings = {group.kind: group.settings} if group.settings else {}
    network = {"network": group.network} if group.network else {}
    return {"name": group.name, "kind": group.kind, **settings, **network}


def _workspace(session: Session, owner: model.Workspace) -> dict[str, Any]:
    stated: dict[str, Any] = {name: value for name, value in workspaces.snapshot(session, owner).items() if value}
    stated["resource_groups"] = [group.name for group in workspaces.bound_groups(session, owner)]
    rows = session.scalars(
        select(model.DataSource)
        .where(model.DataSource.workspace_id == owner.id)
        .order_by(model.DataSource.name)
        .options(selectinload(model.DataSource.entries))
    )
    made, plain = dict[int, model.DataSource](), list[model.DataSource]()
    engines = session.scalars(
        select(model.ComputeResource)
        .where(model.ComputeResource.workspace_id == owner.id)
        .order_by(model.ComputeResource.name)
    ).all()
    of_engines = {engine.data_source_id for engine in engines}
    for row in rows:
        if row.id in of_engines:
            made[row.id] = row
        else:
            plain.append(row)
    if engines:
        stated["compute_resources"] = [_engine(engine, made.get(engine.data_source_id or 0)) for engine in engines]
    return {"name": owner.name, **stated, "data_sources": [_source(row) for row in plain]}


def _engine(engine: model.ComputeResource, source: model.DataSource | None) -> dict[str, Any]:
    stated = {"default": True} if engine.is_default else {}
    settings = {"settings": engine.settings} if engine.settings else {}
    return {"name": engine.name, "type": engine.type, **stated, **settings, **(_source(source) if source else {})}


def _source(row: model.DataSource) -> dict[str, Any]:
    # Kind follows from the type, and origin is no wish.
    named = ("description", "tags", "visibility", "permits")
    stated = {name: getattr(row, name) for name in named if getattr(row, name) != ATTRIBUTES[name]}
    return {
        "name": row.name,
        "type": row.type,
        **stated,
        **{
            entry.env: {"mode": entry.mode, **entries.joined(entry.properties, entry.references)}
            for entry in row.entries
        },
    }
