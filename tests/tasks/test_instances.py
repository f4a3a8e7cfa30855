"""The stage `instance`: which cloud is asked, which endpoint is chosen, and what its facts lead to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry.network import Network
from registry.verdict import INCONCLUSIVE, State, Verdict
from tasks import clouds, instances
from tasks.budget import Budget
from tasks.check import check
from tasks.clouds import Instance, Place, Wanted
from tasks.evidence import Recorder, StageFailed
from tasks.vantages import ConnectFailed, Resolution, Route
from tasks.vantages.local import LocalVantage
from tests.serving import postgresql
from tests.tasks import support
from tests.tasks.cloud_support import stage, target, verdict_of

__all__ = ["postgresql"]

_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "ALIBABA_CLOUD_ACCESS_KEY_ID", "HEADWATER_INVENTORY")
WANTED = Wanted("postgresql", "cn-hangzhou", "pgm-bp1example")
INTERNAL = Place("10.1.0.9", 5432, vpc_id="vpc-1")
PUBLIC = Place("47.96.0.10", 5432, public=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine on which nothing is configured."""
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def inventory(home: Path, **changes: Any) -> None:
    """An inventory with one instance, and the network of a group."""
    one = {
        "region_id": "cn-hangzhou", "instance_id": "pgm-bp1example", "vpc_id": "vpc-1",
        "endpoints": [{"host": "127.0.0.1", "port": 1}], **changes.pop("instance", {}),
    }  # fmt: skip
    (home / "inventory.yaml").write_text(json.dumps({"version": 1, "instances": [one], **changes}))


# --- which cloud ----------------------------------------------------------------------------------------------------


def test_the_connection_says_which_cloud(home: Path) -> None:
    inventory(home)
    choice = instances.choose("aws", WANTED)
    assert (choice.cloud.name, choice.because) == ("aws", "the connection's cloud")


def test_the_inventory_is_asked_when_it_knows_the_instance(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory(home)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    choice = instances.choose(None, WANTED)
    assert (choice.cloud.name, choice.because) == ("inventory", "the inventory knows the instance")


@pytest.mark.parametrize(("name", "variable"), [("aws", "AWS_PROFILE"), ("alibaba", "ALIBABA_CLOUD_ACCESS_KEY_ID")])
def test_the_only_configured_cloud_is_asked(name: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "x")
    choice = instances.choose(None, WANTED)
    assert (choice.cloud.name, choice.because) == (name, "the only cloud that is configured")


async def test_between_two_clouds_nobody_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "x")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "x")
    verdict = await verdict_of(target())
    assert (verdict.cause, verdict.state, verdict.component) == ("CONFIG.BAD_VALUE", State.CONFIG_ERROR, "cloud")
    assert "set cloud: alibaba or aws" in verdict.remedy


async def test_where_nobody_can_be_asked_it_is_said_what_to_set() -> None:
    verdict = await verdict_of(target())
    assert (verdict.cause, verdict.component) == ("CONFIG.MISSING_FIELD", "cloud")
    assert "HEADWATER_INVENTORY" in verdict.remedy


async def test_a_cloud_that_does_not_exist() -> None:
    verdict = await verdict_of(target(cloud="azure"))
    assert verdict.cause == "CONFIG.BAD_VALUE"
    assert "alibaba, aws, inventory" in verdict.remedy


# --- which endpoint -------------------------------------------------------------------------------------------------


class WayOut:
    """A vantage of which only the way out is asked."""

    def __init__(self, ipv4: bool) -> None:
        self._ipv4 = ipv4

    async def way_out(self) -> Mapping[str, Any]:
        return {"ipv4": self._ipv4, "ipv6": False}


def _instance(*places: Place, **more: Any) -> Instance:
    return Instance("pgm-bp1example", "cn-hangzhou", "Running", True, places, **more)


async def _chosen(
    *places: Place, network: Mapping[str, Any] | None = None, ipv4: bool = True, read_only: bool = False, **more: Any
) -> tuple[list[str], str]:
    vantage: Any = WayOut(ipv4)
    chosen, because = await instances._endpoints(
        _instance(*places, **more), Network.model_validate(network or {}), vantage, read_only=read_only
    )
    return [place.host for place in chosen], because


async def test_from_the_same_vpc_the_internal_endpoint_is_chosen() -> None:
    chosen, because = await _chosen(INTERNAL, PUBLIC, network={"vpc_id": "vpc-1"})
    assert (chosen, because) == (["10.1.0.9"], "the group is in the VPC of the instance")


async def test_from_another_vpc_the_public_one_is() -> None:
    assert (await _chosen(INTERNAL, PUBLIC, network={"vpc_id": "vpc-2"}))[0] == ["47.96.0.10"]


