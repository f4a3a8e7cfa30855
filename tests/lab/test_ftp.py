"""FTP and FTPS against vsftpd: every kind of failure, with its cause, state, component and time."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lab.certificates import Authority
from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, Ftp, Server

GOOD: Mapping[str, Any] = {"code": None, "state": "Connectable", "within": 1.5}
#: One port, so that a firewall rule can mean it.
PASSIVE = {"pasv_min_port": 40123, "pasv_max_port": 40123}
NAME = "files.lab.test"


def entry(server: Ftp | str, **changes: Any) -> dict[str, Any]:
    """`app` by password, in plaintext; None takes a field out."""
    fields = {
        "protocol": "ftp",
        "host": server if isinstance(server, str) else server.v4,
        "port": 21,
        "username": "app",
        "password": PASSWORD,
        "base_dir": "/orders",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


@pytest.fixture(scope="module")
def secured(lab: Lab) -> Ftp:
    """A server that demands TLS for logins and data, and that data resumes the TLS session (vsftpd's own default)."""
    return lab.ftp(tls=lab.ca.issue(NAME), options={"require_ssl_reuse": "YES"})


@pytest.fixture(scope="module")
def ftps(lab: Lab, secured: Ftp) -> Mapping[str, Any]:
    """What an entry needs to verify that server."""
    host = lab.name("files", secured.v4)
    return {"protocol": "ftps", "host": host, "truststore_file": f"file:{lab.ca.bundle}"}


@pytest.fixture(scope="module")
def closed(lab: Lab) -> None:
    """Directories and a file in the home of `app` that are root's alone, and one that is empty."""
    home = lab.network.directory / "home" / "app"
    (home / "roots").mkdir(mode=0o700, exist_ok=True)
    (home / "unlisted").mkdir(exist_ok=True)
    (home / "unlisted").chmod(0o711)
    (home / "void").mkdir(exist_ok=True)
    secret = home / "orders" / "secret.json"
    secret.write_text("{}\n")
    secret.chmod(0o600)


def test_good(lab: Lab, expect: Expectation) -> None:
    expect(lab.check("ftp", entry(lab.ftp())), "good", **GOOD)


def test_good_with_a_file_and_a_directory(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ftp", entry(lab.ftp(), base_dir=None, objects=["orders/1.json", "orders"]))
    expect(verdict, "good, objects", **GOOD)


@pytest.mark.usefixtures("closed")
def test_good_with_an_empty_directory(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ftp", entry(lab.ftp(), base_dir="/void"))
    expect(verdict, "good, empty directory", **GOOD)
    assert verdict.stages[-1].status == "warned"


def test_good_over_ipv6(lab: Lab, expect: Expectation) -> None:
    server = lab.ftp(own="ipv6")
    config = server.folder / "vsftpd.conf"
    lines = [line for line in config.read_text().splitlines() if not line.startswith("listen")]
    config.write_text("\n".join([*lines, "listen=NO", "listen_ipv6=YES", f"listen_address6={server.host.v6}"]) + "\n")
    server.ready = lambda: _accepts(lab, server.host.v6)  # type: ignore[method-assign]
    server.restart()
    expect(lab.check("ftp", entry(server.host.v6, objects=["1.json"])), "good, IPv6", **GOOD)


def _accepts(lab: Lab, address: str) -> bool:
    with lab.inside("client"), contextlib.suppress(OSError):
        socket.create_connection((address, 21), timeout=1).close()
        return True
    return False


def test_good_over_tls(lab: Lab, expect: Expectation, secured: Ftp, ftps: Mapping[str, Any]) -> None:
    verdict = lab.check("ftp", entry(secured, **ftps, objects=["1.json"]))
    expect(verdict, "good, FTPS", **GOOD)
    assert "TLS.NOT_VERIFIED" not in {warning.code for warning in verdict.warnings}


def test_good_over_tls_unverified(lab: Lab, expect: Expectation, secured: Ftp) -> None:
    verdict = lab.check("ftp", entry(secured, protocol="ftps"))
    expect(verdict, "good, FTPS not verified", **GOOD, warnings=["TLS.NOT_VERIFIED"])


def test_good_over_implicit_tls(lab: Lab, expect: Expectation, ftps: Mapping[str, Any]) -> None:
    class Implicit(Ftp):
        port = 990

        def ready(self) -> bool:
            return Server.ready(self)

    server = Implicit(
        lab.network, "ftp-implicit", tls=lab.ca.issue("implicit.lab.test"), options={"implicit_ssl": "YES"}
    )
    server.start()
    try:
        host = lab.name("implicit", server.v4)
        verdict = lab.check("ftp", entry(server, **{**ftps, "host": host, "port": 990}))
    finally:
        server.stop()
    expect(verdict, "good, implicit TLS", **GOOD)


@pytest.mark.parametrize("username", ["app", "nobody-of-that-name", "locked"])
def test_wrong_password(lab: Lab, expect: Expectation, username: str) -> None:
    verdict = lab.check("ftp", entry(lab.ftp(), username=username, password=lab.wrong_password))
    expect(verdict, "wrong password", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component=username, within=4)


def test_wrong_password_over_tls(lab: Lab, expect: Expectation, secured: Ftp, ftps: Mapping[str, Any]) -> None:
    verdict = lab.check("ftp", entry(secured, **ftps, password=lab.wrong_password))
    expect(verdict, "wrong password, FTPS", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component="app", within=4)


def test_no_password(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ftp", entry(lab.ftp(), password=None))
    expect(verdict, "no password", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component="app", within=1,
           remedy="Set password")  # fmt: skip


def test_user_refused_before_the_password(lab: Lab, expect: Expectation) -> None:
    users = lab.network.directory / "ftp-userlist"
    users.write_text("app\n")
    server = lab.ftp(options={"userlist_enable": "YES", "userlist_file": users})
    verdict = lab.check("ftp", entry(server))
    expect(verdict, "user refused", code="INCONCLUSIVE", state="ConfigError", component="app", within=2,
           alternatives=["AUTH.LOGIN_FORBIDDEN", "AUTH.USER_UNKNOWN"])  # fmt: skip


def test_tls_required(lab: Lab, expect: Expectation, secured: Ftp) -> None:
    verdict = lab.check("ftp", entry(secured))
    expect(verdict, "TLS required", code="TLS.REQUIRED", state="ConfigError", component="protocol", within=1.5,
           remedy="ftps")  # fmt: skip


def test_tls_not_offered(lab: Lab, expect: Expectation) -> None:
    server = lab.ftp()
    verdict = lab.check("ftp", entry(server, protocol="ftps"))
    expect(verdict, "TLS not offered", code="TLS.NOT_OFFERED", state="ConfigError", component=f"{server.v4}:21",
           within=1)  # fmt: skip


def test_untrusted_authority(lab: Lab, expect: Expectation, secured: Ftp, ftps: Mapping[str, Any]) -> None:
    other = Authority(lab.network.directory, "Other FTP CA")
    verdict = lab.check("ftp", entry(secured, **{**ftps, "truststore_file": f"file:{other.bundle}"}))
    expect(verdict, "untrusted CA", code="TLS.UNTRUSTED_CA", state="ConfigError", component="Lab Root CA", within=1.5)


def test_name_not_in_the_certificate(lab: Lab, expect: Expectation, secured: Ftp, ftps: Mapping[str, Any]) -> None:
    verdict = lab.check("ftp", entry(secured, **{**ftps, "host": lab.name("other-files", secured.v4)}))
    expect(verdict, "name mismatch", code="TLS.NAME_MISMATCH", state="ConfigError", component="other-files.lab.test",
           within=1.5, remedy=NAME)  # fmt: skip


def test_expired_certificate(lab: Lab, expect: Expectation, ftps: Mapping[str, Any]) -> None:
    server = lab.ftp(tls=lab.ca.issue("old-files.lab.test", valid_from=-9, valid_to=-2))
    verdict = lab.check("ftp", entry(server, **{**ftps, "host": lab.name("old-files", server.v4)}))
    expect(verdict, "expired certificate", code="TLS.EXPIRED", state="ConfigError", component="old-files", within=1.5)


def test_base_dir_missing(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ftp", entry(lab.ftp(), base_dir="/exports"))
    expect(verdict, "base_dir missing", code="TARGET.MISSING", state="ConfigError", component="/exports", within=1.5)


def test_base_dir_missing_far_below(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ftp", entry(lab.ftp(), base_dir="/orders/2026/11"))
    expect(verdict, "base_dir missing below", code="TARGET.MISSING", state="ConfigError", component="/orders/2026/11",
           within=1.5)  # fmt: skip


def test_base_dir_is_a_file(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ftp", entry(lab.ftp(), base_dir="/orders/1.json"))
    expect(verdict, "base_dir is a file", code="TARGET.MISSING", state="ConfigError", component="/orders/1.json",
           within=1.5, remedy="objects")  # fmt: skip


@pytest.mark.usefixtures("closed")
def test_base_dir_denied(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ftp", entry(lab.ftp(), base_dir="/roots"))
    expect(verdict, "base_dir denied", code="TARGET.NO_CONNECT", state="ConfigError", component="/roots", within=1.5)


@pytest.mark.usefixtures("closed")
def test_base_dir_refused_where_nothing_can_be_listed(lab: Lab, expect: Expectation) -> None:
    server = lab.ftp(options=PASSIVE)
    with lab.filter("drop", server.v4, 40123):
        verdict = lab.check("ftp", entry(server, base_dir="/roots"), timeout=3)
    expect(verdict, "base_dir refused", code="INCONCLUSIVE", state="ConfigError", component="/roots", within=3.5,
           alternatives=["TARGET.MISSING", "TARGET.NO_CONNECT"])  # fmt: skip


@pytest.mark.usefixtures("closed")
def test_base_dir_may_not_be_listed(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ftp", entry(lab.ftp(), base_dir="/unlisted"))
    expect(verdict, "listing denied", code="INCONCLUSIVE", state="ConfigError", component="/unlisted", within=1.5,
           alternatives=["PRIV.OBJECT_DENIED", "TARGET.OBJECT_MISSING"])  # fmt: skip


def test_object_missing(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ftp", entry(lab.ftp(), objects=["1.json", "2.json"]))
    expect(verdict, "object missing", code="TARGET.OBJECT_MISSING", state="ConfigError", component="2.json", within=1.5)


@pytest.mark.usefixtures("closed")
def test_object_denied(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ftp", entry(lab.ftp(), objects=["secret.json"]))
    expect(
        verdict, "object denied", code="PRIV.OBJECT_DENIED", state="ConfigError", component="secret.json", within=1.5
    )


@pytest.mark.parametrize(
    ("action", "code", "within"),
    [("drop", "FILTER.DROP", 3.5), ("admin-prohibited", "FILTER.REJECT", 1.5), ("reset", "PORT.CLOSED", 1.5)],
)
def test_passive_port_blocked(lab: Lab, expect: Expectation, action: str, code: str, within: float) -> None:
    server = lab.ftp(options=PASSIVE)
    with lab.filter(action, server.v4, 40123):
        verdict = lab.check("ftp", entry(server), timeout=3)
    expect(verdict, f"passive port: {action}", code=code, state="Unreachable", component=f"{server.v4}:40123",
           within=within, remedy="passive ports")  # fmt: skip


@contextlib.contextmanager
def occupied(lab: Lab, server: Ftp) -> Iterator[None]:
    """Somebody else holds the only place. vsftpd counts a connection until its child has been reaped: ask again."""
    ends = time.monotonic() + 5
    while True:
        with lab.inside("elsewhere"), socket.create_connection((server.v4, 21)) as other:
            if other.recv(64).startswith(b"220"):
                yield
                return
        assert time.monotonic() < ends, "no room"
        time.sleep(0.05)


def test_too_many_clients(lab: Lab, expect: Expectation) -> None:
    server = lab.ftp(own="one client", options={"max_clients": 1})
    with occupied(lab, server):
        verdict = lab.check("ftp", entry(server))
    expect(verdict, "max clients", code="INCONCLUSIVE", state="ConfigError", component=f"{server.v4}:21", within=1.5,
           alternatives=["CAPACITY.CONNECTIONS", "ADMIT.ALLOWLIST", "SERVER.NOT_READY"],
           remedy="max_clients")  # fmt: skip


def test_mute(lab: Lab, expect: Expectation) -> None:
    with lab.listener("mute", 21) as listener:
        verdict = lab.check("ftp", entry(listener.host), timeout=2)
    expect(verdict, "mute", code="PEER.MUTE", state="Unreachable", component=f"{listener.host}:21", within=2.5)


def test_falls_silent_after_its_greeting(lab: Lab, expect: Expectation) -> None:
    with lab.listener("ftp", 21, reply=b"", wait=True) as listener:
        verdict = lab.check("ftp", entry(listener.host), timeout=2)
    expect(verdict, "mute after its greeting", code="PEER.MUTE", state="Unreachable", component=f"{listener.host}:21",
           within=2.5)  # fmt: skip
    assert all(PASSWORD.encode() not in heard for heard in listener.heard)


@pytest.mark.parametrize("kind", ["reset", "close"])
def test_hangs_up(lab: Lab, expect: Expectation, kind: str) -> None:
    with lab.listener(kind, 21) as listener:
        verdict = lab.check("ftp", entry(listener.host))
    expect(verdict, f"hangs up early ({kind})", code="PEER.RESET_EARLY", state="Unreachable",
           component=f"{listener.host}:21", within=1)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "within"),
    [("ssh", "SSH", 1), ("mysql", "MySQL", 1), ("smtp", "SMTP", 1), ("garbage", "", 1), ("http", "HTTP", 2.5)],
)
def test_wrong_protocol(lab: Lab, expect: Expectation, kind: str, name: str, within: float) -> None:
    with lab.listener(kind, 21) as listener:
        verdict = lab.check("ftp", entry(listener.host), timeout=2)
    expect(verdict, f"speaks {name or 'garbage'}", code="PROTO.MISMATCH", state="ConfigError",
           component=f"{listener.host}:21", within=within)  # fmt: skip
    assert name in verdict.message
    assert all(PASSWORD.encode() not in heard for heard in listener.heard)


def test_closed_port(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    verdict = lab.check("ftp", entry(host))
    expect(verdict, "closed port", code="PORT.CLOSED", state="Unreachable", component=f"{host}:21", within=1)


def test_port_is_a_typo(lab: Lab, expect: Expectation) -> None:
    server = lab.ftp()
    verdict = lab.check("ftp", entry(server, port=2121))
    expect(verdict, "port is a typo", code="PORT.PROBABLY_TYPO", state="Unreachable", component=f"{server.v4}:2121",
           within=1)  # fmt: skip


def test_name_that_does_not_exist(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ftp", entry("no-files.lab.test"))
    expect(verdict, "NXDOMAIN", code="DNS.NXDOMAIN", state="Unreachable", component="no-files.lab.test", within=1)


def test_firewall_drops(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    with lab.listener("mute", 80, host), lab.filter("drop", host, 21):
        verdict = lab.check("ftp", entry(host), timeout=2)
    expect(verdict, "firewall drops", code="FILTER.DROP", state="Unreachable", component=f"{host}:21", within=2.5)


def test_line_break_in_a_path_sends_no_second_command(lab: Lab, expect: Expectation, tmp_path: Path) -> None:
    verdict = lab.check("ftp", entry(lab.ftp(), objects=["1.json\r\nDELE 1.json"]))
    expect(
        verdict, "line break in a path", code="CONFIG.BAD_VALUE", state="ConfigError", component="objects", within=1.5
    )
