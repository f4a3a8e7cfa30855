"""History is a witness: until when it worked from here, and what is different since then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from tasks import cautions
from tasks.perspectives import Insight, Rule
from tasks.perspectives.view import View

#: Stage, key of its evidence, and what it is for a person; what explains most comes first.
_WATCHED: tuple[tuple[str, str, str], ...] = (
    ("config", "endpoints", "the configured address"),
    ("config", "configuration_version", "the version of the configuration"),
    ("credentials", "references", "the reference of the credentials"),
    ("resolve", "from", "where the name is looked up"),
    ("resolve", "nameservers", "the name servers"),
    ("resolve", "addresses", "the address"),
    ("route", "source_address", "the source address"),
    ("privilege", "source_address_seen_by_server", "the source address that the server sees"),
    ("tls", "issuer", "the issuer of the certificate"),
    ("tls", "fingerprint_sha256", "the certificate"),
    ("tls", "not_after", "the certificate"),
    ("greet", "server_version", "the version of the server"),
    ("login", "server_version", "the version of the server"),
)


def worked_before(view: View, _others: Sequence[View]) -> Insight | None:
    """Since when it fails, and what changed in between."""
    before = view.before
    if view.verdict.connectable or before is None:
        return None
    changes: dict[str, str] = {}
    for what, change in _changes(view, View(before)):
        changes.setdefault(what, change)
    told = [f"{what} {change}" for what, change in changes.items()]
    clause = f"it worked from {view.group} until {_clock(before.started_at)}"
    if view.verdict.cause == "FILTER.DROP" and view.place == View(before).place:
        clause += ", so what drops it now is either new or a limit of connections"
    return Insight(
        also=f"{clause}; since then {', '.join(told)}" if told else clause,
        evidence={"last_worked_at": before.started_at, "changed_since": told},
    )


def _changes(view: View, before: View) -> Iterator[tuple[str, str]]:
    for stage, key, what in _WATCHED:
        was, now = before.seen(stage).get(key), view.seen(stage).get(key)
        if was is not None and now is not None and _plain(was) != _plain(now):
            short = key == "fingerprint_sha256"
            yield what, "changed" if short else f"changed from {_plain(was)} to {_plain(now)}"


def _plain(value: Any) -> str:
    return ", ".join(sorted(map(str, value))) if isinstance(value, (list, tuple)) else str(value)


def _clock(moment: str) -> str:
    """The moment to the minute, in UTC."""
    try:
        return datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return moment


def slower_than_usual(view: View, _others: Sequence[View]) -> Insight | None:
    """A check that takes far longer than those before it."""
    warning = cautions.latency(view.verdict.elapsed_ms, view.usual_ms) if view.verdict.connectable else None
    if warning is None:
        return None
    return Insight(stage="connect", warnings=(warning,), evidence={"usual_ms": view.usual_ms})


RULES = (
    Rule("worked before", worked_before, 90, remark=True),
    Rule("slower than usual", slower_than_usual, 91, remark=True),
)
