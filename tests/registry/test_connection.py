"""Entries as they stand in files: what is read, what is refused, and in which words."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from registry import types
from registry.connection import EntryReading, TlsSettings, read_entry, read_url
from registry.errors import InvalidInput, InvalidInputs

ENTRY = {
    "address": [{"host": "db.example.com", "port": 5432}],
    "database": "orders",
    "username": "app",
    "password": "env:ORDERS_PASSWORD",
}
MISSING, BAD = "CONFIG.MISSING_FIELD", "CONFIG.BAD_VALUE"


def read(type_name: str, raw: Mapping[str, Any], **options: Any) -> EntryReading:
    return read_entry(types.get(type_name), raw, where="retail/orders/dev", **options)


def problems(type_name: str, raw: Mapping[str, Any], **options: Any) -> list[InvalidInput]:
    with pytest.raises(InvalidInputs) as caught:
        read(type_name, raw, **options)
    return caught.value.problems


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in ENTRY.items() if name not in names}


def test_camel_case_and_capitals_are_the_same_entry() -> None:
    raw = {
        "envType": "Dev",
        "connectionPropertiesMode": "UrlMode",
        **ENTRY,
        "securityProtocol": "AuthTypeSsl",
        "truststoreFile": "file:/ca.pem",
    }
    snake = {**ENTRY, "security_protocol": "authTypeSsl", "truststore_file": "file:/ca.pem"}
    assert read("postgresql", raw) == read("postgresql", snake)


def test_an_instance_id_makes_it_the_instance_mode() -> None:
    raw = {**without("address"), "instanceId": "pgm-1", "regionId": "cn-hangzhou", "readOnlyDBInstance": "rr-1"}
    connection = read("postgresql", raw).connection
    assert connection.mode == "InstanceMode"
    assert connection.read_only_db_instance == "rr-1"  # type: ignore[attr-defined]
    assert connection.endpoints() == ()


def test_all_problems_are_told_at_once_each_with_place_fault_and_example() -> None:
    raw = {**without("database"), "address": [{"host": "db example", "port": 70000}], "usrname": "app", "username": 5}
    told = {problem.where: problem for problem in problems("postgresql", raw)}
    assert {where.removeprefix("retail/orders/dev."): problem.code for where, problem in told.items()} == {
        "usrname": BAD,
        "address[0].host": BAD,
        "address[0].port": BAD,
        "database": MISSING,
        "username": BAD,
    }
    assert told["retail/orders/dev.usrname"].instruction == "did you mean username?"
    assert "70000" in told["retail/orders/dev.address[0].port"].reason
    assert told["retail/orders/dev.database"].instruction == 'for example: database: "orders"'


def test_a_misspelt_field_is_not_told_as_missing_too() -> None:
    raw = {**without("username"), "user_name_": "app"}
    assert read("postgresql", {**without("username"), "user_name": "app"}).connection
    assert [problem.where for problem in problems("postgresql", {**without("username"), "usernam": "app"})] == [
        "retail/orders/dev.usernam"
    ]
    assert read("postgresql", raw).connection


@pytest.mark.parametrize("options", [{}, {"literals_allowed": True}])
@pytest.mark.parametrize(
    "raw",
    [
        {**ENTRY, "password": "hunter2", "database": ""},
        {**without("database"), "password": {"nested": "hunter2"}},
        {**without("database"), "passwrod": "hunter2"},
        {"jdbc_url": "jdbc:postgresql://app:hunter2@db.example.com:99999/orders"},
        {"jdbc_url": "jdbc:postgresql://app:hunter2@db.example.com/orders", "username": "other"},
        {"jdbc_url": "jdbc:mysql://app:hunter2@db.example.com/orders"},
        {**ENTRY, "address": [{"host": "app:hunter2@db.example.com", "port": 5432}]},
        {**ENTRY, "address": "app:hunter2@db.example.com"},
        {**ENTRY, "properties": {"sslmode": "hunter2"}},
        {**ENTRY, "objects": {"hunter2": 1}},
    ],
)
def test_a_secret_stands_in_no_error(raw: dict[str, Any], options: dict[str, bool]) -> None:
    for problem in problems("postgresql", raw, **options):
        assert "hunter2" not in str(problem)


def test_a_literal_secret_is_taken_only_where_it_may_be() -> None:
    raw = {**ENTRY, "password": "hunter2"}
    (problem,) = problems("postgresql", raw)
    assert (problem.where, problem.code) == ("retail/orders/dev.password", BAD)
    assert "env:ORDERS_PASSWORD" in problem.reason
    reading = read("postgresql", raw, literals_allowed=True)
    assert reading.literals == {"password": SecretStr("hunter2")}
    assert reading.connection.secret_references() == {"password": "stored:PENDING"}


def test_a_password_in_a_url_is_moved_out_or_refused() -> None:
    raw = {"jdbcUrl": "jdbc:postgresql://db.example.com/orders?user=app&password=hunter2&sslmode=require"}
    (problem,) = problems("postgresql", raw)
    assert problem.where == "retail/orders/dev.jdbc_url"
    assert 'password: "env:' in problem.instruction
    reading = read("postgresql", raw, literals_allowed=True)
    assert reading.literals == {"password": SecretStr("hunter2")}
    assert reading.connection.properties == {"sslmode": "require"}


def test_a_url_and_fields_that_differ_are_refused() -> None:
    raw = {"jdbc_url": "jdbc:postgresql://db.example.com/orders", "database": "stock", "username": "app"}
    (problem,) = problems("postgresql", raw)
    assert problem.where == "retail/orders/dev.database"


def test_removed_parameters_are_reported_and_the_dangerous_recorded_as_off() -> None:
    raw = {
        "jdbc_url": "jdbc:mysql://db.example.com/orders?useSSL=true&AUTO%44eserialize=true&foo=1",
        "username": "app",
    }
    reading = read("mysql", raw)
    assert reading.connection.properties == {"useSSL": "true", "autoDeserialize": "false"}
    assert [one.key for one in reading.removed] == ["autoDeserialize", "foo"]
    assert read("mysql", raw, permitted=frozenset({"foo"})).connection.properties["foo"] == "1"
    assert problems("mysql", raw, permitted=frozenset({"autodeserialize"}))


@pytest.mark.parametrize(
    ("type_name", "url", "protocol", "port"),
    [
        ("polardb", "jdbc:postgresql://u@h/d", "postgresql", 5432),
        ("polardb", "jdbc:mysql://u@h/d", "mysql", 3306),
        ("ftp", "sftp://u@h/d", "sftp", 22),
        ("ftp", "ftps://u@h/d", "ftp", 990),
        ("doris", "jdbc:mysql://u@h/d", "mysql", 9030),
        ("hologres", "postgresql://u@h/d", "postgresql", 80),
        ("restapi", "http://h/d", "http", 80),
        ("redis", "rediss://h", "redis", 6379),
    ],
)
def test_the_protocol_and_the_port_follow_from_the_url(type_name: str, url: str, protocol: str, port: int) -> None:
    type_ = types.get(type_name)
    connection = read(type_name, {"jdbc_url": url}).connection
    assert type_.protocol_of(connection) == protocol
    assert connection.endpoints()[0].port == port


def test_a_url_alone_tells_type_and_entry() -> None:
    type_, reading = read_url("redis://:hunter2@cache.example.com/2")
    assert type_.name == "redis"
    assert reading.literals == {"password": SecretStr("hunter2")}
    assert reading.connection.database == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(("type_name", "port"), [("postgresql", 5432), ("mysql", 3306), ("redis", 6379)])
def test_a_socket_needs_no_port(type_name: str, port: int) -> None:
    raw = {**ENTRY, "address": {"host": "/run/server/socket"}}
    if type_name == "redis":
        raw = {**raw, "database": 0}
    (endpoint,) = read(type_name, raw).connection.endpoints()
    assert (endpoint.host, endpoint.port) == ("/run/server/socket", port)
    assert problems("sftp", {"host": "/run/x", "port": 22, "username": "app"})


def test_most_types_take_one_address() -> None:
    two = [{"host": "h1", "port": 1}, {"host": "h2", "port": 2}]
    assert len(read("mysql", {**ENTRY, "address": two}).connection.endpoints()) == 2
    (problem,) = problems("tidb", {**ENTRY, "address": two})
    assert problem.reason == "1 is the most that this type takes"


@pytest.mark.parametrize("name", ["X Y", "X:Y", "", "Ü"])
def test_a_header_has_a_proper_name(name: str) -> None:
    assert problems("restapi", {"url": "https://api.example.com", "default_header": {name: "a"}})


def test_a_header_value_has_no_line_break() -> None:
    assert problems("restapi", {"url": "https://api.example.com", "default_header": {"X-Y": "a\r\nX-Z: b"}})


def test_a_scheme_alone_is_no_reference() -> None:
    assert problems("postgresql", {**ENTRY, "password": "env:"})


@pytest.mark.parametrize(
    ("given", "mode"),
    [({}, "prefer"), ({"sslMode": "Require"}, "require"), ({"securityProtocol": "authTypeSsl"}, "require")],
)
def test_hologres_has_a_word_of_its_own_for_tls(given: dict[str, str], mode: str) -> None:
    raw = {"instanceId": "hg-1", "regionId": "r", "database": "orders", "authType": "Executor", **given}
    assert read("hologres", raw).connection.tls().mode == mode


def test_a_header_that_carries_a_secret_holds_a_reference() -> None:
    raw = {"url": "https://api.example.com", "default_header": {"Authorization": "Bearer hunter2", "Accept": "*/*"}}
    (problem,) = problems("restapi", raw)
    assert "hunter2" not in str(problem)
    reading = read("restapi", raw, literals_allowed=True)
    assert reading.literals == {"default_header.Authorization": SecretStr("Bearer hunter2")}
    assert reading.connection.secret_references() == {"default_header.Authorization": "stored:PENDING"}


@pytest.mark.parametrize(
    ("type_name", "raw"),
    [
        ("restapi", {"url": "https://h", "security_protocol": "basic", "username": "app"}),
        ("restapi", {"url": "https://h", "security_protocol": "token"}),
        ("restapi", {"url": "https://app:x@h"}),
        ("restapi", {"url": "gopher://h"}),
        ("sftp", {"host": "h", "port": 22, "username": "app", "security_protocol": "authTypeSshKey"}),
        ("mysql", {**without("address"), "instance_id": "i", "region_id": "r", "cross_account_owner_id": "1"}),
        ("mysql", {**ENTRY, "mode": "CdhMode"}),
        ("mysql", {**ENTRY, "security_protocol": "authTypeSsl", "properties": {"sslMode": "DISABLED"}}),
        ("postgresql", {**ENTRY, "properties": {"sslmode": "verify_full"}}),
        ("postgresql", {**ENTRY, "jdbcUrl": "jdbc:postgresql://other.example.com/orders"}),
        ("postgresql", {**ENTRY, "userName": "app"}),
    ],
)
def test_contradictions_and_halves_are_refused(type_name: str, raw: dict[str, Any]) -> None:
    assert {problem.code for problem in problems(type_name, raw)} == {BAD}


SSL, NONE = {"security_protocol": "authTypeSsl"}, {"security_protocol": "authTypeNone"}
CA = {"truststore_file": "file:/ca.pem"}


@pytest.mark.parametrize(
    ("type_name", "given", "properties", "mode"),
    [
        ("postgresql", {}, {}, "prefer"),
        ("postgresql", NONE, {}, "disable"),
        ("postgresql", SSL, {}, "require"),
        ("postgresql", SSL | CA, {}, "verify-ca"),
        ("postgresql", CA, {}, "verify-ca"),
        ("postgresql", SSL, {"sslmode": "prefer"}, "require"),
        ("postgresql", SSL | CA, {"sslmode": "verify-full"}, "verify-full"),
        ("postgresql", NONE, {"sslmode": "verify-full"}, "verify-full"),
        ("postgresql", {}, {"sslmode": "disable"}, "disable"),
        ("postgresql", {}, {"sslmode": "allow"}, "prefer"),
        ("postgresql", {}, {"ssl": "true"}, "verify-full"),
        ("mysql", {}, {}, "prefer"),
        ("mysql", SSL | CA, {}, "verify-ca"),
        ("mysql", {}, {"sslMode": "VERIFY_IDENTITY"}, "verify-full"),
        ("mysql", {}, {"sslmode": "required"}, "require"),
        ("mysql", {}, {"useSSL": "false", "requireSSL": "true"}, "disable"),
        ("mysql", {}, {"useSSL": "true"}, "prefer"),
        ("mysql", {}, {"useSSL": True, "requireSSL": True}, "require"),
        ("mysql", {}, {"useSSL": "true", "verifyServerCertificate": "true"}, "verify-ca"),
        ("redis", {}, {}, "disable"),
        ("redis", SSL, {}, "require"),
        ("redis", SSL | CA, {}, "verify-full"),
        ("redis", CA, {}, "verify-full"),
        ("redis", NONE | CA, {}, "disable"),
        ("redis", SSL | CA, {"verifyServerCertificate": "false"}, "require"),
        ("redis", {}, {"ssl": "true"}, "require"),
    ],
)
def test_every_ecosystems_words_for_tls_give_one_mode(
    type_name: str, given: dict[str, str], properties: dict[str, Any], mode: str
) -> None:
    raw = {**ENTRY, **given, "properties": properties}
    if type_name == "redis":
        raw["database"] = "0"
    settings = read(type_name, raw).connection.tls()
    assert settings.mode == mode
    assert settings.ca == (given.get("truststore_file") if mode != "disable" else None)


@pytest.mark.parametrize(
    ("type_name", "raw", "mode"),
    [
        ("restapi", {"url": "https://h"}, "verify-full"),
        ("restapi", {"url": "http://h"}, "disable"),
        ("ftp", {"protocol": "FTPS", "host": "h", "port": 21, "username": "u"}, "require"),
        ("ftp", {"protocol": "ftps", "host": "h", "port": 21, "username": "u", **CA}, "verify-full"),
        ("ftp", {"protocol": "ftp", "host": "h", "port": 21, "username": "u"}, "disable"),
    ],
)
def test_tls_of_http_and_ftp_follows_the_protocol(type_name: str, raw: dict[str, Any], mode: str) -> None:
    assert read(type_name, raw).connection.tls().mode == mode


def test_the_client_certificate_comes_along() -> None:
    raw = {**ENTRY, "keystore_file": "file:/c.pem", "key_file": "file:/k.pem", "client_password": "env:KEY"}
    assert read("postgresql", raw).connection.tls() == TlsSettings(
        "require", None, "file:/c.pem", "file:/k.pem", "env:KEY"
    )
