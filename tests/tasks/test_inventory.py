"""The inventory file: what it may hold, what is told of its faults, and what is answered from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry import inventory
from registry.errors import InvalidInput
from registry.verdict import State, Verdict
from tasks.budget import Budget
from tasks.clouds import Eip, NatGateway, Place, Route, SnatEntry, Tls, VSwitch, Wanted
from tasks.clouds.inventory import FileInventory
from tests.tasks.cloud_support import target, verdict_of

EXAMPLE = (Path(__file__).parents[2] / "docs" / "examples" / "inventory.yaml").read_text()
ONE = """\
version: 1
instances:
  - region_id: cn-hangzhou
    instance_id: pgm-bp1example
    endpoints: [{host: 127.0.0.1, port: 1}]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the inventory is."""
    path = tmp_path / "inventory.yaml"
    monkeypatch.setenv("HEADWATER_INVENTORY", str(path))
    return path


def _write(file: Path, text: str) -> None:
    file.write_text(text)


async def _verdict(text: str, file: Path, **changes: object) -> Verdict:
    _write(file, text)
    return await verdict_of(target(**changes))  # type: ignore[arg-type]


async def test_the_example_is_read(file: Path) -> None:
    _write(file, EXAMPLE)
    cloud = FileInventory()
    found = await cloud.instance(Wanted("postgresql", "cn-hangzhou", "pgm-bp1example"), Budget.of(1))
    assert found.endpoints[0] == Place(
        "pgm-bp1example.pg.rds.aliyuncs.com", 5432, vpc_id="vpc-bp1data", vswitch_id="vsw-bp1data"
    )
    assert [one.public for one in found.endpoints] == [False, True, False]
    assert found.tls == Tls(enabled=True, forced=False, expires="2099-10-11T08:16:43Z")
    assert found.allowlist == ("10.1.0.0/24", "47.97.0.1")
    theirs = Wanted("mysql", "cn-hangzhou", "rm-bp1theirs", "1234567890123456", "headwater-reader")
    assert not (await cloud.instance(theirs, Budget.of(1))).running
    vpc = await cloud.vpc("cn-hangzhou", "vpc-bp1tasks", Budget.of(1))
    assert vpc is not None
    assert vpc.vswitches == (VSwitch("vsw-bp1tasks", "10.1.0.0/24"),)
    assert vpc.nat_gateways == (NatGateway("ngw-bp1tasks", "Available", available=True, internet=True),)
    assert vpc.snat_entries == (
        SnatEntry("snat-bp1tasks", "ngw-bp1tasks", "Available", True, ("47.97.0.1",), "vsw-bp1tasks"),
    )
    assert vpc.eips == (Eip("47.97.0.1", "InUse", in_use=True, bound_to="ngw-bp1tasks"),)
    assert vpc.routes == (Route("172.16.0.0/12", "cen-bp1", None), Route("0.0.0.0/0", "ngw-bp1tasks", None))


def test_json_and_the_names_of_dataworks_are_read_as_well() -> None:
    text = json.dumps(
        {"version": 1, "instances": [{"regionId": "r", "instanceId": 7, "endpoints": [{"host": "h", "port": 1}]}]}
    )
    (one,) = inventory.parse("i.json", text).instances
    assert (one.region_id, one.instance_id) == ("r", "7")


@pytest.mark.parametrize(
    ("change", "told", "advice"),
    [
        (("port: 1", "port: 70000"), "i.yaml:5:35: instances[0].endpoints[0].port: input should be less", ""),
        (("endpoints", "endpoint"), "i.yaml:5:5: instances[0].endpoint: unknown field", "did you mean endpoints?"),
        (("    instance_id: pgm-bp1example\n", ""), "instances[0].instance_id: missing", "add instance_id here"),
        (("version: 1", "version: 2"), "i.yaml:1:1: version: input should be 1", ""),
        (
            ("port: 1}]", "port: 1}]\n    allowlist: [10.0.0.0/33]"),
            "instances[0].allowlist[0]: '10.0.0.0/33' is no",
            "",
        ),
        (("port: 1}]", "port: 1}]\n    account: x"), "instances[0].account: no such account", "add it to accounts"),
        (("instances:", "- instances:"), "i.yaml:", ""),
    ],
)
def test_a_fault_is_told_with_its_place_and_what_to_do(change: tuple[str, str], told: str, advice: str) -> None:
    with pytest.raises(InvalidInput) as fault:
        inventory.parse("i.yaml", ONE.replace(*change))
    assert told in str(fault.value)
    assert advice in str(fault.value)


def test_an_instance_that_stands_twice_is_refused() -> None:
    again = ONE + ONE.split("instances:\n")[1]
    with pytest.raises(InvalidInput, match=r"instances\[1\].*stands twice, first as instances\[0\]"):
        inventory.parse("i.yaml", again)


def test_an_snat_entry_of_a_gateway_that_is_not_there_is_refused() -> None:
    text = "version: 1\nnetworks: [{vpc_id: v, snat_entries: [{id: s, nat_gateway: n, addresses: [1.2.3.4]}]}]"
    with pytest.raises(InvalidInput, match="no NAT gateway 'n' here"):
        inventory.parse("i.yaml", text)


def test_a_changed_file_is_read_again(file: Path) -> None:
    file.write_text(ONE)
    assert inventory.load() is not None
    file.write_text(ONE.replace("pgm-bp1example", "pgm-bp1other-one"))
    found = inventory.load()
    assert found is not None
    assert found.instances[0].instance_id == "pgm-bp1other-one"


def test_no_inventory_is_none_and_a_named_one_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWATER_INVENTORY", raising=False)
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    assert inventory.load() is None
    monkeypatch.setenv("HEADWATER_INVENTORY", str(tmp_path / "gone.yaml"))
    with pytest.raises(InvalidInput, match=r"gone\.yaml"):
        inventory.load()


async def test_an_unknown_instance(file: Path) -> None:
    verdict = await _verdict(ONE, file, instance="pgm-bp1typo", cloud="inventory")
    assert (verdict.cause, verdict.component) == ("INSTANCE.NOT_FOUND", "pgm-bp1typo in cn-hangzhou")
    assert str(file) in verdict.message


async def test_an_instance_of_another_region_is_named(file: Path) -> None:
    verdict = await _verdict(ONE, file, region_id="cn-shanghai", cloud="inventory")
    assert verdict.cause == "INSTANCE.NOT_FOUND"
    assert "Set region_id cn-hangzhou" in verdict.remedy


_OWNED = """\
version: 1
accounts: [{id: "1234", roles: [reader, writer]}]
instances:
  - {region_id: cn-hangzhou, instance_id: pgm-bp1example, account: "1234", endpoints: [{host: 127.0.0.1, port: 1}]}
  - {region_id: cn-hangzhou, instance_id: pgm-bp1own, account: "1234", roles: [writer],
     endpoints: [{host: 127.0.0.1, port: 1}]}
