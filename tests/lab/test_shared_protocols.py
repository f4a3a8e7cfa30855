"""Types that speak MySQL's or PostgreSQL's protocol under a name of their own, on those servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.servers import PASSWORD, WRONG_PASSWORD

TYPES = (("gbase8a", "mariadb"), ("polardb_x_2_0", "mariadb"), ("lindorm", "mariadb"), ("polardbo", "postgresql"))


def entry(type_name: str, server: Any, **changes: Any) -> dict[str, Any]:
    where: dict[str, Any] = {"address": {"host": server.v4, "port": server.port}, "database": "shop"}
    if type_name == "lindorm":
        where = {"seedserver": f"{server.v4}:{server.port}", "interface": "mysql", "namespace": "shop"}
    return {**where, "username": "app", "password": PASSWORD, "objects": ["orders"], **changes}


@pytest.mark.parametrize(("type_name", "kind"), TYPES)
def test_a_type_on_the_server_whose_protocol_it_speaks(lab: Any, expect: Any, type_name: str, kind: str) -> None:
    server = getattr(lab, kind)()
    verdict = lab.check(type_name, entry(type_name, server))
    assert verdict.cause is None, verdict.message
    refused = lab.check(type_name, entry(type_name, server, password=WRONG_PASSWORD))
    expect(refused, "wrong password", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component="app", within=1.5)
    missing = lab.check(type_name, entry(type_name, server, objects=["nothing"]))
    assert missing.cause in ("TARGET.OBJECT_MISSING", "PRIV.OBJECT_DENIED"), missing.message
