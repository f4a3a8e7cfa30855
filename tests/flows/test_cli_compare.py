"""`headwater compare`: dev succeeds, prod fails, and why; on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import yaml

from scripts.embedded_postgresql import EmbeddedPostgresql
from tests.flows.cli_support import PASSWORD_VARIABLE, CommandLine, Outcome
from tests.stopwatch import Stopwatch

DEV = """
CREATE TABLE orders (id int PRIMARY KEY, total numeric(10,2) NOT NULL, updated_at timestamptz DEFAULT now());
CREATE INDEX ON orders (updated_at);
INSERT INTO orders SELECT n, n FROM generate_series(1, 30) n;
CREATE TABLE lines (id int);
"""


@contextmanager
def _session(server: EmbeddedPostgresql, database: str = "postgres") -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        host="127.0.0.1", port=server.port, user="postgres", password=server.password, dbname=database, autocommit=True
    ) as session:
        yield session


@pytest.fixture
def shop(cli: CommandLine, postgresql: EmbeddedPostgresql) -> Iterator[Shop]:
    with _session(postgresql) as session:
        for name in ("shop_dev", "shop_prod"):
            session.execute(f"CREATE DATABASE {name}")
    try:
        yield Shop(cli, postgresql)
    finally:
        with _session(postgresql) as session:
            for name in ("shop_dev", "shop_prod"):
                session.execute(f"DROP DATABASE {name} WITH (FORCE)")
            session.execute("DROP ROLE IF EXISTS reader")


class Shop:
    """A source `retail/shop` whose two sides are two databases of one server."""

    def __init__(self, cli: CommandLine, server: EmbeddedPostgresql) -> None:
        self.cli = cli
        self.server = server
        cli.environment[PASSWORD_VARIABLE] = server.password

    def sql(self, database: str, text: str) -> None:
        with _session(self.server, database) as session:
            session.execute(text)

    def compare(self, *options: str, **prod: Any) -> Outcome:
        self.declare(**prod)
        return self.cli("compare", "retail/shop", *options)

    def declare(self, **prod: Any) -> None:
        side = {"username": "postgres", "password": f"env:{PASSWORD_VARIABLE}", "port": self.server.port}
        side |= {"objects": "[orders, lines]", **prod}
        self.cli.apply(f"""
version: 1
resource_groups: [{{name: local, kind: local}}]
workspaces:
  - name: retail
    mode: standard
    resource_groups: [local]
    data_sources:
      - name: shop
        type: postgresql
        dev: {{address: [{{host: 127.0.0.1, port: {self.server.port}}}], database: shop_dev, username: postgres,
               password: "env:{PASSWORD_VARIABLE}", objects: [orders, lines]}}
        prod: {{address: [{{host: 127.0.0.1, port: {side["port"]}}}], database: shop_prod,
               username: {side["username"]}, password: "{side["password"]}", objects: {side["objects"]}}}
