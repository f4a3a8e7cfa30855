"""Where a server sees a resource group come from: declared against observed, and held against the server's allowlist.

Pure functions over what is declared (`registry.network`) and what was noted in the stages of a check.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from registry.allowlists import Allowlist, among, host, parse
from registry.network import Network
from registry.verdict import Stage, Status, Warning
from tasks.vantages import is_public


class Standing(StrEnum):
    """What a declared allowlist says of a group."""

    CONTAINS = "contains"
    LACKS = "lacks"
    UNSURE = "unsure"


#: The stages in which an allowlist may turn a client away.
_STAGES = frozenset({"connect", "greet", "tls", "admit", "login"})
#: Those whose refusal may name the client's address as the server sees it.
_TELLING = ("admit", "login")


def noted(stages: Sequence[Stage], declared: Sequence[str], network: Network, address: str) -> dict[str, Any]:
    """What to note beside a failed stage: how the server's allowlist, where it is known, stands to this group.

    Args:
        stages: Those of one address, the failed one last.
        declared: The entries of the list; empty when it is not known.
        address: The server's.
    """
    failed = stages[-1]
    if failed.name not in _STAGES or not declared or address.startswith("/"):
        return {}
    told = failed.evidence.get("source_address") if failed.name in _TELLING else None
    source = told or observed(stages)
    standing = stand(parse(declared), network, address, source, told=told is not None)
    return {"allowlist_standing": str(standing), "allowlist": list(declared)}


def contradicted(
    stages: Sequence[Stage], declared: Sequence[str], network: Network, address: str
) -> dict[str, list[str] | str]:
    """What to note beside a login that went well: what the server let in although its list, as known, does not."""
    told = next((one for stage in stages if (one := _seen_by_server(stage)) is not None), None)
    told = None if told == numeric(address) else told  # a server behind a proxy sees the proxy
    source = told or observed(stages)
    if not declared or address.startswith("/") or source is None or host(source).is_loopback:
        return {}
    if stand(parse(declared), network, address, source, told=told is not None) is not Standing.LACKS:
        return {}
    missing = entry(network, is_public(address), source, told=told is not None)
    return {"let_in_unlisted": missing, "listed": list(declared)}


def observed(stages: Iterable[Stage]) -> str | None:
    """Our own address on the way to the server."""
    return next((stage.evidence["source_address"] for stage in stages if "source_address" in stage.evidence), None)


def stand(allowlist: Allowlist, network: Network, address: str, source: str | None, *, told: bool) -> Standing:
    """Whether a list lets in what a group comes from.

    Args:
        source: The group's address: as the server names it when `told`, else its own, which a NAT may still change.
    """
    public = is_public(address)
    wanted: tuple[Any, ...] = _declared(network, address, public)
    if source is not None and (told or _as_seen(source, wanted, public)):
        wanted = (host(source),)
    elif source is not None and not public:
        wanted = (*wanted, host(source))
    if wanted and all(map(allowlist.covers, wanted)):
        return Standing.CONTAINS
    return Standing.LACKS if wanted and not any(map(allowlist.touches, wanted)) else Standing.UNSURE


def _as_seen(source: str, declared: Sequence[Any], public: bool) -> bool:
    """Whether the server sees our own address: nothing on the way is known to change it."""
    if ipaddress.ip_address(source.partition("%")[0]).is_loopback or among(source, declared):
        return True
    return not declared and (not public or is_public(source))


def _declared(network: Network, address: str, public: bool) -> tuple[Any, ...]:
    """The declared entries of the family of an address: a server sees no others."""
    family = 6 if ":" in address else 4
    return tuple(one for one in network.allowlist_entries(public) if one.version == family)


#: What a refusal by the server itself means beside the list that was declared.
REMARKS: Mapping[str, str] = {
    Standing.CONTAINS: " The declared allowlist lets it in: the list on the server is another one.",
    Standing.LACKS: " The declared allowlist leaves it out as well.",
}


def words(network: Network, address: str, source: str | None, failed: Stage) -> dict[str, str]:
    """For the texts of a diagnosis: the exact entry to add (`source_cidr`) and what it is (`entry_kind`).

    Args:
        address: The server's; a name where none is known.
        source: The group's address as far as it was observed.
    """
    told = failed.evidence.get("source_address") if failed.name in _TELLING else None
    try:
        public = is_public(address)
    except ValueError:
        public = False
    on_socket = address.startswith("/")
    return {
        "source_cidr": "this machine" if on_socket else entry(network, public, told or source, told=told is not None),
        "entry_kind": network.entry_kind(public),
    }


def entry(network: Network, public: bool, source: str | None, *, told: bool) -> str:
    """What to add to an allowlist, exactly: the declared entry that holds the source address, else the address itself.

    Args:
        public: Whether the server's address is.
        source: As in `stand`.
    """
    declared = _declared(network, source, public) if source else network.allowlist_entries(public)
    holder = among(source, declared) if source else None
    if holder is not None:
        return str(holder)
    if source and (told or _as_seen(source, declared, public)):
        return str(host(source))
    if declared:
        return ", ".join(map(str, declared))
    if public:
        return "the public address that this resource group comes from"
    return str(host(source)) if source else "the address of this resource group"


def differences(network: Network, address: str, stages: Iterable[Stage]) -> list[Warning]:
    """What a server says of our address against what is declared of the group."""
    found = next((one for stage in stages if (one := _seen_by_server(stage)) is not None), None)
    if found is not None and found == numeric(address):
        return []  # a server behind a proxy sees the proxy: it tells nothing of us
    if found is None or address.startswith("/") or ipaddress.ip_address(found).is_loopback:
        return []
    public = is_public(address)
    declared = _declared(network, address, public)
    if public and network.has_no_nat:
        told = f"the server sees this group come from {found}, and it is declared to have no public address"
        return [Warning(code="GROUP.NETWORK_DIFFERS", message=told)]
    if not declared or among(found, declared):
        return []
    said = ", ".join(map(str, declared))
    told = f"the server sees this group come from {found}; declared is {network.entry_kind(public)}: {said}"
    return [Warning(code="GROUP.NETWORK_DIFFERS", message=told)]


def _seen_by_server(stage: Stage) -> str | None:
    refused = stage.status is Status.FAILED and stage.name in _TELLING
    return numeric(stage.evidence.get("source_address" if refused else "source_address_seen_by_server"))


def numeric(text: object) -> str | None:
    """The address that a text is, strictly; None for anything else: a server may answer with a name."""
    try:
        return str(host(str(text)).network_address) if text else None
    except ValueError:
        return None


def too_wide(evidence: Mapping[str, Any]) -> str | None:
    """Whether a list that was noted lets in more than any list of clients needs."""
    try:
        found = parse(evidence.get("allowlist") or ()).too_wide()
    except ValueError:
        return None
    if found is None:
        return None
    return (
        f"the allowlist lets in {found}: keep what the resource groups need (headwater allowlist) and take the rest out"
    )
