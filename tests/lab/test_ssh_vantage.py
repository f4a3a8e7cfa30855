"""The SSH vantage through real SSH servers: the same verdicts as on the spot, and each fault of the hop by its name."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.verdict import Verdict
from tasks.budget import Budget
from tasks.vantages import Outpost, open_vantage
from tests.lab import faults
from tests.lab.expectation import Expectation, check_invariants
from tests.lab.hops import HUB, PASSPHRASE, Hop
from tests.lab.lab import Lab
from tests.lab.nameserver import Answer
from tests.lab.network import run
from tests.lab.servers import PASSWORD


def _entry(host: str, **changes: Any) -> dict[str, Any]:
    return {
        "address": {"host": host, "port": 5432},
        "database": "shop",
        "username": "app",
        "password": PASSWORD,
        **changes,
    }


@pytest.fixture
def through(lab: Lab) -> Any:
    """Checks a PostgreSQL that is well through a hop with these settings."""

    def check(settings: dict[str, Any], *, host: str = "", timeout: float = 5.0) -> Verdict:
        entry = _entry(host or lab.postgresql().v4)
        verdict = lab.check("postgresql", entry, via="ssh", settings=settings, timeout=timeout)
        check_invariants(verdict, secrets=(PASSPHRASE, _body(lab.hops.key), _body(lab.hops.encrypted_key)))
        return verdict

    return check


def _body(key: Path) -> str:
    """A line out of the middle of a private key: wherever it shows, the key has leaked."""
    return key.read_text().splitlines()[2]


@pytest.fixture
def hop(lab: Lab) -> Hop:
    return lab.hops.at("client")


# -- the same verdicts as on the spot ---------------------------------------------------------------------------------


def _same(
    lab: Lab, type: str, entry: dict[str, Any], code: str | None, *, vantage: str = "client", **more: Any
) -> Verdict:
    here = lab.check(type, entry, vantage=vantage, **more)
    there = lab.check(type, entry, vantage=vantage, via="ssh", **more)
    check_invariants(there)
    assert (here.cause, there.cause) == (code, code), there.model_dump_json(indent=1)
    assert there.state is here.state
    if code:
        assert there.owner == here.owner
    return there


def test_a_good_postgresql(lab: Lab) -> None:
    verdict = _same(lab, "postgresql", _entry(lab.postgresql().v4), None)
    connect = next(stage for stage in verdict.stages if stage.name == "connect")
    assert connect.evidence["source_address"] == "10.77.1.2", "the source address is the far machine's"


def test_an_echo_that_nobody_had_time_to_hear_is_no_silence(lab: Lab, hop: Hop) -> None:
    answering, silent = lab.host().v4, lab.dead.BLACKHOLE

    async def heard() -> tuple[bool | None, ...]:
        vantage = open_vantage("ssh", "client", hop.settings())
        assert not isinstance(vantage, Outpost)
        try:
            await vantage.answers_ping(answering, Budget.of(10))  # the way in is open from then on
            asked = ((answering, 10), (silent, 10), (silent, 0.3))
            return tuple([await vantage.answers_ping(address, Budget.of(seconds)) for address, seconds in asked])
        finally:
            await vantage.close()

    with lab.inside(HUB):
        assert asyncio.run(heard()) == (True, False, None)


def test_a_good_postgresql_by_name(lab: Lab) -> None:
    verdict = _same(lab, "postgresql", _entry(lab.name("goodbyssh", lab.postgresql().v4)), None)
    resolve = next(stage for stage in verdict.stages if stage.name == "resolve")
    assert resolve.evidence["nameservers"] == ["10.77.2.53"], "the name servers are the far machine's"


def test_a_name_in_the_far_hosts_file(lab: Lab) -> None:
    with lab.etc("hosts", f"{lab.postgresql().v4} onlythere\n"):
        verdict = _same(lab, "postgresql", _entry("onlythere"), None)
    assert next(stage for stage in verdict.stages if stage.name == "resolve").evidence["from"] == "hosts"


def test_a_good_postgresql_over_ipv6(lab: Lab) -> None:
    _same(lab, "postgresql", _entry(lab.postgresql().host.v6), None)


def test_a_wrong_password(lab: Lab) -> None:
    _same(lab, "postgresql", _entry(lab.postgresql().v4, password=lab.wrong_password), "AUTH.BAD_CREDENTIALS")


def test_a_name_that_does_not_exist(lab: Lab) -> None:
    _same(lab, "postgresql", _entry("no-such-name.lab.test"), "DNS.NXDOMAIN")


def test_a_name_without_addresses(lab: Lab) -> None:
    lab.names["emptybyssh"] = Answer()
    _same(lab, "postgresql", _entry("emptybyssh.lab.test"), "DNS.NO_ADDRESS")


def test_a_resolver_that_is_silent(lab: Lab) -> None:
    _same(lab, "postgresql", _entry("db.lab.test"), "DNS.RESOLVER_DOWN", vantage="noresolver")


def test_a_resolver_that_is_stopped(lab: Lab) -> None:
    with lab.names.stopped():
        _same(lab, "postgresql", _entry("db.lab.test"), "DNS.RESOLVER_DOWN")


def test_a_closed_port(lab: Lab) -> None:
    verdict = _same(lab, "postgresql", _entry(lab.host().v4), "PORT.CLOSED")
    assert next(stage for stage in verdict.stages if stage.name == "connect").evidence["refused_by"] == "rst"


def test_a_closed_port_over_ipv6(lab: Lab) -> None:
    _same(lab, "postgresql", _entry(lab.host().v6), "PORT.CLOSED")


def test_a_port_mistyped(lab: Lab) -> None:
    entry = _entry(lab.postgresql().v4, address={"host": lab.postgresql().v4, "port": 5433})
    _same(lab, "postgresql", entry, "PORT.PROBABLY_TYPO")


def test_a_firewall_that_drops(lab: Lab) -> None:
    host = lab.host().v4
    with lab.listener("mute", 7, host), lab.filter("drop", host, 5432):
        _same(lab, "postgresql", _entry(host), "FILTER.DROP", timeout=2)


@pytest.mark.parametrize("action", ["port-unreachable", "host-prohibited", "net-prohibited", "admin-prohibited"])
def test_a_firewall_that_refuses(lab: Lab, action: str) -> None:
    host = lab.host().v4
    with lab.filter(action, host, 5432):
        _same(lab, "postgresql", _entry(host), "FILTER.REJECT")


@pytest.mark.parametrize("action", ["port-unreachable", "admin-prohibited"])
def test_a_firewall_that_refuses_over_ipv6(lab: Lab, action: str) -> None:
    host = lab.host().v6
    with lab.filter(action, host, 5432):
        # Each of three connects takes a second here: ICMPv6 comes before the socket is ready for it.
        _same(lab, "postgresql", _entry(host), "FILTER.REJECT", timeout=15)


def test_a_firewall_that_refuses_everything(lab: Lab) -> None:
    host = lab.host().v4
    with lab.filter("host-prohibited", host):
        verdict = _same(lab, "postgresql", _entry(host), "FILTER.REJECT")
    assert verdict.component == "10.77.1.1", "the router that refused the echo too is named"


@pytest.mark.parametrize(
    ("address", "code", "vantage"),
    [
        ("10.77.1.99", "HOST.DOWN", "client"),
        ("10.77.10.9", "ROUTE.REMOTE_UNREACHABLE", "client"),
        ("10.77.200.9", "ROUTE.REMOTE_UNREACHABLE", "client"),
        ("fd77:10::9", "ROUTE.REMOTE_UNREACHABLE", "client"),
        ("10.77.11.9", "FILTER.REJECT", "client"),
        ("10.78.1.9", "ROUTE.NONE", "client"),
        ("10.78.2.9", "ROUTE.NONE", "client"),
        ("25.77.0.10", "ROUTE.NAT_MISSING", "nogateway"),
        ("192.168.7.7", "ROUTE.NONE", "nogateway"),
    ],
)
def test_addresses_that_lead_nowhere(lab: Lab, address: str, code: str, vantage: str) -> None:
    if address.startswith("10.77."):
        time.sleep(2)  # Linux as a router sends five such messages, and then one a second
    _same(lab, "postgresql", _entry(address), code, vantage=vantage)


def test_a_certificate_for_another_name(lab: Lab) -> None:
    server = lab.postgresql(tls=lab.ca.issue("elsewhere.lab.test"))
    properties = {"sslmode": "verify-full"}
    entry = _entry(
        lab.name("tlsbyssh", server.v4), security_protocol="authTypeSsl", truststore_file=f"file:{lab.ca.bundle}",
        properties=properties,
    )  # fmt: skip
    _same(lab, "postgresql", entry, "TLS.NAME_MISMATCH")


def test_other_protocols(lab: Lab) -> None:
    account = {"username": "app", "password": PASSWORD}
    mariadb, redis, http, sftp = lab.mariadb(), lab.redis(), lab.http(), lab.sftp()
    _same(lab, "mysql", {"address": {"host": mariadb.v4, "port": 3306}, "database": "shop", **account}, None)
    _same(lab, "redis", {"address": {"host": redis.v4, "port": 6379}, "password": PASSWORD}, None)
    _same(lab, "restapi", {"url": http.url("/orders")}, None)
    login = {"host": sftp.v4, "port": 22, "host_key": sftp.host_key, "base_dir": "/orders", **account}
    _same(lab, "sftp", login, None)


def test_a_mute_server(lab: Lab) -> None:
    with lab.listener("mute", 5432) as listener:
        _same(lab, "postgresql", _entry(listener.host), "PEER.MUTE", timeout=2)


def test_names_when_the_name_server_refuses_tcp(lab: Lab, hop: Hop) -> None:
    name = lab.name("udponly", lab.postgresql().v4)
    with _tcp53(lab, "reject with tcp reset"):
        verdict = _same(lab, "postgresql", _entry(name), None)
        _same(lab, "postgresql", _entry("no-such-name.lab.test"), "DNS.NXDOMAIN")
    assert next(stage for stage in verdict.stages if stage.name == "resolve").evidence["from"] == "dns"


def test_names_when_a_firewall_swallows_tcp_to_the_name_server(lab: Lab, hop: Hop) -> None:
    name = lab.name("udponly2", lab.postgresql().v4)
    with _tcp53(lab, "drop"):
        _same(lab, "postgresql", _entry(name), None)


@contextlib.contextmanager
def _tcp53(lab: Lab, action: str) -> Iterator[None]:
    """The client's own firewall treats TCP to name servers so, for as long as the block lasts."""
    nft = ["nsenter", f"--net=/run/netns/{lab.network.namespace('client')}", "nft"]
    run([*nft, "-f", "-"], text=f"add rule inet lab output tcp dport 53 {action}\n")
    try:
        yield
    finally:
        run([*nft, "flush", "chain", "inet", "lab", "output"])


