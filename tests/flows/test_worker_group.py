"""Checks from worker groups: a real Prefect server, real workers that share no disk with the registry, a PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from flows import checking, worker_groups
from flows.check_here import check_here
from flows.remarks import heard_by
from registry import sealing
from registry.apply import apply_texts
from registry.groups import WorkerSettings
from registry.store import open_store
from registry.verdict import Verdict
from scripts.embedded_postgresql import EmbeddedPostgresql, free_port
from tasks.target import Target
from tasks.vantages import worker
from tasks.vantages.worker import parcels
from tests.flows.cli_support import CommandLine, Screen
from tests.flows.waiting import eventually
from tests.serving import GOOD_PASSWORD, STORED_PASSWORD, WRONG_PASSWORD, PrefectServer
from tests.stopwatch import Stopwatch
from tests.working import HEADWATER, Worker

pytestmark = [pytest.mark.prefect, pytest.mark.timeout(240)]

#: Known at the keyless worker alone.
FAR_PASSWORD = GOOD_PASSWORD
SECRETS = (GOOD_PASSWORD, WRONG_PASSWORD, STORED_PASSWORD)

TEXT = """
version: 1
resource_groups:
  - {{name: k8s_pool, kind: worker, worker: {{work_pool: k8s-pool}}}}
  - {{name: keyless, kind: worker, worker: {{work_pool: keyless-pool}}}}
workspaces:
  - name: retail
    mode: standard
    resource_groups: [k8s_pool]
    data_sources:
      - {{name: orders, type: postgresql,
          dev: {{address: [{{host: 127.0.0.1, port: {closed}}}], {login}, password: "env:GOOD_PASSWORD"}},
          prod: {{address: [{{host: 127.0.0.1, port: {port}}}], {login}, password: "env:GOOD_PASSWORD",
                  objects: [orders]}}}}
      - {{name: billing, type: postgresql,
          dev: {{address: [{{host: 127.0.0.1, port: {port}}}], {login}, password: {stored}}},
          prod: {{address: [{{host: 127.0.0.1, port: {port}}}], {login}, password: "env:WRONG_PASSWORD"}}}}
      - {{name: unset, type: postgresql,
          prod: {{address: [{{host: 127.0.0.1, port: {port}}}], {login}, password: "env:NOWHERE_SET"}}}}
  - name: wholesale
    mode: standard
    resource_groups: [keyless]
    data_sources:
      - {{name: orders, type: postgresql,
          dev: {{address: [{{host: 127.0.0.1, port: {port}}}], {login}, password: {stored}}},
          prod: {{address: [{{host: 127.0.0.1, port: {port}}}], {login}, password: "env:FAR_PASSWORD"}}}}
