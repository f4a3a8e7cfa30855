"""Clouds: what an instance id stands for, and how the network around it is built. One file a cloud, found by its name.

A cloud answers two questions: what is this instance, and what is in this VPC. Its answers are facts; what follows from
them is decided in `tasks.instances` and `tasks.networks.audit`. Alibaba Cloud's words are used for all: a subnet is a
vSwitch, an elastic IP address an EIP, a route through a NAT gateway an SNAT entry.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from tasks.budget import Budget
from tasks.evidence import StageFailed


@dataclass(frozen=True)
class Wanted:
    """The instance that a connection names.

    Attributes:
        type: Name of the data source type, which tells the cloud's product.
        account: Id of the account that owns the instance, None for our own; `role` of it may describe the instance.
    """

    type: str
    region: str
    instance: str
    account: str | None = None
    role: str | None = None


@dataclass(frozen=True)
class Place:
    """One endpoint of an instance.

    Attributes:
        name: The endpoint's own id, where it has one.
        public: Whether the Internet is the way to it.
        read_only: Whether it answers for replicas.
    """

    host: str
    port: int
    public: bool = False
    read_only: bool = False
    name: str = ""
    vpc_id: str | None = None
    vswitch_id: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port} ({'public' if self.public else 'internal'})"


@dataclass(frozen=True)
class Tls:
    """What a cloud says of the TLS of an instance; None where it does not say.

    Attributes:
        expires: When the server's certificate ends, RFC 3339.
    """

    enabled: bool | None = None
    forced: bool | None = None
    expires: str | None = None


@dataclass(frozen=True)
class Instance:
    """A managed instance, as its cloud describes it.

    Attributes:
        status: The cloud's own word.
        running: Whether it can be connected to; transitional states in which it usually can count as running.
        vswitch_cidrs: Those of the VPC that it is in.
        allowlist: Addresses, CIDRs and ranges that may come in; None when that is not known.
        security_groups: Groups of machines that may come in beside.
        allowlist_whole: Whether the allowlist is all there is: no groups, no entries that cannot be read.
        untold: What the cloud did not tell, each with its error code: ``allowlist (Forbidden.RAM)``.
    """

    id: str
    region: str
    status: str
    running: bool
    endpoints: tuple[Place, ...]
    vpc_id: str | None = None
    vswitch_cidrs: tuple[str, ...] = ()
    allowlist: tuple[str, ...] | None = None
    security_groups: tuple[str, ...] = ()
    allowlist_whole: bool = True
    tls: Tls = field(default_factory=Tls)
    untold: tuple[str, ...] = ()


@dataclass(frozen=True)
class VSwitch:
    """A part of a VPC, with its addresses."""

    id: str
    cidr: str


@dataclass(frozen=True)
class NatGateway:
    """A NAT gateway; `internet` tells one that leads out from one between private networks."""

    id: str
    status: str
    available: bool
    internet: bool


@dataclass(frozen=True)
class SnatEntry:
    """A rule by which a NAT gateway lets a vSwitch, or a range of addresses, come from its own addresses."""

    id: str
    gateway: str
    status: str
    available: bool
    addresses: tuple[str, ...]
    vswitch_id: str | None = None
    source_cidr: str | None = None


@dataclass(frozen=True)
class Eip:
    """A public address, and what it is bound to."""

    address: str
    status: str
    in_use: bool
    bound_to: str = ""


@dataclass(frozen=True)
class Route:
    """An entry of a route table; `vswitch_id` None for one that holds in the whole VPC."""

    destination: str
    next_hop: str
    vswitch_id: str | None = None


@dataclass(frozen=True)
class Vpc:
    """The network of a resource group; `routes` None where they are not known."""

    id: str
    region: str
    vswitches: tuple[VSwitch, ...] = ()
    nat_gateways: tuple[NatGateway, ...] = ()
    snat_entries: tuple[SnatEntry, ...] = ()
    eips: tuple[Eip, ...] = ()
    routes: tuple[Route, ...] | None = None


class Refused(StageFailed):
    """The cloud gave no answer, or one that says why not.

    `evidence` holds ``cloud_answer`` (a word of `ANSWERS`) and, where there was one, ``cloud_error`` (the code),
    ``cloud_action`` (what was asked) and ``cloud_api`` (the host that was asked). Never a text: it may repeat what was
    sent.
    """

    def __init__(self, answer: str, **evidence: Any) -> None:
        super().__init__(cloud_answer=answer, **{key: value for key, value in evidence.items() if value is not None})
        self.answer = answer


#: What a refusal can be: no such instance, not for this role, not with these credentials, none of them, no answer in
#: time, no connection to the API, an error of the cloud's own.
ANSWERS = ("not_found", "denied", "bad_credentials", "no_credentials", "silent", "unreachable", "failing")


class Cloud(Protocol):
    """One cloud."""

    name: str

    def configured(self) -> bool:
        """Whether there is something to ask it with; nothing is sent."""
        ...

    async def instance(self, wanted: Wanted, budget: Budget) -> Instance:
        """Describe an instance.

        Raises:
            Refused: Why not.
            StageFailed: ``missing_module`` and ``extra``: its SDK is not installed; ``unsupported_type``: it is not
                known how instances of this type are asked for.
        """
        ...

    async def vpc(self, region: str, vpc_id: str, budget: Budget) -> Vpc | None:
        """What is in a VPC of our own account; None when it is not there. Raises as `instance`."""
        ...


@cache
def names() -> Sequence[str]:
    """Every cloud."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__))


def open_cloud(name: str) -> Cloud:
    """The cloud of this name; nothing is connected yet, and no SDK imported.

    Raises:
        KeyError: No such cloud.
    """
    if name not in names():
        raise KeyError(name)
    cloud: Cloud = importlib.import_module(f"{__name__}.{name}").open_cloud()
    return cloud
