"""A Kerberos realm with a real KDC (MIT's, from Debian)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab.network import program
from tests.lab.servers import Server

REALM = "LAB.TEST"
_MASTER = "lab-master-key"
#: The environment of a program whose clock is an hour ahead.
AN_HOUR_AHEAD = ("FAKETIME=+3600s", "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


class Kdc(Server):
    """A KDC of the realm LAB.TEST; principals and keytabs are made by `principal` and `keytab`."""

    port = 88

    def prepare(self) -> None:
        (self.folder / "kdc.conf").write_text(
            f"[kdcdefaults]\n kdc_listen = {self.v4}:88\n kdc_tcp_listen = {self.v4}:88\n"
            f"[realms]\n {REALM} = {{\n  database_name = {self.folder}/principal\n"
            f"  key_stash_file = {self.folder}/stash\n  acl_file = {self.folder}/kadm5.acl\n"
            "  supported_enctypes = aes256-cts:normal aes128-cts:normal\n"
            "  max_life = 10h\n  default_principal_flags = +preauth\n }\n"
        )
        (self.folder / "krb5.conf").write_text(self.configuration())
        self._run("kdb5_util", "-r", REALM, "-P", _MASTER, "create", "-s")

    def configuration(self, *kdcs: str, realm: str = REALM) -> str:
        """The text of a krb5.conf."""
        lines = "".join(f"  kdc = {kdc}\n" for kdc in kdcs or (self.v4,))
        return (
            f"[libdefaults]\n default_realm = {realm}\n dns_lookup_kdc = false\n rdns = false\n"
            f"[realms]\n {realm} = {{\n{lines} }}\n"
            f"[domain_realm]\n .lab.test = {realm}\n"
        )

    def arguments(self) -> Sequence[str]:
        return ["env", *(f"{name}={value}" for name, value in self._files().items()), program("krb5kdc"), "-n"]

    def principal(self, name: str, *flags: str) -> None:
        """Make a principal with a random key."""
        self.admin(f"addprinc -randkey {' '.join(flags)} {name}")

    def keytab(self, name: str, *principals: str, fresh: bool = False) -> Path:
        """A keytab of the principals' keys as they are now; `fresh` gives them new ones first."""
        path = self.folder / f"{name}.keytab"
        for principal in principals:
            self.admin(f"ktadd {'' if fresh else '-norandkey '}-k {path} {principal}")
        path.chmod(0o644)
        return path

    def admin(self, query: str) -> str:
        """A query of kadmin.local."""
        return self._run("kadmin.local", "-r", REALM, "-q", query)

    def _files(self) -> dict[str, str]:
        return {
            "KRB5_CONFIG": str(self.folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf"),
        }

    def _run(self, *arguments: str) -> str:
        command = [program(arguments[0]), *arguments[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **self._files()})
        if done.returncode != 0 or "error" in done.stderr.lower():
            raise RuntimeError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout


class AheadKdc(Kdc):
    """One whose clock is an hour ahead."""

    def arguments(self) -> Sequence[str]:
        return ["env", *AN_HOUR_AHEAD, *super().arguments()[1:]]
