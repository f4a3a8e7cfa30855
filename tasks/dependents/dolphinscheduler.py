"""Exports of DolphinScheduler: tasks name data sources by ids, which its pages of data sources explain.

Process definitions as its web interface exports them, of version 1 (`processDefinitionJson`), 2 and 3
(`taskDefinitionList`, `taskDefinitionJson` with escaped `taskParams`; from 3.3 on they are called workflows); the pages
as its API lists them. A name is changed by writing the id that the new source has in the same pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from registry.errors import HeadwaterError
from tasks.dependents import FoundDependent, FoundReference, NotRewritable, Place, Rename, Scope, Unread
from tasks.dependents.files import documents, git, jsontext, pointers, sql, units
from tasks.dependents.files.adapter import FileAdapter, Found, Look
from tasks.dependents.files.documents import Change, Format
from tasks.dependents.files.pointers import Levels
from tasks.dependents.files.texts import Malformed
from tasks.dependents.files.uses import Holder, objects, said, value

#: Key of an id, in lower case -> what is done with the source; empty: its SQL tells.
_KEYS: Mapping[str, str] = {
    "datasource": "",
    "datatarget": "writer",
    "srcdatasource": "reader",
    "targetdatasource": "writer",
    "src_datasource_id": "rule",
    "target_datasource_id": "rule",
}
#: Type of a task -> its module, the kind of its work, and what it does with `datasource`; others develop.
_TASKS: Mapping[str, tuple[str, str, str]] = {
    "SQL": ("data_studio", "sql", ""),
    "PROCEDURE": ("data_studio", "sql", "query"),
    "DATAX": ("data_integration", "batch_sync", "reader"),
    "SQOOP": ("data_integration", "batch_sync", ""),
    "SEATUNNEL": ("data_integration", "sync", ""),
    "DATA_QUALITY": ("data_quality", "rule", "rule"),
}
_OTHER = ("data_studio", "node", "")
_IN_TEXT = ("atasource", "ataSource", "ataTarget", "taskParams", "params")
#: How many folders up the pages are looked for: a package has `datasource/` beside `projects/NAME/`.
_HIGHEST = 4


@dataclass(frozen=True)
class Source:
    """A row of a page of data sources."""

    id: str
    name: str
    type: str


@dataclass(frozen=True)
class _Use:
    levels: Levels
    id: str
    role: str
    task: Mapping[str, Any]
    process: Mapping[str, Any]
    params: Mapping[str, Any]

    @property
    def kind(self) -> tuple[str, str, str]:
        return _TASKS.get(said(self.task, "taskType", "type").upper(), _OTHER)


@dataclass(frozen=True)
class DolphinScheduler(FileAdapter):
    """Exported process definitions."""

    name: ClassVar[str] = "dolphinscheduler"
    endings: ClassVar[frozenset[str]] = frozenset({".json"})
    keywords: ClassVar[tuple[bytes, ...]] = (b"taskParams", b"processDefinitionJson", b"taskDefinitionJson")

    def look(self, scope: Scope) -> Look:
        """What finds the dependents in one export after the other."""
        return _Reading(self.env()).found

    def renamed(self, text: str, renames: Sequence[Rename]) -> str:
        """The export with the ids of the new sources. Raises: NotRewritable: The pages don't have the new name."""
        unit = renames[0].place.unit
        data = jsontext.load(text)
        known = _own(data) or _beside(Path(unit), {})
        return documents.changed(text, Format.JSON, [_change(data, known, one) for one in renames], unit)

    def parse(self, unit: str, text: str) -> None:
        """Raises: Malformed."""
        jsontext.load(text)


@dataclass
class _Reading:
    """One scan."""

    env: str
    edited: git.Edited = field(default_factory=git.Edited)
    _pages: dict[Path, list[Source]] = field(default_factory=dict)

    def found(self, path: Path, text: str) -> Found:
        """The tasks of an export that use data sources. Raises: Malformed."""
        data = jsontext.load(text)
        known = {one.id: one for one in _own(data) or _beside(path, self._pages)}
        together = dict[str, FoundDependent]()
        for use in _uses(data):
            place = Place(str(path), pointers.written(use.levels))
            if use.id not in known:
                yield Unread(place, f"no page of data sources beside the export has the id {use.id}")
                continue
            one = self._dependent(path, use, _references(use, known[use.id], place))
            before = together.get(one.key)
            together[one.key] = _merged(before, one) if before else one
        yield from together.values()

    def _dependent(self, path: Path, use: _Use, references: tuple[FoundReference, ...]) -> FoundDependent:
        module, task_kind, _ = use.kind
        name = said(use.task, "name")
        details = {
            "process": said(use.process, "name"),
            "task_type": said(use.task, "taskType", "type"),
            "release_state": said(use.process, "releaseState"),
        }
        return FoundDependent(
            key=f"{path}#{said(use.task, 'code', 'id') or name}",
            unit=str(path),
            name=name or said(use.task, "code", "id"),
            module=module,
            references=references,
            task_kind=task_kind,
            env=self.env,
            owner=said(use.process, "userName") or said(use.process, "userId"),
            resource_group=said(use.task, "workerGroup"),
            location=str(path),
            locked_by=self.edited.by(path),
            details={key: told for key, told in details.items() if told},
        )


