"""Vantages: where a check is made from. One file a kind of resource group, found by its name.

A vantage answers five questions: resolve this name; is there a route; connect to this address; what is my source
address; what is my way out. Every kind gives the same evidence, and nothing above knows which one it has.
"""

from __future__ import annotations

import importlib
import ipaddress
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from registry.errors import InvalidInput
from registry.verdict import Verdict
from tasks.budget import Budget
from tasks.evidence import StageFailed
from tasks.streams import Stream

if TYPE_CHECKING:
    from tasks.target import Target


@dataclass(frozen=True)
class Resolution:
    """What a name resolves to here. No addresses means that it does not, and `evidence` tells why."""

    addresses: tuple[str, ...]
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """Whether this vantage has a way to an address, from its own routing table; nothing is sent.

    `error` is the errno name of the kernel's own refusal (``ENETUNREACH``, ``EHOSTUNREACH``, ``EACCES``, ``EINVAL``);
    `broadcast`: the address is nobody's, but that of everybody in a network which is attached here.
    """

    source_address: str | None = None
    error: str | None = None
    broadcast: bool = False


class ConnectFailed(Exception):
    """No connection. `evidence` holds ``errno`` (name), ``silent`` and, where the network said something, the ICMP
    ``icmp_type``, ``icmp_code`` and ``icmp_from``."""

    def __init__(self, **evidence: Any) -> None:
        super().__init__()
        self.evidence = evidence


class VantageFailed(StageFailed):
    """The place itself cannot be used: nothing is known about the data source. May come from every question.

    `evidence` tells why, under keys that rules of the causes `TUNNEL.*` and `PROBE.AGENT_DOWN` read.
    """


class Vantage(Protocol):
    """A place from which checks are made. What cannot be asked there is answered with None or with nothing."""

    name: str
    kind: str

    async def resolve(self, host: str, budget: Budget) -> Resolution:
        """Look a name up as programs at this place do."""
        ...

    async def route(self, address: str) -> Route:
        """Ask the routing table."""
        ...

    async def connect(
        self, address: str, port: int, budget: Budget, *, conversation: Budget, largest_segment: int | None = None
    ) -> Stream:
        """Open a byte stream to an address, or to a Unix socket if it starts with ``/``.

        Args:
            budget: Time for connecting.
            conversation: Time for everything said on the stream afterwards.
            largest_segment: Bytes that one packet may carry in either direction (TCP's MSS).

        Raises:
            ConnectFailed: With the network's own answer as evidence; ``unsupported`` where segments cannot be limited.
        """
        ...

    async def exchange(self, address: str, port: int, datagram: bytes, budget: Budget) -> bytes | None:
        """Send one UDP datagram and wait for one in return; None where that cannot be asked.

        Raises:
            ConnectFailed: Nobody answered.
        """
        ...

    async def neighbour(self, address: str) -> Mapping[str, Any]:
        """The next hop: ``gateway`` (None on our own segment), ``device``, ``neighbour`` (its state in the kernel)."""
        ...

    async def answers_ping(self, address: str, budget: Budget) -> bool | None:
        """Whether the host answers an ICMP echo; None where that cannot be asked."""
        ...

    async def way_out(self) -> Mapping[str, Any]:
        """The default routes of this place: ``ipv4`` and ``ipv6``, true or false."""
        ...

    async def close(self) -> None:
        """Let go of whatever is held open. Never raises."""
        ...


@runtime_checkable
class Outpost(Protocol):
    """A place that makes whole checks by itself and reports their verdicts."""

    name: str
    kind: str

    def check_all(self, targets: Sequence[Target], *, timeout: float) -> AsyncIterator[Verdict]:
        """Have targets checked there; a verdict for each, as they come.

        Args:
            timeout: Seconds for each check. A place that takes no work says so within this time.
        """
        ...

    async def close(self) -> None:
        """Let go of whatever is held open. Never raises."""
        ...


def open_vantage(
    kind: str, name: str, settings: Mapping[str, Any], *, public_key: str | None = None
) -> Vantage | Outpost:
    """The vantage or outpost of a resource group. Nothing is connected yet.

    Args:
        settings: Those of `registry.groups.KINDS`; secrets are references.
        public_key: What boxes for this group are sealed to.

    Raises:
        InvalidInput: No such kind of resource group.
    """
    try:
        module = importlib.import_module(f"{__name__}.{kind}")
    except ModuleNotFoundError as missing:
        if missing.name != f"{__name__}.{kind}":
            raise
        raise InvalidInput(
            f"resource group {name!r} is of kind {kind!r}, which this version cannot test from",
            where=f"resource_groups/{name}.kind",
            instruction="use a group of kind local, ssh or worker",
        ) from None
    place: Vantage | Outpost = module.open_vantage(name, settings, public_key=public_key)
    return place


def is_public(address: str) -> bool:
    """Whether the Internet routes this address; a Unix socket's path is none of its."""
    return not address.startswith("/") and ipaddress.ip_address(address.partition("%")[0]).is_global
