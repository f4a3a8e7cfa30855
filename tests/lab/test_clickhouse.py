"""ClickHouse: one real server, over HTTP and natively."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, WRONG_PASSWORD
from tests.lab.stores import ClickHouse

NAME = "columns.lab.test"
both = pytest.mark.parametrize("port", [8123, 9000], ids=["http", "native"])


@pytest.fixture(scope="module")
def server(lab: Lab) -> ClickHouse:
    found = lab.server(ClickHouse, tls=lab.ca.issue(NAME))
    lab.name("columns", found.v4)
    return found


def entry(host: Any, port: int, **changes: Any) -> dict[str, Any]:
    given = {
        "address": {"host": host if isinstance(host, str) else host.v4, "port": port}, "database": "shop",
        "username": "app", "password": PASSWORD, "objects": ["orders"], **changes,
    }  # fmt: skip
    return {key: value for key, value in given.items() if value is not None}


@both
def test_good(lab: Lab, expect: Expectation, server: ClickHouse, port: int) -> None:
    verdict = lab.check("clickhouse", entry(server, port))
    expect(verdict, f"good, {port}", code=None, state="Connectable", within=2)
    verdict = lab.check("clickhouse", entry(server, port, objects=None))
    expect(verdict, f"good, any table, {port}", code=None, state="Connectable", within=2)
    assert verdict.stages[-1].evidence["read"] == "orders"
    verdict = lab.check("clickhouse", entry(server, port, objects=None, database="empty"))
    expect(verdict, f"good, no table yet, {port}", code=None, state="Connectable", within=2)


@both
@pytest.mark.parametrize(
    ("kind", "changes", "code", "state", "component"),
    [
        ("wrong password", {"password": WRONG_PASSWORD}, "AUTH.BAD_CREDENTIALS", "ConfigError", "app"),
        ("no password", {"password": None}, "AUTH.BAD_CREDENTIALS", "ConfigError", "app"),
        ("unknown user", {"username": "nobody"}, "AUTH.USER_UNKNOWN", "ConfigError", "nobody"),
        ("client address not allowed", {"username": "elsewhere"}, "ADMIT.ALLOWLIST", "Unreachable", "10.77."),
        ("no such database", {"database": "shpo", "username": "admin"}, "TARGET.MISSING", "ConfigError", "shpo"),
        ("database not allowed", {"database": "private"}, "TARGET.NO_CONNECT", "ConfigError", "private"),
        ("no such table", {"objects": ["oders"]}, "TARGET.OBJECT_MISSING", "ConfigError", "oders"),
        ("table not allowed", {"objects": ["private.ledger"]}, "PRIV.OBJECT_DENIED", "ConfigError", "private.ledger"),
        ("no name of a table", {"objects": ["a`b"]}, "CONFIG.BAD_VALUE", "ConfigError", "a`b"),
    ],
)
def test_refused(
    lab: Lab, expect: Expectation, server: ClickHouse, port: int, kind: str, changes: dict[str, Any], code: str,
    state: str, component: str,
) -> None:  # fmt: skip
    verdict = lab.check("clickhouse", entry(server, port, **changes))
    expect(verdict, f"{kind}, {port}", code=code, state=state, component=component, within=2)


@pytest.mark.parametrize(("tls_port", "port"), [(8443, 8123), (9440, 9000)], ids=["http", "native"])
def test_tls(lab: Lab, expect: Expectation, server: ClickHouse, tls_port: int, port: int) -> None:
    bundle = {"security_protocol": "authTypeSsl", "ssl_root_certificate_file": f"file:{lab.ca.bundle}"}
    verdict = lab.check("clickhouse", entry(NAME, tls_port, **bundle))
    expect(verdict, f"good over TLS, {tls_port}", code=None, state="Connectable", within=2)
    verdict = lab.check("clickhouse", entry(server, tls_port, **bundle))
    expect(verdict, f"certificate of another name, {tls_port}", code="TLS.NAME_MISMATCH", state="ConfigError", within=2)
    verdict = lab.check("clickhouse", entry(NAME, tls_port))
    expect(verdict, f"plaintext to TLS, {tls_port}", code="TLS.REQUIRED", state="ConfigError", within=2)
    verdict = lab.check("clickhouse", entry(NAME, port, **bundle))
    expect(verdict, f"TLS to plaintext, {port}", code="TLS.NOT_OFFERED", state="ConfigError", within=2)


def test_the_other_interface(lab: Lab, expect: Expectation, server: ClickHouse) -> None:
    verdict = lab.check("clickhouse", entry(server, 9000, properties={"protocol": "http"}))
    expect(verdict, "HTTP to the native port", code="PROTO.MISMATCH", state="ConfigError", within=2)
    verdict = lab.check("clickhouse", entry(server, 8123, properties={"protocol": "tcp"}))
    expect(verdict, "native to the HTTP port", code="PROTO.MISMATCH", state="ConfigError", within=5)


@pytest.mark.parametrize("port", [8123, 9000])
def test_no_secret_before_the_server_has_spoken(lab: Lab, expect: Expectation, port: int) -> None:
    with lab.listener("mute", port) as listener:
        verdict = lab.check("clickhouse", entry(listener.host, port), timeout=2)
    expect(verdict, f"accepts, says nothing, {port}", code="PEER.MUTE", state="Unreachable", within=2.5)
    assert PASSWORD.encode() not in b"".join(listener.heard)
    verdict = lab.check("clickhouse", entry(lab.http().v4, 80), timeout=2)
    expect(verdict, "a web server", code="PROTO.MISMATCH", state="ConfigError", within=2)
