"""Real networks in namespaces of their own: what `topology` describes, made, filtered and removed.

Nothing here reaches the machine's own network, so two runs side by side use the same addresses; only the names of the
namespaces differ, by a slot that a lock file keeps for the life of the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab.topology import (
    ACTIONS,
    CANARIES,
    DOMAIN,
    ECHO,
    MACHINES,
    PROTOCOL_PORTS,
    ROUTERS,
    VANTAGES,
    Host,
    Router,
    Vantage,
    address_of,
    number_of,
)
from tests.lab.topology import NAME_SERVER as NAME_SERVER
from tests.lab.topology import NAME_SERVER_V6 as NAME_SERVER_V6
from tests.lab.topology import Dead as Dead

_REQUIRED = (
    "ip", "nft", "nsenter", "setpriv", "openssl", "mariadbd", "mariadb-install-db", "redis-server", "vsftpd", "sshd",
    "nginx", "/usr/lib/postgresql/15/bin/postgres", "krb5kdc", "kdb5_util", "kadmin.local",
)  # fmt: skip
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def program(name: str) -> str:
    """The full path of a program, Debian's administrators' directories included."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise FileNotFoundError(f"{name}: not installed; run scripts/setup as root")
    return found


def missing() -> list[str]:
    """Why a lab cannot be built here; empty when it can."""
    if os.geteuid() != 0:
        return ["not root"]
    lacking = [name for name in _REQUIRED if shutil.which(name, path=_PATH) is None]
    if lacking:
        return [f"not installed: {', '.join(lacking)} (run scripts/setup)"]
    probe = f"hwprobe{os.getpid()}"
    made = subprocess.run([program("ip"), "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return [f"cannot make a network namespace: {made.stderr.strip()}"]
    filtered = subprocess.run(
        [program("ip"), "netns", "exec", probe, program("nft"), "add", "table", "inet", "probe"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    subprocess.run([program("ip"), "netns", "del", probe], capture_output=True, check=False)
    return [] if filtered.returncode == 0 else [f"cannot make a firewall: {filtered.stderr.strip()}"]


def run(arguments: Sequence[str], *, text: str | None = None) -> str:
    """Run a program to its end and return what it said; a failure shows everything it said."""
    done = subprocess.run(
        [program(arguments[0]), *arguments[1:]], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


#: Not below /tmp: sshd enters no chroot whose parents others may write to.
_SLOTS = Path("/var/lib/headwater-lab")
_setns = ctypes.CDLL(None, use_errno=True).setns
_CLONE_NEWNET = 0x40000000


class Network:
    """The namespaces of one lab. `up` makes them, `down` removes them and everything that runs in them."""

    def __init__(self) -> None:
        self.slot, self._lock = _take_slot()
        self.directory = _SLOTS / f"lab{self.slot}"
        self._numbers = itertools.count(10)
        self._returned: list[int] = []

    # -- names ------------------------------------------------------------------------------------------------------

    def namespace(self, place: str) -> str:
        """The namespace of a vantage, of ``router``, of one of `ROUTERS`, or of ``server``."""
        return f"hw{self.slot}_{place}"

    def host(self) -> Host:
        """A machine of the servers' network that nobody else uses."""
        number = self._returned.pop(0) if self._returned else next(self._numbers)
        if number >= 2 * MACHINES + 2:
            raise RuntimeError("the servers' network is full: share servers between scenarios")
        return address_of(number)

    def give_back(self, host: Host) -> None:
        """Let others have a machine on which nothing runs any more."""
        self._returned.append(number_of(host))

    def command(self, place: str, arguments: Sequence[str], *, user: str | None = None) -> list[str]:
        """The command line that runs a program at a place.

        It sees the place's own /etc/hosts, /etc/resolv.conf and so on, and ends when this process does.
        """
        drop = ["--reuid", user, "--regid", user, "--init-groups"] if user else []
        return [
            program("ip"), "netns", "exec", self.namespace(place),
            program("setpriv"), *drop, "--pdeathsig", "TERM", "--",
            program(arguments[0]), *arguments[1:],
        ]  # fmt: skip

    @contextlib.contextmanager
    def inside(self, place: str) -> Iterator[None]:
        """Sockets and threads made by this thread belong to the place; those made before keep their own."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.namespace(place)}", os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(here)
            os.close(there)
            os.close(here)

    def etc(self, place: str) -> Path:
        """The folder whose files stand over those of /etc for programs started at the place."""
        return Path("/etc/netns") / self.namespace(place)

    # -- firewalls --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def filter(
        self,
        action: str,
        host: str = "",
        port: int | None = None,
        *,
        at: str = "router",
        longer_than: int | None = None,
        protocol: str = "tcp",
    ) -> Iterator[None]:
        """A firewall rule for as long as the block lasts.

        Args:
            action: A key of `ACTIONS`.
            host: The destination address; empty for all.
            port: The port; None for every packet.
            at: A router filters what it forwards, ``server`` what comes in, a vantage what goes out.
            longer_than: Only packets of more than so many bytes, in both directions: a path with a hidden small MTU.
        """
        namespace = self.namespace(at)
        chain = "input" if at == "server" else "forward" if at in ("router", *ROUTERS) else "output"
        ipv6 = ":" in host
        family = "ip6" if ipv6 else "ip"
        matches = []
        for direction in ("daddr", "saddr") if longer_than else ("daddr",):
            match = [f"{family} {direction} {host}"] if host else []
            if port is not None:
                match.append(f"{protocol} {'dport' if direction == 'daddr' else 'sport'} {port}")
            if longer_than:
                match.append(f"meta length > {longer_than}")
            matches.append(" ".join(match))
        handles = [self._add_rule(namespace, chain, f"{match} {ACTIONS[action][ipv6]}") for match in matches]
        try:
            yield
        finally:
            for handle in handles:
                self._nft(namespace, f"delete rule inet lab {chain} handle {handle}")

    def _add_rule(self, namespace: str, chain: str, rule: str) -> int:
        answer = self._nft(namespace, f"add rule inet lab {chain} {rule}", "--echo", "--handle")
        return int(answer.rsplit("# handle ", 1)[1].split()[0])

    def _nft(self, namespace: str, script: str, *options: str) -> str:
        enter = ["nsenter", f"--net=/run/netns/{namespace}", program("nft")]
        return run([*enter, *options, "-f", "-"], text=script + "\n")

    # -- making and removing ----------------------------------------------------------------------------------------

    def up(self) -> None:
        """Make everything; what killed runs left behind goes first."""
        self.down()
        _sweep()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        places = ["router", "server", *ROUTERS, *VANTAGES]
        run(["ip", "-batch", "-"], text="".join(f"netns add {self.namespace(place)}\n" for place in places))
        for place in places:
            self._calm(place)
        self._wire_server()
        for name, router in ROUTERS.items():
            self._wire_router(name, router)
        for name, vantage in VANTAGES.items():
            self._wire_vantage(name, vantage)
            self._files(name, vantage)
        for place in ("server", *ROUTERS):
            self._files(place, VANTAGES["client"])
        self.batch("router", _ROUTER_ROUTES)
        self.batch("client", _CLIENT_ROUTES)
        for place in places:
            egress = place in VANTAGES and VANTAGES[place].no_egress
            self._nft(self.namespace(place), _firewall(no_egress=egress))
        for name, router in ROUTERS.items():
            self._nft(self.namespace(name), _translation(router))

    def down(self) -> None:
        """Remove every trace of this lab."""
        _remove(self.slot)

    def _calm(self, place: str) -> None:
        """Kernel settings that let a scenario be judged at once and again: no duplicate-address wait, no ICMP limit."""
        settings = {
            "ipv4/icmp_ratelimit": 0,
            "ipv4/icmp_msgs_per_sec": 100000,
            "ipv4/icmp_msgs_burst": 10000,
            "ipv6/icmp/ratelimit": 0,
            "ipv6/conf/default/accept_dad": 0,
            "ipv6/conf/all/accept_dad": 0,
            "ipv6/conf/default/router_solicitations": 0,
            "ipv4/ip_unprivileged_port_start": 0,
            "ipv4/ping_group_range": "0 2147483647",
        }
        if place in ("router", *ROUTERS):
            settings |= {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1}
        if not getattr(VANTAGES.get(place, ROUTERS.get(place)), "ipv6", True):
            settings |= {"ipv6/conf/all/disable_ipv6": 1, "ipv6/conf/default/disable_ipv6": 1}
        with self.inside(place):
            for path, value in settings.items():
                Path("/proc/sys/net", path).write_text(str(value))

    def batch(self, place: str, lines: Sequence[str]) -> None:
        """Run commands of ``ip`` at a place."""
        run(["ip", "-n", self.namespace(place), "-batch", "-"], text="\n".join(lines) + "\n")

    def link(self, place: str, device: str, peer: str, peer_device: str) -> None:
        """A cable between two places."""
        end, other = self.namespace(place), self.namespace(peer)
        run(["ip", "link", "add", device, "netns", end, "type", "veth", "peer", "name", peer_device, "netns", other])

    def _wire_server(self) -> None:
        self.link("server", "eth0", "router", "servers")
        own = [address_of(number) for number in range(2, 2 * MACHINES + 2)]
        addresses = [f"addr add {host.v4}/24 dev eth0" for host in own]
        addresses += [f"addr add {host.public}/24 dev eth0" for host in own]
        addresses += [f"addr add {host.v6}/64 dev eth0 nodad" for host in own]
        addresses += [f"addr add {host.public_v6}/64 dev eth0 nodad" for host in own]
        addresses += [f"addr add {host}/24 dev eth0" for host, _ in (*CANARIES, ECHO)]
        self.batch("server", ["link set lo up", "link set eth0 up", *addresses])
        self.batch(
            "router",
            [
                "link set lo up", "link set servers up",
                "addr add 10.77.2.1/24 dev servers", "addr add 25.77.0.1/24 dev servers",
                "addr add 10.77.12.1/24 dev servers", "addr add 25.77.1.1/24 dev servers",
                "addr add 25.77.8.254/24 dev servers",
                "addr add fd77:2::1/64 dev servers nodad", "addr add 2a77:77::1/64 dev servers nodad",
            ],
        )  # fmt: skip
        self.batch("server", ["route add default via 10.77.2.1", "route add default via fd77:2::1"])

    def _wire_router(self, name: str, router: Router) -> None:
        """A second router: its uplink, its name server's address, and the way back to what lies behind it."""
        self.link(name, "uplink", "router", name)
        near, far = (f"10.77.{router.transit}.{end}" for end in (1, 2))
        near6, far6 = (f"fd77:{router.transit}::{end}" for end in (1, 2))
        inside = [vantage for vantage in VANTAGES.values() if vantage.behind == name]
        own = [
            "link set lo up", "link set uplink up", f"addr add {far}/24 dev uplink",
            f"addr add {router.name_server}/32 dev lo", f"route add default via {near}",
        ]  # fmt: skip
        first = [f"link set {name} up", f"addr add {near}/24 dev {name}"]
        behind = [*(vantage.cidr for vantage in inside), router.name_server, *router.snat.values()]
        first += [f"route add {network} via {far}" for network in behind]
        if router.ipv6:
            own += [f"addr add {far6}/64 dev uplink nodad", f"route add default via {near6}"]
            first += [f"addr add {near6}/64 dev {name} nodad"]
            first += [f"route add fd77:{vantage.subnet}::/64 via {far6}" for vantage in inside]
        self.batch("router", first)
        self.batch(name, own)

    def _wire_vantage(self, name: str, vantage: Vantage) -> None:
        self.link(name, "eth0", vantage.behind, name)
        net, net6 = f"10.77.{vantage.subnet}", f"fd77:{vantage.subnet}::"
        target, target6 = ("default", "default") if vantage.default_route else ("10.77.2.0/24", "fd77:2::/64")
        router = [f"link set {name} up", f"addr add {net}.1/24 dev {name}"]
        own = [
            "link set lo up", "link set eth0 up",
            f"addr add {vantage.v4}/24 dev eth0", f"route add {target} via {net}.1",
        ]  # fmt: skip
        if not vantage.default_route:
            own += [f"route add 10.77.12.0/24 via {net}.1"]
        if vantage.ipv6:
            router += [f"addr add {net6}1/64 dev {name} nodad"]
            own += [f"addr add {vantage.v6}/64 dev eth0 nodad", f"route add {target6} via {net6}1"]
        self.batch(vantage.behind, router)
        self.batch(name, own)

    def _files(self, place: str, vantage: Vantage) -> None:
        etc = self.etc(place)
        etc.mkdir(parents=True)
        (etc / "resolv.conf").write_text(
            f"search {DOMAIN}\nnameserver {vantage.name_server}\noptions timeout:1 attempts:2\n"
        )
        (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")


_ROUTER_ROUTES = (
    "route add blackhole 10.77.9.0/24", "route add blackhole fd77:9::/64",
    "route add blackhole 25.77.9.0/24", "route add blackhole 169.254.0.0/16",
    "route add unreachable 10.77.10.0/24", "route add unreachable fd77:10::/64",
    "route add prohibit 10.77.11.0/24", "route add prohibit fd77:11::/64",
)  # fmt: skip
_CLIENT_ROUTES = (
    "route add unreachable 10.78.1.0/24", "route add unreachable fd78:1::/64",
    "route add prohibit 10.78.2.0/24", "route add blackhole 10.78.3.0/24",
)  # fmt: skip


def _firewall(*, no_egress: bool) -> str:
    blocked = f"tcp dport {{ {', '.join(map(str, PROTOCOL_PORTS))} }} drop" if no_egress else ""
    return (
        "table inet lab {\n"
        "  chain input { type filter hook input priority 0; policy accept; }\n"
        "  chain forward { type filter hook forward priority 0; policy accept; }\n"
        f"  chain output {{ type filter hook output priority 0; policy accept; {blocked}; }}\n"
        "}\n"
    ).replace("; ;", ";")


def _translation(router: Router) -> str:
    """Who gets a public address on the way out, and who does not get out at all."""
    public = "ip daddr != 10.0.0.0/8"
    snat = "".join(f"ip saddr {network} {public} snat to {eip}; " for network, eip in router.snat.items())
    drop = "".join(f"ip saddr {network} {public} drop; " for network in router.no_way_out)
    return (
        "table ip translation {\n"
        f"  chain postrouting {{ type nat hook postrouting priority 100; policy accept; {snat}}}\n"
        f"  chain forward {{ type filter hook forward priority 1; policy accept; {drop}}}\n"
        "}\n"
    )


def _enter(namespace: int) -> None:
    if _setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _take_slot() -> tuple[int, int]:
    """A number that no living process uses, and the lock that keeps it."""
    _SLOTS.mkdir(parents=True, exist_ok=True)
    _SLOTS.chmod(0o755)
    for slot in range(100):
        if (lock := _lock(slot)) is not None:
            return slot, lock
    raise RuntimeError("a hundred labs are running already")


def _lock(slot: int) -> int | None:
    """The lock of a slot, or None while another process has it. The kernel frees it when the process ends."""
    lock = os.open(_SLOTS / f"slot{slot}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _sweep() -> None:
    """Remove the labs whose processes are gone."""
    for folder in _SLOTS.glob("lab*"):
        slot = int(folder.name.removeprefix("lab"))
        if (lock := _lock(slot)) is not None:
            _remove(slot)
            os.close(lock)


def _remove(slot: int) -> None:
    prefix = f"hw{slot}_"
    names = [entry.name for entry in Path("/run/netns").glob(f"{prefix}*")]
    for name in names:
        for pid in run(["ip", "netns", "pids", name]).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    for name in names:
        run(["ip", "netns", "del", name])
    for folder in Path("/etc/netns").glob(f"{prefix}*"):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(_SLOTS / f"lab{slot}", ignore_errors=True)


if __name__ == "__main__":
    reasons = missing()
    print("; ".join(reasons))
    raise SystemExit(bool(reasons))
