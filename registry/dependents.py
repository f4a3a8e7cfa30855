"""Dependents: who uses which data source, where exactly, as which role, and what hangs on it.

What a scan finds is kept here: `record` forgets what a unit that was read no longer holds, and never what lies in a
unit that could not be read. Flows that were seen to connect are kept without a place; a scan, which can't see them,
forgets them only after `SEEN_FOR`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, func, literal, select, update
from sqlalchemy.orm import Session, aliased

from registry import access, model, sources, workspaces
from registry.access import Verb
from registry.audit import By
from registry.database import Database
from registry.errors import InvalidInput
from registry.findings import FoundDependent
from registry.impacts import RISKS
from registry.usage import MODULES

#: How long a use without a place is believed after it was seen.
SEEN_FOR = timedelta(days=30)


@dataclass(frozen=True)
class Unresolved:
    """A name that means no source of the registry."""

    name: str
    dependent: str
    unit: str
    pointer: str


@dataclass(frozen=True)
class Counts:
    """What a scan changed.

    Attributes:
        unresolved: Names that mean no data source; their references are kept all the same.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    references: int = 0
    unresolved: tuple[Unresolved, ...] = ()

    def document(self) -> dict[str, int]:
        """The numbers alone."""
        return {**{name: getattr(self, name) for name in _NUMBERS}, "unresolved": len(self.unresolved)}


_NUMBERS = ("new", "changed", "unchanged", "gone", "references")


