"""Real servers say who they are: one under two addresses is one, two of a kind are two."""

from __future__ import annotations

from typing import Any

from registry.verdict import Verdict
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD


def identity(verdict: Verdict) -> tuple[Any, Any]:
    assert verdict.connectable, verdict
    seen = verdict.stages[-1].evidence
    return seen.get("server_run", seen.get("server_identity")), seen["database_identity"]


def redis(address: str, database: int = 0) -> dict[str, Any]:
    return {
        "address": {"host": address, "port": 6379},
        "password": PASSWORD,
        "database": database,
    }


def mysql(address: str, database: str = "shop") -> dict[str, Any]:
    return {"address": {"host": address, "port": 3306}, "database": database, "username": "app", "password": PASSWORD}


def test_redis(lab: Lab) -> None:
    server, other = lab.redis(), lab.redis(own="another one")
    lab.name("cache-too", server.v4)
    one = identity(lab.check("redis", redis(server.v4)))
    assert one == identity(lab.check("redis", redis("cache-too.lab.test")))
    assert one != identity(lab.check("redis", redis(server.v4, database=1)))
    assert one[0] != identity(lab.check("redis", redis(other.v4)))[0]


def test_mariadb(lab: Lab) -> None:
    server, other = lab.mariadb(), lab.mariadb(own="another one")
    lab.name("shop-too", server.v4)
    one = identity(lab.check("mysql", mysql(server.v4)))
    assert one == identity(lab.check("mysql", mysql("shop-too.lab.test")))
    assert one[0] != identity(lab.check("mysql", mysql(other.v4)))[0]
