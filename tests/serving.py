"""A Prefect server of the tests' own, a real PostgreSQL beside it, and a registry that knows it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.embedded_postgresql import EmbeddedPostgresql, free_port

ROOT = Path(__file__).resolve().parent.parent

#: Passwords that must not be found anywhere afterwards.
GOOD_PASSWORD = "canary-good-9f3a"
WRONG_PASSWORD = "canary-wrong-51bc"
STORED_PASSWORD = "canary-stored-77de"


#: Seconds in which a server starts on a busy machine, less than a test may take.
_PATIENCE = 110


#: Tables that a server fills when it starts.
_OWN_TABLES = ("alembic_", "block_schema", "block_type", "configuration", "sqlite_")


class PrefectServer:
    """`prefect server start` with a home of its own on a free port."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = f"{self.url}/api"
        self.log = folder / "server.log"
        # Reading the authorities of this machine for each question would take longer than the question itself.
        self._client = httpx.Client(verify=False, timeout=70, limits=httpx.Limits(max_keepalive_connections=0))
        self.settings = {
            "PREFECT_API_URL": self.api,
            "PREFECT_HOME": str(folder),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2",
            "DO_NOT_TRACK": "1",
        }

    def start(self) -> None:
        """Start it; returns when it is healthy."""
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=self.environment(), stdout=log, stderr=log, cwd=self.home)
        patience = time.monotonic() + _PATIENCE
        while time.monotonic() < patience and self.process.poll() is None:
            try:
                if self._client.get(f"{self.api}/health", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        raise RuntimeError("the Prefect server does not start:\n" + self.log.read_text()[-3000:])

    def stop(self) -> None:
        """Stop it."""
        end(self.process)
        self._client.close()

    def forget(self) -> None:
        """Leave nothing of what was made there: it is then as after its first start."""
        with closing(sqlite3.connect(self.home / "prefect.db", timeout=60, isolation_level="IMMEDIATE")) as database:
            database.execute("PRAGMA secure_delete = ON")  # secrets that a test plants are gone from the file, too
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            with database:
                for name in tables:
                    if not name.startswith(_OWN_TABLES):
                        database.execute(f'DELETE FROM "{name}"')
            for _ in range(100):
                if database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0:
                    return
                time.sleep(0.1)
            raise RuntimeError("the Prefect server does not let go of its database")

    def environment(self) -> dict[str, str]:
        """The environment of programs that work with it."""
        return {**os.environ, **self.settings}

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """The API's answer, asked again while its SQLite is busy."""
        for _ in range(20):
            answer = self._client.request(method, f"{self.api}{path}", json=None if body is None else dict(body))
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(0.5)
        return answer

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer's JSON."""
        return self.ask("POST", path, body).raise_for_status().json()

    def get(self, path: str) -> Any:
        """The answer's JSON."""
        return self.ask("GET", path).raise_for_status().json()

    def delete(self, path: str) -> None:
        """Take away what is at a path, if it is there."""
        answer = self.ask("DELETE", path)
        if answer.status_code != httpx.codes.NOT_FOUND:
            answer.raise_for_status()

    def runs(self, **filters: Any) -> list[Any]:
        """Flow runs, newest first."""
        return list(self.post("/flow_runs/filter", {"sort": "EXPECTED_START_TIME_DESC", **filters}))

    def artifacts(self, key: str) -> list[str]:
        """The versions of an artifact, newest first."""
        body = {"sort": "CREATED_DESC", "artifacts": {"key": {"any_": [key]}}}
        return [one["data"] for one in self.post("/artifacts/filter", body)]


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program that the tests started."""
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def prefect_server(prefect_server_of_all: PrefectServer) -> PrefectServer:
    """A server that nothing was made on by tests of other files; flows of this process run against it."""
    prefect_server_of_all.forget()
    return prefect_server_of_all


@pytest.fixture(scope="session")
def prefect_server_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """The server of this process, which takes long to start."""
    server = PrefectServer(tmp_path_factory.mktemp("prefect"))
    before = {name: os.environ.get(name) for name in server.settings}
    os.environ.update(server.settings)
    try:
        server.start()
        from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

        with temporary_settings({PREFECT_API_URL: server.api, PREFECT_HOME: server.home}):
            yield server
    finally:
        server.stop()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="session")
def postgresql() -> Iterator[EmbeddedPostgresql]:
    """A real server with the table `orders`."""
    folder = Path(tempfile.mkdtemp(prefix="headwater-pg-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgresql(folder / "server", GOOD_PASSWORD) as server:
            server.execute("CREATE TABLE orders (id int)", "INSERT INTO orders VALUES (1)")
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def registry_text(port: int, *, closed: int) -> str:
    """One data source that is well in prod and whose dev server is down; one that is wrong on both sides."""
    return f"""
version: 1
resource_groups:
  - {{name: local, kind: local}}
workspaces:
  - name: retail
    mode: standard
    resource_groups: [local]
    data_sources:
      - name: orders
        type: postgresql
        dev:
          {{address: [{{host: 127.0.0.1, port: {closed}}}], database: postgres, username: postgres,
           password: "env:GOOD_PASSWORD"}}
        prod:
          {{address: [{{host: 127.0.0.1, port: {port}}}], database: postgres, username: postgres,
           password: "env:GOOD_PASSWORD", objects: [orders]}}
      - name: billing
        type: postgresql
        dev:
          {{address: [{{host: localhost, port: {port}}}], database: nowhere, username: postgres,
           password: "env:GOOD_PASSWORD"}}
        prod:
          {{address: [{{host: 127.0.0.1, port: {port}}}], database: postgres, username: postgres,
           password: "env:WRONG_PASSWORD"}}
"""


@pytest.fixture
def registry(tmp_path: Path, postgresql: EmbeddedPostgresql, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose registry holds two data sources; told to this process and its children by the environment."""
    from registry.apply import apply_texts
    from registry.store import open_store

    home = tmp_path / "home"
    monkeypatch.setenv("HEADWATER_HOME", str(home))
    monkeypatch.setenv("GOOD_PASSWORD", GOOD_PASSWORD)
    monkeypatch.setenv("WRONG_PASSWORD", WRONG_PASSWORD)
    monkeypatch.delenv("HEADWATER_DATABASE_URL", raising=False)
    monkeypatch.delenv("HEADWATER_KEYRING", raising=False)
    with open_store() as store:
        apply_texts(store, [("retail.yaml", registry_text(postgresql.port, closed=free_port()))], store.by("test"))
    return home
