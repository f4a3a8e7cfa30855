"""What holds for every test run: skipped is not passed where CI=true, and failures are kept for the last lines."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import statements
from tests.lab import recording
from tests.lab.matrix import PAGE, Matrix

# A run that was started in the background ignores Ctrl-C, and every program that tests start would do so too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines are shared: how long one example takes says nothing.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

#: Lines of a failure's reason, and characters of a line, that are kept for the last lines of a log.
_REASON, _WIDEST = 15, 200

#: The scenarios of this run.
MATRIX = pytest.StashKey[Matrix]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MATRIX] = Matrix()
    recording.install_if_asked()
    statements.share()


def pytest_collection_finish() -> None:
    """What is loaded by now stays: looking through it for garbage again and again finds none, and takes its time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take in the scenarios that a process of a parallel run recorded."""
    node.config.stash[MATRIX].load(getattr(node, "workeroutput", {}).get("matrix", ()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["matrix"] = config.stash[MATRIX].dump()
    elif _forbidden_skips(config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _forbidden_skips(config):
        terminalreporter.write_line("CI=true: a skipped test counts as a failure", red=True)
    path = os.environ.get("HEADWATER_FAILURES")
    if path and not hasattr(config, "workeroutput"):
        with Path(path).open("a") as file:
            file.writelines(_told(report) for report in _failures(terminalreporter))
    matrix = config.stash[MATRIX]
    if matrix.rows:
        terminalreporter.write_line(matrix.totals())
    if matrix.rows and os.environ.get("HEADWATER_WRITE_MATRIX") == "1":
        terminalreporter.section("scenarios")
        terminalreporter.write_line(matrix.text())
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(matrix.markdown())
        terminalreporter.write_line(f"written to {PAGE}")


def _failures(reporter: pytest.TerminalReporter) -> Iterator[pytest.TestReport | pytest.CollectReport]:
    for kind in ("error", "failed"):
        yield from reporter.stats.get(kind, ())


def _told(report: pytest.TestReport | pytest.CollectReport) -> str:
    """A failure in a few lines: its name, and what was found in place of what was expected."""
    crash = getattr(report.longrepr, "reprcrash", None)
    reason = f"{crash.path}:{crash.lineno}\n{crash.message}" if crash else report.longreprtext
    lines = [line[:_WIDEST] for line in reason.splitlines()[:_REASON]]
    return "\n".join((f"FAILED {report.nodeid}", *(f"    {line}" for line in lines), ""))


def _forbidden_skips(config: pytest.Config) -> bool:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return os.environ.get("CI") == "true" and reporter is not None and bool(reporter.stats.get("skipped"))
