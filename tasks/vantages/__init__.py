"""Vantages: where a check is made from. One file a kind of resource group, found by its name.

A vantage answers five questions: resolve this name; is there a route; connect to this address; what is my source
address; what is my way out. Every kind gives the same evidence, and nothing above knows which one it has.
"""

from __future__ import annotations

import importlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from registry.errors import InvalidInput
from tasks.budget import Budget
from tasks.streams import Stream


@dataclass(frozen=True)
class Resolution:
    """What a name resolves to here. No addresses means that it does not, and `evidence` tells why."""

    addresses: tuple[str, ...]
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """Whether this vantage has a way to an address, from its own routing table; nothing is sent.

    `error` is the errno name of the kernel's own refusal (``ENETUNREACH``, ``EHOSTUNREACH``, ``EACCES``, ``EINVAL``).
    """

    source_address: str | None = None
    error: str | None = None


class ConnectFailed(Exception):
    """No connection. `evidence` holds ``errno`` (name), ``silent`` and, where the network said something, the ICMP
    ``icmp_type``, ``icmp_code`` and ``icmp_from``."""

    def __init__(self, **evidence: Any) -> None:
        super().__init__()
        self.evidence = evidence


class Vantage(Protocol):
    """A place from which tasks run."""

    name: str
    kind: str

    async def resolve(self, host: str, budget: Budget) -> Resolution:
        """Look a name up as programs at this place do."""
        ...

    async def route(self, address: str) -> Route:
        """Ask the routing table."""
        ...

    async def connect(self, address: str, port: int, budget: Budget, *, conversation: Budget) -> Stream:
        """Open a byte stream to an address, or to a Unix socket if it starts with ``/``.

        Args:
            budget: Time for connecting.
            conversation: Time for everything said on the stream afterwards.

        Raises:
            ConnectFailed: With the network's own answer as evidence.
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


def open_vantage(kind: str, name: str, settings: Mapping[str, Any]) -> Vantage:
    """The vantage of a resource group.

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
            instruction="use a group of kind local",
        ) from None
    vantage: Vantage = module.open_vantage(name, settings)
    return vantage


def is_public(address: str) -> bool:
    """Whether the Internet routes this address; a Unix socket's path is none of its."""
    return not address.startswith("/") and ipaddress.ip_address(address.partition("%")[0]).is_global
