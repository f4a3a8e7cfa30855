"""`headwater repoint`: from real FlowSpec files and a real PostgreSQL to a plan, and there and back."""

from __future__ import annotations

import json
import re
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.embedded_postgresql import EmbeddedPostgresql
from tests.flows.cli_support import CommandLine
from tests.serving import GOOD_PASSWORD

NEIGHBOUR = "cAnArY-of-a-neighbour"


@pytest.fixture(scope="session")
def server(postgresql: EmbeddedPostgresql) -> EmbeddedPostgresql:
    """`now` is what is used, `next` is like it, and `narrow` is not; `only_reader` may read and nothing else."""
    postgresql.execute("CREATE ROLE only_reader LOGIN PASSWORD 'reading'")
    for database, type_ in (("now", "integer"), ("next", "bigint"), ("narrow", "smallint")):
        postgresql.execute(f"CREATE DATABASE {database}")
        postgresql.execute(
            f"CREATE TABLE items (id {type_} NOT NULL)", "GRANT SELECT ON items TO only_reader", database=database
        )
    return postgresql


@pytest.fixture
def headwater(cli: CommandLine, server: EmbeddedPostgresql) -> CommandLine:
    """A registry with four sources of one server, and a folder for FlowSpec files."""
    cli.environment |= {"GOOD": GOOD_PASSWORD, "READING": "reading"}

    def source(name: str, database: str, user: str = "postgres", password: str = "GOOD") -> str:
        address = f"address: [{{host: 127.0.0.1, port: {server.port}}}]"
        return (
            f"      - {{name: {name}, type: postgresql, prod: "
            f'{{{address}, database: {database}, username: {user}, password: "env:{password}"}}}}'
        )

    cli.apply(
        "version: 1\nresource_groups: [{name: local, kind: local}]\n"
        "workspaces:\n  - name: retail\n    mode: basic\n    resource_groups: [local]\n    data_sources:\n"
        + "\n".join(
            [
                source("orders", "now"),
                source("orders_next", "next"),
                source("orders_narrow", "narrow"),
                source("orders_read_only", "next", "only_reader", "READING"),
            ]
        )
    )
    (cli.folder / "specs").mkdir()
    return cli


def sync(name: str, side: str, source: str = "orders") -> dict[str, Any]:
    """A synchronization node that reads or writes `items`."""
    step = {
        "stepType": "postgresql",
        "category": side,
        "parameter": {"datasource": source, "table": "items", "token": NEIGHBOUR},
    }
    other = {
        "stepType": "stream",
        "category": "writer" if side == "reader" else "reader",
        "parameter": {},
    }
    code = {"type": "job", "version": "2.0", "steps": [step, other]}
    return {
        "id": name,
        "name": name,
        "owner": "wang",
        "runtimeResource": {"resourceGroup": "local"},
        "script": {"path": name, "runtime": {"command": "DI"}, "content": json.dumps(code)},
    }


def specs(cli: CommandLine, *nodes: dict[str, Any]) -> list[Path]:
    """One FlowSpec file a node, found by the registry."""
    paths = []
    for node in nodes:
        path = cli.folder / "specs" / f"{node['name']}.json"
        document = {"version": "1.1.0", "kind": "CycleWorkflow", "spec": {"nodes": [node]}}
        path.write_text(json.dumps(document, indent=2))
        paths.append(path)
    done = cli("dependents", "scan", str(cli.folder / "specs"), "--workspace", "retail")
    assert done.status == 0, done
    return paths


def test_a_plan_is_shown_applied_and_taken_back(headwater: CommandLine) -> None:
    (path,) = specs(headwater, sync("load", "reader"))
    before = path.read_text()
    shown = headwater("repoint", "orders", "orders_next")
    assert shown.status == 0, shown
    assert "retail/orders -> retail/orders_next: 1 dependents, 1 units in waves of 1" in shown.out
    assert "retail/orders_next prod from local: Connectable" in shown.out
    assert "warn: items.id is bigint there, integer here" in shown.out
    assert "+" in shown.out
    assert NEIGHBOUR not in shown.out
    plan = shown.err.split("plan ")[1].split(",")[0]
    assert headwater("plan", "show", plan).status == 0
    done = headwater("repoint", "apply", plan[:6], "--output", "json")
    assert (done.status, done.json["state"], done.json["counts"]) == (0, "applied", {"done": 1})
    assert path.read_text() == before.replace('\\"datasource\\": \\"orders\\"', '\\"datasource\\": \\"orders_next\\"')
    assert headwater("dependents", "orders_next", "--output", "json").json["summary"]["dependents"] == 1
    back = headwater("repoint", "rollback", plan)
    assert back.status == 0, back
    assert path.read_text() == before
    listed = headwater("plan", "list", "--output", "json").json
    assert [(one["plan"], one["state"]) for one in listed] == [(plan, "rolled_back")]


