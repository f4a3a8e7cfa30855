"""Files of SQL whose data source is said beside the statements: in a comment at their head, or for a whole folder.

At the head of a file:

    -- datasource: orders
    -- owner: ana

or in a `headwater.yaml` in its folder, in which the first pattern that fits counts, then `datasource`:

    datasource: orders
    files:
      "report_*.sql": warehouse
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

from registry.errors import HeadwaterError
from tasks.dependents import FoundDependent, FoundReference, NotRewritable, Place, Rename, Scope, Unread
from tasks.dependents.files import documents, git, pointers, sql, units
from tasks.dependents.files.adapter import FileAdapter, Found, Look
from tasks.dependents.files.documents import Format
from tasks.dependents.files.texts import Edit, Malformed, NotInPlace, applied, line_and_column, position
from tasks.dependents.files.uses import said, value

MAPPING = "headwater.yaml"
#: What the head may say, here and in the mapping.
_WORDS = ("datasource", "type", "owner", "env", "resource_group", "module", "smoke")
_HEAD = re.compile(r"\ufeff?(?:[ \t]*(?:--[^\n]*)?(?:\r?\n|\Z))*")
_SAID = re.compile(r"^\ufeff?[ \t]*--[ \t]*(?P<word>[a-z_]+)[ \t]*:[ \t]*(?P<text>[^\r\n]*?)[ \t]*\r?$", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z][\w./]*")


@dataclass(frozen=True)
class _Said:
    text: str
    place: Place


@dataclass(frozen=True)
class SqlText(FileAdapter):
    """Files of SQL."""

    name: ClassVar[str] = "sql_text"
    endings: ClassVar[frozenset[str]] = frozenset({".sql"})
    keywords: ClassVar[tuple[bytes, ...]] = (b"",)

    def look(self, scope: Scope) -> Look:
        """What finds the dependents in one file after the other."""
        return _Reading(self.env()).found

    def renamed(self, text: str, renames: Sequence[Rename]) -> str:
        """The file of SQL or the mapping with these names changed. Raises: NotRewritable."""
        if Path(renames[0].place.unit).name == MAPPING:
            return documents.renamed(text, Format.YAML, renames)
        try:
            return applied(text, [_edit(text, one) for one in renames])
        except NotInPlace as problem:
            raise NotRewritable(str(problem), where=renames[0].place.unit, instruction="scan again") from None

    def parse(self, unit: str, text: str) -> None:
        """Raises: Malformed."""
        if Path(unit).name == MAPPING:
            documents.load(text, Format.YAML)


def _edit(text: str, one: Rename) -> Edit:
    start = position(text, one.place.pointer)
    if not any(head.start("text") == start and head["text"] == one.old for head in _said(text)):
        raise NotInPlace(f"{one.old!r} does not stand at {one.place.pointer}")
    if not _NAME.fullmatch(one.new):
        raise NotInPlace(f"{one.new!r} can't be written there")
    return Edit(start, start + len(one.old), one.new)


def _said(text: str) -> Iterator[re.Match[str]]:
    """What the comments at the head of a file say."""
    head = _HEAD.match(text)
    return (one for one in _SAID.finditer(text, 0, head.end() if head else 0) if one["word"] in _WORDS)


@dataclass
class _Reading:
    """One scan: it remembers the mapping of each folder."""

    env: str
    edited: git.Edited = field(default_factory=git.Edited)
    _mappings: dict[Path, Any] = field(default_factory=dict)

    def found(self, path: Path, text: str) -> Found:
        """The file itself, where it is said which data source it runs on."""
        mapping = self._mapping(path.with_name(MAPPING))
        known = {
            word: _Said("yes" if value(mapping, word) is True else said(mapping, word), Place("", ""))
            for word in _WORDS
        } | {
            one["word"]: _Said(one["text"], Place(str(path), "{}:{}".format(*line_and_column(text, one.start("text")))))
            for one in _said(text)
        }
        source = known["datasource"] if known["datasource"].place.unit else _mapped(mapping, path)
        if isinstance(mapping, Malformed) and not source:
            yield Unread(Place(str(path), ""), f"{MAPPING}:{mapping.line}:{mapping.column} beside it: {mapping.reason}")
        elif source and source.text:
            yield self._dependent(path, text, source, {word: one.text for word, one in known.items()})

    def _dependent(self, path: Path, text: str, source: _Said, told: Mapping[str, str]) -> FoundDependent:
        tables = sql.tables(text, sql.dialect(told["type"]))
        roles = {"writer": tables.written} if tables.writes else {}
        if tables.read or not tables.writes:
            roles["query"] = tables.read
        references = (
            FoundReference(
                *(source.text, told["type"], role, objects, (source.place,)), tables.needs if role == "writer" else {}
            )
            for role, objects in roles.items()
        )
        return FoundDependent(
            key=str(path),
            unit=str(path),
            name=path.name,
            module=told["module"] or "data_analysis",
            references=tuple(references),
            task_kind="sql" if told["module"] == "data_studio" else "query",
            env=told["env"] if told["env"] in ("dev", "prod") else self.env,
            owner=told["owner"],
            resource_group=told["resource_group"],
            location=str(path),
            locked_by=self.edited.by(Path(source.place.unit)) or self.edited.by(path),
            details={"smoke": True} if told["smoke"] in ("yes", "true") else {},
        )

    def _mapping(self, path: Path) -> Any:
        """The mapping of a folder, or what is wrong with it."""
        if path not in self._mappings:
            self._mappings[path] = _read_mapping(path)
        return self._mappings[path]


def _read_mapping(path: Path) -> Any:
    if not path.is_file():
        return {}
    try:
        return documents.load(units.read(str(path)).text, Format.YAML)
    except Malformed as problem:
        return problem
    except HeadwaterError as problem:
        return Malformed(problem.reason, 1, 1)


def _mapped(mapping: Any, path: Path) -> _Said | None:
    """The data source that the mapping of its folder gives a file."""
    unit = str(path.with_name(MAPPING))
    patterns = value(mapping, "files")
    for pattern in patterns if isinstance(patterns, Mapping) else ():
        if fnmatchcase(path.name, pattern) and (name := said(patterns, pattern)):
            return _Said(name, Place(unit, pointers.written([("files", pattern)])))
    name = said(mapping, "datasource")
    return _Said(name, Place(unit, pointers.written([("datasource",)]))) if name else None


ADAPTER = SqlText()