# -- faults of the hop ------------------------------------------------------------------------------------------------


def test_the_hops_name_is_not_found(through: Any, expect: Expectation, hop: Hop) -> None:
    verdict = through(hop.settings(host="nowhere.hub"))
    expect(
        verdict, "hop: name not found", code="TUNNEL.UNREACHABLE", state="Unsupport", component="nowhere.hub:22",
        remedy="getent hosts nowhere.hub", within=3,
    )  # fmt: skip


def test_nothing_listens_at_the_hop(through: Any, expect: Expectation, hop: Hop) -> None:
    verdict = through(hop.settings(port=9))
    expect(
        verdict, "hop: closed port", code="TUNNEL.UNREACHABLE", state="Unsupport", component=f"{hop.host}:9",
        remedy=f"ssh -v -p 9 probe@{hop.host}", within=2,
    )  # fmt: skip


def test_the_hop_has_no_route(through: Any, expect: Expectation, hop: Hop) -> None:
    verdict = through(hop.settings(host="192.0.2.9"))
    expect(
        verdict, "hop: no route", code="TUNNEL.UNREACHABLE", state="Unsupport", component="192.0.2.9:22",
        remedy="ip route get 192.0.2.9", within=2,
    )  # fmt: skip


def test_the_hop_is_silent(lab: Lab, through: Any, expect: Expectation, hop: Hop) -> None:
    with lab.hops.unplugged("client"):
        verdict = through(hop.settings(), timeout=2)
    expect(
        verdict, "hop: silent", code="TUNNEL.UNREACHABLE", state="Unsupport", component=f"{hop.host}:22",
        remedy=f"nc -vz {hop.host} 22", within=2.5,
    )  # fmt: skip
    assert "does not answer" in verdict.message


