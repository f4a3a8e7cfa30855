"""From what data sources are to what they shall be, many at once: the one way in which they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session, selectinload

from registry import access, audit, entries, model, secrets, workspaces
from registry.access import Verb
from registry.audit import By
from registry.changes import Action, Change
from registry.connection.reading import PENDING
from registry.entries import EntryDraft, SourceDraft
from registry.errors import HeadwaterError, InvalidInput, InvalidInputs
from registry.secrets import Sealing, Secrets

#: Names in one `IN (...)`, and sources written between two reports of progress.
CHUNK = 500

#: What a data source has besides its entries, with the value of a new one.
ATTRIBUTES: Mapping[str, Any] = {
    "kind": "standard",
    "origin": "manually",
    "visibility": "everywhere",
    "description": "",
    "tags": [],
    "permits": [],
}

Progress = Callable[[int, int], None]


def silent(_done: int, _total: int) -> None:
    """Progress for nobody."""


def put(
    session: Session,
    secrets_: Secrets,
    workspace: model.Workspace,
    drafts: Sequence[SourceDraft],
    by: By,
    *,
    seal: bool = True,
    progress: Progress = silent,
    by_compute_resource: bool = False,
) -> list[Change]:
    """Bring sources to what the drafts say, many at once, in a transaction that holds the write lock.

    What is as the drafts say already gets no new version and no audit record.

    Args:
        seal: False: encrypt nothing, because the transaction will be taken back.
        progress: Called with (sources done, sources in all).
        by_compute_resource: Whether this is the way of the compute resources: what they made is changed no other way.

    Raises:
        InvalidInputs: Every draft that can't be: see `Sources.update`.
    """
    changes: list[Change] = []
    problems: list[InvalidInput] = []
    for start in range(0, len(drafts), CHUNK):
        chunk = drafts[start : start + CHUNK]
        steps = _steps(session, workspace, chunk, workspace.mode)
        problems += [problem for step in steps for problem in step.problems()]
        if not problems:
            _keep_equal_secrets(session, secrets_, steps)
            moved = [step for step in steps if step.change().action is not Action.UNCHANGED]
            _expect_allowed(session, by, workspace, moved)
            if not by_compute_resource:
                problems += [belongs_to_compute_resource(step.path) for step in moved if step.automatic]
            _note_removed(session, steps)
            _write(session, secrets_, moved, by, seal)
            changes += [step.change() for step in steps]
            session.expunge_all()
            session.add(workspace)
        progress(min(start + CHUNK, len(drafts)), len(drafts))
    if problems:
        raise InvalidInputs(problems)
    return changes


@dataclass(frozen=True)
class Ready:
    """Sources that are made ready to be written: all that can be found out without the write lock."""

    steps: Sequence[_Step]


def make_ready(
    session: Session, secrets_: Secrets, workspace: model.Workspace, drafts: Sequence[SourceDraft], mode: str
) -> Ready:
    """Find out what bringing sources to their drafts takes, and change nothing.

    Args:
        mode: The mode that the workspace will be in.

    Raises:
        InvalidInputs: Every draft that can't be, as `put`.
    """
    steps = _steps(session, workspace, drafts, mode)
    problems = [problem for step in steps for problem in step.problems()]
    if problems:
        raise InvalidInputs(problems)
    _keep_equal_secrets(session, secrets_, steps)
    return Ready([step for step in steps if step.change().action is not Action.UNCHANGED])


def put_ready(session: Session, secrets_: Secrets, ready: Ready, by: By, *, progress: Progress = silent) -> None:
    """Write what was made ready, in a transaction that holds the write lock.

    The caller has seen in it that the sources are in the versions that they were made ready from, and who may do it.
    """
    total = len(ready.steps)
    for start in range(0, total, CHUNK):
        chunk = ready.steps[start : start + CHUNK]
        _note_removed(session, chunk)
        _write(session, secrets_, chunk, by, seal=True)
        progress(min(start + CHUNK, total), total)


def _steps(session: Session, workspace: model.Workspace, drafts: Sequence[SourceDraft], mode: str) -> list[_Step]:
    present = existing(session, workspace, [item.name for item in drafts])
    return [_Step(workspace, item, present.get(item.name), mode) for item in drafts]


def existing(session: Session, workspace: model.Workspace, names: Sequence[str]) -> dict[str, model.DataSource]:
    """Those of these names that a workspace has, with their entries."""
    wanted = select(model.DataSource).where(
        model.DataSource.workspace_id == workspace.id, model.DataSource.name.in_(names)
    )
    return {row.name: row for row in session.scalars(wanted.options(selectinload(model.DataSource.entries)))}


def belongs_to_compute_resource(path: str) -> InvalidInput:
    """The refusal to edit or delete what a compute resource made."""
    owner, _, name = path.partition("/")
    return InvalidInput(
        "the data source was made by a compute resource, and is edited and deleted only through it",
        where=f"data_source:{path}",
        instruction=f"headwater compute-resource edit {owner}/{name}, or detach {owner}/{name}",
    )


# --- the steps of `put` ---------------------------------------------------------------------------------------------


class _EntryStep:
    """One entry on its way from what it is to what it shall be."""

    def __init__(self, path: str, type_: str, env: str, wanted: EntryDraft, row: model.Entry | None) -> None:
        self.path, self.type, self.env, self.wanted, self.row = path, type_, env, wanted, row
        self.columns = entries.columns(wanted.connection)
        self.references: dict[str, str] = self.columns["references"]
        self.before = entries.snapshot(row) if row else {}
        self.kept = dict(row.references) if row else {}
        self.references |= self._unsaid()
        self.literals = {name: value for name, value in wanted.literals.items() if name in self.references}
        self.entry_id = row.id if row else 0
        self.ids = {name: secrets.new_id() for name in self.literals}
        for name, id_ in self.ids.items():
            self.references[name] = f"stored:{id_}"
        self._fields: dict[str, tuple[Any, Any]] | None = None

    def _unsaid(self) -> dict[str, str]:
        """Stored secrets of fields that the text leaves out: no text can hold them, so its silence removes none.

        An entry that turns to another host, port or TLS setting leaves them behind.
        """
        fields = type(self.wanted.connection).model_fields
        unsaid = {
            name: reference
            for name, reference in self.kept.items()
            if reference.startswith("stored:") and name not in self.references and name in fields
            if name not in self.wanted.dropped
        }
        return {} if unsaid and self._moved() else unsaid

    def problems(self) -> Iterable[InvalidInput]:
        """Stored secrets that are somebody else's, or that may not follow the entry to another host."""
        stored = {
            name: reference
            for name, reference in self.references.items()
            if reference.startswith("stored:") and name not in self.ids
        }
        for name, reference in stored.items():
            where = f"{self.path}.{name}"
            if reference == PENDING or self.kept.get(name) != reference:
                advice = "set the secret again, by prompt or as a reference such as env:NAME or file:PATH"
                yield InvalidInput("this stored secret does not belong to this entry", where=where, instruction=advice)
            elif self._moved():
                yield InvalidInput(
                    "host, port or TLS setting change, and a stored secret goes only to those it was stored for",
                    where=where,
                    instruction="give the secret again: itself, in a text on standard input (`headwater apply -f -`), "
                    "or as a reference such as env:NAME or file:PATH",
                )

    def _moved(self) -> bool:
        assert self.row is not None  # noqa: S101 - it keeps a secret
        try:
            before = entries.connection_of(self.type, self.row)
        except HeadwaterError:
            return True
        return secrets.binding(before) != secrets.binding(self.wanted.connection)

    def sealings(self) -> list[Sealing]:
        """The literals that are to be encrypted."""
        bound = secrets.binding(self.wanted.connection) if self.ids else ""
        return [
            Sealing(self.entry_id, self.path, name, bound, self.literals[name], id_) for name, id_ in self.ids.items()
        ]

    def comparisons(self) -> list[Sealing]:
        """The literals that may be stored already: the same, under the id of the secret that is."""
        return [
            Sealing(s.entry_id, s.path, s.field, s.binding, s.value, self.kept[s.field].removeprefix("stored:"))
            for s in self.sealings()
            if self.kept.get(s.field, "").startswith("stored:")
        ]

    def keep(self, name: str) -> None:
        """The stored secret of a field is the literal: leave it."""
        self.references[name] = self.kept[name]
        del self.ids[name]
        self._fields = None

    def fields(self) -> dict[str, tuple[Any, Any]]:
        if self._fields is None:
            self._fields = audit.differences(self.before, self.after())
        return self._fields

    def dropped(self) -> list[str]:
        """The ids of stored secrets that nothing refers to any more."""
        still = set(self.references.values())
        return [
            text.removeprefix("stored:") for text in self.kept.values() if text[:7] == "stored:" and text not in still
        ]

    def removed(self) -> dict[str, str]:
        """URL parameters that are left out -> why."""
        return {one.key: one.why for one in self.wanted.removed}

    def after(self) -> dict[str, Any]:
        return entries.flat(**self.columns)


