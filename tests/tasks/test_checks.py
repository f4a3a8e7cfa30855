"""A program of one's own is asked before a plan is applied, and its no, or its silence, stops it."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry import checks
from registry.checks import Stopped
from registry.errors import InvalidInput
from registry.plans import PlanState
from registry.store import Store, open_store
from tasks.checks import over_http
from tests.registry.depending import depend
from tests.registry.samples import retail, source


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    monkeypatch.setattr(checks, "_INSTALLED", [over_http])
    with open_store() as opened:
        retail(opened, source(), source("spare"), mode="basic")
        yield opened


class Program:
    """Somebody's check."""

    def __init__(self) -> None:
        self.answer: str = '{"result": "OK"}'
        self.asked: list[dict[str, Any]] = []
        mine = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                mine.asked.append(body | {"authorization": self.headers["Authorization"]})
                self.send_response(200)
                self.send_header("Content-Length", str(len(mine.answer)))
                self.end_headers()
                self.wfile.write(mine.answer.encode())

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    found = Program()
    monkeypatch.setenv("HEADWATER_CHECK_URL", f"http://127.0.0.1:{found.server.server_port}/check")
    yield found
    found.server.shutdown()


def test_it_is_asked_once_what_would_be_done_and_who_wants_it(
    store: Store, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_CHECK_TOKEN", "t0ken")
    store.deletions.delete("retail/spare", store.by("not needed"))
    (asked,) = program.asked
    assert (asked["kind"], asked["why"], asked["authorization"]) == ("delete", "not needed", "Bearer t0ken")
    assert any("retail/spare" in one for one in asked["objects"])
    plan = store.upgrades.plan("retail", store.by())
    store.upgrades.apply(plan.id, store.by(), confirmed=True)
    assert [one["kind"] for one in program.asked] == ["delete", "upgrade"]


def test_its_no_stops_a_plan_that_can_be_applied_later(store: Store, program: Program) -> None:
    plan = store.upgrades.plan("retail", store.by())
    program.answer = '{"result": "FAIL", "tip": "freeze until\\u001b[2J monday"}'
    with pytest.raises(Stopped, match=r"says no: freeze until \[2J monday"):
        store.upgrades.apply(plan.id, store.by(), confirmed=True)
    assert (store.workspaces.get("retail").mode, store.plans.get(plan.id).state) == ("basic", PlanState.READY)
    assert [one.action for one in store.history(f"plan:{plan.id}")] == ["plan", "stop"]
    program.answer = '{"result": "OK"}'
    store.upgrades.apply(plan.id, store.by(), confirmed=True)
    assert store.workspaces.get("retail").mode == "standard"


def test_a_plan_that_failed_is_asked_about_again(store: Store, program: Program) -> None:
    depend(store, "nightly")
    plan = store.deletions.plan(["retail/orders"], store.by()).plan
    with pytest.raises(InvalidInput, match="in use by 1 in production"):
        store.deletions.apply(plan.id, store.by())
    program.answer = '{"result": "FAIL", "tip": "freeze"}'
    with pytest.raises(Stopped, match="says no: freeze"):
        store.deletions.apply(plan.id, store.by(), force=["orders"])
    assert store.sources.get("retail", "orders").name == "orders"


def test_its_warning_is_told_and_stops_nothing(
    store: Store, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    program.answer = '{"result": "WARN", "tip": "a holiday"}'
    store.deletions.delete("retail/spare", store.by())
    assert "warns: a holiday" in caplog.text


@pytest.mark.parametrize("answer", ["", "<html>", "[]", '{"result": "PERHAPS"}', '{"result": ["OK"]}', "closed"])
def test_what_is_no_answer_stops_it(
    store: Store, program: Program, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.answer = answer
    if answer == "closed":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            monkeypatch.setenv("HEADWATER_CHECK_URL", f"http://127.0.0.1:{listener.getsockname()[1]}/")
    with pytest.raises(Stopped, match="gives no answer"):
        store.deletions.delete("retail/spare", store.by())
    assert store.sources.get("retail", "spare").name == "spare"
