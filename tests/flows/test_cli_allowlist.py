"""`headwater allowlist`: what a server must let in, for every group."""

from __future__ import annotations

import json

import pytest

from tests.flows.cli_support import CommandLine

GROUPS = """
version: 1
resource_groups:
  - name: vpc_a
    kind: local
    network: {type: serverless, vswitch_cidrs: [10.77.1.0/24], nat_eips: [8.8.8.1, 8.8.8.2]}
  - name: own_eip
    kind: local
    network: {type: exclusive, vswitch_cidrs: [10.77.0.0/23], eips: ["2001:4860::9"], published_cidrs: [100.64.0.0/24]}
  - {name: bare, kind: local}
workspaces:
  - name: retail
    mode: standard
    resource_groups: [%s]
    data_sources:
      - name: orders
        type: postgresql
        dev: {address: [{host: 10.9.0.5, port: 5432}], database: orders_dev, username: app}
        prod:
          address: [{host: 9.9.9.9, port: 6432}]
          database: orders
          username: app
          properties: {sslmode: verify-full}
      - name: shop
        type: mysql
        prod: {address: [{host: 10.9.0.6, port: 3306}], database: shop, username: app}
      - name: named
        type: redis
        prod: {region_id: cn-hangzhou, instance_id: r-bp1example}
"""


@pytest.fixture
def declared(cli: CommandLine) -> CommandLine:
    cli.apply(GROUPS % "vpc_a, own_eip")
    return cli


def test_what_to_let_in_depends_on_where_the_server_is(declared: CommandLine) -> None:
    dev = declared("allowlist", "retail/orders", "--env", "dev")
    assert (dev.status, dev.out.splitlines()) == (0, [
        "host orders_dev app 10.77.0.0/23 scram-sha-256",
        "host orders_dev app 100.64.0.0/24 scram-sha-256",
    ])  # fmt: skip
    assert "vpc_a  internal  10.77.1.0/24: the CIDR of its vSwitch" in dev.err
    prod = declared("allowlist", "orders", "--env", "prod", "--no-platform")
    assert (prod.status, prod.out.splitlines()) == (0, [
        "hostssl orders app 8.8.8.1/32 scram-sha-256",
        "hostssl orders app 8.8.8.2/32 scram-sha-256",
        "hostssl orders app 2001:4860::9/128 scram-sha-256",
    ])  # fmt: skip


def test_both_environments_at_once(declared: CommandLine) -> None:
    done = declared("allowlist", "orders", "--output", "json")
    assert [one["env"] for one in done.json["environments"]] == ["dev", "prod"]
    assert {group["scope"] for group in done.json["environments"][1]["groups"]} == {"public"}


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("plain", "10.77.0.0/23"),
        ("rds", "10.77.0.0/23,100.64.0.0/24"),
        ("mysql", "CREATE USER 'app'@'10.77.0.0/255.255.254.0' IDENTIFIED BY '...';"),
        ("nftables", "add rule inet filter input ip saddr { 10.77.0.0/23, 100.64.0.0/24 } tcp dport 3306 accept"),
    ],
)
def test_any_form_may_be_asked_for(declared: CommandLine, form: str, line: str) -> None:
    done = declared("allowlist", "shop", "--form", form)
    assert done.status == 0
    assert done.out.startswith(line)


def test_a_security_group_rule_is_json(declared: CommandLine) -> None:
    done = declared("allowlist", "shop", "--form", "security-group")
    assert json.loads(done.out)["aws"]["IpPermissions"][0]["FromPort"] == 3306


def test_an_address_that_is_not_known_here_may_be_either(declared: CommandLine) -> None:
    done = declared("allowlist", "named")
    assert done.out == "8.8.8.1,8.8.8.2,10.77.0.0/23,100.64.0.0/24,2001:4860::9\n"
    assert "internal?" in done.err
    assert "public?" in done.err


def test_what_is_not_declared_is_asked_for(cli: CommandLine) -> None:
    cli.apply(GROUPS % "bare, vpc_a")
    done = cli("allowlist", "orders", "--env", "dev")
    assert (done.status, done.out) == (1, "host orders_dev app 10.77.1.0/24 scram-sha-256\n")
    assert "bare  internal  declare network.vswitch_cidrs" in done.err


def test_a_source_without_groups_has_nobody_to_let_in(cli: CommandLine) -> None:
    cli.apply(GROUPS % "")
    cli("allowlist", "orders").refused("no resource group is bound to retail", "resource_groups")


def test_the_workspace_may_be_an_option(declared: CommandLine) -> None:
    assert declared("allowlist", "shop", "--workspace", "retail").out == declared("allowlist", "retail/shop").out
    declared("allowlist", "retail/shop", "-w", "sales").refused("workspace retail", "--workspace says sales")
    declared("secret", "shop", "prod", "-w", "sales").refused("sales")


def test_an_unknown_source_is_refused(declared: CommandLine) -> None:
    declared("allowlist", "ordres").refused("ordres", "orders")
