"""The server lets others in, and this place not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from registry.verdict import INCONCLUSIVE
from tasks.perspectives import Insight, Rule
from tasks.perspectives.view import View, agreeing, names

#: Stages of a conversation that was given less than so many times as long as another place needed are no refusal.
_PATIENCE = 2.0
#: Where the value of such a reference lies is up to the place that resolves it.
_RESOLVED_THERE = (" from env:", " from file:")
#: Protocol -> what the DBA is to do, and how its servers tell clients apart by their addresses.
_BY_ADDRESS = {
    "mysql": (
        "Let the DBA list the accounts of that name (SELECT user, host, plugin FROM mysql.user): of those that match "
        "{source} the one with the most specific host counts, and it must have the same password and plugin",
        "another account user@host of the same name, with another password or method of login, counts for clients from "
        "there",
    ),
    "postgresql": (
        "Let the DBA look at pg_hba.conf: the first line that fits {source} counts, and it must have the method of "
        "those for other addresses",
        "another line of pg_hba.conf, with another method of login, counts for clients from there",
    ),
    "": (
        "Let the DBA look for which client addresses the account is made: they must cover {source}",
        "the account is not for clients from there, or has another password for them",
    ),
}
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
    doubtful = any(_resolved_there(one) for one in (view, *logged_in))
    address, port = view.place
    told = f"{address}:{port} accepts the credentials from {names(logged_in)} and refuses them from {view.group}"
    remedy, why = (
        text.format(source=view.entries)
        for text in _BY_ADDRESS.get(str(view.seen("config").get("protocol")), _BY_ADDRESS[""])
    )
    if doubtful:
        return Insight(
            INCONCLUSIVE,
            alternatives=("ADMIT.ALLOWLIST", "AUTH.BAD_CREDENTIALS"),
            message=f"{told}: {why}; or the two places resolve the secret to different values.",
            remedy=f"Compare the secret in {view.group} with the one in {names(logged_in)}. {remedy}.",
            decided_by=logged_in,
        )
    return Insight(
        "ADMIT.ALLOWLIST",
        component=view.source_address or view.group,
        message=f"{told} ({view.source_address}), the same in both: {why}.",
        remedy=f"{remedy}.",
        decided_by=logged_in,
    )


def waited_too_short(view: View, others: Sequence[View]) -> Insight | None:
    """The peer keeps others waiting as long as this place waited, and then speaks to them: our time was too short."""
    failed = view.failed
    if failed is None or "PEER.MUTE" not in (view.verdict.cause, *view.verdict.alternatives):
        return None
    waited, needed = float(failed.evidence.get("silent_ms") or 0), _needed_ms(view, others)
    slow = [other for other in others if waited < _PATIENCE * needed.get(other.group, 0.0)]
    if not (waited and slow):
        return None
    longest = max(needed[other.group] for other in slow)
    seconds = max(10, math.ceil(4 * longest / 1000))
    address, port = view.place
    return Insight(
        "PROBE.DEADLINE",
        component=failed.name,
        message=f"{address}:{port} is slow: {agreeing(slow, 'waits', 'wait')} {longest:.0f} ms in the stage "
        f"{failed.name} until it speaks, and {view.group} had {waited:.0f} ms for it, so its silence proves nothing.",
        remedy=f"Test with more time: headwater test {view.verdict.source} --timeout {seconds}; and let the DBA look "
        f"why the server behind {address}:{port} answers so slowly.",
        decided_by=slow,
    )


def _needed_ms(view: View, others: Sequence[View]) -> dict[str, float]:
    """Group -> milliseconds that the stage which fails here took there, where the peer conversed."""
    return {
        other.group: stage.elapsed_ms
        for other in others
        if other.place == view.place
        and view.failed is not None
        and (stage := other.stage(view.failed.name)) is not None
        if other.passed(stage.name)
    }


def accepted_by_whom(view: View, others: Sequence[View]) -> Insight | None:
    """Somebody accepts here and nobody was heard to speak, while others get no connection there: who accepts?"""
    there = [other for other in others if other.place == view.place and other.fails_in("connect")]
    if (
        view.verdict.cause not in _CUT_OFF
        or view.conversed
        or not there
        or any(_heard(view, other) for other in others)
    ):
        return None
    return Insight(
        also=f"{agreeing(there, 'gets', 'get')} no connection there at all, so whoever accepts for {view.group} may "
        "be a proxy on the way and not the server",
        remedy=f"See on {view.address} itself whether a server listens on port {view.place[1]}. If none does, correct "
        f"the address or start it, and look for the transparent proxy or firewall on the way from {view.group} that "
        "accepts in its name; if one does, it hangs.",
        decided_by=there,
    )


def _heard(view: View, other: View) -> bool:
    return other.place == view.place and other.conversed


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


def _resolved_there(view: View) -> bool:
    """Whether the place itself looks up what references name: a worker without a key does, all others are told."""
    credentials = view.seen("credentials")
    references = credentials.get("references") or []
    return bool(credentials.get("resolved_by")) and any(
        kind in reference for reference in references for kind in _RESOLVED_THERE
    )


def _logged_in(view: View) -> bool:
    return view.verdict.connectable or view.passed("login")


RULES = (
    Rule("waited too short", waited_too_short, 45),
    Rule("same credentials elsewhere", same_credentials_elsewhere, 40),
    Rule("not admitted here only", not_admitted_here, remark=True),
    Rule("admitted nowhere", refused_everywhere, remark=True),
    Rule("accepted by whom", accepted_by_whom, remark=True),
    Rule("cut off here only", cut_off_here, remark=True),
)
