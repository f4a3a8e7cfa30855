"""A change of the registry waits for no Prefect server; see `test_deploy.py` for the forms of one that answers."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flows import deploy, following
from registry.errors import HeadwaterError
from tests.flows.syncing import synced
from tests.serving import PrefectServer
from tests.stopwatch import Stopwatch


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one."""
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A server with a password, that nothing is deployed on."""
    server = PrefectServer(tmp_path_factory.mktemp("empty"))
    server.settings |= {"PREFECT_SERVER_API_AUTH_STRING": "admin:right"}
    server.start()
    yield server
    server.stop()


@pytest.mark.prefect
def test_where_nothing_is_deployed_prefects_library_stays_unread(
    empty: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", empty.api)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:right")
    assert synced() == (False, "and Prefect's library unread")


@pytest.mark.prefect
def test_a_server_that_refuses_or_fails_is_told_of(empty: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", empty.api)
    for said, told in (("wrong", "refuses the credentials of Prefect's settings"), ("right", "answers with an error")):
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", f"admin:{said}")
        with damaged(empty.home / "prefect.db"), pytest.raises(HeadwaterError) as refused:
            deploy.sync_choices()
        assert refused.value.reason == f"the Prefect server at {empty.api} {told}"


@contextmanager
def damaged(database: Path) -> Iterator[None]:
    """A server's database without the table that it is asked for."""
    with closing(sqlite3.connect(database, timeout=60)) as opened:
        opened.execute("ALTER TABLE deployment RENAME TO elsewhere")
        try:
            yield
        finally:
            opened.execute("ALTER TABLE elsewhere RENAME TO deployment")


def test_a_server_that_does_not_answer_is_left_alone_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        api = f"127.0.0.1:{mute.getsockname()[1]}/api"
        monkeypatch.setenv("PREFECT_API_URL", f"http://user:hidden@{api}")
        with Stopwatch() as waiting, pytest.raises(HeadwaterError) as refused:
            deploy.sync_choices()
    assert refused.value.reason == f"the Prefect server at http://{api} does not answer in time"
    waiting.within(3, "its answers may take 15 seconds elsewhere")
