"""The registry with 100,000 data sources: list a page, find by name, apply a file that changes ten."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.common import Row, document, entry, home

_COUNT = 100_000


def run() -> Iterator[Row]:
    """Medians; the raw SQL of the same page is the floor."""
    from registry.apply import apply
    from registry.store import open_store

    with home() as folder, open_store() as store:
        file = folder / "fleet.yaml"
        entries = {f"source_{number:06}": entry(5432, f"db{number}.example.com") for number in range(_COUNT)}
        file.write_text(document(entries))
        by = store.by("benchmark")
        yield Row(f"apply a file of {_COUNT:,} new sources", _once(lambda: apply(store, str(file), by)), "s", "-")
        for number in range(10):
            entries[f"source_{number * 10_000:06}"] = entry(5433, "moved.example.com")
        file.write_text(document(entries))
        yield Row("apply the whole file with 10 changed", _once(lambda: apply(store, str(file), by)), "s", "-")
        ten = folder / "ten.yaml"
        moved = {f"source_{number * 10_000:06}": entry(5434, "again.example.com") for number in range(10)}
        ten.write_text(document(moved))
        yield Row("apply a file of these 10 alone", _once(lambda: apply(store, str(ten), by)), "s", "-")
        pages: dict[str, Callable[[], object]] = {
            "list a page": lambda: store.sources.list(page_number=1),
            "list a page in the middle": lambda: store.sources.list(page_number=5_000),
            "list by a part of the name": lambda: store.sources.list(name="source_09999"),
            "find by name": lambda: store.sources.find("source_077777"),
        }
        for what, call in pages.items():
            yield Row(what, _median(call) * 1000, "ms", "<= 50 ms")
        yield Row("the raw SQL of a page", _floor(folder / "home") * 1000, "ms", "-")


def _floor(folder: Path) -> float:
    import sqlite3

    (path,) = [one for one in folder.iterdir() if one.suffix in (".db", ".sqlite", ".sqlite3")]
    with sqlite3.connect(path) as connection:
        text = (
            "SELECT s.*, e.* FROM (SELECT * FROM data_source ORDER BY name LIMIT 10) s "
            "JOIN entry e ON e.data_source_id = s.id"
        )
        return _median(lambda: connection.execute(text).fetchall())


def _once(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _median(call: Callable[[], object]) -> float:
    return statistics.median(_once(call) for _ in range(21))
