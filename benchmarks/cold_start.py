"""The command line from process start to exit, on one good PostgreSQL, beside `python -c pass` and the bare driver."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import PASSWORD, Row, entry, home, postgresql, register

_DRIVER = """
import asyncio, asyncpg, sys
async def main():
    connection = await asyncpg.connect(sys.argv[1])
    await connection.fetch("SELECT 1 FROM orders LIMIT 1")
    await connection.close()
asyncio.run(main())
"""


def run() -> Iterator[Row]:
    """Medians of eleven runs, in turns."""
    with postgresql() as server, home() as folder:
        register(folder, {"orders": entry(server.port)})
        url = server.url("shop", "app", PASSWORD)
        commands = {
            "headwater test": [str(Path(sys.executable).parent / "headwater"), "test", "orders"],
            "bare driver": [sys.executable, "-c", _DRIVER, url],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(12):
            for name, command in commands.items():
                times[name].append(_time(command))
        medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    yield Row("process start to exit, one good PostgreSQL", medians["headwater test"], "s", "<= 1.0 s")
    yield Row("the same by the bare asynchronous driver", medians["bare driver"], "s", "-")
    ratios = [ours / bare for ours, bare in zip(*times.values(), strict=True)]
    yield Row("ratio", statistics.median(ratios[1:]), "x the bare driver", "-")


def _time(command: list[str]) -> float:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - started
