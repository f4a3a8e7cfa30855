"""Maintenance that nobody ends: its time does, and the schedules that were paused for it run again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows import overdue
from registry.audit import By
from registry.store import Store, open_store
from tests.registry.samples import retail, source
from tests.serving import PrefectServer


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """`over` has been in maintenance until an hour ago, `held` is for another hour, `open` until somebody ends it."""
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    now = datetime.now(UTC)
    with open_store() as opened:
        retail(opened, source("over"), source("held"), source("open"))
        earlier = begun(opened)
        for name, until in (("over", now - timedelta(hours=1)), ("held", now + timedelta(hours=1)), ("open", None)):
            opened.maintenances.begin("retail", name, earlier, reason="disk", until=until, envs=["prod"])
        yield opened


def begun(store: Store) -> By:
    """Whoever began it, two hours ago."""
    return By(store.by().actor, at=datetime.now(UTC) - timedelta(hours=2), owns_registry=True)


@pytest.mark.prefect
async def test_what_is_over_is_ended_and_its_schedules_are_started_again(
    store: Store, prefect_server: PrefectServer
) -> None:
    flow = prefect_server.post("/flows/", {"name": "nightly"})["id"]
    made = {}
    for name in ("over", "held", "open"):
        made[name] = prefect_server.post("/deployments/", {"name": name, "flow_id": flow, "paused": True})["id"]
        store.maintenances.note_paused("retail", name, [made[name]], begun(store))

    assert await overdue.end(store, "health-check") == ["retail/over"]
    paused = {name for name, id_ in made.items() if prefect_server.get(f"/deployments/{id_}")["paused"]}
    assert paused == {"held", "open"}
    assert [path for path, _ in store.maintenances.list()] == ["retail/held", "retail/open"]
    assert await overdue.end(store, "health-check") == []


async def test_without_a_server_it_is_left_for_the_next_time(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store.maintenances.note_paused("retail", "over", ["one-that-is-paused"], begun(store))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert await overdue.end(store, "health-check") == []
    assert "the maintenance of retail/over is over and could not be ended" in caplog.text
    assert [path for path, _ in store.maintenances.list()] == ["retail/held", "retail/open", "retail/over"]


async def test_one_that_begins_while_another_is_ended_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listed, until = store.maintenances.list(), datetime.now(UTC) + timedelta(hours=1)
    store.maintenances.begin("retail", "over", store.by(), reason="and the fan", until=until, envs=["prod"])
    monkeypatch.setattr(store.maintenances, "list", lambda: listed)  # what was looked at before
    assert await overdue.end(store, "health-check") == []
    assert "has changed meanwhile" in caplog.text
    monkeypatch.undo()
    assert dict(store.maintenances.list())["retail/over"].reason == "and the fan"
