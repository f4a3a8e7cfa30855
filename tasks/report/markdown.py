"""Markdown that shows what strangers said as text: cells, tables, times."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")
_RULES = {"l": "---", "r": "--:"}


def text(value: object) -> str:
    """Text that stays text in markdown, in a table's cell too."""
    return _MARKUP.sub(r"\\\1", cut(_plain(value), 1000))


def code(value: object) -> str:
    """Text in a fixed-width face: inside of it nothing but its own fence and a cell's bar has a meaning."""
    plain = cut(_plain(value), 300).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", plain)), default=0) + 1)
    pad = " " if "`" in plain or not plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}" if plain else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, align: str = "") -> str:
    """A table of finished cells; `align` has an ``l`` or an ``r`` for every column."""
    rules = [_RULES[side] for side in align or "l" * len(heads)]
    lines = [heads, rules, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def flat(value: object) -> str:
    """A value of evidence in one line."""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def cut(words: str, longest: int) -> str:
    """At most so many characters."""
    return words if len(words) <= longest else words[: longest - 1] + "…"


def _plain(value: object) -> str:
    """One line without control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in str(value)).split())


def ms(value: float) -> str:
    """Milliseconds, with a decimal where it tells something."""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def moment(iso: str) -> str:
    """A time of ISO 8601 in UTC, to the second."""
    return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M:%S UTC")


def minute(at: datetime) -> str:
    """A time that no cell breaks into lines."""
    return at.strftime("%Y-%m-%d %H:%M").replace(" ", "\u00a0").replace("-", "\u2011")
