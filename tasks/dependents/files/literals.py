"""How text is written in JSON and YAML: which characters of a literal stand for which of the value.

An edit of the value is carried over to those of its characters that it touches; all others stay as they are written.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tasks.dependents.files.texts import Edit, NotInPlace


class Style(StrEnum):
    """How a literal is written."""

    JSON = "json"
    PLAIN = "plain"
    SINGLE = "'"
    DOUBLE = '"'
    LITERAL = "|"
    FOLDED = ">"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it is written from `start` up to `end`."""

    start: int
    end: int
    value: Any
    style: Style


#: Where one character of a value is written.
_Span = tuple[int, int]


def lifted(text: str, literal: Literal, edits: Sequence[Edit]) -> list[Edit]:
    """Edits of a literal's value as edits of the text that it is written in.

    Raises:
        NotInPlace: It is written in a way that can't be kept.
    """
    raw = text[literal.start : literal.end]
    span = _spans(raw, str(literal.value), literal.style)
    ascii_only = text.isascii()
    escape = _ESCAPES[literal.style]
    result = []
    for edit in edits:
        start, end = span(edit.start)[0], span(edit.end - 1)[1]
        was = str(literal.value)[edit.start : edit.end]
        if escape(was, ascii_only) != raw[start:end]:
            raise NotInPlace("it is written with escapes that would not come back when the change is undone")
        result.append(Edit(literal.start + start, literal.start + end, escape(edit.text, ascii_only)))
    return result


def _spans(raw: str, value: str, style: Style) -> Callable[[int], _Span]:
    """Where each character of a value is written."""
    if style is Style.JSON:
        return _json_spans(raw)
    if style is Style.PLAIN and raw == value:
        return lambda at: (at, at + 1)
    return [*_yaml_spans(raw, value, style)].__getitem__


#: A character that is escaped (a pair of surrogates is one), or a run of those that are not.
_JSON_PIECE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)|[^\\]+", re.DOTALL
)


def _json_spans(raw: str) -> Callable[[int], _Span]:
    begins, pieces = list[int](), list[_Span]()
    count = 0
    for piece in _JSON_PIECE.finditer(raw, 1, len(raw) - 1):
        begins.append(count)
        pieces.append(piece.span())
        count += 1 if raw[piece.start()] == "\\" else piece.end() - piece.start()

    def span(at: int) -> _Span:
        number = bisect_right(begins, at) - 1
        start, end = pieces[number]
        if raw[start] == "\\":
            return start, end
        return start + at - begins[number], start + at - begins[number] + 1

    return span


_YAML_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[^\r\n])")
_ESCAPED_BREAK = re.compile(r"(?:\\\r?\n[ \t]*)*")
_BLANK = " \t\r\n\x85\u2028\u2029"


def _yaml_spans(raw: str, value: str, style: Style) -> Iterator[_Span]:
    """Lines are folded and indented in YAML: blanks of both are passed over, whatever else is there must agree."""
    at = raw.index("\n") + 1 if style in (Style.LITERAL, Style.FOLDED) else int(style is not Style.PLAIN)
    for char in value:
        at = _next(raw, at, char, style)
        end = at + _width(raw, at, char, style)
        yield at, end
        at = end


def _next(raw: str, at: int, char: str, style: Style) -> int:
    """Where the next character of a value is looked for."""
    while True:
        if style is Style.DOUBLE and (broken := _ESCAPED_BREAK.match(raw, at)):
            at = broken.end()
        if char in _BLANK or at >= len(raw) or raw[at] not in _BLANK:
            return at
        at += 1


def _width(raw: str, at: int, char: str, style: Style) -> int:
    """How many characters stand for one of the value: none for a blank that folding makes."""
    here = raw[at : at + 1]
    if style is Style.DOUBLE and (escape := _YAML_ESCAPE.match(raw, at)):
        return len(escape.group())
    if here == char:
        return 2 if style is Style.SINGLE and char == "'" else 1
    if char in _BLANK:
        return 0
    raise NotInPlace("it is written in lines that can't be followed")


def _as_json(text: str, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]


def _as_it_is(text: str, ascii_only: bool) -> str:
    return text


def _as_single(text: str, ascii_only: bool) -> str:
    return text.replace("'", "''")


_ESCAPES: Mapping[Style, Callable[[str, bool], str]] = {
    Style.JSON: _as_json,
    Style.DOUBLE: _as_json,
    Style.SINGLE: _as_single,
    Style.PLAIN: _as_it_is,
    Style.LITERAL: _as_it_is,
    Style.FOLDED: _as_it_is,
}
