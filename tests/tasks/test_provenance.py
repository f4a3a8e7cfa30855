"""Where a group comes from, and what a server's allowlist says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from registry.allowlists import parse
from registry.network import Network
from registry.verdict import INCONCLUSIVE, Stage, Status, Verdict
from tasks import cautions, diagnosis
from tasks.check import check
from tasks.evidence import Attempt
from tasks.networks.provenance import Standing, contradicted, differences, noted, stand, too_wide
from tasks.vantages.local import LocalVantage
from tests.tasks.scripted import Peer, converse
from tests.tasks.support import failed, listening, target

SERVERLESS = Network.model_validate(
    {"type": "serverless", "vswitch_cidrs": ["10.77.1.0/24"], "nat_eips": ["8.8.8.1", "8.8.8.2"]}
)
INTERNAL, PUBLIC = "10.9.0.5", "9.9.9.9"


@pytest.mark.parametrize(
    ("entries", "network", "address", "source", "told", "standing"),
    [
        # Internal: our own address decides where it is of the declared vSwitch, or nothing is declared.
        ("10.77.1.0/24", SERVERLESS, INTERNAL, "10.77.1.2", False, "contains"),
        ("10.77.1.2", SERVERLESS, INTERNAL, "10.77.1.2", False, "contains"),
        ("10.77.1.3", SERVERLESS, INTERNAL, "10.77.1.2", False, "lacks"),
        ("10.77.1.3", Network(), INTERNAL, "10.77.1.2", False, "lacks"),
        # Our own address is none of the declared ones: a NAT may lie between, so both count.
        ("10.77.1.0/24", SERVERLESS, INTERNAL, "172.17.0.2", False, "unsure"),
        ("10.0.0.0/8,172.16.0.0/12", SERVERLESS, INTERNAL, "172.17.0.2", False, "contains"),
        ("192.168.0.0/16", SERVERLESS, INTERNAL, "172.17.0.2", False, "lacks"),
        # Public: the NAT's addresses, never our own private one.
        ("8.8.8.1,8.8.8.2", SERVERLESS, PUBLIC, "10.77.1.2", False, "contains"),
        ("8.8.8.1", SERVERLESS, PUBLIC, "10.77.1.2", False, "unsure"),
        ("10.77.1.0/24", SERVERLESS, PUBLIC, "10.77.1.2", False, "lacks"),
        ("10.77.1.0/24", Network(), PUBLIC, "10.77.1.2", False, "unsure"),
        ("8.8.4.4", Network(), PUBLIC, "8.8.4.4", False, "contains"),
        # What the server says counts before everything else.
        ("8.8.8.1,8.8.8.2", SERVERLESS, PUBLIC, "8.8.4.4", True, "lacks"),
        # What is declared of one family says nothing of the other.
        ("10.77.1.0/24", SERVERLESS, "fd77:2::5", "fd77:1::2", False, "lacks"),
        ("fd77:1::/64", SERVERLESS, "fd77:2::5", "fd77:1::2", False, "contains"),
        # This machine itself.
        ("127.0.0.1", SERVERLESS, "127.0.0.1", "127.0.0.1", False, "contains"),
    ],
)
def test_what_a_list_says_of_a_group(
    entries: str, network: Network, address: str, source: str, told: bool, standing: str
) -> None:
    assert stand(parse(entries), network, address, source, told=told) == standing


def _silent(network: Network, declared: tuple[str, ...], address: str = INTERNAL, **evidence: Any) -> diagnosis.Finding:
    """What is found when a connect goes unanswered from 10.77.1.2."""
    attempt = Attempt("db.example", 5432, address)
    with attempt.steps.stage("route") as recorder:
        recorder.see(source_address="10.77.1.2")
    seen = {"address": address, "port": 5432, "silent": True, "ports_that_answer": [], **evidence}
    stage = failed("connect", seen)
    stage.evidence.update(noted([*attempt.steps.stages, stage], declared, network, address))
    return diagnosis.explain(replace(target(), network=network), stage, attempt, timeout_s=5)


def test_a_silent_port_of_a_living_host_whose_list_leaves_the_group_out() -> None:
    found = _silent(SERVERLESS, ("10.3.0.0/16",), ports_that_answer=[22])
    assert found.code == "ADMIT.ALLOWLIST"
    assert "10.77.1.0/24 (the CIDR of its vSwitch) for vpc1" in found.remedy
    assert "10.3.0.0/16" in found.message


def test_a_list_that_lets_the_group_in_is_not_the_cause() -> None:
    assert _silent(SERVERLESS, ("10.77.1.0/24",), ports_that_answer=[22]).code == "FILTER.DROP"
    assert "ADMIT.ALLOWLIST" not in _silent(SERVERLESS, ("10.77.1.0/24",)).alternatives


def test_silence_alone_does_not_prove_the_list() -> None:
    found = _silent(SERVERLESS, ("10.3.0.0/16",))
    assert (found.code, found.alternatives) == (INCONCLUSIVE, ("ADMIT.ALLOWLIST", "FILTER.DROP", "HOST.DOWN"))
    assert "10.77.1.0/24" in found.remedy


def test_a_list_with_a_part_of_the_nats_addresses_proves_nothing() -> None:
    found = _silent(SERVERLESS, ("8.8.8.1",), PUBLIC, ports_that_answer=[443])
    assert (found.code, found.alternatives) == (INCONCLUSIVE, ("FILTER.DROP", "ADMIT.ALLOWLIST"))
    assert "8.8.8.1/32, 8.8.8.2/32 (the EIP of its VPC's Internet NAT gateway" in found.remedy


def test_without_a_list_nothing_is_said_of_it() -> None:
    found = _silent(Network(), ())
    assert "ADMIT.ALLOWLIST" not in (found.code, *found.alternatives)


def test_no_private_address_is_to_be_allowed_on_a_public_server() -> None:
    found = _silent(Network(), (), PUBLIC, ports_that_answer=[443])
    assert "10.77.1.2" not in found.remedy
    assert "the public address" in found.remedy


REFUSED = {"sqlstate": "28000", "sqlstate_class": "28", "routine": "ClientAuthentication", "over_tls": False}


@pytest.mark.parametrize(
    ("declared", "said"), [("10.77.1.0/24", "is another one"), ("10.3.0.0/16", "leaves it out as well")]
)
def test_a_refusal_by_the_server_counts_whatever_was_declared(declared: str, said: str) -> None:
    stage = failed("admit", {**REFUSED, "allowlist_standing": "contains" if "77" in declared else "lacks"})
    attempt = Attempt("db.example", 5432, INTERNAL)
    with attempt.steps.stage("connect") as recorder:
        recorder.see(source_address="10.77.1.2")
    found = diagnosis.explain(replace(target(), network=SERVERLESS), stage, attempt)
    assert found.code == "ADMIT.ALLOWLIST"
    assert said in found.message
    assert "host shop app 10.77.1.0/24 scram-sha-256" in found.remedy


def _stage(**evidence: Any) -> list[Stage]:
    return [Stage("privilege", Status.PASSED, "2026-01-01T00:00:00Z", 1.0, evidence)]


@pytest.mark.parametrize(
    ("network", "address", "seen", "told"),
    [
        (SERVERLESS, INTERNAL, "10.77.9.9", "declared is the CIDR of its vSwitch: 10.77.1.0/24"),
        (SERVERLESS, PUBLIC, "8.8.4.4", "8.8.8.1/32, 8.8.8.2/32"),
        (SERVERLESS.model_copy(update={"nat_eips": ()}), PUBLIC, "8.8.4.4", "no public address"),
        (SERVERLESS, INTERNAL, "10.77.1.200", None),
        (SERVERLESS, PUBLIC, "8.8.8.2", None),
        (SERVERLESS, INTERNAL, "client7.example", None),
        (SERVERLESS, "127.0.0.1", "127.0.0.1", None),
        # Of the other family nothing is declared.
        (SERVERLESS, "fd77:2::5", "fd77:1::2", None),
        (Network(), INTERNAL, "10.77.9.9", None),
    ],
)
def test_a_server_that_sees_another_address_than_declared_is_told(
    network: Network, address: str, seen: str, told: str | None
) -> None:
    found = differences(network, address, _stage(source_address_seen_by_server=seen))
    assert [one.code for one in found] == (["GROUP.NETWORK_DIFFERS"] if told else [])
    assert told is None or told in found[0].message


@pytest.mark.parametrize(
    ("entries", "seen", "told"),
    [
        (["10.3.0.0/16"], None, "10.77.1.0/24"),
        (["10.77.0.0/16"], "10.9.9.9", "10.9.9.9/32"),
        (["10.77.0.0/16"], None, None),
        (["10.77.0.0/16"], INTERNAL, None),  # it sees a proxy before it
        (["10.77.1.2", "10.3.0.0/16"], None, None),
        ([], None, None),
    ],
)
def test_a_server_that_lets_in_what_its_list_leaves_out_is_told(
    entries: list[str], seen: str | None, told: str | None
) -> None:
    own = Stage("connect", Status.PASSED, "2026-01-01T00:00:00Z", 1.0, {"source_address": "10.77.1.2"})
    stages = [own, *_stage(**({"source_address_seen_by_server": seen} if seen else {}))]
    noted_ = contradicted(stages, entries, SERVERLESS, INTERNAL)
    found = cautions.of([replace(own, evidence=noted_)])
    assert [one.code for one in found] == (["ADMIT.ALLOWLIST_DIFFERS"] if told else [])
    assert told is None or (told in found[0].message and entries[0] in found[0].message)


@pytest.mark.parametrize("entries", [["0.0.0.0/0"], ["10.0.0.0/8", "::/0"], ["0.0.0.0/1", "128.0.0.0/1"]])
def test_a_list_for_everybody_is_told(entries: list[str]) -> None:
    assert "headwater allowlist" in (too_wide({"allowlist": entries}) or "")


@pytest.mark.parametrize("entries", [["10.0.0.0/8"], [], ["what a cloud may say"]])
def test_other_lists_are_not(entries: list[str]) -> None:
    assert too_wide({"allowlist": entries}) is None


async def _checked(**changes: Any) -> Verdict:
    async def hang_up(_reader: Any, writer: Any) -> None:
        writer.transport.abort()

    async with listening(hang_up) as port:
        return await check(target(port=port, **changes), LocalVantage(), timeout=2)


async def test_a_check_holds_the_list_against_its_own_address() -> None:
    verdict = await _checked(allowlist=["10.3.0.0/16"])
    assert (verdict.cause, verdict.alternatives) == (INCONCLUSIVE, ["ADMIT.ALLOWLIST", "PEER.RESET_EARLY"])
    assert "127.0.0.1/32" in verdict.remedy
    assert (await _checked(allowlist=["127.0.0.1"])).cause == "PEER.RESET_EARLY"
    assert (await _checked()).cause == "PEER.RESET_EARLY"


async def test_a_check_warns_of_a_list_for_everybody() -> None:
    verdict = await _checked(allowlist="0.0.0.0/0")
    assert [warning.code for warning in verdict.warnings] == ["ADMIT.ALLOWLIST_TOO_WIDE"]


FTP = {"host": "ftp", "port": 21, "protocol": "ftp", "username": "app"}


@pytest.mark.parametrize(
    ("standing", "code", "alternatives"),
    [
        ("lacks", "ADMIT.ALLOWLIST", ()),
        ("contains", INCONCLUSIVE, ("CAPACITY.CONNECTIONS", "SERVER.NOT_READY")),
        (None, INCONCLUSIVE, ("CAPACITY.CONNECTIONS", "ADMIT.ALLOWLIST", "SERVER.NOT_READY")),
    ],
)
async def test_a_list_parts_what_an_ftp_server_means_by_421(
    standing: str | None, code: str, alternatives: tuple[str, ...]
) -> None:
    went = await converse("ftp", FTP, {}, Peer(b"421 Service not available.\r\n"))
    stage = went.steps.failed()
    assert stage is not None
    stage.evidence.update({"allowlist_standing": standing} if standing else {})
    found = diagnosis.explain(went.target, stage, Attempt("ftp", 21, INTERNAL, went.steps))
    assert (found.code, found.alternatives) == (code, alternatives)


def test_standings_are_words() -> None:
    assert [str(one) for one in Standing] == ["contains", "lacks", "unsure"]
