"""Many data sources at once: made from a sheet, and tested by name and by filter."""

from __future__ import annotations

import json

import pytest

from tests.flows.cli_support import CommandLine

RETAIL = "version: 1\nworkspaces: [{name: retail, mode: standard, resource_groups: [local]}]"
SHEET = """type,name,tags,env,url,username
postgresql,orders,gold,prod,postgresql://127.0.0.1:2/orders,app
postgresql,stock,gold;slow,prod,postgresql://127.0.0.1:2/stock,app
mysql,shop,gold,prod,mysql://127.0.0.1:2/shop,app
"""


def prepared(cli: CommandLine) -> None:
    cli.apply(RETAIL)
    cli.write("s.csv", SHEET)
    done = cli("source", "add-many", "s.csv", "-w", "retail", "--why", "moving in")
    assert done.status == 0, done
    assert "3 created" in done.out


def test_a_sheet_goes_in_whole_or_not_at_all(cli: CommandLine) -> None:
    cli.apply(RETAIL)
    cli.write("s.csv", SHEET + "mysql,b d,,prod,mysql://127.0.0.1/d,app\n")
    cli("source", "add-many", "s.csv", "-w", "retail").refused("s.csv:5:2: name", "not allowed")
    assert cli("list").out == ""
    cli.write("s.csv", SHEET)
    dry = cli("source", "add-many", "s.csv", "-w", "retail", "--dry-run", "-o", "json").json
    assert [one["object"] for one in dry["changes"]] == [
        "data_source:retail/orders",
        "data_source:retail/stock",
        "data_source:retail/shop",
    ]
    assert cli("list").out == ""


def test_a_template_is_filled_in_and_goes_in(cli: CommandLine) -> None:
    cli.apply(RETAIL)
    sheet = cli("source", "template", "postgres")
    assert sheet.out.startswith("type,name,description,tags,env,url,username,password\npostgresql,orders,")
    assert cli("source", "add-many", "-", "-w", "retail", stdin=sheet.out).status == 0
    cli("source", "template", "postgrs").refused("unknown data source type", "postgres")


@pytest.mark.parametrize(
    ("arguments", "tested"),
    [
        (["orders", "retail/shop"], {"orders", "shop"}),
        (["orders", "orders", "retail/orders"], {"orders"}),
        (["--tag", "gold", "--type", "postgresql"], {"orders", "stock"}),
        (["--tag", "gold", "--tag", "slow"], {"stock"}),
        (["--type", "mysql", "--type", "postgres"], {"orders", "stock", "shop"}),
        (["shop", "stock", "--tag", "slow"], {"stock"}),
    ],
    ids=lambda words: " ".join(sorted(words)),
)
def test_several_are_tested_in_one_call(cli: CommandLine, arguments: list[str], tested: set[str]) -> None:
    prepared(cli)
    done = cli("test", *arguments, "-o", "jsonl")
    verdicts = [json.loads(line) for line in done.out.splitlines()]
    assert {one["source"] for one in verdicts} == tested, done
    assert len(verdicts) == len(tested)


def test_what_no_source_answers_to_is_told(cli: CommandLine) -> None:
    prepared(cli)
    cli("test", "orders", "nothing").refused("nothing")
    cli("test", "--tag", "silver").refused("no data source passes the filters")
    cli("test", "--type", "mysqll").refused("unknown data source type", "mysql")
    cli("test", "retail/orders", "-w", "other").refused("SOURCE is of workspace retail, --workspace says other")
    cli("test", "--url", "mysql://h/d", "--tag", "gold").refused("--tag: leave out with --url")
