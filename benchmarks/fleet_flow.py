"""10,000 data sources through the `health-check` flow on a real Prefect server, and the same checks without Prefect.

A tenth of the sources is one good PostgreSQL, the rest are closed ports on addresses of their own. The two take turns.
The floor does the flow's own work, checks and verdicts kept in the registry; the rest of the flow's wall time is
Prefect's share: task runs, states, artifacts, logs.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.common import Row, entry, free_port, home, postgresql, register

_COUNT = 10_000
_TURNS = 3


def run() -> Iterator[Row]:
    """Medians of the turns; the first one, which warms everything up, is left out."""
    with postgresql() as server, home() as folder, _prefect_server(folder):
        closed = free_port()
        register(
            folder,
            {
                f"source_{number:05}": entry(server.port)
                if number % 10 == 0
                else entry(closed, f"127.1.{number // 250}.{number % 250 + 1}")
                for number in range(_COUNT)
            },
        )
        flow, bare = [], []
        for _ in range(_TURNS + 1):
            bare.append(_time(_bare))
            flow.append(_time(_flow))
    share = statistics.median((a - b) / a for a, b in zip(flow[1:], bare[1:], strict=True))
    yield Row(f"{_COUNT:,} sources through the flow", statistics.median(flow[1:]), "s", "-")
    yield Row("the same checks without Prefect", statistics.median(bare[1:]), "s", "-")
    yield Row("Prefect's share of the wall time", share * 100, "%", "<= 10 %")


def _time(work: object) -> float:
    started = time.perf_counter()
    asyncio.run(work())  # type: ignore[operator]
    return time.perf_counter() - started


async def _bare() -> None:
    from flows import checking
    from registry.store import open_store

    with open_store() as store:
        batch = []
        async for verdict in checking.run(checking.gather(store)):
            batch.append(verdict)
            if len(batch) == 500:
                await asyncio.to_thread(store.verdicts.record, batch)
                batch = []
        await asyncio.to_thread(store.verdicts.record, batch)


async def _flow() -> None:
    from flows.health_check import health_check

    state = await health_check(return_state=True)
    assert state.is_completed(), state.message


@contextmanager
def _prefect_server(folder: Path) -> Iterator[None]:
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    os.environ.update(
        PREFECT_HOME=str(folder / "prefect"),
        PREFECT_API_URL=api,
        PREFECT_LOGGING_LEVEL="ERROR",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
    )
    words = [str(Path(sys.executable).parent / "prefect"), "server", "start", "--port", str(port)]
    server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(240):
            with suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(f"{api}/health", timeout=2):
                break
            time.sleep(0.25)
        yield
    finally:
        server.terminate()
        server.wait(timeout=20)
