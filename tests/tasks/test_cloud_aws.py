"""boto3 against moto's server: a real HTTP server that behaves as AWS does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from registry.network import Network
from registry.verdict import State, Verdict
from tasks.budget import Budget
from tasks.clouds import Instance, Vpc, Wanted
from tasks.clouds.aws import Aws, calls
from tasks.networks.audit import way_out_lacks
from tasks.networks.facts import surroundings, way_out
from tests.stopwatch import Stopwatch
from tests.tasks.cloud_support import stage, target, verdict_of
from tests.tasks.support import listening, mute

REGION = "eu-central-1"
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@cache
def _client(url: str, service: str, **given: Any) -> Any:
    """Making one takes longer than what it is used for."""
    return boto3.client(service, region_name=REGION, endpoint_url=url, **given)


@dataclass
class Account:
    """An account of moto's with a VPC of two subnets: one that leaves through a NAT gateway, one that does not."""

    url: str
    vpc: str = ""
    subnets: tuple[str, ...] = ()
    group: str = ""
    gateway: str = ""
    eip: str = ""

    def client(self, service: str, **more: Any) -> Any:
        """A client of our own, beside the code under test."""
        return _client(self.url, service, **{"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, **more})

    def database(self, name: str, **more: Any) -> None:
        """An RDS instance in the VPC."""
        self.client("rds").create_db_instance(
            DBInstanceIdentifier=name, DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20,
            MasterUsername="postgres", MasterUserPassword="some-password", DBSubnetGroupName="private",
            VpcSecurityGroupIds=[self.group], **{"PubliclyAccessible": False, **more},
        )  # fmt: skip

    def build(self) -> None:
        """Make the network."""
        ec2, rds = self.client("ec2"), self.client("rds")
        self.vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
        self.subnets = tuple(
            ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone=f"{REGION}{zone}")["Subnet"]["SubnetId"]
            for cidr, zone in (("10.8.1.0/24", "a"), ("10.8.2.0/24", "b"))
        )
        self.group = ec2.create_security_group(GroupName="db", Description="db", VpcId=self.vpc)["GroupId"]
        rules = [
            {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": "10.1.0.0/24"}]},
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.99.0.0/24"}]},
        ]
        ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=rules)
        address = ec2.allocate_address(Domain="vpc")
        self.eip = address["PublicIp"]
        self.gateway = ec2.create_nat_gateway(SubnetId=self.subnets[1], AllocationId=address["AllocationId"])[
            "NatGateway"
        ]["NatGatewayId"]
        table = ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=self.gateway)
        ec2.associate_route_table(RouteTableId=table, SubnetId=self.subnets[0])
        rds.create_db_subnet_group(
            DBSubnetGroupName="private", DBSubnetGroupDescription="private", SubnetIds=list(self.subnets)
        )


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """moto's server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Account:
    """An empty account with a network, and credentials for it in the environment."""
    for name, value in (
        ("AWS_ENDPOINT_URL", server), ("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none")),
        ("AWS_CONFIG_FILE", str(tmp_path / "none")), ("NO_PROXY", "*"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    httpx.post(f"{server}/moto-api/reset", trust_env=False, timeout=60)  # the first question loads all services
    calls._assumed.clear()
    account = Account(server)
    account.build()
    return account


def _check_signatures(url: str, after: str) -> None:
    """Have moto check who asks: at once (`0`) or never (`inf`)."""
    httpx.post(f"{url}/moto-api/reset-auth", content=after, trust_env=False, timeout=60)


async def _instance(name: str, type: str = "postgresql") -> Instance:
    return await Aws().instance(Wanted(type, REGION, name), Budget.of(20))


async def _vpc(aws: Account) -> Vpc:
    found = await Aws().vpc(REGION, aws.vpc, Budget.of(20))
    assert found is not None
    return found


async def _verdict(name: str = "orders", **changes: Any) -> Verdict:
    return await verdict_of(target(name, cloud="aws", region_id=REGION, **changes), timeout=20)


async def test_a_database(aws: Account) -> None:
    aws.database("orders")
    found = await _instance("orders")
    (endpoint,) = found.endpoints
    assert (endpoint.port, endpoint.public, endpoint.vpc_id) == (5432, False, aws.vpc)
    assert endpoint.host.startswith("orders.")
    assert (found.status, found.running, found.vpc_id) == ("available", True, aws.vpc)
    assert found.vswitch_cidrs == ("10.8.1.0/24", "10.8.2.0/24")
    assert (found.allowlist, found.allowlist_whole) == (("10.1.0.0/24",), True)


async def test_a_public_database(aws: Account) -> None:
    aws.database("orders", PubliclyAccessible=True)
    assert (await _instance("orders")).endpoints[0].public


async def test_a_security_group_that_lets_another_in_is_not_the_whole_list(aws: Account) -> None:
    rule = {
        "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432,
        "UserIdGroupPairs": [{"GroupId": aws.group}],
    }  # fmt: skip
    aws.client("ec2").authorize_security_group_ingress(GroupId=aws.group, IpPermissions=[rule])
    aws.database("orders")
    found = await _instance("orders")
    assert (found.security_groups, found.allowlist_whole) == ((aws.group,), False)


async def test_a_cluster(aws: Account) -> None:
    aws.client("rds").create_db_cluster(
        DBClusterIdentifier="lake", Engine="aurora-postgresql", MasterUsername="postgres",
        MasterUserPassword="some-password", DBSubnetGroupName="private", VpcSecurityGroupIds=[aws.group], Port=5432,
    )  # fmt: skip
    found = await _instance("lake")
    assert [one.port for one in found.endpoints] == [5432]
    assert (found.status, found.vpc_id, found.allowlist) == ("available", aws.vpc, ("10.1.0.0/24",))


async def test_a_cache(aws: Account) -> None:
    aws.client("elasticache").create_replication_group(
        ReplicationGroupId="sessions", ReplicationGroupDescription="sessions", TransitEncryptionEnabled=True,
        NumNodeGroups=1, ReplicasPerNodeGroup=1, CacheNodeType="cache.t3.micro", Engine="redis", Port=6379,
    )  # fmt: skip
    found = await _instance("sessions", "redis")
    assert [(one.port, one.read_only) for one in found.endpoints] == [(6379, False)]
    assert found.tls.enabled
    assert found.allowlist is None, "its security groups are not known: nobody may say that it lets nobody in"


async def test_a_vpc(aws: Account) -> None:
    found = await _vpc(aws)
    assert [(one.id, one.cidr) for one in found.vswitches] == [
        (aws.subnets[0], "10.8.1.0/24"), (aws.subnets[1], "10.8.2.0/24"),
    ]  # fmt: skip
    assert [(one.id, one.available, one.internet) for one in found.nat_gateways] == [(aws.gateway, True, True)]
    assert [(one.gateway, one.vswitch_id, one.addresses) for one in found.snat_entries] == [
        (aws.gateway, aws.subnets[0], (aws.eip,))
    ]
    assert [(one.address, one.in_use) for one in found.eips] == [(aws.eip, True)]
    assert ("10.8.0.0/16", "local") in {(one.destination, one.next_hop) for one in found.routes or ()}


@pytest.mark.parametrize(("number", "lacks"), [(0, {}), (1, {"snat_entry": "10.8.2.0/24"})])
async def test_the_audit_of_a_vpc(aws: Account, number: int, lacks: dict[str, str]) -> None:
    declared = {
        "type": "serverless", "cloud": "aws", "region_id": REGION, "vpc_id": aws.vpc, "vswitch_id": aws.subnets[number],
    }  # fmt: skip
    network = Network.model_validate(declared)
    around = await surroundings(network, Budget.of(20))
    findings = way_out(network, around).findings
    assert {one.rule: one.value for one in findings if one.status == "missing"} == lacks
    assert len(findings) == (3 if not lacks else 2)


async def test_a_subnet_with_an_internet_gateway_is_not_said_to_lack_nat(aws: Account) -> None:
    ec2 = aws.client("ec2")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=aws.vpc)
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [aws.vpc]}])["RouteTables"]
    main = next(one for one in tables if any(each.get("Main") for each in one["Associations"]))
    ec2.create_route(RouteTableId=main["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    network = Network.model_validate({"type": "serverless", "vpc_id": aws.vpc, "vswitch_id": aws.subnets[1]})
    assert way_out_lacks(network, await _vpc(aws)) == {}


async def test_a_vpc_that_is_not_there(aws: Account) -> None:
    assert await Aws().vpc(REGION, "vpc-0000", Budget.of(20)) is None


async def test_an_unknown_instance(aws: Account) -> None:
    verdict = await _verdict()
    assert (verdict.cause, verdict.component) == ("INSTANCE.NOT_FOUND", f"orders in {REGION}")
    assert "DBClusterNotFound" in verdict.message


async def test_an_instance_that_is_stopped(aws: Account) -> None:
    aws.database("orders")
    aws.client("rds").stop_db_instance(DBInstanceIdentifier="orders")
    verdict = await _verdict()
    assert (verdict.cause, verdict.state) == ("INSTANCE.STOPPED", State.UNREACHABLE)
    assert "stopped" in verdict.message


async def test_credentials_that_are_not_accepted(aws: Account) -> None:
    _check_signatures(aws.url, "0")
    try:
        verdict = await _verdict()
    finally:
        _check_signatures(aws.url, "inf")
    assert (verdict.cause, verdict.component) == ("AUTH.TOKEN", "the credentials for aws")
    assert KEY not in verdict.model_dump_json()


async def test_an_identity_that_may_not_describe_it(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    iam = aws.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    _check_signatures(aws.url, "0")
    try:
        own = await _verdict()
        role = await _verdict(cross_account_owner_id="123456789012", cross_account_role_name="reader")
    finally:
        _check_signatures(aws.url, "inf")
    assert (own.cause, own.component) == ("INSTANCE.ROLE_DENIED", "aws identity of this machine")
    assert (role.cause, role.component) == ("INSTANCE.ROLE_DENIED", "reader")
    assert "assume_role" in role.message
    assert key["SecretAccessKey"] not in own.model_dump_json() + role.model_dump_json()


async def test_a_role_of_another_account(aws: Account) -> None:
    """moto keeps accounts apart: what the role sees is the other account's."""
    own = aws.client("sts").assume_role(RoleArn="arn:aws:iam::210987654321:role/reader", RoleSessionName="setup")
    given = own["Credentials"]
    other = {
        "aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }  # fmt: skip
    aws.client("rds", **other).create_db_instance(
        DBInstanceIdentifier="theirs", DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20,
        MasterUsername="postgres", MasterUserPassword="some-password",
    )  # fmt: skip
    wanted = Wanted("postgresql", REGION, "theirs", "210987654321", "reader")
    assert (await Aws().instance(wanted, Budget.of(20))).status == "available"
    assert (await _verdict("theirs")).cause == "INSTANCE.NOT_FOUND"


async def test_no_credentials_at_all(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert (await _verdict()).cause == "CONFIG.SECRET_UNRESOLVED"
    assert not Aws().configured()


async def test_an_api_that_cannot_be_reached(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    verdict = await _verdict()
    assert verdict.cause == "PROBE.AGENT_DOWN"
    assert "http://127.0.0.1:1" in verdict.message


async def test_an_api_that_says_nothing_ends_with_the_check(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(mute) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        with Stopwatch() as watch:
            verdict = await verdict_of(target("orders", cloud="aws", region_id=REGION), timeout=2)
    watch.within(2.6)
    assert verdict.cause == "PROBE.DEADLINE"


async def test_the_evidence_tells_what_was_found(aws: Account) -> None:
    aws.database("orders")
    located = stage(await _verdict()).evidence
    assert (located["cloud"], located["status"], located["vpc_id"]) == ("aws", "available", aws.vpc)
    assert (located["allowlist"], located["tls_enabled"]) == (["10.1.0.0/24"], True)
    assert "internal endpoints only" in located["chosen_because"]
