"""A change of the registry waits for no Prefect server; see `test_deploy.py` for the forms of one that answers."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flows import deploy, following
from registry.errors import HeadwaterError


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one."""
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))


class _Handler(BaseHTTPRequestHandler):
    """A server that nothing is deployed on."""

    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def nothing_deployed() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api"
        server.shutdown()


def test_where_nothing_is_deployed_prefects_library_stays_unread(
    nothing_deployed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", nothing_deployed)
    program = "import sys; from flows import deploy; print(deploy.sync_choices(), 'prefect' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_a_server_that_does_not_answer_is_left_alone_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        api = f"127.0.0.1:{mute.getsockname()[1]}/api"
        monkeypatch.setenv("PREFECT_API_URL", f"http://user:hidden@{api}")
        started = time.monotonic()
        with pytest.raises(HeadwaterError) as refused:
            deploy.sync_choices()
    assert refused.value.reason == f"the Prefect server at http://{api} does not answer in time"
    assert time.monotonic() - started < 3, "its answers may take 15 seconds elsewhere"


@pytest.mark.parametrize(
    ("status", "told"), [(401, "refuses the credentials of Prefect's settings"), (500, "answers with an error")]
)
def test_a_server_that_refuses_is_told_of(
    nothing_deployed: str, monkeypatch: pytest.MonkeyPatch, status: int, told: str
) -> None:
    monkeypatch.setattr(_Handler, "status", status)
    monkeypatch.setenv("PREFECT_API_URL", nothing_deployed)
    with pytest.raises(HeadwaterError) as refused:
        deploy.sync_choices()
    assert refused.value.reason == f"the Prefect server at {nothing_deployed} {told}"
