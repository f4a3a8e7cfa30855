"""What clients of pipelines are made of: where they go, in which words, with TLS or not at all."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pydantic import SecretStr

from registry import types
from registry.connection import Mode
from registry.errors import InvalidInput
from tasks.connecting import clients, properties
from tasks.connecting.detailing import Details
from tasks.connecting.running import Run
from tests.tasks import fake_sqlserver
from tests.tasks.certified import server_context
from tests.tasks.fake_sqlserver import FakeSqlServer
from tests.tasks.support import listening

ROOT = Path(__file__).resolve().parents[2]

#: The first byte of a handshake of TLS.
TLS = b"\x16"
SECRET = "cAnArY-5up3r-s3cr3t"


def found(type_: str, **fields: Any) -> Details:
    """What `connect` makes a client of."""
    kind = types.get(type_)
    entry = {"username": "app", "password": "env:P", **fields}
    connection = kind.modes[Mode.CONNECTION_STRING].model_validate(entry)
    return Details(
        "retail/orders", "prod", type_, kind.protocol_of(connection), connection, {"password": SecretStr(SECRET)}
    )


def at(*ports: int) -> list[dict[str, Any]]:
    return [{"host": "127.0.0.1", "port": port} for port in ports]


# --- driver properties ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "said", "told"),
    [
        ("postgresql", {"ApplicationName": "etl"}, {"application_name": "etl"}),
        ("postgresql", {"currentSchema": 'a, "b'}, {"options": '-c search_path=a,\\ "b'}),
        (
            "postgresql",
            {"currentSchema": "a", "readOnly": "true"},
            {"options": "-c search_path=a -c default_transaction_read_only=on"},
        ),
        ("postgresql", {"targetServerType": "preferSecondary"}, {"target_session_attrs": "prefer-standby"}),
        ("postgresql", {"targetServerType": "preferPrimary", "prepareThreshold": "5"}, {}),
        ("postgresql", {"loadBalanceHosts": "true"}, {"load_balance_hosts": "random"}),
        ("postgresql", {"connectTimeout": "0"}, {}),
        ("mysql", {"connectTimeout": "1500", "characterset": "utf8"}, {"connect_timeout": 2, "charset": "utf8mb4"}),
        ("mysql", {"socketTimeout": "soon", "useSSL": "false"}, {}),
        ("mysql", {"sessionVariables": "sql_mode='ANSI'"}, {"init_command": "SET sql_mode='ANSI'"}),
        ("oracle", {"oracle.net.CONNECT_TIMEOUT": "2000"}, {"tcp_connect_timeout": 2}),
        ("redis", {"ApplicationName": "etl"}, {}),
    ],
)  # fmt: skip
def test_driver_properties_in_the_words_of_the_driver(
    protocol: str, said: Mapping[str, str], told: Mapping[str, Any]
) -> None:
    assert properties.arguments(protocol, said) == told


# --- where an engine goes -------------------------------------------------------------------------------------------


def first_bytes(engine: Any, listener: socket.socket) -> bytes:
    """What a server hears of a client."""
    heard = b""

    def hear() -> None:
        nonlocal heard
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(5)
            while b"DESCRIPTION" not in heard and heard[:1] != TLS:
                heard += peer.recv(4096)

    async def connecting() -> None:
        await engine.connect()

    thread = threading.Thread(target=hear)
    thread.start()
    with pytest.raises(Exception, match=r"."):
        asyncio.run(connecting()) if hasattr(engine, "sync_engine") else engine.connect()
    thread.join(5)
    return heard


both = pytest.mark.parametrize("opened", [clients.open, clients.open_asynchronous], ids=["connect", "aconnect"])


@both
@pytest.mark.parametrize(
    ("fields", "asked"),
    [({"service_name": "orders.example.com"}, b"SERVICE_NAME=orders.example.com"), ({"sid": "ORCL"}, b"SID=ORCL")],
)
def test_oracle_is_asked_for_the_service_or_the_sid_at_the_first_listener_that_answers(
    opened: Any, fields: Mapping[str, str], asked: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        places = at(1, listener.getsockname()[1])
        heard = first_bytes(opened(found("oracle", address=places, **fields)), listener)
    assert asked in heard
    assert SECRET.encode() not in heard


@both
def test_oracle_over_tcps_speaks_tls_from_the_first_byte(opened: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        places = at(listener.getsockname()[1])
        fields = {"service_name": "orders", "security_protocol": "authTypeSsl"}
        heard = first_bytes(opened(found("oracle", address=places, **fields)), listener)
    assert heard[:1] == TLS


#: pymssql lets nothing else run while it connects, so it gets a process of its own.
SQLSERVER = """
import sys
from tasks.connecting import clients
from tests.tasks.test_connecting import at, found
tls = {"encrypt": "true", "trustServerCertificate": "true"}
clear, encrypted = map(int, sys.argv[1:])
for port, properties in ((clear, {}), (encrypted, tls), (clear, tls)):
    fields = {"database": "shop", "properties": {"applicationName": "etl", "loginTimeout": "20", **properties}}
    engine = clients.open(found("sqlserver", address=at(port), **fields), {"_initialize": False})
    try:
        engine.connect().exec_driver_sql("SELECT 1")
    except Exception as error:
        print(error.orig.args[0][0])
    else:
        print("answered")
