"""SFTP against OpenSSH: every kind of failure, with its cause, state, component and time."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from paramiko import Transport

from registry.verdict import Verdict
from tasks.check import check
from tasks.vantages import open_vantage
from tests.lab.agent import target
from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, Sftp


def entry(server: Sftp, **changes: Any) -> dict[str, Any]:
    """`app` by password, with the server's key known; None takes a field out."""
    fields = {
        "host": server.v4,
        "port": 22,
        "username": "app",
        "password": PASSWORD,
        "host_key": server.host_key,
        "base_dir": "/orders",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def by_key(server: Sftp, **changes: Any) -> dict[str, Any]:
    """`app` by key."""
    return entry(server, **{"password": None, "ssh_key_file": f"file:{server.client_key}", **changes})


def new_key(folder: Path, *options: str) -> Path:
    path = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", *options, "-f", path], check=True)
    return path


@pytest.fixture(scope="module")
def closed(lab: Lab) -> None:
    """A directory and a file in the home of `app` that are root's alone."""
    home = lab.network.directory / "home" / "app"
    (home / "roots").mkdir(mode=0o700, exist_ok=True)
    (home / "unlisted").mkdir(exist_ok=True)
    (home / "unlisted").chmod(0o711)
    secret = home / "orders" / "secret.json"
    secret.write_text("{}\n")
    secret.chmod(0o600)


GOOD: Mapping[str, Any] = {"code": None, "state": "Connectable", "within": 1.5}


def test_good_by_password(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("sftp", entry(lab.sftp(), objects=["1.json"]))
    expect(verdict, "good, by password", **GOOD)


def test_good_by_key(lab: Lab, expect: Expectation) -> None:
    expect(lab.check("sftp", by_key(lab.sftp())), "good, by key", **GOOD)


def test_good_over_ipv6(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp()
    expect(lab.check("sftp", by_key(server, host=server.host.v6)), "good, IPv6", **GOOD)


def test_good_by_encrypted_key(lab: Lab, expect: Expectation, tmp_path: Path) -> None:
    server = lab.sftp(own="encrypted key")
    key = new_key(tmp_path, "-N", "canary-of-the-key")
    with (server.folder / "authorized_keys").open("a") as authorized:
        authorized.write(key.with_suffix(".pub").read_text())
    fields = by_key(server, ssh_key_file=f"file:{key}", ssh_key_password="canary-of-the-key")
    expect(lab.check("sftp", fields), "good, by encrypted key", **GOOD, secrets=["canary-of-the-key"])


def test_good_by_keyboard_interactive(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp(lines=["KbdInteractiveAuthentication yes", "PasswordAuthentication no"])
    verdict = lab.check("sftp", entry(server))
    expect(verdict, "good, keyboard-interactive", **GOOD)


def test_good_by_key_and_password_together(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp(lines=["AuthenticationMethods publickey,password"])
    verdict = lab.check("sftp", by_key(server, password=PASSWORD))
    expect(verdict, "good, key and password", **GOOD)


def test_key_alone_where_a_password_is_asked_for_besides(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp(lines=["AuthenticationMethods publickey,password"])
    verdict = lab.check("sftp", by_key(server))
    expect(verdict, "second factor missing", code="AUTH.METHOD_UNSUPPORTED", state="ConfigError", component="password",
           within=1.5)  # fmt: skip


@pytest.mark.parametrize("username", ["app", "nobody-of-that-name", "locked"])
def test_wrong_password(lab: Lab, expect: Expectation, username: str) -> None:
    verdict = lab.check("sftp", entry(lab.sftp(), username=username, password=lab.wrong_password))
    expect(verdict, "wrong password", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component=username, within=4)


def test_wrong_password_at_a_server_that_allows_one_try(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp(lines=["MaxAuthTries 1"])
    verdict = lab.check("sftp", entry(server, password=lab.wrong_password))
    expect(
        verdict, "wrong password, one try", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component="app", within=4
    )


def test_wrong_key(lab: Lab, expect: Expectation, tmp_path: Path) -> None:
    verdict = lab.check("sftp", by_key(lab.sftp(), ssh_key_file=f"file:{new_key(tmp_path)}"))
    expect(verdict, "wrong key", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component="app", within=1.5,
           remedy="authorized_keys")  # fmt: skip


def test_encrypted_key_without_its_password(lab: Lab, expect: Expectation, tmp_path: Path) -> None:
    key = new_key(tmp_path, "-N", "canary-of-the-key")
    verdict = lab.check("sftp", by_key(lab.sftp(), ssh_key_file=f"file:{key}"))
    expect(verdict, "encrypted key", code="CONFIG.BAD_VALUE", state="ConfigError", component="ssh_key_file", within=1.5,
           remedy="ssh_key_password")  # fmt: skip
    wrong = by_key(lab.sftp(), ssh_key_file=f"file:{key}", ssh_key_password=lab.wrong_password)
    expect(lab.check("sftp", wrong), "wrong password of the key", code="CONFIG.BAD_VALUE", state="ConfigError",
           component="ssh_key_password", within=1.5)  # fmt: skip


def test_public_key_instead_of_the_private_one(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp()
    verdict = lab.check("sftp", by_key(server, ssh_key_file=f"file:{server.client_key.with_suffix('.pub')}"))
    expect(
        verdict, "unreadable key", code="CONFIG.BAD_VALUE", state="ConfigError", component="ssh_key_file", within=1.5
    )


def test_neither_password_nor_key(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("sftp", entry(lab.sftp(), password=None))
    expect(verdict, "no credentials", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component="app", within=1.5,
           remedy="ssh_key_file")  # fmt: skip


def test_unknown_host_key_is_told(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp()
    verdict = lab.check("sftp", entry(server, host_key=None))
    expect(verdict, "good, host key unknown", **GOOD, warnings=["TLS.NOT_VERIFIED"])
    assert server.host_key in verdict.warnings[0].message


def test_unknown_host_key_gets_a_signature(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("sftp", by_key(lab.sftp(), host_key=None))
    expect(verdict, "good by key, host key unknown", **GOOD, warnings=["TLS.NOT_VERIFIED"])


def test_changed_host_key(lab: Lab, expect: Expectation, tmp_path: Path) -> None:
    server = lab.sftp()
    other = new_key(tmp_path).with_suffix(".pub")
    verdict = lab.check("sftp", by_key(server, host_key=other.read_text().strip()))
    expect(verdict, "changed host key", code="PEER.HOST_KEY", state="ConfigError", component=f"{server.v4}:22",
           within=1.5)  # fmt: skip
    for public in (other, server.folder / "host_key.pub"):
        listed = subprocess.run(["ssh-keygen", "-l", "-f", public], capture_output=True, text=True, check=True).stdout
        assert listed.split()[1] in verdict.message


def test_host_key_that_is_none(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("sftp", entry(lab.sftp(), host_key="ssh-ed25519 AAAA"))
    expect(
        verdict, "malformed host key", code="CONFIG.BAD_VALUE", state="ConfigError", component="host_key", within=1.5
    )


def test_password_at_a_server_that_takes_keys_only(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp(lines=["PasswordAuthentication no"])
    verdict = lab.check("sftp", entry(server))
    expect(verdict, "method unsupported", code="AUTH.METHOD_UNSUPPORTED", state="ConfigError", component="publickey",
           within=1.5)  # fmt: skip


def test_no_common_algorithm(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp(lines=["KexAlgorithms sntrup761x25519-sha512@openssh.com"])
    verdict = lab.check("sftp", entry(server))
    expect(verdict, "no common SSH algorithm", code="TLS.VERSION_OR_CIPHER", state="ConfigError",
           component=f"{server.v4}:22", within=1.5)  # fmt: skip


def test_expired_account(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("sftp", entry(lab.sftp(), username="expired"))
    expect(verdict, "expired account", code="INCONCLUSIVE", state="ConfigError", component="expired", within=4,
           alternatives=["AUTH.EXPIRED_OR_LOCKED", "AUTH.LOGIN_FORBIDDEN", "SERVER.ERROR"])  # fmt: skip


def test_too_many_logins_under_way(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp(lines=["MaxStartups 1:100:1"])
    with lab.inside("client"), socket.create_connection((server.v4, 22)) as waiting:
        waiting.recv(64)
        verdict = lab.check("sftp", entry(server))
    expect(
        verdict, "max startups", code="CAPACITY.CONNECTIONS", state="ConfigError", component=f"{server.v4}:22", within=1
    )


def test_no_sftp_subsystem(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp(own="no subsystem")
    config = server.folder / "sshd_config"
    config.write_text(config.read_text().replace("Subsystem sftp internal-sftp", "").replace("ForceCommand", "#"))
    server.restart()
    verdict = lab.check("sftp", entry(server))
    expect(verdict, "no SFTP", code="TARGET.NO_CONNECT", state="ConfigError", component="SFTP", within=1.5)


def test_shell_that_does_not_run(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp(lines=["Match User app", "ForceCommand /bin/false", "Match All"])
    verdict = lab.check("sftp", entry(server))
    expect(verdict, "no shell", code="TARGET.NO_CONNECT", state="ConfigError", component="SFTP", within=1.5)


def test_base_dir_missing(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("sftp", entry(lab.sftp(), base_dir="/exports"))
    expect(verdict, "base_dir missing", code="TARGET.MISSING", state="ConfigError", component="/exports", within=1.5)


def test_base_dir_is_a_file(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("sftp", entry(lab.sftp(), base_dir="/orders/1.json"))
    expect(
        verdict,
        "base_dir is a file",
        code="TARGET.MISSING",
        state="ConfigError",
        component="/orders/1.json",
        within=1.5,
    )


@pytest.mark.usefixtures("closed")
def test_base_dir_denied(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("sftp", entry(lab.sftp(), base_dir="/roots"))
    expect(verdict, "base_dir denied", code="TARGET.NO_CONNECT", state="ConfigError", component="/roots", within=1.5)


@pytest.mark.usefixtures("closed")
def test_base_dir_may_not_be_listed(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("sftp", entry(lab.sftp(), base_dir="/unlisted"))
    expect(verdict, "listing denied", code="PRIV.OBJECT_DENIED", state="ConfigError", component="/unlisted", within=1.5)


def test_object_missing(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("sftp", entry(lab.sftp(), objects=["1.json", "2.json"]))
    expect(verdict, "object missing", code="TARGET.OBJECT_MISSING", state="ConfigError", component="2.json", within=1.5)


@pytest.mark.usefixtures("closed")
def test_object_denied(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("sftp", entry(lab.sftp(), objects=["secret.json"]))
    expect(
        verdict, "object denied", code="PRIV.OBJECT_DENIED", state="ConfigError", component="secret.json", within=1.5
    )


def test_closed_port(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    verdict = lab.check("sftp", by_key(lab.sftp(), host=host))
    expect(verdict, "closed port", code="PORT.CLOSED", state="Unreachable", component=f"{host}:22", within=1)


def test_port_is_a_typo(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp()
    verdict = lab.check("sftp", by_key(server, port=2222))
    expect(verdict, "port is a typo", code="PORT.PROBABLY_TYPO", state="Unreachable", component=f"{server.v4}:2222",
           within=1)  # fmt: skip


def test_name_that_does_not_exist(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("sftp", by_key(lab.sftp(), host="no-files.lab.test"))
    expect(verdict, "NXDOMAIN", code="DNS.NXDOMAIN", state="Unreachable", component="no-files.lab.test", within=1)


def test_firewall_drops(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    with lab.listener("mute", 80, host), lab.filter("drop", host, 22):
        verdict = lab.check("sftp", by_key(lab.sftp(), host=host), timeout=2)
    expect(verdict, "firewall drops", code="FILTER.DROP", state="Unreachable", component=f"{host}:22", within=2.5)


def test_mute_server(lab: Lab, expect: Expectation) -> None:
    with lab.listener("mute", 22) as listener:
        verdict = lab.check("sftp", entry(lab.sftp(), host=listener.host), timeout=2)
    expect(verdict, "mute", code="PEER.MUTE", state="Unreachable", component=f"{listener.host}:22", within=2.5)


def test_server_falls_silent_after_its_version(lab: Lab, expect: Expectation) -> None:
    with lab.listener("ssh", 22) as listener:
        verdict = lab.check("sftp", entry(lab.sftp(), host=listener.host), timeout=2)
    expect(verdict, "mute after its version", code="PEER.MUTE", state="Unreachable", component=f"{listener.host}:22",
           within=2.5)  # fmt: skip


@pytest.mark.parametrize("kind", ["reset", "close"])
def test_server_hangs_up(lab: Lab, expect: Expectation, kind: str) -> None:
    with lab.listener(kind, 22) as listener:
        verdict = lab.check("sftp", entry(lab.sftp(), host=listener.host))
    expect(verdict, f"hangs up early ({kind})", code="PEER.RESET_EARLY", state="Unreachable",
           component=f"{listener.host}:22", within=1)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name"), [("http", "HTTP"), ("ftp", "FTP"), ("mysql", "MySQL"), ("redis", "Redis"), ("garbage", "")]
)
def test_wrong_protocol(lab: Lab, expect: Expectation, kind: str, name: str) -> None:
    with lab.listener(kind, 22) as listener:
        verdict = lab.check("sftp", entry(lab.sftp(), host=listener.host))
    expect(verdict, f"speaks {name or 'garbage'}", code="PROTO.MISMATCH", state="ConfigError",
           component=f"{listener.host}:22", within=1)  # fmt: skip
    assert name in verdict.message
    assert all(PASSWORD.encode() not in heard for heard in listener.heard)


async def check_here(fields: Mapping[str, Any]) -> Verdict:
    """A check in this process, which has a home of its own."""
    request = {"type": "sftp", "entry": fields, "source": "orders", "vantage": "client", "permitted_ranges": []}
    return await check(target(request), open_vantage("local", "client", {}))


def test_known_hosts_stand_in_for_host_key(
    lab: Lab, expect: Expectation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = lab.sftp()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    known = tmp_path / ".ssh" / "known_hosts"
    known.write_text(f"{server.v4} {server.host_key}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    assert server.v4 not in known.read_text()
    with lab.inside("client"):
        expect(asyncio.run(check_here(entry(server, host_key=None))), "good, host key in known_hosts", **GOOD)
        known.write_text(f"{server.v4} {new_key(tmp_path).with_suffix('.pub').read_text()}")
        verdict = asyncio.run(check_here(entry(server, host_key=None)))
    expect(verdict, "host key not as in known_hosts", code="PEER.HOST_KEY", state="ConfigError",
           component=f"{server.v4}:22", within=1.5)  # fmt: skip
    assert str(known) in verdict.message


def test_no_thread_outlives_a_check(lab: Lab) -> None:
    """paramiko's own thread and the one that calls it: both end although the server never answers them."""
    with lab.listener("ssh", 22) as listener, lab.inside("client"):
        verdict = asyncio.run(check_here(entry(lab.sftp(), host=listener.host)))
    assert verdict.cause == "PEER.MUTE"
    ends = time.monotonic() + 0.5
    while left := [
        thread for thread in threading.enumerate() if isinstance(thread, Transport) or thread.name[:3] == "ssh"
    ]:
        assert time.monotonic() < ends, left
        time.sleep(0.02)
