"""What the tests in the browser work with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.serving import ROOT, PrefectServer, end, postgresql, prefect_server, prefect_server_of_all, registry

__all__ = ["postgresql", "prefect_server", "prefect_server_of_all", "registry"]

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
#: Milliseconds for a page of Prefect's interface on a busy machine.
PATIENCE = 60_000


@pytest.fixture(scope="module")  # while it is open, an event loop runs in this thread
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed: run scripts/setup as root")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, prefect_server: PrefectServer) -> Iterator[Page]:
    """A page that talks to this server alone."""

    def only_ours(route: Route) -> None:
        if route.request.url.startswith((prefect_server.url, "data:")):
            route.continue_()
        else:
            route.abort()

    opened = browser.new_page(viewport={"width": 1440, "height": 1000})
    opened.set_default_timeout(PATIENCE)
    opened.route("**/*", only_ours)
    yield opened
    opened.close()


@contextmanager
def at_work(server: PrefectServer, folder: Path) -> Iterator[str]:
    """The flows deployed by the command line, and a process worker that runs them; gives what deploying said."""
    environment = {**server.environment(), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    command = [sys.executable, "-m", "flows.cli", "deploy"]
    deployed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    with (folder / "worker.log").open("wb") as log:
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "headwater"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        yield deployed.stdout
    finally:
        end(process)


@pytest.fixture
def worker(prefect_server: PrefectServer, registry: Path, tmp_path: Path) -> Iterator[None]:
    """The flows, and a worker that runs them."""
    with at_work(prefect_server, tmp_path) as said:
        assert "2 sources" in said
        yield