"""


async def test_sqlserver_hears_nothing_in_clear_where_tls_is_asked_for() -> None:
    answers = dict.fromkeys(("SET ", "use [shop]", "BEGIN", "SELECT 1", "ROLLBACK"), fake_sqlserver.DONE)
    plain = FakeSqlServer(answers=answers)
    secure = FakeSqlServer(encryption=3, context=server_context(), answers=answers)
    async with listening(plain) as clear, listening(secure) as encrypted:
        command = (sys.executable, "-c", SQLSERVER, str(clear), str(encrypted))
        client = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        said, _ = await client.communicate()
    assert said.decode().split() == ["answered", "answered", "20002"]
    for server in (plain, secure):
        assert (server.passwords, server.applications) == ([SECRET], ["etl"])
        assert "SELECT 1" in server.heard


def test_a_driver_that_would_go_on_without_tls_is_not_taken_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pymysql, "VERSION", (1, 1, 3, "final"))

    def client(mode: str) -> Any:
        return clients.open(found("mysql", address=at(3306), database="d", properties={"sslMode": mode}))

    for mode in ("REQUIRED", "VERIFY_IDENTITY"):
        with pytest.raises(InvalidInput, match=r"goes on without it[\s\S]*pip install 'pymysql>=1\.2'"):
            client(mode)
    assert client("PREFERRED") is not None


def test_a_certificate_that_the_driver_would_not_look_at_is_not_taken_for_verified() -> None:
    with pytest.raises(InvalidInput, match="pymssql verifies none"):
        clients.open(found("sqlserver", address=at(1433), database="d", properties={"encrypt": "true"}))


def test_options_are_those_of_the_client_and_change_no_address() -> None:
    connect_args = {"application_name": "mine", "host": "elsewhere", "sslmode": "disable"}
    fields = {"address": at(1, 2), "database": "d", "properties": {"sslmode": "require"}}
    engine = clients.open(found("postgresql", **fields), {"pool_size": 3, "connect_args": connect_args})
    assert engine.pool.size() == 3
    arguments = engine.pool._creator.__closure__  # the keywords of the driver lie there alone
    told = next(cell.cell_contents for cell in arguments if isinstance(cell.cell_contents, dict))
    assert (told["application_name"], told["host"], told["sslmode"]) == ("mine", "127.0.0.1,127.0.0.1", "require")
    assert SECRET not in str(told)


def _held() -> list[str]:
    """The files in memory that this process holds open."""
    links = (os.path.realpath(link) for link in Path("/proc/self/fd").iterdir())  # one is gone when it is looked at
    return [link for link in links if "memfd:connection" in link]


def test_files_in_memory_live_as_long_as_their_client_and_go_where_there_is_none() -> None:
    entry = found("postgresql", address=at(1), database="d", properties={"sslmode": "verify-full"})
    certain = replace(entry, secrets={"truststore_file": SecretStr("an authority")})
    gc.collect()
    before = len(_held())
    with pytest.raises(TypeError, match="pool_sice"):
        clients.open(certain, {"pool_sice": 3})
    gc.collect()
    assert len(_held()) == before
    engine = clients.open(certain)
    gc.collect()
    assert len(_held()) == before + 1
    del engine
    gc.collect()
    assert len(_held()) == before


def test_a_client_that_is_logged_in_takes_no_options() -> None:
    with pytest.raises(InvalidInput, match="takes no options, and got timeout"):
        clients.open(found("ftp", protocol="ftp", host="127.0.0.1", port=1), {"timeout": 3})


# --- the run --------------------------------------------------------------------------------------------------------


def test_two_tags_that_say_two_things_are_told_and_not_chosen_among() -> None:
    both = Run("nightly", tags=("env:dev", "env:prod", "workspace:a", "workspace:b", "env:dev"))
    with pytest.raises(InvalidInput, match="nightly is tagged env:dev and env:prod"):
        both.env(None)
    with pytest.raises(InvalidInput, match="workspace:a and workspace:b"):
        both.workspace(None)
    assert (both.env("dev"), both.workspace("a")) == ("dev", "a")
