"""DRDA against Apache Derby's network server, the one real server of Db2's protocol that Debian has."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.verdict import Verdict
from tests.tasks.wired import verdict_at

_JARS = Path("/usr/share/java")
_PROPERTIES = """
derby.connection.requireAuthentication=true
derby.authentication.provider=BUILTIN
derby.user.app=canary-5ecret
derby.user.reader=canary-reader
"""
_TABLES = """
connect 'jdbc:derby://127.0.0.1:{port}/shop;create=true;user=app;password=canary-5ecret';
create table orders(id int);
create schema sales;
create table sales.secret(id int);
create table "Lines"(id int);
CALL SYSCS_UTIL.SYSCS_SET_DATABASE_PROPERTY('derby.database.sqlAuthorization','true');
disconnect;
connect 'jdbc:derby://127.0.0.1:{port}/shop;shutdown=true;user=app;password=canary-5ecret';
connect 'jdbc:derby://127.0.0.1:{port}/shop;user=app;password=canary-5ecret';
grant select on sales.secret to reader;
exit;
"""


def _java(folder: Path, program: str, *arguments: str) -> list[str]:
    jars = ("derbynet.jar", "derby.jar", "derbytools.jar", "derbyclient.jar")
    path = ":".join(str(_JARS / jar) for jar in jars)
    return ["java", "-Xmx96m", f"-Dderby.system.home={folder}", "-cp", path, program, *arguments]


@pytest.fixture(scope="module")
def derby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server with a database `shop`."""
    if shutil.which("java") is None or not (_JARS / "derbynet.jar").exists():
        pytest.skip("java and the packages libderby-java and libderbyclient-java are needed")
    folder = tmp_path_factory.mktemp("derby")
    (folder / "derby.properties").write_text(_PROPERTIES)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = _java(folder, "org.apache.derby.drda.NetworkServerControl", "start", "-h", "127.0.0.1", "-p", str(port))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        _until_listening(port)
        script = folder / "tables.sql"
        script.write_text(_TABLES.format(port=port))
        subprocess.run(_java(folder, "org.apache.derby.tools.ij", str(script)), cwd=folder, check=True, timeout=60)
        yield port
    finally:
        server.terminate()
        server.wait(10)


def _until_listening(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.1)
    raise TimeoutError("Derby did not start")


def verdict(port: int, username: str = "app", password: str = "canary-5ecret", **entry: Any) -> Verdict:
    fields = {"database": "shop", "username": username, **entry}
    return asyncio.run(verdict_at(port, "db2", fields, timeout=5, password=password))


def test_a_readable_table_is_found_in_the_catalogue(derby: int) -> None:
    found = verdict(derby)
    assert found.cause is None, found.message
    privilege = next(stage for stage in found.stages if stage.name == "privilege")
    assert privilege.evidence["read"] in ('"APP"."ORDERS"', '"SALES"."SECRET"', '"APP"."Lines"')


@pytest.mark.parametrize(
    ("entry", "cause"),
    [
        ({"objects": ("orders", "sales.secret", '"Lines"')}, None),
        ({"objects": ("nothing_of_the_kind",)}, "TARGET.OBJECT_MISSING"),
        ({"objects": ("nobody.orders",)}, "TARGET.OBJECT_MISSING"),
        ({"database": "elsewhere"}, "TARGET.MISSING"),
        ({"password": "another"}, "AUTH.BAD_CREDENTIALS"),
        ({"username": "nobody"}, "AUTH.BAD_CREDENTIALS"),
        ({"username": "reader", "password": "canary-reader", "objects": ("sales.secret",)}, None),
        ({"username": "reader", "password": "canary-reader", "objects": ("app.orders",)}, "PRIV.OBJECT_DENIED"),
        ({"security_protocol": "authTypeSsl"}, "TLS.NOT_OFFERED"),
    ],
)
def test_what_derby_says(derby: int, entry: dict[str, Any], cause: str | None) -> None:
    found = verdict(derby, **entry)
    assert found.cause == cause, found.message
    assert found.elapsed_ms < 5500
    assert "canary" not in found.model_dump_json()


def test_other_types_recognise_it(derby: int) -> None:
    found = asyncio.run(verdict_at(derby, "sqlserver", {"database": "shop", "username": "app"}))
    assert found.cause in ("PROTO.MISMATCH", "PEER.RESET_EARLY", "PEER.MUTE"), found.message
