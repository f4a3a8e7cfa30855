"""The SSH vantage without a network: what the far side's words mean, and how a hop is waited for."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from registry.groups import SshSettings
from tasks.budget import Budget, under_way
from tasks.ssh import HostKey, certificates, given_keys, known_keys, load_key
from tasks.vantages import ConnectFailed, Resolution, VantageFailed, open_vantage
from tasks.vantages.ssh import _plain
from tasks.vantages.ssh.entry import Entry
from tasks.vantages.ssh.hop import Hop
from tasks.vantages.ssh.names import _NAME, _ahosts, _heard
from tasks.vantages.ssh.refusals import Refusals
from tasks.vantages.ssh.shell import Batch, Shell
from tasks.vantages.ssh.tables import Echo, Way, counters, echo, icmp_evidence, neighbour_state, way, way_in_proc
from tests.stopwatch import Stopwatch

# -- routes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("10.77.2.53 via 10.77.1.1 dev eth0 src 10.77.1.2 uid 0 \n    cache \n", Way("10.77.1.2", "10.77.1.1", "eth0")),
        ("10.77.1.9 dev eth0  src 10.77.1.2 \n", Way("10.77.1.2", None, "eth0")),
        ("broadcast 10.77.1.255 dev eth0 src 10.77.1.2 uid 0", Way("10.77.1.2", None, "eth0", broadcast=True)),
        ("local 127.0.0.1 dev lo src 127.0.0.1 uid 0", Way("127.0.0.1", None, "lo")),
        ("fd77:2::5 from :: via fd77:1::1 dev eth0 src fd77:1::2 metric 1024", Way("fd77:1::2", "fd77:1::1", "eth0")),
        ("RTNETLINK answers: Network is unreachable", Way(error="ENETUNREACH")),
        ("RTNETLINK answers: No route to host", Way(error="EHOSTUNREACH")),
        ("RTNETLINK answers: Permission denied", Way(error="EACCES")),
        ("RTNETLINK answers: Invalid argument", Way(error="EINVAL")),
        ("ip: RTNETLINK answers: Network is unreachable", Way(error="ENETUNREACH")),  # busybox
        ("RTNETLINK answers: something new", None),
        ("sh: ip: not found", None),
        ("", None),
    ],
)
def test_ip_route_get(answer: str, expected: Way | None) -> None:
    assert way(answer) == expected


_ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t01014D0A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t00014D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
*\t00014E0A\t00000000\t0201\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
_ROUTES6 = (
    "fd770001000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 "
    "00000001 00000000 00000001     eth0\n"
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd770001000000000000000000000001 00000400 "
    "00000001 00000000 00000003     eth0\n"
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.77.1.9", Way(None, None, "eth0")),
        ("8.8.8.8", Way(None, "10.77.1.1", "eth0")),
        ("10.78.1.9", Way(error="EHOSTUNREACH")),
        ("fd77:1::9", Way(None, None, "eth0")),
        ("2001:db8::1", Way(None, "fd77:1::1", "eth0")),
    ],
)
def test_proc_net_route(address: str, expected: Way) -> None:
    assert way_in_proc(address, _ROUTES, _ROUTES6) == expected


def test_no_route_in_proc_is_told_from_no_table() -> None:
    headings = _ROUTES.splitlines()[0] + "\n"
    assert way_in_proc("8.8.8.8", headings, "") == Way(error="ENETUNREACH")
    assert way_in_proc("8.8.8.8", "", "") is None


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_answer_can_be_read(one: str, other: str) -> None:
    way(one)
    way_in_proc("10.0.0.1", "Iface\n" + one, other)
    way_in_proc("fd00::1", one, other)
    neighbour_state("10.0.0.1", "eth0", one, other)
    echo(one, ipv6=False)
    counters(one, other)
    _ahosts(one)


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_a_route_covers_its_network(number: int, prefix: int) -> None:
    import ipaddress
    import struct

    network = ipaddress.IPv4Network((number, prefix), strict=False)
    destination, mask = (struct.unpack("<I", value.packed)[0] for value in (network.network_address, network.netmask))
    table = f"Iface\nppp0\t{destination:08X}\t00000000\t0001\t0\t0\t0\t{mask:08X}\t0\t0\t0\n"
    inside = str(network.broadcast_address)
    assert way_in_proc(inside, table, "") in (Way(None, None, "ppp0"), Way(device="lo"))


# -- neighbours, counters, echoes -------------------------------------------------------------------------------------


def test_neighbours() -> None:
    neigh = "10.77.1.99 dev eth0  FAILED\n10.77.1.1 dev eth0 lladdr 02:00:00:00:00:01 REACHABLE\n"
    arp = (
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "10.77.1.99       0x1         0x0         00:00:00:00:00:00     *        eth0\n"
        "10.77.1.1        0x1         0x2         02:00:00:00:00:01     *        eth0\n"
    )
    assert neighbour_state("10.77.1.99", "eth0", neigh, "") == "FAILED"
    assert neighbour_state("10.77.1.1", "eth0", neigh, "") == "REACHABLE"
    assert neighbour_state("10.77.1.1", "eth1", neigh, "") == "NONE", "another device's"
    assert neighbour_state("10.77.1.99", "eth0", "", arp) == "INCOMPLETE"
    assert neighbour_state("10.77.1.1", "eth0", "", arp) == "REACHABLE"
    assert neighbour_state("10.77.1.1", "eth0", "", "") is None


def test_counters() -> None:
    snmp = (
        "Icmp: InMsgs InErrors InCsumErrors InDestUnreachs\nIcmp: 7 0 0 3\n"
        "Tcp: RtoAlgorithm AttemptFails\nTcp: 1 5\nIcmp6InDestUnreachs             \t4\n"
    )
    found = counters(snmp, snmp)
    wanted = ("Icmp.InDestUnreachs", "Tcp.AttemptFails", "Icmp6InDestUnreachs")
    assert [found[name] for name in wanted] == [3, 5, 4]


_STATISTICS = "\n--- x ping statistics ---\n1 packets transmitted, {} received, 100% packet loss, time 0ms\n"


@pytest.mark.parametrize(
    ("said", "ipv6", "errno", "code", "sender"),
    [
        ("From 10.77.1.1 icmp_seq=1 Packet filtered", False, "EHOSTUNREACH", 13, "10.77.1.1"),
        ("From 10.77.1.1 icmp_seq=1 Destination Net Unreachable", False, "ENETUNREACH", 0, "10.77.1.1"),
        ("From 10.77.1.1 icmp_seq=1 Destination Host Prohibited", False, "EHOSTUNREACH", 10, "10.77.1.1"),
        ("From fd77::1 icmp_seq=1 Destination unreachable: Administratively prohibited", True, "EACCES", 1, "fd77::1"),
        ("From gw (10.77.1.1): icmp_seq=1 Packet filtered", False, "EHOSTUNREACH", 13, None),
    ],
)  # fmt: skip
def test_a_refused_echo(said: str, ipv6: bool, errno: str, code: int, sender: str | None) -> None:
    seen = echo(f"PING x\n{said}\n{_STATISTICS.format(0)}", ipv6)
    assert (seen.answered, seen.icmp_code, seen.icmp_from) == (False, code, sender)
    assert icmp_evidence(seen, errno, ipv6, "10.77.1.2")["icmp_code"] == code
    assert icmp_evidence(seen, "ECONNREFUSED", ipv6, "10.77.1.2") == {}, "it does not explain another errno"


def test_echoes_that_tell_nothing_of_icmp() -> None:
    assert echo("64 bytes from x: icmp_seq=1 ttl=64\n" + _STATISTICS.format(1), ipv6=False) == Echo(answered=True)
    assert echo(_STATISTICS.format(0), ipv6=False) == Echo(answered=False)
    assert echo("ping: socket: Operation not permitted", ipv6=False) == Echo()
    assert echo("1 packets transmitted, 0 packets received, 100% packet loss", ipv6=False) == Echo(answered=False)


# -- names ------------------------------------------------------------------------------------------------------------


def test_getent() -> None:
    text = "10.77.2.10      STREAM db.lab.test\n10.77.2.10      DGRAM\nfd77:2::10      STREAM \njunk\n"
    assert _ahosts(text) == ["10.77.2.10", "fd77:2::10"]


def test_silence_over_udp_proves_that_nobody_answered() -> None:
    assert _heard({"Udp.InDatagrams": 5}, {"Udp.InDatagrams": 6}) == {"answered_over_udp": True}
    assert _heard({"Udp.InDatagrams": 5}, {"Udp.InDatagrams": 5})["answered_over_udp"] is False
    assert _heard({}, {}) == {}, "what is not counted proves nothing"


@pytest.mark.parametrize("name", ["db; id", "$(id)", "`id`", "-x", "a b", "a\nb", "", "'", "a" * 300, "ü.example"])
def test_what_is_no_host_name_reaches_no_command_line(name: str) -> None:
    assert _NAME.fullmatch(name) is None


@pytest.mark.parametrize("address", ["10.0.0.1; id", "$(id)", "db.example", "", "10.0.0.1 -f"])
def test_what_is_no_address_reaches_no_command_line(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        _plain(address)


# -- commands ---------------------------------------------------------------------------------------------------------


def test_sections_of_an_answer() -> None:
    shell = Shell(_nowhere)
    mark = shell.section("a").split()[3]
    text = f"Welcome!\n\n{mark} a\none\ntwo\n\n{mark} b\n\n{mark} end\n"
    assert shell._parse(text) == {"a": "one\ntwo", "b": "", "end": ""}
    assert shell._parse("Welcome!\nThis account is not available.\n") == {}
    assert Shell(_nowhere).section("a") != shell.section("a"), "no far file can hold the mark of a run"


async def _nowhere(_budget: Budget) -> Any:
    raise AssertionError


async def test_questions_of_one_moment_are_one_command() -> None:
    asked: list[list[str]] = []

    async def run(keys: list[str]) -> Mapping[str, str]:
        asked.append(keys)
        await asyncio.sleep(0.05)
        return {key: key.upper() for key in keys if key != "c"}

    batch = Batch(run, at_once=1)
    budget = Budget.of(2)
    first = asyncio.gather(*(batch.ask(key, budget) for key in ("a", "b", "a")))
    await asyncio.sleep(0.01)
    second = asyncio.gather(*(batch.ask(key, budget) for key in ("c", "d")))
    assert await first == ["A", "B", "A"]
    assert await second == [None, "D"]
    assert asked == [["a", "b"], ["c", "d"]]
    assert await Batch(run).ask("a", Budget.of(0.01)) is None, "no answer in time"


async def test_a_failed_command_fails_its_questions_only() -> None:
    failures: list[Exception] = [VantageFailed(tunnel="lost")]

    async def run(keys: list[str]) -> Mapping[str, str]:
        if failures:
            raise failures.pop()
        return dict.fromkeys(keys, "well")

    batch = Batch(run)
    with pytest.raises(VantageFailed):
        await batch.ask("a", Budget.of(1))
    assert await batch.ask("a", Budget.of(1)) == "well"


# -- refusals ---------------------------------------------------------------------------------------------------------


class _Counting:
    """A far kernel that counts an ICMP message for some addresses, and noise of its own."""

    usable = True

    def __init__(self, refusing: Sequence[str], noise: Sequence[int] = ()) -> None:
        self.unreachables = self.failed = 0
        self._refusing = refusing
        self._noise = list(noise)

    def section(self, _name: str) -> str:
        return ""

    async def run(self, _script: str, _budget: Budget) -> Mapping[str, str]:
        self.unreachables += self._noise.pop(0) if self._noise else 0
        text = f"Icmp: InDestUnreachs\nIcmp: {self.unreachables}\nTcp: AttemptFails\nTcp: {self.failed}\n"
        return {"snmp": text}

    async def again(self, address: str, _port: int, _budget: Budget) -> None:
        self.failed += 1
        self.unreachables += address in self._refusing


async def _told_apart(kernel: _Counting, addresses: Sequence[str]) -> list[str | None]:
    refusals = Refusals(kernel, kernel.again)  # type: ignore[arg-type]
    return list(await asyncio.gather(*(refusals.told_apart(address, 1, Budget.of(3)) for address in addresses)))


async def test_a_refusal_is_an_rst_where_no_icmp_message_came() -> None:
    assert await _told_apart(_Counting([]), ["a", "b", "c"]) == ["rst"] * 3
    assert await _told_apart(_Counting(["b"]), ["a", "b", "c"]) == ["rst", "icmp", "rst"]
    assert await _told_apart(_Counting(["a", "b"]), ["a", "b"]) == ["icmp", "icmp"]


async def test_a_busy_machine_tells_nothing() -> None:
    assert await _told_apart(_Counting([], noise=[0, 1] * 20), ["a"]) == [None], "somebody else's ICMP messages"
    assert await _told_apart(_Counting([], noise=[0, 1, 0, 0]), ["a"]) == ["rst"], "one that came by chance"


# -- getting in -------------------------------------------------------------------------------------------------------


def _keygen(*arguments: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *arguments], check=True, stdin=subprocess.DEVNULL)


def _make(folder: Path, name: str) -> Path:
    _keygen("-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name))
    return folder / name


def test_certificates_of_users(tmp_path: Path) -> None:
    authority, key, other = (_make(tmp_path, name) for name in ("authority", "key", "other"))
    pkey = load_key(key.read_text())
    certificate = tmp_path / "key-cert.pub"

    def problem(*arguments: str, of: Path = key) -> str:
        _keygen("-s", str(authority), "-I", "x", "-n", "probe", *arguments, f"{of}.pub")
        return certificates.problem_of_user(Path(f"{of}-cert.pub").read_text(), pkey)

    assert problem() == ""
    assert "expired on 2020" in problem("-V", "20190101:20200101")
    assert "valid from" in problem("-V", "+1w:+2w")
    assert "host's" in problem("-h")
    assert "another private key" in problem(of=other)
    assert "no certificate" in certificates.problem_of_user(Path(f"{key}.pub").read_text(), pkey)
    assert certificate.exists()


def test_certificates_of_hosts(tmp_path: Path) -> None:
    authority, stranger, key = (_make(tmp_path, name) for name in ("authority", "stranger", "key"))
    trusted = (HostKey.parse(Path(f"{authority}.pub").read_text()),)

    def problem(signer: Path, *arguments: str) -> str:
        _keygen("-s", str(signer), "-I", "x", *arguments, f"{key}.pub")
        shown = HostKey.parse((tmp_path / "key-cert.pub").read_text())
        assert certificates.is_certificate(shown)
        return certificates.problem_of_host(shown, "hop.example", trusted)

    assert problem(authority, "-h", "-n", "hop.example") == ""
    assert problem(authority, "-h", "-n", "*.example") == ""
    assert "not for hop.example" in problem(authority, "-h", "-n", "other.example")
    assert "nobody has vouched" in problem(stranger, "-h", "-n", "hop.example")
    assert "no host's" in problem(authority, "-n", "hop.example")
    assert "expired" in problem(authority, "-h", "-n", "hop.example", "-V", "20190101:20200101")


def test_authorities_are_known(tmp_path: Path) -> None:
    line = Path(f"{_make(tmp_path, 'key')}.pub").read_text().strip()
    key = HostKey.parse(line)
    given = given_keys(f"@cert-authority {line}\n", "host_key")
    assert (given.trusted, given.authorities) == ((), (key,))
    file = tmp_path / "known_hosts"
    file.write_text(f"@cert-authority *.example {line}\n")
    assert known_keys("hop.example", 22, [file]).authorities == (key,)
    assert known_keys("hop.test", 22, [file]).authorities == ()


def _settings(**changes: Any) -> dict[str, Any]:
    return {"host": "hop.example", "username": "probe", **changes}


def test_settings_take_references_only() -> None:
    for field in ("private_key", "passphrase", "password"):
        for wrong in (_settings(**{field: "canary"}), _settings(jump=_settings(**{field: "canary"}))):
            with pytest.raises(ValidationError) as refused:
                SshSettings.model_validate(wrong)
            assert "canary" not in str(refused.value)
    with pytest.raises(ValidationError):
        SshSettings.model_validate(_settings(jump=_settings(jump=_settings())))


async def test_secrets_stay_out_of_sight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOP_PASSWORD", "canary-password")
    key = _make(tmp_path, "key")
    hop = SshSettings.model_validate(_settings(private_key=f"file:{key}", password="env:HOP_PASSWORD"))
    entry = await Entry.prepare(hop, lambda tunnel, **evidence: VantageFailed(tunnel=tunnel, **evidence))
    assert entry.keys
    assert "canary" not in repr(entry)
    assert key.read_text().splitlines()[1] not in repr(entry)


@pytest.fixture
def revoked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A host key that this user's known_hosts both knows and revokes."""
    line = Path(f"{_make(tmp_path, 'key')}.pub").read_text().strip()
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(f"hop.example {line}\n@revoked * {line}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    return line


async def test_a_key_that_is_revoked(tmp_path: Path, revoked: str) -> None:
    hop = SshSettings.model_validate(_settings(private_key=f"file:{tmp_path / 'key'}"))
    entry = await Entry.prepare(hop, lambda tunnel, **evidence: VantageFailed(tunnel=tunnel, **evidence))

    class Connection:
        async def exchange_keys(self, *_: object, **__: object) -> HostKey:
            return HostKey.parse(revoked)

    with pytest.raises(VantageFailed) as distrusted:
        await entry.trust(Connection())  # type: ignore[arg-type]
    assert distrusted.value.evidence["tunnel"] == "host_key_revoked"


# -- waiting for a hop ------------------------------------------------------------------------------------------------


class _Hanging:
    """A place from which connects are never answered."""

    name = kind = "local"

    def __init__(self) -> None:
        self.connects = 0

    async def resolve(self, host: str, budget: Budget) -> Resolution:
        return Resolution(("10.9.9.9",), {})

    async def connect(self, *_: object, **__: object) -> Any:
        self.connects += 1
        await asyncio.sleep(60)

    async def close(self) -> None:
        pass


def _hop(base: Any, key: Path, **changes: Any) -> Hop:
    settings = SshSettings.model_validate(_settings(private_key=f"file:{key}"))
    return Hop("vpc1", settings, base, role="SSH host", seconds=changes.get("seconds", 10), keepalive=15, most=10)


async def test_everybody_who_waits_for_a_hop_is_told_in_time(tmp_path: Path) -> None:
    base = _Hanging()
    hop = _hop(base, _make(tmp_path, "key"))
    with Stopwatch() as watch:
        found = await asyncio.gather(*(hop.channels(Budget.of(0.8)) for _ in range(500)), return_exceptions=True)
    watch.within(2)
    assert {type(one) for one in found} == {VantageFailed}
    assert found[0].evidence["tunnel"] == "silent"  # type: ignore[union-attr]
    assert found[0].evidence["phase"] == "connect"  # type: ignore[union-attr]
    assert base.connects == 1
    with Stopwatch() as watch, pytest.raises(VantageFailed):
        await hop.channels(Budget.of(5))
    watch.within(0.5, "whoever comes next does not wait for the same")
    await hop.close()


async def test_a_name_of_a_hop_that_is_not_found(tmp_path: Path) -> None:
    class Nameless(_Hanging):
        async def resolve(self, host: str, budget: Budget) -> Resolution:
            return Resolution((), {"rcode": "NXDOMAIN", "nameservers": ["10.0.0.2"]})

    hop = _hop(Nameless(), _make(tmp_path, "key"))
    with pytest.raises(VantageFailed) as failed:
        await hop.channels(Budget.of(2))
    assert (failed.value.evidence["tunnel"], failed.value.evidence["hop_rcode"]) == ("name", "NXDOMAIN")
    await hop.close()


async def test_every_address_of_a_hop_is_tried(tmp_path: Path) -> None:
    tried: list[str] = []

    class Many(_Hanging):
        async def resolve(self, host: str, budget: Budget) -> Resolution:
            return Resolution(("10.0.0.1", "10.0.0.2", "10.0.0.3"), {})

        async def connect(self, address: str, *_: object, **__: object) -> Any:
            tried.append(address)
            raise ConnectFailed(errno="ECONNREFUSED")

    hop = _hop(Many(), _make(tmp_path, "key"))
    with pytest.raises(VantageFailed) as failed:
        await hop.channels(Budget.of(2))
    assert tried == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert failed.value.evidence["tunnel"] == "refused"
    await hop.close()


async def test_questions_without_a_budget_have_that_of_the_check() -> None:
    with Budget.of(1.5).under_way():
        assert under_way(30).total == 1.5
        assert await asyncio.create_task(_total()) == 1.5, "tasks of the check too"
    assert under_way(30).total == 30


async def _total() -> float:
    return under_way(30).total


def test_opening_a_vantage_connects_nowhere() -> None:
    vantage = open_vantage("ssh", "vpc1", _settings(jump=_settings(host="jump.example")))
    assert (vantage.name, vantage.kind) == ("vpc1", "ssh")


@pytest.mark.parametrize(
    ("jump", "login"),
    [
        (None, "-p 2222 probe@10.9.9.9"),
        ({"host": "10.8.8.8", "username": "guest"}, "-J guest@10.8.8.8 -p 2222 probe@10.9.9.9"),
        ({"host": "fd77::8", "port": 2022, "username": "guest"}, "-J guest@[fd77::8]:2022 -p 2222 probe@10.9.9.9"),
    ],
)
def test_a_remedy_leads_a_person_through_the_jump_host(jump: Mapping[str, Any] | None, login: str) -> None:
    settings = {"host": "10.9.9.9", "port": 2222, "username": "probe"} | ({"jump": jump} if jump else {})
    base = open_vantage("local", "here", {})
    hop = Hop("vpc1", SshSettings.model_validate(settings), base, role="SSH host", seconds=5, keepalive=0, most=1)
    assert hop.about()["hop_login"] == login
