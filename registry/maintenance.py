"""Maintenance: for a while, no new run may use a data source.

It ends by itself at its time. What was paused for it is remembered, so that its end starts again just that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from registry import access, audit, model, sources
from registry.access import Verb
from registry.audit import By
from registry.database import Database
from registry.errors import Conflict, InvalidInput


@dataclass(frozen=True)
class Maintenance:
    """Why no new run may use a data source, and how long.

    Attributes:
        until: None: until somebody ends it.
        envs: The environments that it is about.
        paused: What was paused for it: ids of deployments.
    """

    reason: str
    until: datetime | None
    envs: tuple[str, ...]
    by: str
    since: datetime
    paused: tuple[str, ...] = ()

    def holds(self, env: str, at: datetime) -> bool:
        """Whether it is in force."""
        return env in self.envs and (self.until is None or at < self.until)

    def __str__(self) -> str:
        end = f"until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else "until it is ended"
        return f"{self.reason} ({end}, by {self.by})"


def of(row: model.DataSource, env: str, at: datetime) -> Maintenance | None:
    """The maintenance that keeps runs from a data source now."""
    found = read(row.maintenance)
    return found if found is not None and found.holds(env, at) else None


def read(document: Mapping[str, Any] | None) -> Maintenance | None:
    """What the column holds."""
    if document is None:
        return None
    until = document["until"]
    return Maintenance(
        reason=document["reason"],
        until=datetime.fromisoformat(until) if until else None,
        envs=tuple(document["envs"]),
        by=document["by"],
        since=datetime.fromisoformat(document["since"]),
        paused=tuple(document["paused"]),
    )


def _written(one: Maintenance) -> dict[str, Any]:
    return {
        "reason": one.reason,
        "until": one.until.isoformat() if one.until else None,
        "envs": [*one.envs],
        "by": one.by,
        "since": one.since.isoformat(),
        "paused": [*one.paused],
    }


class Maintenances:
    """Which data sources of one registry are being worked on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, workspace: str, name: str, by: By, *, reason: str, until: datetime | None, envs: Sequence[str]
    ) -> Maintenance:
        """Keep new runs from a data source; one that is in maintenance already gets this reason and end.

        Raises:
            NotFound: No such workspace or source.
            Forbidden: No role of whoever acts allows it.
            InvalidInput: No reason, or an end that has been.
        """
        where = f"data_source:{workspace}/{name}"
        if not reason.strip():
            raise InvalidInput("maintenance needs a reason", where=where, instruction="say --reason TEXT")
        if until is not None and until <= by.at:
            told = f"the end {until:%Y-%m-%d %H:%M} UTC has been"
            raise InvalidInput(told, where=where, instruction="say --until 2h, or a time to come")
        with self._database.write() as session:
            row = sources.find(session, workspace, name)
            access.require(session, by, Verb.UPDATE, row.workspace)
            held = read(row.maintenance)
            made = Maintenance(reason, until, tuple(envs), by.actor, by.at, held.paused if held else ())
            self._write(session, row, made, by, "maintain")
        return made

    def note_paused(self, workspace: str, name: str, paused: Sequence[str], by: By) -> None:
        """Remember what is paused for a maintenance, before it is."""
        with self._database.write() as session:
            row = sources.find(session, workspace, name)
            access.require(session, by, Verb.UPDATE, row.workspace)
            held = read(row.maintenance)
            if held is not None:
                together = tuple(dict.fromkeys([*held.paused, *paused]))
                made = Maintenance(held.reason, held.until, held.envs, held.by, held.since, together)
                self._write(session, row, made, by, "maintain")

    def end(self, workspace: str, name: str, by: By, *, expected: Maintenance | None = None) -> Maintenance:
        """Let runs use a data source again.

        Args:
            expected: The maintenance that is to end, of which everything that was paused is started again.

        Raises:
            NotFound: No such workspace or source.
            Forbidden: No role of whoever acts allows it.
            InvalidInput: It is not in maintenance.
            Conflict: Another one has begun, or more was paused for it.
        """
        with self._database.write() as session:
            row = sources.find(session, workspace, name)
            access.require(session, by, Verb.UPDATE, row.workspace)
            held = read(row.maintenance)
            if held is None:
                told, advice = f"{row.path} is not in maintenance", "`headwater maintenance list` shows what is"
                raise InvalidInput(told, where=f"data_source:{row.path}", instruction=advice)
            if expected not in (None, held):
                told, advice = "its maintenance has changed meanwhile", "look again: headwater maintenance list"
                raise Conflict(told, where=f"data_source:{row.path}", instruction=advice)
            self._write(session, row, None, by, "end maintenance")
        return held

    def list(self) -> Sequence[tuple[str, Maintenance]]:
        """(`workspace/name`, its maintenance), those over included, by name."""
        wanted = select(model.DataSource).where(model.DataSource.maintenance.is_not(None))
        with self._database.read() as session:
            rows = session.scalars(wanted.options(joinedload(model.DataSource.workspace)))
            return sorted((row.path, found) for row in rows if (found := read(row.maintenance)) is not None)

    def _write(self, session: Any, row: model.DataSource, one: Maintenance | None, by: By, action: str) -> None:
        before, row.maintenance = row.maintenance, _written(one) if one else None
        for column, value in by.changed(row.version).items():
            setattr(row, column, value)
        session.flush()
        record = by.record(action, f"data_source:{row.path}", version=row.version, before=before, after=row.maintenance)
        audit.write(session, [record])
