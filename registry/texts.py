"""YAML and JSON texts with the line and column of everything in them.

YAML is read as version 1.2 says (`no`, `on` and `22:30` are text), by libyaml: a file of 100,000 data sources is a
matter of seconds. What is written is quoted wherever a reader of 1.1 or of 1.2 could take it for something else.
"""

from __future__ import annotations

import gc
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from registry.errors import InvalidInput

SUFFIXES = (".yaml", ".yml", ".json")
STANDARD_INPUT = "-"

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_TAG = "tag:yaml.org,2002:"
#: YAML 1.2's core schema: tag, what it looks like, what it can begin with.
_CORE = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
)


class _Core(_Loader):  # type: ignore[misc]
    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own way


class _Writer(_Dumper):  # type: ignore[misc]
    """Knows 1.1's words for everything, and 1.2's too."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _name, _pattern, _first in _CORE:
    for _class in (_Core, _Writer):
        _class.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), _first)

Path_ = Sequence[str | int]
#: Where something begins, and what it is.
_Found = tuple[Any, yaml.Node]


@dataclass(frozen=True)
class Place:
    """A line and column of a file, both from 1."""

    name: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.name}:{self.line}:{self.column}"


@dataclass
class Parsed:
    """One text, read.

    Attributes:
        data: Dictionaries, lists and scalars; keys are text.
        problems: Keys that stand twice, and tags that mean nothing here.
    """

    name: str
    data: Any
    root: yaml.Node | None
    problems: list[InvalidInput] = field(default_factory=list)
    #: Mapping -> spelling of a key -> its mark and value; made when it is asked for.
    _keys: dict[int, dict[str, _Found]] = field(default_factory=dict, init=False, repr=False)

    def locate(self, path: Path_) -> Place:
        """The place of what a path of keys and indexes leads to, or of the nearest thing around it."""
        node, mark = self.root, self.root.start_mark if self.root else None
        for step in path:
            found = self._step(node, step)
            if found is None:
                break
            mark, node = found
        return Place(self.name, mark.line + 1, mark.column + 1) if mark else Place(self.name, 1, 1)

    def _step(self, node: yaml.Node | None, step: str | int) -> _Found | None:
        """The mark and node that one step leads to; a key is found in any of its spellings."""
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            return node.value[step].start_mark, node.value[step]
        if not isinstance(node, yaml.MappingNode):
            return None
        if id(node) not in self._keys:
            pairs = [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
            known: dict[str, _Found] = {}
            for spelling in (str, _squashed):
                for key, value in pairs:
                    known.setdefault(spelling(key.value), (key.start_mark, value))
            self._keys[id(node)] = known
        known = self._keys[id(node)]
        return known.get(str(step)) or known.get(_squashed(str(step)))


def read_all(path: str) -> list[tuple[str, str]]:
    """(name, text) of a file, of every YAML and JSON file in a folder, or of standard input (`-`).

    Raises:
        InvalidInput: Nothing there, or no text.
    """
    if path == STANDARD_INPUT:
        return [("<stdin>", _decoded("<stdin>", sys.stdin.buffer.read()))]
    files = [Path(path)]
    if files[0].is_dir():
        files = sorted(file for file in files[0].iterdir() if file.suffix in SUFFIXES)
        if not files:
            raise InvalidInput(f"the folder holds no {', '.join(SUFFIXES)} file", where=path)
    return [(str(file), _decoded(str(file), _bytes(file))) for file in files]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without Python's cycle collector: it would go over the millions of nodes of a large file again and again, which
    takes three times as long as reading it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def parse(name: str, text: str) -> Parsed:
    """Read one text.

    Raises:
        InvalidInput: It breaks the syntax; says where.
    """
    if name.endswith(".json") or (name == "<stdin>" and text.lstrip()[:1] == "{"):
        text = _checked_json(name, text)
    try:
        root = yaml.compose(text, Loader=_Core)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name, 1, 1)
        words = ", ".join(part for part in (error.context, error.problem) if part)
        raise InvalidInput(f"no valid YAML: {words}", where=str(place)) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        place = Place(name, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise InvalidInput("no valid YAML: a character that no text may hold", where=str(place)) from None
    parsed = Parsed(name, None, root)
    try:
        parsed.data = _Values(parsed).of(root)
    except RecursionError:
        raise InvalidInput("nested too deeply", where=name) from None
    return parsed


def dump(data: Any) -> str:
    """YAML that reads back as the same data, in the same order."""
    with collector_paused():
        text: str = yaml.dump(
            data, Dumper=_Writer, sort_keys=False, allow_unicode=True, default_flow_style=False, width=120
        )
    return text


class _Values:
    """The data of nodes; each node is turned once, so that aliases cost nothing."""

    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed
        self.done: dict[int, Any] = {}

    def of(self, node: yaml.Node | None) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        if node is None:
            return None
        if node.tag not in (f"{_TAG}seq", f"{_TAG}map"):
            self.tag(node)
        if id(node) not in self.done:
            self.done[id(node)] = None  # what holds itself is empty there
            self.done[id(node)] = self.collection(node)
        return self.done[id(node)]

    def collection(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [self.of(item) for item in node.value]
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for part in reversed(parts):
                    content = self.of(part)
                    merged |= content if isinstance(content, dict) else {}
                continue
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if name in found:
                self.bad(key, f"the key {name!r} stands twice", "keep one of the two")
            found[name] = self.of(value)
        return {**merged, **found}

    def scalar(self, node: yaml.ScalarNode) -> Any:
        kind, text = node.tag.removeprefix(_TAG), node.value
        if kind in ("str", "merge"):
            if "\0" in text:
                self.bad(node, "a null character", "take it out")
            return text
        if kind == "int":
            return _integer(text)
        if kind == "float":
            return float(text.replace(".inf", "inf").replace(".nan", "nan").lower())
        if kind == "bool":
            return text.lower() == "true"
        if kind == "null":
            return None
        self.tag(node)
        return text

    def tag(self, node: yaml.Node) -> None:
        self.bad(node, f"the tag {node.tag} means nothing here", "write the value without a tag")

    def bad(self, node: yaml.Node, reason: str, instruction: str) -> None:
        place = Place(self.parsed.name, node.start_mark.line + 1, node.start_mark.column + 1)
        self.parsed.problems.append(InvalidInput(reason, where=str(place), instruction=instruction))


def _integer(text: str) -> int | str:
    digits = text.lstrip("+-")
    if len(digits) > 40:
        return text
    base = {"0o": 8, "0x": 16}.get(digits[:2], 10)
    return int(text, base)


def _squashed(key: str) -> str:
    return key.replace("_", "").replace("-", "").strip().casefold()


def _checked_json(name: str, text: str) -> str:
    """The same text, proved to be JSON, as YAML can read it: a tab between tokens becomes a blank."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        place = Place(name, error.lineno, error.colno)
        raise InvalidInput(f"no valid JSON: {error.msg}", where=str(place)) from None
    return _ESCAPE.sub(_as_yaml, text).replace("\t", " ") if "\\u" in text else text.replace("\t", " ")


#: An escape of JSON: a character beyond the first plane in its two halves, or any other.
_ESCAPE = re.compile(r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)", re.DOTALL)


def _as_yaml(escape: re.Match[str]) -> str:
    """YAML knows no halves: it writes such a character as one escape."""
    if escape[1] is None:
        return escape[0]
    return f"\\U{0x10000 + ((int(escape[1], 16) - 0xD800) << 10) + int(escape[2], 16) - 0xDC00:08X}"


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}", where=str(file)) from None


def _decoded(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise InvalidInput("no text in UTF-8", where=str(Place(name, line, column))) from None