"""


@dataclass(frozen=True)
class World:
    """A registry, two workers, and the server between them."""

    server: PrefectServer
    registry: Path
    sealed: Worker
    keyless: Worker
    environment: Mapping[str, str]

    def headwater(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """The command line where the registry is."""
        environment = {**os.environ, **self.environment, **variables}
        return subprocess.run(
            [HEADWATER, *arguments], env=environment, capture_output=True, text=True, timeout=100, check=False
        )


@pytest.fixture(scope="module")
def world(prefect_server: PrefectServer, postgresql: EmbeddedPostgresql) -> Iterator[World]:
    # Where two homes may lie under one folder that other tests do not write to.
    folder = Path(tempfile.mkdtemp(prefix="headwater-workers-"))
    registry, settings = folder / "registry", {**prefect_server.settings}
    registry.mkdir(mode=0o700)
    hidden = [registry, prefect_server.home]
    sealed = Worker(folder / "sealed", "k8s-pool", settings, hidden=hidden)
    keyless = Worker(folder / "keyless", "keyless-pool", settings, {"FAR_PASSWORD": FAR_PASSWORD}, hidden=hidden)
    environment = {
        "HEADWATER_HOME": str(registry),
        "GOOD_PASSWORD": GOOD_PASSWORD,
        "WRONG_PASSWORD": WRONG_PASSWORD,
        "HEADWATER_ACTOR": "alice",
    }
    made = World(prefect_server, registry, sealed, keyless, environment)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        login = "database: postgres, username: postgres"
        text = TEXT.format(closed=free_port(), port=postgresql.port, login=login, stored=STORED_PASSWORD)
        with open_store() as store:
            apply_texts(store, [("retail.yaml", text)], store.by("test"), literals_allowed=True)
            asyncio.run(worker_groups.sync(store.groups.list()))
        _exchange_keys(made)
        sealed.start()
        keyless.start()
        try:
            yield made
        finally:
            sealed.stop()
            keyless.stop()
            asyncio.run(worker_groups.sync([]))
            shutil.rmtree(folder, ignore_errors=True)


def _exchange_keys(world: World) -> None:
    """As people do it: each side prints the command to type at the other."""
    shown = world.headwater("group", "show", "k8s_pool")
    (to_type,) = [line for line in shown.stderr.splitlines() if "headwater group keygen" in line]
    public = world.sealed.headwater(*to_type.split()[1:])
    done = world.headwater("group", "set-key", "k8s_pool", public)
    assert done.returncode == 0, done.stderr


@pytest.fixture(autouse=True)
def at_the_registry(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HEADWATER_DATABASE_URL", raising=False)
    monkeypatch.delenv("HEADWATER_KEYRING", raising=False)


async def check(**filters: Any) -> dict[str, Verdict]:
    """`source/env` -> verdict."""
    timeout = filters.pop("timeout", 5.0)
    with open_store() as store:
        plans = checking.gather(store, **filters)
        return {f"{one.source}/{one.env}": one async for one in checking.run(plans, timeout=timeout)}


def count(server: PrefectServer) -> int:
    """Runs of `check-here` so far."""
    found = server.post("/flow_runs/count", {"flows": {"name": {"any_": [worker.FLOW]}}})
    return int(found)


# --- over real workers ----------------------------------------------------------------------------------------------


async def test_many_targets_are_one_run_and_each_gets_its_own_verdict(world: World) -> None:
    before, remarks = count(world.server), list[tuple[str, str]]()
    with heard_by(lambda *remark: remarks.append(remark)):
        found = await check(group="k8s_pool")

    assert {name: verdict.cause for name, verdict in found.items()} == {
        "orders/dev": "PORT.CLOSED",
        "orders/prod": None,
        "billing/dev": "AUTH.BAD_CREDENTIALS",
        "billing/prod": "AUTH.BAD_CREDENTIALS",
        "unset/prod": "CONFIG.SECRET_UNRESOLVED",
    }
    assert count(world.server) == before + 1
    assert {verdict.resource_group for verdict in found.values()} == {"k8s_pool"}
    well = found["orders/prod"]
    assert [stage.name for stage in well.stages if stage.status == "passed"][-1] == "privilege"
    assert well.elapsed_ms < 5000, "the start of the run is not the check's time"
    page = well.stages[0].evidence["flow_run"]
    assert page.startswith(f"{world.server.url}/runs/flow-run/")
    assert remarks[0] == ("waiting for a worker of k8s-pool ...", page)
    run = world.server.get(f"/flow_runs/{page.rpartition('/')[2]}")
    assert run["name"] == "retail/billing dev and 3 more"
    assert run["state"]["name"] == "Sick"
    assert not (world.sealed.home / "registry.db").exists(), "the worker keeps no registry"


async def test_without_a_key_references_travel_and_secrets_do_not(world: World) -> None:
    found = await check(group="keyless")

    assert found["orders/prod"].connectable, "the variable is set at the worker alone"
    stored = found["orders/dev"]
    assert stored.cause == "CONFIG.SECRET_UNRESOLVED"
    assert "password is kept in the registry" in stored.message
    assert "headwater group show keyless" in stored.remedy


def test_the_command_line_tests_from_a_worker(world: World) -> None:
    done = world.headwater("test", "retail/orders", "--group", "k8s_pool", "--output", "jsonl")
    assert done.returncode == 1, done.stderr
    verdicts = {one["env"]: one["cause"] for one in map(json.loads, done.stdout.splitlines())}
    assert verdicts == {"dev": "PORT.CLOSED", "prod": None}


def test_a_terminal_tells_what_is_waited_for(world: World, tmp_path: Path) -> None:
    here = CommandLine(world.registry, tmp_path)
    here.environment |= {**world.server.settings, **world.environment}
    terminal = Screen(here, "test", "retail/orders", "--group", "k8s_pool", "--env", "prod")
    terminal.until("waiting for a worker of k8s-pool ...")
    assert terminal.end() == 0


async def test_the_flows_wait_for_workers_and_their_log_names_the_run(world: World) -> None:
    from flows.health_check import health_check
    from flows.test_connectivity import test_connectivity as connectivity

    state: Any = await connectivity(sources=["retail/orders"], env="prod", groups=["k8s_pool"], return_state=True)
    assert (state.name, state.message) == ("Healthy", "0 of 1 not Connectable")
    run = str(state.state_details.flow_run_id)
    told = await eventually(lambda: [one for one in logs(world.server, run) if "waiting for a worker" in one])
    assert f"{world.server.url}/runs/flow-run/" in told[0]

    state = await health_check(return_state=True)
    assert state.name == "Sick"
    assert state.message.startswith("5 of 7 not Connectable")


def logs(server: PrefectServer, run: str) -> list[str]:
    """What a run has logged."""
    found = server.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200})
    return [one["message"] for one in found]


# --- boxes that must not be opened ----------------------------------------------------------------------------------


def target() -> Target:
    """A target of the registry."""
    with open_store() as store:
        (plan,) = checking.gather(store, workspace="retail", source="orders", env="prod", group="k8s_pool")
    return plan.targets[0]


def content() -> dict[str, Any]:
    """What a run is asked to do, with a secret in it."""
    packed = parcels.pack(target(), {"password": SecretStr(GOOD_PASSWORD)})
    return {"timeout": 2.0, "limit": 20.0, "files": {}, "targets": [packed.parcel]}


async def test_boxes_that_are_replayed_expired_foreign_changed_or_of_others_are_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (verdict,) = (await check(workspace="retail", source="orders", env="prod", group="k8s_pool")).values()
    assert verdict.connectable
    used = world.server.get(f"/flow_runs/{verdict.stages[0].evidence['flow_run'].rpartition('/')[2]}")
    with open_store() as store:
        key = store.groups.get("k8s_pool").public_key
    assert key is not None
    keys, work = sealing.registry_keys(), content()
    open_work = {**work, "targets": [parcels.pack(target(), None).parcel]}
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path / "stranger"))
    stranger = sealing.registry_keys()
    sealed: dict[str, Any] = {"worker": key, "keys": keys, "lifetime": 60.0}
    box = sealing.seal(work, group="k8s_pool", **sealed)
    wanted = {
        "replayed": used["parameters"]["request"],
        "foreign": sealing.seal(work, group="k8s_pool", **{**sealed, "keys": stranger}),
        "expired": sealing.seal(work, group="k8s_pool", **{**sealed, "lifetime": -400.0}),
        "tampered": f"{box[:-1]}{'A' if box[-1] != 'A' else 'B'}",
        "other-group": sealing.seal(work, group="other", **sealed),
        "unsealed": sealing.letter(open_work, group="k8s_pool", lifetime=60),
        "broken": sealing.seal({"targets": []}, group="k8s_pool", **sealed),
    }
    runs = {why: start(world.server, "k8s_pool", wanted[why]) for why in ("replayed", "foreign")}
    for run in runs.values():
        await finished(world.server, run)
    monkeypatch.setenv("HEADWATER_HOME", str(world.sealed.home))  # the others as that worker, in one process
    for why in wanted.keys() - runs.keys():
        refused = await check_here("k8s_pool", wanted[why], return_state=True)
        runs[why] = str(refused.state_details.flow_run_id)

    ended = {why: world.server.get(f"/flow_runs/{run}")["state"] for why, run in runs.items()}
    assert {why: (state["name"], state["message"].partition(":")[0]) for why, state in ended.items()} == {
        why: ("Refused", why) for why in wanted
    }
    for run in runs.values():
        assert not artifacts(world.server, run)
        told = await eventually(lambda run=run: [one for one in logs(world.server, run) if "is refused" in one])
        assert GOOD_PASSWORD not in str(told)


def start(server: PrefectServer, group: str, request: str) -> str:
    """Start a run of `check-here` as anybody who reaches the server can."""
    deployment = server.get(f"/deployments/name/{worker.FLOW}/{group}")
    body = {"parameters": {"group": group, "request": request}}
    return str(server.post(f"/deployments/{deployment['id']}/create_flow_run", body)["id"])


async def finished(server: PrefectServer, run: str) -> dict[str, Any]:
    """The final state of a run."""

    def ask() -> Any:
        state = server.get(f"/flow_runs/{run}")["state"]
        return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

    found: dict[str, Any] = await eventually(ask)
    return found


def artifacts(server: PrefectServer, run: str) -> list[Any]:
    """What a run has published."""
    found: list[Any] = server.post("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
    return found


async def test_a_worker_that_trusts_another_registry_is_named(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = replace(target(), secrets=dict)
    with open_store() as store:
        key = store.groups.get("k8s_pool").public_key
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path / "stranger"))
    (verdict,) = await outpost("k8s_pool", "k8s-pool", [wanted], public_key=key)
    assert (verdict.cause, verdict.state) == ("PROBE.AGENT_DOWN", "Unsupport")
    assert "trusts another registry" in verdict.message
    assert "headwater group show k8s_pool" in verdict.remedy


async def outpost(
    name: str, pool: str, targets: Sequence[Target], *, timeout: float = 5.0, public_key: str | None = None, **more: Any
) -> list[Verdict]:
    """Check from a group with these settings."""
    place = worker.WorkerPool(name, WorkerSettings(work_pool=pool, **more), public_key)
    return [verdict async for verdict in place.check_all(targets, timeout=timeout)]


# --- runs that do not come to their end -----------------------------------------------------------------------------


async def begun(world: World, timeout: float) -> tuple[asyncio.Task[list[Verdict]], str, socket.socket]:
    """A check of a server that never speaks, under way at the worker: the waiting task and the run's id."""
    mute = socket.create_server(("127.0.0.1", 0))
    found = target()
    assert found.connection is not None
    address = {"address": ({"host": "127.0.0.1", "port": mute.getsockname()[1]},)}
    connection = type(found.connection).model_validate({**found.connection.model_dump(), **address})
    wanted = replace(found, connection=connection, secrets=lambda: {"password": SecretStr(GOOD_PASSWORD)})
    with open_store() as store:
        key = store.groups.get("k8s_pool").public_key
    known = {run["id"] for run in world.server.runs(flows={"name": {"any_": [worker.FLOW]}})}
    waiting = asyncio.create_task(outpost("k8s_pool", "k8s-pool", [wanted], timeout=timeout, public_key=key))

    def running() -> str | None:
        runs = world.server.runs(flows={"name": {"any_": [worker.FLOW]}})
        return next((one["id"] for one in runs if one["id"] not in known and one["state"]["type"] == "RUNNING"), None)

    run = await eventually(running)
    assert run is not None
    return waiting, run, mute


