"""Every benchmark, in one run: `python -m benchmarks [NAME ...] [--write]`.

Each gives rows of (what, value, unit, target); a ratio is measured against its floor in the same run, in turns, because
machines are shared and noisy. `--write` keeps the results in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

NAMES = ("cold_start", "warm_checks", "dead_sources", "ssh_vantage", "registry", "dependents", "fleet_flow", "repoint")
_RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    """Run the named benchmarks, all of them by default, and print a table."""
    wanted = [name for name in sys.argv[1:] if not name.startswith("--")] or list(NAMES)
    lines = ["| benchmark | what | measured | target |", "|---|---|---|---|"]
    for name in wanted:
        print(f"-- {name}", flush=True)
        for row in importlib.import_module(f"benchmarks.{name}").run():
            lines.append(f"| {name} | {row.what} | {row.value:,.2f} {row.unit} | {row.target} |")
            print(lines[-1], flush=True)
    if "--write" in sys.argv:
        _RESULTS.write_text(f"{_heading()}\n\n" + "\n".join(lines) + "\n")


def _heading() -> str:
    when = datetime.now(UTC).date().isoformat()
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"# Results\n\nMeasured on {when}: {machine}. Medians; how each is taken is in [README.md](README.md)."


if __name__ == "__main__":
    main()
