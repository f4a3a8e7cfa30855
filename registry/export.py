"""`headwater export`: the registry as a declarative file. Applying it to the same registry changes nothing.

Secrets stand as references. `stored:ID` means something to this registry alone: elsewhere it is to be set anew. Of the
files that workspaces keep, certificates are public and stand in it; of all others, such as keys, the digest does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from registry import certificate_files, entries, model, texts, workspaces
from registry.audit import By
from registry.documents import VERSION
from registry.errors import SecretUnresolved
from registry.keyring import Keyring
from registry.reconcile import ATTRIBUTES
from registry.secrets import Secrets
from registry.sharing import Grant
from registry.store import Store

_HEADER = "# Written by `headwater export`; `headwater apply -f FILE` reads it back.\n"


def export(
    store: Store, workspace: str | None = None, *, among: Sequence[str] | None = None, by: By | None = None
) -> str:
    """The YAML of a workspace and its resource groups, or of everything.

    Args:
        among: The workspaces that may be looked at; None: all.
        by: Who asks, for the sharing rules that he may see; None: the registry itself.

    Raises:
        NotFound: No such workspace.
    """
    return _HEADER + texts.dump(document(store, workspace, among=among, by=by))


def document(
    store: Store, workspace: str | None = None, *, among: Sequence[str] | None = None, by: By | None = None
) -> dict[str, Any]:
    """As `export`, but as data."""
    shares, tenant = store.sharing.list(by=by), [one for one in store.members.list() if not one.workspace]
    with store.database.read() as session:
        whole = workspace is None and among is None
        if whole:
            owners = [*session.scalars(select(model.Workspace).order_by(model.Workspace.name))]
            places = [*session.scalars(select(model.ResourceGroup).order_by(model.ResourceGroup.name))]
        else:
            wanted = [workspace] if workspace is not None else sorted(among or ())
            owners = [workspaces.find(session, name) for name in wanted]
            bound = {group.name: group for owner in owners for group in workspaces.bound_groups(session, owner)}
            places = [bound[name] for name in sorted(bound)]
        above = [{"user": one.user, "role": one.role.value} for one in tenant] if whole else []
        # A rule that names a workspace which is not here could not be applied where that is not either.
        here = {owner.name for owner in owners}
        inside = [one for one in shares if one.workspace in here]
        return {
            "version": VERSION,
            **({"tenant_members": above} if above else {}),
            "resource_groups": [_group(place) for place in places],
            "workspaces": [_workspace(session, owner, inside, store.secrets) for owner in owners],
        }


def _group(group: model.ResourceGroup) -> dict[str, Any]:
    settings = {group.kind: group.settings} if group.settings else {}
    network = {"network": group.network} if group.network else {}
    return {"name": group.name, "kind": group.kind, **settings, **network}


def _workspace(session: Session, owner: model.Workspace, shares: Sequence[Grant], secrets: Secrets) -> dict[str, Any]:
    stated: dict[str, Any] = {name: value for name, value in workspaces.snapshot(session, owner).items() if value}
    stated["resource_groups"] = [group.name for group in workspaces.bound_groups(session, owner)]
    files = _files(session, owner, secrets)
    stated |= {"certificate_files": files} if files else {}
    rows = session.scalars(
        select(model.DataSource)
        .where(model.DataSource.workspace_id == owner.id)
        .order_by(model.DataSource.name)
        .options(selectinload(model.DataSource.entries))
    ).all()
    engines = session.scalars(
        select(model.ComputeResource)
        .where(model.ComputeResource.workspace_id == owner.id)
        .order_by(model.ComputeResource.name)
    ).all()
    made = {engine.data_source_id for engine in engines}
    if engines:
        sources = {row.id: row for row in rows}
        stated["compute_resources"] = [_engine(engine, sources.get(engine.data_source_id or 0)) for engine in engines]
    shared = [_share(one) for one in shares if one.source.startswith(f"{owner.name}/")]
    stated |= {"shares": shared} if shared else {}
    return {"name": owner.name, **stated, "data_sources": [_source(row) for row in rows if row.id not in made]}


def _share(grant: Grant) -> dict[str, Any]:
    source = grant.source.partition("/")[2]
    whom = {"user": grant.user} if grant.user else {}
    return {"source": source, "workspace": grant.workspace, "env": grant.env, "side": grant.entry, **whom}


def _files(session: Session, owner: model.Workspace, secrets: Secrets) -> list[dict[str, Any]]:
    rows = certificate_files.of(session, owner)
    ring = secrets.ring() if rows else None
    return [_file(row, ring, owner.name) for row in rows]


def _file(row: model.CertificateFile, ring: Keyring | SecretUnresolved | None, workspace: str) -> dict[str, Any]:
    stated = {"description": row.description} if row.description else {}
    try:
        content = certificate_files.opened(row, ring, workspace)
    except SecretUnresolved:
        content = b""
    public = certificate_files.is_public(content)
    kept = {"content": content.decode("ascii")} if public else {"digest": row.digest}
    return {"name": row.name, "id": row.id, **stated, **kept}


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
