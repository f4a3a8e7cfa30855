"""Deployments of a real Prefect server as dependents: found while others change them, rewritten, proved, put back."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest

from registry.errors import HeadwaterError
from registry.groups import GroupDraft, WorkerSettings
from registry.store import open_store
from tasks.data_source_ref import FORMAT
from tasks.dependents import FoundDependent, NotRewritable, Place, Rename, Scope, UnitMoved, Unread, catalogue
from tasks.dependents import prefect_deployments as adapter
from tasks.dependents.prefect_deployments import ADAPTER
from tasks.dependents.scanning import keep, scan
from tests.flows.waiting import eventually
from tests.serving import PrefectServer

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("registry")]

MARK = {"type": "string", "format": FORMAT}
SCHEMA = {
    "type": "object",
    "properties": {
        "source": MARK,
        "copies": {"type": "array", "items": {"$ref": "#/definitions/Copy"}},
        "target": {**MARK, "default": "orders", "headwater-role": "writer"},
        "note": {"type": "string"},
    },
    "definitions": {"Copy": {"type": "object", "properties": {"to": MARK}}},
}
PARAMETERS = {"source": "orders", "copies": [{"to": "billing"}, {"to": "orders"}], "note": "orders"}


class Server:
    """The server, with a pool whose job variables have a mark, and the deployments that a test makes."""

    def __init__(self, server: PrefectServer) -> None:
        self.server = server
        self.flow = server.post("/flows/", {"name": "etl"})["id"]
        self.pool("etl-dev", {"cache": MARK, "command": {"type": "string"}})
        self.made: list[str] = []
        self.begun: list[str] = []

    def pool(self, name: str, variables: Mapping[str, Any]) -> None:
        """A work pool with these job variables, unless there is one of this name."""
        if name in [one["name"] for one in self.server.post("/work_pools/filter", {})]:
            return
        schema = {"type": "object", "properties": variables}
        template = {"job_configuration": {"cache": "{{ cache }}"}, "variables": schema}
        self.server.post("/work_pools/", {"name": name, "type": "process", "base_job_template": template})

    def deploy(self, name: str, **more: Any) -> str:
        """A deployment; its unit."""
        body = {
            "name": name,
            "flow_id": self.flow,
            "parameter_openapi_schema": SCHEMA,
            "parameters": PARAMETERS,
            **more,
        }
        self.made.append(self.server.post("/deployments/", body)["id"])
        return f"deployment:{self.made[-1]}"

    def deployment(self, unit: str) -> Any:
        """What the server holds."""
        return self.server.get(f"/deployments/{unit.removeprefix('deployment:')}")

    def change(self, unit: str, **values: Any) -> None:
        """Somebody else changes it."""
        path = f"/deployments/{unit.removeprefix('deployment:')}"
        self.server.ask("PATCH", path, values).raise_for_status()

    def simple(self, name: str, **more: Any) -> str:
        """One that reads orders and nothing else; its unit."""
        schema = {"type": "object", "properties": {"source": MARK}}
        return self.deploy(name, **{"parameter_openapi_schema": schema, "parameters": {"source": "orders"}, **more})

    def run(self, unit: str) -> datetime:
        """A run of it, which begins now; when the server says that was."""
        body = {"flow_id": self.flow, "deployment_id": unit.removeprefix("deployment:"), "state": {"type": "RUNNING"}}
        run = self.server.post("/flow_runs/", body)
        self.begun.append(run["id"])
        return datetime.fromisoformat(run["start_time"])

    def remove(self, unit: str) -> None:
        """Somebody takes a deployment away."""
        self.made.remove(unit.removeprefix("deployment:"))
        self.server.delete(f"/deployments/{unit.removeprefix('deployment:')}")

    def clear(self) -> None:
        """Take away what was made."""
        for run in self.begun:
            self.server.delete(f"/flow_runs/{run}")
        for id_ in self.made:
            self.server.delete(f"/deployments/{id_}")


@pytest.fixture
def server(prefect_server: PrefectServer) -> Iterator[Server]:
    made = Server(prefect_server)
    yield made
    made.clear()


async def found(*roots: str, **options: str) -> dict[str, FoundDependent]:
    """What a scan of `retail` finds, by name."""
    told = [one async for one in ADAPTER.scan(Scope("retail", roots, options))]
    assert not any(isinstance(one, Unread) for one in told)
    return {one.name: one for one in told if isinstance(one, FoundDependent)}


def at(unit: str, pointer: str, old: str, new: str) -> Rename:
    return Rename(Place(unit, pointer), old, new)


async def test_marked_parameters_and_job_variables_are_found_with_all_that_a_deployment_says(server: Server) -> None:
    with open_store() as store:
        store.groups.put(GroupDraft("etl", "worker", WorkerSettings(work_pool="etl-dev")), store.by())
    unit = server.deploy(
        "nightly",
        work_pool_name="etl-dev",
        job_variables={"cache": "sessions", "command": "orders"},
        tags=["owner:wang", "locked-by:li", "headwater-kind:batch_sync", "headwater-smoke"],
        schedules=[{"schedule": {"cron": "0 3 * * *"}, "active": True}],
        paused=True,
    )
    one = (await found("etl/nightly"))["etl/nightly"]
    assert [(reference.source, reference.places[0].pointer, reference.role) for reference in one.references] == [
        ("orders", "/parameters/source", ""),
        ("billing", "/parameters/copies/0/to", ""),
        ("orders", "/parameters/copies/1/to", ""),
        ("orders", "/parameters/target", "writer"),
        ("sessions", "/job_variables/cache", ""),
    ]
    assert (one.unit, one.env, one.module, one.task_kind) == (unit, "dev", "data_integration", "batch_sync")
    assert (one.owner, one.locked_by, one.resource_group) == ("wang", "li", "etl")
    assert one.details == {"pool": "etl-dev", "paused": True, "schedules": ["cron 0 3 * * *"], "smoke": True}
    assert one.location.endswith(f"/deployments/deployment/{one.key}")
    assert catalogue()["prefect_deployments"] is ADAPTER


async def test_a_scan_keeps_to_its_workspace_its_roots_and_its_environment(server: Server) -> None:
    server.deploy("ours", tags=["workspace:retail", "env:dev"])
    server.deploy("theirs", tags=["workspace:finance"])
    server.deploy("plain")
    everything = await found()
    assert "etl/theirs" not in everything
    assert (everything["etl/ours"].env, everything["etl/plain"].env) == ("dev", "prod")
    assert (everything["etl/ours"].module, everything["etl/plain"].module) == ("data_studio", "operation_center")
    assert set(await found("etl/o*")) == {"etl/ours"}
    assert (await found("plain", env="dev"))["etl/plain"].env == "dev"


# --- a long list ----------------------------------------------------------------------------------------------------


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list comes in pages of seven."""
    monkeypatch.setattr(adapter, "_PAGE", 7)
    monkeypatch.setattr(adapter, "_RUNS_OF", 10)


