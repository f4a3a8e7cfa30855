"""The facts of a network audit, gathered: the group's VPC from its cloud, the data source from its cloud or names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.allowlists import Allowlist, parse
from registry.connection import Mode
from registry.network import Network
from tasks import clouds, instances
from tasks.budget import Budget
from tasks.clouds import Cloud, Place, Vpc
from tasks.clouds.inventory import FileInventory
from tasks.evidence import StageFailed
from tasks.networks.audit import Facts, Finding, audit
from tasks.target import Target
from tasks.vantages import Vantage, is_public


@dataclass(frozen=True)
class Audited:
    """The findings about one way.

    Attributes:
        about: The data source, environment and address; empty for the group's own way out.
    """

    about: str
    findings: Sequence[Finding]


@dataclass(frozen=True)
class Surroundings:
    """The VPC of a group, or why it is not known."""

    vpc: Vpc | None = None
    cloud: str = ""
    note: str = ""


async def surroundings(network: Network, budget: Budget) -> Surroundings:
    """Ask the group's cloud for its VPC."""
    if network.vpc_id is None:
        return Surroundings(note="declare network: {cloud, region_id, vpc_id, vswitch_id} of the group")
    try:
        cloud = await _cloud(network, budget)
        if cloud is None:
            return Surroundings(note=f"no cloud is known that could tell of {network.vpc_id}: declare network.cloud")
        if network.region_id is None and cloud.name != FileInventory.name:
            return Surroundings(cloud=cloud.name, note=f"declare network.region_id, where {network.vpc_id} is")
        vpc = await cloud.vpc(network.region_id or "", network.vpc_id, budget)
    except KeyError:
        return Surroundings(note=f"there is no cloud {network.cloud!r}: {', '.join(clouds.names())}")
    except StageFailed as failed:
        why = ", ".join(f"{key}={value}" for key, value in failed.evidence.items())
        return Surroundings(note=f"the cloud does not tell of {network.vpc_id}: {why}")
    note = "" if vpc else f"{cloud.name} has no VPC {network.vpc_id} in {network.region_id or 'any region'}"
    return Surroundings(vpc, cloud.name, note)


async def _cloud(network: Network, budget: Budget) -> Cloud | None:
    """The declared cloud, else the inventory if it has the VPC, else the only one that is configured."""
    if network.cloud is not None:
        return clouds.open_cloud(network.cloud)
    inventory = FileInventory()
    if await inventory.vpc(network.region_id or "", network.vpc_id or "", budget) is not None:
        return inventory
    others = [clouds.open_cloud(name) for name in clouds.names() if name != inventory.name]
    able = [cloud for cloud in others if cloud.configured()]
    return able[0] if len(able) == 1 else None


def way_out(network: Network, around: Surroundings) -> Audited:
    """The group's own way to public addresses."""
    return Audited("", audit(Facts(network, around.vpc, public=True)))


async def ways_to(target: Target, vantage: Vantage, around: Surroundings, budget: Budget) -> list[Audited]:
    """The ways to every address of a data source.

    Raises:
        StageFailed: The source cannot be found: what its cloud said.
    """
    places, allowlist, vpc_id = await _places(target, vantage, budget)
    found = []
    for place in places:
        resolution = await vantage.resolve(place.host, budget)
        for address in resolution.addresses or ("",):
            public = is_public(address) if address else place.public
            facts = Facts(target.network, around.vpc, public, address, allowlist, vpc_id)
            named = f"{place.host}:{place.port}" + (f" ({address})" if address not in ("", place.host) else "")
            found.append(Audited(f"{target.source}/{target.env} {named}", audit(facts)))
    return found


async def _places(
    target: Target, vantage: Vantage, budget: Budget
) -> tuple[Sequence[Place], Allowlist | None, str | None]:
    connection = target.connection
    if connection is None:
        return (), None, None
    if connection.mode is Mode.INSTANCE:
        instance, chosen = await instances.find(target, vantage, budget)
        entries = instance.allowlist if instance.allowlist_whole else None
        return chosen, None if entries is None else parse(entries), instance.vpc_id
    places = [Place(one.host, one.port) for one in connection.endpoints() if not one.host.startswith("/")]
    return places, parse(connection.allowlist) if connection.allowlist else None, None
