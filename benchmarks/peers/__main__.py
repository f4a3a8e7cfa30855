"""`python -m benchmarks.peers [--tools NAME,...] [--kinds WORDS] [--cap SECONDS] [--folder DIR] [--write]`, as root.

Installs the other tools into environments of their own, makes each of the twenty faults in the lab, has every tool test
the same source from the same place, and prints the table. A good source first: what a tool says of it counts too.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers.kinds import KINDS, Kind, Servers, Source
from benchmarks.peers.tools import GREEN, HANG, NAMED, RAW, TOOLS, TWO_FOLD, WRONG, Said, Tool
from tests.lab.lab import Lab

_RESULTS = Path(__file__).with_name("RESULTS.md")
_VALUES = (NAMED, TWO_FOLD, RAW, WRONG, GREEN, HANG)


def main() -> int:
    """Run everything that is asked for."""
    options = _options()
    tools = [make(options.folder) for make in TOOLS if options.tools is None or make.name in options.tools]
    versions = {tool.name: tool.install() for tool in tools}
    kinds = [kind for kind in KINDS if options.kinds in kind.name]
    lab = Lab()
    try:
        good = _ask_all(lab, tools, Source(Servers.ordinary(lab).v4, password=lab.password), options.cap)
        print("good: " + ", ".join(f"{tool.name} {_seconds(good[tool.name][1])}" for tool in tools), flush=True)
        rows = [_row(lab, kind, tools, options.cap) for kind in kinds]
    finally:
        lab.close()
    text = _table(tools, versions, good, rows, options.cap)
    print(text)
    if options.write:
        _RESULTS.write_text(text)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--tools", type=lambda text: text.split(","), help="only these, separated by commas")
    parser.add_argument("--kinds", default="", help="only the kinds that contain these words")
    parser.add_argument("--cap", type=float, default=60.0, help="seconds after which a tool is ended")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser.add_argument("--folder", type=Path, default=cache / "headwater-peers", help="for the tools' environments")
    parser.add_argument("--write", action="store_true", help=f"keep the table in benchmarks/peers/{_RESULTS.name}")
    return parser.parse_args()


def _row(lab: Lab, kind: Kind, tools: Sequence[Tool], cap: float) -> tuple[Kind, dict[str, tuple[str, float]]]:
    with kind.make(lab) as source:
        said = _ask_all(lab, tools, source, cap)
    worth = {tool.name: (tool.judge(kind, said[tool.name][0]), said[tool.name][1]) for tool in tools}
    print(
        f"{kind.name}: " + ", ".join(f"{name} {word} {_seconds(took)}" for name, (word, took) in worth.items()),
        flush=True,
    )
    return kind, worth


def _ask_all(lab: Lab, tools: Sequence[Tool], source: Source, cap: float) -> dict[str, tuple[Said, float]]:
    """Every tool once: ours alone first, so that nobody disturbs a time of a second; the others beside each other."""
    answers = {tool.name: _ask(lab, tool, source, cap) for tool in tools[:1]}
    with ThreadPoolExecutor(2) as pool:
        others = {tool.name: pool.submit(_ask, lab, tool, source, cap) for tool in tools[1:]}
        return answers | {name: future.result() for name, future in others.items()}


def _ask(lab: Lab, tool: Tool, source: Source, cap: float) -> tuple[Said, float]:
    tool.register(source)
    started = time.perf_counter()
    process = subprocess.Popen(
        lab.network.command(source.vantage, list(tool.command(source))),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if tool.packages else subprocess.DEVNULL,
        text=True,
        env={**os.environ, **tool.environment(source)},
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=cap)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Said(None), cap
    return Said(process.returncode, output), time.perf_counter() - started


def _seconds(value: float) -> str:
    return f"{value:.1f} s"


def _table(
    tools: Sequence[Tool], versions: dict[str, str], good: dict[str, tuple[Said, float]],
    rows: Sequence[tuple[Kind, dict[str, tuple[str, float]]]], cap: float,
) -> str:  # fmt: skip
    when = datetime.now(UTC).date().isoformat()
    lines = [
        "# Side by side",
        "",
        f"Measured on {when}, {os.cpu_count()} cores, cold processes, tools ended after {cap:g} s; the other tools ran",
        "two at a time. *named*: the answer states the cause; *two-fold*: two or more codes, the right one among them;",
        "*raw*: a driver's text is passed on; *WRONG*: another cause is stated; *FALSE GREEN*: called good;",
        "*HANG*: no answer in time.",
        "",
        "| fault | " + " | ".join(f"{tool.name} {versions[tool.name]}" for tool in tools) + " |",
        "|---|" + "---|" * len(tools),
        "| (a good source) | "
        + " | ".join(
            f"{'good' if tool.succeeded(good[tool.name][0]) else 'called bad'}, {_seconds(good[tool.name][1])}"
            for tool in tools
        )
        + " |",
    ]
    for kind, worth in rows:
        lines.append(
            f"| {kind.name} | " + " | ".join(f"{worth[t.name][0]}, {_seconds(worth[t.name][1])}" for t in tools) + " |"
        )
    for value in _VALUES:
        counts = [Counter(worth[tool.name][0] for _, worth in rows)[value] for tool in tools]
        lines.append(f"| **{value}** | " + " | ".join(f"**{count}**" for count in counts) + " |")
    seconds = [sum(worth[tool.name][1] for _, worth in rows) for tool in tools]
    lines.append("| all together | " + " | ".join(_seconds(value) for value in seconds) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