@dataclass(frozen=True)
class WrittenPlace:
    """Where a name stands, and how it is written there.

    Attributes:
        name: `orders`, `retail/orders` or `retail.orders`: what a rewrite replaces.
        type: The type as it is written there; empty: not said.
        needs: Table -> what is done with it; see `tasks.dependents.FoundReference`.
    """

    unit: str
    pointer: str
    name: str
    type: str = ""
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Use:
    """One use of a data source by a dependent: a row of both.

    Attributes:
        workspace: The dependent's; another one than the source's where the source is shared.
        run_env: Where the dependent runs.
        env: The side of the source that it gets.
        source: `workspace/name`.
        places: None: it was seen to use the source, by a name in its code; no rewrite reaches it.
    """

    reference_id: int
    dependent_id: int
    adapter: str
    key: str
    unit: str
    workspace: str
    module: str
    task_kind: str
    run_env: str
    env: str
    name: str
    owner: str
    resource_group: str
    location: str
    locked_by: str
    last_run_at: datetime | None
    seen_at: datetime
    source: str
    role: str
    objects: tuple[str, ...] = ()
    places: tuple[WrittenPlace, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def risk(self) -> str:
        """How bad it is when it fails: high, medium or low."""
        return risk_of(self.module)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        row = {**asdict(self), "risk": self.risk, "seen_at": self.seen_at.isoformat()}
        return row | {"last_run_at": self.last_run_at.isoformat() if self.last_run_at else None}


@dataclass(frozen=True)
class Summary:
    """How much hangs on a data source. Each table: name -> dependents, most first.

    Attributes:
        by_env: The sides that they get; one that gets both counts in both.
        by_owner, by_group: The empty name: not known.
    """

    source: str
    dependents: int = 0
    references: int = 0
    by_module: Mapping[str, int] = field(default_factory=dict)
    by_env: Mapping[str, int] = field(default_factory=dict)
    by_workspace: Mapping[str, int] = field(default_factory=dict)
    by_owner: Mapping[str, int] = field(default_factory=dict)
    by_group: Mapping[str, int] = field(default_factory=dict)
    by_risk: Mapping[str, int] = field(default_factory=dict)
    last_run_at: datetime | None = None
    last_seen_at: datetime | None = None

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        moments = {name: getattr(self, name) for name in ("last_run_at", "last_seen_at")}
        return asdict(self) | {name: at.isoformat() if at else None for name, at in moments.items()}


def risk_of(module: str) -> str:
    """How bad it is when a dependent of this module fails: high, medium or low."""
    return str(RISKS.get(module, RISKS["operation_center"]).risk)


class Dependents:
    """The dependents of one registry. What it returns are copies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self,
        workspace: str,
        adapter: str,
        found: Iterable[FoundDependent],
        scanned_units: Collection[str],
        by: By,
    ) -> Counts:
        """Keep what a scan found, a portion at a time; each that changes anything is audited.

        Another writer waits for one portion at most. Where this is killed, the portions that were written stay, and
        recording the scan again comes to the same end.

        Args:
            workspace: The one that unqualified names belong to.
            scanned_units: Units that were read to the end: what they no longer hold is forgotten.

        Raises:
            NotFound: No such workspace.
            Forbidden: No role of whoever acts allows to use its data sources.
            InvalidInput: Two dependents have one key.
        """
        from registry.recording import Scan

        return Scan(self._database, workspace, adapter, by).record([*found], scanned_units)

    def see(self, workspace: str, adapter: str, found: FoundDependent, by: By) -> None:
        """Keep that something was seen to use data sources; what is known of it stays as a scan has found it.

        Raises:
            NotFound: No such workspace.
            Forbidden: No role of whoever acts allows to use its data sources.
        """
        from registry.recording import Recording

        with self._database.write() as session:
            owner = workspaces.find(session, workspace)
            access.require(session, by, Verb.USE, owner)
            Recording(session, owner, adapter, by).see(found)

    def units(self, workspace: str, adapter: str) -> list[str]:
        """The units in which an adapter has found dependents of a workspace."""
        here = (model.Dependent.adapter == adapter, model.Workspace.name == workspace)
        wanted = select(model.Dependent.unit).join(model.Workspace).where(*here).distinct()
        with self._database.read() as session:
            return [*session.scalars(wanted.order_by(model.Dependent.unit))]

    def of(
        self,
        path: str,
        env: str | None = None,
        *,
        module: str | None = None,
        risk: str | None = None,
        owner: str | None = None,
        workspace: str | None = None,
        group: str | None = None,
        limit: int | None = None,
        after: int = 0,
        by: By | None = None,
    ) -> list[Use]:
        """The uses of a data source that pass the filters, in the order in which they were found first.

        Args:
            path: `workspace/name`.
            env: The side that is used.
            risk: high, medium or low; see `risk_of`.
            workspace: The dependent's.
            group: The resource group that the dependent runs on.
            after: The `reference_id` of the last use of the page before.
            by: Who asks, to be held against the table of permissions; None: the registry itself.

        Raises:
            NotFound: No such workspace or source.
        """
        filters = (
            (model.Reference.env, env),
            (model.Dependent.module, module),
            (model.Dependent.owner, owner),
            (model.Workspace.name, workspace),
            (model.Dependent.resource_group, group),
        )
        with self._database.read() as session:
            source = _source(session, path, by)
            wanted = _uses().where(model.Reference.data_source_id == source.id, model.Reference.id > after)
            wanted = wanted.where(*(column == value for column, value in filters if value is not None))
            if risk is not None:
                wanted = wanted.where(model.Dependent.module.in_([one for one in MODULES if risk_of(one) == risk]))
            wanted = wanted.order_by(model.Reference.id).limit(limit)
            return [_use(row, path) for row in session.execute(wanted)]

    def unresolved(self, workspace: str, *, limit: int = 100) -> list[Use]:
        """Uses of names that mean no data source, by dependents of a workspace."""
        wanted = _uses().where(model.Reference.data_source_id.is_(None), model.Workspace.name == workspace)
        with self._database.read() as session:
            return [_use(row) for row in session.execute(wanted.order_by(model.Reference.id).limit(limit))]

    def summary(self, path: str, *, by: By | None = None) -> Summary:
        """How much hangs on a data source.

        Raises:
            NotFound: No such workspace or source.
        """
        with self._database.read() as session:
            return _summary(session, _source(session, path, by), path)

    def busiest(self, workspace: str, *, limit: int = 20) -> list[Summary]:
        """The data sources of a workspace that most hangs on, most first.

        Raises:
            NotFound: No such workspace.
        """
        count = func.count(model.Reference.dependent_id.distinct())
        with self._database.read() as session:
            owner = workspaces.find(session, workspace)
            rows = session.execute(
                select(model.DataSource.id)
                .join(model.Reference, model.Reference.data_source_id == model.DataSource.id)
                .where(model.DataSource.workspace_id == owner.id)
                .group_by(model.DataSource.id)
                .order_by(count.desc(), model.DataSource.id)
                .limit(limit)
            )
            ids = [*rows.scalars()]
            found = {
                one.id: one for one in session.scalars(select(model.DataSource).where(model.DataSource.id.in_(ids)))
            }
            return [_summary(session, found[id_], f"{workspace}/{found[id_].name}") for id_ in ids]


def attach(session: Session, source: model.DataSource) -> int:
    """Let references that name a source which was not there mean it again; how many there are."""
    lost = and_(model.Reference.data_source_id.is_(None), model.Reference.source == source.path)
    done = session.execute(update(model.Reference).where(lost).values(data_source_id=source.id))
    return int(getattr(done, "rowcount", 0))


def _source(session: Session, path: str, by: By | None) -> model.DataSource:
    workspace, slash, name = path.partition("/")
    if not slash:
        raise InvalidInput(f"{path!r} is no path of a data source", where="source", instruction="write WORKSPACE/NAME")
    found = sources.find(session, workspace, name)
    if by is not None:
        access.require(session, by, Verb.GET, found.workspace)
    return found


def _uses() -> Select[Any]:
    one, use = model.Dependent, model.Reference
    columns = [use.id, one.id, one.adapter, one.key, one.unit, model.Workspace.name, one.module, one.task_kind]
    columns += [one.env, use.env, one.name, one.owner, one.resource_group, one.location, one.locked_by]
    columns += [one.last_run_at, one.seen_at, use.source, use.role, use.objects, use.places, one.details]
    return (
        select(*columns)
        .select_from(use)
        .join(one, one.id == use.dependent_id)
        .join(model.Workspace, model.Workspace.id == one.workspace_id)
    )


def _use(row: Any, path: str = "") -> Use:
    *plain, source, role, objects, places, details = row
    written = tuple(WrittenPlace(**place) for place in places if place["pointer"])
    uses: Any = Use  # its first fields are the columns of `_uses` in their order
    return uses(*plain, path or source, role, tuple(objects), written, details)  # type: ignore[no-any-return]


_TABLES = ("module", "env", "workspace", "owner", "group")


def _summary(session: Session, source: model.DataSource, path: str) -> Summary:
    one, use = model.Dependent, model.Reference
    keys = (one.module, use.env, one.workspace_id, one.owner, one.resource_group)
    rows = session.execute(
        select(*keys, func.count(), func.max(one.last_run_at), func.max(one.seen_at))
        .select_from(use)
        .join(one, one.id == use.dependent_id)
        .where(use.data_source_id == source.id)
        .group_by(*keys)
    ).all()
    names = dict(session.execute(select(model.Workspace.id, model.Workspace.name)).tuples().all())
    tables: dict[str, Counter[str]] = {name: Counter() for name in (*_TABLES, "risk")}
    counted = [*(row[:6] for row in rows), *_counted_twice(session, source)]
    for module, env, workspace, owner, group, count in counted:
        for table, key in zip(_TABLES, (module, env, names[workspace], owner, group), strict=True):
            tables[table][key] += count
        tables["risk"][risk_of(module)] += count
    del tables["env"][""]
    return Summary(
        path,
        sum(row[5] for row in counted),
        sum(row[5] for row in rows),
        **{f"by_{name}": dict(sorted(table.items(), key=_most_first)) for name, table in tables.items()},
        last_run_at=max((row[6] for row in rows if row[6] is not None), default=None),
        last_seen_at=max((row[7] for row in rows), default=None),
    )


def _counted_twice(session: Session, source: model.DataSource) -> Iterator[tuple[Any, ...]]:
    """(module, side, workspace, owner, group, what is to be taken off): dependents with several references, which are
    few. One that uses both sides counts in both of them (the empty side: in none), but once in everything else.

    To count distinct dependents outright costs PostgreSQL a sort of all of them.
    """
    one, use = model.Dependent, model.Reference
    several = (
        select(use.dependent_id, use.env, (func.count() - 1).label("more"))
        .where(use.data_source_id == source.id)
        .group_by(use.env, use.dependent_id)
        .having(func.count() > 1)
        .subquery()
    )
    other = aliased(use)
    same = and_(other.data_source_id == use.data_source_id, other.env == "prod", other.dependent_id == use.dependent_id)
    both = (
        select(use.dependent_id, literal("").label("env"), literal(1).label("more"))
        .join(other, same)
        .where(use.data_source_id == source.id, use.env == "dev")
        .distinct()
        .subquery()
    )
    for found in (several, both):
        keys = (one.module, found.c.env, one.workspace_id, one.owner, one.resource_group)
        wanted = select(*keys, func.sum(found.c.more)).select_from(found).join(one, one.id == found.c.dependent_id)
        for row in session.execute(wanted.group_by(*keys)):
            yield (*row[:5], -int(row[5]))


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
