"""Ways into the vantages by SSH, from a management network that leads nowhere else.

    hub 10.99.N.1 -- mgmt -- 10.99.N.2 vantage of subnet N

Nothing from ``hub`` reaches the servers' network: what a check made there sees, it sees through the SSH server.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.lab.network import Network, run
from tests.lab.servers import PASSWORD, hashed
from tests.lab.topology import VANTAGES

HUB = "hub"
#: Opens the encrypted one of the keys; no verdict may ever contain it.
PASSPHRASE = "canary-pa55phrase-of-probe"
#: System accounts at the vantages: name -> (id, shell, fields of /etc/shadow after the name).
_NEVER = "19000:0:99999:7:::"
_ACCOUNTS = {
    "probe": (61101, "/bin/sh", f"{{hash}}:{_NEVER}"),
    "expired": (61102, "/bin/sh", "{hash}:19000:0:99999:7::19001:"),
    "shut": (61103, "/usr/sbin/nologin", f"{{hash}}:{_NEVER}"),
}
_START_SECONDS = 15.0


class Hop:
    """An SSH server at a vantage, on a port of its own.

    Args:
        lines: Lines of sshd_config, which stand first and so win.
        keys: What stands before the public keys in authorized_keys.
        program: ``sshd`` or ``dropbear``.
    """

    def __init__(self, hops: Hops, vantage: str, port: int, *, lines: Sequence[str], keys: str, program: str) -> None:
        self.network = hops.network
        self.vantage = vantage
        self.host = address(vantage)
        self.port = port
        self.program = program
        self.lines = lines
        self._hops = hops
        self.folder = hops.folder / f"{vantage}-{port}"
        self.folder.mkdir(mode=0o755)
        self.log = self.folder / "log"
        self.key = hops.key
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.folder / "host_key")])
        authorized = [f"{keys} {file.read_text()}".lstrip() for file in hops.public_keys()]
        (self.folder / "authorized_keys").write_text("".join(authorized))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host_key(self) -> str:
        """The server's public key as in known_hosts, without the name."""
        return (self.folder / "host_key.pub").read_text().strip()

    def settings(self, **changes: Any) -> dict[str, Any]:
        """The settings of a resource group that goes in here; None removes one."""
        wanted = {
            "host": self.host, "port": self.port, "username": "probe", "private_key": f"file:{self.key}",
            "host_key": self.host_key, **changes,
        }  # fmt: skip
        return {name: value for name, value in wanted.items() if value is not None}

    def connections(self) -> int:
        """Logins so far."""
        return self.log.read_text(errors="replace").count("Accepted publickey for")

    def arguments(self) -> list[str]:
        """The command line."""
        if self.program == "dropbear":
            key = self.folder / "dropbear_key"
            if not key.exists():
                run(["dropbearconvert", "openssh", "dropbear", str(self.folder / "host_key"), str(key)])
            home = self._hops.folder / "home" / "probe" / ".ssh"
            home.mkdir(mode=0o700, exist_ok=True)
            shutil.copy(self.folder / "authorized_keys", home / "authorized_keys")
            for path in (home, home / "authorized_keys"):
                os.chown(path, 61101, 61101)
            return ["dropbear", "-F", "-E", "-r", str(key), "-p", f"{self.host}:{self.port}", *self.lines]
        config = [
            *self.lines,
            f"ListenAddress {self.host}", f"Port {self.port}", f"HostKey {self.folder / 'host_key'}",
            f"PidFile {self.folder / 'pid'}", f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            "StrictModes no", "UsePAM no", "UseDNS no", "PasswordAuthentication yes",
            "KbdInteractiveAuthentication no", "PrintMotd no", "PerSourceMaxStartups none", "LogLevel VERBOSE",
            "Subsystem sftp internal-sftp",
        ]  # fmt: skip
        (self.folder / "sshd_config").write_text("\n".join(config) + "\n")
        return ["sshd", "-D", "-e", "-f", str(self.folder / "sshd_config")]

    def start(self) -> None:
        """Start it and wait until it accepts."""
        command = self.network.command(self.vantage, self.arguments())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        ends = time.monotonic() + _START_SECONDS
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > ends:
                self.stop()
                raise RuntimeError(f"the SSH server did not start:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.02)

    def _accepts(self) -> bool:
        with self.network.inside(HUB), contextlib.suppress(OSError):
            socket.create_connection((self.host, self.port), timeout=1).close()
            return True
        return False

    def stop(self) -> None:
        """End it and every connection through it."""
        if self._process is None:
            return
        for pid in _descendants(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self._process.wait()
        self._process = None

    def cut(self) -> None:
        """End its connections; it goes on accepting new ones."""
        assert self._process is not None
        for pid in _descendants(self._process.pid)[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)


class Hops:
    """The management network and the SSH servers in it, each made when it is first asked for."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.folder = network.directory / "hops"
        self._hops: dict[str, Hop] = {}
        self._wired: set[str] = set()
        self._ports: dict[str, int] = {}

    # -- keys -------------------------------------------------------------------------------------------------------

    @property
    def key(self) -> Path:
        """The private key that lets `probe` in."""
        return self.folder / "client_key"

    @property
    def encrypted_key(self) -> Path:
        """Another one, which `PASSPHRASE` opens."""
        return self.folder / "encrypted_key"

    @property
    def strange_key(self) -> Path:
        """One that lets nobody in."""
        return self.folder / "strange_key"

    def public_keys(self) -> list[Path]:
        """Those that let `probe` in."""
        return [self.folder / "client_key.pub", self.folder / "encrypted_key.pub"]

    # -- servers ----------------------------------------------------------------------------------------------------

    def settings(self, vantage: str) -> dict[str, Any]:
        """The settings of a resource group that looks out from a vantage."""
        return self.at(vantage).settings()

    def at(
        self, vantage: str, *, lines: Sequence[str] = (), keys: str = "", program: str = "sshd", own: str = ""
    ) -> Hop:
        """The SSH server at a vantage; see `Hop`. Same options, same server; `own="x"` makes another."""
        key = repr((vantage, [*lines], keys, program, own))
        if key not in self._hops:
            self._wire(vantage)
            port = self._ports[vantage] = self._ports.get(vantage, 21) + 1
            hop = Hop(self, vantage, port, lines=lines, keys=keys, program=program)
            hop.start()
            self._hops[key] = hop
        return self._hops[key]

    def wire(self, vantage: str) -> str:
        """Lay the cable to a vantage; gives its address there."""
        self._wire(vantage)
        return address(vantage)

    def close(self) -> None:
        """End every server."""
        for hop in self._hops.values():
            hop.stop()

    @contextlib.contextmanager
    def unplugged(self, vantage: str) -> Iterator[None]:
        """Nothing passes the cable to a vantage for as long as the block lasts."""
        with self.network.filter("drop", address(vantage), at=HUB):
            yield

    # -- making -----------------------------------------------------------------------------------------------------

    def _wire(self, vantage: str) -> None:
        if not self._wired:
            self._make_hub()
        if vantage in self._wired:
            return
        self._wired.add(vantage)
        number = VANTAGES[vantage].subnet
        self.network.link(HUB, f"to{number}", vantage, "mgmt")
        self.network.batch(HUB, [f"link set to{number} up", f"addr add 10.99.{number}.1/24 dev to{number}"])
        self.network.batch(vantage, ["link set mgmt up", f"addr add {address(vantage)}/24 dev mgmt"])
        self._make_accounts(vantage)

    def _make_hub(self) -> None:
        namespace = self.network.namespace(HUB)
        run(["ip", "netns", "add", namespace])
        self.network.batch(HUB, ["link set lo up"])
        run(
            ["nsenter", f"--net=/run/netns/{namespace}", "nft", "-f", "-"],
            text="table inet lab { chain output { type filter hook output priority 0; policy accept; }; }\n",
        )
        etc = self.network.etc(HUB)
        etc.mkdir(parents=True)
        (etc / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        (etc / "nsswitch.conf").write_text("hosts: files\n")
        names = "".join(f"{address(name)} {name}.hub\n" for name in VANTAGES)
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        self.folder.mkdir(mode=0o755)
        for name, passphrase in (("client_key", ""), ("encrypted_key", PASSPHRASE), ("strange_key", "")):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(self.folder / name)])
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def _make_accounts(self, vantage: str) -> None:
        """Give a vantage its own users: over /etc/passwd there, nowhere else."""
        etc, password = self.network.etc(vantage), hashed(PASSWORD)
        texts = {name: Path("/etc", name).read_text() for name in ("passwd", "shadow", "group")}
        for name, (number, shell, fields) in _ACCOUNTS.items():
            home = self.folder / "home" / name
            home.mkdir(parents=True, exist_ok=True)
            os.chown(home, number, number)
            texts["passwd"] += f"{name}:x:{number}:{number}::{home}:{shell}\n"
            texts["shadow"] += f"{name}:{fields.format(hash=password)}\n"
            texts["group"] += f"{name}:x:{number}:\n"
        for name, text in texts.items():
            (etc / name).write_text(text)
            (etc / name).chmod(0o600 if name == "shadow" else 0o644)


def address(vantage: str) -> str:
    """A vantage in the management network."""
    return f"10.99.{VANTAGES[vantage].subnet}.2"


def _descendants(pid: int) -> list[int]:
    """A process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        found.append(one)
        queue += children.get(one, [])
    return found
