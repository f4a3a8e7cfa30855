"""`upgrade-workspace` against a real Prefect server and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from registry.store import Store, open_store
from scripts.embedded_postgresql import EmbeddedPostgresql
from tests.flows.test_delete_flow import approve, waiting
from tests.flows.waiting import eventually
from tests.serving import PrefectServer

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server", "registry"), pytest.mark.timeout(180)]

LEGACY = """
version: 1
workspaces:
  - name: legacy
    mode: basic
    resource_groups: [local]
    data_sources:
      - name: orders
        type: postgresql
        prod:
          {{address: [{{host: 127.0.0.1, port: {port}}}], database: postgres, username: postgres,
           password: "env:GOOD_PASSWORD", objects: [orders]}}
"""


@pytest.fixture
def legacy(registry: Path, postgresql: EmbeddedPostgresql) -> None:
    from registry.apply import apply_texts

    with open_store() as store:
        apply_texts(store, [("legacy.yaml", LEGACY.format(port=postgresql.port))], store.by("test"))


def mode(store: Store) -> str:
    return store.workspaces.get("legacy").mode


@pytest.mark.usefixtures("legacy")
async def test_an_approved_upgrade_is_done_tested_and_told(prefect_server: PrefectServer) -> None:
    from flows.upgrade_workspace import upgrade_workspace

    run = asyncio.create_task(upgrade_workspace(workspace="legacy", return_state=True))
    await eventually(waiting(prefect_server))
    with open_store() as store:
        assert mode(store) == "basic"
    said = await approve(prefect_server, "--why", "two sides")
    assert said.returncode == 0, said.stderr
    state = await run
    assert (state.name, "1 with dev and prod on one physical target" in state.message) == ("Upgraded", True)
    with open_store() as store:
        assert mode(store) == "standard"
        assert any(one.why.startswith("two sides: approved by") for one in store.history("workspace:legacy"))
    assert "**Irreversible**" in prefect_server.artifacts("headwater-upgrade")[0]
    assert "same target" in prefect_server.artifacts("headwater-drift")[0]


@pytest.mark.usefixtures("legacy")
async def test_a_rejected_upgrade_leaves_the_workspace_basic(prefect_server: PrefectServer) -> None:
    from flows.upgrade_workspace import upgrade_workspace

    run = asyncio.create_task(upgrade_workspace(workspace="legacy", return_state=True))
    done: subprocess.CompletedProcess[str] = await approve(prefect_server, "--reject", "--why", "not yet")
    assert done.returncode == 0, done.stderr
    assert (await run).is_cancelled()
    with open_store() as store:
        assert mode(store) == "basic"


async def test_what_is_in_the_way_is_not_even_asked_about(prefect_server: PrefectServer) -> None:
    from flows.upgrade_workspace import upgrade_workspace

    state = await upgrade_workspace(workspace="retail", return_state=True)
    assert state.is_failed()
    assert "is standard already" in state.message
