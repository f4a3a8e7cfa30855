"""Rules of the documents that only a command or a form can show."""

from __future__ import annotations

import pytest

from registry.types import catalogue
from tests.flows.cli_support import CommandLine

SIDE = '{address: [{host: db, port: 5432}], database: orders, username: app, password: "env:X"}'


@pytest.fixture
def shop(cli: CommandLine) -> CommandLine:
    """A standard and a basic workspace with a source of each kind of completeness."""
    cli.apply(f"""
version: 1
workspaces:
  - name: retail
    mode: standard
    data_sources:
      - {{name: half, type: postgresql, description: of the shop, prod: {SIDE}}}
      - {{name: whole, type: postgresql, dev: {SIDE}, prod: {SIDE}}}
  - name: stock
    mode: basic
    data_sources:
      - {{name: items, type: postgresql, prod: {SIDE}}}
""")
    return cli


def test_a_source_with_production_alone_is_shown_as_incomplete_until_it_is_filled_in(shop: CommandLine) -> None:
    assert shop("list").out.splitlines() == [
        "retail/half\tpostgresql\tprod\t(no dev side: fill it in) of the shop",
        "stock/items\tpostgresql\tprod\t",
        "retail/whole\tpostgresql\tdev, prod\t",
    ]
    assert [shop("show", name, "-o", "json").json.get("missing") for name in ("half", "whole", "items")] == [
        ["dev"],
        None,
        None,
    ]


def test_what_another_workspace_shares_is_never_incomplete_there(shop: CommandLine) -> None:
    shop("share", "half", "--to", "stock", "--env", "prod")
    assert shop("list", "-w", "stock").out.splitlines()[-1] == (
        "stock/retail.half\tpostgresql\tprod\t(shared by retail) of the shop"
    )


@pytest.mark.parametrize(("change", "status"), [("name=other", 2), ("type=mysql", 2), ("env_type=Dev", 0)])
def test_name_type_and_environment_are_never_edited(shop: CommandLine, change: str, status: int) -> None:
    before = shop("show", "whole", "-o", "json").json
    assert shop("edit", "whole", "-e", "prod", "--set", change).status == status
    assert shop("show", "whole", "-o", "json").json == before
    shop("edit", "half", "-e", "dev", "--set", "database=x").refused("has no dev configuration")


def test_types_tell_what_each_type_is_for(shop: CommandLine) -> None:
    types = {one["name"]: one for one in shop("types", "-o", "json").json}
    assert types["paimon_catalog"]["kind"] == "metadata"
    assert {name: tuple(one["modules"]) for name, one in types.items()} == {
        name: type_.modules for name, type_ in catalogue().items()
    }
    assert types["redis"]["synchronization"]["batch_sync"] == "w"
    shown = shop("types").out
    assert "\nssh\tSSH\t22\t\tdata_studio\t\n" in shown
    assert "batch_sync rw, database_batch_sync r\n" in next(one for one in shown.splitlines(True) if one[:4] == "db2\t")


def test_the_form_advises_a_name_of_business_and_environment() -> None:
    from prefect.utilities.callables import parameter_schema

    from flows.create_data_source import create_data_source

    advice = parameter_schema(create_data_source).properties["name"]["description"]
    assert "business" in advice
    assert "environment" in advice
