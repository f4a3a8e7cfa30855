"""Events of what was changed, where no server hears them: they are in nobody's way."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
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


_COMMAND = """
from tasks import announcements
announcements.PATIENCE = 30.0  # of a machine that others keep busy
announcements._send([announcements._event("headwater.data-source.changed", "retail/orders", {})])
"""


def test_a_command_that_ends_at_once_still_tells_a_server_that_is_known_by_name(tmp_path: Path) -> None:
    class Hearing(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    heard: list[str] = []
    with http.server.HTTPServer(("127.0.0.1", 0), Hearing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = {"PREFECT_API_URL": f"http://localhost:{server.server_port}/api", "PREFECT_HOME": str(tmp_path)}
        subprocess.run([sys.executable, "-c", _COMMAND], env={**os.environ, **told}, check=True, timeout=60)
        server.shutdown()
    assert heard == ["/api/events"]
