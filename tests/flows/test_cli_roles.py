"""Roles on the command line: what each may reach, and what a refusal says."""

from __future__ import annotations

import pytest

from tests.flows.cli_support import CommandLine

SHOP = """\
version: 1
workspaces:
  - name: retail
    mode: standard
    members: [{user: dora, role: develop}, {user: vic, role: visitor}]
    data_sources:
      - name: orders
        type: postgresql
        prod: {address: [{host: 127.0.0.1, port: 1}], database: orders, username: app, password: "env:PW"}
  - {name: sales, mode: standard, members: [{user: sam, role: admin}]}
"""


@pytest.fixture
def shop(cli: CommandLine) -> CommandLine:
    cli.apply(SHOP)
    cli("member", "grant", "tina", "tenant_admin")
    cli("share", "orders", "--to", "sales", "--env", "prod", "--user", "zoe")
    return cli


def test_who_may_edit_but_not_look_edits(shop: CommandLine) -> None:
    as_tina = {"HEADWATER_ACTOR": "tina"}
    shop("show", "orders", **as_tina).refused(
        "tina may not look at a data source", "ask somebody with one of these roles"
    )
    assert shop("edit", "orders", "--description", "The order book", **as_tina).status == 0
    assert shop("permit", "orders", "x", "--why", "asked for", **as_tina).status == 0
    assert shop("secret", "orders", "prod", stdin="canary\n", **as_tina).status == 0
    shop("clone", "orders", "more", **as_tina).refused("tina may not clone a data source")


def test_an_export_holds_what_its_author_may_look_into(shop: CommandLine) -> None:
    mine = shop("export", HEADWATER_ACTOR="dora")
    assert mine.status == 0
    assert "name: orders" in mine.out
    assert "sales" not in mine.out
    assert "left out, as dora may not look into them: sales" in mine.err
    for arguments in (("export",), ("export", "-w", "retail"), ("export", "--to", "prefect")):
        shop(*arguments, HEADWATER_ACTOR="vic").refused("vic may not look at a data source")


def test_a_rule_for_one_user_is_ended_by_whoever_shares_there(shop: CommandLine) -> None:
    shop("share", "revoke", "sales/retail.orders", HEADWATER_ACTOR="dora").refused("dora may not share")
    assert "zoe" in shop("share", "list", "sales/retail.orders", HEADWATER_ACTOR="sam").out
    done = shop("share", "revoke", "sales/retail.orders", "--user", "zoe", HEADWATER_ACTOR="sam")
    assert "no longer shared with zoe in sales" in done.out


def test_where_the_secrets_of_a_shared_source_are_kept_is_not_told(shop: CommandLine) -> None:
    shop("share", "orders", "--to", "sales", "--env", "prod")
    as_sam = {"HEADWATER_ACTOR": "sam"}
    told = shop("test", "sales/retail.orders", "--timeout", "2", "-o", "json", "--explain", **as_sam)
    (verdict,) = told.json
    assert verdict["cause"] == "CONFIG.SECRET_UNRESOLVED"
    assert "headwater test retail/orders --env prod" in verdict["remedy"]
    assert "PW" not in told.out + told.err
    assert "PW" in shop("test", "orders", "--timeout", "2").out
    shop("clone", "sales/retail.orders", "mine", **as_sam).refused("it is shared by retail", "nothing else")
