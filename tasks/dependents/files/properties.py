"""Properties files, as Java reads them: keys with values, and where the values stand.

`key=value`, `key: value` and `key value`; lines that begin with `#` or `!` are comments; a line that ends in a
backslash goes on. (The Java documentation of `java.util.Properties.load`.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.dependents import NotRewritable, Rename
from tasks.dependents.files.texts import Edit, NotInPlace, applied, line_and_column, position

_LINE = re.compile(r"(?P<line>(?:\\(?:\r\n|.)|[^\\\r\n])*)(?:\r\n|\r|\n|\Z)", re.DOTALL)
_ENTRY = re.compile(r"[ \t\f]*(?![#!])(?P<key>(?:\\.|[^\\ \t\f=:])+)[ \t\f]*[=:]?[ \t\f]*(?P<value>.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u(?P<code>[0-9a-fA-F]{4})|(?:\r\n|\r|\n)[ \t\f]*|(?P<char>.))", re.DOTALL)
_BLANKS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@dataclass(frozen=True)
class Value:
    """A value, and the `line:column` of its first character."""

    text: str
    pointer: str


def load(text: str) -> dict[str, Value]:
    """Key -> value; of two equal keys the last."""
    found = dict[str, Value]()
    at = len(text) - len(text.removeprefix("\ufeff"))
    while at < len(text):
        line = _LINE.match(text, at)
        if line is None or line.end() == at:
            break
        if entry := _ENTRY.fullmatch(text, *line.span("line")):
            line_number, column = line_and_column(text, entry.start("value"))
            found[_plain(entry["key"])] = Value(_plain(entry["value"]).rstrip(), f"{line_number}:{column}")
        at = line.end()
    return found


def renamed(text: str, renames: Sequence[Rename]) -> str:
    """The file with these values changed.

    Raises:
        NotRewritable: One of them is not where it should be, or is written with escapes.
    """
    before = load(text)
    keys = {value.pointer: key for key, value in before.items()}
    edits, expected = list[Edit](), dict[str, str]()
    for one in renames:
        key = keys.get(one.place.pointer, "")
        where = f"{one.place.unit}:{one.place.pointer}"
        if not key or before[key].text != one.old:
            raise NotRewritable(f"{one.old!r} does not stand there", where=where, instruction="scan again")
        start = position(text, one.place.pointer)
        if not text.startswith(one.old, start):
            raise NotRewritable("it is written with escapes there", where=where, instruction="change it by hand")
        edits.append(Edit(start, start + len(one.old), one.new))
        expected[key] = one.new
    return _proved(text, edits, _texts(before) | expected, renames)


def _proved(text: str, edits: Sequence[Edit], expected: Mapping[str, str], renames: Sequence[Rename]) -> str:
    try:
        after = applied(text, edits)
    except NotInPlace as problem:
        raise NotRewritable(str(problem), where=renames[0].place.unit) from None
    if _texts(load(after)) != expected:
        raise NotRewritable("the new name would be read as something else there", where=renames[0].place.unit)
    return after


def _texts(values: Mapping[str, Value]) -> dict[str, str]:
    return {key: value.text for key, value in values.items()}


def _plain(written: str) -> str:
    return _ESCAPE.sub(_meant, written) if "\\" in written else written


def _meant(escape: re.Match[str]) -> str:
    if escape["code"]:
        return chr(int(escape["code"], 16))
    char = escape["char"] or ""
    return _BLANKS.get(char, char)
