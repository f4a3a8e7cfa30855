"""The stage `instance`: from an instance id to the addresses that are tried next.

Which cloud knows the instance is said by the connection's `cloud`, or follows from what is there: the inventory when it
has the instance, else the one cloud that is configured. Where two could answer, nobody guesses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from registry.connection import Endpoint
from registry.connection.parts import CloudInstance
from registry.network import Network
from registry.verdict import Stage
from tasks import clouds
from tasks.budget import Budget
from tasks.clouds import Cloud, Instance, Place, Refused, Vpc, Wanted
from tasks.clouds.inventory import FileInventory
from tasks.evidence import Recorder, StageFailed
from tasks.networks import audit as network_audit
from tasks.target import Target
from tasks.vantages import Vantage, is_public

T = TypeVar("T")

#: Seconds for which an answer of a cloud is good for other checks of the same run: sources share instances and VPCs.
_FRESH = 5.0


@dataclass(frozen=True)
class Choice:
    """The cloud that is asked, and why this one."""

    cloud: Cloud
    because: str


async def locate(target: Target, vantage: Vantage, recorder: Recorder, budget: Budget) -> tuple[Endpoint, ...]:
    """The addresses of the instance that a connection names; what its cloud says of it goes into the evidence.

    Raises:
        StageFailed: With what the cloud said.
    """
    wanted, choice = _asked(target, recorder)
    around = asyncio.ensure_future(_around(target.network, wanted.region, choice.cloud, budget))
    try:
        _, chosen = await _found(target, vantage, recorder, budget, wanted, choice)
        if any(place.public for place in chosen):
            recorder.see(**network_audit.way_out_lacks(target.network, await around))
    finally:
        around.cancel()
    return tuple(Endpoint(host=place.host, port=place.port) for place in chosen)


async def find(target: Target, vantage: Vantage, budget: Budget) -> tuple[Instance, tuple[Place, ...]]:
    """The instance that a connection names, and the endpoints that a check would try. Raises as `locate`."""
    recorder = Recorder()
    try:
        wanted, choice = _asked(target, recorder)
        return await _found(target, vantage, recorder, budget, wanted, choice)
    except StageFailed as failed:
        raise StageFailed(**{**recorder.evidence, **failed.evidence}) from None


def _asked(target: Target, recorder: Recorder) -> tuple[Wanted, Choice]:
    connection = target.connection
    if not isinstance(connection, CloudInstance):
        raise StageFailed(unsupported_type=target.type, cloud="any cloud", instance="")
    wanted = Wanted(
        target.type,
        connection.region_id,
        connection.instance,
        connection.cross_account_owner_id,
        connection.cross_account_role_name,
    )
    recorder.see(instance=wanted.instance, region=wanted.region, account=wanted.account, role=wanted.role)
    choice = choose(connection.cloud, wanted)
    recorder.see(cloud=choice.cloud.name, cloud_because=choice.because)
    return wanted, choice


async def _found(
    target: Target, vantage: Vantage, recorder: Recorder, budget: Budget, wanted: Wanted, choice: Choice
) -> tuple[Instance, tuple[Place, ...]]:
    instance = await _described(choice.cloud, wanted, budget)
    _see(recorder, instance)
    replica = getattr(target.connection, "read_only_db_instance", None)
    if replica:
        instance = await _replica(choice.cloud, wanted, instance, replica, budget)
        recorder.see(read_only=replica, status=instance.status)
    if not instance.running:
        raise StageFailed(stopped=True, instance=instance.id, status=instance.status)
    chosen, because = await _endpoints(instance, target.network, vantage, read_only=bool(replica))
    recorder.see(chosen=[f"{place.host}:{place.port}" for place in chosen], chosen_because=because)
    return instance, chosen


def bearing(stages: Sequence[Stage], address: str) -> Mapping[str, Any]:
    """What the stage `instance` found that bears on a failure further on.

    That is the way out that the group's VPC lacks, and which cloud enforces the allowlist; a file enforces none.
    """
    told = next((stage.evidence for stage in stages if stage.name == "instance"), {})
    found = {"list_of_cloud": told["cloud"]} if "allowlist" in told and told["cloud"] != FileInventory.name else {}
    public = not address.startswith("/") and is_public(address)
    return found | {key: told[key] for key in network_audit.EVIDENCE if public and key in told}


# --- which cloud ----------------------------------------------------------------------------------------------------


def choose(stated: str | None, wanted: Wanted) -> Choice:
    """The cloud to ask.

    Args:
        stated: The connection's own word.

    Raises:
        StageFailed: No such cloud, or none or several are configured.
    """
    if stated is not None:
        try:
            return Choice(clouds.open_cloud(stated), "the connection's cloud")
        except KeyError:
            known = ", ".join(clouds.names())
            raise _bad(f"there is no cloud {stated!r}", f"set cloud to one of: {known}") from None
    inventory = FileInventory()
    if inventory.knows(wanted):
        return Choice(inventory, "the inventory knows the instance")
    others = [clouds.open_cloud(name) for name in clouds.names() if name != inventory.name]
    able = [cloud for cloud in others if cloud.configured()]
    if len(able) == 1:
        return Choice(able[0], "the only cloud that is configured")
    if able:
        names = " or ".join(cloud.name for cloud in able)
        raise _bad(f"more than one cloud is configured: {names}", f"set cloud: {names} in the connection")
    if inventory.configured():
        return Choice(inventory, "no cloud is configured beside it")
    raise StageFailed(
        problem="CONFIG.MISSING_FIELD",
        where="cloud",
        reason=f"nobody is known who could tell where {wanted.instance} is: there is no inventory, and no cloud is "
        "configured",
        instruction="put the instance into the inventory (HEADWATER_INVENTORY, by default inventory.yaml in "
        "HEADWATER_HOME), or set cloud: alibaba or aws and give credentials as its SDK expects them",
    )


def _bad(reason: str, instruction: str) -> StageFailed:
    return StageFailed(problem="CONFIG.BAD_VALUE", where="cloud", reason=reason, instruction=instruction)


# --- what is there --------------------------------------------------------------------------------------------------


async def _described(cloud: Cloud, wanted: Wanted, budget: Budget) -> Instance:
    async def ask() -> Instance:
        return await cloud.instance(wanted, budget)

    return await _shared((cloud.name, wanted), ask, budget)


async def way_out_lacks(network: Network, budget: Budget) -> Mapping[str, str]:
    """What a group's VPC lacks to reach public addresses, as evidence, where the cloud that knows it is declared."""
    if network.cloud is None or network.vpc_id is None:
        return {}
    return network_audit.way_out_lacks(network, await _around(network, "", None, budget))


