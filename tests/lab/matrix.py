"""The matrix of scenarios: which fault, on which protocol, was named how and how fast. Kept in docs/."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scenarios.md"
_HEADINGS = ("fault", "language", "verdict", "state", "at fault", "time")

_INTRODUCTION = """# Scenarios

Every row is a test that ran against a real server, firewall, name server, certificate or network namespace: what was
wrong, what Headwater said, and how long the check took (two processors, servers and firewall on the same machine).
Made by the lab tests: `HEADWATER_WRITE_MATRIX=1 scripts/test`.
"""


@dataclass(frozen=True, order=True)
class Row:
    """One scenario. `seconds` is the time of the check."""

    protocol: str
    kind: str
    language: str
    code: str
    state: str
    component: str
    seconds: float

    def cells(self) -> tuple[str, ...]:
        """What a table shows of it, the protocol apart."""
        return (self.kind, self.language, self.code, self.state, self.component, f"{self.seconds:.2f} s")


class Matrix:
    """The rows of one process."""

    def __init__(self) -> None:
        self.rows: set[Row] = set()

    def record(self, row: Row) -> None:
        self.rows.add(row)

    def dump(self) -> list[dict[str, Any]]:
        """The rows as plain data, for another process."""
        return [asdict(row) for row in sorted(self.rows)]

    def load(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take in the rows of another process."""
        self.rows |= {Row(**row) for row in rows}

    def totals(self) -> str:
        """All of it in one line."""
        protocols, codes = ({getattr(row, what) for row in self.rows} for what in ("protocol", "code"))
        return f"{len(self.rows)} scenarios of {len(protocols)} protocols got {len(codes)} different verdicts"

    def text(self) -> str:
        """The table for a terminal."""
        rows = [("protocol", *_HEADINGS), *((row.protocol, *row.cells()) for row in sorted(self.rows))]
        widths = [min(44, max(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
        return "\n".join(
            "  ".join(cell.ljust(width)[:width] for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def markdown(self) -> str:
        """The page for docs/."""
        parts = [_INTRODUCTION, f"{len(self.rows)} scenarios.\n"]
        for protocol, rows in groupby(sorted(self.rows), key=lambda row: row.protocol):
            table = [_HEADINGS, ("---",) * len(_HEADINGS), *(row.cells() for row in rows)]
            parts.append(f"## {protocol}\n\n" + "\n".join(map(_line, table)) + "\n")
        return "\n".join(parts)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
