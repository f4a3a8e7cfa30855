"""MySQL's protocol against MariaDB: every failure kind, and the server's own answers in three languages."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from registry.connection import Mode
from registry.types import get
from tasks.check import check
from tasks.target import Target
from tasks.vantages.local import LocalVantage
from tests.lab.certificates import Authority, Certificate
from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, WRONG_PASSWORD, MariaDB
from tests.lab.topology import VANTAGES

OK, CONFIG, UNREACHABLE = "Connectable", "ConfigError", "Unreachable"
LANGUAGES = ("en", "de_DE", "ja_JP", "zh_CN")
PLAIN = {"sslMode": "DISABLED"}
HERE = VANTAGES["client"].v4
NAME = "mysql.lab.test"
#: Seconds for whatever somebody answers: an answer takes milliseconds, the first check at a vantage somewhat more.
SOON = 1.0


def entry(host: str, **changes: Any) -> dict[str, Any]:
    """An entry for `app` and the database `shop`."""
    address = {"host": host, "port": changes.pop("port", 3306)}
    return {"address": address, "database": "shop", "username": "app", "password": PASSWORD, **changes}


_NETWORK = HERE.rpartition(".")[0] + ".%"
_ACCOUNTS = f"""
CREATE USER locked@'%' IDENTIFIED BY '{PASSWORD}' ACCOUNT LOCK;
CREATE USER expired@'%' IDENTIFIED BY '{PASSWORD}' PASSWORD EXPIRE;
CREATE USER by_socket@'%' IDENTIFIED VIA unix_socket;
CREATE USER by_either@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('{PASSWORD}') OR unix_socket;
CREATE USER by_pam@'%' IDENTIFIED VIA pam;
CREATE USER by_ed25519@'%' IDENTIFIED VIA ed25519 USING PASSWORD('{PASSWORD}');
CREATE USER by_tls@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL;
CREATE USER by_x509@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE X509;
CREATE USER limited@'%' IDENTIFIED BY '{PASSWORD}' WITH MAX_USER_CONNECTIONS 1;
CREATE USER one_table@'%' IDENTIFIED BY '{PASSWORD}';
CREATE USER one_net@'{_NETWORK}' IDENTIFIED BY '{PASSWORD}';
GRANT SELECT ON shop.order_lines TO one_net@'{_NETWORK}';
CREATE USER one_column@'%' IDENTIFIED BY '{PASSWORD}'; GRANT SELECT (id) ON shop.orders TO one_column@'%';
CREATE ROLE reader; GRANT SELECT ON shop.* TO reader;
CREATE USER by_role@'%' IDENTIFIED BY '{PASSWORD}'; GRANT reader TO by_role@'%';
SET DEFAULT ROLE reader FOR by_role@'%';
CREATE USER writes_only@'%' IDENTIFIED BY '{PASSWORD}';
CREATE USER lists@'%' IDENTIFIED BY '{PASSWORD}';
CREATE USER everywhere@'%' IDENTIFIED BY '{PASSWORD}';
CREATE USER elsewhere@'{VANTAGES["elsewhere"].v4}' IDENTIFIED BY '{PASSWORD}';
CREATE DATABASE vault; CREATE TABLE vault.gold (id int);
CREATE DATABASE bare;
CREATE TABLE vault.gone (id int); CREATE VIEW shop.broken AS SELECT id FROM vault.gone; DROP TABLE vault.gone;
GRANT SELECT ON shop.* TO expired@'%', by_socket@'%', by_either@'%', by_pam@'%', by_ed25519@'%', by_tls@'%',
  by_x509@'%', limited@'%';