class _Step:
    """One data source on its way from what it is to what it shall be."""

    def __init__(
        self, workspace: model.Workspace, wanted: SourceDraft, row: model.DataSource | None, mode: str
    ) -> None:
        self.workspace_id, self.mode, self.wanted, self.row = workspace.id, mode, wanted, row
        self.path = f"{workspace.name}/{wanted.name}"
        self.source_id = row.id if row else 0
        self.before = {name: getattr(row, name) for name in ATTRIBUTES} if row else {}
        self.after = {**ATTRIBUTES, **self.before, **wanted.attributes}
        self.entries = [
            _EntryStep(f"{self.path}/{env}", wanted.type, env, entry, row.entry(env) if row else None)
            for env, entry in wanted.entries.items()
        ]
        self._change: Change | None = None

    @property
    def automatic(self) -> bool:
        """Whether it is there, and a compute resource made it."""
        return self.row is not None and self.row.origin == "automatically"

    def problems(self) -> Iterable[InvalidInput]:
        if self.row is not None and self.row.type != self.wanted.type:
            yield InvalidInput(
                f"the data source is of type {self.row.type}; a type is never changed",
                where=f"{self.path}.type",
                instruction="delete the data source and make it anew, or use another name",
            )
        allowed = workspaces.ENVIRONMENTS[self.mode]
        for entry in self.entries:
            if entry.env not in allowed:
                yield InvalidInput(
                    f"a {self.mode} workspace has no environment {entry.env}",
                    where=entry.path,
                    instruction=f"keep {' and '.join(allowed)} alone, or make the workspace standard",
                )
            yield from entry.problems()

    def attributes(self) -> dict[str, tuple[Any, Any]]:
        return audit.differences(self.before, self.after)

    def change(self) -> Change:
        """What becomes of it, once its secrets are compared with those that are stored."""
        if self._change is None:
            self._change = self._changing()
        return self._change

    def _changing(self) -> Change:
        fields = (
            self.attributes()
            if self.row
            else {"type": (None, self.wanted.type)}
            | {name: (None, value) for name, value in self.wanted.attributes.items()}
        )
        for entry in self.entries:
            fields |= {f"{entry.env}.{name}": values for name, values in entry.fields().items()}
        action = Action.CREATE if self.row is None else Action.UPDATE if fields else Action.UNCHANGED
        return Change(f"data_source:{self.path}", action, fields)


