"""Rows for a terminal of any width: a table, one without the columns that tell nothing, or a block for each row.

Words stay whole: a column is never narrower than its longest word, and a short value never breaks. What is left of the
width goes to the columns that lack it, so that the longest ones fold, and only between words where these are short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

#: Longer values may fold between words, and longer words, such as paths, anywhere.
_SHORT = 24
#: A text that folds is not to be read in a column narrower than this.
_READABLE = 20
#: What Rich draws for each column beside its text, and once more for the whole table: blanks and lines.
_FRAME, _EDGE = 3, 1
_LEFT: Literal["left"] = "left"
_RIGHT: Literal["right"] = "right"


@dataclass(frozen=True)
class Grid:
    """A renderable of Rich.

    Attributes:
        columns: The heads.
        rows: As many cells each as there are columns, all of them Rich's texts: a name in brackets is no markup.
        lines: Whether a line is drawn between rows, for cells of several lines.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Text]]
    lines: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """The first form that can be read at this width."""
        every = range(len(self.columns))
        told = [column for column in every if column == 0 or not self._same(column)]
        if widths := self._widths(every, options.max_width):
            yield self._table(widths)
            return
        if len(told) < len(every):
            yield self._once([column for column in every if column not in told])
        if widths := self._widths(told, options.max_width):
            yield self._table(widths)
        else:
            yield from self._blocks(told)

    def _same(self, column: int) -> bool:
        told = {row[column].plain for row in self.rows}
        return len(self.rows) > 1 and len(told) == 1 and "\n" not in told.pop()

    def _widths(self, columns: Sequence[int], available: int) -> dict[int, int]:
        """Column -> its width; nothing where they do not fit beside each other."""
        left = available - _FRAME * len(columns) - _EDGE
        least = {column: self._least(column) for column in columns}
        if sum(least.values()) > left:
            return {}
        whole = {column: max(map(_longest_line, self._cells(column))) for column in columns}
        widths = least
        for level in range(left + 1):  # as water fills: what lacks least is whole first
            wider = {column: min(whole[column], max(least[column], level)) for column in columns}
            if sum(wider.values()) > left:
                break
            widths = wider
        return widths

    def _least(self, column: int) -> int:
        head = max(map(cell_len, self.columns[column].split()), default=0)
        return max([head, *(_narrowest(row[column].plain) for row in self.rows)])

    def _cells(self, column: int) -> Iterator[str]:
        yield self.columns[column]
        yield from (row[column].plain for row in self.rows)

    def _table(self, widths: dict[int, int]) -> Table:
        table = Table(header_style="bold", show_lines=self.lines)
        for column, width in widths.items():
            head, side = Text(self.columns[column]), _RIGHT if self._counts(column) else _LEFT
            table.add_column(head, width=width, overflow="fold", justify=side)
        for row in self.rows:
            table.add_row(*(row[column] for column in widths))
        return table

    def _counts(self, column: int) -> bool:
        told = {row[column].plain for row in self.rows} - {""}
        return bool(told) and all(map(str.isdecimal, told))

    def _once(self, columns: Sequence[int]) -> Text:
        """What is the same in every row, said once."""
        (first, *_) = self.rows
        said = [f"{self.columns[column]} {first[column].plain or '-'}" for column in columns]
        return Text(f"the same in every row: {', '.join(said)}")

    def _blocks(self, columns: Sequence[int]) -> Iterator[RenderableType]:
        """A row below the other, a line or more for each of its cells that say something."""
        width = max(cell_len(self.columns[column]) for column in columns)
        for row in self.rows:
            block = Table.grid(padding=(0, 2, 0, 0))
            block.add_column(width=width, style="bold")
            block.add_column(overflow="fold")
            for column in columns:
                if row[column].plain:
                    block.add_row(Text(self.columns[column]), row[column])
            yield Text()
            yield block


def _narrowest(value: str) -> int:
    """How narrow a value may be shown: whole where it is short, and else no narrower than its words."""
    whole = _longest_line(value)
    if whole <= _SHORT:
        return whole
    return max(_READABLE, min(_SHORT, max(map(cell_len, value.split()), default=0)))


def _longest_line(value: str) -> int:
    return max(map(cell_len, value.split("\n")))
