"""Compute resources: engines attached to a workspace, most of which make a data source of the same name.

Which ones do is DataWorks' table (management of compute resources): MaxCompute, Hologres, AnalyticDB, ClickHouse,
StarRocks, OpenSearch and Lindorm do; EMR, CDH, Flink and Serverless Spark do not. Such a source is edited and deleted
through its compute resource alone: detaching deletes it, by the same plan, pre-check and tombstone as any deletion.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from registry import access, audit, identity, model, names, reconcile, workspaces
from registry.access import Verb
from registry.audit import By
from registry.changes import Action, Change
from registry.database import Database
from registry.deletion import Deletions, Proposal
from registry.entries import SourceDraft, draft_source
from registry.errors import Conflict, InvalidInput, NotFound
from registry.nearest import nearest
from registry.secrets import Secrets

#: Types that make a data source of their name.
WITH_SOURCE = (
    "maxcompute",
    "hologres",
    "analyticdb_for_mysql",
    "analyticdb_for_postgresql",
    "clickhouse",
    "starrocks",
    "opensearch",
    "lindorm",
)

#: Types that make none.
WITHOUT_SOURCE = ("emr", "cdh", "flink", "serverless_spark")


@dataclass(frozen=True)
class ComputeDraft:
    """A compute resource as it shall be; None: as it is, or the default for a new one.

    Attributes:
        source: The data source that it makes; of those that make none: None.
        settings: What else is known of the engine. No secrets.
    """

    name: str
    type: str
    source: SourceDraft | None = None
    is_default: bool | None = None
    settings: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Attached:
    """A compute resource of a workspace. `source` is the path of its data source; empty: it has none."""

    workspace: str
    name: str
    type: str
    is_default: bool
    source: str
    creator: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def draft(
    workspace: str,
    name: str,
    type_: str,
    entries: Mapping[str, Mapping[str, Any]],
    *,
    literals_allowed: bool,
    is_default: bool | None = None,
    settings: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    permitted: frozenset[str] = frozenset(),
) -> ComputeDraft:
    """Read a compute resource as people write it.

    Args:
        entries: Environment -> the fields of its data source there.
        literals_allowed: Whether a secret may stand there itself.
        attributes: What its data source has besides.
        permitted: URL parameters that an audited permit keeps.

    Raises:
        NotFound: An unknown type.
        InvalidInput: A name that cannot be, or entries of a type that makes no data source.
        InvalidInputs: Every fault of every entry.
    """
    where = f"compute_resource:{workspace}/{name}"
    names.DATA_SOURCE.check(name, where=where)
    known = _type(type_, where)
    if known in WITHOUT_SOURCE:
        if of_a_source := [*entries, *(attributes or ())]:
            told = f"a compute resource of type {known} makes no data source"
            raise InvalidInput(told, where=where, instruction=f"leave out {' and '.join(of_a_source)}")
        return ComputeDraft(name, known, None, is_default, settings)
    source = draft_source(
        name,
        known,
        entries,
        where=f"{workspace}/{name}",
        literals_allowed=literals_allowed,
        permitted=permitted,
        attributes=attributes,
    )
    return ComputeDraft(name, known, source, is_default, settings)


class ComputeResources:
    """The compute resources of one registry."""

    def __init__(self, database: Database, secrets: Secrets, deletions: Deletions) -> None:
        self._database = database
        self._secrets = secrets
        self._deletions = deletions

    def list(self, workspace: str | None = None) -> Sequence[Attached]:
        """The compute resources of a workspace, or of all.

        Raises:
            NotFound: No such workspace.
        """
        with self._database.read() as session:
            wanted = _all()
            if workspace is not None:
                wanted = wanted.where(model.ComputeResource.workspace_id == workspaces.find(session, workspace).id)
            return [_attached(row, owner) for row, owner in session.execute(wanted)]

    def attach(self, workspace: str, wanted: ComputeDraft, by: By) -> Attached:
        """Attach an engine, and make its data source.

        Raises:
            Forbidden: Whoever acts may not create data sources there.
            NotFound: No such workspace.
            Conflict: There is a compute resource, or a data source, of this name.
            InvalidInput: It lacks its prod side, or its dev side has no project or identity of its own.
        """
        with self._database.write() as session:
            owner = workspaces.find(session, workspace)
            access.require(session, by, Verb.CREATE, owner)
            _attach(session, self._secrets, owner, wanted, by)
            return _attached(_find(session, owner, wanted.name), workspace)

    def edit(self, workspace: str, wanted: ComputeDraft, by: By) -> Attached:
        """Change a compute resource and, with it, its data source; sides that are not named stay as they are.

        Raises:
            Forbidden: Whoever acts may not edit data sources there.
            NotFound: No such workspace or compute resource.
            InvalidInput: Another type; a dev side without project or identity of its own; or as `Sources.update`.
        """
        with self._database.write() as session:
            owner = workspaces.find(session, workspace)
            access.require(session, by, Verb.UPDATE, owner)
            _find(session, owner, wanted.name)
            _edit(session, self._secrets, owner, wanted, by)
            return _attached(_find(session, owner, wanted.name), workspace)

    def get(self, workspace: str, name: str) -> Attached:
        """One compute resource.

        Raises:
            NotFound: No such workspace or compute resource.
        """
        with self._database.read() as session:
            return _attached(_find(session, workspaces.find(session, workspace), name), workspace)

    def plan_detach(self, workspace: str, name: str, by: By, *, force: Collection[str] = ()) -> Proposal:
        """Plan the deletion of the data source that a compute resource has made, and of itself with it.

        Raises:
            Forbidden: Whoever acts may not delete data sources there.
            NotFound: No such workspace or compute resource.
            InvalidInput: It has no data source: `detach` is all it takes.
        """
        found = self.get(workspace, name)
        if not found.source:
            told = f"it is of type {found.type} and has no data source that would go with it"
            raise InvalidInput(told, where=_object(f"{workspace}/{name}"), instruction="detach it with --apply")
        return self._deletions.plan([found.source], by, force=force, detach=name)

    def detach(self, workspace: str, name: str, by: By) -> None:
        """Detach an engine that has no data source.

        Raises:
            Forbidden: Whoever acts may not delete data sources there.
            NotFound: No such workspace or compute resource.
            InvalidInput: It has a data source: `plan_detach`.
        """
        with self._database.write() as session:
            owner = workspaces.find(session, workspace)
            access.require(session, by, Verb.DELETE, owner)
            row = _find(session, owner, name)
            path = f"{workspace}/{name}"
            if row.data_source_id is not None:
                raise InvalidInput("its data source goes with it: that is planned first", where=_object(path))
            record = by.record("detach", _object(path), version=None, before=_snapshot(row), after=None)
            audit.write(session, [record])
            session.delete(row)


def makes_source(type_: str) -> bool:
    """Whether a compute resource of this type (a name or alias) makes a data source; of unknown ones: no."""
    try:
        return _type(type_, "") in WITH_SOURCE
    except NotFound:
        return False


def put(
    session: Session, secrets: Secrets, owner: model.Workspace, wanted: ComputeDraft, by: By, *, seal: bool = True
) -> Change:
    """Attach a compute resource, or bring it to what the draft says, in a transaction that holds the write lock.

    What is as the draft says already gets no new version and no audit record.

    Args:
        seal: False: encrypt nothing, because the transaction will be taken back.

    Raises:
        As `ComputeResources.attach` and `ComputeResources.edit`.
    """
    if _present(session, owner, wanted.name) is None:
        access.require(session, by, Verb.CREATE, owner)
        return _attach(session, secrets, owner, wanted, by, seal)
    return _edit(session, secrets, owner, wanted, by, seal)


def _attach(
    session: Session, secrets: Secrets, owner: model.Workspace, wanted: ComputeDraft, by: By, seal: bool = True
) -> Change:
    path = f"{owner.name}/{wanted.name}"
    _expect_new(session, owner, wanted)
    made, fields = None, dict[str, tuple[Any, Any]]()
    if wanted.source is not None:
        _expect_prod(wanted.source, path)
        automatic = replace(wanted.source, attributes={**wanted.source.attributes, "origin": "automatically"})
        fields |= _put_source(session, secrets, owner, automatic, by, seal).fields
        made = reconcile.existing(session, owner, [wanted.name])[wanted.name].id
        _expect_own_dev(session, made, wanted.type, path)
    row = model.ComputeResource(
        workspace_id=owner.id,
        name=wanted.name,
        type=wanted.type,
        is_default=bool(wanted.is_default),
        settings=dict(wanted.settings or {}),
        data_source_id=made,
        **by.new(),
    )
    session.add(row)
    session.flush()
    _only_default(session, row)
    after = _snapshot(row)
    audit.write(session, [by.record("attach", _object(path), version=1, before=None, after=after)])
    return Change(_object(path), Action.CREATE, audit.differences({}, after) | fields)


def _edit(
    session: Session, secrets: Secrets, owner: model.Workspace, wanted: ComputeDraft, by: By, seal: bool = True
) -> Change:
    path = f"{owner.name}/{wanted.name}"
    if _find(session, owner, wanted.name).type != wanted.type:
        told = "a type is never changed"
        raise InvalidInput(told, where=_object(path), instruction="detach it and attach another one")
    fields = dict[str, tuple[Any, Any]]()
    if wanted.source is not None:
        fields |= _put_source(session, secrets, owner, wanted.source, by, seal).fields
        source = reconcile.existing(session, owner, [wanted.name])[wanted.name]
        _expect_own_dev(session, source.id, wanted.type, path)
    row = _find(session, owner, wanted.name)
    before = _snapshot(row)
    row.settings = dict(wanted.settings) if wanted.settings is not None else row.settings
    row.is_default = wanted.is_default if wanted.is_default is not None else row.is_default
    changed = audit.differences(before, _snapshot(row))
    if changed:
        access.require(session, by, Verb.UPDATE, owner)
        for column, value in by.changed(row.version).items():
            setattr(row, column, value)
        session.flush()
        _only_default(session, row)
        old, new = audit.sides(changed)
        audit.write(session, [by.record("update", _object(path), version=row.version, before=old, after=new)])
    fields |= changed
    return Change(_object(path), Action.UPDATE if fields else Action.UNCHANGED, fields)


def _put_source(
    session: Session, secrets: Secrets, owner: model.Workspace, source: SourceDraft, by: By, seal: bool
) -> Change:
    return reconcile.put(session, secrets, owner, [source], by, seal=seal, by_compute_resource=True)[0]


def _type(name: str, where: str) -> str:
    wanted = name.strip().lower().replace("-", "_")
    if wanted in WITHOUT_SOURCE:
        return wanted
    from registry import types

    try:
        known = types.get(wanted).name
    except NotFound:
        known = ""
    if known in WITH_SOURCE:
        return known
    near = nearest(wanted, [*WITH_SOURCE, *WITHOUT_SOURCE], count=3) or [*WITH_SOURCE, *WITHOUT_SOURCE]
    raise NotFound(f"no compute resource is of type {name!r}", where=where, instruction=f"use {', '.join(near)}")


def _expect_new(session: Session, owner: model.Workspace, wanted: ComputeDraft) -> None:
    path = f"{owner.name}/{wanted.name}"
    if _present(session, owner, wanted.name) is not None:
        raise Conflict("there is a compute resource of this name", where=_object(path), instruction="edit or detach it")
    if wanted.source is not None and reconcile.existing(session, owner, [wanted.name]):
        advice = "choose another name, or delete the data source first"
        raise Conflict("there is a data source of this name", where=f"data_source:{path}", instruction=advice)


def _expect_prod(source: SourceDraft, path: str) -> None:
    if "prod" not in source.entries:
        advice = "give the fields of prod (and of dev, in a standard workspace)"
        raise InvalidInput("a compute resource needs its prod side", where=_object(path), instruction=advice)


def _expect_own_dev(session: Session, source_id: int, type_: str, path: str) -> None:
    wanted = select(model.Entry).where(model.Entry.data_source_id == source_id)
    sides = {entry.env: entry.properties for entry in session.scalars(wanted)}
    if type_ == "maxcompute" and len(sides) == 2:
        identity.expect_own_development(sides["dev"], sides["prod"], _object(path))


def _only_default(session: Session, row: model.ComputeResource) -> None:
    """A workspace has one default of a type."""
    if row.is_default:
        others = (
            model.ComputeResource.workspace_id == row.workspace_id,
            model.ComputeResource.type == row.type,
            model.ComputeResource.id != row.id,
        )
        session.execute(update(model.ComputeResource).where(*others).values(is_default=False))


def _all() -> Any:
    return (
        select(model.ComputeResource, model.Workspace.name)
        .join(model.Workspace, model.Workspace.id == model.ComputeResource.workspace_id)
        .order_by(model.Workspace.name, model.ComputeResource.name)
    )


def _present(session: Session, owner: model.Workspace, name: str) -> model.ComputeResource | None:
    here = model.ComputeResource.workspace_id == owner.id
    return session.scalar(select(model.ComputeResource).where(here, model.ComputeResource.name == name))


def _find(session: Session, owner: model.Workspace, name: str) -> model.ComputeResource:
    row = _present(session, owner, name)
    if row is None:
        here = model.ComputeResource.workspace_id == owner.id
        known = session.scalars(select(model.ComputeResource.name).where(here).order_by(model.ComputeResource.name))
        near = nearest(name, found := known.all(), count=3) or found[:5]
        advice = f"it has {', '.join(near)}" if near else "it has none"
        raise NotFound(f"workspace {owner.name} has no compute resource {name!r}", where="name", instruction=advice)
    return row


def _attached(row: model.ComputeResource, workspace: str) -> Attached:
    path = f"{workspace}/{row.name}" if row.data_source_id is not None else ""
    return Attached(workspace, row.name, row.type, row.is_default, path, row.creator, row.settings)


def _snapshot(row: model.ComputeResource) -> dict[str, Any]:
    return {"type": row.type, "is_default": row.is_default, "settings": dict(row.settings)}


def _object(path: str) -> str:
    return f"compute_resource:{path}"
