"""A Prefect server in the hub: workers at the vantages reach it by the management network, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.lab.hops import HUB
from tests.lab.lab import Lab
from tests.lab.topology import VANTAGES

#: Settings of everything that works with it.
QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
_START_SECONDS = 120.0


class HubServer:
    """`prefect server start` with a home of its own; it goes with the lab.

    It keeps what it is told in a PostgreSQL: on SQLite it would stand still for a minute at a time (docs/operating.md).

    Args:
        settings: More of its settings.

    Attributes:
        api: Its address in the hub.
        database: Its PostgreSQL.
    """

    def __init__(self, lab: Lab, home: Path, port: int, settings: Mapping[str, str] | None = None) -> None:
        self.api = f"http://127.0.0.1:{port}/api"
        self._lab = lab
        self._port = port
        home.mkdir(parents=True)
        self._log = home / "server.log"
        self.database = lab.postgresql(own=f"prefect-{port}", settings={"max_connections": 100})
        self.database.sql("CREATE DATABASE prefect")
        own = {
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://postgres@/prefect?host={self.database.folder}",
        }
        environment = {**os.environ, **QUIET, **own, **(settings or {})}
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "0.0.0.0", "--port", str(port)]
        with self._log.open("wb") as said:
            self._process = subprocess.Popen(
                lab.network.command(HUB, command), env=environment, stdout=said, stderr=said, cwd=home
            )

    def api_from(self, vantage: str) -> str:
        """Its address as a vantage sees it."""
        return f"http://10.99.{VANTAGES[vantage].subnet}.1:{self._port}/api"

    def wait(self) -> None:
        """Until it answers. Raises: RuntimeError: It does not start."""
        ends = time.monotonic() + _START_SECONDS
        while not self._is_well():
            if not self.runs or time.monotonic() > ends:
                raise RuntimeError("the Prefect server does not start:\n" + self.said)
            time.sleep(0.2)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def said(self) -> str:
        """The last words of its log."""
        return self._log.read_text()[-3000:]

    def _is_well(self) -> bool:
        with self._lab.inside(HUB):
            try:
                return httpx.get(f"{self.api}/health", timeout=2).status_code == 200
            except httpx.HTTPError:
                return False