@pytest.mark.parametrize(
    ("kind", "said", "within"),
    [
        ("mute", "says nothing", 2.5),
        ("close", "hangs up", 1),
        ("reset", "hangs up", 1),
        ("http", "HTTP", 2.5),
        ("mysql", "MySQL", 1),
        ("garbage", "no SSH", 1),
        ("ssh", "key exchange", 2.5),
    ],
)
def test_something_else_than_a_good_ssh_server(
    lab: Lab, through: Any, expect: Expectation, hop: Hop, kind: str, said: str, within: float
) -> None:
    with _listening(lab, kind) as port:
        verdict = through(hop.settings(port=port), timeout=2)
    expect(
        verdict, f"hop: {kind}", code="TUNNEL.UNREACHABLE", state="Unsupport", component=f"{hop.host}:{port}",
        within=within,
    )  # fmt: skip
    assert said in verdict.message, verdict.message


_PORTS = itertools.count()


@contextlib.contextmanager
def _listening(lab: Lab, kind: str, **changes: Any) -> Iterator[int]:
    """A misbehaving listener where the hop should be; gives its port."""
    port = 2200 + next(_PORTS)
    listener = faults.listen(lab.network, kind, lab.hops.wire("client"), port, place="client", **changes)
    try:
        yield port
    finally:
        listener.close()


