"""Real Prefect workers with homes of their own, which share nothing with the registry but the server."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.serving import ROOT, end

PYTHON = sys.executable
HEADWATER = str(Path(sys.executable).with_name("headwater"))


class Worker:
    """`prefect worker start` on a pool.

    Args:
        folder: Made for it: its home, its Prefect's home, its log.
        settings: Prefect's settings of the server.
        environment: More variables, such as those that references name.
        hidden: Folders that it cannot see: an empty file system is mounted over them (root alone can do that).
        prefix: A command to run it with, such as one that enters a network namespace.
    """

    def __init__(
        self,
        folder: Path,
        pool: str,
        settings: Mapping[str, str],
        environment: Mapping[str, str] | None = None,
        *,
        hidden: Sequence[Path] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        self.pool = pool
        self.home = folder / "home"
        self.log = folder / "worker.log"
        self.folder = folder
        self._prefix = prefix
        self._hidden = hidden if os.geteuid() == 0 else ()
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER_", "PREFECT_"))}
        self.environment = {
            **bare,
            **settings,
            **(environment or {}),
            "HEADWATER_HOME": str(self.home),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }

    def headwater(self, *arguments: str) -> str:
        """Run the command line on the worker's side; what it prints."""
        return subprocess.run(
            [HEADWATER, *arguments], env=self.environment, check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()

    def start(self) -> None:
        """Start it; returns when it is ready for work."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [PYTHON, "-m", "prefect", "worker", "start", "--pool", self.pool, "--type", "process"]
        if self._hidden:
            mounts = [f"mount -t tmpfs none {shlex.quote(str(folder))}" for folder in self._hidden]
            script = " && ".join([*mounts, f"exec {shlex.join(command)}"])
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._prefix, *command], env=self.environment, stdout=log, stderr=log, cwd=ROOT
            )
        for _ in range(600):
            if "started!" in self.log.read_text():
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError("the worker does not start:\n" + self.log.read_text()[-3000:])

    def stop(self) -> None:
        """Stop it."""
        end(self._process)
