"""Places in plain text, and edits of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


class Malformed(Exception):
    """Text that is not what it should be. Never shows any of it.

    Args:
        line, column: Where, both counted from 1.
    """

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(reason)
        self.reason, self.line, self.column = reason, line, column


class NotInPlace(Exception):
    """A change that the text does not allow; says why."""


@dataclass(frozen=True, order=True)
class Edit:
    """Characters from `start` up to `end` become `text`."""

    start: int
    end: int
    text: str


def line_and_column(text: str, at: int) -> tuple[int, int]:
    """Line and column of a character, both counted from 1."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def position(text: str, pointer: str) -> int:
    """The character at `line:column`.

    Raises:
        NotInPlace: There is none.
    """
    line, _, column = pointer.partition(":")
    if not (line.isdecimal() and column.isdecimal()):
        raise NotInPlace(f"{pointer!r} is no place in text")
    at = 0
    for _ in range(int(line) - 1):
        at = text.find("\n", at) + 1
        if not at:
            raise NotInPlace(f"there is no line {line}")
    return at + int(column) - 1


def applied(text: str, edits: Collection[Edit]) -> str:
    """The text with these edits made. Equal edits are one.

    Raises:
        NotInPlace: Two of them change the same characters, each in its own way.
    """
    parts, at = list[str](), 0
    for edit in sorted(set(edits)):
        if edit.start < at:
            raise NotInPlace("the same characters are to become two things")
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])
