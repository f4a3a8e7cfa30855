"""Deleting, restoring, sharing and compute resources on the command line; a stored secret is seen in none of it."""

from __future__ import annotations

import json

import pytest

from tests.flows.cli_support import CommandLine

CANARY = "canary-deletion-4c1e"

TEXT = f"""
version: 1
workspaces:
  - name: retail
    mode: standard
    data_sources:
      - name: orders
        type: postgresql
        dev: {{address: [{{host: db-dev, port: 5432}}], database: orders, username: app, password: "{CANARY}"}}
        prod: {{address: [{{host: db, port: 5432}}], database: orders, username: app, password: "{CANARY}"}}
      - name: order_items
        type: postgresql
        prod: {{address: [{{host: db, port: 5432}}], database: orders, username: app, password: "{CANARY}"}}
      - name: cache
        type: redis
        prod: {{address: [{{host: db, port: 6379}}]}}
  - {{name: sales, mode: standard}}
"""


@pytest.fixture
def shop(cli: CommandLine) -> CommandLine:
    done = cli("apply", "-f", "-", stdin=TEXT)
    assert done.status == 0, done
    return cli


def test_a_filter_is_one_plan_and_the_secret_is_seen_nowhere(shop: CommandLine) -> None:
    said = [shop("share", "orders", "--to", "sales", "--env", "prod", "-o", "json")]
    said += [shop("show", "sales/retail.orders", "-o", "json"), shop("list", "-w", "sales", "-o", "json")]
    said += [shop("source", "delete", "--name", "order", "-o", "json")]
    plan = said[-1].json
    assert [one["source"] for one in plan["sources"]] == ["retail/order_items", "retail/orders"]
    assert plan["sources"][1]["shared_with"] == [{"entry": "prod", "workspace": "sales", "env": "prod", "user": ""}]
    said += [shop("plan", "show", plan["plan"], "-o", "json"), shop("source", "apply", plan["plan"], "-o", "json")]
    assert [one["envs"] for one in said[-1].json] == [["prod"], ["dev", "prod"]]
    said += [shop("source", "tombstones", "-o", "json"), shop("history", "cache", "-o", "json")]
    assert {one["source"] for one in said[-2].json} == {"retail/orders", "retail/order_items"}
    assert [one["name"] for one in shop("list", "-o", "json").json["data_sources"]] == ["cache"]
    said += [shop("source", "restore", "orders", "-o", "json"), shop("share", "list", "-o", "json")]
    assert said[-2].json["shared_with"] == ["sales"]
    assert said[-1].json[0]["name"] == "retail.orders"
    assert all(one.status == 0 for one in said), said
    assert not any(CANARY in one.out + one.err for one in said)
    kept = b"".join(path.read_bytes() for path in shop.home.rglob("*") if path.is_file())
    assert CANARY.encode() not in kept


def test_wrong_usage_is_told(shop: CommandLine) -> None:
    shop("source", "delete").refused("say which: names, or --type or --name")
    shop("source", "delete", "orders", "--type", "redis").refused("not both")
    shop("source", "delete", "ordres").refused("did you mean retail/orders")
    shop("source", "delete", "cache", "--env", "dev").refused("it has no dev entry")
    shop("source", "apply", "nothing").refused("no plan 'nothing'")
    shop("source", "restore", "nothing").refused("nothing deleted is left of 'nothing'")
    shop("share", "revoke", "orders").refused("--to")
    shop("share", "revoke", "orders", "--to", "sales").refused("is not shared with sales")
    shop("compute-resource", "attach", "dw", "--type", "emr").refused("say WORKSPACE/NAME")
    shop("compute-resource", "attach", "retail/dw", "--type", "mysql").refused("no compute resource is of type")
    shop("compute-resource", "detach", "retail/dw").refused("no compute resource 'dw'")


def test_a_plan_of_what_production_uses_is_refused_and_kept(shop: CommandLine) -> None:
    shop("dependents", "register", "--name", "api", "--source", "orders", "--workspace", "retail")
    shown = shop("source", "delete", "orders", "--apply", "-o", "json")
    assert (shown.status, shown.json["refused"]) == (
        1,
        {"retail/orders": "in use by 1 in production: api (retail, data_service)"},
    )
    told = shop("source", "delete", "orders").err
    assert " of 1 data source, refused as it stands\n" in told
    assert "to be applied" not in told
    shop("source", "apply", shown.json["plan"]).refused("--force orders")
    done = shop("source", "apply", shown.json["plan"], "--force", "orders", "--why", "the shop is closed")
    assert done.status == 0, done


def test_compute_resources_come_and_go_with_their_source(shop: CommandLine) -> None:
    side = {"address": [{"host": "holo", "port": 80}], "database": "dw", "username": "app", "password": CANARY}
    text = json.dumps({"prod": side, "description": "warehouse"})
    made = shop("compute-resource", "attach", "retail/dw", "--type", "holo", "-f", "-", "-o", "json", stdin=text)
    assert (made.status, made.json["data_source"], made.json["type"]) == (0, "retail/dw", "hologres"), made
    shop("delete", "dw", "-y").refused("edited and deleted only through it", "compute-resource edit retail/dw")
    moved = json.dumps({"prod": {**side, "database": "dw2"}})
    assert shop("compute-resource", "edit", "retail/dw", "-f", "-", stdin=moved).status == 0
    assert shop("show", "dw", "-o", "json").json["prod"]["database"] == "dw2"
    assert shop("compute-resource", "list").out == "retail/dw\thologres\t\tretail/dw\talice\n"
    assert "retail/dw" in shop("compute-resource", "detach", "retail/dw").out
    (gone,) = shop("compute-resource", "detach", "retail/dw", "--apply", "-o", "json").json
    assert shop("compute-resource", "list").out == ""
    assert shop("source", "restore", gone["tombstone"]).status == 0
    assert shop("compute-resource", "list").out == "retail/dw\thologres\t\tretail/dw\talice\n"


def test_literals_are_refused_in_files(shop: CommandLine) -> None:
    side = {"address": [{"host": "holo", "port": 80}], "database": "dw", "username": "app", "password": CANARY}
    shop.write("dw.yaml", json.dumps({"prod": side}))
    done = shop("compute-resource", "attach", "retail/dw", "--type", "hologres", "-f", "dw.yaml")
    assert done.status == 2
    assert CANARY not in done.out + done.err
