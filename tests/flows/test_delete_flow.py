"""`delete-data-source` and `headwater approve` against a real Prefect server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from registry import model
from registry.store import open_store
from tests.flows.waiting import eventually
from tests.registry.depending import depend
from tests.serving import GOOD_PASSWORD, STORED_PASSWORD, WRONG_PASSWORD, PrefectServer

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server", "registry"), pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
HEADWATER = str(Path(sys.executable).with_name("headwater"))


def names() -> set[str]:
    with open_store() as store:
        return {row.path for row in store.sources.list(page_size=100).items}


#: The flows that wait for an approval.
ASKING = ("delete-data-source", "remove-data-source", "repoint-dependents", "upgrade-workspace")


def waiting(server: PrefectServer) -> Any:
    """The one run of these flows that waits for an approval, once there is one."""

    def ask() -> Any:
        paused = {"state": {"type": {"any_": ["PAUSED"]}}}
        found = server.runs(flow_runs=paused, flows={"name": {"any_": [*ASKING]}})
        return found[0] if found else None

    return ask


async def approve(server: PrefectServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    run = await eventually(waiting(server))
    command = [HEADWATER, "approve", run["id"], *arguments]
    return await asyncio.to_thread(
        subprocess.run, command, env=server.environment(), capture_output=True, text=True, timeout=60, check=False
    )


async def test_nothing_is_deleted_before_it_is_approved(prefect_server: PrefectServer) -> None:
    from flows.delete_data_source import delete_data_source

    before = names()
    run = asyncio.create_task(delete_data_source(sources=["retail/orders"], return_state=True))
    await eventually(waiting(prefect_server))
    assert names() == before
    said = await approve(prefect_server, "--why", "retired")
    assert said.returncode == 0, said.stderr
    state = await run
    assert (state.name, names()) == ("Deleted", before - {"retail/orders"})
    with open_store() as store:
        (left, *_) = store.tombstones.list()
        assert left.why.startswith("retired: approved by ")
        store.tombstones.restore(left.id, store.by())
    (page, *_) = prefect_server.artifacts("headwater-deletion")
    assert "synchronization tasks in production that use it fail" in page
    kept = b"".join(path.read_bytes() for path in prefect_server.home.rglob("*") if path.is_file())
    assert not any(secret.encode() in kept for secret in (GOOD_PASSWORD, WRONG_PASSWORD, STORED_PASSWORD))


async def test_a_rejected_deletion_leaves_everything(prefect_server: PrefectServer) -> None:
    from flows.delete_data_source import delete_data_source

    before = names()
    run = asyncio.create_task(delete_data_source(sources=["retail/orders"], return_state=True))
    assert (await approve(prefect_server, "--reject", "--why", "still needed")).returncode == 0
    state = await run
    assert state.is_cancelled()
    assert "still needed" in state.message
    assert names() == before


async def test_what_production_uses_is_not_even_asked_about(prefect_server: PrefectServer) -> None:
    from flows.delete_data_source import delete_data_source

    with open_store() as store:
        depend(store, "daily")
    state = await delete_data_source(sources=["retail/orders"], return_state=True)
    assert state.is_failed()
    assert "in use by 1 in production: daily" in state.message
    assert "Refused as it stands" in prefect_server.artifacts("headwater-deletion")[0]
    assert "retail/orders" in names()


async def test_a_suspended_run_goes_on_with_the_plan_that_was_approved(prefect_server: PrefectServer) -> None:
    """A run of a deployment: its process ends, and another one does what was approved."""
    before = names()
    flow = prefect_server.post("/flows/", {"name": "delete-data-source"})
    deployed = {"entrypoint": "flows/delete_data_source.py:delete_data_source", "path": str(ROOT)}
    deployment = prefect_server.post("/deployments/", {"name": "suspended", "flow_id": flow["id"], **deployed})["id"]
    made = prefect_server.post(
        f"/deployments/{deployment}/create_flow_run", {"parameters": {"sources": ["retail/orders"]}}
    )

    def execute() -> None:
        """What a worker does."""
        command = [sys.executable, "-m", "prefect.flow_engine", deployed["entrypoint"]]
        environment = {**prefect_server.environment(), "PREFECT__FLOW_RUN_ID": made["id"]}
        subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, timeout=150, check=False)

    await asyncio.to_thread(execute)
    assert prefect_server.get(f"/flow_runs/{made['id']}")["state"]["name"] == "Suspended"
    assert names() == before
    assert (await approve(prefect_server)).returncode == 0
    await asyncio.to_thread(execute)
    assert prefect_server.get(f"/flow_runs/{made['id']}")["state"]["name"] == "Deleted"
    assert names() == before - {"retail/orders"}
    with open_store() as store:
        assert len(store.plans.list(kind="delete")) == 1


async def test_a_health_check_forgets_what_has_expired() -> None:
    from flows.health_check import health_check

    with open_store() as store:
        store.deletions.delete("retail/orders", store.by())
        with store.database.write() as session:
            session.execute(update(model.Tombstone).values(expires_at=model.now()))
    await health_check(return_state=True)
    with open_store() as store, store.database.read() as session:
        assert session.scalars(select(model.Tombstone)).all() == []
        assert store.history("data_source:retail/orders")[-1].action == "purge"


async def test_a_run_that_waits_for_nothing_is_told(prefect_server: PrefectServer) -> None:
    command = [HEADWATER, "approve", "no-such-run"]
    said = await asyncio.to_thread(
        subprocess.run, command, env=prefect_server.environment(), capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 2
    assert "there is no flow run 'no-such-run'" in said.stderr
