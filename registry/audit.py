"""Who changed what, when and why: one record a change, written in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from registry import model, news
from registry.errors import Conflict

#: Field -> value before or after a change. Secrets stand as references.
Fields = Mapping[str, Any]


@dataclass(frozen=True)
class By:
    """Who makes a change, and why.

    Attributes:
        owns_registry: The actor is whoever owns the file of a local registry, and no other name is used.
    """

    actor: str
    why: str = ""
    at: datetime = field(default_factory=model.now)
    owns_registry: bool = False

    def new(self) -> dict[str, Any]:
        """The columns of a row that is made now."""
        return {"version": 1, "creator": self.actor, "created_at": self.at, **self._touch()}

    def changed(self, version: int) -> dict[str, Any]:
        """The columns of a row that is changed now; `version` is the one it had."""
        return {"version": version + 1, **self._touch()}

    def _touch(self) -> dict[str, Any]:
        return {"modifier": self.actor, "modified_at": self.at}

    def record(
        self, action: str, object_: str, *, version: int | None, before: Fields | None, after: Fields | None
    ) -> dict[str, Any]:
        """One row of the audit."""
        return {
            "at": self.at,
            "actor": self.actor,
            "action": action,
            "object": object_,
            "version": version,
            "why": self.why,
            "before": dict(before) if before is not None else None,
            "after": dict(after) if after is not None else None,
        }


def write(session: Session, rows: list[dict[str, Any]]) -> None:
    """Add records, many at once."""
    if rows:
        session.execute(insert(model.AuditRecord), rows)
        news.note(session, rows)


def differences(before: Fields, after: Fields) -> dict[str, tuple[Any, Any]]:
    """Field -> (before, after), for the fields that differ; None stands for absent."""
    names = dict.fromkeys([*before, *after])
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def sides(changes: Mapping[str, tuple[Any, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `differences` found, as the before and the after of a record."""
    return {name: old for name, (old, _) in changes.items()}, {name: new for name, (_, new) in changes.items()}


def history(session: Session, object_: str, *, after_version: int = 0, limit: int = 100) -> list[model.AuditRecord]:
    """The records of one object, oldest first: all, or those that made versions above `after_version`."""
    wanted = select(model.AuditRecord).where(model.AuditRecord.object == object_)
    if after_version:
        wanted = wanted.where(model.AuditRecord.version > after_version)
    return [*session.scalars(wanted.order_by(model.AuditRecord.id.desc()).limit(limit))][::-1]


def expect(session: Session, object_: str, *, expected: int | None, actual: int) -> None:
    """Let a change pass only on the version that its author saw; `expected` None passes always.

    Raises:
        Conflict: The object has changed since; names the fields, their values, who changed them and when.
    """
    if expected is None or expected == actual:
        return
    lines = [
        f"{record.actor} at {record.at:%Y-%m-%d %H:%M:%S} UTC changed {name}: {old!r} -> {new!r}"
        for record in history(session, object_, after_version=expected)
        for name, (old, new) in differences(record.before or {}, record.after or {}).items()
    ]
    told = "\n  ".join([f"it was changed since you read it (version {expected}, now {actual})", *lines])
    raise Conflict(told, where=object_, instruction="look at it again and repeat your change on top of this one")
