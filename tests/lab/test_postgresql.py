"""PostgreSQL: what goes wrong between a client and a real server, in three languages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry.verdict import Status, Verdict
from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.nameserver import Answer
from tests.lab.servers import PostgreSQL

#: English, and two of the languages in which PostgreSQL words its messages.
LANGUAGES = ("", "de_DE", "zh_CN")
CONFIG, UNREACHABLE, UNSUPPORT, FINE = "ConfigError", "Unreachable", "Unsupport", "Connectable"

#: One server answers in every way that pg_hba.conf knows, by the role that asks.
_HBA = (
    "host all trusted,ghost,sleeper_trusted all trust",
    "hostssl all tls_only all scram-sha-256",
    "hostnossl all plain_only all scram-sha-256",
    "hostssl all with_certificate all scram-sha-256 clientcert=verify-ca",
    "host all rejected all reject",
    "hostssl all rejected_over_tls all reject",
    "host all by_md5 all md5",
    "host all by_clear_text all password",
    "host all by_kerberos all gss",
    "host all by_ident all ident",
    "host all postgres,app,readers,sleeper,expired,soon,single,nobody,one_column,owner,nosuchrole all scram-sha-256",
)


def _roles(password: str) -> list[str]:
    plain = ("trusted", "tls_only", "plain_only", "with_certificate", "rejected", "rejected_over_tls", "by_clear_text",
             "by_kerberos", "by_ident", "unlisted", "nobody", "owner")  # fmt: skip
    return [
        *(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'" for role in plain),
        f"CREATE ROLE sleeper NOLOGIN PASSWORD '{password}'",
        "CREATE ROLE sleeper_trusted NOLOGIN",
        f"CREATE ROLE expired LOGIN PASSWORD '{password}' VALID UNTIL '2020-01-01'",
        f"DO $$ BEGIN EXECUTE format('CREATE ROLE soon LOGIN PASSWORD ''{password}'' VALID UNTIL %L', "
        "now() + interval '7 days'); END $$",
        f"CREATE ROLE single LOGIN PASSWORD '{password}' CONNECTION LIMIT 1",
        f"SET password_encryption = 'md5'; CREATE ROLE by_md5 LOGIN PASSWORD '{password}'; RESET password_encryption",
        "GRANT SELECT ON orders TO soon, single, trusted, tls_only, plain_only, with_certificate, by_md5, "
        "by_clear_text",
        "CREATE DATABASE empty",
        "CREATE DATABASE vault",
        "REVOKE CONNECT ON DATABASE vault FROM PUBLIC",
        "CREATE DATABASE closed ALLOW_CONNECTIONS false",
        "CREATE DATABASE narrow CONNECTION LIMIT 0",
        "CREATE TABLE secrets (id int)",
        "CREATE SCHEMA hidden",
        "CREATE TABLE hidden.things (id int)",
        "GRANT SELECT ON hidden.things TO app",
        'CREATE TABLE "Mixed Case.Dot" (id int)',
        'GRANT SELECT ON "Mixed Case.Dot" TO app',
        "CREATE TABLE columns (open int, closed int)",
        f"CREATE ROLE one_column LOGIN PASSWORD '{password}'",
        "GRANT SELECT (open) ON columns TO one_column",
    ]


@pytest.fixture(scope="module")
def certificate(lab: Lab) -> Any:
    return lab.ca.issue("db.lab.test")


_prepared: dict[str, PostgreSQL] = {}


@pytest.fixture
def server(lab: Lab, certificate: Any, language: str) -> PostgreSQL:
    """The server of a language with every role and database of this file."""
    if language not in _prepared:
        made = lab.postgresql(language=language, tls=certificate, hba=_HBA)
        made.sql(*_roles(lab.password))
        _prepared[language] = made
    return _prepared[language]


@pytest.fixture
def language() -> str:
    return ""


@pytest.fixture(scope="module", autouse=True)
def _forget() -> Iterator[None]:
    yield
    _prepared.clear()


def entry(host: str | PostgreSQL, secret: str, /, **changes: Any) -> dict[str, Any]:
    address = host if isinstance(host, str) else host.v4
    wanted = {
        "address": {"host": address, "port": 5432},
        "database": "shop",
        "username": "app",
        "password": secret,
        **changes,
    }
    return {key: value for key, value in wanted.items() if value is not None}


def stage(verdict: Verdict, name: str) -> dict[str, Any]:
    return next(stage.evidence for stage in verdict.stages if stage.name == name)


@dataclass(frozen=True)
class Case:
    """What a server answers to an entry, and what that means."""

    kind: str
    changes: dict[str, Any]
    code: str | None
    component: str = ""
    state: str = CONFIG
    remedy: str = ""
    alternatives: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    owner: str = ""
    tls: str = "disable"


def _as(role: str, **changes: Any) -> dict[str, Any]:
    return {"username": role, **changes}


_WRONG = "wrong password"
CASES = (
    Case("good", {}, None, state=FINE),
    Case("good over TLS", {}, None, state=FINE, tls="require", warnings=("TLS.NOT_VERIFIED",)),
    Case("good by md5", _as("by_md5"), None, state=FINE),
    Case("good by clear text", _as("by_clear_text"), None, state=FINE),
    Case("good without password", _as("trusted", password=None), None, state=FINE),
    Case("a role that may read one column", _as("one_column"), None, state=FINE),
    Case("quoted names", {"objects": ['"Mixed Case.Dot"', "public.ORDERS"]}, None, state=FINE),
    Case("password ends soon", _as("soon"), None, state=FINE, warnings=("AUTH.EXPIRES_SOON",)),
    Case("database without tables", {"database": "empty"}, None, state=FINE),
    Case("wrong password", {"password": _WRONG}, "AUTH.BAD_CREDENTIALS", "app", owner="user"),
    Case("wrong password by md5", _as("by_md5", password=_WRONG), "AUTH.BAD_CREDENTIALS", "by_md5"),
    Case("wrong password by clear text", _as("by_clear_text", password=_WRONG), "AUTH.BAD_CREDENTIALS"),
    Case("unknown role", _as("nosuchrole"), "AUTH.BAD_CREDENTIALS", "nosuchrole"),
    Case("password expired", _as("expired"), "AUTH.BAD_CREDENTIALS", "expired"),
    Case("no password given", {"password": None}, "AUTH.BAD_CREDENTIALS", "app", remedy="Set password"),
    Case("role may not log in", _as("sleeper"), "AUTH.LOGIN_FORBIDDEN", "sleeper", remedy="ALTER ROLE", owner="dba"),
    Case(
        "unknown role under trust",
        _as("ghost", password=None),
        "INCONCLUSIVE",
        "ghost",
        alternatives=("AUTH.USER_UNKNOWN", "AUTH.LOGIN_FORBIDDEN"),
    ),
    Case(
        "role may not log in, under trust",
        _as("sleeper_trusted", password=None),
        "INCONCLUSIVE",
        alternatives=("AUTH.USER_UNKNOWN", "AUTH.LOGIN_FORBIDDEN"),
    ),
    Case("ident demanded", _as("by_ident"), "AUTH.METHOD_UNSUPPORTED", "pg_hba.conf"),
    Case("Kerberos demanded", _as("by_kerberos"), "AUTH.METHOD_UNSUPPORTED", "GSSAPI"),
    Case("client not in pg_hba", _as("unlisted"), "ADMIT.ALLOWLIST", "10.77.1.2", UNREACHABLE, "10.77.1.2/32"),
    Case(
        "client not in pg_hba, TLS asked",
        _as("unlisted"),
        "ADMIT.ALLOWLIST",
        "10.77.1.2",
        UNREACHABLE,
        "10.77.1.2/32",
        tls="require",
    ),
    Case("client rejected by pg_hba", _as("rejected"), "ADMIT.ALLOWLIST", "10.77.1.2", UNREACHABLE),
    Case("server requires TLS", _as("tls_only"), "TLS.REQUIRED", "sslmode", owner="user"),
    Case("server refuses TLS", _as("plain_only"), "ADMIT.ALLOWLIST", "", UNREACHABLE, "hostssl", tls="require"),
    Case("server refuses TLS, only preferred", _as("plain_only"), None, "", FINE, tls="prefer"),
    Case(
        "client certificate demanded",
        _as("with_certificate"),
        "INCONCLUSIVE",
        "",
        UNREACHABLE,
        "keystore_file",
        alternatives=("ADMIT.ALLOWLIST", "TLS.CLIENT_CERT"),
        tls="require",
    ),
    Case("database missing", {"database": "absent"}, "TARGET.MISSING", "absent", remedy="CREATE DATABASE absent"),
    Case("no CONNECT privilege", {"database": "vault"}, "TARGET.NO_CONNECT", "vault", remedy="GRANT CONNECT"),
    Case("database closed", {"database": "closed"}, "TARGET.NO_CONNECT", "closed", remedy="ALLOW_CONNECTIONS"),
    Case("database's connection limit", {"database": "narrow"}, "CAPACITY.CONNECTIONS", owner="dba"),
    Case("nothing readable", _as("nobody"), "PRIV.OBJECT_DENIED", "shop", remedy="GRANT SELECT"),
    Case("bound table missing", {"objects": ["orders", "absent"]}, "TARGET.OBJECT_MISSING", "absent"),
    Case("bound schema missing", {"objects": ["absent.orders"]}, "TARGET.OBJECT_MISSING", "absent.orders"),
    Case("bound table denied", {"objects": ["orders", "secrets"]}, "PRIV.OBJECT_DENIED", "secrets", remedy="GRANT"),
    Case("bound table in a denied schema", {"objects": ["hidden.things"]}, "PRIV.OBJECT_DENIED", "hidden.things"),
    Case("writer asked of a primary", {"properties": {"target_session_attrs": "read-write"}}, None, state=FINE),
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind.replace(" ", "-"))
def test_answer(lab: Lab, expect: Expectation, server: PostgreSQL, case: Case, language: str) -> None:
    given = entry(server, lab.password, **case.changes)
    if given.get("password") == _WRONG:
        given["password"] = lab.wrong_password
    given["properties"] = {"sslmode": case.tls, **given.get("properties", {})}
    verdict = lab.check("postgresql", given)
    expect(
        verdict, case.kind, code=case.code, state=case.state, component=case.component, remedy=case.remedy, within=1.5,
        alternatives=case.alternatives, warnings=case.warnings, owner=case.owner, language=language[:2] or "en",
    )  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_account_at_its_limit(lab: Lab, expect: Expectation, server: PostgreSQL, language: str) -> None:
    with server.sessions(1, user="single"):
        verdict = lab.check("postgresql", entry(server, lab.password, username="single"))
    expect(verdict, "account's connection limit", code="CAPACITY.CONNECTIONS", state=CONFIG, within=1.5,
           language=language[:2] or "en")  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("tls", ["disable", "prefer"])
def test_server_without_a_connection_left(lab: Lab, expect: Expectation, language: str, tls: str) -> None:
    server = lab.postgresql(language=language, settings={"max_connections": 4, "superuser_reserved_connections": 1})
    with server.sessions(4):
        verdict = lab.check("postgresql", entry(server, lab.password, properties={"sslmode": tls}))
    expect(verdict, "connection limit", code="CAPACITY.CONNECTIONS", state=CONFIG, within=1.5, owner="dba",
           language=language[:2] or "en")  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_server_nearly_full(lab: Lab, expect: Expectation, language: str) -> None:
    server = lab.postgresql(language=language, settings={"max_connections": 10, "superuser_reserved_connections": 0})
    with server.sessions(5):
        verdict = lab.check("postgresql", entry(server, lab.password))
        assert "CAPACITY.NEARLY_FULL" not in {warning.code for warning in verdict.warnings}
    with server.sessions(8):
        verdict = lab.check("postgresql", entry(server, lab.password))
    expect(verdict, "connections nearly exhausted", code=None, state=FINE, within=1.5,
           warnings=["CAPACITY.NEARLY_FULL"], language=language[:2] or "en")  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_server_starting_up(lab: Lab, expect: Expectation, language: str) -> None:
    server = lab.postgresql(language=language, standby="cold")
    verdict = lab.check("postgresql", entry(server, lab.password))
    expect(verdict, "server recovering", code="SERVER.NOT_READY", state=CONFIG, within=1.5, owner="dba",
           component=f"{server.v4}:5432", language=language[:2] or "en")  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_standby(lab: Lab, expect: Expectation, language: str) -> None:
    server = lab.postgresql(language=language, standby="hot")
    verdict = lab.check("postgresql", entry(server, lab.password))
    expect(verdict, "read-only replica", code=None, state=FINE, within=1.5, language=language[:2] or "en")
    assert stage(verdict, "privilege")["replica"] is True
    wanting = entry(server, lab.password, properties={"target_session_attrs": "read-write"})
    verdict = lab.check("postgresql", wanting)
    expect(verdict, "standby where a writer is wanted", code="SERVER.WRONG_ROLE", state=CONFIG, within=1.5,
           component=f"{server.v4}:5432", language=language[:2] or "en")  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_server_without_tls(lab: Lab, expect: Expectation, language: str) -> None:
    server = lab.postgresql(language=language)
    verdict = lab.check("postgresql", entry(server, lab.password, security_protocol="authTypeSsl"))
    expect(verdict, "server has no TLS", code="TLS.NOT_OFFERED", state=CONFIG, component=f"{server.v4}:5432",
           within=1, language=language[:2] or "en")  # fmt: skip
    verdict = lab.check("postgresql", entry(server, lab.password, properties={"sslmode": "prefer"}))
    assert verdict.state == FINE, "what is only preferred may be lacking"


@pytest.mark.parametrize("language", LANGUAGES)
def test_client_out_of_pg_hba_is_told_its_own_address(lab: Lab, expect: Expectation, language: str) -> None:
    server = lab.postgresql(language=language, hba=["host all all 10.77.1.0/24 scram-sha-256"])
    verdict = lab.check("postgresql", entry(server, lab.password), vantage="elsewhere")
    expect(verdict, "client IP not in pg_hba", code="ADMIT.ALLOWLIST", state=UNREACHABLE, component="10.77.3.2",
           remedy="10.77.3.2/32", within=1, owner="dba", language=language[:2] or "en")  # fmt: skip
    assert lab.check("postgresql", entry(server, lab.password)).state == FINE


# -- roads to the server ----------------------------------------------------------------------------------------------


def test_unix_socket(lab: Lab, expect: Expectation, server: PostgreSQL) -> None:
    good = entry(str(server.folder), lab.password)
    expect(lab.check("postgresql", good), "Unix socket", code=None, state=FINE, within=1)
    absent = entry("/nonexistent", lab.password)
    expect(lab.check("postgresql", absent), "Unix socket missing", code="PORT.CLOSED", state=UNREACHABLE, within=1,
           component="/nonexistent/.s.PGSQL.5432")  # fmt: skip


def test_unix_socket_left_by_a_dead_server(lab: Lab, expect: Expectation) -> None:
    server = lab.postgresql(own="left behind")
    server.stop()
    (server.data / "postmaster.pid").unlink(missing_ok=True)
    assert (server.folder / ".s.PGSQL.5432").exists()
    verdict = lab.check("postgresql", entry(str(server.folder), lab.password))
    expect(verdict, "Unix socket of a dead server", code="PORT.CLOSED", state=UNREACHABLE, within=1)
    assert "socket" in verdict.message


def test_ipv6_literal(lab: Lab, expect: Expectation, server: PostgreSQL) -> None:
    verdict = lab.check("postgresql", entry(server.host.v6, lab.password))
    expect(verdict, "IPv6 address", code=None, state=FINE, within=1)


def test_first_address_dead_second_alive(lab: Lab, expect: Expectation, server: PostgreSQL) -> None:
    name = lab.name("half", lab.host().v4, server.v4)
    verdict = lab.check("postgresql", entry(name, lab.password))
    expect(verdict, "one address of the name closed", code=None, state=FINE, within=1,
           warnings=["DNS.SOME_ADDRESSES_FAIL"])  # fmt: skip
    assert "PORT.CLOSED" in next(w.message for w in verdict.warnings if w.code == "DNS.SOME_ADDRESSES_FAIL")


def test_one_address_silent(lab: Lab, expect: Expectation, server: PostgreSQL) -> None:
    name = lab.name("halfsilent", lab.dead.BLACKHOLE, server.v4)
    verdict = lab.check("postgresql", entry(name, lab.password), timeout=2)
    expect(verdict, "one address of the name silent", code=None, state=FINE, within=2.5,
           warnings=["DNS.SOME_ADDRESSES_FAIL"])  # fmt: skip
    assert lab.dead.BLACKHOLE in next(w.message for w in verdict.warnings if w.code == "DNS.SOME_ADDRESSES_FAIL")


def test_several_entries(lab: Lab, expect: Expectation, server: PostgreSQL) -> None:
    addresses = [{"host": "gone.lab.test", "port": 5432}, {"host": server.v4, "port": 5432}]
    verdict = lab.check("postgresql", entry(server, lab.password, address=addresses))
    expect(verdict, "one of two entries does not resolve", code=None, state=FINE, within=1,
           warnings=["DNS.SOME_ADDRESSES_FAIL"])  # fmt: skip
    assert any("gone.lab.test" in warning.message for warning in verdict.warnings)
    verdict = lab.check("postgresql", entry(server, lab.password, address=addresses, password=lab.wrong_password))
    expect(verdict, "two entries, wrong password", code="AUTH.BAD_CREDENTIALS", state=CONFIG, within=1)


def test_port_typo(lab: Lab, expect: Expectation, server: PostgreSQL) -> None:
    for tls in ("disable", "require"):
        typo = entry(server, lab.password, address={"host": server.v4, "port": 5433}, properties={"sslmode": tls})
        expect(lab.check("postgresql", typo), "port typo", code="PORT.PROBABLY_TYPO", state=UNREACHABLE, within=1,
               component=f"{server.v4}:5433", remedy="5432")  # fmt: skip


def test_closed_port_beside_another_protocol_is_no_typo(lab: Lab, expect: Expectation) -> None:
    with lab.listener("ssh", 5432) as listener:
        typo = entry(listener.host, lab.password, address={"host": listener.host, "port": 5433})
        expect(lab.check("postgresql", typo), "port closed, SSH on the usual one", code="PORT.CLOSED",
               state=UNREACHABLE, within=1.5)  # fmt: skip


# -- peers that are not what they should be ---------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["disable", "prefer", "require"])
@pytest.mark.parametrize(
    ("kind", "name"),
    [("http", "HTTP"), ("ssh", "SSH"), ("mysql", "MySQL"), ("redis", "Redis"), ("smtp", "SMTP"), ("ftp", "FTP")],
)
def test_another_protocol(lab: Lab, expect: Expectation, kind: str, name: str, tls: str) -> None:
    with lab.listener(kind, 5432) as listener:
        verdict = lab.check("postgresql", entry(listener.host, lab.password, properties={"sslmode": tls}), timeout=2)
        expect(verdict, f"port speaks {name}", code="PROTO.MISMATCH", state=CONFIG, within=2.5,
               component=f"{listener.host}:5432")  # fmt: skip
        assert name in verdict.message
        assert lab.password.encode() not in b"".join(listener.heard)


def test_real_neighbours_are_told(lab: Lab, expect: Expectation) -> None:
    for server, port, name in ((lab.redis(), 6379, "Redis"), (lab.mariadb(), 3306, "MySQL"), (lab.http(), 80, "HTTP")):
        wrong = entry(server.v4, lab.password, address={"host": server.v4, "port": port})
        verdict = lab.check("postgresql", wrong, timeout=2)
        expect(verdict, f"port of a real {name} server", code="PROTO.MISMATCH", state=CONFIG, within=2.5)
        assert name in verdict.message


def test_tls_from_the_first_byte(lab: Lab, expect: Expectation) -> None:
    server = lab.http(tls=lab.ca.issue("www.lab.test"))
    wrong = entry(server.v4, lab.password, address={"host": server.v4, "port": 443})
    for tls in ("disable", "require"):
        verdict = lab.check("postgresql", {**wrong, "properties": {"sslmode": tls}}, timeout=2)
        expect(verdict, "port speaks TLS from its first byte", code="PROTO.MISMATCH", state=CONFIG, within=2.5)


@pytest.mark.parametrize("tls", ["disable", "prefer", "require"])
def test_mute(lab: Lab, expect: Expectation, tls: str) -> None:
    with lab.listener("mute", 5432) as listener:
        verdict = lab.check("postgresql", entry(listener.host, lab.password, properties={"sslmode": tls}), timeout=2)
        expect(verdict, "accepts and never speaks", code="PEER.MUTE", state=UNREACHABLE, within=2.5,
               component=f"{listener.host}:5432")  # fmt: skip
        assert lab.password.encode() not in b"".join(listener.heard)


@pytest.mark.parametrize("kind", ["close", "reset", "close-after-hello", "reset-after-hello"])
def test_hangs_up(lab: Lab, expect: Expectation, kind: str) -> None:
    with lab.listener(kind, 5432) as listener:
        verdict = lab.check("postgresql", entry(listener.host, lab.password), timeout=2)
        expect(verdict, f"peer: {kind}", code="PEER.RESET_EARLY", state=UNREACHABLE, within=1,
               component=f"{listener.host}:5432")  # fmt: skip


def test_garbage(lab: Lab, expect: Expectation) -> None:
    with lab.listener("garbage", 5432) as listener:
        verdict = lab.check("postgresql", entry(listener.host, lab.password), timeout=2)
        expect(verdict, "port speaks something unknown", code="PROTO.MISMATCH", state=CONFIG, within=1)
        assert "unknown protocol" in verdict.message


def test_slow_but_progressing(lab: Lab, expect: Expectation) -> None:
    # The beginning of a request for a password, a byte at a time: the protocol is right and the peer is at it.
    notice = b"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"
    with lab.listener("slow", 5432, greeting=notice, pace=0.3) as listener:
        verdict = lab.check(
            "postgresql", entry(listener.host, lab.password, properties={"sslmode": "disable"}), timeout=2
        )
        expect(verdict, "slow, but progressing", code="PROBE.DEADLINE", state=UNSUPPORT, within=2.5)


def test_a_password_goes_to_no_one_who_has_not_spoken_postgresql(lab: Lab) -> None:
    for kind in ("mute", "http", "garbage", "close-after-hello", "postgresql"):
        with lab.listener(kind, 5432) as listener:
            lab.check("postgresql", entry(listener.host, lab.password), timeout=1)
            assert lab.password.encode() not in b"".join(listener.heard), kind


# -- what is configured -----------------------------------------------------------------------------------------------


def test_secret_that_is_not_there(lab: Lab, expect: Expectation, server: PostgreSQL) -> None:
    verdict = lab.check("postgresql", entry(server, "env:HEADWATER_LAB_NOBODY_SETS_THIS"))
    expect(verdict, "secret reference leads nowhere", code="CONFIG.SECRET_UNRESOLVED", state=CONFIG, within=0.5)
    assert "HEADWATER_LAB_NOBODY_SETS_THIS" in verdict.message + verdict.remedy + verdict.component


@pytest.mark.parametrize(
    ("kind", "changes", "code"),
    [
        ("port out of range", {"address": {"host": "db", "port": 70000}}, "CONFIG.BAD_VALUE"),
        ("host that is no host", {"address": {"host": "not a host!", "port": 5432}}, "CONFIG.BAD_VALUE"),
        ("no database given", {"database": None}, "CONFIG.MISSING_FIELD"),
        ("no user name given", {"username": None}, "CONFIG.MISSING_FIELD"),
        ("no address given", {"address": None}, "CONFIG.MISSING_FIELD"),
    ],
)
def test_configuration(lab: Lab, expect: Expectation, kind: str, changes: dict[str, Any], code: str) -> None:
    verdict = lab.check("postgresql", entry("db", lab.password, **changes))
    expect(verdict, kind, code=code, state=CONFIG, within=0.5, owner="user")


def test_stages_tell_the_story(lab: Lab, server: PostgreSQL) -> None:
    verdict = lab.check("postgresql", entry(server, lab.password, database="absent"))
    told = {stage.name: stage.status for stage in verdict.stages}
    assert next(iter(told)) == "config"
    assert told["login"] is Status.PASSED
    assert told["target"] is Status.FAILED
    assert told["privilege"] is Status.SKIPPED
    assert stage(verdict, "target")["sqlstate"] == "3D000"
    assert stage(verdict, "connect")["source_address"] == "10.77.1.2"


def test_alias_of_the_server(lab: Lab, expect: Expectation, server: PostgreSQL) -> None:
    lab.name("real", server.v4)
    with lab.names.answering("alias", Answer(cname="real")) as name:
        verdict = lab.check("postgresql", entry(name, lab.password))
    expect(verdict, "alias (CNAME) of the server", code=None, state=FINE, within=1)
    assert stage(verdict, "resolve")["canonical_name"] == "real.lab.test"


def test_password_from_a_file(lab: Lab, expect: Expectation, server: PostgreSQL, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(lab.password + "\n")
    verdict = lab.check("postgresql", entry(server, f"file:{tmp_path}/password"))
    expect(verdict, "password from a file", code=None, state=FINE, within=1)
