"""Real networks in namespaces of their own: vantages, a router with a firewall, and a network of servers.

    client      10.77.1.2 --+
    elsewhere   10.77.3.2 --+
    nogateway   10.77.4.2 --+-- router -- 10.77.2.0/24, 25.77.0.0/24 -- server (many addresses)
    noresolver  10.77.5.2 --+
    v4only      10.77.6.2 --+
    egress      10.77.7.2 --+

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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DOMAIN = "lab.test"
PROTOCOL_PORTS = (21, 22, 80, 443, 3306, 5432, 6379)

NAME_SERVER = "10.77.2.53"
NAME_SERVER_V6 = "fd77:2::53"


@dataclass(frozen=True)
class Host:
    """One machine in the servers' network, by each of its addresses. `public` addresses are globally routable ones."""

    v4: str
    v6: str
    public: str
    public_v6: str


def _host(number: int) -> Host:
    return Host(f"10.77.2.{number}", f"fd77:2::{number}", f"25.77.0.{number}", f"2a77:77::{number}")


class Dead:
    """Addresses where nobody is, each dead in its own way, as `client` sees them."""

    ON_LINK = "10.77.1.99"  # in the client's own network: no neighbour answers
    ON_LINK_V6 = "fd77:1::99"
    ROUTED = "10.77.2.254"  # in the servers' network: the router finds no neighbour and says so after 3 s
    ROUTED_V6 = "fd77:2::fe:99"
    BLACKHOLE = "10.77.9.9"  # the router swallows it
    BLACKHOLE_V6 = "fd77:9::9"
    BLACKHOLE_PUBLIC = "25.77.9.9"
    UNREACHABLE = "10.77.10.9"  # the router answers: host unreachable (ICMP 3/1)
    UNREACHABLE_V6 = "fd77:10::9"
    PROHIBITED = "10.77.11.9"  # the router answers: administratively prohibited (ICMP 3/13)
    PROHIBITED_V6 = "fd77:11::9"
    NO_ROUTE_BEYOND = "10.77.200.9"  # the router has no route: net unreachable (ICMP 3/0)
    NO_ROUTE_BEYOND_V6 = "fd77:200::9"
    LOCAL_UNREACHABLE = "10.78.1.9"  # the client's own table says unreachable (EHOSTUNREACH)
    LOCAL_UNREACHABLE_V6 = "fd78:1::9"
    LOCAL_PROHIBITED = "10.78.2.9"  # ... prohibit (EACCES)
    LOCAL_BLACKHOLE = "10.78.3.9"  # ... blackhole (EINVAL)


@dataclass(frozen=True)
class Vantage:
    """A place from which checks run: its network's number and what is wrong with it."""

    subnet: int
    default_route: bool = True
    ipv6: bool = True
    name_server: str = NAME_SERVER
    no_egress: bool = False

    @property
    def v4(self) -> str:
        return f"10.77.{self.subnet}.2"

    @property
    def v6(self) -> str:
        return f"fd77:{self.subnet}::2"


VANTAGES: Mapping[str, Vantage] = {
    "client": Vantage(1),
    "elsewhere": Vantage(3),  # nothing wrong; another source address
    "nogateway": Vantage(4, default_route=False),  # reaches the servers' private network and nothing else
    "noresolver": Vantage(5, name_server="10.77.9.53"),  # its name server is silent
    "v4only": Vantage(6, ipv6=False),
    "egress": Vantage(7, no_egress=True),  # its own firewall lets no known protocol's port out
}

#: What a firewall does to a packet, in nftables' words for IPv4 and IPv6.
ACTIONS: Mapping[str, tuple[str, str]] = {
    "drop": ("drop", "drop"),
    "reset": ("reject with tcp reset", "reject with tcp reset"),
    "port-unreachable": ("reject with icmp type port-unreachable", "reject with icmpv6 type port-unreachable"),
    "admin-prohibited": ("reject with icmp type admin-prohibited", "reject with icmpv6 type admin-prohibited"),
    "host-prohibited": ("reject with icmp type host-prohibited", "reject with icmpv6 type admin-prohibited"),
    "net-prohibited": ("reject with icmp type net-prohibited", "reject with icmpv6 type admin-prohibited"),
    "host-unreachable": ("reject with icmp type host-unreachable", "reject with icmpv6 type addr-unreachable"),
    "net-unreachable": ("reject with icmp type net-unreachable", "reject with icmpv6 type no-route"),
}

