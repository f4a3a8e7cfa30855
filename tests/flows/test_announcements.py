"""What a Prefect server hears of the sources, so that its automations can act on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry import news
from registry.store import Store, open_store
from registry.verdict import State, Verdict
from registry.workspaces import WorkspaceDraft
from tasks import announcements
from tests.registry.samples import CANARY, entry, fields, retail, source

if TYPE_CHECKING:
    from prefect.events import Event

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    monkeypatch.setattr(news, "_LISTENERS", [announcements.changed])
    for patience in ("ANSWER", "PATIENCE"):
        monkeypatch.setattr(announcements, patience, 60.0)  # of a server that others keep busy
    announcements._messenger.cache_clear()
    with open_store() as opened:
        yield opened


async def heard(happens: Callable[[], None], count: int) -> list[Event]:
    """So many events, in the order in which they happened, that the server gives to whoever listens there."""
    from prefect.events import ResourceSpecification
    from prefect.events.clients import get_events_subscriber
    from prefect.events.filters import EventFilter, EventOccurredFilter, EventResourceFilter

    since = EventOccurredFilter(since=datetime.now(UTC))
    ours = EventResourceFilter(labels=ResourceSpecification({"prefect.resource.id": "headwater.*"}))
    found: dict[str, Event] = {}
    async with (
        asyncio.timeout(60),
        get_events_subscriber(filter=EventFilter(occurred=since, resource=ours)) as subscriber,
    ):
        beating, is_to_happen = asyncio.create_task(_beat()), True
        async for event in subscriber:
            if event.event != _BEAT:
                found[str(event.id)] = event
            elif is_to_happen:
                is_to_happen = False
                beating.cancel()
                await asyncio.to_thread(_all_of, happens)
            if len(found) == count:
                break
    return sorted(found.values(), key=lambda one: one.occurred)


_BEAT = "headwater.test.beat"


async def _beat() -> None:
    """Something to hear for whoever listens already."""
    while True:
        await announcements._post([announcements._event(_BEAT, "beat", {})])
        await asyncio.sleep(0.2)


def _all_of(happens: Callable[[], None]) -> None:
    """What happens, and the telling of it to the end."""
    happens()
    announcements._messenger().close()
    announcements._messenger.cache_clear()


def named(events: Sequence[Event]) -> list[tuple[str, str]]:
    """The event's last word, and of what."""
    return [(one.event.rpartition(".")[2], one.resource.get("prefect.resource.name", "")) for one in events]


def verdict(name: str = "orders") -> Verdict:
    return Verdict(
        workspace="retail", source=name, env="prod", resource_group="local", type="postgresql", cause="PORT.CLOSED",
        state=State.UNREACHABLE, started_at="2026-01-01T00:00:00+00:00", elapsed_ms=1.0, stages=[],
    )  # fmt: skip


async def test_what_happens_to_a_source_is_told_without_any_value_of_it(store: Store) -> None:
    def happens() -> None:
        retail(store, source(prod=fields(password=CANARY)))
        store.workspaces.create(WorkspaceDraft("sales"), store.by())
        store.sources.update_entry("retail", "orders", "prod", entry(database="secret-name"), store.by("it moves"))
        store.sharing.share("retail", "orders", store.by(), to="sales", env="prod")
        with store.database.write(keep=False) as session:  # taken back, and so not told
            news.note(session, [{"object": "data_source:retail/orders", "action": "delete"}])
        store.maintenances.begin("retail", "orders", store.by(), reason="disk", until=None, envs=["prod"])
        store.maintenances.end("retail", "orders", store.by())
        announcements.tested([verdict()])
        assert store.deletions.delete("retail/orders", store.by()) is not None

    words = ("created", "changed", "shared", "maintenance-began", "maintenance-ended", "tested", "deleted")
    events = await heard(happens, len(words))
    assert named(events) == [(word, "retail/orders") for word in words]
    changed, shared, tested = (events[number] for number in (1, 2, 5))
    assert changed.payload["why"] == "it moves"
    assert "prod.database" in changed.payload["fields"]
    assert shared.payload["workspace"] == "sales"
    assert tested.resource["headwater.state"] == "Unreachable"
    told = json.dumps([one.model_dump(mode="json") for one in events])
    assert CANARY not in told
    assert "secret-name" not in told


async def test_of_very_many_one_event_tells_the_rest(store: Store) -> None:
    def happens() -> None:
        announcements.tested([verdict(f"s{number}") for number in range(announcements.MOST + 20)])

    events = await heard(happens, announcements.MOST + 1)
    assert [one.payload for one in events if one.event == announcements.MANY] == [
        {"events": {announcements.TESTED: 20}}
    ]
    assert len({one.resource.get("prefect.resource.name") for one in events}) == announcements.MOST + 1
