"""The server lets others in, and this place not."""

from __future__ import annotations

from collections.abc import Sequence

from registry.verdict import INCONCLUSIVE
from tasks.perspectives import Insight, Rule
from tasks.perspectives.view import View, names

#: Where the value of such a reference lies is up to the place that resolves it.
_RESOLVED_THERE = (" from env:", " from file:")
_CUT_OFF = ("PEER.RESET_EARLY", "PEER.MUTE")


def not_admitted_here(view: View, others: Sequence[View]) -> Insight | None:
    """The server refuses this client address and admits others: one entry is missing."""
    admitted = [other for other in others if other.place == view.place and other.beyond("tls") and _logged_in(other)]
    if view.verdict.cause != "ADMIT.ALLOWLIST" or not admitted:
        return None
    told = view.verdict.remedy
    return Insight(
        also=f"it admits {names(admitted)}",
        remedy=told if view.entries in told else f"Let the server admit {view.entries} for {view.group}: {told}",
        decided_by=admitted,
    )


def refused_everywhere(view: View, others: Sequence[View]) -> Insight | None:
    """The server admits nobody that asked."""
    same = [other for other in others if other.place == view.place and other.verdict.cause == "ADMIT.ALLOWLIST"]
    tried = [other for other in others if other.place == view.place]
    if view.verdict.cause != "ADMIT.ALLOWLIST" or not same or len(same) < len(tried):
        return None
    return Insight(also=f"nor does it admit {names(same)}", decided_by=same)


def same_credentials_elsewhere(view: View, others: Sequence[View]) -> Insight | None:
    """The same credentials log in from elsewhere: the server tells clients apart by their address."""
    logged_in = [other for other in others if other.place == view.place and _logged_in(other)]
    if view.verdict.cause != "AUTH.BAD_CREDENTIALS" or not logged_in:
        return None
    references = view.seen("credentials").get("references") or []
    doubtful = not references or any(kind in reference for reference in references for kind in _RESOLVED_THERE)
    address, port = view.place
    told = f"{address}:{port} accepts the credentials from {names(logged_in)} and refuses them from {view.group}"
    remedy = (
        f"Let the DBA look at the hosts for which the account is made (MySQL: user@host; PostgreSQL: pg_hba.conf): it "
        f"must cover {view.entries}"
    )
    if doubtful:
        return Insight(
            INCONCLUSIVE,
            alternatives=("ADMIT.ALLOWLIST", "AUTH.BAD_CREDENTIALS"),
            message=f"{told}: the server treats that address otherwise, or {view.group} resolves the secret to "
            "another value.",
            remedy=f"Compare the secret in {view.group} with the one in {names(logged_in)}. {remedy}.",
            decided_by=logged_in,
        )
    return Insight(
        "ADMIT.ALLOWLIST",
        component=view.source_address or view.group,
        message=f"{told} ({view.source_address}): the account is not for clients from there.",
        remedy=f"{remedy}.",
        decided_by=logged_in,
    )


def cut_off_here(view: View, others: Sequence[View]) -> Insight | None:
    """The peer hangs up on this place, or keeps silent, and converses with others."""
    conversed = [other for other in others if other.place == view.place and _logged_in(other)]
    if view.verdict.cause not in _CUT_OFF or not conversed:
        return None
    return Insight(
        also=f"with {names(conversed)} it converses, so the server lives: {view.group} is treated otherwise, or some "
        "connections fail whoever asks",
        remedy=f"Test again: if it fails from other places by turns, look for a dead server behind a balancer at "
        f"{view.address}; else see whether an allowlist or a middle box there covers {view.entries}, and look at the "
        f"network between {view.group} and it.",
        decided_by=conversed,
    )


def _logged_in(view: View) -> bool:
    return view.verdict.connectable or view.passed("login")


RULES = (
    Rule("same credentials elsewhere", same_credentials_elsewhere, 40),
    Rule("not admitted here only", not_admitted_here, remark=True),
    Rule("admitted nowhere", refused_everywhere, remark=True),
    Rule("cut off here only", cut_off_here, remark=True),
)
