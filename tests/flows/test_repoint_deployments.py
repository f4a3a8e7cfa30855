"""Deployments of a real Prefect server repointed from the command line, killed in between, and taken back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from registry.plans import StepState
from registry.store import Store, open_store
from scripts.embedded_postgresql import EmbeddedPostgresql
from tasks.data_source_ref import FORMAT
from tests.serving import PrefectServer

pytestmark = [pytest.mark.prefect, pytest.mark.timeout(600)]

HEADWATER = str(Path(sys.executable).with_name("headwater"))
COUNT = 12
SCHEMA = {
    "type": "object",
    "properties": {"source": {"type": "string", "format": FORMAT}, "token": {"type": "string"}},
}
NEIGHBOUR = "cAnArY-beside-a-deployment"


class World:
    """Deployments that use `orders`, and the command line."""

    def __init__(self, server: PrefectServer) -> None:
        self.server = server
        flow = server.post("/flows/", {"name": "moving"})["id"]
        parameters = {"source": "orders", "token": NEIGHBOUR}
        body = {"flow_id": flow, "parameter_openapi_schema": SCHEMA, "parameters": parameters}
        self.ids = [server.post("/deployments/", {"name": f"job_{n:02}", **body})["id"] for n in range(COUNT)]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [HEADWATER, *arguments], env=self.server.environment(), capture_output=True, text=True, timeout=300
        )

    def end(self, verb: str, plan: str) -> None:
        """Run a command until all is done: a server that is too busy to answer makes it fail, and told to go on."""
        for _ in range(5):
            done = self.run("repoint", verb, plan)
            if done.returncode == 0:
                return
            assert "tries the rest again" in done.stderr
        raise AssertionError(done.stdout + done.stderr)

    def sources(self) -> list[str]:
        """What each names now."""
        body = {"limit": 200, "flows": {"name": {"any_": ["moving"]}}}
        found = self.server.post("/deployments/filter", body)
        assert all(one["parameters"]["token"] == NEIGHBOUR for one in found)
        return [one["parameters"]["source"] for one in found]

    def killed(self, verb: str, plan: str, *states: StepState, enough: int) -> bool:
        """Run a command and kill it as soon as so many steps are in these states; whether it was."""
        command = [HEADWATER, "repoint", verb, plan]
        running = subprocess.Popen(command, env=self.server.environment(), stdout=subprocess.DEVNULL)
        with open_store() as store:
            while running.poll() is None and _count(store, plan, states) < enough:
                time.sleep(0.02)
        time.sleep(0.1)
        running.send_signal(signal.SIGKILL)
        return running.wait() == -signal.SIGKILL

    def clear(self) -> None:
        for id_ in self.ids:
            self.server.delete(f"/deployments/{id_}")


@pytest.fixture
def world(prefect_server: PrefectServer, registry: Path, postgresql: EmbeddedPostgresql) -> Iterator[World]:
    from registry.apply import apply_texts

    address = f"address: [{{host: 127.0.0.1, port: {postgresql.port}}}]"
    side = f'{{{address}, database: postgres, username: postgres, password: "env:GOOD_PASSWORD"}}'
    sources = f"      - {{name: orders_next, type: postgresql, dev: {side}, prod: {side}}}\n"
    text = f"version: 1\nworkspaces:\n  - name: retail\n    data_sources:\n{sources}"
    with open_store() as store:
        apply_texts(store, [("next.yaml", text)], store.by("test"))
    made = World(prefect_server)
    yield made
    made.clear()


def _count(store: Store, plan: str, states: Sequence[StepState]) -> int:
    counts = store.plans.counts(plan)
    return sum(counts.get(state, 0) for state in states)


def _audited() -> dict[str, Any]:
    """Deployment -> where the audit says that it was sent last."""
    with open_store() as store:
        return {
            use.key: (store.history(f"dependent:{use.adapter}:{use.key}")[-1].after or {})["source"]
            for path in ("retail/orders", "retail/orders_next")
            for use in store.dependents.of(path)
        }


def test_killed_there_and_back_over_a_real_server(world: World) -> None:
    scanned = world.run("dependents", "scan", "moving/*", "--adapter", "prefect_deployments", "--workspace", "retail")
    assert scanned.returncode == 0, scanned.stderr
    planned = world.run("repoint", "retail/orders", "orders_next", "--waves", "1,3,8", "--output", "json")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert NEIGHBOUR not in planned.stdout
    plan = json.loads(planned.stdout)["plan"]

    under_way = (StepState.RUNNING, StepState.DONE)
    kills = sum(world.killed("apply", plan, *under_way, enough=enough) for enough in (2, 5))
    assert set(world.sources()) <= {"orders", "orders_next"}
    world.end("apply", plan)
    assert world.sources() == ["orders_next"] * COUNT
    assert [*_audited().values()] == ["retail/orders_next"] * COUNT

    kills += world.killed("rollback", plan, StepState.REVERTING, StepState.ROLLED_BACK, enough=1)
    world.end("rollback", plan)
    assert world.sources() == ["orders"] * COUNT
    assert [*_audited().values()] == ["retail/orders"] * COUNT
    assert kills >= 2
