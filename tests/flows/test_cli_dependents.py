"""`headwater dependents`, as a user sees it: finding them, what hangs on a source, and what could not be read."""

from __future__ import annotations

import json

import pytest

from tests.flows.cli_support import CommandLine, source, workspace

SPEC = {
    "version": "1.1.0",
    "kind": "Node",
    "spec": {
        "nodes": [
            {
                "id": "71",
                "name": "daily_orders",
                "owner": "wang",
                "script": {"path": "daily", "runtime": {"command": "ODPS_SQL"}, "content": "SELECT 1"},
                "datasource": {"name": "orders", "type": ""},
            },
            {
                "id": "72",
                "name": "lost",
                "script": {"path": "lost", "runtime": {"command": "ODPS_SQL"}, "content": "SELECT 1"},
                "datasource": {"name": "nowhere", "type": "odps"},
            },
        ]
    },
}
REGISTRATIONS = """
dependents:
  - name: orders_by_day   # asked by the shop
    module: data_service
    source: orders
    objects: [orders]
    owner: li
  - name: orders_are_paid
    module: data_quality
    source: orders
    last_run_at: "2026-05-04T03:02:00+00:00"
  - name: month_end
    module: data_analysis
    references:
      - {source: orders, objects: [orders]}
      - {source: retail/lines}
"""


@pytest.fixture
def shop(cli: CommandLine) -> CommandLine:
    """A workspace with two sources, and files that use them."""
    cli.apply(workspace(source("orders"), source("lines")))
    (cli.folder / "specs").mkdir()
    cli.write("specs/node.json", json.dumps(SPEC))
    cli.write("registered.yaml", REGISTRATIONS)
    return cli


def test_a_scan_keeps_what_it_finds_and_tells_names_that_mean_nothing(shop: CommandLine) -> None:
    scanned = shop("dependents", "scan", "specs", "--why", "nightly")
    assert (scanned.status, scanned.out) == (1, "new\t2\nchanged\t0\nunchanged\t0\ngone\t0\n")
    assert "no data source nowhere: lost names it at" in scanned.err
    assert "/specs/node.json /spec/nodes/1/datasource/name" in scanned.err
    shown = shop("dependents", "orders", "-o", "json").json
    assert shown["summary"]["dependents"] == 1
    (use,) = shown["dependents"]
    assert (use["name"], use["owner"], use["env"]) == ("daily_orders", "wang", "prod")
    assert use["places"][0]["pointer"] == "/spec/nodes/0/datasource/name"


def test_a_file_that_cannot_be_read_is_told_with_its_place_and_keeps_what_was_known_of_it(shop: CommandLine) -> None:
    shop("dependents", "scan", "specs")
    shop.write("specs/node.json", json.dumps(SPEC)[:-30])
    broken = shop("dependents", "scan", "specs", "-o", "json")
    assert broken.status == 1
    (unread,) = broken.json["unread"]
    assert unread["unit"].endswith("/specs/node.json")
    assert unread["pointer"].startswith("1:")
    assert shop("dependents", "orders", "-o", "json").json["summary"]["dependents"] == 1
    (shop.folder / "specs/node.json").unlink()
    assert shop("dependents", "scan", "specs", "-o", "json").json["gone"] == 2
    assert shop("dependents", "orders", "-o", "json").json["summary"]["dependents"] == 0


def test_rules_apis_and_queries_are_registered_from_a_file(shop: CommandLine) -> None:
    done = shop("dependents", "register", "registered.yaml")
    assert (done.status, done.out.splitlines()[0]) == (0, "new\t3")
    told = shop("dependents", "orders")
    assert told.out.startswith("retail/orders: 3 dependents, 3 references\n")
    for line in ("module\tdata_quality\t1", "risk\tmedium\t2", "owner\t(not known)\t2", "last run\t2026-05-04 03:02\t"):
        assert line in told.out.splitlines()
    assert "orders_by_day\tdata_service\tprod\tapi\tretail\tli\thigh\tnever\t" in told.out
    narrowed = shop("dependents", "orders", "--module", "data_analysis", "-o", "json").json["dependents"]
    assert [(use["name"], use["role"], use["objects"]) for use in narrowed] == [("month_end", "query", ["orders"])]


