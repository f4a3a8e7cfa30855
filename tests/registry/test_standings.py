"""What is sick since when, and what changed since a moment, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from registry.store import Store
from registry.verdict import State, Verdict
from registry.verdicts import Pair
from tests.registry.samples import retail, source

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def verdict(minute: int, cause: str | None, name: str = "orders") -> Verdict:
    """A verdict that began some minutes after noon."""
    state = State.UNREACHABLE if cause else State.CONNECTABLE
    at = (NOON + timedelta(minutes=minute)).isoformat()
    place = {"workspace": "retail", "source": name, "type": "postgresql", "env": "prod", "resource_group": "local"}
    return Verdict(**place, state=state, cause=cause, started_at=at, elapsed_ms=1)


def test_what_is_sick_is_told_with_its_beginning(store: Store) -> None:
    retail(store, source("orders"), source("stock"))
    store.verdicts.record([verdict(0, None), verdict(0, None, "stock")])
    store.verdicts.record([verdict(1, "PORT.CLOSED")])
    store.verdicts.record([verdict(2, "PORT.CLOSED")])

    (sick,) = store.verdicts.sick()
    assert (sick.source, sick.cause, sick.since) == ("orders", "PORT.CLOSED", NOON + timedelta(minutes=1))


def test_a_change_is_told_against_what_held_at_that_moment(store: Store) -> None:
    retail(store, source("orders"))
    for minute, cause in enumerate([None, "PORT.CLOSED", "PORT.CLOSED", "DNS.NXDOMAIN"]):
        store.verdicts.record([verdict(minute, cause)])

    def changed(minute: float) -> list[tuple[str | None, tuple[State, str | None] | None]]:
        return [(one.cause, one.before) for one in store.verdicts.changed(NOON + timedelta(minutes=minute))]

    assert changed(0.5) == [("DNS.NXDOMAIN", (State.CONNECTABLE, None))]
    assert changed(2.5) == [("DNS.NXDOMAIN", (State.UNREACHABLE, "PORT.CLOSED"))]
    assert changed(3.5) == []
    assert changed(-1) == [("DNS.NXDOMAIN", None)]


def test_what_went_and_came_back_has_not_changed(store: Store) -> None:
    retail(store, source("orders"))
    for minute, cause in enumerate([None, "PORT.CLOSED", None]):
        store.verdicts.record([verdict(minute, cause)])
    assert store.verdicts.changed(NOON + timedelta(minutes=0.5)) == []
    assert store.verdicts.changed(NOON - timedelta(minutes=1)) == [], "well from the first: no change"


def _pair(name: str, group: str = "local") -> Pair:
    return Pair("retail", name, "prod", group)


def test_the_last_good_verdict_of_each_pair_is_found(store: Store) -> None:
    retail(store, source("orders"), source("stock"), source("never"))
    store.verdicts.record([verdict(0, None), verdict(0, "PORT.CLOSED", "never"), verdict(0, None, "stock")])
    store.verdicts.record([verdict(1, None), verdict(2, "PORT.CLOSED"), verdict(3, "DNS.NXDOMAIN")])

    found = store.verdicts.last_good([_pair("orders"), _pair("never"), _pair("orders", "other"), _pair("unknown")])
    assert {pair.source: one.started_at for pair, one in found.items()} == {"orders": verdict(1, None).started_at}


def test_what_is_usual_is_the_median_of_the_newest_good_ones(store: Store) -> None:
    retail(store, source("orders"), source("stock"))
    times = [9000.0, 100.0, 120.0, 110.0, 90.0, 5000.0]
    for minute, elapsed in enumerate(times):
        store.verdicts.record([verdict(minute, None).model_copy(update={"elapsed_ms": elapsed})])
    store.verdicts.record([verdict(9, "PORT.CLOSED"), verdict(9, None, "stock")])

    assert store.verdicts.usual_ms([_pair("orders"), _pair("stock")], last=5) == {_pair("orders"): 110.0}
