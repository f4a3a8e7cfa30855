"""100,000 dependents of one data source: recorded, asked for, and asked for again by the raw SQL that this must do."""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.common import EmbeddedPostgresql, Row, entry, home, register

if TYPE_CHECKING:
    from registry.store import Store
    from tasks.dependents import FoundDependent

_COUNT = 100_000
_FAR = 10_000_000
_MODULES = ("data_integration", "data_studio", "operation_center", "data_service", "data_analysis", "data_quality")
#: What the summary cannot do without: every dependent of the source is visited once.
_RAW = (
    "SELECT d.module, r.env, d.workspace_id, count(*), max(d.last_run_at), max(d.seen_at) FROM reference r "
    "JOIN dependent d ON d.id = r.dependent_id WHERE r.data_source_id = 1 GROUP BY d.module, r.env, d.workspace_id"
)


def run() -> Iterator[Row]:
    """Medians; each ratio is of times taken in turns."""
    with home() as folder:
        yield from _measured("SQLite", folder)
    with tempfile.TemporaryDirectory(prefix="headwater-benchmark-") as place:
        Path(place).chmod(0o755)
        with EmbeddedPostgresql(Path(place) / "postgresql") as server, _registry_in(server), home() as folder:
            yield from _measured("PostgreSQL", folder)


@contextmanager
def _registry_in(server: EmbeddedPostgresql) -> Iterator[None]:
    server.execute("CREATE DATABASE registry")
    os.environ["HEADWATER_DATABASE_URL"] = server.url("registry")
    try:
        yield
    finally:
        os.environ.pop("HEADWATER_DATABASE_URL")


def _measured(where: str, folder: Path) -> Iterator[Row]:
    from registry.store import open_store

    register(folder, {"orders": entry(5432), "lines": entry(5432)})
    with open_store() as store:
        found = [_found(number) for number in range(_COUNT)]
        with _another_writer(store) as waits:
            first = _once(lambda: _record(store, found))
        yield Row(f"{where}: record {_COUNT:,} dependents", first, "s", "-")
        yield Row(f"{where}: the same to raw insertions", first / _insert(store), "x", "-")
        yield Row(f"{where}: the longest that another writer waits meanwhile", max(waits), "s", "< 30 s")
        yield Row(f"{where}: record them again, unchanged", _once(lambda: _record(store, found)), "s", "-")
        asked, raw = _in_turns(lambda: store.dependents.summary("fleet/orders"), lambda: _raw(store))
        yield Row(f"{where}: how much hangs on it", asked, "s", "< 1 s")
        yield Row(f"{where}: the same to raw SQL", asked / raw, "x", "-")
        page = _median(lambda: store.dependents.of("fleet/orders", limit=100))
        yield Row(f"{where}: the first 100 of them", page * 1000, "ms", "-")
        everyone = _median(lambda: store.dependents.of("fleet/orders", owner="owner_7"), times=5)
        yield Row(f"{where}: all of one owner of a hundred", everyone, "s", "< 1 s")


def _found(number: int) -> FoundDependent:
    from tasks.dependents import FoundDependent, FoundReference, Place

    unit = f"/specs/{number // 10}.json"
    place = Place(unit, f"/spec/nodes/{number % 10}/datasource/name")
    return FoundDependent(
        key=f"{unit}#{number}",
        unit=unit,
        name=f"node_{number}",
        module=_MODULES[number % len(_MODULES)],
        references=(FoundReference("orders", "postgresql", "reader", ("orders",), (place,)),),
        owner=f"owner_{number % 100}",
        resource_group=f"group_{number % 5}",
        location=f"{unit}/spec/nodes/{number % 10}",
    )


def _record(store: Store, found: list[FoundDependent]) -> None:
    store.dependents.record("fleet", "flowspec", found, {one.unit for one in found}, store.by("benchmark"))


@contextmanager
def _another_writer(store: Store) -> Iterator[list[float]]:
    """How long somebody who writes ten times a second waits for the lock each time, in seconds."""
    waits, ended = [0.0], threading.Event()

    def write() -> None:
        while not ended.wait(0.1):
            started = time.perf_counter()
            with store.database.write(keep=False):
                waits.append(time.perf_counter() - started)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield waits
    finally:
        ended.set()
        writer.join()


#: The columns of both tables; numbers far from those that are taken.
_RAW_ROWS: Mapping[str, tuple[str, Callable[[int], tuple[object, ...]]]] = {
    "dependent": (
        "id, workspace_id, adapter, key, unit, module, task_kind, env, name, owner, resource_group, location, "
        "locked_by, last_run_at, seen_at, details",
        lambda at: (
            *(
                _FAR + at,
                1,
                "raw",
                f"/specs/{at // 10}.json#{at}",
                f"/specs/{at // 10}.json",
                "data_studio",
                "",
                "prod",
            ),
            *(f"node_{at}", f"owner_{at % 100}", f"group_{at % 5}", f"/specs/{at // 10}.json/spec/nodes/{at % 10}", ""),
            *(None, "2026-05-04 03:02:01+00:00", "{}"),
        ),
    ),
    "reference": (
        "dependent_id, data_source_id, source, env, role, objects, places",
        lambda at: (
            *(_FAR + at, 1, "fleet/orders", "prod", "reader", '["orders"]'),
            '[{"unit": "/specs/1.json", "pointer": "/spec/nodes/1/datasource/name", "name": "orders", "type": ""}]',
        ),
    ),
}


def _insert(store: Store) -> float:
    """What recording cannot do without: as many rows into both tables by the driver itself; taken back afterwards."""
    rows = {table: [row(at) for at in range(_COUNT)] for table, (_, row) in _RAW_ROWS.items()}
    with store.database.write(keep=False) as session:
        connection = session.connection()
        mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        started = time.perf_counter()
        for table, (columns, _) in _RAW_ROWS.items():
            marks = ", ".join([mark] * (columns.count(",") + 1))
            connection.exec_driver_sql(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows[table])
        return time.perf_counter() - started


def _raw(store: Store) -> None:
    from sqlalchemy import text

    with store.database.engine.connect() as connection:
        connection.execute(text(_RAW)).fetchall()


def _once(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _median(call: Callable[[], object], times: int = 11) -> float:
    return statistics.median(_once(call) for _ in range(times))


def _in_turns(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    pairs = [(_once(one), _once(other)) for _ in range(7)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)