async def _around(network: Network, region: str, cloud: Cloud | None, budget: Budget) -> Vpc | None:
    """The group's VPC; None where it is not declared, not there, or may not be looked at: nothing follows then.

    Args:
        region, cloud: Where it is unless the network says otherwise.
    """
    if network.vpc_id is None:
        return None
    try:
        asked = cloud if network.cloud is None and cloud is not None else clouds.open_cloud(network.cloud or "")
        place, vpc_id = network.region_id or region, network.vpc_id

        async def ask() -> Vpc | None:
            return await asked.vpc(place, vpc_id, budget)

        return await _shared((asked.name, place, vpc_id), ask, budget)
    except (StageFailed, KeyError):
        return None


async def _replica(cloud: Cloud, wanted: Wanted, primary: Instance, replica: str, budget: Budget) -> Instance:
    """The primary with the endpoints of a replica alone: one of its own, or an instance by itself."""
    own = tuple(place for place in primary.endpoints if replica in (place.name, place.host))
    if own:
        return replace(primary, endpoints=tuple(replace(place, read_only=True) for place in own))
    try:
        found = await _described(cloud, replace(wanted, instance=replica), budget)
    except Refused as refused:
        raise StageFailed(**{**refused.evidence, "instance": replica}) from None
    return replace(found, endpoints=tuple(replace(place, read_only=True) for place in found.endpoints))


