"""`repoint-dependents` against a real Prefect server: planned, shown, approved, applied in waves."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from registry.store import Store, open_store
from scripts.embedded_postgresql import EmbeddedPostgresql
from tasks.dependents import FoundDependent, Scope, catalogue
from tests.flows.waiting import eventually
from tests.serving import GOOD_PASSWORD, PrefectServer

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server", "registry"), pytest.mark.timeout(180)]

HEADWATER = str(Path(sys.executable).with_name("headwater"))
NEIGHBOUR = "cAnArY-of-a-neighbour"


@pytest.fixture
def files(tmp_path: Path, registry: Path, postgresql: EmbeddedPostgresql) -> list[Path]:
    """Three synchronization nodes that read `orders`, and a second source of the same server."""
    from registry.apply import apply_texts

    address = f"address: [{{host: 127.0.0.1, port: {postgresql.port}}}]"
    side = f'{{{address}, database: postgres, username: postgres, password: "env:GOOD_PASSWORD"}}'
    sources = f"      - {{name: orders_next, type: postgresql, dev: {side}, prod: {side}}}\n"
    text = f"version: 1\nworkspaces:\n  - name: retail\n    data_sources:\n{sources}"
    folder = tmp_path / "specs"
    folder.mkdir()
    paths = [_file(folder, number) for number in range(3)]
    with open_store() as store:
        apply_texts(store, [("next.yaml", text)], store.by("test"))
        _scan(store, folder)
    return paths


def _file(folder: Path, number: int) -> Path:
    parameter = {"datasource": "orders", "table": "orders", "token": NEIGHBOUR}
    steps = [{"stepType": "postgresql", "category": "reader", "parameter": parameter}]
    node = {
        "id": f"n{number}",
        "name": f"load_{number}",
        "runtimeResource": {"resourceGroup": "local"},
        "script": {
            "path": f"load_{number}",
            "runtime": {"command": "DI"},
            "content": json.dumps({"type": "job", "steps": steps}),
        },
    }
    path = folder / f"load_{number}.json"
    path.write_text(json.dumps({"version": "1.1.0", "kind": "CycleWorkflow", "spec": {"nodes": [node]}}, indent=2))
    return path


def _scan(store: Store, folder: Path) -> None:
    async def found() -> list[FoundDependent]:
        scope = Scope("retail", (str(folder),))
        return [one async for one in catalogue()["flowspec"].scan(scope) if isinstance(one, FoundDependent)]

    units = {str(path) for path in folder.glob("*.json")}
    store.dependents.record("retail", "flowspec", asyncio.run(found()), units, store.by())


def waiting(server: PrefectServer) -> Any:
    """The run that waits for an approval, once there is one."""
    paused = {"state": {"type": {"any_": ["PAUSED"]}}}
    found = server.runs(flow_runs=paused, flows={"name": {"any_": ["repoint-dependents"]}})
    return found[0] if found else None


async def answer(server: PrefectServer, *arguments: str) -> None:
    run = await eventually(lambda: waiting(server))
    command = [HEADWATER, "approve", run["id"], *arguments]
    said = await asyncio.to_thread(
        subprocess.run, command, env=server.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert said.returncode == 0, said.stderr


def moved(files: list[Path]) -> list[bool]:
    return ["orders_next" in path.read_text() for path in files]


async def test_nothing_moves_before_it_is_approved_and_then_everything(
    prefect_server: PrefectServer, files: list[Path]
) -> None:
    from flows.repoint_dependents import repoint_dependents

    asking = repoint_dependents(old="retail/orders", new="retail/orders_next", sizes=[1, 2], return_state=True)
    run = asyncio.create_task(asking)
    await eventually(lambda: waiting(prefect_server))
    assert moved(files) == [False] * 3
    await answer(prefect_server, "--why", "the database moves")
    state = await run
    assert (state.name, moved(files)) == ("Repointed", [True] * 3), state.message
    (after, before, *_) = prefect_server.artifacts("headwater-repoint")
    assert "3 dependents, 3 units in waves of 1, 2" in before
    assert "orders_next" in before
    assert "## Applied: done 3" in after
    assert "| 2 | 2 | done 2 |" in after, "each wave tells what came of it"
    with open_store() as store:
        assert store.dependents.summary("retail/orders_next").dependents == 3
        (plan,) = store.plans.list(kind="repoint")
        assert [record.why for record in store.history(f"plan:{plan.id}")][-1].startswith(
            "the database moves: approved"
        )
    kept = b"".join(path.read_bytes() for path in prefect_server.home.rglob("*") if path.is_file())
    assert not any(secret.encode() in kept for secret in (GOOD_PASSWORD, NEIGHBOUR))


async def test_a_rejected_repoint_leaves_everything(prefect_server: PrefectServer, files: list[Path]) -> None:
    from flows.repoint_dependents import repoint_dependents

    asking = repoint_dependents(old="retail/orders", new="retail/orders_next", return_state=True)
    run = asyncio.create_task(asking)
    await answer(prefect_server, "--reject", "--why", "not today")
    state = await run
    assert state.is_cancelled()
    assert moved(files) == [False] * 3


async def test_what_is_blocked_is_not_even_asked_about(prefect_server: PrefectServer, files: list[Path]) -> None:
    from flows.repoint_dependents import repoint_dependents

    state = await repoint_dependents(old="retail/orders", new="retail/billing", return_state=True)
    assert state.is_failed()
    assert "3 of 3 dependents are blocked" in state.message
    assert "AUTH." in prefect_server.artifacts("headwater-repoint")[0]
