"""What SQL text is told to need of an account, held against what real servers let an account of just that do."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest

from tasks.dependents.files import sql
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, MariaDB

POSTGRESQL = (
    "insert into a(id) values (1) on conflict do nothing",
    "insert into a(id) values (1) on conflict (id) do nothing",
    "insert into a(id) values (1) on conflict (id) do update set x = excluded.x",
    "insert into a(id) values (1) on conflict on constraint a_pkey do update set x = 2",
    "insert into a(id) values (1) returning id",
    "insert into a(id) values (1) returning 1",
    "insert into a(id) select id from b",
    "update a set x = 1",
    "update a set x = x + 1",
    "update a set x = 1 where id = 2",
    "update a set x = 1 where true",
    "update a set x = b.x from b",
    "update a set (x, id) = (select x, id from b limit 1)",
    "update a set x = 1 where exists (select 1 from b where x = 1)",
    "update a set x = 1 where id in (select id from b)",
    "with gone as (delete from a where id = 1 returning 1) select * from gone",
    "with gone as (delete from a returning 1) select * from gone",
    "update a as t set x = 1 where exists (select 1 from b where b.id = t.id)",
    "delete from a",
    "delete from a where id = 1",
    "delete from a using b where b.id = 1",
    "delete from a using b where b.id = a.id",
    "delete from a returning x",
    "merge into a using b on a.id = b.id when matched then delete when not matched then insert values (1, 1)",
    "merge into a using b on true when not matched then insert values (1, 1)",
    "truncate a",
)
MYSQL = (
    "insert into a(id) values (1)",
    "insert into a(id) values (1) on duplicate key update x = values(x)",
    "insert into a(id) values (1) on duplicate key update x = 2",
    "insert into a(id) values (1) on duplicate key update x = x + 1",
    "insert into a(id) select id from b on duplicate key update x = b.x",
    "insert into a(id) select id from b on duplicate key update x = a.x",
    "replace into a select * from b",
    "update a set x = 1",
    "update a set x = x + 1",
    "update a set x = 1 where id = 1",
    "update a join b on a.id = b.id set a.x = b.x",
    "delete from a",
    "delete from a where id = 1",
    "delete a from a join b on a.id = b.id",
)


def needed(statement: str, spoken: str) -> tuple[str, ...]:
    return tuple(sql.tables(statement, spoken).needs["a"])


@pytest.fixture(scope="module")
def postgresql(lab: Lab) -> Iterator[psycopg.Connection[Any]]:
    server = lab.postgresql()
    with psycopg.connect(host=str(server.folder), user="postgres", dbname="shop") as connection:
        connection.execute("CREATE TABLE a (id int PRIMARY KEY, x int); CREATE TABLE b (id int, x int)")
        connection.execute("CREATE ROLE doer; GRANT SELECT ON b TO doer")
        yield connection
        connection.rollback()


@pytest.mark.parametrize("statement", POSTGRESQL)
def test_postgresql(postgresql: psycopg.Connection[Any], statement: str) -> None:
    def may(*granted: str) -> bool:
        with postgresql.transaction(force_rollback=True):
            postgresql.execute(f"GRANT {', '.join(granted)} ON a TO doer; SET LOCAL ROLE doer".encode())
            try:
                postgresql.execute(statement.encode())
            except psycopg.errors.InsufficientPrivilege:
                return False
        return True

    _is_just_enough(needed(statement, "postgres"), may)


@pytest.fixture(scope="module")
def mariadb(lab: Lab) -> MariaDB:
    server = lab.mariadb(own="needs")
    server.sql(
        "CREATE TABLE a (id int PRIMARY KEY, x int)", "CREATE TABLE b (id int, x int)",
        f"CREATE USER doer@'%' IDENTIFIED BY '{PASSWORD}'", "GRANT SELECT ON shop.b TO doer@'%'",
    )  # fmt: skip
    return server


@pytest.mark.parametrize("statement", MYSQL)
def test_mariadb(lab: Lab, mariadb: MariaDB, statement: str) -> None:
    def may(*granted: str) -> bool:
        account = "shop.a TO doer@'%'"
        mariadb.sql(f"GRANT {', '.join(granted)} ON {account}")
        command = ["mariadb", "--no-defaults", "--skip-ssl", "-h", mariadb.v4, "-u", "doer", f"-p{PASSWORD}", "shop"]
        with lab.inside("client"):
            words = f"START TRANSACTION; {statement}; ROLLBACK"
            done = subprocess.run([*command, "-e", words], capture_output=True, text=True)
        mariadb.sql(f"REVOKE {', '.join(granted)} ON {account.replace(' TO ', ' FROM ')}")
        denied = any(f"ERROR {code}" in done.stderr for code in (1142, 1143))  # the table's, a column's
        assert done.returncode == 0 or denied, done.stderr
        return done.returncode == 0

    _is_just_enough(needed(statement, "mysql"), may)


def _is_just_enough(words: Sequence[str], may: Callable[..., bool]) -> None:
    assert may(*words)
    for word in words:
        rest = [one for one in words if one != word]
        assert not rest or not may(*rest), f"it goes without {word}"
