"""Events of what was changed, where no server hears them: they are in nobody's way."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry import news
from registry.store import Store, open_store
from tasks import announcements
from tests.registry.samples import retail, source
from tests.stopwatch import Stopwatch


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(news, "_LISTENERS", [announcements.changed])
    announcements._messenger.cache_clear()
    with open_store() as opened:
        yield opened


@pytest.mark.parametrize("kind", ["closed", "mute", "nonsense"])
def test_a_server_that_is_away_is_in_nobodys_way(store: Store, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if kind == "closed":
            listener.close()
        api = "none of your business" if kind == "nonsense" else f"http://127.0.0.1:{port}/api"
        monkeypatch.setenv("PREFECT_API_URL", api)
        with Stopwatch() as watch:
            retail(store, source())
            store.deletions.delete("retail/orders", store.by())
            announcements._messenger().close()
        watch.within(2)
    assert store.history("data_source:retail/orders")[-1].action == "delete"


def test_without_a_server_no_thread_is_begun(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    retail(store, source())
    assert announcements._messenger.cache_info().currsize == 0
