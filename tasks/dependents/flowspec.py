"""FlowSpec of DataWorks, in JSON and YAML, and the code of Data Integration: nodes, workflows, APIs, rules.

The specification: https://github.com/aliyun/dataworks-spec. What is understood is its structure (`files.uses`), so
that versions and kinds which nobody here has seen are found and renamed as well. `${spec.datasource.name}` is looked
up in the `dataworks.properties` beside the file, then in those of the folders above it, as far as the scan or the
repository goes; such a name is changed there, for all who use it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from registry.errors import HeadwaterError
from tasks.dependents import NotRewritable, Place, Rename, Scope, Unread
from tasks.dependents.files import documents, git, pointers, properties, units, uses
from tasks.dependents.files.adapter import FileAdapter, Found, Look
from tasks.dependents.files.documents import FORMATS, Format
from tasks.dependents.files.spec_dependents import Named, gather
from tasks.dependents.files.uses import Unreadable, Use

PROPERTIES = "dataworks.properties"
_ENDING = ".properties"
_PLACEHOLDER = re.compile(r"\$\{([^{}]+)\}")
_DEFINED = re.compile(r"/datasources/\d+/name\Z")


@dataclass(frozen=True)
class FlowSpec(FileAdapter):
    """Files of FlowSpec and of Data Integration's code."""

    name: ClassVar[str] = "flowspec"
    endings: ClassVar[frozenset[str]] = frozenset(FORMATS)
    keywords: ClassVar[tuple[bytes, ...]] = uses.KEYWORDS

    def look(self, scope: Scope) -> Look:
        """What finds the dependents in one file after the other."""
        roots = [Path(root).expanduser().resolve() for root in scope.roots]
        return _Reading(self.env(), frozenset(root if root.is_dir() else root.parent for root in roots)).found

    def renamed(self, text: str, renames: Sequence[Rename]) -> str:
        """The text of a spec or of its properties with these names changed. Raises: NotRewritable."""
        unit = renames[0].place.unit
        if unit.endswith(_ENDING):
            return properties.renamed(text, renames)
        for one in renames:
            if _DEFINED.search(one.place.pointer):
                _refuse_a_connection(text, one)
        return documents.renamed(text, _format(unit), renames)

    def parse(self, unit: str, text: str) -> None:
        """Raises: Malformed."""
        if not unit.endswith(_ENDING):
            documents.load(text, _format(unit))


def _format(unit: str) -> Format:
    return documents.format_of(unit, Format.JSON)


def _refuse_a_connection(text: str, one: Rename) -> None:
    """A definition that says how to connect to the old source would be a wrong one under the new name."""
    path = pointers.read(one.place.pointer)[0]
    definition = documents.value(documents.load(text, _format(one.place.unit)), (path[:-1],))
    if uses.value(definition, "config"):
        raise NotRewritable(
            f"the file defines {one.old} itself, with its connection",
            where=f"{one.place.unit}#{one.place.pointer}",
            instruction="let the node name its data source, instead of a definition by {{id}}",
        )


@dataclass
class _Reading:
    """One scan: it remembers the properties of each folder and the state of each repository."""

    env: str
    roots: frozenset[Path]
    edited: git.Edited = field(default_factory=git.Edited)
    _properties: dict[Path, Mapping[str, _Value]] = field(default_factory=dict)

    def found(self, path: Path, text: str) -> Found:
        """The dependents of one file. Raises: Malformed."""
        data = documents.load(text, _format(str(path)))
        named = list[Named]()
        for use in uses.uses(data):
            if isinstance(use, Unreadable):
                yield _unreadable(path, use)
                continue
            meant = self._meant(path, data, use)
            if isinstance(meant, Unread):
                yield meant
            else:
                named.append(meant)
        yield from gather(path, data, named, self)

    def plain(self, path: Path, text: str) -> str:
        """A text with the properties of its folder put in, as far as they are there."""
        known = self._known(path.parent)
        return _PLACEHOLDER.sub(lambda mark: known[mark[1]].text if mark[1] in known else mark[0], text)

    def _meant(self, path: Path, data: object, use: Use) -> Named | Unread:
        place = Place(str(path), pointers.written(use.levels))
        if reference := uses.REFERENCE.fullmatch(use.written):
            return _defined(data, use, place, reference[1])
        if "${" not in use.written:
            return Named(use, use.written, use.type, place)
        known = self._known(path.parent)
        if (whole := _PLACEHOLDER.fullmatch(use.written)) and whole[1] in known:
            value = known[whole[1]]
            return Named(use, value.text, use.type, value.place)
        name = self.plain(path, use.written)
        if "${" in name:
            return Unread(place, f"{use.written} has no value in a {PROPERTIES} beside the file or above it")
        return Named(use, name, use.type, place)

    def _known(self, folder: Path) -> Mapping[str, _Value]:
        """The properties of a folder, and of those above it what it does not say itself."""
        if folder not in self._properties:
            above = {} if self._is_top(folder) else self._known(folder.parent)
            self._properties[folder] = {**above, **_properties(folder / PROPERTIES)}
        return self._properties[folder]

    def _is_top(self, folder: Path) -> bool:
        """Whether nothing above is looked at: it is the top of its repository, or of the scan where it has none."""
        if (folder / ".git").exists() or folder == folder.parent:
            return True
        inside = git.repository(folder) is not None
        return not inside and not any(root in folder.parents for root in self.roots)


@dataclass(frozen=True)
class _Value:
    """A property, and where it stands."""

    text: str
    place: Place


def _properties(path: Path) -> Mapping[str, _Value]:
    try:
        found = properties.load(units.read(str(path)).text)
    except HeadwaterError:
        return {}
    return {key: _Value(value.text, Place(str(path), value.pointer)) for key, value in found.items()}


def _unreadable(path: Path, found: Unreadable) -> Unread:
    pointer = f"{pointers.written(found.levels)}!{found.problem.line}:{found.problem.column}"
    return Unread(Place(str(path), pointer), f"the text there is no JSON: {found.problem.reason}")


def _defined(data: object, use: Use, place: Place, reference: str) -> Named | Unread:
    """What `{{id}}` means: the definition with this id in `datasources` of the document."""
    wanted = reference.rpartition(".")[2]
    spec = uses.value(data, "spec")
    for outer, held in ((("spec",), spec), ((), data)):
        listed = uses.value(held, "datasources")
        for number, one in enumerate(listed if isinstance(listed, list) else []):
            if wanted in (uses.said(one, "id"), uses.said(one, "name")) and (name := uses.said(one, "name")):
                pointer = pointers.written([(*outer, "datasources", str(number), "name")])
                return Named(use, name, uses.said(one, "type"), Place(place.unit, pointer))
    return Unread(place, f"{use.written} is defined nowhere in the file")


ADAPTER = FlowSpec()
