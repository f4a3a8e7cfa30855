"""Which values of a document its JSON schema marks as names of data sources.

A deployment's parameters have such a schema (`parameter_openapi_schema`), and the job variables of a work pool
(`base_job_template.variables`). The mark is the format of `tasks.data_source_ref.DataSourceRef`, at any depth: in
models, lists, mappings and unions. What a document leaves out, and its schema fills in by a default, counts as said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tasks.data_source_ref import FORMAT

#: A schema may say what its source is for, beside the mark.
ROLE, OBJECTS = "headwater-role", "headwater-objects"

Path = tuple[str, ...]
#: What a schema says beside the mark, of a value or of all the values of a list or mapping.
_Said = Mapping[str, Any]
_NOTHING: _Said = {}


@dataclass(frozen=True)
class Marked:
    """One name."""

    path: Path
    name: str
    role: str = ""
    objects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Marks:
    """The marks of one schema."""

    schema: Mapping[str, Any]

    def filled(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with those defaults that hold names of data sources."""
        return dict(self._filled(deepcopy(dict(document)), self.schema))

    def found(self, document: Mapping[str, Any]) -> list[Marked]:
        """Every name, in the order of the document; `document` has been `filled`."""
        return [*dict.fromkeys(self._walk(document, self.schema, ()))]

    def _filled(self, value: Any, schema: Mapping[str, Any]) -> Any:
        for branch in self._branches(schema):
            for name, inner in _schemas(branch, "properties").items():
                if not isinstance(value, dict):
                    break
                default = self._default(inner)
                if name not in value and default is not None and self._is_marked(inner):
                    value[name] = deepcopy(default)
                if name in value:
                    value[name] = self._filled(value[name], inner)
            if isinstance(value, list):
                value = [
                    self._filled(item, inner)
                    for item, inner in zip(value, self._items(branch, len(value)), strict=True)
                ]
        return value

    def _walk(self, value: Any, schema: Any, path: Path, above: _Said = _NOTHING) -> Iterator[Marked]:
        for branch in self._branches(schema):
            said = _said(branch, _said(schema, above))
            if branch.get("format") == FORMAT and isinstance(value, str) and value:
                objects = said.get(OBJECTS) or ()
                listed = objects if isinstance(objects, list | tuple) else [objects]
                yield Marked(path, value, str(said.get(ROLE) or ""), tuple(map(str, listed)))
            elif isinstance(value, dict):
                for name, item in value.items():
                    # A field of a model is not spoken of by what is said of the model; a value of a mapping is.
                    of_all = _NOTHING if name in _schemas(branch, "properties") else said
                    yield from self._walk(item, _member(branch, str(name)), (*path, str(name)), of_all)
            elif isinstance(value, list):
                for number, (item, inner) in enumerate(zip(value, self._items(branch, len(value)), strict=True)):
                    yield from self._walk(item, inner, (*path, str(number)), said)

    def _branches(self, schema: Any, seen: frozenset[str] = frozenset()) -> Iterator[Mapping[str, Any]]:
        """A schema and all it refers to or is a union of; a reference to itself is followed once. One that is `true`,
        `false` or no schema at all says nothing.
        """
        if not isinstance(schema, Mapping):
            return
        yield schema
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            yield from self._branches(self._at(reference), seen | {reference})
        for word in ("anyOf", "oneOf", "allOf"):
            for inner in _listed(schema, word):
                yield from self._branches(inner, seen)

    def _at(self, reference: str) -> Mapping[str, Any]:
        found: Any = self.schema
        for key in reference.removeprefix("#").split("/")[1:]:
            name = key.replace("~1", "/").replace("~0", "~")
            found = found.get(name, {}) if isinstance(found, Mapping) else {}
        return found if isinstance(found, Mapping) else {}

    def _items(self, schema: Mapping[str, Any], count: int) -> list[Mapping[str, Any]]:
        first = _listed(schema, "prefixItems")[:count]
        rest = schema.get("items")
        return [*first, *[rest if isinstance(rest, Mapping) else {}] * (count - len(first))]

    def _default(self, schema: Any) -> Any:
        return next((one["default"] for one in self._branches(schema) if one.get("default") is not None), None)

    def _is_marked(self, schema: Any, seen: frozenset[int] = frozenset()) -> bool:
        for branch in self._branches(schema):
            if branch.get("format") == FORMAT:
                return True
            if id(branch) in seen:
                continue
            inner = [*_schemas(branch, "properties").values(), *_schemas(branch, "patternProperties").values()]
            inner += _listed(branch, "prefixItems")
            inner += [
                branch[word] for word in ("items", "additionalProperties") if isinstance(branch.get(word), Mapping)
            ]
            if any(self._is_marked(one, seen | {id(branch)}) for one in inner):
                return True
        return False


def _said(schema: Mapping[str, Any], above: _Said) -> _Said:
    """What counts for a value: what its own schema says, and where that is silent what was said above it."""
    return {**above, **{word: schema[word] for word in (ROLE, OBJECTS) if schema.get(word)}}


def _schemas(schema: Mapping[str, Any], word: str) -> Mapping[str, Any]:
    """The schemas by their names that stand under a word."""
    found = schema.get(word)
    return found if isinstance(found, Mapping) else {}


def _listed(schema: Mapping[str, Any], word: str) -> list[Any]:
    found = schema.get(word)
    return found if isinstance(found, list) else []


def _member(schema: Mapping[str, Any], name: str) -> Any:
    """The schema of what stands under a name."""
    known = _schemas(schema, "properties")
    if name in known:
        return known[name]
    for pattern, inner in _schemas(schema, "patternProperties").items():
        with suppress(re.error):
            if re.search(pattern, name):
                return inner
    return schema.get("additionalProperties")
