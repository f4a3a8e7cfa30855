"""Deleted data sources: what is left of them for 30 days, so that they can be brought back whole.

A deleted entry leaves its configuration and its sharing rules as a document, its stored secrets as they were encrypted,
and the history of its verdicts. Secrets are bound to `workspace/name/env` and to their own ids, and neither changes; so
they open again when the entry stands there again, and nowhere else. References of dependents name the source; they wait
for it without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.orm import Session, joinedload, selectinload

from registry import access, audit, buried_verdicts, entries, model, rows, workspaces
from registry.access import Verb
from registry.audit import By
from registry.database import Database
from registry.errors import Conflict, InvalidInput, NotFound

#: How long what was deleted can be brought back.
KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Restored:
    """What a restore brought back.

    Attributes:
        grants: Workspaces that may use it again.
        references: References of dependents that point to it again.
        left_out: What could not be brought back, and why.
    """

    path: str
    envs: tuple[str, ...]
    grants: tuple[str, ...] = ()
    references: int = 0
    left_out: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Remains:
    """A tombstone for people."""

    id: str
    workspace: str
    name: str
    type: str
    envs: tuple[str, ...]
    by: str
    at: datetime
    expires_at: datetime
    why: str

    @property
    def path(self) -> str:
        """`workspace/name`."""
        return f"{self.workspace}/{self.name}"


class Tombstones:
    """What is left of the deleted data sources of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, workspace: str | None = None) -> Sequence[Remains]:
        """Everything that can be brought back, the newest first.

        Raises:
            NotFound: No such workspace.
        """
        with self._database.read() as session:
            wanted = _unexpired(model.now())
            if workspace is not None:
                wanted = wanted.where(model.Tombstone.workspace_id == workspaces.find(session, workspace).id)
            return [_remains(row, owner) for row, owner in session.execute(wanted)]

    def find(self, named: str) -> Remains:
        """The tombstone of this id (or the beginning of one), or the newest of this name or `workspace/name`.

        Raises:
            NotFound: There is none, or it has expired.
            InvalidInput: Sources of several workspaces had this name.
        """
        with self._database.read() as session:
            return _remains(*_find(session, named, model.now()))

    def restore(self, named: str, by: By) -> Restored:
        """Bring back what one deletion took: entries, secrets, sharing rules, references, the compute resource.

        Args:
            named: As `find`.

        Raises:
            Forbidden: No role of whoever acts allows it.
            NotFound: As `find`.
            Conflict: Another source of this name, or another entry of this environment, stands in its place.
        """
        with self._database.write() as session:
            row, owner = _find(session, named, by.at)
            access.require(session, by, Verb.CREATE, session.get_one(model.Workspace, row.workspace_id))
            return unearth(session, row, owner, by)

    def purge(self, by: By) -> int:
        """Forget for good what has expired; how many."""
        with self._database.write() as session:
            return purge(session, by)


def unearth(session: Session, row: model.Tombstone, owner: str, by: By) -> Restored:
    """Bring back what a deletion took, in a transaction that holds the write lock; see `Tombstones.restore`."""
    path, document = f"{owner}/{row.name}", row.document
    workspace = session.get_one(model.Workspace, row.workspace_id)
    _expect_environments(workspace, path, row.envs)
    source = _source(session, row, path, by)
    back = {kept["env"]: _entry(session, source, kept, by) for kept in document["entries"]}
    buried = session.scalars(select(model.BuriedSecret).where(model.BuriedSecret.tombstone_id == row.id)).all()
    if buried:
        moved = [
            {**rows.some(one, "id", "field", "key_id", "ciphertext", "created_at"), "entry_id": back[one.env].id}
            for one in buried
        ]
        session.execute(insert(model.Secret), moved)
    buried_verdicts.unearth(session, row, source.id)
    grants, left_out = _share_again(session, document["rules"], back)
    left_out += _attach_again(session, document.get("compute_resource"), source, by)
    left_out += _lost_files(session, workspace, back)
    pointing = (model.Reference.source == path, model.Reference.data_source_id.is_(None))
    found = session.execute(update(model.Reference).where(*pointing).values(data_source_id=source.id))
    after = {"tombstone": row.id, "envs": list(row.envs), "shared_with": grants, "left_out": left_out}
    records = [by.record("restore", f"data_source:{path}", version=source.version, before=None, after=after)]
    for env, entry in back.items():
        snapshot = entries.snapshot(entry)
        records.append(by.record("restore", f"entry:{path}/{env}", version=entry.version, before=None, after=snapshot))
    audit.write(session, records)
    session.execute(delete(model.BuriedSecret).where(model.BuriedSecret.tombstone_id == row.id))
    session.execute(delete(model.Tombstone).where(model.Tombstone.id == row.id))
    count = int(getattr(found, "rowcount", 0))
    return Restored(path, tuple(row.envs), tuple(grants), count, tuple(left_out))


