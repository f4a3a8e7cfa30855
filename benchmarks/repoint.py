"""10,000 FlowSpec files repointed: the plan, and applying it beside the bare file writes that it consists of.

The floor writes the same texts into the same files, each beside itself, down to the disk, and renamed. Both take turns
in the same folder: there with the engine, back with bare writes, there with bare writes, back with the engine.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import Row, document, entry, home, postgresql

_COUNT = int(os.environ.get("BENCHMARK_DEPENDENTS", "10000"))


def run() -> Iterator[Row]:
    """One plan; both ways once with the engine and once with bare writes."""
    with postgresql() as server, home() as folder:
        _register(folder, {name: entry(server.port) for name in ("orders", "orders_next")})
        files = _files(folder / "specs")
        old = {path: path.read_text() for path in files}
        new = {path: text.replace("orders", "orders_next") for path, text in old.items()}
        _scan(folder / "specs")
        plan, planning = _timed(lambda: asyncio.run(_plan()))
        _, there = _timed(lambda: asyncio.run(_apply(plan)))
        assert all(path.read_text() == new[path] for path in files)
        _, bare_back = _timed(lambda: _write(old))
        _, bare_there = _timed(lambda: _write(new))
        _, back = _timed(lambda: asyncio.run(_rollback(plan)))
        assert all(path.read_text() == old[path] for path in files)
    yield Row(f"plan of {_COUNT:,} dependents", planning, "s", "<= 30 s")
    yield Row("applying it", _COUNT / there, "files/s", "-")
    yield Row("rolling it back", _COUNT / back, "files/s", "-")
    yield Row("bare writes of the same files", 2 * _COUNT / (bare_there + bare_back), "files/s", "-")
    yield Row("speed against bare writes", (bare_there + bare_back) / (there + back), "x", ">= 0.5 x")


def _register(folder: Path, entries: dict[str, str]) -> None:
    """In a basic workspace: one side of each is all there is."""
    from registry.apply import apply
    from registry.store import open_store

    file = folder / "fleet.yaml"
    file.write_text(document(entries).replace("- name: fleet\n", "- name: fleet\n    mode: basic\n"))
    with open_store() as store:
        apply(store, str(file), store.by("benchmark"))


def _files(folder: Path) -> list[Path]:
    folder.mkdir()
    made = []
    for number in range(_COUNT):
        node = {
            "id": f"node_{number}",
            "name": f"node_{number:05}",
            "owner": f"owner_{number % 20}",
            "datasource": {"name": "orders", "type": "postgresql"},
            "runtimeResource": {"resourceGroup": "local"},
            "script": {"path": f"a/{number}", "runtime": {"command": "POSTGRESQL"}, "content": "select 1\n" * 20},
        }
        path = folder / f"node_{number:05}.json"
        path.write_text(json.dumps({"version": "1.1.0", "kind": "CycleWorkflow", "spec": {"nodes": [node]}}, indent=2))
        made.append(path)
    return made


def _write(texts: dict[Path, str]) -> None:
    for path, text in texts.items():
        beside = path.with_suffix(".bare")
        with beside.open("w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _scan(folder: Path) -> None:
    from registry.store import open_store
    from tasks.dependents import FoundDependent, Scope, catalogue

    async def found() -> list[FoundDependent]:
        scope = Scope("fleet", (str(folder),))
        return [one async for one in catalogue()["flowspec"].scan(scope) if isinstance(one, FoundDependent)]

    with open_store() as store:
        units = {str(path) for path in folder.glob("*.json")}
        store.dependents.record("fleet", "flowspec", asyncio.run(found()), units, store.by())
        assert store.dependents.summary("fleet/orders").dependents == _COUNT


async def _plan() -> str:
    from flows.source_observer import SourceObserver
    from registry.store import open_store
    from tasks.dependents import catalogue
    from tasks.repointing import planning
    from tasks.repointing.requests import Request

    with open_store() as store:
        request = Request("fleet/orders", "fleet/orders_next")
        plan = await planning.plan(store, request, catalogue(), SourceObserver(store), store.by())
        assert not plan.document["blocked"], plan.document["blocked"][0]
        return plan.id


async def _apply(plan: str) -> None:
    await _act("apply", plan)


async def _rollback(plan: str) -> None:
    await _act("rollback", plan)


async def _act(verb: str, plan: str) -> None:
    from flows.source_observer import SourceObserver
    from registry.store import open_store
    from tasks.dependents import catalogue
    from tasks.repointing import applying

    with open_store() as store:
        act = getattr(applying, verb)
        outcome = await act(store, plan, catalogue(), SourceObserver(store), store.by())
        assert sum(outcome.counts.values()) == _COUNT, outcome


def _timed(work: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    done = work()
    return done, time.perf_counter() - started