GRANT SELECT ON shop.order_lines TO one_table@'%';
GRANT INSERT ON shop.* TO writes_only@'%'; GRANT EXECUTE ON bare.* TO writes_only@'%';
GRANT SHOW DATABASES ON *.* TO lists@'%';
GRANT SELECT ON *.* TO everywhere@'%';
"""


@dataclass(frozen=True)
class Shop:
    """A MariaDB that speaks one language."""

    server: MariaDB
    language: str

    def entry(self, **changes: Any) -> dict[str, Any]:
        return entry(self.server.v4, **changes)


def started(lab: Lab, own: str, language: str, **options: Any) -> Shop:
    spoken = "" if language == "en" else language
    return Shop(lab.mariadb(own=own, language=spoken, **options), language)


@pytest.fixture(scope="module", params=LANGUAGES)
def shop(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Shop]:
    """One with TLS and with an account for every trouble."""
    made = started(lab, "accounts", request.param, tls=lab.ca.issue(NAME))
    made.server.sql("INSTALL SONAME 'auth_ed25519'", "INSTALL SONAME 'auth_pam'", _ACCOUNTS)
    yield made
    made.server.stop()


@pytest.fixture(scope="module", params=LANGUAGES)
def guarded(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Shop]:
    """One that knows clients by address: its only account for the network is `app` at the vantage `client`."""
    options = {"skip-name-resolve": "OFF", "max-connections": 10}
    made = started(lab, "guarded", request.param, options=options)
    made.server.sql(f"RENAME USER app@'%' TO app@'{HERE}'", "FLUSH PRIVILEGES")
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def server(lab: Lab) -> MariaDB:
    """The plain one, without TLS."""
    return lab.mariadb()


@contextlib.contextmanager
def greeted(lab: Lab, host: str, count: int) -> Iterator[None]:
    """So many clients that have been greeted and say nothing."""
    with contextlib.ExitStack() as stack, lab.inside("client"):
        for _ in range(count):
            sock = stack.enter_context(socket.create_connection((host, 3306), timeout=5))
            sock.recv(4096)
        yield


# -- it works ---------------------------------------------------------------------------------------------------------


def test_good(lab: Lab, expect: Expectation, shop: Shop) -> None:
    verdict = lab.check("mysql", shop.entry())
    expect(verdict, "good", code=None, state=OK, within=SOON, warnings=["TLS.NOT_VERIFIED"], language=shop.language)
    evidence = {stage.name: stage.evidence for stage in verdict.stages}
    assert evidence["tls"]["tls_version"] == "TLSv1.3"
    assert evidence["privilege"]["read"] in ("orders", "order_lines")
    assert evidence["privilege"]["source_address_seen_by_server"] == HERE
    assert abs(evidence["privilege"]["clock_skew_s"]) < 5


@pytest.mark.parametrize("type_", ["mysql", "mariadb"])
def test_good_in_every_way(lab: Lab, expect: Expectation, server: MariaDB, type_: str) -> None:
    for kind, given in (
        ("good, IPv4", entry(server.v4)),
        ("good, IPv6", entry(server.host.v6)),
        ("good, Unix socket", entry(str(server.socket))),
        ("good, bound tables", entry(server.v4, objects=["orders", "shop.order_lines", "`shop`.`orders`"])),
        ("good, TLS preferred and not offered", entry(server.v4, properties={"sslMode": "PREFERRED"})),
    ):
        expect(lab.check(type_, given), kind, code=None, state=OK, within=SOON)


@pytest.mark.parametrize("username", ["by_ed25519", "by_tls", "by_either", "one_table", "one_column", "by_role"])
def test_good_with_other_accounts(lab: Lab, expect: Expectation, shop: Shop, username: str) -> None:
    verdict = lab.check("mysql", shop.entry(username=username))
    expect(verdict, f"good, account {username}", code=None, state=OK, within=SOON, language=shop.language)


def test_an_empty_database_is_connectable_with_a_caution(lab: Lab, expect: Expectation, shop: Shop) -> None:
    verdict = lab.check("mysql", shop.entry(username="everywhere", database="bare"))
    expect(verdict, "empty database", code=None, state=OK, within=SOON, language=shop.language)
    assert verdict.stages[-1].status == "warned"


def test_nearly_full(lab: Lab, expect: Expectation, guarded: Shop) -> None:
    with greeted(lab, guarded.server.v4, 9):
        verdict = lab.check("mysql", guarded.entry())
    expect(
        verdict, "nearly full", code=None, state=OK, within=SOON, warnings=["CAPACITY.NEARLY_FULL"],
        language=guarded.language,
    )  # fmt: skip


# -- what the server answers, in every language -----------------------------------------------------------------------

#: Kind, what is changed in the entry, and what the verdict must say.
_TWO = ("TARGET.NO_CONNECT", "TARGET.MISSING")
ANSWERS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("wrong password", {"password": WRONG_PASSWORD}, {"code": "AUTH.BAD_CREDENTIALS", "component": "app"}),
    ("wrong password, no TLS", {"password": WRONG_PASSWORD, "properties": PLAIN}, {"code": "AUTH.BAD_CREDENTIALS"}),
    ("wrong password, Ed25519", {"username": "by_ed25519", "password": "no"}, {"code": "AUTH.BAD_CREDENTIALS"}),
    ("wrong password or socket", {"username": "by_either", "password": "no"}, {"code": "AUTH.BAD_CREDENTIALS"}),
    ("no password", {"password": None}, {"code": "AUTH.BAD_CREDENTIALS", "remedy": "Set password"}),
    ("unknown user", {"username": "nobody"}, {"code": "AUTH.BAD_CREDENTIALS", "component": "nobody"}),
    ("account of another host", {"username": "elsewhere"}, {"code": "AUTH.BAD_CREDENTIALS", "remedy": "the host must"}),
    ("account REQUIRE X509", {"username": "by_x509"}, {"code": "AUTH.BAD_CREDENTIALS", "remedy": "keystore_file"}),
    (
        "account REQUIRE SSL, no TLS",
        {"username": "by_tls", "properties": PLAIN},
        {"code": "TLS.REQUIRED", "component": "sslMode", "remedy": "sslMode: REQUIRED"},
    ),
    ("account locked", {"username": "locked"}, {"code": "AUTH.EXPIRED_OR_LOCKED", "remedy": "ACCOUNT UNLOCK"}),
    ("password expired", {"username": "expired"}, {"code": "AUTH.EXPIRED_OR_LOCKED", "remedy": "a new password"}),
    (
        "account by unix_socket",
        {"username": "by_socket"},
        {"code": "AUTH.METHOD_UNSUPPORTED", "component": "unix_socket"},
    ),
    ("account by PAM", {"username": "by_pam"}, {"code": "AUTH.METHOD_UNSUPPORTED", "component": "dialog"}),
    (
        "unknown database",
        {"username": "everywhere", "database": "nope"},
        {"code": "TARGET.MISSING", "component": "nope", "remedy": "CREATE DATABASE nope"},
    ),
    (
        "unknown database, seen by all",
        {"username": "lists", "database": "nope"},
        {"code": "TARGET.MISSING", "component": "nope"},
    ),
    (
        "no grant on the database, seen by all",
        {"username": "lists", "database": "vault"},
        {"code": "TARGET.NO_CONNECT", "component": "vault", "remedy": "GRANT SELECT ON vault.* TO 'lists'@'%';"},
    ),
    (
        "unknown database, hidden",
        {"database": "nope"},
        {"code": "INCONCLUSIVE", "alternatives": _TWO, "component": "nope", "remedy": "SHOW DATABASES LIKE 'nope'"},
    ),
    (
        "no grant on the database, hidden",
        {"database": "vault"},
        {"code": "INCONCLUSIVE", "alternatives": _TWO, "component": "vault", "remedy": "ON vault.* TO 'app'@'%';"},
    ),
    (
        "object missing",
        {"objects": ["orders", "nope"]},
        {"code": "TARGET.OBJECT_MISSING", "component": "nope", "remedy": "nope"},
    ),
    (
        "object denied",
        {"username": "one_table", "objects": ["orders"]},
        {"code": "PRIV.OBJECT_DENIED", "component": "orders", "remedy": "ON shop.orders TO 'one_table'@'%';"},
    ),
    (
        "object denied to an account of one network",
        {"username": "one_net", "objects": ["orders"]},
        {"code": "PRIV.OBJECT_DENIED", "remedy": f"GRANT SELECT ON shop.orders TO 'one_net'@'{_NETWORK}';"},
    ),
    (
        "object of another database denied",
        {"objects": ["vault.gold"]},
        {"code": "PRIV.OBJECT_DENIED", "component": "vault.gold"},
    ),
    (
        "view over nothing",
        {"objects": ["broken"]},
        {
            "code": "INCONCLUSIVE",
            "alternatives": ("PRIV.OBJECT_DENIED", "TARGET.OBJECT_MISSING"),
            "component": "broken",
            "remedy": "SHOW CREATE VIEW",
        },
    ),
    (
        "nothing readable",
        {"username": "writes_only"},
        {"code": "PRIV.OBJECT_DENIED", "component": "any table of shop", "remedy": "ON shop.* TO 'writes_only'@'%';"},
    ),
    (
        "nothing visible",
        {"username": "writes_only", "database": "bare"},
        {"code": "PRIV.OBJECT_DENIED", "component": "any table of bare"},
    ),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "changes", "expected"), ANSWERS, ids=[kind for kind, _, _ in ANSWERS])
def test_answers(
    lab: Lab, expect: Expectation, shop: Shop, kind: str, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    verdict = lab.check("mysql", shop.entry(**changes))
    expect(verdict, kind, state=CONFIG, within=SOON, language=shop.language, **expected)


def test_server_requires_tls(lab: Lab, expect: Expectation, shop: Shop) -> None:
    shop.server.sql("SET GLOBAL require_secure_transport = ON")
    try:
        refused = lab.check("mysql", shop.entry(properties=PLAIN))
        admitted = lab.check("mysql", shop.entry())
    finally:
        shop.server.sql("SET GLOBAL require_secure_transport = OFF")
    expect(
        refused, "server requires TLS", code="TLS.REQUIRED", state=CONFIG, within=SOON, component="sslMode",
        language=shop.language,
    )  # fmt: skip
    assert admitted.cause is None


def test_too_many_connections_of_the_account(lab: Lab, expect: Expectation, shop: Shop) -> None:
    with lab.inside("client"):
        command = ["mariadb", "--no-defaults", "--skip-ssl", "-h", shop.server.v4, "-u", "limited", f"-p{PASSWORD}"]
        busy = subprocess.Popen([*command, "-e", "SELECT SLEEP(20)"], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: "limited" in shop.server.sql("SHOW PROCESSLIST"))
        verdict = lab.check("mysql", shop.entry(username="limited"))
    finally:
        busy.kill()
        busy.wait()
    expect(
        verdict, "too many connections of the account", code="CAPACITY.CONNECTIONS", state=CONFIG, within=SOON,
        component=shop.server.v4, language=shop.language,
    )  # fmt: skip


def wait_for(condition: Callable[[], bool], seconds: float = 5) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come to be"
        time.sleep(0.02)


def test_too_many_connections(lab: Lab, expect: Expectation, guarded: Shop) -> None:
    with greeted(lab, guarded.server.v4, 11):
        verdict = lab.check("mysql", guarded.entry())
    expect(
        verdict, "too many connections", code="CAPACITY.CONNECTIONS", state=CONFIG, within=SOON,
        component=guarded.server.v4, language=guarded.language,
    )  # fmt: skip
    assert next(stage for stage in verdict.stages if stage.name == "admit").evidence["mysql_error"] == 1040


def test_host_not_allowed(lab: Lab, expect: Expectation, guarded: Shop) -> None:
    there = VANTAGES["elsewhere"].v4
    verdict = lab.check("mysql", guarded.entry(), vantage="elsewhere")
    expect(
        verdict, "host not allowed", code="ADMIT.ALLOWLIST", state=UNREACHABLE, within=SOON, component=there,
        remedy=f"{there}/32", language=guarded.language,
    )  # fmt: skip


def test_host_blocked(lab: Lab, expect: Expectation, guarded: Shop) -> None:
    guarded.server.sql("SET GLOBAL max_connect_errors = 2")
    try:
        for _ in range(4):
            with greeted(lab, guarded.server.v4, 1):
                pass
        verdict = lab.check("mysql", guarded.entry())
    finally:
        guarded.server.sql("SET GLOBAL max_connect_errors = 100", "FLUSH HOSTS")
    expect(
        verdict, "host blocked", code="CAPACITY.CONNECTIONS", state=CONFIG, within=SOON, component=HERE,
        remedy="FLUSH HOSTS", language=guarded.language,
    )  # fmt: skip
    assert lab.check("mysql", guarded.entry()).cause is None


def test_a_replica_where_a_writer_is_wanted(lab: Lab, expect: Expectation, server: MariaDB) -> None:
    """The property is one that only an audited permit keeps."""
    connection = get("mysql").modes[Mode.CONNECTION_STRING].model_validate(
        {**entry(server.v4), "password": "env:X", "properties": {"targetServerType": "primary"}}
    )  # fmt: skip
    target = Target(
        "lab", "orders", "mysql", "dev", "client", "mysql", 3306, connection, lambda: {"password": SecretStr(PASSWORD)}
    )
    server.sql("SET GLOBAL read_only = ON")
    try:
        with lab.inside("client"):
            verdict = asyncio.run(check(target, LocalVantage("client")))
    finally:
        server.sql("SET GLOBAL read_only = OFF")
    expect(verdict, "replica, writer wanted", code="SERVER.WRONG_ROLE", state=CONFIG, within=SOON, component=server.v4)


# -- TLS --------------------------------------------------------------------------------------------------------------


def secure(lab: Lab, own: str = "secure", name: str = NAME, **made: Any) -> str:
    """A server with a certificate under a name that resolves; gives the name."""
    server = lab.mariadb(own=own, tls=_certificate(lab, own, name, **made))
    if own == "secure":
        account = f"CREATE OR REPLACE USER by_x509@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE X509"
        server.sql(account, "GRANT SELECT ON shop.* TO by_x509@'%'")
    host = NAME.partition(".")[0] if own == "secure" else own
    return lab.name(host, server.v4)


_certificates: dict[tuple[int, str], Certificate] = {}


def _certificate(lab: Lab, own: str, name: str, **made: Any) -> Certificate:
    """Issued once: the lab finds a server again by its options, the certificate among them."""
    key = (id(lab), own)
    if key not in _certificates:
        _certificates[key] = lab.ca.issue(name, **made)
    return _certificates[key]


def verifying(lab: Lab, host: str, mode: str = "VERIFY_IDENTITY", **changes: Any) -> dict[str, Any]:
    return entry(
        host, truststore_file=f"file:{changes.pop('ca', lab.ca.bundle)}", properties={"sslMode": mode}, **changes
    )


@pytest.mark.parametrize("mode", ["VERIFY_CA", "VERIFY_IDENTITY"])
def test_a_trusted_certificate(lab: Lab, expect: Expectation, mode: str) -> None:
    verdict = lab.check("mysql", verifying(lab, secure(lab), mode))
    expect(verdict, f"good, {mode}", code=None, state=OK, within=SOON)
    assert "TLS.NOT_VERIFIED" not in {warning.code for warning in verdict.warnings}


def test_tls_not_offered(lab: Lab, expect: Expectation, server: MariaDB) -> None:
    for given in ({"properties": {"sslMode": "REQUIRED"}}, {"security_protocol": "authTypeSsl"}):
        verdict = lab.check("mysql", entry(server.v4, **given))
        expect(
            verdict, "TLS not offered", code="TLS.NOT_OFFERED", state=CONFIG, within=SOON, component=f"{server.v4}:3306"
        )


def test_untrusted_authority(lab: Lab, expect: Expectation) -> None:
    other = Authority(lab.network.directory, "Other CA")
    verdict = lab.check("mysql", verifying(lab, secure(lab), ca=other.bundle))
    expect(verdict, "untrusted CA", code="TLS.UNTRUSTED_CA", state=CONFIG, within=SOON, component="Lab Root CA")


def test_wrong_name(lab: Lab, expect: Expectation) -> None:
    host = secure(lab, own="misnamed", name="somebody.else.test")
    verdict = lab.check("mysql", verifying(lab, host))
    expect(
        verdict, "wrong name", code="TLS.NAME_MISMATCH", state=CONFIG, within=SOON, component=host,
        remedy="somebody.else.test",
    )  # fmt: skip
    assert lab.check("mysql", verifying(lab, host, "VERIFY_CA")).cause is None


def test_expired_certificate(lab: Lab, expect: Expectation) -> None:
    host = secure(lab, own="overdue", name="overdue.lab.test", valid_from=-9, valid_to=-2)
    verdict = lab.check("mysql", verifying(lab, host))
    expect(verdict, "expired certificate", code="TLS.EXPIRED", state=CONFIG, within=SOON, component="overdue.lab.test")


def test_certificate_not_yet_valid(lab: Lab, expect: Expectation) -> None:
    host = secure(lab, own="early", name="early.lab.test", valid_from=2, valid_to=9)
    verdict = lab.check("mysql", verifying(lab, host))
    expect(verdict, "certificate not yet valid", code="TLS.NOT_YET_VALID", state=CONFIG, within=SOON, component="early")


def test_certificate_expires_soon(lab: Lab, expect: Expectation) -> None:
    host = secure(lab, own="ageing", name="ageing.lab.test", valid_to=9)
    verdict = lab.check("mysql", verifying(lab, host))
    expect(verdict, "certificate expires soon", code=None, state=OK, within=SOON, warnings=["TLS.EXPIRES_SOON"])


def test_client_certificate(lab: Lab, expect: Expectation) -> None:
    host = secure(lab)

    def given(certificate: Certificate) -> dict[str, Any]:
        files = {"keystore_file": f"file:{certificate.certificate}", "key_file": f"file:{certificate.key}"}
        return verifying(lab, host, username="by_x509", **files)

    known = lab.check("mysql", given(lab.ca.issue("app", client=True)))
    expect(known, "good, client certificate", code=None, state=OK, within=SOON)
    other = Authority(lab.network.directory, "Other CA")
    unknown = lab.check("mysql", given(other.issue("app", client=True)))
    expect(
        unknown, "client certificate of another CA", code="TLS.CLIENT_CERT", state=CONFIG, within=SOON,
        component="keystore_file",
    )  # fmt: skip


# -- the way there ----------------------------------------------------------------------------------------------------


def test_unknown_name(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("mysql", entry("nobody.lab.test"))
    expect(verdict, "unknown name", code="DNS.NXDOMAIN", state=UNREACHABLE, within=SOON, component="nobody.lab.test")


def test_closed_port(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    verdict = lab.check("mysql", entry(host))
    expect(verdict, "closed port", code="PORT.CLOSED", state=UNREACHABLE, within=SOON, component=f"{host}:3306")


def test_mistyped_port(lab: Lab, expect: Expectation, server: MariaDB) -> None:
    verdict = lab.check("mysql", entry(server.v4, port=3307))
    expect(
        verdict, "mistyped port", code="PORT.PROBABLY_TYPO", state=UNREACHABLE, within=SOON,
        component=f"{server.v4}:3307", remedy="3306",
    )  # fmt: skip


def test_no_socket(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("mysql", entry("/nowhere/mysqld.sock"))
    expect(verdict, "no socket file", code="PORT.CLOSED", state=UNREACHABLE, within=SOON, component="/nowhere")


def test_firewall_drops(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    with lab.filter("drop", host, 3306):
        verdict = lab.check("mysql", entry(host), timeout=2)
    expect(verdict, "firewall drops", code="FILTER.DROP", state=UNREACHABLE, within=2.5, component=f"{host}:3306")


@pytest.mark.parametrize("action", ["port-unreachable", "admin-prohibited"])
def test_firewall_rejects(lab: Lab, expect: Expectation, action: str) -> None:
    host = lab.host().v4
    with lab.filter(action, host, 3306):
        verdict = lab.check("mysql", entry(host))
    expect(
        verdict, f"firewall rejects, {action}", code="FILTER.REJECT", state=UNREACHABLE, within=SOON,
        component="10.77.1.1",
    )  # fmt: skip


def test_no_route(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("mysql", entry(lab.dead.LOCAL_UNREACHABLE))
    expect(verdict, "no route", code="ROUTE.NONE", state=UNREACHABLE, within=SOON, component=lab.dead.LOCAL_UNREACHABLE)


def test_one_of_several_addresses_fails(lab: Lab, expect: Expectation, server: MariaDB) -> None:
    dead = lab.host().v4
    for given in (
        entry(lab.name("mysql-pair", server.v4, dead)),
        {**entry(server.v4), "address": [{"host": dead, "port": 3306}, {"host": server.v4, "port": 3306}]},
    ):
        verdict = lab.check("mysql", given)
        expect(
            verdict, "one of two addresses fails", code=None, state=OK, within=SOON,
            warnings=["DNS.SOME_ADDRESSES_FAIL"],
        )  # fmt: skip
        assert any(dead in warning.message and "PORT.CLOSED" in warning.message for warning in verdict.warnings)


# -- somebody else, or nobody -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mute", "close", "reset"])
def test_a_peer_without_a_greeting(lab: Lab, expect: Expectation, kind: str) -> None:
    code = "PEER.MUTE" if kind == "mute" else "PEER.RESET_EARLY"
    with lab.listener(kind, 3306) as listener:
        verdict = lab.check("mysql", entry(listener.host), timeout=2)
    expect(
        verdict, f"accepts, then {kind}", code=code, state=UNREACHABLE, within=2.5, component=f"{listener.host}:3306"
    )


def test_a_server_that_hangs_after_its_greeting(lab: Lab, expect: Expectation) -> None:
    with lab.listener("mysql", 3306) as listener:
        verdict = lab.check("mysql", entry(listener.host, properties=PLAIN), timeout=2)
    expect(verdict, "hangs after its greeting", code="PEER.MUTE", state=UNREACHABLE, within=2.5)


def test_a_peer_that_is_slow(lab: Lab, expect: Expectation) -> None:
    with lab.listener("slow", 3306, pace=0.5) as listener:
        verdict = lab.check("mysql", entry(listener.host), timeout=2)
    expect(verdict, "slow", code="PROBE.DEADLINE", state="Unsupport", within=2.5)


@pytest.mark.parametrize("kind", ["ssh", "ftp", "smtp", "garbage", "http", "redis"])
def test_a_listener_of_another_protocol(lab: Lab, expect: Expectation, kind: str) -> None:
    with lab.listener(kind, 3306) as listener:
        verdict = lab.check("mysql", entry(listener.host), timeout=2)
    expect(
        verdict, f"another protocol: {kind}", code="PROTO.MISMATCH", state=CONFIG, within=2.5,
        component=f"{listener.host}:3306", remedy="3306",
    )  # fmt: skip
    # No word of a login, and no scrambled password: only what the witnesses ask, who also say hello in TLS.
    asked = [heard for heard in listener.heard if not heard.startswith(b"\x16\x03")]
    assert all(b"app" not in heard for heard in listener.heard)
    assert all(len(heard) < 32 for heard in asked)


@pytest.mark.parametrize(("kind", "title"), [("postgresql", "PostgreSQL"), ("redis", "Redis"), ("http", "HTTP")])
def test_a_server_of_another_protocol(lab: Lab, expect: Expectation, kind: str, title: str) -> None:
    other = getattr(lab, kind)()
    verdict = lab.check("mysql", entry(other.v4, port=other.port), timeout=2)
    expect(
        verdict, f"another server: {kind}", code="PROTO.MISMATCH", state=CONFIG, within=2.5,
        component=f"{other.v4}:{other.port}",
    )  # fmt: skip
    assert title in verdict.message
