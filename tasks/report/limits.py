"""How much a report tells: what is stored and drawn whole has to stay small."""

from __future__ import annotations

from collections.abc import Iterable

#: A report stays below this, in bytes: Prefect stores an artifact whole, and sends it as an event besides.
LIMIT = 900_000
#: A browser draws a few paths in no time, and many of them slowly.
DRAWN = 10
#: Sick ones that a report of many tells in detail: these keep their stages.
DETAILS = 50
#: Rows of a table.
ROWS = 500


def bounded(parts: Iterable[str], total: int, *, used: int = 0) -> list[str]:
    """As many parts as fit below the limit, and a word on those that don't."""
    kept: list[str] = []
    for part in parts:
        used += len(part.encode()) + 2
        if used > LIMIT:
            break
        kept.append(part)
    if len(kept) < total:
        kept.append(f"{total - len(kept)} more are left out here; `headwater test NAME --explain` tells each in full.")
    return kept


def size(parts: Iterable[str]) -> int:
    """In bytes, with the blank lines between."""
    return sum(len(part.encode()) + 2 for part in parts)


def more(count: int) -> str:
    """A word on what a table leaves out; nothing where it leaves out nothing."""
    return f"\n\n{count} more are not shown." if count > 0 else ""
