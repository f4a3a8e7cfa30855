"""Allowlists: declared, enforced and written; networks declared and observed; two environments side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD
from tests.lab.topology import CANARIES, ECHO, VANTAGES, VPC_NAME_SERVER, Dead

pytestmark = pytest.mark.lab

UNREACHABLE, FINE = "Unreachable", "Connectable"


def entry(host: str, port: int, **changes: Any) -> dict[str, Any]:
    """An entry for `app` and the database `shop`."""
    return {"address": {"host": host, "port": port}, "database": "shop", "username": "app", "password": PASSWORD,
            **changes}  # fmt: skip


# -- declared lists ----------------------------------------------------------------------------------------------------


def test_a_declared_list_that_leaves_the_group_out(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    with lab.filter("drop", host, 5432):
        given = entry(host, 5432, allowlist=["10.77.1.0/24", "10.77.3.1-10.77.3.9"])
        verdict = lab.check("postgresql", given, timeout=2, vantage="serverless_nat")
    expect(verdict, "declared allowlist leaves the group out", code="ADMIT.ALLOWLIST", state=UNREACHABLE,
           component="10.77.20.0/24", remedy="10.77.20.0/24 (the CIDR of its vSwitch)", within=2.5)  # fmt: skip


def test_a_declared_list_that_lets_the_group_in(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    with lab.filter("drop", host, 5432):
        given = entry(host, 5432, allowlist="10.77.1.0/24,10.77.20.0/24")
        verdict = lab.check("postgresql", given, timeout=2, vantage="serverless_nat")
    expect(verdict, "declared allowlist lets the group in", code="FILTER.DROP", state=UNREACHABLE, within=2.5)


def test_a_dead_host_with_a_list_that_leaves_the_group_out(lab: Lab, expect: Expectation) -> None:
    given = entry(Dead.BLACKHOLE, 5432, allowlist=["10.1.0.0/16"])
    verdict = lab.check("postgresql", given, timeout=2)
    expect(verdict, "silence, and a declared allowlist without the group", code="INCONCLUSIVE", state=UNREACHABLE,
           alternatives=["ADMIT.ALLOWLIST", "FILTER.DROP", "HOST.DOWN"], remedy="10.77.1.2/32", within=2.5)  # fmt: skip


def test_a_host_on_link_that_is_down_is_no_matter_of_lists(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("postgresql", entry(Dead.ON_LINK, 5432, allowlist=["10.1.0.0/16"]), timeout=4)
    expect(verdict, "host down beside a declared allowlist", code="HOST.DOWN", state=UNREACHABLE, within=4.5)


def test_the_real_list_is_another_one(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql(hba=("host all all 10.77.3.0/24 scram-sha-256",))
    given = entry(server.v4, 5432, allowlist=["10.77.20.0/24"], properties={"sslmode": "disable"})
    verdict = lab.check("postgresql", given, vantage="serverless_nat")
    expect(verdict, "the server's list differs from the declared one", code="ADMIT.ALLOWLIST", state=UNREACHABLE,
           remedy="host shop app 10.77.20.0/24 scram-sha-256", within=1)  # fmt: skip
    assert "the list on the server is another one" in verdict.message


def test_a_list_for_everybody(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql()
    verdict = lab.check("postgresql", entry(server.v4, 5432, allowlist=["0.0.0.0/0"]))
    expect(verdict, "declared allowlist lets everybody in", code=None, state=FINE,
           warnings=["ADMIT.ALLOWLIST_TOO_WIDE"], within=1)  # fmt: skip


def test_a_list_that_leaves_out_whom_the_server_lets_in(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("postgresql", entry(lab.postgresql().v4, 5432, allowlist=["10.3.0.0/16"]))
    expect(verdict, "declared allowlist leaves out a group that logs in", code=None, state=FINE,
           warnings=["ADMIT.ALLOWLIST_DIFFERS"], within=1)  # fmt: skip


# -- declared networks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "redis"])
def test_the_server_sees_another_address_than_declared(lab: Lab, expect: Expectation, kind: str) -> None:
    server = {"postgresql": lab.postgresql, "mysql": lab.mariadb, "redis": lab.redis}[kind]()
    port = {"postgresql": 5432, "mysql": 3306, "redis": 6379}[kind]
    given = entry(server.host.public, port)
    if kind == "redis":
        given = {key: value for key, value in given.items() if key != "database"} | {"objects": ["orders:*"]}
    right = lab.check(kind, given, vantage="serverless_nat")
    assert "GROUP.NETWORK_DIFFERS" not in {one.code for one in right.warnings}
    assert right.connectable
    moved = {**VANTAGES["serverless_nat"].network, "nat_eips": ["25.77.99.9"]}
    wrong = lab.check(kind, given, vantage="serverless_nat", network=moved)
    expect(wrong, f"{kind} sees another address than the declared EIP", code=None, state=FINE,
           warnings=["GROUP.NETWORK_DIFFERS"], within=1)  # fmt: skip
    (told,) = (one.message for one in wrong.warnings if one.code == "GROUP.NETWORK_DIFFERS")
    assert "25.77.20.1" in told
    assert "25.77.99.9" in told


class Home:
    """A registry of its own for the command line at a vantage."""

    def __init__(self, lab: Lab, folder: Path, *vantages: str) -> None:
        self.lab = lab
        self.folder = folder
        self.groups = vantages
        self.env = {"HEADWATER_HOME": str(folder / "home"), "SECRET": PASSWORD}

    def declare(self, type_: str, dev: Mapping[str, Any], prod: Mapping[str, Any], **networks: Any) -> None:
        """A source `retail/shop` and the groups, as this machine with the networks of the vantages."""
        groups = [
            {"name": name, "kind": "local", "network": networks.get(name, VANTAGES[name].network)}
            for name in self.groups
        ]
        source = {"name": "shop", "type": type_, "dev": dict(dev), "prod": dict(prod)}
        for side in ("dev", "prod"):
            source[side] |= {"password": "env:SECRET"}
        workspace = {
            "name": "retail", "mode": "standard", "resource_groups": list(self.groups), "data_sources": [source],
        }  # fmt: skip
        path = self.folder / "retail.yaml"
        path.write_text(yaml.safe_dump({"version": 1, "resource_groups": groups, "workspaces": [workspace]}))
        done = self("apply", "-f", str(path))
        assert done[0] == 0, done

    def __call__(self, *arguments: str, vantage: str = "client") -> tuple[int, str, str]:
        done = self.lab.cli(arguments, vantage=vantage, env=self.env)
        assert PASSWORD not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr


def test_a_groups_network_as_declared_and_as_observed(lab: Lab, tmp_path: Path) -> None:
    home = Home(lab, tmp_path, "serverless_nat")
    network = {**VANTAGES["serverless_nat"].network, "echo_url": f"http://{ECHO[0]}:{ECHO[1]}/"}
    side = {"address": {"host": Dead.BLACKHOLE, "port": 5432}, "database": "shop", "username": "app"}
    home.declare("postgresql", side, side, serverless_nat=network)
    status, out, err = home("group", "check", "serverless_nat", "--output", "json", vantage="serverless_nat")
    facts = {one["name"]: one for one in json.loads(out)["facts"]}
    assert (status, [one["agrees"] for one in facts.values()]) == (0, [True] * 4), (out, err)
    assert facts["address at public servers"]["observed"] == ["25.77.20.1"]
    assert facts["name servers"]["observed"] == [VPC_NAME_SERVER]


@pytest.mark.parametrize(
    ("declared", "vantage", "told"),
    [
        ({"vswitch_cidrs": ["10.77.99.0/24"]}, "serverless_nat", "10.77.20.2 is not declared"),
        ({"nat_eips": ["25.77.99.9"]}, "serverless_nat", "25.77.20.1 is not declared"),
        ({"nat_eips": []}, "serverless_nat", "declared to have none"),
        ({"nat_eips": ["25.77.20.1"]}, "serverless", "look at the NAT gateway"),
        ({"dns_servers": ["10.77.99.53"]}, "serverless_nat", f"{VPC_NAME_SERVER} is asked and not declared"),
    ],
)
def test_what_disagrees_is_told(lab: Lab, tmp_path: Path, declared: dict[str, Any], vantage: str, told: str) -> None:
    home = Home(lab, tmp_path, vantage)
    network = {**VANTAGES[vantage].network, "echo_url": f"http://{ECHO[0]}:{ECHO[1]}/", **declared}
    side = {"address": {"host": Dead.BLACKHOLE, "port": 5432}, "database": "shop", "username": "app"}
    home.declare("postgresql", side, side, **{vantage: network})
    status, out, _ = home("group", "check", vantage, "--timeout", "2", vantage=vantage)
    assert status == 1
    assert told in out
    assert len(CANARIES) == 2


# -- what is printed is what is needed ---------------------------------------------------------------------------------


def test_the_printed_lines_let_a_group_into_postgresql(lab: Lab, tmp_path: Path) -> None:
    server = lab.postgresql(own="allowlist", hba=("host all all 10.77.3.0/24 scram-sha-256",))
    given = {"address": {"host": server.v4, "port": 5432}, "database": "shop", "username": "app"}
    home = Home(lab, tmp_path, "exclusive")
    home.declare("postgresql", given, given)
    assert home("test", "shop", "--env", "prod", vantage="exclusive")[0] == 1
    status, lines, _ = home("allowlist", "shop", "--env", "prod")
    assert (status, lines) == (0, "host shop app 10.77.22.0/24 scram-sha-256\n")
    with (server.data / "pg_hba.conf").open("a") as hba:
        hba.write(lines)
    server.sql("SELECT pg_reload_conf()")
    status, out, _ = home("test", "shop", "--env", "prod", vantage="exclusive")
    assert status == 0, out


def test_a_dual_stack_server_lets_in_both_families(lab: Lab, tmp_path: Path) -> None:
    server = lab.postgresql()
    name = lab.name("dualstack", server.v4, server.host.v6)
    side = {"address": {"host": name, "port": 5432}, "database": "shop", "username": "app"}
    home = Home(lab, tmp_path, "client")
    home.declare("postgresql", side, side, client={})
    assert home("test", "shop", "--env", "prod")[0] == 0
    status, lines, err = home("allowlist", "shop", "--env", "prod", "--form", "plain")
    assert status == 0, err
    assert sorted(":" in line for line in lines.split()) == [False, True], lines
    assert "10.77.1.2" in lines


def test_the_printed_account_lets_a_group_into_mariadb(lab: Lab, expect: Expectation, tmp_path: Path) -> None:
    server = lab.mariadb()
    given = {"address": {"host": server.v4, "port": 3306}, "database": "shop", "username": "somebody"}
    home = Home(lab, tmp_path, "exclusive")
    home.declare("mysql", given, given)
    status, lines, _ = home("allowlist", "shop", "--env", "prod")
    assert status == 0
    server.sql(lines.replace("'...'", f"'{PASSWORD}'"))
    verdict = lab.check("mysql", {**given, "password": PASSWORD}, vantage="exclusive")
    expect(verdict, "account made for the group's vSwitch", code=None, state=FINE, within=1)
    other = lab.check("mysql", {**given, "password": PASSWORD}, vantage="client")
    assert not other.connectable


# -- side by side ------------------------------------------------------------------------------------------------------


def test_two_mariadb_databases_side_by_side(lab: Lab, tmp_path: Path) -> None:
    server = lab.mariadb(own="compare")
    lines = "CREATE TABLE {0}.lines (id INT NOT NULL PRIMARY KEY, total {1}, updated_at DATETIME, INDEX (updated_at))"
    server.sql(
        "CREATE DATABASE dev_side",
        "CREATE DATABASE prod_side",
        lines.format("dev_side", "DECIMAL(10,2)"),
        lines.format("prod_side", "VARCHAR(20)"),
        "INSERT INTO dev_side.lines VALUES (1, 2.5, '2026-01-02 03:04:05'), (2, 2.5, NULL)",
        "GRANT SELECT, INSERT ON dev_side.* TO app@'%'",
        "GRANT SELECT ON prod_side.* TO app@'%'",
    )
    given = {"address": {"host": server.v4, "port": 3306}, "username": "app", "objects": ["lines"]}
    home = Home(lab, tmp_path, "client")
    home.declare("mysql", {**given, "database": "dev_side"}, {**given, "database": "prod_side"})
    status, out, err = home("compare", "shop", "--count", "--output", "json")
    found = json.loads(out)
    assert status == 1, (out, err)
    told = {(one["aspect"], one["subject"]): (one["dev"], one["prod"]) for one in found["differences"]}
    assert told["column", "lines.total"] == ("decimal(10,2)", "varchar(20)")
    assert told["privilege", "lines"] == ("INSERT, SELECT", "SELECT")
    assert told["rows", "lines"] == ("2 rows", "0 rows")
    assert told["fresh", "lines.updated_at"] == ("2026-01-02 03:04:05", "nothing")
    assert found["explanations"][0].startswith("lines.total is decimal(10,2) in dev and varchar(20) in prod")
    assert "MariaDB" in found["surveys"]["dev"]["settings"]["version"]


def test_a_table_that_is_in_another_mariadb_database(lab: Lab, tmp_path: Path) -> None:
    server = lab.mariadb()
    server.sql("CREATE DATABASE IF NOT EXISTS hollow", "GRANT SELECT ON hollow.* TO app@'%'")
    given = {"address": {"host": server.v4, "port": 3306}, "username": "app", "objects": ["orders"]}
    home = Home(lab, tmp_path, "client")
    home.declare("mysql", {**given, "database": "shop"}, {**given, "database": "hollow"})
    status, out, _ = home("compare", "shop")
    assert status == 1
    assert "prod fails because orders is not where the account looks for it" in out
    assert "shop" in out


def test_two_redis_servers_side_by_side(lab: Lab, tmp_path: Path) -> None:
    dev, prod = lab.redis(), lab.redis(own="compare", options={"maxmemory-policy": "allkeys-lru"})
    dev.command("SET", "orders:77", "x")
    prod.command("DEL", "orders:1")
    home = Home(lab, tmp_path, "client")
    sides = [{"address": {"host": one.v4, "port": 6379}, "objects": ["orders:77"]} for one in (dev, prod)]
    home.declare("redis", *sides)
    status, out, err = home("compare", "shop", "--output", "json")
    found = json.loads(out)
    told = {one["subject"]: (one["dev"], one["prod"]) for one in found["differences"] if one["matters"]}
    assert status == 1, (out, err)
    assert told["maxmemory_policy"] == ("noeviction", "allkeys-lru")
    assert told["orders:77"] == ("string", "missing")
    assert any("prod fails because orders:77" in text for text in found["explanations"])


def test_two_services_side_by_side(lab: Lab, tmp_path: Path) -> None:
    dev = lab.http(config="location = /list { default_type application/json; return 200 '[]'; }")
    prod = lab.http(config="location = /list { return 410; }")
    home = Home(lab, tmp_path, "client")
    sides = [{"url": one.url("/").rstrip("/"), "objects": ["list"]} for one in (dev, prod)]
    home.declare("restapi", *sides)
    status, out, err = home("compare", "shop", "--output", "json")
    found = json.loads(out)
    told = {one["subject"]: (one["dev"], one["prod"]) for one in found["differences"] if one["matters"]}
    assert status == 1, (out, err)
    assert told == {"list": ("application/json", "missing")}


@pytest.mark.parametrize("kind", ["ftp", "sftp"])
def test_two_file_servers_side_by_side(lab: Lab, tmp_path: Path, kind: str) -> None:
    server = lab.ftp() if kind == "ftp" else lab.sftp()
    home = Home(lab, tmp_path, "client")
    side = {"host": server.v4, "port": 21 if kind == "ftp" else 22, "protocol": kind, "username": "app"}
    home.declare("ftp", {**side, "objects": ["orders"]}, {**side, "objects": ["nothing_there"]})
    status, out, err = home("compare", "shop", "--output", "json")
    found = json.loads(out)
    assert status == 1, (out, err)
    for env in ("dev", "prod"):
        there = {one["name"]: (one["exists"], one["kind"]) for one in found["surveys"][env]["objects"]}
        assert there == {"orders": (True, "directory"), "nothing_there": (False, "")}
