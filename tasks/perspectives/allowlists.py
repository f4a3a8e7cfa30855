"""Nothing comes back here, and the server's allowlist is known: what other places see tells whether it is the cause."""

from __future__ import annotations

from collections.abc import Sequence

from registry.allowlists import parse
from registry.verdict import INCONCLUSIVE
from tasks.networks.provenance import Standing, numeric, stand
from tasks.perspectives import Insight, Rule
from tasks.perspectives.view import View, names


def left_out_here(view: View, others: Sequence[View]) -> Insight | None:
    """The host answers places that its list lets in, and not this one, which it leaves out."""
    standing = view.fails_in("connect").get("allowlist_standing")
    if not view.silent or standing not in (Standing.LACKS, Standing.UNSURE):
        return None
    alive = [other for other in others if other.address == view.address and other.host_answers]
    through = [other for other in alive if other.conversed and other.place == view.place]
    if not alive or any(_standing(view, other) is Standing.LACKS for other in through):
        return None  # who is not in the list and comes through shows that it is not what decides
    deciding = through or alive
    address, port = view.place
    seen = f"{address}:{port} lets in {names(through)}" if through else f"{address} answers {names(alive)}"
    listed = ", ".join(map(str, view.fails_in("connect")["allowlist"]))
    remedy = (
        f"Add {view.entries} ({view.network.entry_kind(view.public)}) for {view.group} to the allowlist of the server."
    )
    if standing == Standing.UNSURE:
        return Insight(
            INCONCLUSIVE,
            alternatives=("ADMIT.ALLOWLIST", "FILTER.DROP"),
            component=f"{address}:{port}",
            message=f"{seen}, and nothing comes back to {view.group}: the allowlist ({listed}) lets in only a part of "
            "what it may come from, or a firewall drops it.",
            remedy=remedy,
            decided_by=deciding,
        )
    return Insight(
        "ADMIT.ALLOWLIST",
        component=view.entries,
        message=f"{seen}, and nothing comes back to {view.group}, which the allowlist ({listed}) leaves out.",
        remedy=remedy,
        decided_by=deciding,
    )


def nobody_let_in(view: View, others: Sequence[View]) -> Insight | None:
    """No place hears from the host, but the list leaves out all that could tell: their silence says nothing of it."""
    if not view.lost or "allowlist_standing" not in view.fails_in("connect"):
        return None
    tried = [view, *(other for other in others if other.address == view.address)]
    let_in = [one for one in tried if _standing(view, one) is Standing.CONTAINS]
    if any(one.host_answers or one.connected for one in tried) or len(let_in) > 1:
        return None
    told = f"the allowlist lets in {names(let_in)} alone" if let_in else "the allowlist lets in none of them"
    return Insight(also=f"that other places are met with silence as well proves nothing: {told}") if others else None


def _standing(view: View, other: View) -> Standing:
    """What the list that is known at one place says of another."""
    entries = view.fails_in("connect").get("allowlist", ())
    source = numeric(other.source_address)
    return stand(parse(entries), other.network, view.address, source, told=False)


RULES = (
    Rule("left out of the allowlist", left_out_here, 30),
    Rule("nobody let in", nobody_let_in, 45),
)
