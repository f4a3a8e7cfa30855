"""The flows against a real Prefect server, a real PostgreSQL and a closed port."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.apply import apply_texts
from registry.errors import InvalidInput
from registry.store import open_store
from scripts.embedded_postgresql import EmbeddedPostgresql, free_port
from tests.flows.echoing import EchoingServer
from tests.flows.waiting import eventually
from tests.serving import GOOD_PASSWORD, STORED_PASSWORD, WRONG_PASSWORD, PrefectServer

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server", "registry")]

CLOSED = {"address": [{"host": "127.0.0.1", "port": 1}], "database": "db", "username": "app", "password": "env:P"}


async def connectivity(**parameters: Any) -> Any:
    """The final state of a run of `test-connectivity`."""
    from flows.test_connectivity import test_connectivity as flow

    return await flow(**parameters, return_state=True)


async def health() -> Any:
    """The final state of a run of `health-check`."""
    from flows.health_check import health_check

    return await health_check(return_state=True)


async def create(**parameters: Any) -> Any:
    """The final state of a run of `create-data-source`."""
    from flows.create_data_source import create_data_source

    return await create_data_source(**parameters, return_state=True)


def task_runs(server: PrefectServer, flow_run_id: Any, *, count: int) -> Callable[[], list[tuple[str, str]]]:
    """(name, state) of a run's task runs in the order of their beginning, once there are that many final ones."""

    def ask() -> list[tuple[str, str]]:
        found = server.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [str(flow_run_id)]}}})
        # The server writes a state's type down before the state itself.
        final = [one for one in found if one["state"] and one["state"]["type"] in ("COMPLETED", "FAILED")]
        told = [(one["name"], one["state"]["name"]) for one in sorted(final, key=lambda one: one["start_time"])]
        return told if len(told) >= count else []

    return ask


# --- test-connectivity ----------------------------------------------------------------------------------------------


async def test_a_sick_source_completes_the_run_and_is_named_in_its_state(prefect_server: PrefectServer) -> None:
    state = await connectivity(sources=["retail/orders"], env="dev")

    assert state.is_completed()
    assert (state.name, state.message) == ("Sick", "1 of 1 not Connectable: retail/orders/dev PORT.CLOSED")
    (report, *_) = prefect_server.artifacts("connectivity-retail-orders-dev-local")
    assert "PORT.CLOSED" in report
    assert "**What to do** (the DBA): Start the server" in report
    assert '-. "✖ connect: PORT.CLOSED" .->' in report


async def test_one_diagnosis_shows_each_stage_as_a_task_run_while_it_runs(prefect_server: PrefectServer) -> None:
    state = await connectivity(sources=["retail/orders"], env="dev")

    told = await eventually(task_runs(prefect_server, state.state_details.flow_run_id, count=6))
    assert told == [
        ("config", "Completed"),
        ("credentials", "Completed"),
        ("instance", "Skipped"),
        ("resolve", "Skipped"),
        ("route", "Completed"),
        ("connect", "Failed"),
    ]


async def test_a_well_source_is_healthy() -> None:
    state = await connectivity(sources=["retail/orders"], env="prod")
    assert (state.name, state.message) == ("Healthy", "0 of 1 not Connectable")


async def test_many_checks_are_one_task_run_a_group(prefect_server: PrefectServer) -> None:
    state = await connectivity()

    assert state.message.startswith("3 of 4 not Connectable: retail/billing/dev TARGET.MISSING")
    told = await eventually(task_runs(prefect_server, state.state_details.flow_run_id, count=1))
    assert told == [("local", "Sick")]
    (report, *_) = prefect_server.artifacts("headwater-connectivity")
    assert report.count("<details>") == 3


async def test_a_source_may_be_chosen_by_name_and_group() -> None:
    state = await connectivity(sources=["billing"], groups=["local"], env="prod")
    assert state.message == "1 of 1 not Connectable: retail/billing/prod AUTH.BAD_CREDENTIALS"


async def test_a_run_that_could_not_check_fails_and_says_what_to_do() -> None:
    state = await connectivity(sources=["retail/ordrs"])
    assert state.is_failed()
    assert "did you mean retail/orders" in state.message

    state = await connectivity(sources=["retail/orders"], groups=["elsewhere"])
    assert state.is_failed()
    assert "no resource group 'elsewhere'" in state.message

    state = await connectivity(timeout=0)
    assert state.is_failed()
    assert "use 0.1 to 3600 seconds" in state.message


async def test_a_registry_out_of_reach_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path / "file"))
    for run in (connectivity, health):
        state = await run()
        assert state.is_failed()
        assert "set HEADWATER_HOME" in state.message