def _expect_allowed(session: Session, by: By, workspace: model.Workspace, moved: Sequence[_Step]) -> None:
    for verb in {Verb.CREATE if step.row is None else Verb.UPDATE for step in moved}:
        access.require(session, by, verb, workspace)


def _keep_equal_secrets(session: Session, secrets_: Secrets, steps: Sequence[_Step]) -> None:
    candidates = [(entry, item) for step in steps for entry in step.entries for item in entry.comparisons()]
    if candidates:
        same = secrets_.unchanged(session, [item for _, item in candidates])
        for entry, item in candidates:
            if item.id in same:
                entry.keep(item.field)


def _note_removed(session: Session, steps: Sequence[_Step]) -> None:
    """What was removed from the text now; the entry itself stays as it is, and so does its version."""
    rows = [
        {"id": entry.row.id, "removed": entry.removed()}
        for entry in (entry for step in steps for entry in step.entries)
        if entry.row is not None and entry.row.removed != entry.removed()
    ]
    _update(session, model.Entry, rows)


def _write(session: Session, secrets_: Secrets, steps: Sequence[_Step], by: By, seal: bool) -> None:
    records: list[dict[str, Any]] = []
    _insert_sources(session, [step for step in steps if step.row is None], by, records)
    _update_sources(session, steps, by, records)
    pairs = [(step, entry) for step in steps for entry in step.entries]
    _insert_entries(session, [pair for pair in pairs if pair[1].row is None], by, records)
    _update_entries(session, [entry for _, entry in pairs], by, records)
    secrets.forget(session, [id_ for _, entry in pairs for id_ in entry.dropped()])
    if seal:
        secrets_.seal(session, [item for _, entry in pairs for item in entry.sealings()], by)
    audit.write(session, records)


