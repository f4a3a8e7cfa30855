"""The history of verdicts, and what changed since the one before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.orm import Session, aliased

from registry import model
from registry.database import Database
from registry.verdict import State, Verdict

_CHUNK = 500
_Key = tuple[int, str, str]


class Pair(NamedTuple):
    """What verdicts are about: one environment of one source, seen from one resource group."""

    workspace: str
    source: str
    env: str
    resource_group: str


@dataclass(frozen=True)
class Turn:
    """A verdict that says something else than the one before it.

    Attributes:
        before: State and cause of the verdict before; None for the first one.
        since: When the state before began; None for the first verdict.
    """

    verdict: Verdict
    before: tuple[State, str | None] | None
    since: datetime | None


@dataclass(frozen=True)
class Latest:
    """The newest verdict of a source, environment and resource group."""

    verdict: Verdict
    since: datetime


@dataclass(frozen=True)
class Standing:
    """How a source, environment and resource group stands now.

    Attributes:
        before: State and cause that the newest verdict before a moment told; None where there was none.
    """

    workspace: str
    source: str
    env: str
    resource_group: str
    state: State
    cause: str | None
    since: datetime
    before: tuple[State, str | None] | None = None


class Verdicts:
    """The verdicts of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, verdicts: Sequence[Verdict]) -> list[Turn]:
        """Keep verdicts, many at once; those of sources that the registry does not hold are left out.

        Returns:
            The verdicts whose state or cause differs from the one before, first verdicts included.
        """
        with self._database.write() as session:
            ids = _source_ids(session, verdicts)
            known = [verdict for verdict in verdicts if (verdict.workspace, verdict.source) in ids]
            keys = [(ids[v.workspace, v.source], v.env, v.resource_group) for v in known]
            before = _standings(session, keys)
            rows = [_row(key, verdict) for key, verdict in zip(keys, known, strict=True)]
            if not rows:
                return []
            made = insert(model.VerdictRecord).returning(model.VerdictRecord.id, sort_by_parameter_order=True)
            new_ids = session.scalars(made, rows).all()
            turns, standing = list[Turn](), dict[_Key, dict[str, Any]]()
            for key, row, verdict, id_ in zip(keys, rows, known, new_ids, strict=True):
                old = before.get(key)
                same = old is not None and (old["state"], old["cause"]) == (row["state"], row["cause"])
                since = old["since"] if old is not None and same else row["started_at"]
                before[key] = standing[key] = _standing(key, row, id_, since)
                if not same:
                    turns.append(_turn(verdict, old))
            _upsert(session, list(standing.values()))
            return turns

    def latest(
        self,
        *,
        workspace: str | None = None,
        source: str | None = None,
        env: str | None = None,
        group: str | None = None,
    ) -> list[Latest]:
        """The newest verdict of every source, environment and resource group that passes the filters."""
        wanted = (
            select(model.VerdictRecord.document, model.Standing.since)
            .join(model.Standing, model.Standing.verdict_id == model.VerdictRecord.id)
            .join(model.DataSource, model.DataSource.id == model.Standing.data_source_id)
            .join(model.Workspace, model.Workspace.id == model.DataSource.workspace_id)
            .order_by(model.Workspace.name, model.DataSource.name, model.Standing.env, model.Standing.resource_group)
        )
        filters = (
            (model.Workspace.name, workspace),
            (model.DataSource.name, source),
            (model.Standing.env, env),
            (model.Standing.resource_group, group),
        )
        wanted = wanted.where(*(column == value for column, value in filters if value is not None))
        with self._database.read() as session:
            return [Latest(Verdict.model_validate_json(text), since) for text, since in session.execute(wanted)]

    def sick(self) -> list[Standing]:
        """Everything whose newest verdict isn't Connectable, and since when."""
        with self._database.read() as session:
            rows = session.execute(_standing_now().where(model.Standing.state != State.CONNECTABLE.value))
            return [_stands(*row) for row in rows]

    def changed(self, since: datetime) -> list[Standing]:
        """Everything that stands otherwise than it did at a moment, whoever found it out since then.

        What had no verdict at that moment counts only if it isn't Connectable.
        """
        standing, record = model.Standing, aliased(model.VerdictRecord)
        before = (
            select(record.id)
            .where(
                record.data_source_id == standing.data_source_id,
                record.env == standing.env,
                record.resource_group == standing.resource_group,
                record.started_at <= since,
            )
            .order_by(record.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        old = aliased(model.VerdictRecord)
        wanted = _standing_now().add_columns(old.state, old.cause).outerjoin(old, old.id == before)
        with self._database.read() as session:
            found = [
                replace(_stands(*row[:7]), before=(State(row[7]), row[8]) if row[7] else None)
                for row in session.execute(wanted.where(standing.since > since))
            ]
        return [one for one in found if (one.before or (State.CONNECTABLE, None)) != (one.state, one.cause)]

    def history(
        self, workspace: str, source: str, *, env: str | None = None, group: str | None = None, limit: int = 20
    ) -> list[Verdict]:
        """The verdicts of one source, newest first."""
        wanted = (
            select(model.VerdictRecord.document)
            .join(model.DataSource, model.DataSource.id == model.VerdictRecord.data_source_id)
            .join(model.Workspace, model.Workspace.id == model.DataSource.workspace_id)
            .where(model.Workspace.name == workspace, model.DataSource.name == source)
            .order_by(model.VerdictRecord.id.desc())
            .limit(limit)
        )
        if env is not None:
            wanted = wanted.where(model.VerdictRecord.env == env)
        if group is not None:
            wanted = wanted.where(model.VerdictRecord.resource_group == group)
        with self._database.read() as session:
            return [Verdict.model_validate_json(text) for text in session.scalars(wanted)]

    def last_good(self, pairs: Iterable[Pair]) -> dict[Pair, Verdict]:
        """The newest verdict of each pair that was Connectable; those that never were are left out."""
        standing, record = model.Standing, aliased(model.VerdictRecord)
        newest = (
            select(record.id)
            .where(
                record.data_source_id == standing.data_source_id,
                record.env == standing.env,
                record.resource_group == standing.resource_group,
                record.state == State.CONNECTABLE.value,
            )
            .order_by(record.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        good = model.VerdictRecord
        columns = (standing.data_source_id, standing.env, standing.resource_group, good.document)
        wanted = select(*columns).join(good, good.id == newest)
        with self._database.read() as session:
            found = _of_pairs(session, pairs, wanted, standing.data_source_id)
            return {pair: Verdict.model_validate_json(rows[0]) for pair, rows in found.items()}

    def usual_ms(self, pairs: Iterable[Pair], *, last: int = 20, least: int = 5) -> dict[Pair, float]:
        """The median time of the newest Connectable verdicts of each pair, in milliseconds.

        Args:
            last: Verdicts that count.
            least: Pairs with fewer verdicts are left out.
        """
        record = model.VerdictRecord
        key = (record.data_source_id, record.env, record.resource_group)
        nth = func.row_number().over(partition_by=key, order_by=record.id.desc()).label("nth")
        ranked = select(*key, record.elapsed_ms, nth).where(record.state == State.CONNECTABLE.value).subquery()
        columns = [ranked.c[name] for name in ("data_source_id", "env", "resource_group", "elapsed_ms")]
        wanted = select(*columns).where(ranked.c.nth <= last)
        with self._database.read() as session:
            found = _of_pairs(session, pairs, wanted, ranked.c.data_source_id)
            return {pair: median(rows) for pair, rows in found.items() if len(rows) >= least}

    def prune(self, before: datetime) -> int:
        """Forget verdicts that began before a moment; the newest of each source, environment and group stays.

        Returns:
            How many were forgotten.
        """
        with self._database.write() as session:
            newest = select(model.Standing.verdict_id)
            result = session.execute(
                delete(model.VerdictRecord)
                .where(model.VerdictRecord.started_at < before, model.VerdictRecord.id.not_in(newest))
                .returning(model.VerdictRecord.id)
            )
            return len(result.all())


def _standing_now() -> Select[Any]:
    """The columns that `_stands` takes."""
    table = model.Standing
    columns = (model.Workspace.name, model.DataSource.name, table.env, table.resource_group)
    return (
        select(*columns, table.state, table.cause, table.since)
        .join(model.DataSource, model.DataSource.id == table.data_source_id)
        .join(model.Workspace, model.Workspace.id == model.DataSource.workspace_id)
        .order_by(*columns)
    )


def _stands(
    workspace: str, source: str, env: str, group: str, state: str, cause: str | None, since: datetime
) -> Standing:
    return Standing(workspace, source, env, group, State(state), cause, since)


def _of_pairs(
    session: Session, pairs: Iterable[Pair], wanted: Select[Any], source_id: Any
) -> Mapping[Pair, Sequence[Any]]:
    """The last column of a query that begins with source id, environment and group, for some pairs; many at once."""
    asked = list(pairs)
    ids = _source_ids(session, asked)
    keys = {(ids[one.workspace, one.source], *one[2:]): one for one in asked if (one.workspace, one.source) in ids}
    found: defaultdict[Pair, list[Any]] = defaultdict(list)
    for chunk in _chunks(sorted({key[0] for key in keys})):
        for *key, value in session.execute(wanted.where(source_id.in_(chunk))):
            if (pair := keys.get((key[0], key[1], key[2]))) is not None:
                found[pair].append(value)
    return found


def _source_ids(session: Session, verdicts: Sequence[Verdict | Pair]) -> dict[tuple[str, str], int]:
    names: dict[str, set[str]] = {}
    for verdict in verdicts:
        names.setdefault(verdict.workspace, set()).add(verdict.source)
    ids: dict[tuple[str, str], int] = {}
    for workspace, sources in names.items():
        for chunk in _chunks(sorted(sources)):
            rows = session.execute(
                select(model.DataSource.name, model.DataSource.id)
                .join(model.Workspace, model.Workspace.id == model.DataSource.workspace_id)
                .where(model.Workspace.name == workspace, model.DataSource.name.in_(chunk))
            )
            ids |= {(workspace, name): id_ for name, id_ in rows}
    return ids


def _standings(session: Session, keys: Sequence[_Key]) -> dict[_Key, dict[str, Any]]:
    found: dict[_Key, dict[str, Any]] = {}
    table = model.Standing
    for chunk in _chunks(sorted({key[0] for key in keys})):
        for row in session.scalars(select(table).where(table.data_source_id.in_(chunk))):
            key = (row.data_source_id, row.env, row.resource_group)
            found[key] = {"state": row.state, "cause": row.cause, "since": row.since}
    return found


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))


def _row(key: _Key, verdict: Verdict) -> dict[str, Any]:
    source, env, group = key
    return {
        "data_source_id": source,
        "env": env,
        "resource_group": group,
        "state": verdict.state.value,
        "cause": verdict.cause,
        "started_at": datetime.fromisoformat(verdict.started_at),
        "elapsed_ms": verdict.elapsed_ms,
        "document": verdict.model_dump_json(),
    }


def _standing(key: _Key, row: dict[str, Any], id_: int, since: datetime) -> dict[str, Any]:
    columns = ("data_source_id", "env", "resource_group", "state", "cause")
    return {**{name: row[name] for name in columns}, "verdict_id": id_, "since": since}


def _turn(verdict: Verdict, old: dict[str, Any] | None) -> Turn:
    if old is None:
        return Turn(verdict, None, None)
    return Turn(verdict, (State(old["state"]), old["cause"]), old["since"])


def _upsert(session: Session, rows: list[dict[str, Any]]) -> None:
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_or_update
    else:
        from sqlalchemy.dialects.sqlite import insert as insert_or_update  # type: ignore[assignment]
    statement = insert_or_update(model.Standing)
    fresh = {name: statement.excluded[name] for name in ("verdict_id", "state", "cause", "since")}
    keys = ["data_source_id", "env", "resource_group"]
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=fresh), rows)