async def test_the_vswitches_tell_the_vpc_where_no_id_is_declared() -> None:
    declared = {"vswitch_cidrs": ["10.1.0.0/24"]}
    same = await _chosen(INTERNAL, PUBLIC, network=declared, vswitch_cidrs=("10.1.0.0/24", "10.1.1.0/24"))
    assert same[0] == ["10.1.0.9"]
    assert (await _chosen(INTERNAL, PUBLIC, network=declared, vswitch_cidrs=("10.2.0.0/24",)))[0] == ["47.96.0.10"]


@pytest.mark.parametrize(("network", "ipv4"), [({"nat_eips": []}, True), ({}, False)])
async def test_without_a_way_out_the_internal_one_is_chosen(network: dict[str, Any], ipv4: bool) -> None:
    assert (await _chosen(INTERNAL, PUBLIC, network=network, ipv4=ipv4))[0] == ["10.1.0.9"]


async def test_of_one_kind_only_it_is_taken() -> None:
    chosen, because = await _chosen(INTERNAL, network={"vpc_id": "vpc-2"})
    assert (chosen, because) == (["10.1.0.9"], "it has internal endpoints only")


async def test_replicas_are_left_out_unless_they_are_meant() -> None:
    reader = Place("10.1.0.10", 5432, read_only=True)
    assert (await _chosen(INTERNAL, reader))[0] == ["10.1.0.9"]
    assert (await _chosen(INTERNAL, reader, read_only=True))[0] == ["10.1.0.10"]


async def test_a_replica_is_an_endpoint_of_the_instance_or_an_instance_of_its_own(home: Path) -> None:
    own = {"host": "127.0.0.1", "port": 2, "read_only": True, "id": "rr-1"}
    inventory(home, instance={"endpoints": [{"host": "127.0.0.1", "port": 1}, own]})
    located = stage(await verdict_of(target(read_only_db_instance="rr-1"))).evidence
    assert (located["chosen"], located["read_only"]) == (["127.0.0.1:2"], "rr-1")
    text = json.loads((home / "inventory.yaml").read_text())
    other = {"region_id": "cn-hangzhou", "instance_id": "rr-22", "endpoints": [{"host": "127.0.0.1", "port": 3}]}
    (home / "inventory.yaml").write_text(json.dumps({**text, "instances": [*text["instances"], other]}))
    assert stage(await verdict_of(target(read_only_db_instance="rr-22"))).evidence["chosen"] == ["127.0.0.1:3"]


async def test_a_replica_that_is_not_there_is_what_is_missing(home: Path) -> None:
    inventory(home)
    verdict = await verdict_of(target(read_only_db_instance="rr-none"))
    assert (verdict.cause, verdict.component) == ("INSTANCE.NOT_FOUND", "rr-none in cn-hangzhou")


# --- from the facts to the verdict ----------------------------------------------------------------------------------


async def test_the_instance_behind_an_id_is_connectable(home: Path, postgresql: Any) -> None:
    inventory(home, instance={"endpoints": [{"host": "127.0.0.1", "port": postgresql.port}]})
    verdict = await verdict_of(target(password=postgresql.password), timeout=10)
    assert verdict.state is State.CONNECTABLE, verdict
    located = stage(verdict)
    assert located.status == "passed"
    assert located.evidence["cloud_because"] == "the inventory knows the instance"
    assert located.evidence["endpoints"] == [f"127.0.0.1:{postgresql.port} (internal)"]


async def test_what_a_cloud_tells_of_list_and_certificate_warns(home: Path, postgresql: Any) -> None:
    inventory(
        home,
        instance={
            "endpoints": [{"host": "127.0.0.1", "port": postgresql.port}],
            "allowlist": ["0.0.0.0/0"],
            "tls": {"enabled": True, "expires": "2026-11-30T00:00:00Z"},
        },
    )
    verdict = await verdict_of(target(password=postgresql.password), timeout=10)
    codes = {warning.code: warning.message for warning in verdict.warnings}
    assert "0.0.0.0/0" in codes["ADMIT.ALLOWLIST_TOO_WIDE"]
    assert "the instance pgm-bp1example" in codes["TLS.EXPIRES_SOON"]


async def test_an_endpoint_is_held_to_the_permitted_ranges(home: Path) -> None:
    inventory(home, instance={"endpoints": [{"host": "169.254.169.254", "port": 80}]})
    assert (await verdict_of(target())).cause == "POLICY.FORBIDDEN_TARGET"