def test_one_is_registered_by_its_options_and_kept_in_the_home(shop: CommandLine) -> None:
    one = ("dependents", "register", "--source", "orders", "--module", "data_service", "--object", "orders")
    assert shop(*one, "--name", "lookup", "--owner", "li").status == 0
    assert shop(*one, "--name", "search").status == 0
    uses = shop("dependents", "orders", "-o", "json").json["dependents"]
    assert [(use["name"], use["owner"]) for use in uses] == [("lookup", "li"), ("search", "")]
    assert (shop.home / "registered/retail.yaml").read_text().count("name:") == 2
    twice = shop(*one, "--name", "search")
    assert twice.status == 1
    assert "search is written down twice" in twice.err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{name: a, source: orders}", "/dependents/0: module is missing"),
        ("{name: a, module: data_sevice, source: orders}", "/dependents/0/module: data_sevice is no module"),
        ("{name: a, module: data_service}", "/dependents/0: source is missing"),
        ("{name: a, module: data_service, source: orders, tables: [x]}", "tables means nothing here"),
        ("{name: a, module: data_service, source: orders, env: test}", "test is no environment"),
        ("{name: a, module: data_service, source: orders, last_run_at: '2026-05-04'}", "/dependents/0/last_run_at"),
        ("{name: a, module: data_service, source: orders, references: []}", "not both"),
        ("just words", "it is no mapping"),
    ],
)
def test_a_bad_registration_is_told_with_its_place_and_the_others_are_kept(
    shop: CommandLine, line: str, told: str
) -> None:
    shop.write("bad.yaml", f"dependents:\n  - {line}\n  - {{name: good, module: data_service, source: orders}}\n")
    done = shop("dependents", "register", "bad.yaml")
    assert done.status == 1
    assert told in done.err
    assert done.out.startswith("new\t1\n")


def test_scanning_and_showing_in_one_go(shop: CommandLine) -> None:
    shown = shop("dependents", "retail/orders", "--scan", "registered.yaml", "--adapter", "registered", "-o", "json")
    assert (shown.status, shown.json["summary"]["dependents"]) == (0, 3)


def test_a_list_that_goes_on_says_so_and_is_narrowed_by_risk(shop: CommandLine) -> None:
    shop("dependents", "register", "registered.yaml")
    first = shop("dependents", "orders", "--limit", "2", "-o", "json")
    assert (len(first.json["dependents"]), first.json["more"]) == (2, True)
    assert "--limit lists more" in first.err
    medium = shop("dependents", "orders", "--risk", "medium", "-o", "json").json
    assert ([use["name"] for use in medium["dependents"]], medium["more"]) == (["orders_are_paid", "month_end"], False)


def test_a_filter_that_fits_nothing_says_what_would(shop: CommandLine) -> None:
    shop("dependents", "register", "registered.yaml")
    shop("dependents", "orders", "--module", "data_sevice").refused("did you mean data_service?")
    shop("dependents", "orders", "--env", "test").refused("there are dev, prod")
    shop("dependents", "orders", "--risk", "grave").refused("there are high, medium, low")
    stranger = shop("dependents", "orders", "--owner", "lii", "--in", "finance")
    assert stranger.status == 0
    assert "nothing of owner 'lii' hangs on retail/orders: there is (not known), li" in stranger.err
    assert "nothing of workspace 'finance' hangs on retail/orders: there is retail" in stranger.err


def test_wrong_usage_says_what_to_type(shop: CommandLine) -> None:
    shop("dependents", "scan", "specs", "--adapter", "flowspecs").refused("did you mean flowspec?", "registered")
    shop("dependents", "scan", "nothing").refused("there is no such file or folder")
    shop("dependents", "register").refused("headwater dependents register FILE")
    shop("dependents", "scan", "specs", "--option", "env").refused("write NAME=VALUE")
    shop("dependents", "ordres").refused("did you mean retail/orders?")
    assert "flowspec\t" in shop("dependents", "adapters").out


def test_what_hangs_on_a_shared_source_is_told_where_it_belongs(shop: CommandLine) -> None:
    shop.apply("version: 1\nworkspaces: [{name: finance, mode: standard}]\n")
    assert shop("share", "retail/orders", "--to", "finance", "--env", "prod").status == 0
    shop("dependents", "finance/retail.orders").refused("headwater dependents retail/orders")