@pytest.mark.parametrize(("kind", "said"), [("postgresql", "PostgreSQL"), ("https", "HTTP"), ("redis", "Redis")])
def test_the_port_of_another_server(
    lab: Lab, through: Any, expect: Expectation, hop: Hop, kind: str, said: str
) -> None:
    server, port = {
        "postgresql": lambda: (lab.postgresql(), 5432),
        "https": lambda: (lab.http(tls=lab.ca.issue("hop.lab.test")), 443),
        "redis": lambda: (lab.redis(), 6379),
    }[kind]()
    settings = {**hop.settings(host=server.v4, port=port), "jump": hop.settings()}
    expect(
        through(settings), f"hop: the port of {kind}", code="TUNNEL.UNREACHABLE", state="Unsupport",
        component=f"{server.v4}:{port}", remedy="resource_groups/client.ssh.port", within=2,
    )  # fmt: skip
    assert f"speaks {said}, not SSH" in through(settings).message


def test_a_peer_that_waits_for_its_own_words(lab: Lab, through: Any, expect: Expectation, hop: Hop) -> None:
    """A TLS server that says nothing to plain words."""
    hello = b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"
    with _listening(lab, "mute", reply=hello, wait=True) as port:
        verdict = through(hop.settings(port=port))
    expect(
        verdict, "hop: a TLS port", code="TUNNEL.UNREACHABLE", state="Unsupport", component=f":{port}", within=2.5,
    )  # fmt: skip
    assert "speaks TLS" in verdict.message


