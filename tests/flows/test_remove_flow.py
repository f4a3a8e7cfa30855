"""`remove-data-source`: from files that name a source to its deletion, against real servers."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from registry.apply import apply_texts
from registry.store import open_store
from scripts.embedded_postgresql import EmbeddedPostgresql
from tests.flows.test_delete_flow import approve, names
from tests.serving import PrefectServer

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server", "registry"), pytest.mark.timeout(240)]


@pytest.fixture
def specs(tmp_path: Path, postgresql: EmbeddedPostgresql) -> Path:
    """`orders_next` beside `orders`, and a repository of one node that runs SQL on `orders`."""
    sides = (
        f"address: [{{host: {{host}}, port: {postgresql.port}}}], database: postgres, username: postgres, "
        'password: "env:GOOD_PASSWORD"'
    )
    sources = (
        f"      - {{name: {name}, type: postgresql, dev: {{{side}}}, prod: {{{side}}}}}"
        for name, host in (("orders_next", "127.0.0.1"), ("orders_old", "localhost"))
        for side in (sides.replace("{host}", host),)
    )
    text = "version: 1\nworkspaces:\n  - name: retail\n    data_sources:\n" + "\n".join(sources) + "\n"
    with open_store() as store:
        apply_texts(store, [("more.yaml", text)], store.by())
    folder = tmp_path / "specs"
    folder.mkdir()
    node = {
        "id": "1",
        "name": "daily",
        "script": {"path": "daily", "content": "SELECT 1", "runtime": {"command": "POSTGRESQL"}},
        "datasource": {"name": "orders_old", "type": "postgresql"},
    }
    (folder / "daily.json").write_text(json.dumps({"version": "1.1.0", "kind": "Node", "spec": {"nodes": [node]}}))
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def named(folder: Path) -> Any:
    return json.loads((folder / "daily.json").read_text())["spec"]["nodes"][0]["datasource"]["name"]


async def test_dependents_move_before_the_source_goes(prefect_server: PrefectServer, specs: Path) -> None:
    from flows.remove_data_source import remove_data_source

    look_in = {"flowspec": [str(specs)]}
    run = asyncio.create_task(
        remove_data_source(
            source="retail/orders_old", replacement="retail/orders_next", look_in=look_in, return_state=True
        )
    )
    said = await approve(prefect_server, "--why", "the old server is switched off")
    assert said.returncode == 0, said.stderr
    state = await run
    assert state.name == "Deleted", state.message
    assert named(specs) == "orders_next"
    assert "retail/orders_old" not in names()
    (page, *_) = prefect_server.artifacts("headwater-removal")
    assert "Then retail/orders_old is deleted" in page
    with open_store() as store:
        assert [use.name for use in store.dependents.of("retail/orders_next")] == ["daily"]


async def test_what_cannot_move_keeps_the_source_and_nobody_is_asked(
    prefect_server: PrefectServer, specs: Path
) -> None:
    from flows.remove_data_source import remove_data_source

    state = await remove_data_source(
        source="retail/orders_old",
        replacement="retail/billing",
        look_in={"flowspec": [str(specs)]},
        return_state=True,
    )
    assert state.is_failed()
    assert "cannot be moved: daily" in state.message
    assert named(specs) == "orders_old"
    assert "retail/orders_old" in names()
