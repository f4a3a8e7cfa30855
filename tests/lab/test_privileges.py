"""What a survey tells of an account's privileges, held against what real servers then let it do."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from registry.connection import Mode
from registry.types import get
from tasks.comparison.survey import Object, Wanted
from tasks.comparison.surveying import survey
from tasks.target import Target
from tasks.vantages.local import LocalVantage
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, MariaDB, PostgreSQL
from tests.lab.topology import VANTAGES

HERE = VANTAGES["client"].v4
#: Account -> what it is granted, and what it may do with shop.orders by that.
ACCOUNTS = {
    "by_table": ("GRANT SELECT, DELETE ON shop.orders TO {me}", {"SELECT", "DELETE"}),
    "by_drop": ("GRANT DROP ON shop.orders TO {me}", {"DROP"}),
    "by_database": ("GRANT INSERT, DELETE, DROP ON shop.* TO {me}", {"INSERT", "DELETE", "DROP"}),
    "by_pattern": ("GRANT DELETE ON `s_op`.* TO {me}", {"DELETE"}),
    "by_patterns": ("GRANT DELETE ON `s%`.* TO {me}; GRANT SELECT ON `sh%`.* TO {me}", {"SELECT"}),
    "by_another": (r"GRANT DELETE ON `sh\_p`.* TO {me}; GRANT SELECT ON `sh_p`.* TO {me}", {"SELECT"}),
    "shadowed": ("GRANT DELETE ON `sh%`.* TO {me}; GRANT SELECT ON `shop`.* TO {me}", {"SELECT"}),
    "by_role": ("GRANT remover TO {me}; SET DEFAULT ROLE remover FOR {me}", {"SELECT", "DELETE"}),
    "by_role_of_role": ("GRANT above TO {me}; SET DEFAULT ROLE above FOR {me}", {"SELECT", "DELETE"}),
    "shadowed_by_role": ("GRANT narrow TO {me}; SET DEFAULT ROLE narrow FOR {me}", {"SELECT"}),
    "of_sleeping_role": ("GRANT remover TO {me}; GRANT SELECT ON shop.* TO {me}", {"SELECT"}),
    "by_all": ("GRANT ALL ON *.* TO {me}", {"SELECT", "INSERT", "UPDATE", "DELETE", "DROP"}),
    "by_columns": ("GRANT SELECT (id, note), INSERT (id) ON shop.orders TO {me}", {"SELECT", "INSERT"}),
}
#: What is tried of each, and changes nothing but what may be changed.
TRIED = {
    "INSERT": "INSERT INTO shop.orders (id) VALUES (2)",
    "DELETE": "DELETE FROM shop.orders",
    "DROP": "TRUNCATE shop.orders",
}
_DENIED = "ERROR 1142"


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[MariaDB]:
    made = lab.mariadb(own="privileges")
    made.sql(
        "CREATE ROLE remover; GRANT SELECT, DELETE ON shop.* TO remover; CREATE ROLE above; GRANT remover TO above",
        "CREATE ROLE below; GRANT DELETE ON `sh%`.* TO below; CREATE ROLE narrow; GRANT SELECT ON shop.* TO narrow",
        "GRANT below TO narrow; GRANT DELETE ON shop.order_lines TO PUBLIC",
    )
    for name, (grants, _) in ACCOUNTS.items():
        made.sql(f"CREATE USER {name}@'%' IDENTIFIED BY '{PASSWORD}'", grants.format(me=f"{name}@'%'"))
    made.sql(
        f"CREATE USER twice@'%' IDENTIFIED BY '{PASSWORD}'; GRANT SELECT, DELETE ON shop.* TO twice@'%'",
        f"CREATE USER twice@'{HERE}' IDENTIFIED BY '{PASSWORD}'; GRANT UPDATE ON shop.orders TO twice@'{HERE}'",
    )
    yield made
    made.stop()


def surveyed(lab: Lab, server: MariaDB | PostgreSQL, account: str, *tables: str) -> list[Object]:
    type_ = "mysql" if isinstance(server, MariaDB) else "postgresql"
    given = {
        "address": [{"host": server.v4, "port": server.port}], "database": "shop", "username": account,
        "password": "env:X", "objects": list(tables),
    }  # fmt: skip
    connection = get(type_).modes[Mode.CONNECTION_STRING].model_validate(given)
    secrets = {"password": SecretStr(PASSWORD)}
    target = Target("lab", "orders", type_, "prod", "client", type_, server.port, connection, lambda: secrets)
    with lab.inside("client"):
        found = asyncio.run(survey(target, LocalVantage(), Wanted()))
    assert found.survey is not None, found.verdict
    return [*found.survey.objects]


def may(server: MariaDB, lab: Lab, account: str, statement: str) -> bool:
    """Whether the server lets an account do it, within a transaction that is rolled back."""
    command = ["mariadb", "--no-defaults", "--skip-ssl", "-h", server.v4, "-u", account, f"-p{PASSWORD}", "-e"]
    with lab.inside("client"):
        done = subprocess.run([*command, f"START TRANSACTION; {statement}; ROLLBACK"], capture_output=True, text=True)
    assert done.returncode == 0 or _DENIED in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("account", ACCOUNTS)
def test_what_is_told_is_what_the_server_lets_do(lab: Lab, server: MariaDB, account: str) -> None:
    (told,) = surveyed(lab, server, account, "shop.orders")
    assert ({*told.privileges}, told.untold) == (ACCOUNTS[account][1], ())
    for word in TRIED.keys() - told.partly.keys():
        assert may(server, lab, account, TRIED[word]) is (word in told.privileges), word


def test_what_everybody_may_is_told_too(lab: Lab, server: MariaDB) -> None:
    """GRANT ... TO PUBLIC, which MariaDB has from 10.11 on."""
    told = surveyed(lab, server, "by_table", "shop.orders", "shop.order_lines")
    assert [one.privileges for one in told] == [("DELETE", "SELECT"), ("DELETE",)]


def test_columns_that_an_account_is_not_granted_are_told_to_be_hidden(lab: Lab, server: MariaDB) -> None:
    (told,) = surveyed(lab, server, "by_columns", "shop.orders")
    assert told.partly == {"SELECT": ("id", "note"), "INSERT": ("id",)}
    assert told.hidden
    assert not surveyed(lab, server, "by_all", "shop.orders")[0].hidden


def test_nobody_is_denied_what_his_user_was_granted_at_other_hosts(lab: Lab, server: MariaDB) -> None:
    """The server counts grants on databases of all accounts that fit a client; SHOW GRANTS shows those of one."""
    assert may(server, lab, "twice", TRIED["DELETE"])
    (told,) = surveyed(lab, server, "twice", "shop.orders")
    assert (told.privileges, told.untold) == (("UPDATE",), ("DELETE", "DROP", "SELECT"))


def test_a_survey_changes_nothing(lab: Lab, server: MariaDB) -> None:
    """Statements that write are counted by the server, whether they succeed or not."""
    counted = "SHOW GLOBAL STATUS WHERE Variable_name REGEXP '^Com_(insert|update|delete|replace|truncate|drop|alter)'"
    before = server.sql(counted)
    surveyed(lab, server, "by_all", "shop.orders", "shop.order_lines")
    assert server.sql(counted) == before


def test_postgresql_tells_columns_and_truncate(lab: Lab) -> None:
    server = lab.postgresql()
    made = f"CREATE ROLE by_columns LOGIN PASSWORD '{PASSWORD}'"
    server.sql(made, "GRANT SELECT, INSERT (id), TRUNCATE ON orders TO by_columns")
    try:
        (told,) = surveyed(lab, server, "by_columns", "orders")
    finally:
        server.sql("DROP OWNED BY by_columns", "DROP ROLE by_columns")
    assert told.privileges == ("SELECT", "INSERT", "TRUNCATE", "USAGE ON SCHEMA")
    assert (told.partly, told.hidden) == ({"INSERT": ("id",)}, False)