class Silent(LocalVantage):
    """A place from which nothing public is ever answered; what is declared of it is the truth."""

    def __init__(self, answering_ports: tuple[int, ...] = ()) -> None:
        super().__init__("vpc1")
        self._answering = answering_ports

    async def resolve(self, host: str, budget: Budget) -> Resolution:
        return Resolution((host,), {"from": "literal"})

    async def route(self, address: str) -> Route:
        return Route(source_address="10.1.0.7")

    async def connect(self, address: str, port: int, budget: Budget, **_: Any) -> Any:
        if port in self._answering:
            raise ConnectFailed(errno="ECONNREFUSED", waited_ms=1.0)
        await asyncio.sleep(budget.left())
        raise ConnectFailed(silent=True, errno="ETIMEDOUT", waited_ms=budget.total * 1000)

    async def neighbour(self, address: str) -> Mapping[str, Any]:
        return {"gateway": "10.1.0.1", "device": "eth0", "neighbour": "REACHABLE"}

    async def answers_ping(self, address: str, budget: Budget) -> bool | None:
        return False

    async def way_out(self) -> Mapping[str, Any]:
        return {"ipv4": True, "ipv6": False}


_GROUP = {"type": "serverless", "vpc_id": "vpc-2", "vswitch_id": "vsw-2", "region_id": "cn-hangzhou"}
_VPC: dict[str, Any] = {
    "vpc_id": "vpc-2",
    "vswitches": [{"id": "vsw-2", "cidr": "10.1.0.0/24"}],
    "nat_gateways": [{"id": "ngw-1"}],
    "snat_entries": [{"id": "snat-1", "nat_gateway": "ngw-1", "vswitch_id": "vsw-2", "addresses": ["47.97.0.1"]}],
    "eips": [{"address": "47.97.0.1", "bound_to": "ngw-1"}],
}
_TARGET = {"endpoints": [{"host": "47.96.0.10", "port": 5432, "public": True}]}


async def _silent(home: Path, vpc: Mapping[str, Any], *ports: int, group: Mapping[str, Any] | None = None) -> Verdict:
    inventory(home, instance=dict(_TARGET), networks=[dict(vpc)])
    return await check(target(network={**_GROUP, **(group or {})}), Silent(ports), timeout=2)


@pytest.mark.parametrize(
    ("change", "component", "told"),
    [
        ({"nat_gateways": [], "snat_entries": []}, "vpc-2", "has no Internet NAT gateway"),
        ({"nat_gateways": [{"id": "ngw-1", "status": "Creating"}]}, "ngw-1", "is Creating, not Available"),
        ({"snat_entries": []}, "ngw-1", "no SNAT entry of ngw-1 covers vsw-2 (10.1.0.0/24)"),
        ({"eips": [{"address": "47.97.0.1", "status": "Available"}]}, "47.97.0.1", "is Available, not InUse"),
    ],
)
async def test_a_silent_public_target_behind_an_incomplete_nat(
    home: Path, change: dict[str, Any], component: str, told: str
) -> None:
    verdict = await _silent(home, {**_VPC, **change})
    assert (verdict.cause, verdict.state, verdict.component) == ("ROUTE.NAT_MISSING", State.UNREACHABLE, component)
    assert told in verdict.message
    assert stage(verdict).evidence["nat_lacks"] == component


@pytest.mark.parametrize(("cloud", "cause"), [("inventory", "ROUTE.NAT_MISSING"), (None, INCONCLUSIVE)])
async def test_the_audit_serves_addresses_too_where_the_cloud_is_declared(
    home: Path, cloud: str | None, cause: str
) -> None:
    inventory(home, networks=[{**_VPC, "snat_entries": []}])
    addressed = support.target("47.96.0.10")
    network = Network.model_validate({**_GROUP, "cloud": cloud})
    verdict = await check(replace(addressed, network=network), Silent(), timeout=2)
    assert verdict.cause == cause
    assert cause == INCONCLUSIVE or verdict.component == "ngw-1"


async def test_a_complete_nat_is_not_blamed_for_silence(home: Path) -> None:
    verdict = await _silent(home, _VPC)
    assert verdict.cause != "ROUTE.NAT_MISSING"
    assert "nat_lacks" not in stage(verdict).evidence


async def test_an_answer_from_another_port_disproves_a_missing_nat(home: Path) -> None:
    assert (await _silent(home, {**_VPC, "nat_gateways": [], "snat_entries": []}, 443)).cause == "FILTER.DROP"


async def test_a_vpc_that_is_not_known_is_not_blamed(home: Path) -> None:
    verdict = await _silent(home, _VPC, group={"vpc_id": "vpc-elsewhere"})
    assert verdict.cause != "ROUTE.NAT_MISSING"


