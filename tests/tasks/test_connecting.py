"""What clients of pipelines are made of: where they go, in which words, with TLS or not at all."""

from __future__ import annotations

import socket
import sys
import threading
import types as modules
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from registry import types
from registry.connection import Mode
from registry.errors import InvalidInput
from tasks.connecting import clients, properties
from tasks.connecting.detailing import Details
from tasks.connecting.running import Run

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


class _Refused(Exception):
    """What a driver of MySQL raises."""


class _Dialect:
    """Dials ports; those below 10 have no server, and 20 lets nobody in."""

    loaded_dbapi = modules.SimpleNamespace(OperationalError=_Refused)

    def __init__(self) -> None:
        self.dialled: list[int] = []

    def connect(self, **parameters: Any) -> int:
        assert parameters["password"] == SECRET
        self.dialled.append(parameters["port"])
        if parameters["port"] < 10:
            raise _Refused(2003, "nobody there")
        if parameters["port"] == 20:
            raise _Refused(1045, "access denied")
        return int(parameters["port"])


def dial(engine: Any, dialect: _Dialect) -> Any:
    """Connect as the engine would."""
    _, parameters = engine.dialect.create_connect_args(engine.url)
    (listener,) = engine.dialect.dispatch.do_connect
    return listener(dialect, None, (), parameters) or dialect.connect(**parameters)


@pytest.mark.parametrize(
    ("ports", "dialled", "refused"),
    [((11,), [11], 0), ((1, 12, 13), [1, 12], 0), ((1, 2), [1, 2], 2003), ((20, 12), [20], 1045)],
)
def test_mysql_is_tried_at_one_address_after_the_other_until_a_server_answers(
    ports: tuple[int, ...], dialled: list[int], refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", modules.ModuleType("pymysql"))
    monkeypatch.setattr(sys.modules["pymysql"], "paramstyle", "format", raising=False)
    engine = clients.open(found("mysql", address=at(*ports), database="d"))
    dialect = _Dialect()
    if refused:
        with pytest.raises(_Refused, match=str(refused)):
            dial(engine, dialect)
    else:
        assert dial(engine, dialect) == dialled[-1]
    assert dialect.dialled == dialled


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

    thread = threading.Thread(target=hear)
    thread.start()
    with pytest.raises(Exception, match=r"."):
        engine.connect()
    thread.join(5)
    return heard


@pytest.mark.parametrize(
    ("fields", "asked"),
    [({"service_name": "orders.example.com"}, b"SERVICE_NAME=orders.example.com"), ({"sid": "ORCL"}, b"SID=ORCL")],
)
def test_oracle_is_asked_for_the_service_or_the_sid_at_the_first_listener_that_answers(
    fields: Mapping[str, str], asked: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        places = at(1, listener.getsockname()[1])
        heard = first_bytes(clients.open(found("oracle", address=places, **fields)), listener)
    assert asked in heard
    assert SECRET.encode() not in heard


def test_oracle_over_tcps_speaks_tls_from_the_first_byte() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        places = at(listener.getsockname()[1])
        fields = {"service_name": "orders", "security_protocol": "authTypeSsl"}
        heard = first_bytes(clients.open(found("oracle", address=places, **fields)), listener)
    assert heard[:1] == TLS


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