@pytest.mark.parametrize(
    ("kind", "greeting", "said"),
    [
        ("old version", b"SSH-1.5-ancient\r\n", "SSH-1.5-ancient"),
        ("disconnected", b"SSH-2.0-x\r\n\0\0\0\x14\x06\x01\0\0\0\x0b\0\0\0\0\0\0\0\0" + b"\0" * 6, "code 11"),
    ],
)
def test_what_an_ssh_server_says_instead(
    lab: Lab, through: Any, expect: Expectation, hop: Hop, kind: str, greeting: bytes, said: str
) -> None:
    with _listening(lab, "ssh", greeting=greeting) as port:
        verdict = through(hop.settings(port=port), timeout=2)
    expect(
        verdict, f"hop: {kind}", code="TUNNEL.UNREACHABLE", state="Unsupport", component=f"{hop.host}:{port}",
        within=2.5,
    )  # fmt: skip
    assert said in verdict.message, verdict.message


def test_too_many_that_are_not_logged_in(lab: Lab, through: Any, expect: Expectation, hop: Hop) -> None:
    with _listening(lab, "close", greeting=b"Exceeded MaxStartups\r\n") as port:
        verdict = through(hop.settings(port=port))
    expect(
        verdict, "hop: MaxStartups", code="TUNNEL.UNREACHABLE", state="Unsupport", component=f":{port}",
        remedy="grep -i MaxStartups", within=2,
    )  # fmt: skip


def test_names_where_only_the_target_may_be_reached(lab: Lab, through: Any) -> None:
    server = lab.postgresql()
    hop = lab.hops.at("client", lines=[f"PermitOpen {server.v4}:5432"])
    verdict = through(hop.settings(), host=lab.name("permitted", server.v4))
    assert verdict.cause is None, verdict.model_dump_json(indent=1)


def test_no_algorithm_in_common(lab: Lab, through: Any, expect: Expectation) -> None:
    hop = lab.hops.at("client", lines=["KexAlgorithms sntrup761x25519-sha512@openssh.com"])
    expect(
        through(hop.settings()), "hop: no common algorithm", code="TUNNEL.UNREACHABLE", state="Unsupport",
        component=f":{hop.port}", remedy="ssh -vv", within=2,
    )  # fmt: skip


def test_a_key_that_is_not_authorized(lab: Lab, through: Any, expect: Expectation, hop: Hop) -> None:
    verdict = through(hop.settings(private_key=f"file:{lab.hops.strange_key}"))
    expect(
        verdict, "hop: key refused", code="TUNNEL.AUTH", state="Unsupport", component=f"probe@{hop.host}:22",
        remedy="ssh-copy-id", within=3,
    )  # fmt: skip


def test_a_user_that_is_not_there(lab: Lab, through: Any, expect: Expectation, hop: Hop) -> None:
    verdict = through(hop.settings(username="nobody-there"))
    expect(
        verdict, "hop: user unknown", code="TUNNEL.AUTH", state="Unsupport", component="nobody-there@", within=3,
    )  # fmt: skip


