"""`headwater import`, as a user sees it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.flows.cli_support import CommandLine

EXAMPLES = Path(__file__).parents[1] / "data" / "importing"
RETAIL = "version: 1\nworkspaces: [{name: retail, mode: standard, resource_groups: [local]}]"


def prepared(cli: CommandLine, *names: str) -> None:
    cli.apply(RETAIL)
    for name in names:
        shutil.copy(EXAMPLES / name, cli.folder)


def test_passwords_become_variables_that_are_named(cli: CommandLine) -> None:
    prepared(cli, "airflow.yaml")
    done = cli("import", "airflow.yaml", "-w", "retail")
    assert done.status == 0
    assert "+ data_source:retail/shop" in done.out
    assert "  export SHOP_PROD_PASSWORD=..." in done.out
    assert "canary" not in done.out + done.err
    assert cli("show", "shop", "-o", "json").json["prod"]["password"] == "env:SHOP_PROD_PASSWORD"


def test_faults_are_told_with_their_place_and_the_rest_goes_in_when_asked(cli: CommandLine) -> None:
    prepared(cli, "airflow.json")
    cli("import", "airflow.json", "-w", "retail").refused("airflow.json:23:3: lake", "aws", "--skip-faulty")
    dry = cli("import", "airflow.json", "-w", "retail", "--skip-faulty", "--dry-run", "-o", "json").json
    assert dry["dry_run"]
    assert [one["where"] for one in dry["skipped"]] == ["airflow.json:23:3: lake"]
    assert len(dry["changes"]) == 4
    assert cli("list").out == ""
    stored = cli("import", "airflow.json", "-w", "retail", "--skip-faulty", "--secrets", "store")
    assert stored.status == 0
    assert "export" not in stored.out
    assert "IMPORT.SKIPPED" in stored.err
    assert "canary" not in stored.out + stored.err
    assert cli("show", "orders_db", "-o", "json").json["prod"]["password"].startswith("stored:")


def test_standard_input_and_what_cannot_be(cli: CommandLine) -> None:
    prepared(cli)
    done = cli("import", "-", "-w", "retail", "--format", "dbt", stdin=(EXAMPLES / "profiles.yml").read_text())
    assert done.status == 0
    assert "+ data_source:retail/ledger" in done.out
    cli("import", "-", "-w", "retial", stdin="{}").refused("retial", "retail")
    cli("import", "-", "-w", "retail", stdin="{").refused("<stdin>")
    cli("import", "-", "-w", "retail", stdin="a: 1").refused("no export that is known", "--format")
    cli("import", "nothing.json", "-w", "retail").refused("nothing.json")
