"""The inventory: a file that tells where instances are, for whoever has no cloud to ask or a CMDB to ask instead.

    version: 1
    instances: [{region_id, instance_id, endpoints: [{host, port}], allowlist, tls, ...}]
    networks:  [{vpc_id, vswitches, nat_gateways, snat_entries, eips, routes}]

Its place is HEADWATER_INVENTORY, by default `inventory.yaml` in the home.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyAddress, IPvAnyNetwork, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from registry import allowlists, home, texts
from registry.connection.fields import NetworkHost, Port
from registry.errors import InvalidInput, InvalidInputs
from registry.nearest import nearest

_VARIABLE = "HEADWATER_INVENTORY"
Text = Annotated[str, Field(min_length=1)]


def _entry(text: str) -> str:
    allowlists.networks_of(text)
    return text


AllowlistEntry = Annotated[str, AfterValidator(_entry)]


class Part(BaseModel):
    """A part of the file; DataWorks' camelCase names are accepted as well."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, loc_by_alias=False,
        coerce_numbers_to_str=True,
    )  # fmt: skip


class EndpointSpec(Part):
    """One endpoint of an instance."""

    host: NetworkHost
    port: Port
    #: The endpoint's own id: what `read_only_db_instance` may name.
    id: str = ""
    public: bool = False
    read_only: bool = False
    vpc_id: Text | None = None
    vswitch_id: Text | None = None


class TlsSpec(Part):
    """The TLS of an instance."""

    enabled: bool | None = None
    forced: bool | None = None
    #: RFC 3339.
    expires: Text | None = None


class InstanceSpec(Part):
    """An instance."""

    region_id: Text
    instance_id: Text
    #: The account that owns it, one of `accounts`; unset: our own.
    account: Text | None = None
    #: The roles of that account that may describe it; unset: all roles of the account.
    roles: tuple[Text, ...] | None = None
    endpoints: Annotated[tuple[EndpointSpec, ...], Field(min_length=1)]
    running: bool = True
    #: For people; by default Running or Stopped.
    status: str = ""
    vpc_id: Text | None = None
    vswitch_cidrs: tuple[IPvAnyNetwork, ...] = ()
    #: Who may come in: addresses, CIDRs, ranges; unset: not known.
    allowlist: tuple[AllowlistEntry, ...] | None = None
    tls: TlsSpec = TlsSpec()


class AccountSpec(Part):
    """Another account, and the roles of it that may describe its instances."""

    id: Text
    roles: tuple[Text, ...] = ()


class VSwitchSpec(Part):
    """A vSwitch or subnet."""

    id: Text
    cidr: IPvAnyNetwork


class NatGatewaySpec(Part):
    """A NAT gateway."""

    id: Text
    internet: bool = True
    status: str = "Available"


class SnatEntrySpec(Part):
    """An SNAT entry: a vSwitch, or a range of source addresses, and the public addresses that it comes from."""

    id: Text
    nat_gateway: Text
    status: str = "Available"
    vswitch_id: Text | None = None
    source_cidr: IPvAnyNetwork | None = None
    addresses: Annotated[tuple[IPvAnyAddress, ...], Field(min_length=1)]


class EipSpec(Part):
    """A public address."""

    address: IPvAnyAddress
    status: str = "InUse"
    bound_to: str = ""


class RouteSpec(Part):
    """An entry of a route table."""

    destination: IPvAnyNetwork
    next_hop: Text
    vswitch_id: Text | None = None


class NetworkSpec(Part):
    """A VPC, or whatever network a resource group is in."""

    vpc_id: Text
    region_id: Text | None = None
    vswitches: tuple[VSwitchSpec, ...] = ()
    nat_gateways: tuple[NatGatewaySpec, ...] = ()
    snat_entries: tuple[SnatEntrySpec, ...] = ()
    eips: tuple[EipSpec, ...] = ()
    #: Unset: not known.
    routes: tuple[RouteSpec, ...] | None = None


class Inventory(Part):
    """The whole file."""

    version: Literal[1]
    accounts: tuple[AccountSpec, ...] = ()
    instances: tuple[InstanceSpec, ...] = ()
    networks: tuple[NetworkSpec, ...] = ()

    @cached_property
    def by_id(self) -> Mapping[str, Sequence[InstanceSpec]]:
        """Id -> the instances of that id, of all regions and accounts."""
        found: dict[str, list[InstanceSpec]] = {}
        for one in self.instances:
            found.setdefault(one.instance_id, []).append(one)
        return found

    def account(self, name: str) -> AccountSpec | None:
        """The account of this id."""
        return next((one for one in self.accounts if one.id == name), None)

    def network(self, vpc_id: str, region_id: str | None) -> NetworkSpec | None:
        """The network of this id; one without a region is in all of them."""
        return next((one for one in self.networks if one.vpc_id == vpc_id and one.region_id in (None, region_id)), None)


def path() -> Path:
    """Where the inventory is, or would be."""
    return Path(os.environ.get(_VARIABLE) or home.home() / "inventory.yaml").expanduser()