def _see(recorder: Recorder, instance: Instance) -> None:
    """Note what the cloud says. A list that is not all there is, is not noted as the list."""
    known = instance.allowlist is not None and instance.allowlist_whole
    recorder.see(
        status=instance.status,
        endpoints=[str(place) for place in instance.endpoints],
        vpc_id=instance.vpc_id,
        vswitch_cidrs=list(instance.vswitch_cidrs) or None,
        allowlist=list(instance.allowlist or ()) if known else None,
        allowlist_size=len(instance.allowlist) if instance.allowlist is not None else None,
        security_groups=list(instance.security_groups) or None,
        untold=list(instance.untold) or None,
        tls_enabled=instance.tls.enabled,
        tls_forced=instance.tls.forced,
        not_after=instance.tls.expires,
        subject=f"the instance {instance.id}" if instance.tls.expires else None,
    )


# --- which endpoint -------------------------------------------------------------------------------------------------


async def _endpoints(
    instance: Instance, network: Network, vantage: Vantage, *, read_only: bool
) -> tuple[tuple[Place, ...], str]:
    """The endpoints to try, and why these: internal ones from the same VPC or without a way out, else public ones.

    Raises:
        StageFailed: There is none.
    """
    fitting = [place for place in instance.endpoints if place.read_only is read_only] or list(instance.endpoints)
    if not fitting:
        raise StageFailed(no_endpoint=True, instance=instance.id)
    internal = tuple(place for place in fitting if not place.public)
    public = tuple(place for place in fitting if place.public)
    if not (internal and public):
        return internal or public, f"it has {'internal' if internal else 'public'} endpoints only"
    if same_network(instance, internal, network):
        return internal, "the group is in the VPC of the instance"
    if network.has_no_nat:
        return internal, "the group is declared to have no way out"
    ways = await vantage.way_out()
    if ways and not any(ways.values()):
        return internal, "the group has no default route"
    return public, "the group is not known to be in the VPC of the instance"


def same_network(instance: Instance, internal: Sequence[Place], network: Network) -> bool:
    """Whether a group is in the VPC of an instance: by its id, or where none is declared by the vSwitches' CIDRs."""
    if network.vpc_id is not None:
        return network.vpc_id in {instance.vpc_id, *(place.vpc_id for place in internal)}
    theirs = [ip_network(cidr) for cidr in instance.vswitch_cidrs]
    return bool(network.vswitch_cidrs) and all(cidr in theirs for cidr in network.vswitch_cidrs)


# --- asking once ----------------------------------------------------------------------------------------------------


@dataclass
class _Answers:
    """Answers under way and fresh ones, of one event loop."""

    tasks: dict[Hashable, tuple[float, asyncio.Task[Any]]] = field(default_factory=dict)


_ANSWERS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Answers] = WeakKeyDictionary()


async def _shared(key: Hashable, ask: Callable[[], Awaitable[T]], budget: Budget) -> T:
    """Ask once for all checks that want the same at the same time; whoever gives up leaves the others their answer."""
    known = _ANSWERS.setdefault(asyncio.get_running_loop(), _Answers()).tasks
    now = time.monotonic()
    asked, task = known.get(key, (0.0, None))
    if task is None or now - asked > _FRESH or (task.done() and (task.cancelled() or task.exception())):
        for old in [one for one, (when, _) in known.items() if now - when > _FRESH]:
            del known[old]
        task = asyncio.ensure_future(_answer(ask))
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        known[key] = (now, task)
    try:
        async with asyncio.timeout(budget.left()):
            return cast(T, await asyncio.shield(task))
    except TimeoutError:
        raise Refused("silent") from None


async def _answer(ask: Callable[[], Awaitable[T]]) -> T:
    return await ask()
