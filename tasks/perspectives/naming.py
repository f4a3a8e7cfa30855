"""The name means something else here than where it works, or nothing."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from registry.verdict import Warning
from tasks.perspectives import Insight, Rule
from tasks.perspectives.view import View, agreeing, names

#: What a server says of itself and of this client is true whatever the name leads to elsewhere.
_OWN_WORDS = ("ADMIT.", "CAPACITY.", "SERVER.", "CONFIG.", "PRIV.", "INSTANCE.", "TLS.CLIENT_CERT", "TLS.EXPIRED")


def another_address(view: View, others: Sequence[View]) -> Insight | None:
    """The name leads to other addresses than where the data source works, and fails here."""
    cause = view.verdict.cause or ""
    if not view.addresses or view.verdict.connectable or cause.startswith(_OWN_WORDS):
        return None
    working = [
        other
        for other in others
        if other.verdict.connectable
        and other.name == view.name
        and other.address not in view.addresses
        and not _same_server(view, other)
    ]
    if not working or any(other.verdict.connectable and other.address in view.addresses for other in others):
        return None
    right = sorted({other.address for other in working})
    here = ", ".join(sorted(view.addresses))
    stale = view.seen("resolve").get("from") == "hosts"
    told = ", by a host binding (/etc/hosts)," if stale else ""
    return Insight(
        "DNS.SPLIT_VIEW",
        component=view.name,
        message=f"{view.name} stands for {here} in {view.group}{told} and fails there ({cause}); in {names(working)}, "
        f"where it works, it stands for {', '.join(right)}.",
        remedy=_correct(view, right, stale=stale),
        decided_by=working,
        evidence={"addresses_here": sorted(view.addresses), "addresses_where_it_works": right},
    )


def _same_server(view: View, other: View) -> bool:
    """Whether two addresses lead to one server: it shows the same certificate, or the same host key, at both."""
    shown = (("tls", "fingerprint_sha256"), ("greet", "shown_fingerprint"))
    return any(
        view.seen(stage).get(key) is not None and view.seen(stage).get(key) == other.seen(stage).get(key)
        for stage, key in shown
    )


def unknown_here(view: View, others: Sequence[View]) -> Insight | None:
    """The name servers of this place know nothing of a name that leads others to the data source."""
    if view.fails_in("resolve").get("rcode") not in ("NXDOMAIN", "NOERROR"):
        return None
    name = str(view.fails_in("resolve").get("name") or "")
    knowing = [other for other in others if other.name == name and other.conversed]
    if not knowing:
        return None
    right = sorted({other.address for other in knowing})
    servers = ", ".join(view.fails_in("resolve").get("nameservers") or ("none",))
    return Insight(
        "DNS.SPLIT_VIEW",
        component=name,
        message=f"The name servers of {view.group} ({servers}) have no address for {name}; in {names(knowing)} it "
        f"stands for {', '.join(right)}.",
        remedy=_correct(view, right, stale=False),
        decided_by=knowing,
        evidence={"addresses_where_it_works": right},
    )


def resolver_here(view: View, others: Sequence[View]) -> Insight | None:
    """The name servers of this place fail; those of another know the name."""
    if "DNS.SERVER_FAILURE" not in _codes(view) and "DNS.RESOLVER_DOWN" not in _codes(view):
        return None
    name = view.fails_in("resolve").get("name")
    knowing = [other for other in others if other.addresses and other.name == name]
    if not knowing:
        return None
    servers = sorted({server for other in knowing for server in other.seen("resolve").get("nameservers") or ()})
    by = f" by {', '.join(servers)}" if servers else ""
    return Insight(
        also=f"{agreeing(knowing, 'resolves', 'resolve')} it{by}, so the name itself is in order", decided_by=knowing
    )


def unknown_everywhere(view: View, others: Sequence[View]) -> Insight | None:
    """Nobody knows the name."""
    if view.verdict.cause != "DNS.NXDOMAIN":
        return None
    same = [other for other in others if other.fails_in("resolve").get("rcode") == "NXDOMAIN"]
    if not same or any(other.addresses for other in others):
        return None
    return Insight(also=f"nor does it for {names(same)}", decided_by=same)


def other_name_servers(view: View, _others: Sequence[View]) -> Insight | None:
    """The place asks other name servers than those declared for it."""
    declared = {str(server) for server in view.network.dns_servers or ()}
    asked = view.seen("resolve").get("nameservers") or []
    forwarder = all(ipaddress.ip_address(server).is_loopback for server in asked)  # whom it asks is not known
    if view.network.dns_servers is None or forwarder or declared & set(asked):
        return None
    evidence = {"declared_dns_servers": sorted(declared)}
    told = f"{view.group} asks {', '.join(asked)}, and {', '.join(sorted(declared)) or 'none'} is declared for it"
    if view.failed is not None and (view.verdict.cause or "").startswith("DNS."):
        return Insight(also=told, evidence=evidence)
    warning = Warning(code="GROUP.NETWORK_DIFFERS", message=f"{told}: one of both is outdated")
    return Insight(stage="resolve", evidence=evidence, warnings=(warning,))


def completed_name(view: View, _others: Sequence[View]) -> Insight | None:
    """The search list has made another name of the configured one."""
    completed = view.seen("resolve").get("completed_to")
    if view.verdict.connectable or not completed:
        return None
    by_itself = view.seen("resolve").get("addresses_by_itself")
    told = f"the search list of {view.group} has completed {view.name} to {completed}"
    if by_itself:
        told += f", while {view.name} by itself stands for {', '.join(by_itself)}"
    return Insight(also=f"{told}; write {view.name}. with a dot at its end to have it taken as it is")


def _codes(view: View) -> tuple[str, ...]:
    return (view.verdict.cause or "", *view.verdict.alternatives)


def _correct(view: View, right: Sequence[str], *, stale: bool) -> str:
    name, addresses = view.name or view.fails_in("resolve").get("name"), ", ".join(right)
    if view.network.type == "serverless":
        vpc = view.network.vpc_id or f"the VPC of {view.group}"
        return f"Set the record of {name} in the PrivateZone of {vpc} to {addresses}."
    if view.network.type == "exclusive":
        return f"Set the host binding of {name} in {view.group} to {addresses}."
    if view.network.type == "shared":
        return f"Use the public name or address of {name}: a shared resource group knows no private names."
    if stale:
        return f"Correct {name} to {addresses} in /etc/hosts of {view.group}, or take the line out."
    return f"Let the name servers of {view.group} answer {addresses} for {name}, or bind it in its /etc/hosts."


RULES = (
    Rule("another address here", another_address, 10),
    Rule("name unknown here only", unknown_here, 11),
    Rule("resolver fails here only", resolver_here, remark=True),
    Rule("name unknown everywhere", unknown_everywhere, remark=True),
    Rule("name completed", completed_name, 59, remark=True),
    Rule("other name servers than declared", other_name_servers, 60, remark=True),
)
