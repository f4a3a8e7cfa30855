"""The main job as an operator does it in a browser: deploy, fill in the form, watch the run, read the report."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.serving import ROOT, PrefectServer, end

pytestmark = [pytest.mark.browser, pytest.mark.prefect, pytest.mark.timeout(300)]

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
#: Milliseconds for a page of Prefect's interface on a busy machine.
PATIENCE = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed: run scripts/setup as root")
    with sync_playwright() as playwright:
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


@pytest.fixture
def worker(prefect_server: PrefectServer, registry: Path, tmp_path: Path) -> Iterator[None]:
    """The flows deployed by the command line, and a process worker that runs them."""
    environment = {**prefect_server.environment(), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    deployed = subprocess.run(
        [sys.executable, "-m", "flows.cli", "deploy"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert "2 sources" in deployed.stdout
    with (tmp_path / "worker.log").open("wb") as log:
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "headwater"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
    yield
    end(process)


@pytest.mark.usefixtures("worker")
def test_a_sick_source_is_diagnosed_from_the_form(page: Page, prefect_server: PrefectServer, tmp_path: Path) -> None:
    found = prefect_server.get("/deployments/name/test-connectivity/test-connectivity")

    _fill_in_the_form(page, f"{prefect_server.url}/v2/deployments/deployment/{found['id']}/run")
    page.screenshot(path=tmp_path / "form.png")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(lambda url: not url.endswith("/run"))  # the request is sent while Playwright waits, and not else
    run = _ended(prefect_server, found["id"])
    assert (run["state_type"], run["state"]["name"]) == ("COMPLETED", "Sick")
    assert run["parameters"] == {"sources": ["retail/orders"], "env": "dev", "groups": [], "timeout": 5}

    _watch_the_run(page, f"{prefect_server.url}/v2/runs/flow-run/{run['id']}")
    page.screenshot(path=tmp_path / "run.png")

    _read_the_report(page)
    page.screenshot(path=tmp_path / "artifact.png", full_page=True)

    if os.environ.get("HEADWATER_WRITE_SCREENSHOTS") == "1":
        images = ROOT / "docs" / "images"
        images.mkdir(parents=True, exist_ok=True)
        for name in ("form.png", "run.png", "artifact.png"):
            shutil.copy(tmp_path / name, images / name)


def _fill_in_the_form(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_text("Data sources as WORKSPACE/NAME").wait_for()
    page.locator("button").filter(has_text="Select").first.click()
    expect(page.get_by_role("option")).to_have_text(["retail/billing", "retail/orders"])
    page.get_by_role("option", name="retail/orders").click()
    page.keyboard.press("Escape")
    page.locator("button").filter(has_text="all").last.click()
    page.get_by_role("option", name="dev").click()
    page.wait_for_timeout(300)  # the list fades out


def _ended(server: PrefectServer, deployment: str) -> Any:
    """The run that the form made, once it is over."""
    for _ in range(360):
        runs = server.runs(deployments={"id": {"any_": [deployment]}})
        if runs and runs[0]["end_time"]:
            return runs[0]
        time.sleep(0.25)
    raise AssertionError("no run of the deployment ended")


def _watch_the_run(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.get_by_text("retail/orders in dev").first).to_be_visible()
    expect(page.get_by_text("Sick", exact=True).first).to_be_visible()
    page.get_by_role("tab", name="Task Runs").click()
    expect(page.get_by_text("6 Task runs").first).to_be_visible()
    expect(page.get_by_text("connect", exact=True).first).to_be_visible()
    page.wait_for_timeout(2000)  # the timeline is drawn on a canvas


def _read_the_report(page: Page) -> None:
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("connectivity-retail-orders-dev-local").first.click()
    page.locator('a[href*="/artifacts/artifact/"]').first.click()
    expect(page.get_by_role("heading", name="retail/orders · dev · Unreachable")).to_be_visible()
    expect(page.get_by_text("PORT.CLOSED").first).to_be_visible()
    expect(page.get_by_text("Start the server, or correct the port").first).to_be_visible()
    expect(page.locator("svg").get_by_text("connect: PORT.CLOSED").first).to_be_visible()
    expect(page.get_by_role("cell", name="ECONNREFUSED")).to_be_visible()