# --- create-data-source ---------------------------------------------------------------------------------------------


async def test_a_created_source_is_registered_and_tested(
    prefect_server: PrefectServer, postgresql: EmbeddedPostgresql
) -> None:
    prod = {
        "address": [{"host": "127.0.0.1", "port": postgresql.port}],
        "database": "postgres",
        "username": "postgres",
        "password": "env:GOOD_PASSWORD",
    }
    state = await create(
        workspace="retail", name="stock", type="postgresql", description="what is there", dev=CLOSED, prod=prod
    )

    assert state.is_completed()
    assert state.message == "1 of 2 not Connectable: retail/stock/dev CONFIG.SECRET_UNRESOLVED"
    with open_store() as store:
        source = store.sources.get("retail", "stock")
        assert source.description == "what is there"
        assert {entry.env for entry in source.entries} == {"dev", "prod"}
        (record,) = store.history("data_source:retail/stock")
        assert "retail/stock" in record.why
    assert "retail/stock is registered" in prefect_server.artifacts("headwater-connectivity")[0]


async def test_a_side_that_was_left_out_is_not_tested(postgresql: EmbeddedPostgresql) -> None:
    prod = {"jdbc_url": f"jdbc:postgresql://127.0.0.1:{postgresql.port}/postgres", "username": "postgres"}
    state = await create(
        workspace="retail", name="half", type="postgres", prod={**prod, "password": "env:GOOD_PASSWORD"}
    )
    assert state.message == "0 of 1 not Connectable"


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"name": "orders"}, "workspace retail has a data source orders"),
        ({"name": "1st"}, "it begins with '1'"),
        ({"type": "postgrsql"}, "did you mean postgres"),
        ({"prod": {}}, "neither dev nor prod is given"),
        ({"workspace": "retial"}, "known: retail"),
        ({"prod": {**CLOSED, "databse": "x"}}, "did you mean database"),
    ],
)
async def test_what_cannot_be_registered_fails_the_run_and_changes_nothing(
    parameters: dict[str, Any], told: str
) -> None:
    wanted = {"workspace": "retail", "name": "fresh", "type": "postgresql", "prod": CLOSED, **parameters}
    with open_store() as store:
        before = store.sources.list().total
        state = await create(**wanted)
        assert state.is_failed()
        assert told in state.message
        assert store.sources.list().total == before


