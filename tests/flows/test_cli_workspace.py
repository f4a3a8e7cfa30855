"""`headwater workspace`: listed, upgraded on real servers, held against each other, taken back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts.embedded_postgresql import EmbeddedPostgresql
from tests.flows.cli_support import PASSWORD_VARIABLE, CommandLine, Screen, source, workspace


@pytest.fixture
def basic(cli: CommandLine, postgresql: EmbeddedPostgresql) -> CommandLine:
    """The command line with the basic workspace `retail` and two sources of one real server."""
    cli.environment[PASSWORD_VARIABLE] = postgresql.password
    sources = (source("orders", postgresql.port), source("spare", postgresql.port))
    cli.apply(workspace(*sources).replace("mode: standard", "mode: basic"))
    return cli


def modes(cli: CommandLine) -> dict[str, str]:
    return {one["name"]: one["mode"] for one in cli("workspace", "list", "--output", "json").json}


def drift(told: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["source"]: (one["target"], one["states"]) for one in told}


def test_a_plan_is_shown_and_changes_nothing(basic: CommandLine) -> None:
    said = basic("workspace", "upgrade", "retail")
    assert said.status == 0, said
    assert "retail/orders (postgresql)\n    its prod side is copied to dev" in said.out
    assert "it is not isolated (CONFIG.ENVS_SHARE_TARGET)" in said.out
    assert "same roles in development; keeps everything" in said.out
    assert "2 of 2 dev sides lead to the target of production" in said.err
    assert modes(basic) == {"retail": "basic"}


def test_what_was_planned_is_applied_tested_and_held_against_each_other(basic: CommandLine) -> None:
    basic.write("dev.yaml", "spare: {database: template1}\n")
    plan = basic("workspace", "upgrade", "retail", "--mapping", "dev.yaml", "--output", "json").json
    assert plan["shares_target"] == ["orders"]
    basic("workspace", "upgrade", plan["plan"], "--apply").refused("nobody is there to confirm", "--apply --yes")
    done = basic("workspace", "upgrade", plan["plan"], "--apply", "--yes", "--output", "json")
    assert done.status == 0, done
    well = {"dev": {"local": "Connectable"}, "prod": {"local": "Connectable"}}
    assert drift(done.json) == {"orders": ("same target", well), "spare": ("same server", well)}
    assert all("PostgreSQL system" in one["target_by"] for one in done.json)
    assert modes(basic) == {"retail": "standard"}
    assert "headwater workspace upgrade retail --undo" in done.err
    shown = basic("workspace", "show", "retail", "--output", "json").json
    assert shown["upgrade"] == {"plan": plan["plan"], "state": "applied"}
    again = basic("workspace", "upgrade", "retail", "--undo")
    assert (again.status, modes(basic)) == (0, {"retail": "basic"}), again


def test_a_server_under_two_names_is_one_target(basic: CommandLine, postgresql: EmbeddedPostgresql) -> None:
    address = f"[{{host: localhost, port: {postgresql.port}}}]"
    basic.write("dev.yaml", f"orders: {{address: {address}, password: env:{PASSWORD_VARIABLE}}}\n")
    plan = basic("workspace", "upgrade", "retail", "-m", "dev.yaml", "-o", "json").json
    assert plan["shares_target"] == ["spare"]
    done = basic("workspace", "upgrade", plan["plan"], "--apply", "--yes", "-o", "json")
    assert drift(done.json)["orders"][0] == "same target"
    warned = basic("test", "retail/orders", "--output", "json").json
    codes = {one["env"]: [warning["code"] for warning in one["warnings"]] for one in warned}
    assert "CONFIG.ENVS_SHARE_TARGET" in codes["dev"] + codes["prod"]


def test_a_side_that_is_not_connectable_is_told_by_the_status(basic: CommandLine) -> None:
    basic.write("dev.yaml", "orders: {database: nowhere}\n")
    done = basic("workspace", "upgrade", "retail", "--mapping", "dev.yaml", "--apply", "--yes")
    assert done.status == 1, done
    assert "TARGET.DATABASE_MISSING" in done.out or "TARGET" in done.out, done
    assert modes(basic) == {"retail": "standard"}


def test_the_first_change_makes_it_irreversible(basic: CommandLine) -> None:
    assert basic("workspace", "upgrade", "retail", "--apply", "--yes", "--no-test").status == 0
    assert basic("edit", "retail/orders", "--description", "mine").status == 0
    basic("workspace", "upgrade", "retail", "--undo").refused("was changed since it became standard", "alice")
    basic("workspace", "upgrade", "retail").refused("is standard already")


def test_what_is_in_the_way_is_told_and_nothing_is_done(basic: CommandLine) -> None:
    begun = basic("maintenance", "start", "retail/orders", "--reason", "disk", "--until", "1h")
    assert begun.status == 0, begun
    said = basic("workspace", "upgrade", "retail", "--apply", "--yes")
    assert (said.status, modes(basic)) == (1, {"retail": "basic"})
    assert "BLOCKED retail/orders: it is in maintenance: disk" in said.out
    assert "headwater maintenance end retail/orders" in said.out


def test_a_faulty_mapping_is_told_with_its_line(basic: CommandLine) -> None:
    basic.write("dev.yaml", "order: {database: a}\nspare:\n  databse: b\n")
    said = basic("workspace", "upgrade", "retail", "--mapping", "dev.yaml")
    said.refused("dev.yaml:1:1: workspace retail has no data source 'order'", "did you mean orders?")
    said.refused("dev.yaml:3:3", "did you mean database?")


def test_on_a_terminal_the_name_is_typed_to_confirm(basic: CommandLine) -> None:
    screen = Screen(basic, "workspace", "upgrade", "retail", "--apply", "--no-test")
    screen.answer("Type retail to go on", "yes")
    assert screen.end() == 1
    assert modes(basic) == {"retail": "basic"}
    screen = Screen(basic, "workspace", "upgrade", "retail", "--apply", "--no-test")
    screen.answer("Type retail to go on", "retail")
    assert screen.end() == 0
    assert modes(basic) == {"retail": "standard"}


def test_the_drift_of_what_was_never_tested_is_told_as_such(basic: CommandLine) -> None:
    assert basic("workspace", "upgrade", "retail", "--apply", "--yes", "--no-test").status == 0
    said = basic("workspace", "drift", "retail")
    assert said.status == 1
    assert "untested" in said.out
    tested = basic("workspace", "drift", "retail", "--test", "--output", "json")
    assert (tested.status, json.loads(tested.out)[0]["isolated"]) == (0, False), tested
