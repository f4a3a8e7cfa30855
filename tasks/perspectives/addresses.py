"""One address of several, or one family, fails: everywhere or only here."""

from __future__ import annotations

from collections.abc import Sequence

from registry.verdict import Warning
from tasks.perspectives import Insight, Rule
from tasks.perspectives.view import View, agreeing, names

_CODE = "DNS.SOME_ADDRESSES_FAIL"


def some_addresses(view: View, others: Sequence[View]) -> Insight | None:
    """Addresses that fail here: do they for the others that tried them?"""
    failing = set(view.seen("connect").get("failing_addresses", ()))
    if not failing:
        return None
    comparable = [other for other in others if other.verdict.connectable and failing <= other.addresses]
    if not comparable:
        return None
    fine = [other for other in comparable if not failing & set(other.seen("connect").get("failing_addresses", ()))]
    which = ", ".join(sorted(failing))
    told = f"{which} fails from {view.group} and not from {names(fine)}: a filter or route of {view.group}"
    if not fine:
        told = f"{which} fails from {names([view, *comparable])} alike: it is the host or the record"
    return Insight(
        stage="connect", warnings=(Warning(code=_CODE, message=told),), decided_by=fine or comparable,
    )  # fmt: skip


def family_here(view: View, others: Sequence[View]) -> Insight | None:
    """The only family of the name's addresses is one that other places have."""
    if view.verdict.cause != "DNS.NO_USABLE_FAMILY":
        return None
    able = [other for other in others if other.conversed and other.address in view.addresses]
    family = view.fails_in("route").get("family")
    return Insight(also=f"{agreeing(able, 'reaches', 'reach')} it over {family}", decided_by=able) if able else None


RULES = (
    Rule("some addresses fail", some_addresses, remark=True),
    Rule("family missing here only", family_here, remark=True),
)
