"""Maintenance, as a user sees it; the schedules on a real Prefect server."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.store import open_store
from tests.flows.cli_support import CommandLine, source, workspace
from tests.serving import PrefectServer


def test_maintenance_begins_is_listed_and_ends(cli: CommandLine) -> None:
    cli.apply(workspace(source("orders")))
    begun = cli("maintenance", "start", "orders", "--reason", "disk is replaced", "--until", "2h")
    assert begun.status == 0
    assert "disk is replaced (until " in begun.out
    (listed,) = cli("maintenance", "list", "-o", "json").json
    assert (listed["data_source"], listed["envs"], listed["over"]) == ("retail/orders", ["prod"], False)
    assert cli("maintenance", "end", "orders").status == 0
    assert cli("maintenance", "list", "-o", "json").json == []
    cli("maintenance", "end", "orders").refused("retail/orders is not in maintenance")
    told = [one["action"] for one in cli("history", "orders", "-o", "json").json]
    assert told[-2:] == ["maintain", "end maintenance"]


def test_a_second_start_tells_what_it_replaces(cli: CommandLine) -> None:
    cli.apply(workspace(source("orders")))
    assert "replaces" not in cli("maintenance", "start", "orders", "--reason", "disk is replaced", "--until", "2h").out
    again = cli("maintenance", "start", "orders", "--reason", "moves").out
    assert "this replaces the maintenance of prod: disk is replaced (until 20" in again
    (listed,) = cli("maintenance", "list", "-o", "json").json
    assert (listed["reason"], listed["until"]) == ("moves", None)


def test_maintenance_that_cannot_be_is_refused(cli: CommandLine) -> None:
    cli.apply(workspace(source("orders")))
    cli("maintenance", "start", "orders", "--reason", " ").refused("needs a reason")
    cli("maintenance", "start", "orders", "--reason", "x", "--until", "2020-01-01").refused("has been")
    cli("maintenance", "start", "orders", "--reason", "x", "--until", "soon").refused("no time", "30m")
    cli("maintenance", "start", "orders", "--reason", "x", "--env", "dev").refused("no dev configuration")


@pytest.mark.prefect
def test_schedules_that_depend_on_it_are_paused_and_started_again(
    cli: CommandLine, prefect_server: PrefectServer
) -> None:
    from tasks.dependents import FoundDependent, FoundReference, Place

    flow = prefect_server.post("/flows/", {"name": "nightly"})["id"]
    running, resting = (
        prefect_server.post("/deployments/", {"name": name, "flow_id": flow, "paused": name == "resting"})["id"]
        for name in ("running", "resting")
    )
    cli.environment.update(prefect_server.settings)
    cli.apply(workspace(source("orders")))
    found = [
        FoundDependent(
            key=f"deployment:{id_}",
            unit=f"deployment:{id_}",
            name=id_,
            module="operation_center",
            references=(FoundReference("orders", role="reader", places=(Place(f"deployment:{id_}", "/source"),)),),
        )
        for id_ in (running, resting)
    ]
    with open_store(Path(cli.environment["HEADWATER_HOME"])) as store:
        store.dependents.record("retail", "prefect_deployments", found, [], store.by())

    def paused() -> list[bool]:
        return [bool(prefect_server.get(f"/deployments/{id_}")["paused"]) for id_ in (running, resting)]

    done = cli("maintenance", "start", "orders", "--reason", "move", "--pause-schedules")
    assert "paused the schedules of 1 deployments" in done.out, done
    assert paused() == [True, True]
    assert cli("maintenance", "end", "orders").status == 0
    assert paused() == [False, True]