def _uses(data: Any) -> Iterator[_Use]:
    """The ids of data sources in the parameters of tasks."""
    for holders in objects(data, _IN_TEXT):
        at = next((number for number, one in enumerate(holders) if one.key in ("taskParams", "params")), 0)
        if not at:
            continue
        last = holders[-1]
        for key, found in last.data.items():
            if key.lower() in _KEYS and _is_id(found):
                levels = (*last.levels[:-1], (*last.levels[-1], key))
                task, process = holders[at - 1].data, _process(holders[:at])
                yield _Use(levels, str(found), _KEYS[key.lower()], task, process, holders[at].data)


def _is_id(found: Any) -> bool:
    """Ids begin at 1; a task of custom code has 0 where others have an id."""
    return not isinstance(found, bool) and str(found).isdecimal() and int(found) > 0


def _process(holders: Sequence[Holder]) -> Mapping[str, Any]:
    """The process that a task belongs to."""
    for holder in reversed(holders):
        definition = value(holder.data, "processDefinition", "workflowDefinition")
        if isinstance(definition, Mapping):
            return definition
        if value(holder.data, "processDefinitionJson", "releaseState") is not None:
            return holder.data
    return {}


def _references(use: _Use, source: Source, place: Place) -> tuple[FoundReference, ...]:
    texts = [value(use.params, "sql"), value(use.params, "preStatements"), value(use.params, "postStatements")]
    statements = ";\n".join(one for text in texts for one in (text if isinstance(text, list) else [text or ""]))
    tables = sql.tables(statements, sql.dialect(source.type))
    role = use.role or use.kind[2]
    if role == "writer":
        target = said(use.params, "targetTable")
        return (_reference(source, role, (target,) if target else (), place),)
    if role == "rule":
        return (_reference(source, role, _checked(use), place),)
    if role:
        return (_reference(source, role, tables.read, place),)
    if use.kind[1] != "sql":
        return (_reference(source, "", (), place),)
    writer = (_reference(source, "writer", tables.written, place),) if tables.writes else ()
    query = (_reference(source, "query", tables.read, place),) if tables.read or not tables.writes else ()
    return writer + query


def _checked(use: _Use) -> tuple[str, ...]:
    """The table of a check of quality: `src_datasource_id` goes with `src_table`."""
    parameters = value(use.params, "ruleInputParameter")
    side = use.levels[-1][-1].lower().removesuffix("_datasource_id")
    table = said(parameters, f"{side}_table")
    return (table,) if table else ()


def _reference(source: Source, role: str, objects: tuple[str, ...], place: Place) -> FoundReference:
    return FoundReference(source.name, source.type.lower(), role, objects, (place,))


def _merged(one: FoundDependent, other: FoundDependent) -> FoundDependent:
    """One dependent with the references of both, one for each source and role."""
    found = {(ref.source, ref.role): ref for ref in one.references}
    for ref in other.references:
        if same := found.get((ref.source, ref.role)):
            objects, places = dict.fromkeys(same.objects + ref.objects), dict.fromkeys(same.places + ref.places)
            ref = replace(same, objects=tuple(objects), places=tuple(places))
        found[ref.source, ref.role] = ref
    return replace(one, references=tuple(found.values()))


def _change(data: Any, known: Sequence[Source], one: Rename) -> Change:
    """The id that becomes another one."""
    levels = pointers.read(one.place.pointer)
    stands = str(documents.value(data, levels))
    where = f"{one.place.unit}#{one.place.pointer}"
    if not any(source.id == stands and source.name == one.old for source in known):
        raise NotRewritable(
            f"the id that stands there is not that of {one.old!r}", where=where, instruction="scan again"
        )
    ids = {source.id for source in known if source.name == one.new}
    if len(ids) != 1:
        told = f"the pages of data sources beside it have {len(ids) or 'no'} sources named {one.new!r}"
        instruction = "create it in DolphinScheduler and export the page of its data sources beside the tasks"
        raise NotRewritable(f"{told}, so its id is not known", where=where, instruction=instruction)
    return Change(levels, stands, ids.pop())


def _own(data: Any, *marks: str) -> list[Source]:
    """The data sources that a document lists; an object with all of these keys is one."""
    found = (holders[-1].data for holders in objects(data, ()))
    return [
        Source(said(one, "id"), said(one, "name"), said(one, "type"))
        for one in found
        if all(mark in one for mark in marks or ("connectionParams",)) and _is_id(one.get("id")) and said(one, "name")
    ]


def _beside(path: Path, pages: dict[Path, list[Source]]) -> list[Source]:
    """The data sources of the nearest folder that has pages of them; `pages` remembers what was read."""
    for folder in [*path.parents][:_HIGHEST]:
        if folder not in pages:
            pages[folder] = [one for page in _pages(folder) for one in page]
        if pages[folder]:
            return pages[folder]
    return []


def _pages(folder: Path) -> Iterator[list[Source]]:
    for pattern in ("*datasource*.json", "datasource/*.json", "datasources/*.json"):
        for page in sorted(folder.glob(pattern)):
            try:
                data = jsontext.load(units.read(str(page)).text)
            except (HeadwaterError, Malformed):
                continue
            yield _own(data, "type", "name")  # some lists leave connections out


ADAPTER = DolphinScheduler()