async def test_a_run_whose_process_is_killed_is_told_as_crashed(world: World) -> None:
    waiting, run, mute = await begun(world, 60.0)
    pid = world.server.get(f"/flow_runs/{run}")["infrastructure_pid"].rpartition(":")[2]
    os.kill(int(pid), 9)
    (verdict,) = await asyncio.wait_for(waiting, 40)
    mute.close()
    assert verdict.cause == "PROBE.AGENT_DOWN"
    assert "ended as Crashed" in verdict.message
    assert verdict.component == f"{world.server.url}/runs/flow-run/{run}"


async def test_a_run_that_is_under_way_is_told_and_ends_with_the_wait(world: World) -> None:
    remarks = list[tuple[str, str]]()
    with heard_by(lambda *remark: remarks.append(remark)):
        waiting, run, mute = await begun(world, 60.0)
        await eventually(lambda: len(remarks) == 2)
    page = f"{world.server.url}/runs/flow-run/{run}"
    assert remarks == [("waiting for a worker of k8s-pool ...", page), ("a worker of k8s-pool is at it ...", page)]
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    state = await finished(world.server, run)
    mute.close()
    assert state["type"] == "CANCELLED"


# --- nothing leaks --------------------------------------------------------------------------------------------------


async def test_no_secret_is_found_anywhere_on_the_way(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    found = await check()
    assert len(found) == 5  # of seven, two by the same names
    await asyncio.sleep(2)  # logs and events are on their way
    kept = [path for root in (world.server.home, world.sealed.folder) for path in root.rglob("*") if path.is_file()]
    files = {path: path.read_bytes() for path in kept}
    assert any(b"hwbox1." in content for content in files.values()), "the boxes are in the server's database"
    assert any(b"AUTH.BAD_CREDENTIALS" in content for content in files.values()), "and so are the verdicts"
    assert not [(path, one) for path, content in files.items() for one in SECRETS if one.encode() in content]
    assert not [one for one in SECRETS if one in caplog.text]
    assert not [one for one in SECRETS if one in "".join(verdict.model_dump_json() for verdict in found.values())]


# --- nobody takes the work ------------------------------------------------------------------------------------------


@pytest.fixture
def idle(world: World) -> Iterator[str]:
    """A pool that has a deployment for the group of the same name, and no worker."""
    name = f"idle-{time.time_ns()}"
    world.server.post("/work_pools/", {"name": name, "type": "process"})
    flow = world.server.post("/flows/", {"name": worker.FLOW})["id"]
    world.server.post("/deployments/", {"name": name, "flow_id": flow, "work_pool_name": name})
    yield name
    made = world.server.get(f"/deployments/name/{worker.FLOW}/{name}")["id"]
    world.server.delete(f"/deployments/{made}")


def beat(server: PrefectServer, pool: str) -> None:
    """Look like a worker that is alive."""
    server.ask("POST", f"/work_pools/{pool}/workers/heartbeat", {"name": "w"}).raise_for_status()


def pause(server: PrefectServer, path: str) -> None:
    """Pause a pool or a queue."""
    server.ask("PATCH", path, {"is_paused": True}).raise_for_status()


async def down(pool: str, within: float, **more: Any) -> Verdict:
    """The verdict of a pool that takes no work, in time."""
    with Stopwatch() as waiting:
        (verdict,) = await outpost(pool, pool, [replace(target(), secrets=dict)], **more)
    waiting.within(within)
    assert (verdict.cause, verdict.state, verdict.owner) == ("PROBE.AGENT_DOWN", "Unsupport", "platform")
    return verdict


async def test_a_pool_without_a_worker_is_told_at_once(world: World, idle: str) -> None:
    verdict = await down(idle, 2.5, timeout=2.0)
    assert verdict.component == f"work pool {idle}"
    assert verdict.message == f"The work pool {idle} has no worker."
    assert verdict.remedy == f"Start one: prefect worker start --pool {idle}."
    assert not world.server.runs(deployments={"name": {"any_": [idle]}}), "nothing is left behind"


async def test_what_keeps_a_pool_from_working_is_named(world: World, idle: str) -> None:
    beat(world.server, idle)
    (verdict,) = await outpost("nobody", idle, [target()])
    assert verdict.remedy == "Put the flow there: headwater deploy."
    (verdict,) = await outpost(idle, "keyless-pool", [replace(target(), secrets=dict)])
    assert f"is deployed to {idle}, not to keyless-pool" in verdict.message
    verdict = await down(idle, 2, work_queue="urgent")
    assert verdict.component == f"work queue {idle}/urgent"
    (queue,) = world.server.post(f"/work_pools/{idle}/queues/filter", {})
    pause(world.server, f"/work_queues/{queue['id']}")
    assert f"prefect work-queue resume default --pool {idle}" in (await down(idle, 2)).remedy
    pause(world.server, f"/work_pools/{idle}")
    assert (await down(idle, 2)).remedy == f"Let it go on: prefect work-pool resume {idle}."
    assert "has no work pool nowhere" in (await down("nowhere", 2)).message


async def test_a_server_that_is_not_there_mute_or_unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    assert "(ECONNREFUSED)" in (await down("p", 2)).message
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("PREFECT_API_URL", f"http://user:hidden@127.0.0.1:{mute.getsockname()[1]}/api")
        verdict = await down("p", 1.5, timeout=1.0)
        assert "did not answer within 1.0 s" in verdict.message
        assert "hidden" not in verdict.model_dump_json()
    monkeypatch.delenv("PREFECT_API_URL")
    monkeypatch.setenv("PREFECT_PROFILES_PATH", "/nonexistent")
    verdict = await down("p", 1)
    assert (verdict.component, verdict.remedy[:27]) == ("PREFECT_API_URL", "Name it: export PREFECT_API")


async def test_a_server_with_a_password_and_csrf_protection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = PrefectServer(tmp_path)
    server.settings |= {
        "PREFECT_SERVER_API_AUTH_STRING": "admin:canary-auth",
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    }
    server.start()
    try:
        monkeypatch.setenv("PREFECT_API_URL", server.api)
        for wrong in ("", "admin:wrong"):
            monkeypatch.setenv("PREFECT_API_AUTH_STRING", wrong)
            verdict = await down("guarded", 5)
            assert "does not accept our credentials (HTTP 401)" in verdict.message
            assert "PREFECT_API_AUTH_STRING" in verdict.remedy
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:canary-auth")
        verdict = await down("guarded", 5)
        assert "has no work pool guarded" in verdict.message, "writers are asked for a token, and it was given"
        assert "canary" not in verdict.model_dump_json()
    finally:
        server.stop()


async def test_a_run_that_nobody_starts_is_given_up_and_cancelled(world: World, idle: str) -> None:
    beat(world.server, idle)
    verdict = await down(idle, 8, start_timeout_s=2)
    assert "No worker of" in verdict.message
    (run,) = world.server.runs(deployments={"name": {"any_": [idle]}})
    assert run["state"]["type"] == "CANCELLED"
    assert verdict.component == f"{world.server.url}/runs/flow-run/{run['id']}"


async def test_ending_the_wait_cancels_the_run(world: World, idle: str) -> None:
    beat(world.server, idle)
    waiting = asyncio.create_task(outpost(idle, idle, [replace(target(), secrets=dict)]))
    (run,) = await eventually(lambda: world.server.runs(deployments={"name": {"any_": [idle]}}))
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert world.server.get(f"/flow_runs/{run['id']}")["state"]["type"] == "CANCELLED"


async def test_a_run_that_crashes_is_told_with_its_state(world: World, idle: str) -> None:
    verdict, _ = await played(world, idle, [], {"type": "CRASHED", "name": "Crashed", "message": "out of memory"})
    assert "ended as Crashed: out of memory" in verdict.message
    assert verdict.remedy.startswith(f"Read the log of the run: {world.server.url}/runs/flow-run/")


async def test_verdicts_that_come_back_are_held_against_what_was_asked(world: World, idle: str) -> None:
    done = {"type": "COMPLETED", "name": "Healthy", "message": ""}
    good = {
        "workspace": "retail", "source": "orders", "type": "postgresql", "env": "prod", "resource_group": idle,
        "state": "Connectable", "started_at": "2026-01-01T00:00:00Z", "elapsed_ms": 1.0,
    }  # fmt: skip
    for rows in (
        [],
        [{"verdict": json.dumps({**good, "source": "another"})}],
        [{"verdict": json.dumps({**good, "state": "Fine"})}],
        [{"verdict": json.dumps({**good, "cause": "PORT.CLOSED"})}, {"verdict": 7}, {}],
    ):
        verdict, others = await played(world, idle, rows, done)
        assert not others
        assert verdict.cause == "PROBE.AGENT_DOWN"
        assert "ended as Healthy without a verdict over orders" in verdict.message
    verdict, _ = await played(world, idle, [{"verdict": json.dumps(good)}, {"verdict": "nonsense"}], done)
    assert verdict.connectable


async def played(
    world: World, idle: str, rows: list[dict[str, Any]], final: dict[str, Any]
) -> tuple[Verdict, list[Verdict]]:
    """What comes of a run whose worker is played by hand."""
    beat(world.server, idle)
    before = {run["id"] for run in world.server.runs(deployments={"name": {"any_": [idle]}})}
    waiting = asyncio.create_task(outpost(idle, idle, [replace(target(), secrets=dict, resource_group=idle)]))

    def fresh() -> list[str]:
        found = world.server.runs(deployments={"name": {"any_": [idle]}})
        return [run["id"] for run in found if run["id"] not in before]

    (run,) = await eventually(fresh)
    artifact = {"key": worker.VERDICTS, "type": "table", "data": json.dumps(rows), "flow_run_id": run}
    world.server.post("/artifacts/", artifact)
    for state in ({"type": "PENDING"}, {"type": "RUNNING"}, final):
        world.server.post(f"/flow_runs/{run}/set_state", {"state": state, "force": True})
    verdict, *others = await waiting
    return verdict, others


# --- deployments ----------------------------------------------------------------------------------------------------


async def test_deployments_follow_the_registry(world: World) -> None:
    def deployed(name: str) -> Any:
        found = world.server.post("/deployments/filter", {"deployments": {"name": {"any_": [name]}}})
        return [(one["entrypoint"], one["work_pool_name"], one["work_queue_name"]) for one in found]

    with open_store() as store:
        groups = store.groups.list()
        assert await worker_groups.sync(groups) == [], "nothing to do"
        (spare,) = [one for one in groups if one.name == "keyless"]
        spare.name, spare.settings = "spare", {"work_pool": "spare-a"}
        said = await worker_groups.sync([*groups])
        assert "deployed check-here/spare to spare-a" in said
        assert deployed("spare") == [(worker_groups.ENTRYPOINT, "spare-a", "default")]
        spare.settings = {"work_pool": "spare-b", "work_queue": "urgent"}
        await worker_groups.sync([*groups])
        assert deployed("spare") == [(worker_groups.ENTRYPOINT, "spare-b", "urgent")]
    with open_store() as store:
        assert "removed check-here/spare: there is no such worker group" in await worker_groups.sync(
            store.groups.list()
        )
        assert deployed("spare") == []
