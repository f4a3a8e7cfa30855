"""The main job as an operator does it in a browser: deploy, fill in the form, watch the run, read the report."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.serving import ROOT, PrefectServer

pytestmark = [pytest.mark.browser, pytest.mark.prefect, pytest.mark.timeout(300)]


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
