"""From what a scan found to the rows of dependents and references: many at once, in portions.

Each portion is a transaction of its own, so that other writers wait for one of them and not for a whole scan. What is
found is kept before what is gone is forgotten; a recording that was killed leaves the portions that it has written, and
the next one comes to the same end.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from sqlalchemy import RowMapping, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from registry import access, audit, model, usage, workspaces
from registry.access import Verb
from registry.audit import By
from registry.database import Database
from registry.errors import InvalidInput
from registry.resolving import Meant, chunks, resolve

if TYPE_CHECKING:
    from registry.dependents import Counts, Unresolved
    from registry.findings import FoundDependent, FoundReference

#: Dependents of one transaction.
PORTION = 4_000
#: SQLite has no queue of writers: one that waits looks again every 50 ms at the latest, and finds the lock free. In
#: seconds. (`sqliteDefaultBusyCallback` in SQLite's main.c, with the pieces that `registry.database` waits in.)
_BREATH = 0.06

#: What a scan says of a dependent, besides when it saw it.
_COLUMNS = (
    "workspace_id",
    "unit",
    "module",
    "task_kind",
    "env",
    "name",
    "owner",
    "resource_group",
    "location",
    "locked_by",
    "last_run_at",
    "details",
)
#: How much is kept of what others write at any length, in characters.
_SHOWN = {"name": 255, "owner": 255, "resource_group": 255, "locked_by": 255, "task_kind": 64}
_LONGEST_SOURCE, _LONGEST_ROLE = 520, 32
#: What a reference is known by within its dependent.
_KEY = ("source", "env", "role")
_VALUES = ("data_source_id", "objects", "places")

_DEPENDENT = cast("Table", model.Dependent.__table__)
_REFERENCE = cast("Table", model.Reference.__table__)

_Rows = dict[tuple[str, ...], dict[str, Any]]

T = TypeVar("T")


class _Known(NamedTuple):
    """A dependent that was found before, and when it was seen last."""

    id: int
    workspace_id: int
    unit: str
    seen_at: datetime


class _Inventory:
    """Key -> every dependent of an adapter that is known, of all workspaces.

    Read once, and in each transaction only what others have added since: PostgreSQL's planner takes what was written
    lately for next to nothing, and compares each row of it with each key that is asked for.
    """

    def __init__(self, adapter: str) -> None:
        self._adapter = adapter
        self._newest = 0
        self.known: dict[str, _Known] = {}

    def refresh(self, session: Session) -> None:
        """Read what is newer than all that was read."""
        table = model.Dependent
        newest = session.scalar(select(func.max(table.id))) or 0
        columns = (table.key, table.id, table.workspace_id, table.unit, table.seen_at)
        rows = session.execute(select(*columns).where(table.adapter == self._adapter, table.id > self._newest))
        self.known |= {row.key: _Known(row.id, row.workspace_id, row.unit, row.seen_at) for row in rows}
        self._newest = newest

    def pass_over(self, ids: Collection[int]) -> None:
        """These are new because the reader itself has added them."""
        self._newest = max([self._newest, *ids])

    def forget(self) -> None:
        """Read all of it again the next time."""
        self.known, self._newest = {}, 0


class Scan:
    """One scan on its way into the registry."""

    def __init__(self, database: Database, workspace: str, adapter: str, by: By) -> None:
        self._database = database
        self._workspace = workspace
        self._adapter = adapter
        self._by = by
        self._inventory = _Inventory(adapter)
        self._counted: Counter[str] = Counter()
        self._unresolved: list[Unresolved] = []
        self._busy = False

    def record(self, found: Sequence[FoundDependent], scanned_units: Collection[str]) -> Counts:
        """See `Dependents.record`."""
        from registry.dependents import Counts

        _expect_own_keys(found)
        with self._database.read() as session:
            self._inventory.refresh(session)
        before = dict(self._inventory.known)
        for portion in _portions(found) or [()]:
            self._put(portion)
        for one in found:
            before.pop(one.key, None)
        for gone in _portions([one for one in before.values() if one.unit in scanned_units]):
            self._forget(gone)
        return Counts(**self._counted, unresolved=tuple(self._unresolved))

    def _put(self, found: Sequence[FoundDependent]) -> None:
        try:
            self._in_one_transaction(lambda recording: recording.put(found, self._inventory))
        except IntegrityError:
            # SQLite gives the number of a row that is deleted to the next one: what is new need not be newer.
            self._inventory.forget()
            self._in_one_transaction(lambda recording: recording.put(found, self._inventory))

    def _forget(self, gone: Sequence[_Known]) -> None:
        self._in_one_transaction(lambda recording: recording.forget(gone))

    def _in_one_transaction(self, work: Callable[[Recording], None]) -> None:
        if self._busy and self._database.is_local:
            time.sleep(_BREATH)
        self._busy = True
        with self._database.write() as session:
            owner = workspaces.find(session, self._workspace)
            access.require(session, self._by, Verb.USE, owner)
            recording = Recording(session, owner, self._adapter, self._by)
            work(recording)
            recording.audit_scan()
        self._counted += recording.numbers
        self._unresolved += recording.unresolved


class Recording:
    """Dependents on their way into the registry, in one transaction."""

    def __init__(self, session: Session, workspace: model.Workspace, adapter: str, by: By) -> None:
        self._session = session
        self._workspace = workspace
        self._adapter = adapter
        self._by = by
        self._meant: Mapping[str, Meant] = {}
        self.numbers: Counter[str] = Counter()
        self.unresolved: list[Unresolved] = []

    def put(self, found: Sequence[FoundDependent], inventory: _Inventory) -> None:
        """Bring what is kept of these dependents to what was found."""
        inventory.refresh(self._session)
        self._resolve(found)
        for chunk in chunks(found):
            inventory.pass_over(self._put(chunk, inventory.known))
        self.unresolved += self._without_meaning(found)

    def forget(self, gone: Sequence[_Known]) -> None:
        """Delete dependents of the workspace, but those that somebody else has seen in the meantime."""
        table = model.Dependent
        for chunk in chunks([one for one in gone if one.workspace_id == self._workspace.id]):
            seen = {one.id: one.seen_at for one in chunk}
            rows = self._session.execute(select(table.id, table.seen_at).where(table.id.in_([*seen])))
            self._delete([row.id for row in rows if row.seen_at == seen[row.id]])

    def audit_scan(self) -> None:
        """One record of all that was changed, if anything was."""
        numbers = {name: self.numbers[name] for name in ("new", "changed", "unchanged", "gone", "references")}
        if any(numbers[name] for name in ("new", "changed", "gone")):
            self._audit("scan", {"adapter": self._adapter, **numbers, "unresolved": len(self.unresolved)})

    def see(self, found: FoundDependent) -> None:
        """See `Dependents.see`."""
        self._resolve([found])
        here = (model.Dependent.adapter == self._adapter, model.Dependent.key == found.key)
        known = self._session.scalar(select(model.Dependent.id).where(*here))
        id_ = known if known is not None else self._insert([self._row(found)])[found.key]
        fresh = {"seen_at": self._by.at, "last_run_at": self._by.at}
        self._session.execute(update(model.Dependent).where(model.Dependent.id == id_).values(**fresh))
        present = self._references([id_])[id_]
        placed = {key[:2] for key, one in present.items() if _is_placed(one)}
        wanted = {key: one for key, one in self._wanted(found).items() if key[:2] not in placed}
        for one in wanted.values():
            one["places"] = [{"unit": found.unit, "pointer": "", "name": "", "seen_at": self._by.at.isoformat()}]
        self._write({id_: wanted}, {id_: {key: one for key, one in present.items() if key in wanted}})
        if new := [f"{source} {env}" for source, env, _ in wanted.keys() - present.keys()]:
            after = {"adapter": self._adapter, "dependent": found.name, "uses": sorted(new)}
            self._audit("connect", after)

    def _audit(self, action: str, after: Mapping[str, Any]) -> None:
        place = f"workspace:{self._workspace.name}"
        audit.write(self._session, [self._by.record(action, place, version=None, before=None, after=after)])

    # --- dependents -----------------------------------------------------------------------------------------------

    def _put(self, found: Sequence[FoundDependent], known: Mapping[str, _Known]) -> Collection[int]:
        """The ids of those that are new."""
        wanted = {one.key: self._row(one) for one in found}
        present = self._present({known[key].id: key for key in wanted if key in known})
        ids = {key: int(row["id"]) for key, row in present.items()}
        fresh = self._insert([wanted[one.key] for one in found if one.key not in ids and one.references])
        moved = {key for key, row in present.items() if any(row[name] != wanted[key][name] for name in _COLUMNS)}
        self._update({ids[key]: wanted[key] for key in moved}, [*ids.values()])
        before = self._references([*ids.values()])
        ids |= fresh
        after = {ids[one.key]: self._wanted(one) for one in found if one.key in ids}
        for id_, kept in before.items():
            _keep_seen(after[id_], kept, self._by)
        unused = {id_ for id_, references in after.items() if not references}
        self._delete([*unused])
        touched = self._write({id_: one for id_, one in after.items() if id_ not in unused}, before)
        changed = {key for key, id_ in ids.items() if key in moved or id_ in touched} - {*fresh}
        changed -= {key for key, id_ in ids.items() if id_ in unused}
        self.numbers["new"] += len(fresh)
        self.numbers["changed"] += len(changed)
        self.numbers["unchanged"] += len(ids) - len(fresh) - len(changed) - len(unused)
        self.numbers["references"] += sum(map(len, after.values()))
        return fresh.values()

    def _present(self, keys: Mapping[int, str]) -> dict[str, RowMapping]:
        """Those of these rows that are still what they were."""
        columns = _DEPENDENT.c
        wanted = select(_DEPENDENT).where(columns.id.in_(keys), columns.adapter == self._adapter)
        rows = self._session.execute(wanted).mappings() if keys else ()
        return {row["key"]: row for row in rows if keys[row["id"]] == row["key"]}

    def _update(self, moved: Mapping[int, Mapping[str, Any]], seen: Sequence[int]) -> None:
        _update_rows(self._session, _DEPENDENT, _COLUMNS, [(id_, row) for id_, row in moved.items()])
        table = model.Dependent
        self._session.execute(update(table).where(table.id.in_(seen)).values(seen_at=self._by.at))

    def _row(self, found: FoundDependent) -> dict[str, Any]:
        row = {name: getattr(found, name) for name in _COLUMNS if name != "workspace_id"}
        row |= {name: row[name][:longest] for name, longest in _SHOWN.items()}
        row |= {"details": dict(found.details), "workspace_id": self._workspace.id}
        return row | {"adapter": self._adapter, "key": found.key, "seen_at": self._by.at}

    def _insert(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        """Key -> id. The ids are taken beforehand: to be told them costs more than the insertion."""
        if not rows:
            return {}
        made = [{"id": id_, **row} for id_, row in zip(self._ids(len(rows)), rows, strict=True)]
        self._session.connection().execute(insert(_DEPENDENT), made)
        return {row["key"]: row["id"] for row in made}

    def _ids(self, count: int) -> Iterable[int]:
        """The next ids of dependents; nobody else takes any while this transaction holds the write lock."""
        if self._session.connection().dialect.name == "sqlite":
            last = self._session.scalar(select(func.max(_DEPENDENT.c.id))) or 0
            return range(last + 1, last + count + 1)
        numbers = func.generate_series(1, count).table_valued()
        following = func.nextval(func.pg_get_serial_sequence(_DEPENDENT.name, "id"))
        return sorted(self._session.scalars(select(following).select_from(numbers)))

    def _delete(self, ids: Sequence[int]) -> None:
        for chunk in chunks(ids):
            self._session.execute(delete(model.Dependent).where(model.Dependent.id.in_(chunk)))
        self.numbers["gone"] += len(ids)

    # --- references -----------------------------------------------------------------------------------------------

    def _resolve(self, found: Iterable[FoundDependent]) -> None:
        names = {reference.source for one in found for reference in one.references}
        self._meant = resolve(self._session, self._workspace, names)

    def _wanted(self, found: FoundDependent) -> _Rows:
        """The references of a dependent; several of one source, side and role become one with all their places."""
        rows: _Rows = {}
        env = usage.env_for(found.task_kind, found.module, found.env, self._workspace.mode)
        for reference in found.references:
            meant = self._meant[reference.source]
            key = (meant.path[:_LONGEST_SOURCE], meant.side(env), reference.role[:_LONGEST_ROLE])
            row = rows.setdefault(key, {"data_source_id": meant.source_id, "objects": [], "places": []})
            row["objects"] += [one for one in reference.objects if one not in row["objects"]]
            row["places"] += _places(reference)
        return rows

    def _references(self, ids: Sequence[int]) -> dict[int, _Rows]:
        table = model.Reference
        found: dict[int, _Rows] = {id_: {} for id_ in ids}
        for chunk in chunks(ids):
            rows = self._session.execute(select(_REFERENCE).where(table.dependent_id.in_(chunk)))
            for row in rows.mappings():
                found[row["dependent_id"]][tuple(row[name] for name in _KEY)] = {
                    name: row[name] for name in ("id", *_VALUES)
                }
        return found

    def _write(self, after: Mapping[int, _Rows], before: Mapping[int, _Rows]) -> set[int]:
        """Bring the references of some dependents to what they shall be; the dependents that this changed."""
        new: list[dict[str, Any]] = []
        moved: list[tuple[int, Mapping[str, Any]]] = []
        gone: list[int] = []
        touched: set[int] = set()
        for id_, wanted in after.items():
            present = before.get(id_, {})
            fresh = [dict(zip(_KEY, key, strict=True)) | row for key, row in wanted.items() if key not in present]
            other = [
                (present[key]["id"], row)
                for key, row in wanted.items()
                if key in present and any(present[key][name] != row[name] for name in _VALUES)
            ]
            lost = [row["id"] for key, row in present.items() if key not in wanted]
            new += [{"dependent_id": id_, **row} for row in fresh]
            moved += other
            gone += lost
            if fresh or other or lost:
                touched.add(id_)
        for chunk in chunks(gone):
            self._session.execute(delete(model.Reference).where(model.Reference.id.in_(chunk)))
        _update_rows(self._session, _REFERENCE, _VALUES, moved)
        if new:
            self._session.connection().execute(insert(_REFERENCE), new)
        return touched

    def _without_meaning(self, found: Iterable[FoundDependent]) -> Iterator[Unresolved]:
        from registry.dependents import Unresolved

        for one in found:
            for reference in one.references:
                if self._meant[reference.source].source_id is None:
                    place = next(iter(reference.places), None)
                    pointer = place.pointer if place else ""
                    yield Unresolved(reference.source, one.name, place.unit if place else one.unit, pointer)


def _update_rows(
    session: Session, table: Table, columns: Sequence[str], rows: Sequence[tuple[int, Mapping[str, Any]]]
) -> None:
    if not rows:
        return
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    session.connection().execute(
        update(table).where(table.c.id == bindparam("row")).values(values),
        [{"row": id_, **{f"new_{name}": row[name] for name in columns}} for id_, row in rows],
    )


def _places(reference: FoundReference) -> list[dict[str, Any]]:
    said: dict[str, Any] = {"name": reference.source, "type": reference.type}
    if reference.needs:
        said["needs"] = {table: [*words] for table, words in reference.needs.items()}
    return [{"unit": place.unit, "pointer": place.pointer, **said} for place in reference.places]


def _is_placed(row: Mapping[str, Any]) -> bool:
    return any(place["pointer"] for place in row["places"])


def _keep_seen(wanted: _Rows, present: _Rows, by: By) -> None:
    """Uses that were seen lately and that no place explains stay although a scan does not see them."""
    from registry.dependents import SEEN_FOR

    explained = {key[:2] for key in wanted}
    for key, row in present.items():
        if key[:2] in explained or _is_placed(row):
            continue
        seen = max((datetime.fromisoformat(place["seen_at"]) for place in row["places"]), default=None)
        if seen is not None and by.at - seen < SEEN_FOR:
            wanted[key] = {name: row[name] for name in _VALUES}


def _portions(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + PORTION] for start in range(0, len(items), PORTION)]


def _expect_own_keys(found: Sequence[FoundDependent]) -> None:
    units: dict[str, str] = {}
    for one in found:
        if one.key in units:
            told = f"two dependents have the key {one.key!r}: in {units[one.key]} and in {one.unit}"
            raise InvalidInput(told, where=one.unit, instruction="look at each of these places alone")
        units[one.key] = one.unit