def before(monkeypatch: pytest.MonkeyPatch, asking: str, happens: Callable[[int], object]) -> None:
    """Let something happen before each request for this, told how many there were; the request is sent as ever."""
    send, count = adapter._ask, itertools.count()

    async def sent(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        if path.startswith(asking):
            await asyncio.to_thread(happens, next(count))
        return await send(method, path, body)

    monkeypatch.setattr(adapter, "_ask", sent)


@pytest.mark.usefixtures("pages")
async def test_all_of_a_long_list_are_found_with_few_questions(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    units = [server.simple(f"n{number:02}") for number in range(20)]
    rarely = server.run(units[8])
    often = [server.run(units[7]) for _ in range(9)]
    asked, held = list[int](), server.server.post("/deployments/count", {})
    before(monkeypatch, "/", asked.append)
    everything = await found("etl/n*")
    assert list(everything) == [f"etl/n{number:02}" for number in range(20)]
    assert {name: one.last_run_at for name, one in everything.items() if one.last_run_at} == {
        "etl/n07": often[-1],
        "etl/n08": rarely,
    }
    assert len(asked) < held, "not one for each"


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize("change", ["made", "deleted"])
async def test_none_is_missed_where_others_change_the_list_meanwhile(
    server: Server, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = [server.simple(f"n{number:02}") for number in range(16)]

    def others(number: int) -> None:
        if number == 1 and change == "made":
            server.simple("new")
        elif number == 1:
            server.remove(units[-1])

    before(monkeypatch, "/deployments/", others)
    told = [one async for one in ADAPTER.scan(Scope("retail", ("etl/n*",)))]
    assert sorted(one.key for one in told if isinstance(one, FoundDependent)) == sorted(server.made)


@pytest.mark.usefixtures("pages")
async def test_a_list_that_never_stays_the_same_is_told_instead_of_read_half(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        server.simple(f"n{number}")
    before(monkeypatch, "/deployments/", lambda number: server.simple(f"new{number}"))
    with pytest.raises(HeadwaterError, match="changes faster"):
        await found()


# --- what others say, and what nobody expects -----------------------------------------------------------------------


def uses(one: FoundDependent) -> list[tuple[str, str]]:
    return [(reference.source, place.pointer) for reference in one.references for place in reference.places]


async def test_what_a_schedule_or_a_pool_says_is_found_and_left_to_others(server: Server) -> None:
    server.pool("cached", {"cache": {**MARK, "default": "sessions"}})
    schedules = [
        {"schedule": {"cron": "0 3 * * *"}, "parameters": {"source": "orders_night"}},
        {"schedule": {"cron": "0 4 * * *"}},
    ]
    unit = server.simple("n1", work_pool_name="cached", schedules=schedules)
    server.simple("n2", work_pool_name="cached", job_variables={"cache": "mine"})
    nightly = next(one["id"] for one in server.deployment(unit)["schedules"] if one["parameters"])
    everything = await found()
    assert uses(everything["etl/n1"]) == [
        ("orders", "/parameters/source"),
        ("orders_night", f"/schedules/{nightly}/parameters/source"),
        ("sessions", "/work_pool/cache"),
    ]
    assert uses(everything["etl/n2"]) == [("orders", "/parameters/source"), ("mine", "/job_variables/cache")]
    content = await ADAPTER.read(unit)
    for source, pointer in uses(everything["etl/n1"])[1:]:
        with pytest.raises(NotRewritable, match="gives its runs this name"):
            ADAPTER.rewrite(content, [at(unit, pointer, source, "other")])


async def test_schemas_that_nobody_expects_do_not_end_a_scan(server: Server) -> None:
    endless = {
        "type": "object",
        "properties": {"again": {"$ref": "#", "default": {}}, "source": {**MARK, "default": "x"}},
    }
    odd = {"type": "object", "properties": {"any": True, "source": MARK, "none": None}, "anyOf": None, "required": "?"}
    keyed = {"properties": {"named": {"patternProperties": {"^s_": MARK, "(": True}, "additionalProperties": False}}}
    given: Mapping[str, tuple[Any, Any]] = {
        "n1": (endless, {"source": "orders"}),
        "n2": (odd, {"any": {"a": 1}, "source": "orders", "none": 1}),
        "n3": (keyed, {"named": {"s_a": "orders", "t": "no"}}),
        "n4": (None, {}),
    }
    units = [
        server.deploy(name, parameter_openapi_schema=schema, parameters=parameters, enforce_parameter_schema=False)
        for name, (schema, parameters) in given.items()
    ]
    told = [one async for one in ADAPTER.scan(Scope("retail", ("etl/n*",)))]
    assert {one.name: uses(one) for one in told if isinstance(one, FoundDependent)} == {
        "etl/n2": [("orders", "/parameters/source")],
        "etl/n3": [("orders", "/parameters/named/s_a")],
        "etl/n4": [],
    }
    assert [(one.place.unit, one.place.pointer) for one in told if isinstance(one, Unread)] == [
        (units[0], "/parameters")
    ]


# --- what is changed ------------------------------------------------------------------------------------------------


async def test_a_rename_changes_its_place_alone_and_backwards_puts_all_back(server: Server) -> None:
    unit = server.deploy("moving", tags=["env:prod"], schedules=[{"schedule": {"cron": "0 3 * * *"}}], version="7")
    before = server.deployment(unit)
    renames = [
        at(unit, "/parameters/source", "orders", "orders_new"),
        at(unit, "/parameters/copies/1/to", "orders", "orders_new"),
        at(unit, "/parameters/target", "orders", "orders_new"),
    ]
    old = await ADAPTER.read(unit)
    new = ADAPTER.rewrite(old, renames)
    await ADAPTER.write(unit, old, new)
    after = server.deployment(unit)
    assert after["parameters"] == {
        "source": "orders_new",
        "copies": [{"to": "billing"}, {"to": "orders_new"}],
        "target": "orders_new",
        "note": "orders",
    }
    changed = {key for key in before if before[key] != after[key]}
    assert changed <= {"parameters", "updated", "updated_by"}
    assert await ADAPTER.verify(unit, new) is None
    assert "something else" in (await ADAPTER.verify(unit, old) or "")
    await ADAPTER.write(unit, old, new)  # again, as after a kill
    now = await ADAPTER.read(unit)
    back = ADAPTER.rewrite(now, [one.backwards() for one in renames])
    await ADAPTER.write(unit, now, back)
    assert (await ADAPTER.read(unit)).fingerprint == old.fingerprint


async def test_a_default_of_the_code_is_left_to_the_code_where_it_is_not_renamed(server: Server) -> None:
    unit = server.deploy("partly")
    old = await ADAPTER.read(unit)
    await ADAPTER.write(unit, old, ADAPTER.rewrite(old, [at(unit, "/parameters/source", "orders", "new")]))
    assert "target" not in server.deployment(unit)["parameters"]


async def test_job_variables_are_rewritten_too(server: Server) -> None:
    unit = server.deploy("cached", work_pool_name="etl-dev", job_variables={"cache": "sessions", "command": "x"})
    old = await ADAPTER.read(unit)
    await ADAPTER.write(unit, old, ADAPTER.rewrite(old, [at(unit, "/job_variables/cache", "sessions", "other")]))
    held = server.deployment(unit)
    assert held["job_variables"] == {"cache": "other", "command": "x"}
    assert held["parameters"] == PARAMETERS


async def test_what_somebody_else_has_changed_is_left_alone(server: Server) -> None:
    unit = server.deploy("touched")
    old = await ADAPTER.read(unit)
    new = ADAPTER.rewrite(old, [at(unit, "/parameters/source", "orders", "orders_new")])
    server.change(unit, parameters={**PARAMETERS, "note": "theirs"})
    with pytest.raises(UnitMoved):
        await ADAPTER.write(unit, old, new)
    assert server.deployment(unit)["parameters"]["source"] == "orders"


async def test_names_that_are_not_there_and_deployments_that_are_gone_are_told(server: Server) -> None:
    unit = server.deploy("short")
    old = await ADAPTER.read(unit)
    for pointer in ("/parameters/source", "/parameters/nothing", "/parameters/copies/7/to", "/parameters/copies/x"):
        with pytest.raises(NotRewritable, match="does not stand there"):
            ADAPTER.rewrite(old, [at(unit, pointer, "billing", "b")])
    server.clear()
    with pytest.raises(HeadwaterError, match="no such deployment"):
        await ADAPTER.read(unit)
    assert "no such deployment" in (await ADAPTER.verify(unit, old) or "")


async def test_a_name_that_the_form_does_not_offer_is_refused_by_the_server(server: Server) -> None:
    schema = {"type": "object", "properties": {"source": {**MARK, "enum": ["orders"]}}}
    unit = server.deploy(
        "formed", parameter_openapi_schema=schema, parameters={"source": "orders"}, enforce_parameter_schema=True
    )
    old = await ADAPTER.read(unit)
    with pytest.raises(HeadwaterError, match=r"does not fit the schema[\s\S]*headwater deploy"):
        await ADAPTER.write(unit, old, ADAPTER.rewrite(old, [at(unit, "/parameters/source", "orders", "new")]))
    assert (await ADAPTER.read(unit)).fingerprint == old.fingerprint


async def test_a_smoke_run_that_fails_is_told_and_one_that_is_not_declared_is_not_made(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = server.deploy("plain")
    assert await ADAPTER.smoke(plain, {}) is None
    smoking = server.deploy("smoking", tags=["headwater-smoke"], work_pool_name="etl-dev")
    assert [one["deployment_id"] for one in server.server.runs() if one["deployment_id"] in server.made] == []

    monkeypatch.setattr("tasks.dependents.prefect_deployments._LOOK", 0.05)

    def scheduled() -> list[Any]:
        made = [one for one in server.server.runs() if one["deployment_id"] in server.made]
        return [one for one in made if one["state_type"] == "SCHEDULED"]

    for kind, told in (("COMPLETED", None), ("FAILED", "its run is Failed")):
        running = asyncio.create_task(ADAPTER.smoke(smoking, {"smoke": True}))
        runs = await eventually(scheduled)
        body = {"state": {"type": kind, "name": kind.title()}, "force": True}
        server.server.post(f"/flow_runs/{runs[0]['id']}/set_state", body)
        outcome = await running
        assert outcome is None if told is None else told in (outcome or "")

    monkeypatch.setattr("tasks.dependents.prefect_deployments.LONGEST_SMOKE", 0.2)
    late = await ADAPTER.smoke(smoking, {"smoke": True})
    assert "did not end within 0.2 s and was cancelled" in (late or "")
    assert scheduled() == [], "nobody starts it later"


async def test_the_server_being_away_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    adapter._OPEN.clear()
    with pytest.raises(HeadwaterError, match=r"127\.0\.0\.1:1/api cannot be reached \(ECONNREFUSED\)"):
        await found()
    adapter._OPEN.clear()


async def test_a_scan_is_kept_and_forgets_deployments_that_are_gone(server: Server) -> None:
    server.deploy("first", tags=["env:prod", "workspace:retail"])
    server.deploy("second", tags=["env:prod", "workspace:retail"])
    scope = Scope("retail")
    with open_store() as store:
        keep(store, ADAPTER.name, await scan(ADAPTER.name, scope), store.by())
        assert store.dependents.summary("retail/orders").dependents == 2
        assert store.dependents.summary("retail/billing").dependents == 2
        server.clear()
        keep(store, ADAPTER.name, await scan(ADAPTER.name, scope), store.by())
        assert store.dependents.summary("retail/orders").dependents == 0


async def test_the_flow_finds_them_and_draws_what_hangs_on_the_sources(server: Server) -> None:
    from flows.find_dependents import find_dependents

    server.deploy("drawn", tags=["env:prod", "workspace:retail"])
    state = await find_dependents("retail", return_state=True)
    assert state.is_completed()
    assert "1 new" in (state.message or "")
    page = server.server.artifacts("headwater-dependents")[0]
    assert "```mermaid" in page
    assert "the Operation Center: 1" in page
    failed = await find_dependents("nowhere", return_state=True)
    assert failed.is_failed()
