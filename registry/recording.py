"""From what a scan found to the rows of dependents and references, many at once, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import RowMapping, Table, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from registry import audit, model, usage
from registry.audit import By
from registry.errors import InvalidInput
from registry.resolving import Meant, chunks, resolve

if TYPE_CHECKING:
    from registry.dependents import Counts
    from registry.findings import FoundDependent, FoundReference

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
#: What a reference is known by within its dependent.
_KEY = ("source", "env", "role")
_VALUES = ("data_source_id", "objects", "places")

_DEPENDENT = cast("Table", model.Dependent.__table__)
_REFERENCE = cast("Table", model.Reference.__table__)

_Rows = dict[tuple[str, ...], dict[str, Any]]


class _Known(NamedTuple):
    """A dependent that was found before."""

    id: int
    workspace_id: int
    unit: str

    def is_in(self, workspace: model.Workspace, units: Collection[str]) -> bool:
        """Whether it is of this workspace, and in one of these units."""
        return self.workspace_id == workspace.id and self.unit in units


class Recording:
    """One scan on its way into the registry."""

    def __init__(self, session: Session, workspace: model.Workspace, adapter: str, by: By) -> None:
        self._session = session
        self._workspace = workspace
        self._adapter = adapter
        self._by = by
        self._meant: Mapping[str, Meant] = {}
        self._numbers = dict.fromkeys(("new", "changed", "unchanged", "gone", "references"), 0)

    def scan(self, found: Sequence[FoundDependent], scanned_units: Collection[str]) -> Counts:
        """See `Dependents.record`."""
        from registry.dependents import Counts

        _expect_own_keys(found)
        known = self._known()
        self._resolve(found)
        for chunk in chunks(found):
            self._put(chunk, known)
        gone = known.keys() - {one.key for one in found}
        self._delete([known[key].id for key in gone if known[key].is_in(self._workspace, scanned_units)])
        counts = Counts(**self._numbers, unresolved=tuple(self._unresolved(found)))
        if counts.new or counts.changed or counts.gone:
            self._audit("scan", {"adapter": self._adapter, **counts.document()})
        return counts

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

    def _known(self) -> dict[str, _Known]:
        """Key -> every dependent of the adapter. All at once: PostgreSQL's planner takes what a transaction has written
        for next to nothing, and compares each row of it with each key that is asked for."""
        table = model.Dependent
        columns = (table.key, table.id, table.workspace_id, table.unit)
        rows = self._session.execute(select(*columns).where(table.adapter == self._adapter))
        return {row.key: _Known(row.id, row.workspace_id, row.unit) for row in rows}

    def _put(self, found: Sequence[FoundDependent], known: Mapping[str, _Known]) -> None:
        wanted = {one.key: self._row(one) for one in found}
        present = self._present([known[key].id for key in wanted if key in known])
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
        self._numbers["new"] += len(fresh)
        self._numbers["changed"] += len(changed)
        self._numbers["unchanged"] += len(ids) - len(fresh) - len(changed) - len(unused)
        self._numbers["references"] += sum(map(len, after.values()))

    def _present(self, ids: Sequence[int]) -> dict[str, RowMapping]:
        rows = self._session.execute(select(_DEPENDENT).where(_DEPENDENT.c.id.in_(ids))).mappings() if ids else ()
        return {row["key"]: row for row in rows}

    def _update(self, moved: Mapping[int, Mapping[str, Any]], seen: Sequence[int]) -> None:
        _update_rows(self._session, _DEPENDENT, _COLUMNS, [(id_, row) for id_, row in moved.items()])
        table = model.Dependent
        self._session.execute(update(table).where(table.id.in_(seen)).values(seen_at=self._by.at))

    def _row(self, found: FoundDependent) -> dict[str, Any]:
        row = {name: getattr(found, name) for name in _COLUMNS if name != "workspace_id"}
        row |= {"details": dict(found.details), "workspace_id": self._workspace.id}
        return row | {"adapter": self._adapter, "key": found.key, "seen_at": self._by.at}

    def _insert(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        if not rows:
            return {}
        made = insert(model.Dependent).returning(model.Dependent.key, model.Dependent.id)
        return dict(self._session.execute(made, rows).tuples().all())

    def _delete(self, ids: Sequence[int]) -> None:
        for chunk in chunks(ids):
            self._session.execute(delete(model.Dependent).where(model.Dependent.id.in_(chunk)))
        self._numbers["gone"] += len(ids)

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
            key = (meant.path, meant.side(env), reference.role)
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

    def _unresolved(self, found: Iterable[FoundDependent]) -> Iterable[Any]:
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


def _places(reference: FoundReference) -> list[dict[str, str]]:
    said = {"name": reference.source, "type": reference.type}
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


def _expect_own_keys(found: Sequence[FoundDependent]) -> None:
    units: dict[str, str] = {}
    for one in found:
        if one.key in units:
            told = f"two dependents have the key {one.key!r}: in {units[one.key]} and in {one.unit}"
            raise InvalidInput(told, where=one.unit, instruction="look at each of these places alone")
        units[one.key] = one.unit
