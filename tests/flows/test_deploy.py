"""`headwater deploy` against a real Prefect server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from flows import deploy
from registry.apply import apply_texts
from registry.errors import HeadwaterError
from registry.store import open_store
from tests.flows.syncing import synced
from tests.serving import ROOT, PrefectServer

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("registry")]

MORE = """
version: 1
workspaces:
  - name: wholesale
    mode: basic
    data_sources:
      - name: stock
        type: redis
        prod: {address: [{host: 127.0.0.1, port: 1}]}
"""


def deployment(server: PrefectServer, name: str) -> Any:
    """What the server knows of a deployment."""
    return server.get(f"/deployments/name/{name}/{name}")


def choices(server: PrefectServer, name: str, parameter: str) -> list[str]:
    """What the form of a deployment offers."""
    field = deployment(server, name)["parameter_openapi_schema"]["properties"][parameter]
    found: list[str] = field.get("items", field).get("enum", [])
    return found


def told_apart(stderr: str) -> tuple[set[str], list[str]]:
    """What Python says of its imports, and what the program says."""
    lines = stderr.splitlines()
    imports = [line for line in lines if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in imports}, [line for line in lines if line not in imports]


def test_deploying_twice_leaves_one_of_everything(prefect_server: PrefectServer) -> None:
    first = list(deploy.deploy())
    said = list(deploy.deploy())

    assert "deployed health-check/health-check" in first
    assert "work pool headwater: exists" in said
    written = yaml.safe_load((deploy.PROJECT / "prefect.yaml").read_text())["deployments"]
    assert len(prefect_server.post("/deployments/filter", {})) == len(written)
    health = deployment(prefect_server, "health-check")
    assert [one["schedule"]["interval"] for one in health["schedules"]] == [900.0]
    assert health["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert choices(prefect_server, "test-connectivity", "sources") == ["retail/billing", "retail/orders"]
    assert choices(prefect_server, "test-connectivity", "groups") == ["local"]
    assert "hologres" in choices(prefect_server, "create-data-source", "type")


def test_the_server_plans_runs_of_the_health_check(prefect_server: PrefectServer) -> None:
    list(deploy.deploy())
    found = deployment(prefect_server, "health-check")
    planned: list[Any] = []
    for _ in range(80):
        planned = prefect_server.runs(deployments={"id": {"any_": [found["id"]]}})
        if len(planned) > 1:
            break
        time.sleep(0.5)
    assert {run["state"]["name"] for run in planned} == {"Scheduled"}


def test_choices_follow_the_registry(prefect_server: PrefectServer) -> None:
    list(deploy.deploy())
    assert deploy.sync_choices() is False, "nothing has changed since"
    with open_store() as store:
        apply_texts(store, [("more.yaml", MORE)], store.by("test"))

    assert deploy.sync_choices() is True
    assert "wholesale/stock" in choices(prefect_server, "test-connectivity", "sources")
    assert choices(prefect_server, "create-data-source", "workspace") == ["retail", "wholesale"]
    health = deployment(prefect_server, "health-check")
    assert health["schedules"], "only the form was changed"
    assert health["tags"] == ["headwater"]


def test_worker_groups_follow_the_registry(prefect_server: PrefectServer) -> None:
    far = "version: 1\nresource_groups: [{name: far, kind: worker, worker: {work_pool: far-pool}}]\n"
    with open_store() as store:
        apply_texts(store, [("far.yaml", far)], store.by("test"))
    assert deploy.sync_choices() is True
    assert prefect_server.get("/deployments/name/check-here/far")["work_pool_name"] == "far-pool"

    assert synced() == (False, "and Prefect's library unread"), "seen at a glance that it is as it should be"


def test_what_is_applied_can_be_chosen_at_once(prefect_server: PrefectServer, tmp_path: Path) -> None:
    list(deploy.deploy())
    file = tmp_path / "another.yaml"
    file.write_text(MORE.replace("wholesale", "outlet"))
    command = [sys.executable, "-m", "flows.cli", "apply", "-f", str(file)]
    telling = [command[0], "-X", "importtime", *command[1:]]
    said = subprocess.run(telling, cwd=ROOT, capture_output=True, text=True, check=True)
    imported, others = told_apart(said.stderr)
    assert others == []
    assert "httpx" in imported
    assert "prefect" not in imported, "nobody waits for Prefect's library"
    assert "outlet/stock" in choices(prefect_server, "test-connectivity", "sources")

    file.write_text(MORE.replace("wholesale", "kiosk"))
    elsewhere = {**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=elsewhere)
    assert "does not answer" in said.stderr
    assert "headwater deploy" in said.stderr


def test_a_schedule_that_was_taken_out_of_the_file_is_gone(prefect_server: PrefectServer, tmp_path: Path) -> None:
    list(deploy.deploy())
    assert deployment(prefect_server, "health-check")["schedules"]
    shutil.copytree(ROOT / "flows", tmp_path / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "prefect.yaml").read_text()
    (tmp_path / "prefect.yaml").write_text(text.replace("    schedules:\n      - interval: 900\n", ""))

    said = list(deploy.deploy(tmp_path))

    assert "cleared 1 schedule(s) of health-check/health-check: prefect.yaml has none" in said
    assert deployment(prefect_server, "health-check")["schedules"] == []


@pytest.mark.parametrize(
    ("field", "literal", "accepted"),
    [
        ("password", "canary-form-3", "env:ORDERS_PASSWORD"),
        ("keystorePassword", "canary-form-3", "file:/run/secrets/key"),
        ("jdbc_url", "jdbc:postgresql://app:canary-form-3@db/orders", "jdbc:postgresql://db/orders"),
    ],
)
def test_the_server_refuses_a_literal_secret_before_it_stores_it(
    prefect_server: PrefectServer, field: str, literal: str, accepted: str
) -> None:
    list(deploy.deploy())
    found = deployment(prefect_server, "create-data-source")
    parameters = {"workspace": "retail", "name": "referring", "type": "postgresql"}

    def ask(value: str) -> httpx.Response:
        body = {"parameters": {**parameters, "prod": {field: value}}, "state": {"type": "PENDING"}}
        return prefect_server.ask("POST", f"/deployments/{found['id']}/create_flow_run", body)

    assert ask(literal).status_code == httpx.codes.CONFLICT
    files = [path.read_bytes() for path in prefect_server.home.rglob("*") if path.is_file()]
    assert not any(b"canary-form-3" in content for content in files)
    assert ask(accepted).status_code == httpx.codes.CREATED


def test_no_server_is_told_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}),
        pytest.raises(HeadwaterError, match=r"does not answer[^\n]*\n  start one with `prefect server start`"),
    ):
        list(deploy.deploy())
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert deploy.sync_choices() is False
