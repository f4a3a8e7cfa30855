"""Deleting entries so that they can be brought back: what `registry.tombstones` restores is laid down here."""

from __future__ import annotations

import secrets as random
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from registry import audit, buried_verdicts, entries, model, rows
from registry.audit import By
from registry.resolving import chunks
from registry.tombstones import KEPT


def bury(session: Session, gone: Sequence[tuple[model.DataSource, Collection[str]]], by: By) -> list[model.Tombstone]:
    """Delete entries of sources, and a source with its last one, in a transaction that holds the write lock.

    The sharing rules of the entries end; so does the compute resource that a whole source was made by.

    Args:
        gone: Sources, with their workspaces and entries, and the environments that go; each once.

    Returns:
        What is left of each, in this order.
    """
    graves = [_Grave(row, envs) for row, envs in gone]
    for chunk in chunks(graves):
        _bury(session, chunk, by)
    return [grave.tombstone for grave in graves]


class _Grave:
    """One source on its way out."""

    tombstone: model.Tombstone

    def __init__(self, row: model.DataSource, envs: Collection[str]) -> None:
        self.row = row
        self.entries = [entry for entry in row.entries if entry.env in envs]
        self.whole = len(self.entries) == len(row.entries)
        self.rules: list[model.SharingRule] = []
        self.engine: model.ComputeResource | None = None

    def dig(self, by: By) -> model.Tombstone:
        """The tombstone, when everything that belongs under it is known."""
        env_of = {entry.id: entry.env for entry in self.entries}
        self.tombstone = model.Tombstone(
            id=random.token_hex(8),
            workspace_id=self.row.workspace_id,
            name=self.row.name,
            envs=sorted(env_of.values()),
            document={
                "source": rows.document(self.row),
                "entries": [rows.document(entry) for entry in self.entries],
                "rules": [{**rows.document(rule), "entry": env_of[rule.entry_id]} for rule in self.rules],
                "compute_resource": rows.document(self.engine) if self.engine is not None and self.whole else None,
            },
            creator=by.actor,
            created_at=by.at,
            expires_at=by.at + KEPT,
            why=by.why,
        )
        return self.tombstone

    def records(self, by: By) -> list[dict[str, Any]]:
        """What the audit keeps."""
        row, stone = self.row, self.tombstone
        told = {"tombstone": stone.id, "expires_at": stone.expires_at.isoformat(timespec="seconds")}
        before = {f"{entry.env}.{name}": value for entry in self.entries for name, value in _snapshot(entry)}
        if self.whole:
            named = ("type", "kind", "origin", "visibility", "description", "tags", "permits")
            before = rows.some(row, *named) | before
        action, version = ("delete", None) if self.whole else ("update", row.version + 1)
        return [
            *(
                by.record(
                    "delete", f"entry:{row.path}/{entry.env}", version=None, before=dict(_snapshot(entry)), after=told
                )
                for entry in self.entries
            ),
            by.record(action, f"data_source:{row.path}", version=version, before=before, after=told),
        ]


def _snapshot(entry: model.Entry) -> Iterable[tuple[str, Any]]:
    return entries.snapshot(entry).items()


def _bury(session: Session, graves: Sequence[_Grave], by: By) -> None:
    of_entry = {entry.id: grave for grave in graves for entry in grave.entries}
    of_source = {grave.row.id: grave for grave in graves}
    for rule in session.scalars(select(model.SharingRule).where(model.SharingRule.entry_id.in_(of_entry))):
        of_entry[rule.entry_id].rules.append(rule)
    engine = model.ComputeResource
    for one in session.scalars(select(engine).where(engine.data_source_id.in_(of_source))):
        of_source[one.data_source_id or 0].engine = one
    session.add_all([grave.dig(by) for grave in graves])
    session.flush()
    audit.write(session, [record for grave in graves for record in grave.records(by)])
    _move_secrets(session, of_entry)
    buried_verdicts.bury(session, {id_: grave.tombstone for id_, grave in of_source.items()})
    session.execute(delete(model.SharingRule).where(model.SharingRule.entry_id.in_(of_entry)))
    whole = [grave.row.id for grave in graves if grave.whole]
    session.execute(delete(engine).where(engine.data_source_id.in_(whole)))
    session.execute(delete(model.DataSource).where(model.DataSource.id.in_(whole)))
    for grave in graves:
        if not grave.whole:
            _delete_sides(session, grave, by)


def _delete_sides(session: Session, grave: _Grave, by: By) -> None:
    row = grave.row
    for column, value in by.changed(row.version).items():
        setattr(row, column, value)
    session.flush()
    session.execute(delete(model.Entry).where(model.Entry.id.in_([entry.id for entry in grave.entries])))
    session.expire(row, ["entries"])


def _move_secrets(session: Session, of_entry: Mapping[int, _Grave]) -> None:
    env_of = {entry.id: entry.env for grave in of_entry.values() for entry in grave.entries}
    secrets = session.scalars(select(model.Secret).where(model.Secret.entry_id.in_(of_entry))).all()
    moved = [
        {
            **rows.some(secret, "id", "field", "key_id", "ciphertext", "created_at"),
            "tombstone_id": of_entry[secret.entry_id].tombstone.id,
            "env": env_of[secret.entry_id],
        }
        for secret in secrets
    ]
    if moved:
        session.execute(insert(model.BuriedSecret), moved)
        session.execute(delete(model.Secret).where(model.Secret.entry_id.in_(of_entry)))
