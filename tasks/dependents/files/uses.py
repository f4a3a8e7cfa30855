"""Names of data sources in data of any shape: found by the structure around them, not by a list of kinds.

An object under the key `datasource` that has a `name`; `datasource` inside of `parameter`, one or a list; `datasource`
inside of `connection`; `DataSourceName` inside of `SourceDataSourceSettings` and its like. Anywhere, at any depth, and
in JSON text inside of text. `{{id}}` under `datasource` means a definition in `datasources`, which by itself is no use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from tasks.dependents.files import jsontext
from tasks.dependents.files.pointers import Levels, Path
from tasks.dependents.files.texts import Malformed

#: What the key is spelled like; a text without any of these names no data source.
KEYWORDS = (b"datasource", b"dataSource", b"DataSource", b"Datasource", b"DATASOURCE")
_CONTAINERS = (dict, list, str)  # of which something can be said
_KEYWORDS = tuple(word.decode() for word in KEYWORDS)
#: A key as it stands in JSON text, however often that is escaped.
_KEY_IN_TEXT = re.compile(r'\\*"datasource(?:name)?\\*"\s*:', re.IGNORECASE)
#: What says how to connect: such a `datasource` is a configuration of somebody's program, and no name of ours.
_CONNECTIONS = ("url", "jdbcUrl", "jdbc-url", "driverClassName", "driver-class-name")
#: Lists of what a spec runs.
_RUNNING = frozenset({"nodes", "workflows"})
REFERENCE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


@dataclass(frozen=True)
class Holder:
    """An object on the way to a name.

    Attributes:
        key: What it stands under; of an object in a list, what the list stands under.
        levels: Where it stands.
    """

    key: str
    levels: Levels
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Use:
    """A name of a data source as it is written somewhere; `holders` from the root on, the last one holds it."""

    levels: Levels
    written: str
    type: str
    holders: tuple[Holder, ...]


@dataclass(frozen=True)
class Unreadable:
    """Text that should be JSON, has a data source in it, and can't be read."""

    levels: Levels
    problem: Malformed


def uses(data: Any) -> Iterator[Use | Unreadable]:
    """All of a document, in order."""
    return _walk(data, Spot(((),), "", ()))


def value(data: Any, *names: str) -> Any:
    """The value of an object under the first of these keys that it has, in whatever case; None: it has none."""
    if not isinstance(data, dict):
        return None
    for name in names:
        if name in data:
            return data[name]
    wanted = _lowered(names)
    for key in data:
        if key.lower() in wanted:
            return data[key]
    return None


@lru_cache
def _lowered(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def said(data: Any, *names: str) -> str:
    """The same, as text; empty: nothing, or nothing scalar."""
    found = value(data, *names)
    return "" if found is None or isinstance(found, dict | list | bool) else str(found).strip()


def objects(data: Any, keywords: Sequence[str]) -> Iterator[tuple[Holder, ...]]:
    """Every object, at the end of those that hold it; also in JSON text inside of text with one of the keywords."""
    return _objects(data, Spot(((),), "", ()), keywords)


def _objects(data: Any, spot: Spot, keywords: Sequence[str]) -> Iterator[tuple[Holder, ...]]:
    if isinstance(data, dict):
        inside = (*spot.holders, Holder(spot.key, spot.levels, data))
        yield inside
        for key, found in data.items():
            yield from _objects(found, Spot(spot.down(key), key, inside), keywords)
    elif isinstance(data, list):
        for number, item in enumerate(data):
            yield from _objects(item, Spot(spot.down(str(number)), spot.key, spot.holders), keywords)
    elif isinstance(data, str) and any(word in data for word in keywords):
        inner = _inner(data)
        if not isinstance(inner, Malformed):
            yield from _objects(inner, spot.within(), keywords)


class Spot(NamedTuple):
    """Where a walk is."""

    levels: Levels
    key: str
    holders: tuple[Holder, ...]

    def down(self, *keys: str) -> Levels:
        """The levels of what lies below."""
        last: Path = (*self.levels[-1], *keys)
        return (*self.levels[:-1], last)

    def within(self) -> Spot:
        """The beginning of the text that stands here."""
        return Spot((*self.levels, ()), self.key, self.holders)


def _walk(data: Any, spot: Spot) -> Iterator[Use | Unreadable]:
    if isinstance(data, dict):
        inside = (*spot.holders, Holder(spot.key, spot.levels, data))
        for key, found in data.items():
            if found and isinstance(found, _CONTAINERS):
                yield from _member(key, found, Spot(spot.down(key), key, inside))
    elif isinstance(data, list):
        for number, item in enumerate(data):
            if item and isinstance(item, _CONTAINERS):
                yield from _walk(item, Spot(spot.down(str(number)), spot.key, spot.holders))
    elif isinstance(data, str) and any(word in data for word in _KEYWORDS):
        yield from _text(data, spot)


def _member(key: str, found: Any, spot: Spot) -> Iterator[Use | Unreadable]:
    word = key.lower()
    if word == "datasource":
        yield from _named(found, spot)
    elif word == "datasourcename" and isinstance(found, str) and _in_settings(spot):
        yield Use(spot.levels, found, said(spot.holders[-1].data, "DataSourceType"), spot.holders)
    yield from _walk(found, spot)


def _named(found: Any, spot: Spot) -> Iterator[Use]:
    if isinstance(found, dict):
        key = next((key for key in found if key.lower() == "name"), "name")
        if value(found, *_CONNECTIONS) is None and isinstance(name := found.get(key), str) and name.strip():
            yield Use(spot.down(key), name.strip(), said(found, "type"), spot.holders)
    elif isinstance(found, list):
        for number, item in enumerate(found):
            yield from _named(item, Spot(spot.down(str(number)), spot.key, spot.holders))
    elif (
        isinstance(found, str)
        and found.strip()
        and (_in_code(spot) or _in_node(spot) or REFERENCE.fullmatch(found.strip()))
    ):
        yield Use(spot.levels, found.strip(), "", spot.holders)


def _in_code(spot: Spot) -> bool:
    return spot.holders[-1].key.lower() in ("parameter", "connection")


def _in_node(spot: Spot) -> bool:
    """Whether a plain name stands in something that a spec runs; elsewhere `datasource` may be anything."""
    root, holder = spot.holders[0].data, spot.holders[-1]
    is_spec = value(root, "spec") is not None and value(root, "apiVersion") is None  # which Kubernetes' objects have
    return is_spec and len(spot.levels) == 1 and holder.key.lower() in _RUNNING


def _in_settings(spot: Spot) -> bool:
    return any(holder.key.lower().endswith("datasourcesettings") for holder in spot.holders)


def _text(text: str, spot: Spot) -> Iterator[Use | Unreadable]:
    data = _inner(text)
    if not isinstance(data, Malformed):
        yield from _walk(data, spot.within())
    elif _KEY_IN_TEXT.search(text):
        yield Unreadable(spot.levels, data)


def _inner(text: str) -> Any:
    """The data of JSON inside of text, of other text None; and what is wrong with what looks like it."""
    if text.lstrip("\ufeff \t\r\n")[:1] not in ("{", "[", '"'):
        return None
    try:
        return jsontext.load(text)
    except Malformed as problem:
        return problem
