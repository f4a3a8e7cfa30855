"""The lab itself: what a scenario takes for granted is really so."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import struct
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import asyncpg
import dns.message
import dns.query
import dns.rcode
import pytest

from registry.verdict import STAGES, Stage, Status, Verdict
from tests.lab.expectation import check_invariants
from tests.lab.lab import Lab
from tests.lab.nameserver import Answer
from tests.lab.servers import PASSWORD
from tests.lab.topology import ACTIONS, CANARIES, ECHO, NAME_SERVER, VANTAGES, Dead, address_of, number_of


def connect(lab: Lab, host: str, port: int, *, vantage: str = "client", timeout: float = 2.0) -> socket.socket:
    with lab.inside(vantage):
        return socket.create_connection((host, port), timeout=timeout)


def failure(lab: Lab, host: str, port: int, *, vantage: str = "client", timeout: float = 2.0) -> int | None:
    """The errno of a failed connect; None when nothing answers in time."""
    with pytest.raises(OSError) as caught:
        connect(lab, host, port, vantage=vantage, timeout=timeout)
    return caught.value.errno


@pytest.fixture(scope="module")
def echo(lab: Lab) -> Iterator[str]:
    """A machine with something on port 7 and 5432."""
    host = lab.host().v4
    with lab.listener("mute", 7, host), lab.listener("mute", 5432, host):
        yield host


@pytest.mark.parametrize("vantage", VANTAGES)
def test_a_vantage_reaches_the_servers_from_its_own_address(lab: Lab, echo: str, vantage: str) -> None:
    with connect(lab, echo, 7, vantage=vantage) as connection:
        assert connection.getsockname()[0] == VANTAGES[vantage].v4


def test_both_address_families_and_public_addresses_lead_to_one_machine(lab: Lab) -> None:
    host = lab.host()
    for address in (host.v4, host.v6, host.public, host.public_v6):
        with lab.listener("mute", 7, address), connect(lab, address, 7) as connection:
            assert connection.getpeername()[0] == address


def test_public_targets_see_the_address_of_the_nat_and_internal_ones_the_vswitch(lab: Lab) -> None:
    host = lab.host()
    for vantage, public in (("serverless_nat", "25.77.20.1"), ("exclusive", "25.77.22.1"), ("onprem", "25.77.30.1")):
        with lab.inside(vantage), urllib.request.urlopen("http://{}:{}/".format(*ECHO), timeout=2) as answer:
            assert answer.read().decode().strip() == public
        with lab.listener("close", 7, host.v4) as listener, connect(lab, host.v4, 7, vantage=vantage) as connection:
            assert connection.recv(1) == b""
            assert listener.peers == [VANTAGES[vantage].v4]


def test_serverless_without_nat_reaches_the_inside_and_nothing_public(lab: Lab, echo: str) -> None:
    connect(lab, echo, 7, vantage="serverless").close()
    for host, port in CANARIES:
        assert failure(lab, host, port, vantage="serverless", timeout=0.3) is None
        for vantage in VANTAGES.keys() - {"serverless", "nogateway"}:
            connect(lab, host, port, vantage=vantage).close()


def test_a_name_server_per_side_has_a_view_of_its_own(lab: Lab) -> None:
    lab.name("everywhere", "10.77.2.10")
    lab.name("split", "25.77.0.10")
    lab.views["vpc"]["split"] = Answer(a=["10.77.2.10"])
    lab.views["office"]["split"] = Answer(rcode="NXDOMAIN")
    for vantage, expected in (("client", ["25.77.0.10"]), ("exclusive", ["10.77.2.10"]), ("onprem", [])):
        assert addresses(ask(lab, "everywhere.lab.test", vantage=vantage)) == ["10.77.2.10"]
        assert addresses(ask(lab, "split.lab.test", vantage=vantage)) == expected


def test_the_second_network_of_servers_is_reached_like_the_first(lab: Lab) -> None:
    host = address_of(300)
    assert number_of(host) == 300
    for vantage in ("client", "nogateway", "serverless", "onprem"):
        assert failure(lab, host.v4, 7, vantage=vantage) == errno.ECONNREFUSED
    for address in (host.v6, host.public, host.public_v6):
        assert failure(lab, address, 7) == errno.ECONNREFUSED


def test_a_vantage_without_default_route_reaches_nothing_public(lab: Lab) -> None:
    assert failure(lab, lab.host().public, 7, vantage="nogateway") == errno.ENETUNREACH


def test_egress_filter_stops_known_ports_only(lab: Lab, echo: str) -> None:
    assert failure(lab, echo, 5432, vantage="egress", timeout=0.3) is None
    connect(lab, echo, 7, vantage="egress").close()
    connect(lab, echo, 5432).close()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (Dead.UNREACHABLE, errno.EHOSTUNREACH),
        (Dead.UNREACHABLE_V6, errno.ENETUNREACH),
        (Dead.PROHIBITED, errno.EHOSTUNREACH),
        (Dead.PROHIBITED_V6, errno.EACCES),
        (Dead.NO_ROUTE_BEYOND, errno.ENETUNREACH),
        (Dead.NO_ROUTE_BEYOND_V6, errno.ENETUNREACH),
        (Dead.ON_LINK, errno.EHOSTUNREACH),
        (Dead.ON_LINK_V6, errno.EHOSTUNREACH),
        (Dead.ROUTED, errno.EHOSTUNREACH),
        (Dead.ROUTED_V6, errno.EHOSTUNREACH),
        (Dead.LOCAL_UNREACHABLE, errno.EHOSTUNREACH),
        (Dead.LOCAL_UNREACHABLE_V6, errno.EHOSTUNREACH),
        (Dead.LOCAL_PROHIBITED, errno.EACCES),
        (Dead.LOCAL_BLACKHOLE, errno.EINVAL),
        (Dead.BLACKHOLE, None),
        (Dead.BLACKHOLE_V6, None),
        (Dead.BLACKHOLE_PUBLIC, None),
    ],
)
def test_each_dead_address_is_dead_in_its_own_way(lab: Lab, address: str, expected: int | None) -> None:
    timeout = 0.3 if expected is None else 4.5
    assert failure(lab, address, 5432, timeout=timeout) == expected


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_a_filter_acts_while_it_stands_and_only_on_its_port(lab: Lab, action: str, ipv6: bool) -> None:
    host = lab.host().v6 if ipv6 else lab.host().v4
    with lab.listener("mute", 5432, host), lab.listener("mute", 7, host):
        with lab.filter(action, host, 5432):
            error = failure(lab, host, 5432, timeout=0.3 if action == "drop" else 2.5)
            assert (error is None) == (action == "drop")
            connect(lab, host, 7).close()
        connect(lab, host, 5432).close()


def test_a_small_hidden_mtu_lets_small_packets_through(lab: Lab) -> None:
    with (
        lab.listener("ssh", 22, greeting=b"x" * 5000) as listener,
        lab.filter("drop", listener.host, longer_than=600),
        connect(lab, listener.host, 22, timeout=0.5) as connection,
        pytest.raises(TimeoutError),
    ):
        connection.recv(10)


def ask(lab: Lab, name: str, kind: str = "A", *, tcp: bool = False, vantage: str = "client") -> dns.message.Message:
    query, server = dns.message.make_query(name, kind), VANTAGES[vantage].name_server
    with lab.inside(vantage):
        if tcp:
            return dns.query.tcp(query, server, timeout=1)
        return dns.query.udp(query, server, timeout=0.5)


def addresses(answer: dns.message.Message) -> list[str]:
    return [text for rrset in answer.answer for text in sorted(item.to_text() for item in rrset)]


def test_the_name_server_answers_as_told(lab: Lab) -> None:
    lab.name("many", "10.77.2.10", "10.77.2.11", "fd77:2::10")
    lab.names["alias"] = Answer(cname="many")
    lab.names["nodata"] = Answer()
    lab.names["sick"] = Answer(rcode="SERVFAIL")
    lab.names["refused"] = Answer(rcode="REFUSED")
    assert addresses(ask(lab, "many.lab.test")) == ["10.77.2.10", "10.77.2.11"]
    assert addresses(ask(lab, "many.lab.test", "AAAA")) == ["fd77:2::10"]
    assert addresses(ask(lab, "alias.lab.test")) == ["many.lab.test.", "10.77.2.10", "10.77.2.11"]
    assert ask(lab, "absent.lab.test").rcode() == dns.rcode.NXDOMAIN
    assert (ask(lab, "nodata.lab.test").rcode(), addresses(ask(lab, "nodata.lab.test"))) == (dns.rcode.NOERROR, [])
    assert ask(lab, "sick.lab.test").rcode() == dns.rcode.SERVFAIL
    assert ask(lab, "refused.lab.test").rcode() == dns.rcode.REFUSED


def test_the_name_server_loops_truncates_delays_and_keeps_silent(lab: Lab) -> None:
    lab.names["loop-a"] = Answer(cname="loop-b")
    lab.names["loop-b"] = Answer(cname="loop-a")
    lab.names["large"] = Answer(a=["10.77.2.10"], truncate=True)
    lab.names["slow"] = Answer(a=["10.77.2.10"], delay=0.3)
    lab.names["silent"] = Answer(drop=True)
    assert addresses(ask(lab, "loop-a.lab.test")) == ["loop-b.lab.test.", "loop-a.lab.test."]
    assert addresses(ask(lab, "large.lab.test")) == []
    assert addresses(ask(lab, "large.lab.test", tcp=True)) == ["10.77.2.10"]
    started = time.monotonic()
    ask(lab, "slow.lab.test")
    assert time.monotonic() - started >= 0.3
    with pytest.raises(dns.exception.Timeout):
        ask(lab, "silent.lab.test")
    with lab.names.stopped(), pytest.raises(dns.exception.Timeout):
        ask(lab, "many.lab.test")


def test_listeners_misbehave_as_told(lab: Lab) -> None:
    with lab.listener("close", 5432) as listener, connect(lab, listener.host, 5432) as connection:
        assert connection.recv(1) == b""
    with (
        lab.listener("reset", 5432) as listener,
        connect(lab, listener.host, 5432) as connection,
        pytest.raises(ConnectionResetError),
    ):
        connection.recv(1)
    with lab.listener("mute", 5432) as listener, connect(lab, listener.host, 5432, timeout=0.3) as connection:
        connection.sendall(b"hello")
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert listener.heard == [b"hello"]
    with lab.listener("slow", 5432, pace=0.1) as listener, connect(lab, listener.host, 5432) as connection:
        assert len(connection.recv(100)) == 1
    with lab.listener("full", 5432) as listener:
        assert failure(lab, listener.host, 5432, timeout=0.5) is None
    assert failure(lab, lab.host().v4, 5432) == errno.ECONNREFUSED


def test_postgresql_answers_a_driver_at_the_vantage(lab: Lab) -> None:
    server = lab.postgresql()

    async def ask_it() -> int:
        connection = await asyncpg.connect(
            host=server.v4, user="app", password=lab.password, database="shop", ssl=False
        )
        try:
            return await connection.fetchval("SELECT count(*) FROM orders")
        finally:
            await connection.close()

    with lab.inside("client"):
        assert asyncio.run(ask_it()) == 1


@pytest.mark.parametrize(
    ("language", "words"), [("de_DE", "Passwort-Authentifizierung"), ("zh_CN", "认证失败"), ("ja_JP", "パスワード")]
)
def test_postgresql_speaks_other_languages(lab: Lab, language: str, words: str) -> None:
    server = lab.postgresql(language=language)

    async def refused() -> str:
        with pytest.raises(asyncpg.PostgresError) as caught:
            await asyncpg.connect(host=server.v4, user="app", password="wrong", database="shop", ssl=False)
        return str(caught.value)

    with lab.inside("client"):
        assert words in asyncio.run(refused())


def test_postgresql_standby_is_read_only_or_not_ready(lab: Lab) -> None:
    assert lab.postgresql(standby="hot").sql("SHOW transaction_read_only") == "on"
    server = lab.postgresql(standby="cold")

    async def refused() -> str | None:
        with pytest.raises(asyncpg.PostgresError) as caught:
            await asyncpg.connect(host=server.v4, user="app", password=lab.password, database="shop", ssl=False)
        return caught.value.sqlstate

    with lab.inside("client"):
        assert asyncio.run(refused()) == "57P03"


def test_mariadb_greets_and_speaks_other_languages(lab: Lab) -> None:
    server = lab.mariadb()
    with connect(lab, server.v4, 3306) as connection:
        assert b"MariaDB" in connection.recv(200)
    assert server.sql("SELECT count(*) FROM orders") == "1"
    for language, words in (("de_DE", "Tabelle"), ("ja_JP", "存在しません"), ("zh_CN", "不存在")):
        with pytest.raises(RuntimeError) as caught:
            lab.mariadb(language=language).sql("SELECT * FROM nothing")
        assert words in str(caught.value)


def test_redis_sftp_ftp_and_http_greet(lab: Lab) -> None:
    with connect(lab, lab.redis().v4, 6379) as connection:
        connection.sendall(f"AUTH app {lab.password}\r\nGET orders:1\r\n".encode())
        assert connection.recv(5) == b"+OK\r\n"
    with connect(lab, lab.sftp().v4, 22) as connection:
        assert connection.recv(100).startswith(b"SSH-2.0-OpenSSH")
    with connect(lab, lab.ftp().v4, 21) as connection:
        assert connection.recv(100).startswith(b"220 ")
        connection.sendall(b"USER app\r\n")
        assert connection.recv(100).startswith(b"331")
        connection.sendall(f"PASS {lab.password}\r\n".encode())
        assert connection.recv(100).startswith(b"230")
    with connect(lab, lab.http().v4, 80) as connection:
        connection.sendall(b"GET /orders HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_sftp_lets_app_in_by_password_and_by_key(lab: Lab) -> None:
    import paramiko

    server = lab.sftp()
    for login in (
        {"password": lab.password},
        {"pkey": paramiko.Ed25519Key.from_private_key_file(str(server.client_key))},
    ):
        with lab.inside("client"):
            transport = paramiko.Transport(socket.create_connection((server.v4, 22)))
            transport.connect(username="app", **login)
            assert "orders" in paramiko.SFTPClient.from_transport(transport).listdir(".")
            transport.close()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        ({}, 0),
        ({"valid_from": -9, "valid_to": -2}, 10),
        ({"valid_from": 2, "valid_to": 9}, 9),
        ({"name": "other.test"}, 62),
    ],
)
def test_certificates_fail_for_the_reason_they_were_made_for(lab: Lab, make: dict[str, object], code: int) -> None:
    options = dict(make)
    name = str(options.pop("name", "shop.lab.test"))
    server = lab.http(tls=lab.ca.issue(name, **options))
    context = ssl.create_default_context(cafile=str(lab.ca.bundle))
    try:
        with connect(lab, server.v4, 443) as plain, context.wrap_socket(plain, server_hostname="shop.lab.test"):
            verified = 0
    except ssl.SSLCertVerificationError as error:
        verified = error.verify_code
    assert verified == code


def test_every_server_takes_a_certificate(lab: Lab) -> None:
    certificate = lab.ca.issue("shop.lab.test")
    context = ssl.create_default_context(cafile=str(lab.ca.bundle))
    with connect(lab, lab.postgresql(tls=certificate).v4, 5432) as plain:
        plain.sendall(struct.pack("!ii", 8, 80877103))
        assert plain.recv(1) == b"S"
        context.wrap_socket(plain, server_hostname="shop.lab.test").close()
    with connect(lab, lab.redis(tls=certificate).v4, 6379) as plain:
        context.wrap_socket(plain, server_hostname="shop.lab.test").close()
    with connect(lab, lab.ftp(tls=certificate).v4, 21) as plain:
        plain.recv(100)
        plain.sendall(b"AUTH TLS\r\n")
        assert plain.recv(100).startswith(b"234")
        context.wrap_socket(plain, server_hostname="shop.lab.test").close()
    assert lab.mariadb(tls=certificate).sql("SELECT @@have_ssl") == "YES"


def test_files_of_etc_are_seen_at_the_vantage_only(lab: Lab) -> None:
    import subprocess

    with lab.etc("hosts", "10.77.2.10 pinned\n"):
        seen = subprocess.run(
            lab.network.command("client", ["cat", "/etc/hosts", "/etc/resolv.conf"]),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert "10.77.2.10 pinned" in seen
    assert f"nameserver {NAME_SERVER}" in seen


def test_a_check_sees_the_world_of_its_vantage(lab: Lab) -> None:
    server = lab.postgresql()
    lab.name("shop", server.v4)
    entry = {"address": {"host": "shop", "port": 5432}, "database": "shop", "username": "app", "password": lab.password}
    assert lab.check("postgresql", entry).connectable
    assert not lab.check("postgresql", entry, vantage="noresolver", timeout=2).connectable
    assert not lab.check("postgresql", entry, vantage="egress", timeout=1).connectable


def verdict(**changes: object) -> Verdict:
    stages = [Stage(name=name, status=Status.PASSED, started_at="", elapsed_ms=1) for name in STAGES]
    failed = [*stages[:-1], replace(stages[-1], status=Status.FAILED)]
    good = {
        "workspace": "lab", "source": "orders", "type": "redis", "env": "dev", "resource_group": "client",
        "state": "ConfigError", "cause": "PRIV.OBJECT_DENIED", "component": "orders", "message": "m", "remedy": "r",
        "stages": failed, "started_at": "", "elapsed_ms": 1,
    }  # fmt: skip
    return Verdict.model_validate({**good, **changes})


@pytest.mark.parametrize(
    "fault",
    [
        {"message": f"password {PASSWORD} refused"},
        {"stages": []},
        {"stages": list(reversed(verdict().stages))},
        {"cause": "INCONCLUSIVE"},
        {"alternatives": ["PORT.CLOSED", "FILTER.REJECT"]},
        {"remedy": " "},
        {"component": ""},
        {"state": "Connectable", "cause": None},
        {"state": "Connectable", "cause": None, "stages": verdict().stages[:-1]},
    ],
)
def test_no_verdict_passes_that_breaks_a_rule(fault: dict[str, object]) -> None:
    check_invariants(verdict())
    with pytest.raises(AssertionError):
        check_invariants(verdict(**fault))