@pytest.mark.parametrize(
    "side",
    [
        {**CLOSED, "password": "canary-literal-1"},
        {"jdbc_url": "jdbc:postgresql://app:canary-literal-1@db:5432/orders"},
        {"jdbcUrl": "jdbc:mysql://db/orders?user=app&password=canary-literal-1"},
    ],
)
async def test_a_literal_secret_never_becomes_a_run(prefect_server: PrefectServer, side: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        await create(workspace="retail", name="leaky", type="postgresql", prod=side)
    assert "value not shown" in str(refused.value)
    assert "canary" not in str(refused.value)
    assert not [run for run in prefect_server.runs() if "leaky" in str(run["parameters"])]


async def test_a_literal_that_came_past_every_guard_is_taken_out_of_the_runs_parameters(
    prefect_server: PrefectServer,
) -> None:
    from prefect.flow_engine import run_flow

    from flows.create_data_source import create_data_source

    parameters = {"workspace": "retail", "name": "past", "type": "postgresql", "description": "", "dev": {}}
    prod = {**CLOSED, "password": "canary-literal-2"}
    running: Any = run_flow(
        create_data_source, parameters={**parameters, "prod": prod, "timeout": 1.0}, return_type="state"
    )
    state = await running
    assert state.is_failed()
    run = prefect_server.get(f"/flow_runs/{state.state_details.flow_run_id}")
    assert run["parameters"]["prod"]["password"] == "(literal secret, removed)"
    assert "canary-literal-2" not in str(run)


# --- health-check ---------------------------------------------------------------------------------------------------


def events(server: PrefectServer, source: str, name: str = "state-changed") -> list[dict[str, Any]]:
    """The events of a source, oldest first."""
    wanted = {"event": {"name": [f"headwater.data-source.{name}"]}, "order": "ASC"}
    found = server.post("/events/filter", {"filter": wanted, "limit": 50})["events"]
    return [one for one in found if one["resource"]["headwater.source"] == source]


async def test_health_tells_what_changed_whoever_found_it_out(
    prefect_server: PrefectServer, postgresql: EmbeddedPostgresql
) -> None:
    other = f"orders_{time.time_ns()}"
    port = free_port()
    text = f"""
version: 1
workspaces:
  - name: retail
    data_sources:
      - name: {other}
        type: postgresql
        dev: {{address: [{{host: 127.0.0.1, port: {port}}}], database: postgres, username: postgres,
               password: "env:GOOD_PASSWORD"}}
"""

    def put(text: str) -> None:
        with open_store() as store:
            apply_texts(store, [("more.yaml", text)], store.by("test"))

    importlib.import_module("flows")  # what is changed where it is loaded is announced
    put(text)
    (created,) = await eventually(lambda: events(prefect_server, other, "created"))
    assert (created["resource"]["prefect.resource.name"], created["payload"]["why"]) == (f"retail/{other}", "test")
    first = await health()
    assert (first.type.value, first.name) == ("COMPLETED", "Sick")
    assert "retail/billing/dev TARGET.MISSING" in first.message

    again = await health()
    assert again.name == "Sick"
    assert "Nothing changed." in prefect_server.artifacts("headwater-health")[0]
    assert "data:image/svg+xml;base64," in prefect_server.artifacts("headwater-health")[0]

    put(text.replace(str(port), str(postgresql.port)))
    with open_store() as store:  # somebody tests by hand, and the registry takes note of it
        from flows import checking

        store.verdicts.record([one async for one in checking.run(checking.gather(store, source=other, env="dev"))])
    await health()

    (report, *_) = prefect_server.artifacts("headwater-health")
    changed = report.partition("## Changes since the last run")[2].partition("##")[0]
    name = other.replace("_", "\\_")
    assert f"| retail/{name} | dev | local | 🔴 `PORT.CLOSED` | 🟢 Connectable |" in changed
    assert "billing" not in changed
    told = await eventually(lambda: len(found := events(prefect_server, other)) == 2 and found)
    assert told, "two events: it was first seen sick, then it recovered"
    assert [one["payload"]["state"] for one in told] == ["Unreachable", "Connectable"]
    assert (told[1]["payload"]["previous"], told[1]["payload"]["previous_cause"]) == ("Unreachable", "PORT.CLOSED")
    assert told[1]["resource"]["prefect.resource.id"] == f"headwater.data-source.retail.{other}.dev.local"


# --- secrets --------------------------------------------------------------------------------------------------------


async def test_no_secret_reaches_prefect(prefect_server: PrefectServer, postgresql: EmbeddedPostgresql) -> None:
    """Passwords from the environment and from the registry, right and wrong, and one that its server says back."""
    with EchoingServer() as echoing:
        text = f"""
version: 1
workspaces:
  - name: retail
    data_sources:
      - name: stored
        type: postgresql
        prod: {{address: [{{host: 127.0.0.1, port: {postgresql.port}}}], database: postgres, username: postgres,
                password: {STORED_PASSWORD}}}
      - name: echoed
        type: postgresql
        dev: {{address: [{{host: 127.0.0.1, port: {echoing.port}}}], database: postgres, username: postgres,
               password: "env:WRONG_PASSWORD"}}
        prod: {{address: [{{host: 127.0.0.1, port: {echoing.port}}}], database: postgres, username: postgres,
                password: {STORED_PASSWORD}}}
"""
        with open_store() as store:
            apply_texts(store, [("more.yaml", text)], store.by("test"), literals_allowed=True)
        state = await connectivity(sources=["retail/stored", "retail/echoed", "retail/billing", "retail/orders"])
        assert "retail/echoed/prod AUTH.BAD_CREDENTIALS" in state.message
        assert (await connectivity(sources=["retail/echoed"], env="prod")).name == "Sick"
        assert (await health()).name == "Sick"
    assert echoing.heard == {WRONG_PASSWORD, STORED_PASSWORD}, "the passwords did go where they belong"
    report = prefect_server.artifacts("connectivity-retail-echoed-prod-local")[0]
    assert "the password ••• is wrong" in report, "the server's words are shown, the password in them is not"

    await eventually(lambda: False, seconds=2)  # logs and events are on their way
    secrets = [secret.encode() for secret in (GOOD_PASSWORD, WRONG_PASSWORD, STORED_PASSWORD)]
    files = {path: path.read_bytes() for path in prefect_server.home.rglob("*") if path.is_file()}
    assert any(b"retail/echoed/prod AUTH.BAD_CREDENTIALS" in content for content in files.values())
    assert not [(path, secret) for path, content in files.items() for secret in secrets if secret in content]
    with open_store() as store:
        kept = "".join(one.verdict.model_dump_json() for one in store.verdicts.latest())
    assert not [secret for secret in secrets if secret.decode() in kept]
