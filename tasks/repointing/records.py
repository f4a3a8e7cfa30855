"""What the registry remembers of dependents, brought to what has just been done, in the transaction that says so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from registry import audit, model, sources
from registry.audit import By
from registry.errors import NotFound
from tasks.dependents import Place, Rename

#: Ids in one statement; SQLite takes no more than 32766 values.
_MOST = 5000


@dataclass(frozen=True)
class End:
    """A data source that references point to.

    Attributes:
        id: None: it is gone; what names it points to nothing.
    """

    id: int | None
    path: str


def end(session: Session, path: str) -> End:
    """A data source as far as it is still there."""
    try:
        return End(sources.find(session, *path.split("/", 1)).id, path)
    except NotFound:
        return End(None, path)


@dataclass(frozen=True)
class Shift:
    """A unit whose names have changed.

    Attributes:
        dependents: As the plan keeps them.
    """

    unit: str
    renames: Sequence[Rename]
    dependents: Sequence[Mapping[str, Any]]


def renames_of(action: Mapping[str, Any]) -> tuple[Rename, ...]:
    """What a step changes."""
    return tuple(Rename(Place(action["unit"], pointer), old, new) for pointer, old, new in action["renames"])


def backwards(renames: Sequence[Rename]) -> tuple[Rename, ...]:
    """What undoes these together. Where places count columns of a line, each name moves those behind it."""
    moved = defaultdict[str, int](int)
    undone = {}
    for one in sorted(renames, key=_column):
        line, column = _line(one), _column(one)
        if not line:
            undone[one] = one.backwards()
            continue
        pointer = f"{line}:{column + moved[line]}"
        moved[line] += len(one.new) - len(one.old)
        undone[one] = Rename(Place(one.place.unit, pointer), one.new, one.old)
    return tuple(undone[one] for one in renames)


def _line(rename: Rename) -> str:
    """What stands before the column, where a place is `line:column`; empty elsewhere."""
    head, _, column = rename.place.pointer.rpartition(":")
    return head if head.rpartition("!")[2].isdecimal() and column.isdecimal() else ""


def _column(rename: Rename) -> int:
    return int(rename.place.pointer.rpartition(":")[2]) if _line(rename) else 0


def shift(session: Session, shifts: Sequence[Shift], source: End, target: End) -> None:
    """Let the references of these units point to `target` where they pointed to `source`.

    Only places that were renamed move: a reference with others keeps those, and goes on pointing to `source` for them.
    """
    renamed: dict[int, _Moves] = defaultdict(dict)
    uses: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for one in shifts:
        back = backwards(one.renames)
        names = {
            (one.unit, rename.place.pointer): {"pointer": undo.place.pointer, "name": rename.new}
            for rename, undo in zip(one.renames, back, strict=True)
        }
        for dependent in one.dependents:
            renamed[dependent["id"]] |= names
            uses[dependent["id"]] |= {(env, role) for _, env, role, _ in dependent["uses"]}
    rows = {key: row for key, row in _references(session, renamed, (source, target)) if key[1:3] in uses[key[0]]}
    changed = _Changed()
    for (id_, env, role, path), row in rows.items():
        if path == source.path:
            changed.take(row, rows.get((id_, env, role, target.path)), renamed[id_], target)
    changed.write(session)


_Key = tuple[int, str, str, str]
#: (unit, pointer) -> what of the place is otherwise now.
_Moves = dict[tuple[str, str], dict[str, str]]


def _references(
    session: Session, dependents: Iterable[int], ends: Sequence[End]
) -> Iterator[tuple[_Key, dict[str, Any]]]:
    ids, use = [*dependents], model.Reference
    columns = (use.id, use.dependent_id, use.env, use.role, use.data_source_id, use.source, use.objects, use.places)
    pointing = or_(*(_points_to(end) for end in ends))
    paths = {end.id: end.path for end in ends if end.id is not None}
    for start in range(0, len(ids), _MOST):
        wanted = select(*columns).where(use.dependent_id.in_(ids[start : start + _MOST]))
        for row in session.execute(wanted.where(pointing)):
            known = dict(row._mapping)
            yield (row.dependent_id, row.env, row.role, paths.get(row.data_source_id, row.source)), known


def _points_to(end: End) -> ColumnElement[bool]:
    use = model.Reference
    if end.id is not None:
        return use.data_source_id == end.id
    return and_(use.data_source_id.is_(None), use.source == end.path)


class _Changed:
    """Rows of references to write, many at once."""

    def __init__(self) -> None:
        self._updates: list[dict[str, Any]] = []
        self._inserts: list[dict[str, Any]] = []
        self._deletes: list[int] = []

    def take(
        self,
        row: Mapping[str, Any],
        there: Mapping[str, Any] | None,
        renamed: _Moves,
        target: End,
    ) -> None:
        """Move what was renamed of one row; `there` is the row that points to the target already, if one does."""
        moving = [place for place in row["places"] if (place["unit"], place["pointer"]) in renamed]
        staying = [place for place in row["places"] if place not in moving]
        if not moving:
            return
        moved = [{**place, **renamed[place["unit"], place["pointer"]]} for place in moving]
        pointing = {"data_source_id": target.id, "source": target.path}
        if there is not None:
            objects = [*dict.fromkeys([*there["objects"], *row["objects"]])]
            self._updates.append({"id": there["id"], "objects": objects, "places": [*there["places"], *moved]})
        if staying:
            self._updates.append({"id": row["id"], "places": staying})
        elif there is not None:
            self._deletes.append(row["id"])
        else:
            self._updates.append({"id": row["id"], "places": moved, **pointing})
        if staying and there is None:
            kept = {name: row[name] for name in ("dependent_id", "env", "role", "objects")}
            self._inserts.append({**kept, **pointing, "places": moved})

    def write(self, session: Session) -> None:
        """All of it."""
        grouped = defaultdict[tuple[str, ...], list[dict[str, Any]]](list)
        for row in self._updates:
            grouped[tuple(row)].append(row)
        for start in range(0, len(self._deletes), _MOST):
            session.execute(delete(model.Reference).where(model.Reference.id.in_(self._deletes[start : start + _MOST])))
        for rows in grouped.values():
            session.execute(update(model.Reference), rows)
        if self._inserts:
            session.execute(insert(model.Reference), self._inserts)


def audited(
    session: Session, shifts: Sequence[Shift], action: str, source: End, target: End, plan: str, by: By
) -> None:
    """One record for each dependent that points elsewhere now."""
    before, after = {"source": source.path}, {"source": target.path, "plan": plan}
    rows = [
        by.record(action, f"dependent:{one['adapter']}:{one['key']}"[:800], version=None, before=before, after=after)
        for shifted in shifts
        for one in shifted.dependents
    ]
    audit.write(session, rows)


def locked(session: Session, dependents: Sequence[int], by: By) -> dict[int, str]:
    """Who is editing each of these right now; whoever acts locks nothing against himself."""
    found: dict[int, str] = {}
    for start in range(0, len(dependents), _MOST):
        one = model.Dependent
        wanted = select(one.id, one.locked_by).where(one.id.in_(dependents[start : start + _MOST]))
        found |= dict(session.execute(wanted.where(one.locked_by != "")).tuples().all())
    # Adapters add what they know to a name: `alice (changes that are not committed)`.
    return {id_: editor for id_, editor in found.items() if editor.partition(" (")[0] != by.actor}
