"""Changes under approval as a person makes them in a browser: plan, form, result; and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from registry.store import open_store
from scripts.embedded_postgresql import EmbeddedPostgresql
from tests.e2e.approving import SECRETS, furnish
from tests.e2e.conftest import at_work
from tests.serving import GOOD_PASSWORD, ROOT, PrefectServer

pytestmark = [pytest.mark.browser, pytest.mark.prefect, pytest.mark.timeout(600)]

HEADWATER = str(Path(sys.executable).with_name("headwater"))
#: What Prefect keeps of a form.
_FORM = ("schema", "description")
_ENDED = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


@dataclass
class Office:
    """A server with the flows at work, and a run of each that comes to wait for its approval."""

    server: PrefectServer
    folder: Path
    #: The pages that were looked at.
    seen: list[str] = field(default_factory=list)

    def start(self, flow: str, **parameters: Any) -> str:
        """A run of a flow; its id."""
        deployment = self.server.get(f"/deployments/name/{flow}/{flow}")["id"]
        made = self.server.post(f"/deployments/{deployment}/create_flow_run", {"parameters": parameters})
        return str(made["id"])

    def until(self, run: str, *names: str) -> Any:
        """A run, once its state has one of these names or types."""
        for _ in range(960):
            found = self.server.get(f"/flow_runs/{run}")
            if {found["state"]["name"], found["state"]["type"]} & set(names):
                return found
            time.sleep(0.25)
        raise AssertionError(f"{found['name']} is {found['state']}")

    def ended(self, run: str) -> tuple[str, str]:
        """The name and the message of the state that a run ends in."""
        state = self.until(run, *_ENDED)["state"]
        return state["name"], state["message"]

    def page_of(self, run: str) -> str:
        return f"{self.server.url}/v2/runs/flow-run/{run}"

    def approve(self, run: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Answer from the command line, beside the browser."""
        command = [HEADWATER, "approve", run, *arguments]
        return subprocess.run(command, env=self.server.environment(), capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def office(prefect_server: PrefectServer, postgresql: EmbeddedPostgresql) -> Iterator[Office]:
    with tempfile.TemporaryDirectory(prefix="shop-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        patch.setenv("HEADWATER_HOME", str(folder / "home"))
        patch.setenv("GOOD_PASSWORD", GOOD_PASSWORD)
        patch.delenv("HEADWATER_DATABASE_URL", raising=False)
        patch.delenv("HEADWATER_KEYRING", raising=False)
        furnish(prefect_server, postgresql.port, folder)
        with at_work(prefect_server, folder):
            yield Office(prefect_server, folder)


@pytest.fixture(scope="module")
def runs(office: Office) -> dict[str, str]:
    """A run of each flow: they come to wait while others are looked at."""
    started = {
        "repoint": ("repoint-dependents", {"old": "retail/orders", "new": "retail/orders_next"}),
        "remove": ("remove-data-source", {"source": "retail/ledger", "replacement": "retail/orders_next"}),
        "upgrade": ("upgrade-workspace", {"workspace": "legacy", "why": "two sides"}),
        "stale": ("delete-data-source", {"sources": ["retail/archive_2019"]}),
    }
    return {name: office.start(flow, **parameters) for name, (flow, parameters) in started.items()}


def test_a_deletion_is_read_and_approved_where_it_was_started(
    page: Page, office: Office, request: pytest.FixtureRequest
) -> None:
    found = office.server.get("/deployments/name/delete-data-source/delete-data-source")
    page.goto(f"{office.server.url}/v2/deployments/deployment/{found['id']}/run")
    page.get_by_text("WORKSPACE/NAME of each").wait_for()
    page.locator("button").filter(has_text="Select").first.click()
    page.get_by_role("option", name="retail/archive", exact=True).click()
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)  # the list fades out
    _submit(page)
    (run,) = [one["id"] for one in office.server.runs(deployments={"id": {"any_": [found["id"]]}})]
    request.getfixturevalue("runs")
    office.until(run, "Suspended")

    _read(page, office, run, "headwater-deletion")
    for cells in (("data_quality", "fails in development", "take the rules off"), ("data_analysis", "run the queries")):
        row = page.get_by_role("row").filter(has_text=cells[0])
        assert all(words in row.inner_text() for words in cells)
    expect(page.get_by_text("analytics/dev loses it").first).to_be_visible()
    _picture(page, "deletion-plan")

    form = _form(page, office, run)
    expect(form.get_by_text("retail/archive (dev and prod): used by 3; analytics/dev lose it").first).to_be_visible()
    form.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("'decision' is a required property").first).to_be_visible()
    assert office.until(run, "Suspended")["state"]["type"] == "PAUSED", "nobody has decided"
    _fill(form, "approve", "li", "nobody reads it any more")
    _picture(page, "deletion-form")
    _send(form)

    name, message = office.ended(run)
    assert (name, message.startswith("deleted retail/archive (headwater source restore ")) == ("Deleted", True)
    _details(page, office, run, "Deleted", "deleted retail/archive")
    _picture(page, "deletion-done")
    with open_store() as store:
        (tombstone,) = store.tombstones.list()
        assert tombstone.why.startswith("nobody reads it any more: approved by li in flow run delete retail/archive")
        assert "archive" not in {row.name for row in store.sources.list(workspace="retail").items}
    assert len(_artifacts(office, run, "headwater-deletion")) == 1, "it is not shown again after the approval"


