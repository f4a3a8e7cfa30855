"""Redis: real servers, each broken in its own way."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.lab.certificates import Authority, Certificate
from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, Redis
from tests.lab.topology import Host

NAME = "cache.lab.test"


def entry(server: Redis | Host | str, **changes: Any) -> dict[str, Any]:
    """The account `app` of a server, of a bare machine or of a name."""
    host = server if isinstance(server, str) else server.v4
    given = {"address": {"host": host, "port": 6379}, "username": "app", "password": PASSWORD, **changes}
    return {key: value for key, value in given.items() if value is not None}


@pytest.fixture(scope="module")
def certificate(lab: Lab) -> Certificate:
    return lab.ca.issue(NAME)


def over_tls(lab: Lab, server: Redis, **changes: Any) -> dict[str, Any]:
    """An entry that verifies the server of `NAME`."""
    lab.name("cache", server.v4)
    return entry(NAME, truststore_file=f"file:{lab.ca.bundle}", **changes)


# -- it works ---------------------------------------------------------------------------------------------------------


def test_good(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("redis", entry(lab.redis()))
    expect(verdict, "good", code=None, state="Connectable", within=1)
    privilege = verdict.stages[-1].evidence
    assert privilege["keys_looked_at"] >= 1


def test_good_by_the_password_of_the_server(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("redis", entry(lab.redis(), username=None))
    expect(verdict, "good, requirepass", code=None, state="Connectable", within=1)
    seen = verdict.stages[-1].evidence
    assert seen["server_version"].startswith("7.")
    assert 1 <= seen["connections_used"] < seen["connections_limit"]
    assert seen["source_address_seen_by_server"] == verdict.stages[5].evidence["source_address"]
    assert abs(seen["clock_skew_s"]) < 1


def test_good_over_tls(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    verdict = lab.check("redis", over_tls(lab, lab.redis(tls=certificate)))
    expect(verdict, "good over TLS", code=None, state="Connectable", within=1)


def test_tls_without_a_truststore_is_not_verified(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    verdict = lab.check("redis", entry(lab.redis(tls=certificate), security_protocol="authTypeSsl"))
    expect(
        verdict, "TLS not verified", code=None, state="Connectable", within=1, warnings=["TLS.NOT_VERIFIED"]
    )  # fmt: skip


def test_unix_socket(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("redis", entry(str(lab.redis().socket)))
    expect(verdict, "Unix socket", code=None, state="Connectable", within=1)


def test_a_server_without_password_does_not_mind_one(lab: Lab, expect: Expectation) -> None:
    server = lab.redis(users=["default on nopass ~* &* +@all"])
    verdict = lab.check("redis", entry(server, username=None))
    expect(verdict, "password not asked for", code=None, state="Connectable", within=1)
    login = next(stage for stage in verdict.stages if stage.name == "login")
    assert login.status == "warned"


def test_empty_database(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("redis", entry(lab.redis(), username=None, database=9))
    expect(verdict, "empty database", code=None, state="Connectable", within=1)
    assert verdict.stages[-1].status == "warned"


@pytest.mark.parametrize("name", ["orders:1", "orders:", "orders:*", "orders"])
def test_bound_keys_and_prefixes(lab: Lab, expect: Expectation, name: str) -> None:
    verdict = lab.check("redis", entry(lab.redis(), objects=[name]))
    expect(verdict, f"bound {name}", code=None, state="Connectable", within=1)


@pytest.mark.parametrize(
    "fill",
    [
        ("RPUSH", "stock:1", "a"),
        ("SADD", "stock:1", "a"),
        ("ZADD", "stock:1", "1", "a"),
        ("HSET", "stock:1", "a", "1"),
        ("XADD", "stock:1", "*", "a", "1"),
        ("SET", "stock:1", ""),
    ],
)
def test_every_kind_of_value_is_read(lab: Lab, fill: tuple[str, ...]) -> None:
    server = lab.redis(own="kinds")
    server.command("DEL", "stock:1")
    server.command(*fill)
    assert lab.check("redis", entry(server, username=None, objects=["stock:1"])).connectable


def test_an_account_with_get_alone_may_read_what_it_may_not_list(lab: Lab) -> None:
    server = lab.redis(own="users")
    server.command("ACL", "SETUSER", "getter", "on", f">{PASSWORD}", "~orders:*", "+get")
    assert lab.check("redis", entry(server, username="getter", objects=["orders:1"])).connectable
    listed = lab.check("redis", entry(server, username="getter", objects=["orders:*"]))
    assert listed.connectable
    assert listed.stages[-1].evidence["not_listable"] == "orders:*"
    assert lab.check("redis", entry(server, username="getter", objects=["stock:1"])).cause == "PRIV.OBJECT_DENIED"
    assert lab.check("redis", entry(server, username="getter")).cause == "PRIV.OBJECT_DENIED"


# -- credentials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("username", ["app", None])
def test_wrong_password(lab: Lab, expect: Expectation, username: str | None) -> None:
    verdict = lab.check("redis", entry(lab.redis(), username=username, password=lab.wrong_password))
    kind = "wrong password" if username else "wrong requirepass"
    expect(verdict, kind, code="AUTH.BAD_CREDENTIALS", state="ConfigError", component=username or "default", within=1)


def test_password_missing(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("redis", entry(lab.redis(), username=None, password=None))
    expect(
        verdict, "password missing", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component="default", within=1,
        remedy="Set password",
    )  # fmt: skip


def test_user_unknown(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("redis", entry(lab.redis(), username="nobody"))
    expect(verdict, "unknown user", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component="nobody", within=1)


# -- target and privilege ---------------------------------------------------------------------------------------------


def test_renamed_ping_is_no_fault(lab: Lab, expect: Expectation) -> None:
    server = lab.redis(own="noping", options={"rename-command": 'PING ""'})
    expect(lab.check("redis", entry(server)), "PING renamed", code=None, state="Connectable", within=1)


def test_renamed_auth_is_no_wrong_password(lab: Lab, expect: Expectation) -> None:
    server = lab.redis(own="noauth", options={"rename-command": 'AUTH ""'})
    verdict = lab.check("redis", entry(server))
    expect(
        verdict, "AUTH renamed",
        code="AUTH.METHOD_UNSUPPORTED", state="ConfigError", component="AUTH", within=1,
    )  # fmt: skip


def test_no_such_database(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("redis", entry(lab.redis(), database=99))
    expect(verdict, "no such database", code="TARGET.MISSING", state="ConfigError", component="99", within=1)


def test_account_may_not_select(lab: Lab, expect: Expectation) -> None:
    server = lab.redis(own="users")
    server.command("ACL", "SETUSER", "homebody", "on", f">{PASSWORD}", "~*", "+@read")
    verdict = lab.check("redis", entry(server, username="homebody", database=1))
    expect(verdict, "may not SELECT", code="TARGET.NO_CONNECT", state="ConfigError", component="1", within=1)


def test_bound_key_missing(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("redis", entry(lab.redis(), username=None, objects=["orders:1", "invoices:*"]))
    expect(
        verdict,
        "bound key missing",
        code="TARGET.OBJECT_MISSING",
        state="ConfigError",
        component="invoices:*",
        within=1,
    )


def test_bound_key_denied(lab: Lab, expect: Expectation) -> None:
    server = lab.redis()
    server.command("SET", "secrets:1", "x")
    try:
        verdict = lab.check("redis", entry(server, objects=["secrets:1"]))
    finally:
        server.command("DEL", "secrets:1")
    expect(
        verdict, "bound key denied", code="PRIV.OBJECT_DENIED", state="ConfigError", component="secrets:1", within=1,
        remedy="ACL SETUSER app",
    )  # fmt: skip


def test_nothing_may_be_read(lab: Lab, expect: Expectation) -> None:
    server = lab.redis(own="users")
    server.command("ACL", "SETUSER", "blind", "on", f">{PASSWORD}", "+@connection")
    verdict = lab.check("redis", entry(server, username="blind"))
    expect(verdict, "no read permission", code="PRIV.OBJECT_DENIED", state="ConfigError", component="any key", within=1)


def test_keys_may_be_listed_and_not_read(lab: Lab, expect: Expectation) -> None:
    server = lab.redis(own="users")
    server.command("ACL", "SETUSER", "lister", "on", f">{PASSWORD}", "~elsewhere:*", "+@read", "+@connection")
    verdict = lab.check("redis", entry(server, username="lister"))
    expect(verdict, "no readable key", code="PRIV.OBJECT_DENIED", state="ConfigError", component="any key", within=1)


# -- the server -------------------------------------------------------------------------------------------------------


def test_protected_mode(lab: Lab, expect: Expectation) -> None:
    server = lab.redis(users=[], options={"protected-mode": "yes"})
    verdict = lab.check("redis", entry(server, username=None, password=None))
    source = verdict.stages[5].evidence["source_address"]
    expect(verdict, "protected mode", code="ADMIT.ALLOWLIST", state="Unreachable", component=source, within=1)


def test_too_many_clients(lab: Lab, expect: Expectation) -> None:
    server = lab.redis(options={"maxclients": 2})
    with lab.inside("client"), contextlib.ExitStack() as held:
        for _ in range(2):
            client = held.enter_context(socket.create_connection((server.v4, 6379), timeout=2))
            client.sendall(b"PING\r\n")
            client.recv(100)
        verdict = lab.check("redis", entry(server))
    expect(verdict, "client limit", code="CAPACITY.CONNECTIONS", state="ConfigError", component=server.v4, within=1)


def test_loading(lab: Lab, expect: Expectation) -> None:
    server = lab.redis(own="loading", options={"loading-process-events-interval-bytes": 1024})
    server.command("EVAL", "for i = 1, 3000 do redis.call('SET', 'filler:' .. i, i) end", "0")
    server.command("SAVE")
    server.stop()
    with (server.folder / "redis.conf").open("a") as config:
        config.write("key-load-delay 5000\n")
    server.start()
    try:
        verdict = lab.check("redis", entry(server))
    finally:
        server.stop()
    expect(verdict, "loading", code="SERVER.NOT_READY", state="ConfigError", component=server.v4, within=2)


def test_busy_with_a_script(lab: Lab, expect: Expectation) -> None:
    server = lab.redis(own="busy", options={"busy-reply-threshold": 50})
    with running_script(server):
        verdict = lab.check("redis", entry(server))
    expect(verdict, "busy with a script", code="SERVER.NOT_READY", state="ConfigError", component=server.v4, within=2)


@contextlib.contextmanager
def running_script(server: Redis) -> Iterator[None]:
    """A script that does not end for as long as the block lasts."""
    login = ["redis-cli", "-s", str(server.socket), "--user", "default", "--pass", PASSWORD, "--no-auth-warning"]
    with subprocess.Popen([*login, "EVAL", "while true do end", "0"], stdout=subprocess.DEVNULL) as client:
        time.sleep(0.3)
        try:
            yield
        finally:
            server.command("SCRIPT", "KILL")
            client.wait(5)


def test_replica_without_its_primary(lab: Lab, expect: Expectation) -> None:
    server = lab.redis(options={"replicaof": f"{lab.host().v4} 6379", "replica-serve-stale-data": "no"})
    verdict = lab.check("redis", entry(server))
    expect(verdict, "replica, stale", code="SERVER.NOT_READY", state="ConfigError", component=server.v4, within=1)


def test_cannot_save(lab: Lab, expect: Expectation) -> None:
    server = lab.redis(own="misconf", options={"save": "3600 1"})
    server.folder.chmod(0o555)
    server.command("BGSAVE")
    time.sleep(0.5)
    verdict = lab.check("redis", entry(server))
    expect(verdict, "cannot save", code="SERVER.ERROR", state="ConfigError", component=server.v4, within=1)


# -- TLS --------------------------------------------------------------------------------------------------------------


def test_tls_required(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    verdict = lab.check("redis", entry(lab.redis(tls=certificate)))
    expect(verdict, "TLS required", code="TLS.REQUIRED", state="ConfigError", component="security_protocol", within=1)


def test_tls_not_offered(lab: Lab, expect: Expectation) -> None:
    server = lab.redis()
    verdict = lab.check("redis", entry(server, truststore_file=f"file:{lab.ca.bundle}"))
    expect(verdict, "TLS not offered", code="TLS.NOT_OFFERED", state="ConfigError", component=server.v4, within=1)


def test_unknown_authority(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    server = lab.redis(tls=certificate)
    lab.name("cache", server.v4)
    other = Authority(lab.network.directory, "Redis Test CA")
    verdict = lab.check("redis", entry(NAME, truststore_file=f"file:{other.bundle}"))
    expect(verdict, "untrusted CA", code="TLS.UNTRUSTED_CA", state="ConfigError", component="Lab Root CA", within=1)


@pytest.mark.parametrize(
    ("kind", "made", "code", "component"),
    [
        ("wrong name", {"name": "other.lab.test"}, "TLS.NAME_MISMATCH", NAME),
        ("expired", {"valid_from": -9, "valid_to": -2}, "TLS.EXPIRED", NAME),
        ("not yet valid", {"valid_from": 2, "valid_to": 9}, "TLS.NOT_YET_VALID", NAME),
    ],
)
def test_bad_certificate(
    lab: Lab, expect: Expectation, kind: str, made: Mapping[str, Any], code: str, component: str
) -> None:
    options = dict(made)
    bad = lab.ca.issue(options.pop("name", NAME), **options)
    verdict = lab.check("redis", over_tls(lab, lab.redis(tls=bad)))
    expect(verdict, f"certificate {kind}", code=code, state="ConfigError", component=component, within=1)


def test_client_certificate_demanded(lab: Lab, expect: Expectation, certificate: Certificate) -> None:
    server = lab.redis(tls=certificate, options={"tls-auth-clients": "yes"})
    verdict = lab.check("redis", over_tls(lab, server))
    expect(
        verdict, "client certificate missing", code="TLS.CLIENT_CERT", state="ConfigError", component="keystore_file",
        within=1,
    )  # fmt: skip
    mine = lab.ca.issue("app", client=True)
    files = {"keystore_file": f"file:{mine.certificate}", "key_file": f"file:{mine.key}"}
    verdict = lab.check("redis", over_tls(lab, server, **files))
    expect(verdict, "client certificate", code=None, state="Connectable", within=1)


# -- the way there ----------------------------------------------------------------------------------------------------


def test_closed_port(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    verdict = lab.check("redis", entry(host))
    expect(verdict, "closed port", code="PORT.CLOSED", state="Unreachable", component=f"{host}:6379", within=1)


def test_typo_in_the_port(lab: Lab, expect: Expectation) -> None:
    server = lab.redis()
    verdict = lab.check("redis", entry(server, address={"host": server.v4, "port": 6380}))
    expect(
        verdict, "typo in the port", code="PORT.PROBABLY_TYPO", state="Unreachable", component=f"{server.v4}:6380",
        within=1,
    )  # fmt: skip


def test_unknown_name(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("redis", entry("absent.lab.test"))
    expect(verdict, "unknown name", code="DNS.NXDOMAIN", state="Unreachable", component="absent.lab.test", within=1)


def test_firewall_drops(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    with lab.listener("mute", 22, host), lab.filter("drop", host, 6379):
        verdict = lab.check("redis", entry(host), timeout=2)
    expect(verdict, "firewall drops", code="FILTER.DROP", state="Unreachable", component=f"{host}:6379", within=2.5)


def test_firewall_rejects(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    with lab.filter("admin-prohibited", host, 6379):
        verdict = lab.check("redis", entry(host), timeout=2)
    expect(verdict, "firewall rejects", code="FILTER.REJECT", state="Unreachable", within=2.5)


def test_mute(lab: Lab, expect: Expectation) -> None:
    with lab.listener("mute", 6379) as listener:
        verdict = lab.check("redis", entry(listener.host), timeout=2)
    expect(verdict, "accepts, never speaks", code="PEER.MUTE", state="Unreachable", component=listener.host, within=2.5)
    assert PASSWORD.encode() not in b"".join(listener.heard)


def test_mute_where_tls_is_configured(lab: Lab, expect: Expectation) -> None:
    with lab.listener("mute", 6379) as listener:
        verdict = lab.check("redis", entry(listener.host, security_protocol="authTypeSsl"), timeout=2)
    expect(verdict, "mute, TLS", code="PEER.MUTE", state="Unreachable", component=listener.host, within=2.5)


def test_dribbles(lab: Lab, expect: Expectation) -> None:
    with lab.listener("slow", 6379, greeting=b"-LOADING the dataset\r\n", pace=0.3) as listener:
        verdict = lab.check("redis", entry(listener.host), timeout=2)
    expect(verdict, "a byte now and then", code="PROBE.DEADLINE", state="Unsupport", component="greet", within=2.5)


@pytest.mark.parametrize("kind", ["close", "reset", "reset-after-hello"])
def test_hangs_up(lab: Lab, expect: Expectation, kind: str) -> None:
    with lab.listener(kind, 6379) as listener:
        verdict = lab.check("redis", entry(listener.host))
    expect(
        verdict, f"hangs up ({kind})", code="PEER.RESET_EARLY", state="Unreachable", component=listener.host, within=1
    )


@pytest.mark.parametrize("security", [None, "authTypeSsl"])
@pytest.mark.parametrize("kind", ["ssh", "http", "mysql", "smtp", "ftp", "postgresql", "garbage"])
def test_another_protocol(lab: Lab, expect: Expectation, kind: str, security: str | None) -> None:
    with lab.listener(kind, 6379) as listener:
        verdict = lab.check("redis", entry(listener.host, security_protocol=security), timeout=3)
    shown = f"{kind} on the port" + (", TLS" if security else "")
    expect(verdict, shown, code="PROTO.MISMATCH", state="ConfigError", component=listener.host, within=3.5)
    assert PASSWORD.encode() not in b"".join(listener.heard)