_REQUIRED = (
    "ip", "nft", "nsenter", "setpriv", "openssl", "mariadbd", "mariadb-install-db", "redis-server", "vsftpd", "sshd",
    "nginx", "/usr/lib/postgresql/15/bin/postgres",
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

    # -- names ------------------------------------------------------------------------------------------------------

    def namespace(self, place: str) -> str:
        """The namespace of a vantage, of ``router`` or of ``server``."""
        return f"hw{self.slot}_{place}"

    def host(self) -> Host:
        """A machine of the servers' network that nobody else uses."""
        number = next(self._numbers)
        if number > 249:
            raise RuntimeError("the servers' network is full: share servers between scenarios")
        return _host(number)

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
    ) -> Iterator[None]:
        """A firewall rule for as long as the block lasts.

        Args:
            action: A key of `ACTIONS`.
            host: The destination address; empty for all.
            port: The TCP port; None for every packet.
            at: ``router`` filters what it forwards, ``server`` what comes in, a vantage what goes out.
            longer_than: Only packets of more than so many bytes, in both directions: a path with a hidden small MTU.
        """
        namespace = self.namespace(at)
        chain = {"router": "forward", "server": "input"}.get(at, "output")
        ipv6 = ":" in host
        family = "ip6" if ipv6 else "ip"
        matches = []
        for direction in ("daddr", "saddr") if longer_than else ("daddr",):
            match = [f"{family} {direction} {host}"] if host else []
            if port is not None:
                match.append(f"tcp {'dport' if direction == 'daddr' else 'sport'} {port}")
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
        places = ["router", "server", *VANTAGES]
        run(["ip", "-batch", "-"], text="".join(f"netns add {self.namespace(place)}\n" for place in places))
        for place in places:
            self._calm(place)
        self._wire_server()
        for name, vantage in VANTAGES.items():
            self._wire_vantage(name, vantage)
            self._files(name, vantage)
        self._files("server", VANTAGES["client"])
        self._batch("router", _ROUTER_ROUTES)
        self._batch("client", _CLIENT_ROUTES)
        for place in places:
            egress = place in VANTAGES and VANTAGES[place].no_egress
            self._nft(self.namespace(place), _firewall(no_egress=egress))

    def down(self) -> None:
        """Remove every trace of this lab."""
        _remove(self.slot)

    def _calm(self, place: str) -> None:
        """Kernel settings that let a scenario be judged at once and again: no duplicate-address wait, no ICMP limit."""
        settings = {
            "ipv4/icmp_ratelimit": 0,
            "ipv6/icmp/ratelimit": 0,
            "ipv6/conf/default/accept_dad": 0,
            "ipv6/conf/all/accept_dad": 0,
            "ipv6/conf/default/router_solicitations": 0,
            "ipv4/ip_unprivileged_port_start": 0,
            "ipv4/ping_group_range": "0 2147483647",
        }
        if place == "router":
            settings |= {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1}
        if place in VANTAGES and not VANTAGES[place].ipv6:
            settings |= {"ipv6/conf/all/disable_ipv6": 1, "ipv6/conf/default/disable_ipv6": 1}
        with self.inside(place):
            for path, value in settings.items():
                Path("/proc/sys/net", path).write_text(str(value))

    def _batch(self, place: str, lines: Sequence[str]) -> None:
        run(["ip", "-n", self.namespace(place), "-batch", "-"], text="\n".join(lines) + "\n")

    def _link(self, place: str, device: str) -> None:
        end, peer = self.namespace(place), self.namespace("router")
        run(["ip", "link", "add", "eth0", "netns", end, "type", "veth", "peer", "name", device, "netns", peer])

    def _wire_server(self) -> None:
        self._link("server", "servers")
        own = [_host(number) for number in range(2, 250)]
        addresses = [f"addr add {host.v4}/24 dev eth0" for host in own]
        addresses += [f"addr add {host.public}/24 dev eth0" for host in own]
        addresses += [f"addr add {host.v6}/64 dev eth0 nodad" for host in own]
        addresses += [f"addr add {host.public_v6}/64 dev eth0 nodad" for host in own]
        self._batch("server", ["link set lo up", "link set eth0 up", *addresses])
        self._batch(
            "router",
            [
                "link set lo up", "link set servers up",
                "addr add 10.77.2.1/24 dev servers", "addr add 25.77.0.1/24 dev servers",
                "addr add fd77:2::1/64 dev servers nodad", "addr add 2a77:77::1/64 dev servers nodad",
            ],
        )  # fmt: skip
        self._batch("server", ["route add default via 10.77.2.1", "route add default via fd77:2::1"])

    def _wire_vantage(self, name: str, vantage: Vantage) -> None:
        self._link(name, name)
        net, net6 = f"10.77.{vantage.subnet}", f"fd77:{vantage.subnet}::"
        router = [
            "link set " + name + " up",
            f"addr add {net}.1/24 dev {name}",
            f"addr add {net6}1/64 dev {name} nodad",
        ]
        self._batch("router", router)
        target, target6 = ("default", "default") if vantage.default_route else ("10.77.2.0/24", "fd77:2::/64")
        own = [
            "link set lo up",
            "link set eth0 up",
            f"addr add {vantage.v4}/24 dev eth0",
            f"route add {target} via {net}.1",
        ]
        if vantage.ipv6:
            own += [f"addr add {vantage.v6}/64 dev eth0 nodad", f"route add {target6} via {net6}1"]
        self._batch(name, own)

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