def test_a_repoint_shows_its_waves_and_ends_where_it_was_sent(page: Page, office: Office, runs: dict[str, str]) -> None:
    run = runs["repoint"]
    office.until(run, "Suspended")
    assert _named(office) == ["orders"] * 5
    _read(page, office, run, "headwater-repoint")
    expect(page.get_by_role("row").filter(has_text="nightly-load/europe")).to_contain_text("operation_center")
    for told in ("deployment nightly-load/europe", "@@ /parameters/source @@", "+orders_next"):
        expect(page.get_by_text(told).first).to_be_visible()
    _picture(page, "repoint-plan", whole=True)
    form = _form(page, office, run)
    _fill(form, "approve", "li", "the database moves")
    _send(form)

    assert office.ended(run)[0] == "Repointed"
    assert _named(office) == ["orders_next"] * 5
    _read(page, office, run, "headwater-repoint")
    expect(page.get_by_role("heading", name="Applied: done 5")).to_be_visible()
    with open_store() as store:
        assert store.dependents.summary("retail/orders_next").dependents == 5


def test_a_removal_that_is_refused_leaves_everything(page: Page, office: Office, runs: dict[str, str]) -> None:
    run = runs["remove"]
    office.until(run, "Suspended")
    form = _form(page, office, run)
    expect(form.get_by_text("Then delete retail/ledger")).to_be_visible()
    _fill(form, "reject", "wang", "the books are still open")
    _picture(page, "removal-form")
    _send(form)
    assert office.ended(run) == ("Cancelled", "rejected by wang: the books are still open")
    _details(page, office, run, "Cancelled", "rejected by wang: the books are still open")
    assert '"ledger' in (office.folder / "ledger" / "close_of_day.json").read_text().replace("\\", "")
    with open_store() as store:
        assert store.sources.get("retail", "ledger").name == "ledger"


def test_an_upgrade_is_approved_and_compared(page: Page, office: Office, runs: dict[str, str]) -> None:
    run = runs["upgrade"]
    office.until(run, "Suspended")
    _read(page, office, run, "headwater-upgrade")
    expect(page.get_by_role("row").filter(has_text="stock")).to_contain_text("its prod side is copied to dev")
    form = _form(page, office, run)
    _fill(form, "approve", "li", "two sides")
    _picture(page, "upgrade-form")
    _send(form)
    assert office.ended(run)[0] == "Upgraded"
    _read(page, office, run, "headwater-drift")
    expect(page.get_by_role("row").filter(has_text="stock")).to_contain_text("same target")
    _picture(page, "upgrade-done")


def test_what_has_moved_since_is_told_and_answers_come_once(page: Page, office: Office, runs: dict[str, str]) -> None:
    run = runs["stale"]
    office.until(run, "Suspended")
    with open_store() as store:
        store.sharing.share("retail", "archive_2019", store.by("test"), to="analytics", env="prod")
    form = _form(page, office, run)
    _fill(form, "approve", "li", "")
    assert office.approve(run, "--why", "me first").returncode == 0
    form.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Cannot resume a flow run that is not paused.")).to_be_visible()
    again = office.approve(run)
    assert (again.returncode, "waits for nothing" in again.stderr) == (2, True)

    name, message = office.ended(run)
    assert (name, "since the plan was made, it is shared otherwise" in message) == ("Failed", True)
    _details(page, office, run, "Failed", "another run of this flow plans anew")
    with open_store() as store:
        assert store.sources.get("retail", "archive_2019").name == "archive_2019"