def test_an_encrypted_key(lab: Lab, through: Any, expect: Expectation, hop: Hop, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(PASSPHRASE)
    bad.write_text("canary-another-passphrase")
    key = f"file:{lab.hops.encrypted_key}"
    assert through(hop.settings(private_key=key, passphrase=f"file:{good}")).cause is None
    expect(
        through(hop.settings(private_key=key)), "hop: key encrypted", code="TUNNEL.AUTH", state="Unsupport",
        component="resource_groups/client.ssh.passphrase", remedy="Set", within=2,
    )  # fmt: skip
    expect(
        through(hop.settings(private_key=key, passphrase=f"file:{bad}")), "hop: wrong passphrase", code="TUNNEL.AUTH",
        state="Unsupport", component="resource_groups/client.ssh.passphrase", remedy="Correct", within=2,
        secrets=["canary-another-passphrase"],
    )  # fmt: skip


def test_a_key_that_is_none(lab: Lab, through: Any, expect: Expectation, hop: Hop) -> None:
    verdict = through(hop.settings(private_key=f"file:{lab.hops.key}.pub"))
    expect(
        verdict, "hop: key unreadable", code="TUNNEL.AUTH", state="Unsupport",
        component="resource_groups/client.ssh.private_key", remedy="ssh-keygen -y", within=2,
    )  # fmt: skip


def test_a_password(lab: Lab, through: Any, expect: Expectation, hop: Hop, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(PASSWORD)
    wrong.write_text(lab.wrong_password)
    assert through(hop.settings(private_key=None, password=f"file:{right}")).cause is None
    verdict = through(hop.settings(private_key=None, password=f"file:{wrong}"))
    expect(
        verdict, "hop: password refused", code="TUNNEL.AUTH", state="Unsupport", component="probe@",
        remedy="ssh.password", within=5,
    )  # fmt: skip


def test_a_password_where_only_keys_are_taken(lab: Lab, through: Any, expect: Expectation, tmp_path: Path) -> None:
    hop = lab.hops.at("client", lines=["PasswordAuthentication no"])
    (tmp_path / "password").write_text(PASSWORD)
    verdict = through(hop.settings(private_key=None, password=f"file:{tmp_path}/password"))
    expect(verdict, "hop: method", code="TUNNEL.AUTH", state="Unsupport", component="probe@", within=2)
    assert "accepts publickey" in verdict.message


def test_an_expired_account(lab: Lab, through: Any, expect: Expectation, hop: Hop) -> None:
    verdict = through(hop.settings(username="expired"))
    expect(verdict, "hop: account expired", code="TUNNEL.AUTH", state="Unsupport", component="expired@", within=3)


def test_too_many_keys(lab: Lab, through: Any, expect: Expectation, tmp_path: Path) -> None:
    hop = lab.hops.at("client", lines=["MaxAuthTries 1"])
    (tmp_path / "password").write_text(lab.wrong_password)
    settings = hop.settings(private_key=f"file:{lab.hops.strange_key}", password=f"file:{tmp_path}/password")
    expect(
        through(settings), "hop: too many failures", code="TUNNEL.AUTH", state="Unsupport", remedy="MaxAuthTries",
        within=5,
    )  # fmt: skip


def test_nothing_to_log_in_with(through: Any, expect: Expectation, hop: Hop) -> None:
    expect(
        through(hop.settings(private_key=None)), "hop: no credentials", code="TUNNEL.AUTH", state="Unsupport",
        component="resource_groups/client.ssh", within=2,
    )  # fmt: skip


def test_an_agent_that_is_not_there(through: Any, expect: Expectation, hop: Hop) -> None:
    expect(
        through(hop.settings(private_key=None, agent=True)), "hop: no agent", code="TUNNEL.AUTH", state="Unsupport",
        component="ssh.agent", remedy="ssh-add -l", within=2,
    )  # fmt: skip


def test_a_certificate_lets_in(lab: Lab, through: Any, expect: Expectation, hop: Hop) -> None:
    authority, key = hop.folder / "authority", hop.folder / "certified"
    for file in (authority, key):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)])
    run(["ssh-keygen", "-q", "-s", str(authority), "-I", "probe", "-n", "probe", f"{key}.pub"])
    hop = lab.hops.at("client", lines=[f"TrustedUserCAKeys {authority}.pub"])
    certificate = f"file:{key}-cert.pub"
    good = through(hop.settings(private_key=f"file:{key}", certificate=certificate))
    assert good.cause is None, hop.log.read_text()
    verdict = through(hop.settings(private_key=f"file:{key}", certificate=f"file:{key}.pub"))
    expect(
        verdict, "hop: certificate", code="TUNNEL.AUTH", state="Unsupport", component="ssh.certificate",
        remedy="ssh-keygen -L", within=2,
    )  # fmt: skip


def test_a_secret_that_leads_nowhere(through: Any, expect: Expectation, hop: Hop) -> None:
    verdict = through(hop.settings(private_key="file:/no/such/key"))
    expect(
        verdict, "hop: secret unresolved", code="CONFIG.SECRET_UNRESOLVED", state="ConfigError",
        component="resource_groups/client.ssh.private_key", remedy="ls -l /no/such/key", within=2,
    )  # fmt: skip


# -- host keys --------------------------------------------------------------------------------------------------------


