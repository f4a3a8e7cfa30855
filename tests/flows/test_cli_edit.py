"""Editing and cloning, as a user sees it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.flows.cli_support import CommandLine, source, workspace

SECRET = "canary-clone-7f"


def registered(cli: CommandLine) -> None:
    cli.environment["ORDERS_PASSWORD"] = "x"
    dev = ", dev: {address: [{host: 127.0.0.1, port: 2}], database: d, username: u}"
    cli.apply(workspace(source("orders").removesuffix("}") + dev + "}"))
    assert cli("secret", "orders", "dev", stdin=SECRET + "\n").status == 0


def test_fields_of_one_side_are_edited_and_the_other_stays(cli: CommandLine) -> None:
    registered(cli)
    dry = cli("edit", "orders", "--env", "prod", "--set", "database=shop", "--dry-run")
    assert 'prod.database: "postgres" -> "shop"' in dry.out
    assert "would be: 0 created, 1 updated" in dry.out
    before = cli("show", "orders", "-o", "json").json
    assert before["prod"]["database"] == "postgres"
    cli("edit", "orders", "-e", "prod", "--set", "address=[{host: db.example.com, port: 5433}]", "--why", "moved")
    cli("edit", "orders", "-e", "prod", "--set", "properties.connect_timeout=7", "--tag", "gold", "--description", "x")
    after = cli("show", "orders", "-o", "json").json
    assert after["prod"]["address"] == [{"host": "db.example.com", "port": 5433}]
    assert after["prod"]["properties"] == {"connect_timeout": "7"}
    assert (after["tags"], after["description"], after["dev"]) == (["gold"], "x", before["dev"])
    assert cli("edit", "orders", "-e", "prod", "--unset", "properties", "--untag", "gold").status == 0
    assert "properties" not in cli("show", "orders", "-o", "json").json["prod"]
    assert [one["why"] for one in cli("history", "orders", "-o", "json").json].count("moved") == 2


def test_what_cannot_be_edited_is_said(cli: CommandLine) -> None:
    registered(cli)
    cli("edit", "orders", "--set", "database=x").refused("two sides", "--env dev or --env prod")
    cli("edit", "orders", "-e", "prod", "--set", "databse=x").refused("databse", "database")
    cli("edit", "orders", "-e", "prod", "--set", "password=hunter2").refused("literal secret")
    cli("edit", "orders", "-e", "prod", "--set", "database").refused("says no value")
    cli("edit", "orders", "-e", "prod", "--unset", "nothing").refused("no 'nothing' to leave out")
    cli("edit", "orders", "--description", "x" * 3001).refused("3001 characters", "at most 3000")
    cli("edit", "orders", "-e", "dev", "--set", "address=[{host: other, port: 1}]").refused("give the secret again")


def test_a_stored_secret_that_is_unset_is_gone(cli: CommandLine) -> None:
    registered(cli)
    dry = cli("edit", "orders", "-e", "dev", "--unset", "password", "--dry-run")
    assert "dev.password: " in dry.out
    cli("edit", "orders", "-e", "dev", "--unset", "password", "--set", "address=[{host: 127.0.0.1, port: 3}]")
    assert "password" not in cli("show", "orders", "-o", "json").json["dev"]
    with closing(sqlite3.connect(cli.folder / "home" / "registry.db")) as registry:
        assert registry.execute("SELECT count(*) FROM secret").fetchone() == (0,)


def test_a_clone_has_everything_and_secrets_of_its_own(cli: CommandLine) -> None:
    registered(cli)
    cli("edit", "orders", "--tag", "gold", "--description", "book")
    assert cli("clone", "orders", "orders_copy").status == 0
    old, new = (cli("show", name, "-o", "json").json for name in ("orders", "orders_copy"))
    for one in (old, new):
        secret = one["dev"].pop("password")
        assert secret.startswith("stored:")
        one["secret"] = secret
    assert old.pop("secret") != new.pop("secret")
    made = ("name", "version", "creator", "created_at", "modifier", "modified_at")
    assert {key: old[key] for key in old if key not in made} == {key: new[key] for key in new if key not in made}
    with closing(sqlite3.connect(cli.environment["HEADWATER_HOME"] + "/registry.db")) as database:
        assert SECRET not in "".join(database.iterdump())
    cli("clone", "orders", "one_side", "-e", "prod")
    assert "dev" not in cli("show", "one_side", "-o", "json").json


def test_a_clone_opens_its_secret_when_the_first_is_gone(cli: CommandLine) -> None:
    registered(cli)
    cli("clone", "orders", "orders_copy")
    assert cli("delete", "orders", "--yes").status == 0
    told = cli("test", "orders_copy", "--env", "dev", "-o", "json").json[0]
    assert next(stage for stage in told["stages"] if stage["name"] == "credentials")["status"] == "passed"


def test_a_clone_that_cannot_be_is_refused(cli: CommandLine) -> None:
    registered(cli)
    cli("clone", "orders", "orders").refused("retail has a data source orders")
    cli("clone", "orders", "o" * 61).refused("60 are the most")
    cli("clone", "orders", "9x").refused("begins with '9'")
    cli("edit", "orders", "-e", "prod", "--set", "database=y")
    cli("clone", "orders", "x", "-e", "test").refused("no test", "dev, prod")