def test_an_account_that_cannot_do_what_its_role_needs_is_seen_without_a_trace(
    headwater: CommandLine, server: EmbeddedPostgresql
) -> None:
    specs(headwater, sync("load", "reader"), sync("store", "writer"))
    found = headwater("repoint", "orders", "orders_read_only", "--output", "json")
    assert found.status == 1
    (blocked,) = found.json["blocked"]
    assert (blocked["name"], blocked["verdict"]) == ("store", "blocked")
    assert any("may not INSERT on items; it may SELECT" in reason for reason in blocked["reasons"])
    told = headwater("repoint", "apply", found.json["plan"])
    told.refused("1 of 2 dependents are blocked", "--leave-out-blocked")
    done = headwater("repoint", "apply", found.json["plan"], "--leave-out-blocked")
    assert done.status == 0, done


def test_columns_that_do_not_hold_what_is_written_block_the_writer(headwater: CommandLine) -> None:
    specs(headwater, sync("store", "writer"))
    found = headwater("repoint", "orders", "orders_narrow", "--output", "json").json
    assert any("items.id is smallint there, integer here" in why for why in found["blocked"][0]["reasons"])


def test_tables_are_looked_at_from_another_group_where_dependents_run_on_workers_alone(headwater: CommandLine) -> None:
    headwater.apply(
        "version: 1\nresource_groups:\n  - {name: jobs, kind: worker, worker: {work_pool: jobs}}\n"
        "workspaces:\n  - {name: retail, resource_groups: [jobs, local]}\n"
    )
    node = sync("store", "writer")
    specs(headwater, {**node, "runtimeResource": {"resourceGroup": "jobs"}})
    found = headwater("repoint", "orders", "orders_narrow", "--output", "json").json
    assert any("items.id is smallint there, integer here" in why for why in found["blocked"][0]["reasons"])
    assert {one["group"] for one in found["looked"] if "group" in one} == {"jobs"}, "only theirs is tested from"


def test_a_source_that_does_not_answer_blocks_everybody(headwater: CommandLine) -> None:
    specs(headwater, sync("load", "reader"))
    headwater.apply(
        "version: 1\nworkspaces:\n  - name: retail\n    data_sources:\n      - {name: dead, type: postgresql, prod: "
        '{address: [{host: 127.0.0.1, port: 1}], database: x, username: y, password: "env:GOOD"}}\n'
    )
    found = headwater("repoint", "orders", "dead", "--output", "json").json
    assert any("not Connectable from local: PORT." in why for why in found["blocked"][0]["reasons"])


def test_bad_wishes_are_told(headwater: CommandLine) -> None:
    specs(headwater, sync("load", "reader"))
    headwater("repoint", "orders", "orders").refused("is what they use already")
    headwater("repoint", "orders", "orders_next", "--where", "colour=red").refused("nothing can be chosen by 'colour'")
    told = headwater("repoint", "--where", "owner=nobody", "orders", "orders_next")  # options may come first
    told.refused("passes the filters", "there is owner=wang")
    headwater("repoint", "orders", "orders_next", "--env", "staging").refused("no side 'staging'", "use dev or prod")
    headwater("repoint", "orders", "orders_next", "--zone", "Nowhere/Here").refused("no time zone")
    headwater("repoint", "orders_next", "orders").refused("nothing uses retail/orders_next")
    headwater("repoint", "apply", "nothing").refused("no plan")
    assert headwater("repoint", "orders", "orders_next", "--waves", "one").status == 2


def test_killed_while_it_applies_and_applied_again(headwater: CommandLine) -> None:
    paths = specs(headwater, *(sync(f"load_{number:03}", "reader") for number in range(60)))
    plan = headwater("repoint", "orders", "orders_next", "--waves", "1,10", "--output", "json").json["plan"]
    killed = 0
    for wait in (0.8, 1.1, 1.4):
        running = headwater.start("repoint", "apply", plan)
        time.sleep(wait)
        running.send_signal(signal.SIGKILL)
        killed += running.wait() == -signal.SIGKILL
        for path in paths:
            names = path.read_text().count("orders_next"), path.read_text().count('\\"orders\\"')
            assert names in ((1, 0), (0, 1))
    again = headwater("repoint", "apply", plan)
    assert again.status == 0 or "applied" in again.err
    assert all("orders_next" in path.read_text() for path in paths)
    status = headwater("repoint", "status", plan, "--output", "json").json
    assert (status["state"], status["done"]) == ("applied", 60)
    assert killed


def test_the_example_of_the_page_runs(cli: CommandLine, server: EmbeddedPostgresql) -> None:
    page = (Path(__file__).parents[2] / "docs/repoint.md").read_text()
    yaml, spec, commands, shown = (part.split("```")[0] for part in re.split(r"```(?:yaml|json|sh|)\n", page)[1:8:2])
    cli.environment |= {"ORDERS_PASSWORD": GOOD_PASSWORD}
    cli.write("sources.yaml", yaml.replace("5432", str(server.port)).replace("username: app", "username: postgres"))
    (cli.folder / "specs").mkdir()
    cli.write("specs/report.json", spec)
    plan = "PLAN"
    for line in commands.splitlines():
        done = cli(*shlex.split(line.replace("PLAN", plan))[1:])
        assert done.status == 0, done
        if "repoint orders" in line:
            plan = done.err.split("plan ")[1].split(",")[0]
            assert shown.splitlines()[0] in done.out
            assert [part for part in done.out.splitlines() if part[:1] in "-+@"][2:] == shown.splitlines()[6:9]
    assert (cli.folder / "specs/report.json").read_text() == spec