def test_a_host_key_that_nobody_vouches_for(through: Any, expect: Expectation, hop: Hop) -> None:
    verdict = through(hop.settings(host_key=None))
    expect(
        verdict, "hop: host key unknown", code="TUNNEL.HOST_KEY", state="Unsupport", component=f"{hop.host}:22",
        remedy=f"known_hosts: {hop.host} {hop.host_key}", within=2,
    )  # fmt: skip
    assert _fingerprint(hop) in verdict.message


def _fingerprint(hop: Hop) -> str:
    return run(["ssh-keygen", "-lf", str(hop.folder / "host_key.pub")]).split()[1]


def test_a_host_key_that_has_changed(lab: Lab, through: Any, expect: Expectation, hop: Hop) -> None:
    other = lab.hops.strange_key.with_suffix(".pub")
    verdict = through(hop.settings(host_key=other.read_text().strip()))
    expect(
        verdict, "hop: host key changed", code="TUNNEL.HOST_KEY", state="Unsupport", component=f"{hop.host}:22",
        remedy=hop.host_key, within=2,
    )  # fmt: skip
    assert _fingerprint(hop) in verdict.message
    assert run(["ssh-keygen", "-lf", str(other)]).split()[1] in verdict.message, "both fingerprints are told"


def test_a_host_key_that_is_none(through: Any, expect: Expectation, hop: Hop) -> None:
    expect(
        through(hop.settings(host_key="ssh-ed25519 nonsense")), "hop: host key malformed", code="TUNNEL.HOST_KEY",
        state="Unsupport", component="resource_groups/client.ssh.host_key", remedy="ssh-keyscan", within=2,
    )  # fmt: skip


# -- forwarding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "lines", "keys"),
    [
        ("AllowTcpForwarding no", ["AllowTcpForwarding no"], ""),
        ("PermitOpen", ["PermitOpen 10.77.2.250:1"], ""),
        ("DisableForwarding", ["DisableForwarding yes"], ""),
        ("no-port-forwarding", [], "no-port-forwarding"),
        ("permitopen=", [], 'permitopen="10.77.2.250:1"'),
    ],
)
def test_forwarding_is_forbidden(
    lab: Lab, through: Any, expect: Expectation, kind: str, lines: list[str], keys: str
) -> None:
    hop = lab.hops.at("client", lines=lines, keys=keys)
    verdict = through(hop.settings())
    expect(
        verdict, f"hop: {kind}", code="TUNNEL.FORWARD_DENIED", state="Unsupport", component=f":{hop.port}",
        remedy="AllowTcpForwarding yes", within=2,
    )  # fmt: skip
    assert f"{lab.postgresql().v4}:5432" in verdict.message


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("internal-sftp", {"lines": ["ForceCommand internal-sftp"]}),
        ("false", {"lines": ["ForceCommand /bin/false"]}),
        ("no sessions", {"lines": ["MaxSessions 0"]}),
        ("nologin", {}),
    ],
)
def test_a_far_side_without_commands_still_forwards(
    lab: Lab, through: Any, expect: Expectation, kind: str, options: dict[str, Any]
) -> None:
    hop = lab.hops.at("client", own=kind, **options)
    settings = hop.settings(username="shut" if kind == "nologin" else "probe")
    assert through(settings).cause is None
    closed = through(settings, host=lab.host().v4)
    assert closed.cause == "INCONCLUSIVE", closed.model_dump_json(indent=1)
    assert set(closed.alternatives) == {"PORT.CLOSED", "FILTER.REJECT"}
    by_name = through(settings, host=lab.name("nocommands", lab.postgresql().v4))
    if kind in ("internal-sftp", "nologin"):
        assert by_name.cause is None, "the resolver's files can be read by SFTP"
    else:
        expect(
            by_name, f"hop: names without commands ({kind})", code="TUNNEL.FORWARD_DENIED", state="Unsupport",
            component="nocommands.lab.test", remedy="cat /etc/resolv.conf", within=2,
        )  # fmt: skip


def test_few_sessions(lab: Lab, through: Any) -> None:
    hop = lab.hops.at("client", lines=["MaxSessions 1"])
    assert through(hop.settings(), host=lab.host().v4).cause == "PORT.CLOSED"