def _update(session: Session, table: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Update rows by their ids; those that set the same columns go together."""
    grouped: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(tuple(row), []).append(row)
    for alike in grouped.values():
        session.execute(update(table), alike)


def _insert_sources(session: Session, steps: Sequence[_Step], by: By, records: list[dict[str, Any]]) -> None:
    if not steps:
        return
    rows = [
        {
            "workspace_id": step.workspace_id,
            "name": step.wanted.name,
            "type": step.wanted.type,
            **step.after,
            **by.new(),
        }
        for step in steps
    ]
    made = insert(model.DataSource).returning(model.DataSource.id, sort_by_parameter_order=True)
    for step, id_ in zip(steps, session.scalars(made, rows), strict=True):
        step.source_id = id_
        after = {"type": step.wanted.type, **step.after}
        records.append(by.record("create", f"data_source:{step.path}", version=1, before=None, after=after))


def _update_sources(session: Session, steps: Sequence[_Step], by: By, records: list[dict[str, Any]]) -> None:
    """The version of a source grows with its entries' too, so that whoever holds the source sees every change."""
    rows = []
    for step in steps:
        changed = step.attributes()
        if step.row is None or not (changed or any(entry.fields() for entry in step.entries)):
            continue
        values = {name: value for name, (_, value) in changed.items()}
        rows.append({"id": step.row.id, **values, **by.changed(step.row.version)})
        old, new = audit.sides(step.change().fields)
        version = step.row.version + 1
        records.append(by.record("update", f"data_source:{step.path}", version=version, before=old, after=new))
    _update(session, model.DataSource, rows)


def _insert_entries(
    session: Session, pairs: Sequence[tuple[_Step, _EntryStep]], by: By, records: list[dict[str, Any]]
) -> None:
    if not pairs:
        return
    rows = [
        {
            "data_source_id": step.source_id,
            "env": entry.env,
            **entry.columns,
            "removed": entry.removed(),
            **by.new(),
        }
        for step, entry in pairs
    ]
    made = insert(model.Entry).returning(model.Entry.id, sort_by_parameter_order=True)
    for (_, entry), id_ in zip(pairs, session.scalars(made, rows), strict=True):
        entry.entry_id = id_
        after = entry.after()
        records.append(by.record("create", f"entry:{entry.path}", version=1, before=None, after=after))


def _update_entries(session: Session, steps: Sequence[_EntryStep], by: By, records: list[dict[str, Any]]) -> None:
    rows = []
    for entry in steps:
        changed = entry.fields() if entry.row is not None else {}
        if entry.row is None or not changed:
            continue
        rows.append({"id": entry.row.id, **entry.columns, **by.changed(entry.row.version)})
        old, new = audit.sides(changed)
        version = entry.row.version + 1
        records.append(by.record("update", f"entry:{entry.path}", version=version, before=old, after=new))
    _update(session, model.Entry, rows)
