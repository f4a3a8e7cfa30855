"""Events of what was changed: told after the change, to a server that is there, and in nobody's way."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry import news
from registry.store import Store, open_store
from registry.verdict import State, Verdict
from registry.workspaces import WorkspaceDraft
from tasks import announcements
from tests.registry.samples import CANARY, entry, fields, retail, source
from tests.stopwatch import Stopwatch


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(news, "_LISTENERS", [announcements.changed])
    announcements._messenger.cache_clear()
    with open_store() as opened:
        yield opened


class Server:
    """Prefect's, as far as events go."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        heard = self.events

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/api/events"
                heard.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.api = f"http://127.0.0.1:{self._server.server_port}/api"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def told(self) -> list[tuple[str, str]]:
        """What arrived: the event's last word, and of what."""
        announcements._messenger().close()
        announcements._messenger.cache_clear()
        return [
            (one["event"].rpartition(".")[2], one["resource"].get("prefect.resource.name", "")) for one in self.events
        ]

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    started = Server()
    monkeypatch.setenv("PREFECT_API_URL", started.api)
    yield started
    started.close()


def verdict(name: str = "orders") -> Verdict:
    return Verdict(
        workspace="retail", source=name, env="prod", resource_group="local", type="postgresql", cause="PORT.CLOSED",
        state=State.UNREACHABLE, started_at="2026-01-01T00:00:00+00:00", elapsed_ms=1.0, stages=[],
    )  # fmt: skip


def test_what_happens_to_a_source_is_told_without_any_value_of_it(store: Store, server: Server) -> None:
    retail(store, source(prod=fields(password=CANARY)))
    store.workspaces.create(WorkspaceDraft("sales"), store.by())
    store.sources.update_entry("retail", "orders", "prod", entry(database="secret-name"), store.by("it moves"))
    store.sharing.share("retail", "orders", store.by(), to="sales", env="prod")
    store.maintenances.begin("retail", "orders", store.by(), reason="disk", until=None, envs=["prod"])
    store.maintenances.end("retail", "orders", store.by())
    announcements.tested([verdict()])
    stone = store.deletions.delete("retail/orders", store.by())
    assert stone is not None
    words = ("created", "changed", "shared", "maintenance-began", "maintenance-ended", "tested", "deleted")
    assert server.told() == [(word, "retail/orders") for word in words]
    changed, shared, tested = (server.events[number] for number in (1, 2, 5))
    assert changed["payload"]["why"] == "it moves"
    assert "prod.database" in changed["payload"]["fields"]
    assert shared["payload"]["workspace"] == "sales"
    assert tested["resource"]["headwater.state"] == "Unreachable"
    assert CANARY not in json.dumps(server.events)
    assert "secret-name" not in json.dumps(server.events)


def test_what_was_taken_back_is_not_told(store: Store, server: Server) -> None:
    retail(store, source())
    with store.database.write(keep=False) as session:
        news.note(session, [{"object": "data_source:retail/orders", "action": "delete"}])
    assert server.told() == [("created", "retail/orders")]


def test_of_very_many_one_event_tells_the_rest(store: Store, server: Server) -> None:
    retail(store)
    announcements.tested([verdict(f"s{number}") for number in range(announcements.MOST + 20)])
    told = server.told()
    assert len(told) == announcements.MOST + 1
    assert server.events[-1]["payload"] == {"events": {announcements.TESTED: 20}}


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
        assert watch.own < 2, str(watch)
    assert store.history("data_source:retail/orders")[-1].action == "delete"


def test_without_a_server_no_thread_is_begun(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    retail(store, source())
    assert announcements._messenger.cache_info().currsize == 0