def test_dropbear(lab: Lab, through: Any) -> None:
    hop = lab.hops.at("client", program="dropbear")
    assert through(hop.settings()).cause is None
    assert through(hop.settings(), host=lab.name("bydropbear", lab.postgresql().v4)).cause is None
    assert through(hop.settings(), host=lab.host().v4).cause == "PORT.CLOSED", "dropbear gives no reason in words"
    nobody = through(hop.settings(), host="10.77.1.99")
    assert nobody.cause == "HOST.DOWN", nobody.model_dump_json(indent=1)
    host = lab.host().v4
    with lab.filter("port-unreachable", host, 5432):
        refused = through(hop.settings(), host=host)
    assert "FILTER.REJECT" in (refused.cause, *refused.alternatives), refused.model_dump_json(indent=1)
    assert refused.cause != "PORT.CLOSED"


def test_dropbear_without_forwarding(lab: Lab, through: Any) -> None:
    hop = lab.hops.at("client", program="dropbear", lines=["-j"])
    verdict = through(hop.settings())
    assert verdict.cause == "TUNNEL.FORWARD_DENIED", verdict.model_dump_json(indent=1)


# -- jump hosts -------------------------------------------------------------------------------------------------------


def test_through_a_jump_host(lab: Lab, through: Any, expect: Expectation) -> None:
    jump, hop = lab.hops.at("elsewhere"), lab.hops.at("client")
    # Through `elsewhere`, the vantage `client` is reached at its address in the lab's own network.
    inner = lab.hops.at("client", lines=["ListenAddress 10.77.1.2"])
    del hop
    settings = {**inner.settings(host="10.77.1.2"), "jump": jump.settings()}
    assert through(settings).cause is None
    expect(
        through({**settings, "port": 9}), "hop behind a jump host: closed port", code="TUNNEL.UNREACHABLE",
        state="Unsupport", component="10.77.1.2:9", within=3,
    )  # fmt: skip
    bad = jump.settings(private_key=f"file:{lab.hops.strange_key}")
    verdict = through({**settings, "jump": bad})
    expect(
        verdict, "jump host: key refused", code="TUNNEL.AUTH", state="Unsupport", component=f"{jump.host}:22", within=3
    )
    assert "jump host" in verdict.message
    denied = lab.hops.at("elsewhere", lines=["AllowTcpForwarding no"])
    verdict = through({**settings, "jump": denied.settings()})
    expect(
        verdict, "jump host: forwarding forbidden", code="TUNNEL.FORWARD_DENIED", state="Unsupport",
        component=f"{denied.host}:{denied.port}", within=3,
    )  # fmt: skip


def test_a_host_certificate(lab: Lab, through: Any, expect: Expectation, hop: Hop) -> None:
    authority = hop.folder / "host_authority"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(authority)])
    servers = {}
    for name, principal in (("right", hop.host), ("wrong", "another.hub")):
        key = hop.folder / f"host_{name}"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
        run(["ssh-keygen", "-q", "-s", str(authority), "-h", "-I", name, "-n", principal, f"{key}.pub"])
        servers[name] = lab.hops.at("client", lines=[f"HostKey {key}", f"HostCertificate {key}-cert.pub"])
    trusted = f"@cert-authority {(hop.folder / 'host_authority.pub').read_text().strip()}"
    assert through(servers["right"].settings(host_key=trusted)).cause is None
    expect(
        through(servers["wrong"].settings(host_key=trusted)), "hop: host certificate for another", within=2,
        code="TUNNEL.HOST_KEY", state="Unsupport", component=f":{servers['wrong'].port}", remedy="ssh-keygen -L",
    )  # fmt: skip
    expect(
        through(hop.settings(host_key=trusted)), "hop: no host certificate", code="TUNNEL.HOST_KEY",
        state="Unsupport", component=f"{hop.host}:22", remedy=hop.host_key, within=2,
    )  # fmt: skip
