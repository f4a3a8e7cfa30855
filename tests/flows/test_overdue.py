"""Maintenance that nobody ends: its time does, and the schedules that were paused for it run again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows import overdue
from registry.audit import By
from registry.store import Store, open_store
from tasks import schedules
from tasks.evidence import StageFailed
from tests.registry.samples import retail, source


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """`over` has been in maintenance until an hour ago, `held` is for another hour, `open` until somebody ends it."""
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    now = datetime.now(UTC)
    with open_store() as opened:
        retail(opened, source("over"), source("held"), source("open"))
        earlier = By(opened.by().actor, at=now - timedelta(hours=2), owns_registry=True)
        for name, until in (("over", now - timedelta(hours=1)), ("held", now + timedelta(hours=1)), ("open", None)):
            opened.maintenances.begin("retail", name, earlier, reason="disk", until=until, envs=["prod"])
            opened.maintenances.note_paused("retail", name, [f"deployment-of-{name}"], earlier)
        yield opened


async def test_what_is_over_is_ended_and_its_schedules_are_started_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    async def resume(deployments: Sequence[str]) -> list[str]:
        started.extend(deployments)
        return []

    monkeypatch.setattr(schedules, "resume", resume)
    assert await overdue.end(store, "health-check") == ["retail/over"]
    assert started == ["deployment-of-over"]
    assert [path for path, _ in store.maintenances.list()] == ["retail/held", "retail/open"]
    assert await overdue.end(store, "health-check") == []


async def test_without_a_server_it_is_left_for_the_next_time(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(_: Sequence[str]) -> list[str]:
        raise StageFailed(agent="server-unreachable")

    monkeypatch.setattr(schedules, "resume", refuse)
    assert await overdue.end(store, "health-check") == []
    assert "the maintenance of retail/over is over and could not be ended" in caplog.text
    assert [path for path, _ in store.maintenances.list()] == ["retail/held", "retail/open", "retail/over"]