"""


def _as(account: str, role: str) -> dict[str, str]:
    return {"cross_account_owner_id": account, "cross_account_role_name": role, "cloud": "inventory"}


async def test_an_instance_of_another_account(file: Path) -> None:
    assert (await _verdict(_OWNED, file, **_as("1234", "reader"))).cause == "PORT.CLOSED"
    own = await _verdict(_OWNED, file, cloud="inventory")
    assert own.cause == "INSTANCE.NOT_FOUND"
    assert "cross_account_owner_id 1234" in own.remedy


@pytest.mark.parametrize(
    ("account", "role", "instance"),
    [("1234", "guest", "pgm-bp1example"), ("9999", "reader", "pgm-bp1example"), ("1234", "reader", "pgm-bp1own")],
)
async def test_a_role_that_may_not_see_it(file: Path, account: str, role: str, instance: str) -> None:
    verdict = await _verdict(_OWNED, file, instance=instance, **_as(account, role))
    assert (verdict.cause, verdict.state, verdict.component) == ("INSTANCE.ROLE_DENIED", State.CONFIG_ERROR, role)
    assert account in verdict.message


async def test_an_instance_that_is_stopped(file: Path) -> None:
    verdict = await _verdict(ONE + "    running: false\n    status: in Wartung\n", file)
    assert (verdict.cause, verdict.state) == ("INSTANCE.STOPPED", State.UNREACHABLE)
    assert "in Wartung" in verdict.message


async def test_a_faulty_inventory_is_told_in_the_verdict(file: Path) -> None:
    verdict = await _verdict(ONE.replace("port: 1", "port: x"), file)
    assert (verdict.cause, verdict.state) == ("CONFIG.BAD_VALUE", State.CONFIG_ERROR)
    assert verdict.component.startswith(f"{file}:5:")
    assert f"{file}:5:" in verdict.message, "the line of a table has no component"