""")


def _differing(done: Outcome) -> dict[str, tuple[str, str]]:
    return {one["subject"]: (one["dev"], one["prod"]) for one in done.json["differences"] if one["matters"]}


def test_alike_is_alike(shop: Shop) -> None:
    shop.sql("shop_dev", DEV)
    shop.sql("shop_prod", DEV)
    done = shop.compare()
    assert done.status == 0, done
    assert "Nothing differs that a job can tell." in done.out
    assert shop.server.password not in done.out + done.err


def test_a_column_of_another_type_explains_a_failing_job(shop: Shop) -> None:
    shop.sql("shop_dev", DEV)
    shop.sql("shop_prod", DEV.replace("total numeric(10,2) NOT NULL", "total text"))
    done = shop.compare("--output", "json")
    assert done.status == 1
    assert _differing(done) == {"orders.total": ("numeric(10,2) not null", "text")}
    assert done.json["explanations"][0].startswith("orders.total is numeric(10,2) not null in dev and text in prod")


def test_a_table_in_another_schema_is_found(shop: Shop) -> None:
    shop.sql("shop_dev", DEV)
    shop.sql("shop_prod", DEV + "CREATE SCHEMA archive; ALTER TABLE orders SET SCHEMA archive;")
    done = shop.compare("--output", "json")
    assert [one["cause"] for one in done.json["verdicts"] if one["env"] == "prod"] == ["TARGET.OBJECT_MISSING"]
    (why,) = done.json["explanations"]
    assert why.startswith("prod fails because orders is not where the account looks for it: table in public in dev")
    assert "archive" in why


def test_a_missing_privilege_explains_a_denied_read(shop: Shop) -> None:
    shop.sql("shop_dev", DEV)
    shop.sql("shop_prod", DEV + "CREATE ROLE reader LOGIN PASSWORD 'readerspassword'; GRANT SELECT ON lines TO reader;")
    shop.cli.environment["READER"] = "readerspassword"
    done = shop.compare("--output", "json", username="reader", password="env:READER")
    (why,) = done.json["explanations"]
    assert why.startswith("prod fails because its account lacks SELECT, INSERT, UPDATE, DELETE, TRUNCATE on orders")
    assert "readerspassword" not in done.out


def test_a_closed_port_is_told_with_the_way_that_works(shop: Shop) -> None:
    shop.sql("shop_dev", DEV)
    done = shop.compare(port=1)
    assert done.status == 1
    assert f"local does reach dev at 127.0.0.1:{shop.server.port}" in done.out
    assert "note: prod could not be surveyed" in done.out


def test_rows_and_freshness_are_counted_on_demand(shop: Shop) -> None:
    shop.sql("shop_dev", DEV)
    shop.sql("shop_prod", DEV + "DELETE FROM orders;")
    found = {one["aspect"]: one for one in shop.compare("--output", "json", "--count").json["differences"]}
    assert (found["rows"]["dev"], found["rows"]["prod"]) == ("30 rows", "0 rows")
    assert found["rows"]["matters"]
    assert found["fresh"]["prod"] == "nothing"


def test_a_column_may_be_named_if_it_holds_moments(shop: Shop) -> None:
    for name in ("shop_dev", "shop_prod"):
        shop.sql(name, DEV + "CREATE TABLE extra (word text, at date); INSERT INTO extra VALUES ('hush', '2026-01-02')")
    for column, newest in (("at", "2026-01-02"), ("word", None)):
        done = shop.compare("--output", "json", "--fresh", column, objects="[extra]")
        objects = {one["name"]: one for one in done.json["surveys"]["dev"]["objects"]}
        assert objects["extra"]["newest"] == newest
        assert "hush" not in done.out


def test_settings_that_a_job_can_tell(shop: Shop) -> None:
    for name in ("shop_dev", "shop_prod"):
        shop.sql(name, DEV)
    shop.sql("postgres", "ALTER DATABASE shop_prod SET timezone = 'Asia/Shanghai'")
    done = shop.compare("--output", "json")
    assert _differing(done) == {"TimeZone": ("Etc/UTC", "Asia/Shanghai")} or "TimeZone" in _differing(done)
    assert any("hours apart" in text for text in done.json["explanations"])


def test_a_locked_table_does_not_hang_it(shop: Shop) -> None:
    for name in ("shop_dev", "shop_prod"):
        shop.sql(name, DEV)
    shop.declare()
    with _session(shop.server, "shop_prod") as session, session.transaction():
        session.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        with Stopwatch() as comparing:
            done = shop.cli("compare", "shop", "--count", "--timeout", "2")
    comparing.within(8)
    assert done.status == 1
    assert "orders: rows not known: it takes too long" in done.out


def test_what_one_side_binds_is_looked_at_on_both(shop: Shop) -> None:
    for name in ("shop_dev", "shop_prod"):
        shop.sql(name, DEV + "CREATE TABLE extra (id int);")
    done = shop.compare("--output", "json", objects="[extra]")
    assert done.status == 0, done
    assert {one["name"] for one in done.json["surveys"]["dev"]["objects"]} == {"orders", "lines", "extra"}


def test_a_pg_hba_for_everybody_is_told_to_who_may_read_it(shop: Shop) -> None:
    for name in ("shop_dev", "shop_prod"):
        shop.sql(name, DEV)
    hba = shop.server.folder / "data" / "pg_hba.conf"
    before = hba.read_text()
    try:
        hba.write_text(f"{before}\nhost all nobody ::/0 scram-sha-256\n")
        done = shop.compare()
    finally:
        hba.write_text(before)
    assert "of pg_hba.conf lets in ::/0" in done.out
    assert done.status == 0, done


def test_nothing_is_changed(shop: Shop) -> None:
    shop.sql("shop_dev", DEV)
    shop.sql("shop_prod", DEV)
    shop.compare("--count")
    with _session(shop.server, "shop_prod") as session:
        row = session.execute("SELECT count(*) FROM orders").fetchone()
    assert row == (30,)


def test_a_source_with_one_side_has_nothing_to_compare(cli: CommandLine) -> None:
    cli.apply("""
version: 1
resource_groups: [{name: local, kind: local}]
workspaces:
  - name: retail
    mode: basic
    resource_groups: [local]
    data_sources:
      - {name: shop, type: postgresql, prod: {address: [{host: 127.0.0.1, port: 1}], database: d, username: u}}
""")
    cli("compare", "shop").refused("retail/shop has no dev side", "add the missing one")
    cli("compare", "shop", "--workspace", "other").refused("other")


_JOBS = "{name: jobs, kind: worker, worker: {work_pool: jobs}}"
_NOWHERE = "{address: [{host: 127.0.0.1, port: 1}], database: d, username: u}"


def _with_groups(cli: CommandLine, *groups: str) -> None:
    names = [yaml.safe_load(group)["name"] for group in groups]
    cli.apply(f"""
version: 1
resource_groups: [{", ".join(groups)}]
workspaces:
  - name: retail
    mode: standard
    resource_groups: [{", ".join(names)}]
    data_sources:
      - {{name: shop, type: postgresql, dev: {_NOWHERE}, prod: {_NOWHERE}}}
""")


def test_worker_groups_alone_are_told_to_compare_nothing(cli: CommandLine) -> None:
    cli.environment["PREFECT_API_URL"] = "http://127.0.0.1:1/api"
    _with_groups(cli, _JOBS)
    done = cli("compare", "shop", "--timeout", "1")
    assert done.status == 1, done
    for words in ("worker groups alone (jobs)", "bind a group of kind ssh", "Not compared"):
        assert words in " ".join(done.out.split()), done
    assert "Nothing differs" not in done.out


def test_groups_that_get_nowhere_are_named(cli: CommandLine) -> None:
    cli.environment["PREFECT_API_URL"] = "http://127.0.0.1:1/api"
    _with_groups(cli, "{name: local, kind: local}", _JOBS)
    done = cli("compare", "shop", "--timeout", "1", "--output", "json")
    assert (done.status, done.json["complete"]) == (1, False)
    assert "no local or ssh group (local) gets as far as its login" in " ".join(done.json["notes"])
