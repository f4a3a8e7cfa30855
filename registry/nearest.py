"""The names that somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(wanted: str, known: Iterable[str], *, count: int = 1, likeness: float = 0.6) -> list[str]:
    """At most `count` of the known names that are like the wanted one (0: anything, 1: the same), best first."""
    # Only a mistake needs it; it costs 10 ms at every start.
    import difflib

    return difflib.get_close_matches(wanted, list(known), n=count, cutoff=likeness)
