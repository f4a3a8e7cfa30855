"""Names changed in a document, and nothing else of it: proved of each change by reading what came of it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tasks.dependents import NotRewritable, Rename
from tasks.dependents.files import jsontext, pointers, yamltext
from tasks.dependents.files.literals import Literal, lifted
from tasks.dependents.files.pointers import Levels, Path
from tasks.dependents.files.texts import Edit, Malformed, NotInPlace, applied


class Format(StrEnum):
    """What a document is written in."""

    JSON = "json"
    YAML = "yaml"


#: Ending -> what a file is written in.
FORMATS: Mapping[str, Format] = {".json": Format.JSON, ".yaml": Format.YAML, ".yml": Format.YAML}


def format_of(unit: str, default: Format) -> Format:
    """What a file is written in, by its ending."""
    return FORMATS.get(os.path.splitext(unit)[1].lower(), default)  # noqa: PTH122  a Path takes longer than to parse


@dataclass(frozen=True)
class Change:
    """The name at one place of a document; `levels` as the levels of a pointer."""

    levels: Levels
    old: str
    new: str


def load(text: str, format: Format) -> Any:
    """The data of a document.

    Raises:
        Malformed: It is none.
    """
    return jsontext.load(text) if format is Format.JSON else yamltext.load(text)


def value(data: Any, levels: Levels) -> Any:
    """What stands at the levels of a pointer; None: nothing."""
    for number, path in enumerate(levels):
        try:
            data = jsontext.load(data) if number else data
            for key in path:
                data = data[int(key)] if isinstance(data, list) else data[key]
        except (Malformed, KeyError, IndexError, TypeError, ValueError):
            return None
    return data


def renamed(text: str, format: Format, renames: Sequence[Rename]) -> str:
    """The document with these names changed.

    Raises:
        NotRewritable: One of them is not where it should be, or can't be changed without another change.
    """
    changes = [Change(pointers.read(one.place.pointer), one.old, one.new) for one in renames]
    return changed(text, format, changes, renames[0].place.unit if renames else "")


def changed(text: str, format: Format, changes: Sequence[Change], unit: str) -> str:
    """As `renamed`."""
    try:
        return applied(text, _edits(text, format, changes))
    except Malformed as problem:
        where = f"{unit}:{problem.line}:{problem.column}"
        raise NotRewritable(f"it can't be read: {problem.reason}", where=where) from None
    except _Refused as refused:
        where = f"{unit}#{pointers.written(refused.change.levels)}" if refused.change else unit
        raise NotRewritable(str(refused), where=where, instruction="change it there by hand, then scan again") from None


class _Refused(Exception):
    def __init__(self, reason: str, change: Change | None = None) -> None:
        super().__init__(reason)
        self.change = change


def _edits(text: str, format: Format, changes: Sequence[Change]) -> list[Edit]:
    before = load(text, format)
    groups = defaultdict[Path, list[Change]](list)
    for change in changes:
        groups[change.levels[0]].append(change)
    literals = jsontext.locate(text, groups) if format is Format.JSON else yamltext.locate(before, groups)
    edits, values = list[Edit](), dict[Path, Any]()
    for path, group in groups.items():
        literal = _found(literals.get(path), group[0])
        inner = _inner(str(literal.value), group)
        try:
            edits += lifted(text, literal, inner)
            value = applied(str(literal.value), inner)
        except NotInPlace as problem:
            raise _Refused(str(problem), group[0]) from None
        values[path] = type(literal.value)(value)
    _prove(text, format, edits, _with(before, values) if values else before, changes)
    return edits


def _prove(text: str, format: Format, edits: Sequence[Edit], expected: Any, changes: Sequence[Change]) -> None:
    try:
        after = load(applied(text, edits), format)
    except (Malformed, NotInPlace):
        raise _Refused("the new name can't be written there in the way that the old one is", changes[0]) from None
    if after != expected:
        reason = "the name can't be changed there alone: an anchor shares it with other places, or it has to be quoted"
        raise _Refused(reason, changes[0])


def _found(literal: Literal | None, change: Change) -> Literal:
    """What stands where a change is to be made: text, or a number that becomes another one."""
    value = literal.value if literal else None
    numbers = isinstance(value, int) and not isinstance(value, bool) and change.new.isdecimal()
    if literal is None or not (isinstance(value, str) or numbers):
        raise _Refused(f"{change.old!r} does not stand there any more", change)
    return literal


def _inner(text: str, group: Sequence[Change]) -> list[Edit]:
    """What changes in the value of a literal."""
    first = group[0]
    deeper = [Change(one.levels[1:], one.old, one.new) for one in group if len(one.levels) > 1]
    if deeper:
        try:
            return _edits(text, Format.JSON, deeper)
        except Malformed:
            raise _Refused("the text there is no JSON any more", first) from None
        except _Refused as refused:
            raise _Refused(str(refused), first) from None
    if text.strip() != first.old:
        raise _Refused(f"{first.old!r} does not stand there", first)
    start = text.index(first.old)
    return sorted({Edit(start, start + len(one.old), one.new) for one in group})


def _with(data: Any, values: Mapping[Path, Any]) -> Any:
    """Data with other values at these paths, which are there; what is not on the way is shared."""
    if () in values:
        return values[()]
    inside = defaultdict[str, dict[Path, Any]](dict)
    for path, value in values.items():
        inside[path[0]][path[1:]] = value
    if isinstance(data, list):
        made = [*data]
        for key, deeper in inside.items():
            made[int(key)] = _with(data[int(key)], deeper)
        return made
    return {**data, **{key: _with(data[key], deeper) for key, deeper in inside.items()}}