async def test_a_private_target_never_gets_a_nat_remedy(home: Path) -> None:
    private = {"endpoints": [{"host": "10.66.0.10", "port": 5432}]}
    inventory(home, instance=private, networks=[{**_VPC, "nat_gateways": [], "snat_entries": []}])
    verdict = await check(target(network=_GROUP), Silent(), timeout=2)
    assert verdict.cause != "ROUTE.NAT_MISSING"
    assert "NAT" not in verdict.remedy


def _told(monkeypatch: pytest.MonkeyPatch, instance: Instance, name: str = "aws") -> None:
    """Have a cloud of this name answer with an instance."""

    class Told:
        async def instance(self, wanted: Wanted, budget: Budget) -> Instance:
            return instance

        async def vpc(self, *_: Any) -> None:
            return None

    cloud: Any = Told()
    cloud.name = name
    monkeypatch.setattr(instances, "choose", lambda *_: instances.Choice(cloud, "told"))
    instances._ANSWERS.clear()


@pytest.mark.parametrize(
    ("cloud", "cause"), [("aws", "ADMIT.ALLOWLIST"), ("alibaba", "ADMIT.ALLOWLIST"), ("inventory", INCONCLUSIVE)]
)
async def test_an_allowlist_that_lacks_the_group(cloud: str, cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a cloud enforces decides; what stands in a file is one of the causes that remain."""

    _told(monkeypatch, _instance(Place("10.66.0.10", 5432), allowlist=("192.168.7.0/24",)), cloud)
    network = {**_GROUP, "vswitch_cidrs": ["10.1.0.0/24"]}
    verdict = await check(target(network=network), Silent(), timeout=2)
    assert verdict.cause == cause
    assert "ADMIT.ALLOWLIST" in (verdict.cause, *verdict.alternatives)
    if cause == "ADMIT.ALLOWLIST":
        assert verdict.component == "10.1.0.0/24"
        assert "10.1.0.0/24" in verdict.remedy


@pytest.mark.parametrize(("allowlist", "cause"), [("192.168.7.0/24", "ADMIT.ALLOWLIST"), ("10.0.0.0/8", "PORT.CLOSED")])
async def test_a_refusal_by_an_instance_whose_list_lacks_the_group(
    allowlist: str, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _told(monkeypatch, _instance(Place("10.66.0.10", 5432), allowlist=(allowlist,)))
    network = {**_GROUP, "vswitch_cidrs": ["10.1.0.0/24"]}
    assert (await check(target(network=network), Silent((5432,)), timeout=2)).cause == cause


async def test_an_instance_without_any_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    _told(monkeypatch, _instance())
    verdict = await check(target(), Silent(), timeout=2)
    assert (verdict.cause, verdict.component) == ("INSTANCE.NOT_FOUND", "pgm-bp1example in cn-hangzhou")
    assert "no endpoint" in verdict.message


async def test_no_default_route_and_no_nat_are_told_together(home: Path) -> None:
    class Cut(Silent):
        async def route(self, address: str) -> Route:
            return Route(error="ENETUNREACH")

        async def way_out(self) -> Mapping[str, Any]:
            return {"ipv4": False, "ipv6": False}

    inventory(home, instance=dict(_TARGET), networks=[{**_VPC, "nat_gateways": [], "snat_entries": []}])
    verdict = await check(target(network=_GROUP), Cut(), timeout=2)
    assert (verdict.cause, verdict.component) == ("ROUTE.NAT_MISSING", "vpc-2")
    assert "Create an Internet NAT gateway in vpc-2" in verdict.remedy


async def test_a_slow_cloud_ends_with_the_budget() -> None:
    class Slow:
        name = "slow"

        async def instance(self, wanted: Wanted, budget: Budget) -> Instance:
            await asyncio.sleep(30)
            raise AssertionError

    slow: Any = Slow()
    with pytest.raises(StageFailed) as refused:
        await instances._described(slow, WANTED, Budget.of(0.1))
    assert refused.value.evidence["cloud_answer"] == "silent"


def test_evidence_is_flat(home: Path) -> None:
    recorder = Recorder()
    instances._see(recorder, _instance(INTERNAL, PUBLIC, allowlist=("10.0.0.0/8",), security_groups=("sg-1",)))
    assert all(isinstance(value, (str, int, bool, list)) for value in recorder.evidence.values())


def test_every_cloud_answers_the_same_questions() -> None:
    for name in clouds.names():
        cloud = clouds.open_cloud(name)
        assert cloud.name == name
        assert callable(cloud.instance)
        assert callable(cloud.vpc)
        assert cloud.configured() is False
