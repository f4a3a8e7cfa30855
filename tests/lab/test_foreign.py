"""Database types aimed at real servers of other protocols: each is told as what it is, and gets no password."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.servers import PASSWORD

SERVERS = ("postgresql", "mariadb", "redis", "sftp", "ftp", "http")
NAMED = {"postgresql": "PostgreSQL", "mariadb": "MySQL", "redis": "Redis", "sftp": "SSH", "ftp": "FTP", "http": "HTTP"}
ENTRIES: dict[str, dict[str, Any]] = {
    "sqlserver": {"database": "shop"},
    "oracle": {"service_name": "shop"},
    "mongodb": {"database": "shop"},
    "db2": {"database": "SHOP"},
    "saphana": {},
    "graph_database": {},
    "dm": {},
    "lindorm": {"namespace": "shop"},
}


@pytest.mark.parametrize("type_name", ENTRIES)
@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_of_another_protocol(lab: Any, type_name: str, kind: str) -> None:
    server = getattr(lab, kind)()
    where: dict[str, Any] = {"address": {"host": server.v4, "port": server.port}}
    if type_name == "graph_database":
        where = {"host": server.v4, "port": server.port}
    if type_name == "lindorm":
        where = {"seedserver": f"{server.v4}:{server.port}"}
    entry = {**where, **ENTRIES[type_name], "username": "app", "password": PASSWORD}
    verdict = lab.check(type_name, entry, timeout=4)
    assert verdict.cause == "PROTO.MISMATCH", (verdict.cause, verdict.message)
    assert NAMED[kind] in verdict.message or "has no Gremlin" in verdict.message
    assert PASSWORD not in verdict.model_dump_json()
