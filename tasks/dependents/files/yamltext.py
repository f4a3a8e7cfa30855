"""YAML as text: its data, and where in the text the values of it stand. PyYAML does the reading.

Only nodes are composed, nothing is constructed: tags of others do no harm. A stream of several documents is a list of
them. An alias is what its anchor is, `<<` merges; a node `{{name}}`, which templates leave unquoted, is that text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tasks.dependents.files.literals import Literal, Style
from tasks.dependents.files.pointers import Path
from tasks.dependents.files.texts import Malformed

#: Values with aliases written out; a document that has more is a trap.
MOST_VALUES = 2_000_000

#: Deeper documents are not read, in levels: PyYAML's composer ends the process where the stack does.
DEEPEST = 100

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOM = "\ufeff"
_STYLES: Mapping[str, Style] = {
    style.value: style for style in (Style.SINGLE, Style.DOUBLE, Style.LITERAL, Style.FOLDED)
}
#: An anchor, a tag, and what may stand between them and the value.
_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*(?:\s|#[^\n]*(?=\n))+)*")
#: Lines that may open more levels than are read: by their indentation, or by themselves.
_MAY_BE_DEEP = re.compile(r"^ {40}|(?:[-?:][ \t]+){10}", re.MULTILINE)


class Text(str):
    """A string of a document that knows where it is written."""

    __slots__ = ("literal",)
    literal: Literal


@dataclass(frozen=True)
class Other:
    """A scalar that is neither text, nor null, true or false: a number, a date, a tag of somebody."""

    tag: str
    text: str

    def __str__(self) -> str:
        return self.text


def load(text: str) -> Any:
    """The data: dicts, lists, `Text`, None, booleans and `Other`.

    Raises:
        Malformed: It is no YAML.
    """
    plain = text.removeprefix(_BOM)
    try:
        if _MAY_BE_DEEP.search(plain) or plain.count("[") + plain.count("{") > DEEPEST:
            _check_depth(plain)
        roots = [*yaml.compose_all(plain, Loader=_LOADER)]
    except yaml.MarkedYAMLError as error:
        place = _line_and_column(error.problem_mark or error.context_mark)
        raise Malformed(error.problem or "it is no YAML", *place) from None
    except yaml.YAMLError:
        raise Malformed("it holds characters that YAML does not allow", 1, 1) from None
    reader = _Reader(text)
    data = [reader.data(root) for root in roots]
    return data[0] if len(data) == 1 else data


def _line_and_column(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise Malformed(f"deeper than {DEEPEST} levels", *_line_and_column(event.start_mark))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def locate(data: Any, paths: Collection[Path]) -> dict[Path, Literal]:
    """Where the values at these paths of what `load` gave stand, of those that are there and text."""
    found = {path: _at(data, path) for path in paths}
    return {path: value.literal for path, value in found.items() if isinstance(value, Text)}


def _at(data: Any, path: Path) -> Any:
    for key in path:
        if isinstance(data, dict) and key in data:
            data = data[key]
        elif isinstance(data, list) and key.isdecimal() and int(key) < len(data):
            data = data[int(key)]
        else:
            return None
    return data


class _Reader:
    """Makes data of nodes, of each once: what stands behind an alias is the very same object."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._shift = len(text) - len(text.removeprefix(_BOM))
        self._done = dict[int, tuple[Any, int]]()
        self._open = set[int]()

    def data(self, node: yaml.Node) -> Any:
        return self._read(node)[0]

    def _read(self, node: yaml.Node) -> tuple[Any, int]:
        """The data of a node and the number of values in it."""
        if id(node) in self._done:
            return self._done[id(node)]
        if id(node) in self._open:
            raise Malformed("an anchor holds an alias of itself", *_line_and_column(node.start_mark))
        self._open.add(id(node))
        made, size = self._made(node)
        if size > MOST_VALUES:
            raise Malformed("with its aliases written out it is too large", *_line_and_column(node.start_mark))
        self._open.discard(id(node))
        self._done[id(node)] = made, size
        return made, size

    def _made(self, node: yaml.Node) -> tuple[Any, int]:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node), 1
        if isinstance(node, yaml.SequenceNode):
            items = [self._read(item) for item in node.value]
            return [value for value, _ in items], 1 + sum(size for _, size in items)
        if template := _template(node):
            return self._literal(template, node), 1
        members = self._members(node)
        return {key: value for key, (value, _) in members.items()}, 1 + sum(size for _, size in members.values())

    def _members(self, node: yaml.Node) -> dict[str, tuple[Any, int]]:
        merged, own = dict[str, tuple[Any, int]](), dict[str, tuple[Any, int]]()
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                bases = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for base in reversed([base for base in bases if isinstance(base, yaml.MappingNode)]):
                    made, size = self._read(base)
                    merged |= {name: (inner, size) for name, inner in made.items()}
            else:
                own[self._key(key)] = self._read(value)
        return merged | own

    def _key(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        return self._text[node.start_mark.index + self._shift : node.end_mark.index + self._shift]

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        kind = node.tag.rpartition(":")[2]
        if kind == "str":
            return self._literal(node.value, node)
        if kind == "null":
            return None
        if kind == "bool":
            return node.value.lower() in ("true", "yes", "on")
        return Other(node.tag, node.value)

    def _literal(self, value: str, node: yaml.Node) -> Text:
        start, end = node.start_mark.index + self._shift, node.end_mark.index + self._shift
        style = getattr(node, "style", None)
        if properties := _PROPERTIES.match(self._text, start, end):
            start = properties.end()
        made = Text(value)
        made.literal = Literal(start, end, value, _STYLES.get(style or "", Style.PLAIN))
        return made


def _template(node: yaml.Node) -> str | None:
    """`{{name}}` of a node that is written so."""
    for _ in range(2):
        if not (isinstance(node, yaml.MappingNode) and node.flow_style and len(node.value) == 1):
            return None
        node, empty = node.value[0]
        if not isinstance(empty, yaml.ScalarNode) or empty.value:
            return None
    return "{{" + node.value + "}}" if isinstance(node, yaml.ScalarNode) else None