def test_no_secret_is_told(page: Page, office: Office, runs: dict[str, str]) -> None:
    """Neither on a page that was looked at, nor by the API, nor in a file of the server."""
    server = office.server
    for run in runs.values():
        office.until(run, "PAUSED", *_ENDED)
    _read(page, office, runs["stale"], "headwater-deletion")
    asked = [server.post(f"/{kind}/filter", {}) for kind in ("flow_runs", "artifacts", "deployments", "logs", "events")]
    paths = [f"/flow_runs/{run}/input/suspended-approval-{part}" for run in runs.values() for part in _FORM]
    told = [*map(str, [*asked, *map(server.get, paths)]), *office.seen]
    files = [path.read_bytes() for path in server.home.rglob("*") if path.is_file()]
    assert any("an approval is asked for" in text for text in told), "the logs are among it"
    for secret in SECRETS:
        assert not [text for text in told if secret in text]
        assert not any(secret.encode() in content for content in files)


def _submit(page: Page) -> None:
    """Send the form of a deployment, again where the server's SQLite is busy."""
    for _ in range(10):
        page.get_by_role("button", name="Submit").click()
        with suppress(TimeoutError):
            page.wait_for_url(lambda url: not url.endswith("/run"), timeout=20_000)
            return
    raise AssertionError("the form was not taken")


def _named(office: Office) -> list[str]:
    """What the deployments and the files of `orders` name now."""
    body = {"flows": {"name": {"any_": ["nightly-load"]}}}
    deployments = [one["parameters"]["source"] for one in office.server.post("/deployments/filter", body)]
    files = [path.read_text() for path in (office.folder / "orders").iterdir()]
    return deployments + ["orders_next" if "orders_next" in text else "orders" for text in files]


def _artifacts(office: Office, run: str, key: str) -> list[Any]:
    """What a run has published under a key, newest first."""
    wanted = {"key": {"any_": [key]}, "flow_run_id": {"any_": [run]}}
    return list(office.server.post("/artifacts/filter", {"sort": "CREATED_DESC", "artifacts": wanted}))


def _read(page: Page, office: Office, run: str, key: str) -> None:
    """See the newest artifact of a key on the page of its run, and open it."""
    page.goto(office.page_of(run))
    page.get_by_role("tab", name="Artifacts").click()
    expect(page.get_by_text(key, exact=True).first).to_be_visible()
    page.goto(f"{office.server.url}/v2/artifacts/artifact/{_artifacts(office, run, key)[0]['id']}")
    page.get_by_text("Show Raw Data").wait_for()
    office.seen.append(page.content())


def _form(page: Page, office: Office, run: str) -> Locator:
    """The form of an approval, opened from the menu of the run."""
    page.goto(office.page_of(run))
    page.get_by_text("Suspended", exact=True).first.wait_for()
    page.get_by_role("button", name="Open menu").click()
    page.get_by_role("menuitem", name="Resume").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_text("approve: it is done. reject: the run ends, and nothing is done.")).to_be_visible()
    office.seen.append(page.content())
    return form


def _fill(form: Locator, decision: str, who: str, why: str) -> None:
    form.get_by_role("button", name="Select").click()
    form.page.get_by_role("option", name=decision).click()
    form.get_by_role("textbox").nth(0).fill(who)
    form.get_by_role("textbox").nth(1).fill(why)


def _send(form: Locator) -> None:
    """Press the button, again where the server is busy; requests are sent while Playwright waits, and not else."""
    for _ in range(5):
        form.get_by_role("button", name="Resume").click()
        with suppress(AssertionError):
            expect(form).to_be_hidden(timeout=20_000)
            return
    raise AssertionError("the form was not taken")


def _details(page: Page, office: Office, run: str, state: str, message: str) -> None:
    page.goto(office.page_of(run))
    expect(page.get_by_text(state, exact=True).first).to_be_visible()
    page.get_by_role("tab", name="Details").click()
    expect(page.get_by_text(message).first).to_be_visible()
    office.seen.append(page.content())


def _picture(page: Page, name: str, *, whole: bool = False) -> None:
    """Keep a picture for the documents, where that is asked for."""
    if os.environ.get("HEADWATER_WRITE_SCREENSHOTS") == "1":
        page.wait_for_timeout(2000)  # lists fade out, and the timeline is drawn on a canvas
        page.screenshot(path=ROOT / "docs" / "images" / f"{name}.png", full_page=whole)
