"""Dependents that are written down: quality rules, APIs, saved queries, and whatever else no adapter can find.

A file of registrations, in JSON or YAML, is what the modules Data Quality, Data Service and Data Analysis go by:

    dependents:
      - name: orders_by_day
        module: data_service
        source: orders
        objects: [orders]
        owner: wang

What a data source is used by stands in `source`; one that uses several has a list of `references` instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, cast

from registry.usage import KIND_OF_MODULE, MODULES, TaskKind
from tasks.dependents import FoundDependent, FoundReference, Place, Rename, Scope, Unread
from tasks.dependents.files import documents
from tasks.dependents.files.adapter import FileAdapter, Found, Look
from tasks.dependents.files.documents import FORMATS, Format

#: Module -> what its dependents do with a data source, where they do not say.
_ROLES: Mapping[str, str] = {"data_service": "api", "data_analysis": "query", "data_quality": "rule"}
#: What one dependent may say, besides `name`, `module`, and `source` or `references`.
_WORDS = ("env", "owner", "resource_group", "location", "locked_by")
_REFERENCE = ("source", "type", "role", "objects")
_KNOWN = frozenset({"name", "module", "task_kind", "last_run_at", "references", *_WORDS, *_REFERENCE})


class _Faulty(Exception):
    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(reason)
        self.pointer = pointer


@dataclass(frozen=True)
class Registered(FileAdapter):
    """Files of registrations."""

    name: ClassVar[str] = "registered"
    endings: ClassVar[frozenset[str]] = frozenset(FORMATS)
    keywords: ClassVar[tuple[bytes, ...]] = (b"dependents",)

    def look(self, scope: Scope) -> Look:
        """What finds the registrations in one file after the other."""
        return _found

    def renamed(self, text: str, renames: Sequence[Rename]) -> str:
        """The text of a file with these names changed. Raises: NotRewritable."""
        return documents.renamed(text, _format(renames[0].place.unit), renames)

    def parse(self, unit: str, text: str) -> None:
        """Raises: Malformed."""
        documents.load(text, _format(unit))


def _format(unit: str) -> Format:
    return documents.format_of(unit, Format.YAML)


def _found(path: Path, text: str) -> Found:
    data = documents.load(text, _format(str(path)))
    listed = data.get("dependents") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        return
    keys = set[str]()
    for number, one in enumerate(listed):
        pointer = f"/dependents/{number}"
        try:
            dependent = _dependent(str(path), pointer, one)
            if dependent.key in keys:
                raise _Faulty(f"{pointer}/name", f"{dependent.name} is written down twice")
        except _Faulty as faulty:
            yield Unread(Place(str(path), faulty.pointer), str(faulty))
        else:
            keys.add(dependent.key)
            yield dependent


def _dependent(unit: str, pointer: str, one: Any) -> FoundDependent:
    if not isinstance(one, dict):
        raise _Faulty(pointer, "it is no mapping: write name, module and source")
    if unknown := sorted(set(one) - _KNOWN):
        raise _Faulty(f"{pointer}/{unknown[0]}", f"{unknown[0]} means nothing here: use {', '.join(sorted(_KNOWN))}")
    name, module = _text(one, "name", pointer), _text(one, "module", pointer)
    if module not in MODULES:
        raise _Faulty(f"{pointer}/module", f"{module} is no module: use {', '.join(MODULES)}")
    kind = str(one.get("task_kind") or KIND_OF_MODULE[module])
    if kind not in [*TaskKind]:
        raise _Faulty(f"{pointer}/task_kind", f"{kind} is no kind of work: use {', '.join(TaskKind)}")
    words = {word: str(one[word]) for word in _WORDS if one.get(word)}
    if words.get("env", "prod") not in ("dev", "prod"):
        raise _Faulty(f"{pointer}/env", f"{words['env']} is no environment: use dev or prod")
    return FoundDependent(
        key=f"{unit}#{module}/{name}",
        unit=unit,
        name=name,
        module=module,
        references=tuple(_references(unit, pointer, one, _ROLES.get(module, ""))),
        task_kind=kind,
        last_run_at=_moment(one, pointer),
        **cast("Any", {"location": f"{unit}#{pointer}", **words}),
    )


def _references(unit: str, pointer: str, one: Mapping[str, Any], role: str) -> Iterator[FoundReference]:
    if "references" not in one:
        yield _reference(unit, pointer, one, role)
        return
    if "source" in one or not isinstance(one["references"], list):
        raise _Faulty(f"{pointer}/references", "write a list of references, or one source, not both")
    for number, reference in enumerate(one["references"]):
        place = f"{pointer}/references/{number}"
        if not isinstance(reference, dict) or set(reference) - {*_REFERENCE}:
            raise _Faulty(place, f"a reference has {', '.join(_REFERENCE)}")
        yield _reference(unit, place, reference, role)


def _reference(unit: str, pointer: str, one: Mapping[str, Any], role: str) -> FoundReference:
    objects = one.get("objects") or ()
    if not isinstance(objects, (list, tuple)):
        raise _Faulty(f"{pointer}/objects", "objects is a list of tables")
    return FoundReference(
        source=_text(one, "source", pointer),
        type=str(one.get("type") or ""),
        role=str(one.get("role") or role),
        objects=tuple(map(str, objects)),
        places=(Place(unit, f"{pointer}/source"),),
    )


def _text(one: Mapping[str, Any], name: str, pointer: str) -> str:
    value = one.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _Faulty(pointer if value is None else f"{pointer}/{name}", f"{name} is missing")
    return value.strip()


def _moment(one: Mapping[str, Any], pointer: str) -> datetime | None:
    if not one.get("last_run_at"):
        return None
    try:
        found = datetime.fromisoformat(str(one["last_run_at"]))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise _Faulty(f"{pointer}/last_run_at", "write it as 2026-05-04T03:02:01+00:00")
    return found


ADAPTER = Registered()