def purge(session: Session, by: By) -> int:
    """Forget for good what has expired, audited; how many."""
    expired = session.execute(
        select(model.Tombstone, model.Workspace.name)
        .join(model.Workspace, model.Workspace.id == model.Tombstone.workspace_id)
        .where(model.Tombstone.expires_at <= by.at)
    ).all()
    if not expired:
        return 0
    ids = [row.id for row, _ in expired]
    before = [{"tombstone": row.id, "envs": list(row.envs), "deleted_by": row.creator} for row, _ in expired]
    records = [
        by.record("purge", f"data_source:{owner}/{row.name}", version=None, before=kept, after=None)
        for (row, owner), kept in zip(expired, before, strict=True)
    ]
    audit.write(session, records)
    session.execute(delete(model.BuriedSecret).where(model.BuriedSecret.tombstone_id.in_(ids)))
    session.execute(delete(model.Tombstone).where(model.Tombstone.id.in_(ids)))
    return len(ids)


# --- parts of `unearth` ---------------------------------------------------------------------------------------------


def _expect_environments(workspace: model.Workspace, path: str, envs: Iterable[str]) -> None:
    allowed = workspaces.ENVIRONMENTS[workspace.mode]
    for env in envs:
        if env not in allowed:
            told = f"{workspace.name} is a {workspace.mode} workspace now and has no environment {env}"
            raise InvalidInput(told, where=f"{path}/{env}", instruction="make the workspace standard first")


def _source(session: Session, row: model.Tombstone, path: str, by: By) -> model.DataSource:
    """The source that the entries belong to: what is left of it, or made again."""
    kept = rows.columns(model.DataSource, row.document["source"])
    here = (model.DataSource.workspace_id == row.workspace_id, model.DataSource.name == row.name)
    present = session.scalar(
        select(model.DataSource)
        .where(*here)
        .options(selectinload(model.DataSource.entries), joinedload(model.DataSource.workspace))
    )
    if present is None:
        source = model.DataSource(
            workspace_id=row.workspace_id, **kept | {"version": kept["version"] + 1} | _touched(by)
        )
        session.add(source)
        session.flush()
        return source
    taken = sorted({entry.env for entry in present.entries} & set(row.envs))
    if present.created_at != kept["created_at"] or taken:
        what = f"another {' and '.join(taken)} entry" if taken else "another data source"
        raise Conflict(
            f"{path} has {what} now, made after the deletion",
            where=f"data_source:{path}",
            instruction=f"clone it under another name and delete it (headwater source delete {path}), then restore",
        )
    for column, value in by.changed(present.version).items():
        setattr(present, column, value)
    session.flush()
    return present


def _entry(session: Session, source: model.DataSource, document: Mapping[str, Any], by: By) -> model.Entry:
    kept = rows.columns(model.Entry, document)
    entry = model.Entry(data_source_id=source.id, **kept | {"version": kept["version"] + 1} | _touched(by))
    session.add(entry)
    session.flush()
    return entry


