"""SSH as a data source: a real sshd, with a shell and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.network import run
from tests.lab.servers import PASSWORD, Sftp

CONFIG = "ConfigError"


class Shell(Sftp):
    """An sshd that runs what it is told."""

    def prepare(self) -> None:
        super().prepare()
        config = self.folder / "sshd_config"
        config.write_text(config.read_text().partition("Match User *")[0])


def entry(server: Sftp, **changes: Any) -> dict[str, Any]:
    given = {"host": server.v4, "port": 22, "username": "app", "password": PASSWORD, "host_key": server.host_key}
    return {**given, **changes}


def test_commands_may_be_run(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ssh", entry(lab.server(Shell)))
    expect(verdict, "good", code=None, state="Connectable", within=2)


def test_a_forced_command_is_no_shell(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ssh", entry(lab.sftp()))
    expect(verdict, "SFTP only", code="PRIV.OBJECT_DENIED", state=CONFIG, component="app", within=2)


def test_wrong_password(lab: Lab, expect: Expectation) -> None:
    verdict = lab.check("ssh", entry(lab.server(Shell), password=lab.wrong_password))
    expect(verdict, "wrong password", code="AUTH.BAD_CREDENTIALS", state=CONFIG, component="app", within=4)


def test_keys_where_passwords_alone_are_taken(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp(lines=["PubkeyAuthentication no"])
    by_key = {"security_protocol": "authTypeSshKey", "ssh_key_file": f"file:{server.client_key}"}
    verdict = lab.check("ssh", entry(server, **by_key))
    expect(
        verdict, "key refused", code="AUTH.METHOD_UNSUPPORTED", state=CONFIG, within=2,
        remedy="Set security_protocol: passwordAuth and password",
    )  # fmt: skip


def test_password_where_keys_alone_are_taken(lab: Lab, expect: Expectation) -> None:
    server = lab.sftp(lines=["PasswordAuthentication no"])
    verdict = lab.check("ssh", entry(server))
    expect(
        verdict, "password refused", code="AUTH.METHOD_UNSUPPORTED", state=CONFIG, within=2,
        remedy="Set security_protocol: authTypeSshKey and ssh_key_file",
    )  # fmt: skip


def test_another_host_key(lab: Lab, expect: Expectation, tmp_path: Path) -> None:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(tmp_path / "other")])
    other = (tmp_path / "other.pub").read_text().strip()
    verdict = lab.check("ssh", entry(lab.sftp(), host_key=other))
    expect(verdict, "other host key", code="PEER.HOST_KEY", state=CONFIG, within=2)
