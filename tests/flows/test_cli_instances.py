"""Instance mode and the network audit, as typed at a prompt."""

from __future__ import annotations

import json

import pytest

from scripts.embedded_postgresql import EmbeddedPostgresql
from tests.flows.cli_support import PASSWORD_VARIABLE, CommandLine

SOURCES = """\
version: 1
resource_groups:
  - name: local
    kind: local
    network: {type: serverless, cloud: inventory, region_id: cn-hangzhou, vpc_id: vpc-tasks, vswitch_id: vsw-tasks,
              vswitch_cidrs: [10.1.0.0/24]}
workspaces:
  - name: retail
    resource_groups: [local]
    data_sources:
      - name: orders
        type: postgresql
        prod: {region_id: cn-hangzhou, instance_id: pgm-bp1example, database: postgres, username: postgres,
               password: "env:ORDERS_PASSWORD", properties: {sslmode: disable}}
      - name: abroad
        type: postgresql
        prod: {region_id: cn-hangzhou, instance_id: pgm-bp1public, database: postgres, username: postgres}
      - name: typo
        type: postgresql
        prod: {region_id: cn-hangzhou, instance_id: pgm-bp1typo, database: postgres, username: postgres,
               cloud: inventory}
"""
INVENTORY = {
    "version": 1,
    "instances": [
        {
            "region_id": "cn-hangzhou",
            "instance_id": "pgm-bp1example",
            "endpoints": [{"host": "127.0.0.1", "port": 0}],
            "allowlist": ["10.1.0.0/24", "127.0.0.1"],
            "vpc_id": "vpc-tasks",
        },
        {
            "region_id": "cn-hangzhou",
            "instance_id": "pgm-bp1public",
            "endpoints": [{"host": "47.96.0.10", "port": 5432, "public": True}],
            "allowlist": ["10.1.0.0/24"],
        },
    ],
    "networks": [
        {
            "vpc_id": "vpc-tasks",
            "vswitches": [{"id": "vsw-tasks", "cidr": "10.1.0.0/24"}],
            "nat_gateways": [{"id": "ngw-1"}],
            "snat_entries": [
                {"id": "snat-1", "nat_gateway": "ngw-1", "vswitch_id": "vsw-tasks", "addresses": ["47.97.0.1"]}
            ],
            "eips": [{"address": "47.97.0.1", "bound_to": "ngw-1"}],
        }
    ],
}


@pytest.fixture
def managed(cli: CommandLine, postgresql: EmbeddedPostgresql) -> CommandLine:
    """The command line with sources by instance id, and an inventory in its home."""
    cli.environment[PASSWORD_VARIABLE] = postgresql.password
    document = json.loads(json.dumps(INVENTORY))
    document["instances"][0]["endpoints"][0]["port"] = postgresql.port
    (cli.home / "inventory.yaml").write_text(json.dumps(document))
    cli.apply(SOURCES)
    return cli


def _without_nat(cli: CommandLine) -> None:
    document = json.loads((cli.home / "inventory.yaml").read_text())
    document["networks"][0] |= {"nat_gateways": [], "snat_entries": [], "eips": []}
    (cli.home / "inventory.yaml").write_text(json.dumps(document))


def test_an_instance_id_leads_to_a_server_that_is_connectable(managed: CommandLine) -> None:
    done = managed("test", "orders", "-o", "json")
    assert done.status == 0, done
    (verdict,) = done.json
    located = next(stage for stage in verdict["stages"] if stage["name"] == "instance")
    assert (verdict["state"], located["status"]) == ("Connectable", "passed")
    assert located["evidence"]["cloud"] == "inventory"


def test_an_instance_that_the_inventory_does_not_know(managed: CommandLine) -> None:
    done = managed("test", "typo", "-o", "json")
    assert (done.status, done.json[0]["cause"]) == (1, "INSTANCE.NOT_FOUND")


def test_the_audit_of_a_way_out_that_is_complete(managed: CommandLine) -> None:
    done = managed("group", "audit", "local", "-o", "json")
    assert done.status == 0, done
    (way,) = done.json["ways"]
    assert {one["rule"]: one["status"] for one in way["requirements"]} == {
        "nat_gateway": "met", "snat_entry": "met", "eip": "met",
    }  # fmt: skip


def test_the_audit_says_which_address_the_allowlist_lacks(managed: CommandLine) -> None:
    done = managed("group", "audit", "local", "abroad", "-o", "json")
    assert done.status == 1, done
    lacking = [one for way in done.json["ways"] for one in way["requirements"] if one["status"] == "missing"]
    assert [(one["rule"], one["value"]) for one in lacking] == [("allowlist_eip", "47.97.0.1")]
    assert done.json["ways"][1]["about"] == "abroad/prod 47.96.0.10:5432"


def test_the_audit_names_the_missing_part_of_the_way_out(managed: CommandLine) -> None:
    _without_nat(managed)
    done = managed("group", "audit", "local", "retail/abroad")
    assert done.status == 1, done
    assert "the VPC vpc-tasks has no Internet NAT gateway" in done.out
    assert "Create an Internet NAT gateway in vpc-tasks (cn-hangzhou)" in done.out


def test_a_private_target_is_asked_for_no_nat(managed: CommandLine) -> None:
    _without_nat(managed)
    ways = managed("group", "audit", "local", "orders", "-o", "json").json["ways"]
    private = next(way for way in ways if way["about"].startswith("orders"))
    assert {one["rule"]: one["status"] for one in private["requirements"]} == {
        "route": "met", "allowlist_vswitch": "met", "allowlist_narrow": "met",
    }  # fmt: skip


def test_the_audit_of_a_source_that_cannot_be_found_says_why(managed: CommandLine) -> None:
    done = managed("group", "audit", "local", "typo")
    assert "INSTANCE.NOT_FOUND" in done.out
    assert "pgm-bp1typo" in done.out


def test_the_audit_of_a_group_without_a_declared_vpc_says_what_to_declare(cli: CommandLine) -> None:
    cli.apply("version: 1\nresource_groups: [{name: bare, kind: local, network: {type: serverless}}]\n")
    done = cli("group", "audit", "bare")
    assert done.status == 0, done
    assert "network.vpc_id" in done.out or "vpc_id" in done.out


def test_an_unknown_group_or_source_is_refused(managed: CommandLine) -> None:
    managed("group", "audit", "nowhere").refused("no resource group 'nowhere'")
    managed("group", "audit", "local", "nothing").refused("nothing")
