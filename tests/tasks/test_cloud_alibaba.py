"""Alibaba Cloud's real SDKs against a local server that answers as the API reference says."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from registry.verdict import State, Verdict
from tasks.budget import Budget
from tasks.clouds import Eip, NatGateway, Refused, Route, SnatEntry, Tls, VSwitch, Wanted
from tasks.clouds.alibaba import Alibaba, calls
from tests.stopwatch import Stopwatch
from tests.tasks.alibaba_api import GROUP_VPC, MONGODB, MUTE, POLARDB, RDS, REDIS, STS, VPC, Api, serving
from tests.tasks.cloud_support import stage, target, verdict_of
from tests.tasks.support import listening

KEY = "LTAI5tExampleKeyId"
SECRET = "9xExampleAccessKeySecret0"
OWNER = {"cross_account_owner_id": "1234567890123456", "cross_account_role_name": "reader"}


@pytest.fixture(scope="module")
def loaded() -> None:
    """The SDKs, some of which take seconds to load: a program's start, and no part of the checks timed here."""
    for name in ("alibabacloud_credentials", *calls.SDKS.values()):
        importlib.import_module(f"{name}.client")


@pytest.fixture
def api(loaded: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The API, and credentials for it in the environment."""
    from alibabacloud_credentials.utils import auth_util

    with serving({**VPC, **STS, **RDS}) as api:
        monkeypatch.setenv("ALIBABA_CLOUD_ENDPOINT_URL", api.url)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setattr(auth_util, "environment_access_key_id", KEY)
        monkeypatch.setattr(auth_util, "environment_access_key_secret", SECRET)
        monkeypatch.setattr(auth_util, "environment_ecs_metadata_disabled", "true")
        monkeypatch.setattr(auth_util, "environment_cli_profile_disabled", "true")
        calls._chain.cache_clear()
        calls._assumed.clear()
        yield api
        calls._chain.cache_clear()


async def _instance(type: str, instance: str) -> Any:
    return await Alibaba().instance(Wanted(type, "cn-hangzhou", instance), Budget.of(20))


async def _verdict(**changes: Any) -> Verdict:
    return await verdict_of(target(cloud="alibaba", **changes), timeout=8)


async def test_an_rds_instance(api: Api) -> None:
    found = await _instance("postgresql", "pgm-bp1example")
    assert [str(one) for one in found.endpoints] == [
        "pgm-bp1example.pg.rds.aliyuncs.com:5432 (internal)",
        "pgm-bp1examplepub.pg.rds.aliyuncs.com:5433 (public)",
    ]
    assert (found.status, found.running, found.vpc_id, found.vswitch_cidrs) == (
        "Running", True, "vpc-bp1", ("172.16.0.0/24",),
    )  # fmt: skip
    assert found.allowlist == ("10.1.0.0/24", "47.97.0.1", "100.104.0.0/16")
    assert found.allowlist_whole
    assert found.tls == Tls(enabled=True, forced=True, expires="2099-10-11T08:16:43Z")
    assert found.endpoints[0].vpc_id == "vpc-bp1"
    assert found.endpoints[1].vpc_id is None


async def test_the_api_is_asked_as_its_reference_says(api: Api) -> None:
    await _instance("postgresql", "pgm-bp1example")
    operation, query, headers = api.asked[0]
    assert (operation, query) == ("DescribeDBInstanceAttribute", {"DBInstanceId": "pgm-bp1example"})
    assert headers["x-acs-version"] == "2014-08-15"
    assert f"Credential={KEY}" in headers["Authorization"]


async def test_a_polardb_cluster(api: Api) -> None:
    api.answers |= POLARDB
    found = await _instance("polardb", "pc-bp1example")
    assert [(one.host, one.name, one.read_only) for one in found.endpoints] == [
        ("pc-bp1example.mysql.polardb.rds.aliyuncs.com", "pe-primary", False),
        ("readers.mysql.polardb.rds.aliyuncs.com", "pe-readers", True),
    ]
    assert (found.allowlist, found.security_groups, found.allowlist_whole) == (("10.1.0.0/24",), ("sg-bp1",), False)
    assert found.tls.enabled is False


async def test_a_redis_instance(api: Api) -> None:
    api.answers |= REDIS
    found = await _instance("redis", "r-bp1example")
    assert [str(one) for one in found.endpoints] == [
        "r-bp1example.redis.rds.aliyuncs.com:6379 (internal)",
        "r-bp1examplepd.redis.rds.aliyuncs.com:6379 (public)",
    ]
    assert (found.running, found.allowlist) == (True, ("127.0.0.1",))
    assert found.tls == Tls(enabled=True, expires="2099-10-11T08:16:43Z")


async def test_a_mongodb_replica_set(api: Api) -> None:
    api.answers |= MONGODB
    found = await _instance("mongodb", "dds-bp1example")
    assert [str(one) for one in found.endpoints] == [
        "dds-bp1example1.mongodb.rds.aliyuncs.com:3717 (internal)",
        "dds-bp1example1-pub.mongodb.rds.aliyuncs.com:3717 (public)",
    ]
    assert found.tls == Tls(enabled=False, forced=False)


async def test_a_vpc(api: Api) -> None:
    found = await Alibaba().vpc("cn-hangzhou", GROUP_VPC, Budget.of(20))
    assert found is not None
    assert found.vswitches == (VSwitch("vsw-group", "10.1.0.0/24"),)
    assert found.nat_gateways == (NatGateway("ngw-bp1", "Available", available=True, internet=True),)
    assert found.snat_entries == (
        SnatEntry("snat-bp1", "ngw-bp1", "Available", True, ("47.97.0.1",), "vsw-group", "10.1.0.0/24"),
    )
    assert found.eips == (Eip("47.97.0.1", "InUse", in_use=True, bound_to="ngw-bp1"),)
    assert found.routes == (Route("10.0.0.0/8", "cen-bp1", "vsw-group"),)


async def test_a_vpc_of_another_region_is_not_there(api: Api) -> None:
    assert await Alibaba().vpc("cn-hangzhou", "vpc-elsewhere", Budget.of(20)) is None


async def test_every_page_of_a_list_is_read(api: Api) -> None:
    def vswitches(query: Any) -> dict[str, Any]:
        number = int(query["PageNumber"])
        rows = [{"VSwitchId": f"vsw-{number}-{i}", "CidrBlock": "10.1.0.0/24"} for i in range(50 if number == 1 else 3)]
        return {"TotalCount": 53, "VSwitches": {"VSwitch": rows}}

    api.answers["DescribeVSwitches"] = vswitches
    found = await Alibaba().vpc("cn-hangzhou", GROUP_VPC, Budget.of(20))
    assert found is not None
    assert len(found.vswitches) == 53


async def test_every_page_of_a_route_table_is_read(api: Api) -> None:
    def routes(query: Any) -> dict[str, Any]:
        second = query.get("NextToken") == "more"
        row = {"DestinationCidrBlock": "172.16.0.0/12" if second else "10.0.0.0/8", "NextHops": {"NextHop": []}}
        return {"RouteEntrys": {"RouteEntry": [row]}, **({} if second else {"NextToken": "more"})}

    api.answers["DescribeRouteEntryList"] = routes
    found = await Alibaba().vpc("cn-hangzhou", GROUP_VPC, Budget.of(20))
    assert found is not None
    assert [one.destination for one in found.routes or ()] == ["10.0.0.0/8", "172.16.0.0/12"]


@pytest.mark.parametrize(
    "code", ["InvalidDBInstanceId.NotFound", "InvalidDBInstanceName.NotFound", "InvalidRegionId.NotFound"]
)
async def test_an_unknown_instance(api: Api, code: str) -> None:
    api.answers["DescribeDBInstanceAttribute"] = (404, code)
    verdict = await _verdict()
    assert (verdict.cause, verdict.state) == ("INSTANCE.NOT_FOUND", State.CONFIG_ERROR)
    assert verdict.component == "pgm-bp1example in cn-hangzhou"
    assert code in verdict.message
    assert "account" in verdict.message


async def test_an_instance_of_another_region(api: Api) -> None:
    verdict = await _verdict(region_id="cn-shanghai")
    assert verdict.cause == "INSTANCE.NOT_FOUND"
    assert "region_id cn-hangzhou" in verdict.remedy


@pytest.mark.parametrize("code", ["Forbidden.RAM", "NoPermission", "Forbidden"])
async def test_an_instance_that_may_not_be_described(api: Api, code: str) -> None:
    api.answers["DescribeDBInstanceAttribute"] = (403, code)
    verdict = await _verdict()
    assert (verdict.cause, verdict.component) == ("INSTANCE.ROLE_DENIED", "alibaba identity of this machine")
    assert "DescribeDBInstanceAttribute" in verdict.remedy


@pytest.mark.parametrize(("status", "code"), [(404, "EntityNotExist.Role"), (403, "NoPermission")])
async def test_a_role_that_cannot_be_assumed(api: Api, status: int, code: str) -> None:
    api.answers["AssumeRole"] = (status, code)
    verdict = await _verdict(**OWNER)
    assert (verdict.cause, verdict.component) == ("INSTANCE.ROLE_DENIED", "reader")
    assert "1234567890123456" in verdict.message
    assert code in verdict.message


async def test_a_role_is_assumed_once_and_its_token_used_and_shown_nowhere(api: Api) -> None:
    api.answers["DescribeDBInstanceAttribute"] = (403, "Forbidden.RAM")
    verdict = await _verdict(**OWNER)
    operation, query, _ = api.asked[0]
    assert (operation, query["RoleArn"]) == ("AssumeRole", "acs:ram::1234567890123456:role/reader")
    _, _, headers = api.asked[1]
    credentials = STS["AssumeRole"]["Credentials"]  # type: ignore[index,call-overload]
    assert headers["x-acs-security-token"] == credentials["SecurityToken"]
    assert (verdict.cause, verdict.component) == ("INSTANCE.ROLE_DENIED", "reader")
    told = verdict.model_dump_json()
    secrets = (credentials["SecurityToken"], credentials["AccessKeySecret"], credentials["AccessKeyId"], KEY, SECRET)
    assert [one for one in secrets if one in told] == []
    await _verdict(**OWNER)
    assert api.operations.count("AssumeRole") == 1


@pytest.mark.parametrize(
    "code", ["InvalidAccessKeyId.NotFound", "SignatureDoesNotMatch", "InvalidSecurityToken.Expired"]
)
async def test_credentials_of_ours_that_are_not_accepted(api: Api, code: str) -> None:
    api.answers["DescribeDBInstanceAttribute"] = (400, code)
    verdict = await _verdict()
    assert (verdict.cause, verdict.component) == ("AUTH.TOKEN", "the credentials for alibaba")
    assert KEY not in verdict.model_dump_json()


async def test_no_credentials_at_all(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from alibabacloud_credentials.utils import auth_util

    monkeypatch.setattr(auth_util, "environment_access_key_id", "")
    calls._chain.cache_clear()
    verdict = await _verdict()
    assert verdict.cause == "CONFIG.SECRET_UNRESOLVED"
    assert api.asked == []


@pytest.mark.parametrize(("status", "locked"), [("Stopped", ""), ("Rebooting", ""), ("Running", "LockByExpiration")])
async def test_an_instance_that_does_not_run(api: Api, status: str, locked: str) -> None:
    row = RDS["DescribeDBInstanceAttribute"]["Items"]["DBInstanceAttribute"][0]  # type: ignore[index,call-overload]
    changed = {**row, "DBInstanceStatus": status, "LockMode": locked}
    api.answers["DescribeDBInstanceAttribute"] = {"Items": {"DBInstanceAttribute": [changed]}}
    verdict = await _verdict()
    assert (verdict.cause, verdict.state, verdict.component) == (
        "INSTANCE.STOPPED", State.UNREACHABLE, "pgm-bp1example",
    )  # fmt: skip
    assert (locked or status) in verdict.message


async def test_an_instance_that_is_being_resized_is_tried(api: Api) -> None:
    row = RDS["DescribeDBInstanceAttribute"]["Items"]["DBInstanceAttribute"][0]  # type: ignore[index,call-overload]
    changed = {**row, "DBInstanceStatus": "DBInstanceClassChanging"}
    api.answers["DescribeDBInstanceAttribute"] = {"Items": {"DBInstanceAttribute": [changed]}}
    assert (await _instance("postgresql", "pgm-bp1example")).running


async def test_what_may_not_be_read_is_told_and_stops_nothing(api: Api) -> None:
    api.answers["DescribeDBInstanceIPArrayList"] = (403, "Forbidden.RAM")
    api.answers["DescribeDBInstanceSSL"] = (400, "InvalidDBInstanceEngineType.Format")
    found = await _instance("postgresql", "pgm-bp1example")
    assert (found.allowlist, found.tls) == (None, Tls())
    assert set(found.untold) == {"allowlist (Forbidden.RAM)", "tls (InvalidDBInstanceEngineType.Format)"}


async def test_an_api_that_says_nothing_ends_with_the_check(api: Api) -> None:
    api.answers["DescribeDBInstanceAttribute"] = MUTE
    with Stopwatch() as watch:
        verdict = await verdict_of(target(cloud="alibaba"), timeout=2)
    watch.within(2.5)
    assert (verdict.cause, verdict.state) == ("PROBE.DEADLINE", State.UNSUPPORT)
    assert verdict.component == "the API of alibaba"


@pytest.mark.parametrize("fault", ["nobody", "ServiceUnavailable", "Throttling.User"])
async def test_an_api_that_does_not_answer_says_nothing_of_the_source(
    api: Api, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "nobody":
        monkeypatch.setenv("ALIBABA_CLOUD_ENDPOINT_URL_RDS", "http://127.0.0.1:1")
    else:
        api.answers["DescribeDBInstanceAttribute"] = (503, fault)
    verdict = await _verdict()
    assert (verdict.cause, verdict.state) == ("PROBE.AGENT_DOWN", State.UNSUPPORT)
    assert (
        "127.0.0.1:1) could not be asked about pgm-bp1example (ConnectionError)" if fault == "nobody" else fault
    ) in (verdict.message)


async def test_credentials_that_are_long_in_coming_are_not_said_to_be_missing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain ends with a metadata service that may keep silent."""
    monkeypatch.setattr(calls, "_own", lambda: time.sleep(3))
    verdict = await verdict_of(target(cloud="alibaba"), timeout=1)
    assert (verdict.cause, api.asked) == ("PROBE.DEADLINE", [])


async def test_a_type_that_nobody_knows_how_to_ask_for(api: Api) -> None:
    verdict = await _verdict(type="starrocks", instance_type="serverless")
    assert (verdict.cause, verdict.state) == ("DRIVER.MISSING", State.UNSUPPORT)
    assert "inventory" in verdict.remedy


async def test_a_missing_sdk_is_named_with_its_extra(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(calls.SDKS, "RDS", "alibabacloud_gone20140815")
    verdict = await _verdict()
    assert (verdict.cause, verdict.component) == ("DRIVER.MISSING", "alibabacloud_gone20140815")
    assert "headwater[alibaba]" in verdict.remedy


async def test_the_endpoint_leads_on_to_the_server(api: Api) -> None:
    async def mute(reader: Any, writer: Any) -> None:
        await reader.read(1000)

    async with listening(mute) as port:
        row = {"ConnectionString": "127.0.0.1", "Port": str(port), "IPType": "Private", "VPCId": "vpc-bp1"}
        api.answers["DescribeDBInstanceNetInfo"] = {"DBInstanceNetInfos": {"DBInstanceNetInfo": [row]}}
        verdict = await _verdict()
    located = stage(verdict).evidence
    assert (located["cloud"], located["chosen"], located["status"]) == ("alibaba", [f"127.0.0.1:{port}"], "Running")
    assert located["cloud_because"] == "the connection's cloud"
    assert stage(verdict, "connect").status == "passed"


async def test_one_question_serves_all_checks_of_an_instance(api: Api) -> None:
    api.answers["DescribeDBInstanceAttribute"] = (404, "InvalidDBInstanceId.NotFound")
    verdicts = await asyncio.gather(*(_verdict() for _ in range(20)))
    assert {verdict.cause for verdict in verdicts} == {"INSTANCE.NOT_FOUND"}
    assert api.operations.count("DescribeDBInstanceAttribute") == 1


@pytest.mark.parametrize(("pace", "answer"), [(30.0, "silent"), (0.0, "unreachable")])
async def test_how_the_sdk_puts_the_end_of_a_connection(
    api: Api, pace: float, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own read timeout says silent, like ours; a hang-up says unreachable."""

    async def peer(reader: Any, writer: Any) -> None:
        await reader.read(4000)
        await asyncio.sleep(pace)
        writer.close()

    async with listening(peer) as port:
        monkeypatch.setenv("ALIBABA_CLOUD_ENDPOINT_URL_RDS", f"http://127.0.0.1:{port}")
        query = ("RDS", "DescribeDBInstanceAttribute", {}, "cn-hangzhou")
        with pytest.raises(Exception, match=r".") as ended:
            await asyncio.to_thread(calls._ask, *query, Budget.of(0.5), calls._own(), [])
    assert calls._refusal(ended.value)[0] == answer


async def test_an_answer_that_is_no_json_is_a_fault_of_the_api(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def proxy(reader: Any, writer: Any) -> None:
        await reader.read(4000)
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\nconnection: close\r\n\r\n<h1>")
        await writer.drain()

    async with listening(proxy) as port:
        monkeypatch.setenv("ALIBABA_CLOUD_ENDPOINT_URL_RDS", f"http://127.0.0.1:{port}")
        with pytest.raises(Refused) as refused:
            await _instance("postgresql", "pgm-bp1example")
    assert refused.value.answer == "failing"