def _share_again(
    session: Session, rules: Sequence[Mapping[str, Any]], back: Mapping[str, model.Entry]
) -> tuple[list[str], list[str]]:
    """The workspaces that it is shared with again, and what could not be."""
    grants, left_out = [], []
    for rule in rules:
        kept = rows.columns(model.SharingRule, rule)
        target = session.get(model.Workspace, rule["target_workspace_id"])
        if target is None or kept["env"] not in workspaces.ENVIRONMENTS[target.mode]:
            left_out.append(f"sharing rule for {target.name if target else 'a workspace that is gone'}/{kept['env']}")
            continue
        session.add(model.SharingRule(entry_id=back[rule["entry"]].id, **kept))
        grants.append(target.name)
    session.flush()
    return sorted(set(grants)), left_out


def _attach_again(session: Session, document: Mapping[str, Any] | None, source: model.DataSource, by: By) -> list[str]:
    """The compute resource that the source was made by; told where another one has its name now."""
    if document is None:
        return []
    kept = rows.columns(model.ComputeResource, document)
    here = (
        model.ComputeResource.workspace_id == source.workspace_id,
        model.ComputeResource.name == kept["name"],
    )
    if session.scalar(select(model.ComputeResource.id).where(*here)) is not None:
        source.origin = "manually"  # nothing else could edit or delete it any more
        return [f"compute resource {kept['name']}: there is another one of this name"]
    columns = kept | {"version": kept["version"] + 1} | _touched(by)
    session.add(model.ComputeResource(workspace_id=source.workspace_id, data_source_id=source.id, **columns))
    session.flush()
    return []


def _lost_files(session: Session, workspace: model.Workspace, back: Mapping[str, model.Entry]) -> list[str]:
    """Certificate files that restored entries refer to and that were deleted meanwhile."""
    lost, table = [], model.CertificateFile
    for env, entry in back.items():
        for field_, reference in entry.references.items():
            scheme, _, named = reference.partition(":")
            here = (table.workspace_id == workspace.id, or_(table.id == named, table.name == named))
            if scheme == "certificate" and session.scalar(select(table.id).where(*here).limit(1)) is None:
                lost.append(f"{env}.{field_}: the file {named} is gone")
    return lost


# --- finding --------------------------------------------------------------------------------------------------------


def _touched(by: By) -> dict[str, Any]:
    return {"modifier": by.actor, "modified_at": by.at}


def _unexpired(at: datetime) -> Any:
    return (
        select(model.Tombstone, model.Workspace.name)
        .join(model.Workspace, model.Workspace.id == model.Tombstone.workspace_id)
        .where(model.Tombstone.expires_at > at)
        .order_by(model.Tombstone.created_at.desc(), model.Tombstone.id)
    )


def _find(session: Session, named: str, at: datetime) -> tuple[model.Tombstone, str]:
    owner, slash, name = named.rpartition("/")
    wanted = _unexpired(at)
    if slash:
        wanted = wanted.where(model.Workspace.name == owner)
    found = [tuple(row) for row in session.execute(wanted.where(model.Tombstone.name == name))]
    if not found and not slash and named:
        by_id = wanted.where(model.Tombstone.id.startswith(named, autoescape=True)).limit(2)
        found = [tuple(row) for row in session.execute(by_id)]
        if len(found) > 1:
            raise InvalidInput(
                f"several tombstones begin with {named}", where="tombstone", instruction="say more of it"
            )
    if not found:
        advice = "`headwater source tombstones` shows what can be brought back"
        raise NotFound(f"nothing deleted is left of {named!r}", where="tombstone", instruction=advice)
    owners = sorted({workspace for _, workspace in found})
    if len(owners) > 1:
        advice = f"say which: {', '.join(f'{workspace}/{name}' for workspace in owners)}"
        raise InvalidInput(f"{named} was deleted in several workspaces", where="tombstone", instruction=advice)
    row, workspace = found[0]
    return row, workspace


def _remains(row: model.Tombstone, owner: str) -> Remains:
    return Remains(
        row.id,
        owner,
        row.name,
        row.document["source"]["type"],
        tuple(row.envs),
        row.creator,
        row.created_at,
        row.expires_at,
        row.why,
    )
