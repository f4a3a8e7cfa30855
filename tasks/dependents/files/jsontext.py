"""JSON as text: its data, and where in the text the values of it stand.

The standard library's decoder does the reading. As it does, this takes control characters in strings and `NaN`, and
of two equal keys the last.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection
from json.scanner import make_scanner
from typing import Any, cast

from tasks.dependents.files.literals import Literal, Style
from tasks.dependents.files.pointers import Path
from tasks.dependents.files.texts import Malformed, line_and_column

_DECODER = json.JSONDecoder(strict=False)
#: The decoder's own step over one value, of a text that is known to be JSON: (text, where) -> value, end.
_STEP: Callable[[str, int], tuple[Any, int]] = make_scanner(cast("Any", _DECODER))
_SPACE = re.compile(r"[ \t\n\r]*")
_MARK = re.compile(r"[ \t\n\r]*[,:]?[ \t\n\r]*")
_BOM = "\ufeff"


def load(text: str) -> Any:
    """The data.

    Raises:
        Malformed: It is no JSON.
    """
    start = len(_BOM) if text.startswith(_BOM) else 0
    try:
        data, end = _DECODER.raw_decode(text, _after_space(text, start))
    except json.JSONDecodeError as error:
        raise Malformed(f"{error.msg[:1].lower()}{error.msg[1:]}", *line_and_column(text, error.pos)) from None
    except (ValueError, RecursionError):  # a number of thousands of digits; thousands of brackets
        raise Malformed("it is too deep or too long to be read", 1, 1) from None
    rest = _after_space(text, end)
    if rest != len(text):
        raise Malformed("something follows the end of it", *line_and_column(text, rest))
    return data


def locate(text: str, paths: Collection[Path]) -> dict[Path, Literal]:
    """Where the values at these paths stand, of those that are there. The text is JSON that `load` takes."""
    finder = _Finder(text)
    finder.visit(_after_space(text, len(_BOM) if text.startswith(_BOM) else 0), 0, [*paths])
    return finder.found


def _after_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _after_mark(text: str, at: int) -> int:
    """Over one comma or colon, if there is one, and the space around it."""
    mark = _MARK.match(text, at)
    return mark.end() if mark else at


class _Finder:
    """One walk over a text, into nothing but what is wanted: the decoder steps over the rest."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found = dict[Path, Literal]()

    def visit(self, at: int, depth: int, wanted: list[Path]) -> int:
        """Look for what is wanted in the value that begins here; where it ends."""
        deeper = [path for path in wanted if len(path) > depth]
        if deeper and self.text[at] in "{[":
            return self._members(at, depth, deeper)
        value, end = _STEP(self.text, at)
        style = Style.JSON if isinstance(value, str) else Style.PLAIN
        self.found |= {path: Literal(at, end, value, style) for path in wanted if len(path) == depth}
        return end

    def _members(self, at: int, depth: int, wanted: list[Path]) -> int:
        text, keyed, number = self.text, self.text[at] == "{", 0
        by_key = defaultdict[str, list[Path]](list)
        for path in wanted:
            by_key[path[depth]].append(path)
        at = _after_mark(text, at + 1)
        while text[at] not in "}]":
            key = str(number)
            if keyed:
                key, at = _STEP(text, at)
                at = _after_mark(text, at)
            inside = by_key.get(key)
            if inside:
                for path in inside:
                    self.found.pop(path, None)  # of an equal key before
                at = self.visit(at, depth + 1, inside)
            else:
                at = _STEP(text, at)[1]
            at = _after_mark(text, at)
            number += 1
        return at + 1
