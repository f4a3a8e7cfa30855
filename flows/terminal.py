"""What all commands share of terminals and pipes: JSON, tables, a line of progress, the streams."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

#: Exit status when nobody reads the output any more.
READER_GONE = 141


def dump(document: Any) -> None:
    """Print JSON."""
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A table on a terminal; tab-separated lines in a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(row))
        # Before anything is said on standard error: the order is kept, and a reader that has gone is noticed.
        sys.stdout.flush()
        return
    from rich.console import Console
    from rich.text import Text

    from flows.grid import Grid

    Console().print(Grid(columns, [[Text(cell) for cell in row] for row in rows]))


def write_any_character() -> None:
    """Let no character break the output where the locale's encoding lacks it: it is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def forget_reader(stream: TextIO) -> None:
    """Flush; where the reader of a pipe has gone, what is left is dropped, because the interpreter flushes again."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def unless_reader_gone(program: Callable[[], int]) -> int:
    """The status of a program; 141, as after SIGPIPE, when the reader of its output has gone."""
    try:
        status = program()
        sys.stdout.flush()
    except BrokenPipeError:
        forget_reader(sys.stdout)
        return READER_GONE
    return status


def moves(stream: TextIO) -> bool:
    """Whether this is a terminal on which something can be written over."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


class ProgressLine:
    """One line on a terminal's standard error that is written over; nothing elsewhere."""

    def __enter__(self) -> ProgressLine:
        self._visible = moves(sys.stderr)
        return self

    def show(self, what: str, done: int, total: int) -> None:
        """Tell how far it has come."""
        if self._visible:
            print(f"\r\x1b[K{what} {done}/{total}", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._visible:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