def stated() -> bool:
    """Whether HEADWATER_INVENTORY names a file: it then has to be there."""
    return bool(os.environ.get(_VARIABLE))


def load() -> Inventory | None:
    """The inventory as the file stands now; None when there is none and none was named.

    Raises:
        InvalidInputs: What is wrong with it: everything, each with line and column.
    """
    file = path()
    try:
        found = file.stat()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not stated():
            return None
        instruction = f"correct HEADWATER_INVENTORY, or put the inventory at {file}"
        raise InvalidInput(
            f"the inventory cannot be read: {error.strerror}", where=str(file), instruction=instruction
        ) from None
    return _read(str(file), found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=2)
def _read(name: str, _changed_ns: int, _size: int) -> Inventory:
    ((_, text),) = texts.read_all(name)
    return parse(name, text)


def parse(name: str, text: str) -> Inventory:
    """Read the text of an inventory.

    Args:
        name: Of the file; one that ends in ``.json`` is read as JSON.

    Raises:
        InvalidInputs: Everything that is wrong, each with line and column.
    """
    parsed = texts.parse(name, text)
    if not isinstance(parsed.data, dict):
        raise InvalidInput(
            "no mapping with version and instances", where=f"{name}:1:1", instruction="begin with: version: 1"
        )
    problems = list(parsed.problems)
    try:
        found = Inventory.model_validate(parsed.data)
    except ValidationError as error:
        problems += [_told(parsed, fault) for fault in _innermost(error.errors(include_url=False))]
    else:
        problems += _disagreements(parsed, found)
    if problems:
        raise InvalidInputs(problems)
    return found


def _innermost(faults: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without those of a whole that only repeat the faults of its parts: a list of faulty items counts as empty."""
    places = [fault["loc"] for fault in faults]
    return [
        fault
        for fault in faults
        if fault["type"] != "too_short"
        or not any(len(place) > len(fault["loc"]) and place[: len(fault["loc"])] == fault["loc"] for place in places)
    ]


def _told(parsed: texts.Parsed, fault: ErrorDetails) -> InvalidInput:
    where = [step for step in fault["loc"] if isinstance(step, int) or step in _FIELDS or step == fault["loc"][-1]]
    reason = str(fault["msg"]).removeprefix("Value error, ")
    reason, advice = reason[:1].lower() + reason[1:], ""
    if fault["type"] == "extra_forbidden":
        known = _known(where[:-1])
        near = nearest(str(where[-1]), known)
        reason, advice = "unknown field", f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    elif fault["type"] == "missing":
        reason, advice = "missing", f"add {where[-1]} here"
    return _problem(parsed, where, reason, advice)


def _problem(parsed: texts.Parsed, where: Sequence[str | int], reason: str, advice: str) -> InvalidInput:
    dotted = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).removeprefix(".")
    return InvalidInput(reason, where=f"{parsed.locate(where)}: {dotted}", instruction=advice)


def _disagreements(parsed: texts.Parsed, found: Inventory) -> list[InvalidInput]:
    """What no single field can tell: ids that stand twice, accounts and gateways that are not there."""
    problems: list[InvalidInput] = []
    seen: dict[tuple[str, ...], int] = {}
    for index, one in enumerate(found.instances):
        key = (one.region_id, one.instance_id, one.account or "")
        if key in seen:
            reason = f"{one.instance_id} in {one.region_id} stands twice, first as instances[{seen[key]}]"
            problems.append(_problem(parsed, ("instances", index), reason, "keep one of the two"))
        seen.setdefault(key, index)
        if one.account is not None and found.account(one.account) is None:
            advice = f"add it to accounts: {{id: {one.account!r}, roles: [...]}}"
            problems.append(_problem(parsed, ("instances", index, "account"), "no such account", advice))
    for index, network in enumerate(found.networks):
        gateways = [gateway.id for gateway in network.nat_gateways]
        for number, entry in enumerate(network.snat_entries):
            if entry.nat_gateway not in gateways:
                place = ("networks", index, "snat_entries", number, "nat_gateway")
                advice = f"known: {', '.join(gateways) or 'none; add it to nat_gateways'}"
                problems.append(_problem(parsed, place, f"no NAT gateway {entry.nat_gateway!r} here", advice))
    return problems


#: Path of keys -> model, for naming the fields that are known there.
_MODELS: dict[tuple[str, ...], type[Part]] = {
    (): Inventory,
    ("accounts",): AccountSpec,
    ("instances",): InstanceSpec,
    ("instances", "endpoints"): EndpointSpec,
    ("instances", "tls"): TlsSpec,
    ("networks",): NetworkSpec,
    ("networks", "vswitches"): VSwitchSpec,
    ("networks", "nat_gateways"): NatGatewaySpec,
    ("networks", "snat_entries"): SnatEntrySpec,
    ("networks", "eips"): EipSpec,
    ("networks", "routes"): RouteSpec,
}
_FIELDS = frozenset(name for model in _MODELS.values() for name in model.model_fields)


def _known(where: Sequence[str | int]) -> list[str]:
    model = _MODELS.get(tuple(step for step in where if isinstance(step, str)))
    return list(model.model_fields) if model else []
