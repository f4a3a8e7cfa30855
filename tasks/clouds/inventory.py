"""The inventory file as a cloud: `registry.inventory`."""

from __future__ import annotations

from registry import inventory
from registry.errors import InvalidInput
from registry.inventory import InstanceSpec, Inventory, NetworkSpec
from tasks import clouds
from tasks.budget import Budget
from tasks.clouds import Eip, Instance, NatGateway, Place, Refused, Route, SnatEntry, Tls, Vpc, VSwitch, Wanted
from tasks.evidence import StageFailed

#: The states in which the parts of a network work, as Alibaba Cloud writes them.
_AVAILABLE = "available"
_IN_USE = "inuse"


def open_cloud() -> clouds.Cloud:
    """The inventory of this machine."""
    return FileInventory()


class FileInventory:
    """Answers from the file; it is read again when it has changed."""

    name = "inventory"

    def configured(self) -> bool:
        return inventory.stated() or inventory.path().exists()

    async def instance(self, wanted: Wanted, budget: Budget) -> Instance:
        known = _load()
        if wanted.account is not None:
            _may_ask(known, wanted.account, wanted.role)
        found = next((one for one in known.by_id.get(wanted.instance, ()) if _is(one, wanted)), None)
        if found is None:
            raise Refused("not_found", cloud_api=str(inventory.path()), found_in=_elsewhere(known, wanted))
        if found.roles is not None and wanted.account is not None and wanted.role not in found.roles:
            raise Refused("denied", cloud_error="roles of the instance", cloud_api=str(inventory.path()))
        return _instance(found)

    async def vpc(self, region: str, vpc_id: str, budget: Budget) -> Vpc | None:
        found = _load().network(vpc_id, region)
        return None if found is None else _vpc(found, region)

    def knows(self, wanted: Wanted) -> bool:
        """Whether it has this instance, whoever asks.

        Raises:
            StageFailed: The file is faulty.
        """
        return any(one.region_id == wanted.region for one in _load().by_id.get(wanted.instance, ()))


def _load() -> Inventory:
    try:
        return inventory.load() or Inventory(version=1)
    except InvalidInput as faulty:
        first, *others = getattr(faulty, "problems", [faulty])
        more = f" (and {len(others)} more like this)" if others else ""
        raise StageFailed(
            problem="CONFIG.BAD_VALUE",
            where=first.where,
            reason=f"the inventory cannot be used: {first.where}: {first.reason}{more}",
            instruction=first.instruction or "correct the file there",
        ) from None


def _may_ask(known: Inventory, account: str, role: str | None) -> None:
    found = known.account(account)
    if found is None or role not in found.roles:
        code = "accounts" if found is None else "roles of the account"
        raise Refused("denied", cloud_error=code, cloud_api=str(inventory.path()))


def _is(one: InstanceSpec, wanted: Wanted) -> bool:
    return (one.region_id, one.account) == (wanted.region, wanted.account)


def _elsewhere(known: Inventory, wanted: Wanted) -> str | None:
    """Where else the same id is: another region, or another account."""
    found = next(iter(known.by_id.get(wanted.instance, ())), None)
    if found is None:
        return None
    return f"region_id {found.region_id}" + (f", cross_account_owner_id {found.account}" if found.account else "")


def _instance(one: InstanceSpec) -> Instance:
    return Instance(
        id=one.instance_id,
        region=one.region_id,
        status=one.status or ("Running" if one.running else "Stopped"),
        running=one.running,
        endpoints=tuple(
            Place(
                host=place.host,
                port=place.port,
                public=place.public,
                read_only=place.read_only,
                name=place.id,
                vpc_id=place.vpc_id or (None if place.public else one.vpc_id),
                vswitch_id=place.vswitch_id,
            )
            for place in one.endpoints
        ),
        vpc_id=one.vpc_id,
        vswitch_cidrs=tuple(map(str, one.vswitch_cidrs)),
        allowlist=one.allowlist,
        tls=Tls(one.tls.enabled, one.tls.forced, one.tls.expires),
    )


def _vpc(one: NetworkSpec, region: str) -> Vpc:
    return Vpc(
        id=one.vpc_id,
        region=region,
        vswitches=tuple(VSwitch(each.id, str(each.cidr)) for each in one.vswitches),
        nat_gateways=tuple(
            NatGateway(each.id, each.status, each.status.casefold() == _AVAILABLE, each.internet)
            for each in one.nat_gateways
        ),
        snat_entries=tuple(
            SnatEntry(
                id=each.id,
                gateway=each.nat_gateway,
                status=each.status,
                available=each.status.casefold() == _AVAILABLE,
                addresses=tuple(map(str, each.addresses)),
                vswitch_id=each.vswitch_id,
                source_cidr=str(each.source_cidr) if each.source_cidr else None,
            )
            for each in one.snat_entries
        ),
        eips=tuple(
            Eip(str(each.address), each.status, each.status.casefold() == _IN_USE, each.bound_to) for each in one.eips
        ),
        routes=None
        if one.routes is None
        else tuple(Route(str(each.destination), each.next_hop, each.vswitch_id) for each in one.routes),
    )
