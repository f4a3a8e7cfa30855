"""A program that has loaded `headwater` and becomes it again and again: each command a process of its own, by a fork.

Most of a command's time is Python's start, the loading of modules, the making of the tree of commands and of SQL, which
are the same for every command. One request a line on standard input: arguments, environment, folder, and the files that
are to be its standard streams; on standard output the exit status of each.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer.main

from tests import statements

#: What commands load when they need it, and none of the rehearsed ones does.
_MODULES = ("rich.live", "rich.table", "flows.source_observer", "registry.importing", "tasks.dependents", "tasks.fleet")

#: Commands that are run once before all others; what they load, make and compile, the others have.
_REHEARSED = ("apply -f rehearsal.yaml", "list", "show orders", "history orders", "types", "causes", "export", "test")
_REHEARSAL = """
version: 1
resource_groups: [{name: local, kind: local}]
workspaces:
  - name: rehearsal
    mode: standard
    resource_groups: [local]
    data_sources:
      - {name: orders, type: postgresql, prod: {address: [{host: 127.0.0.1, port: 1}], database: d, username: u,
         password: "env:NOT_SET"}}
"""


def main() -> None:
    """Serve requests until standard input ends."""
    statements.share()
    cli = importlib.import_module("flows.cli")
    for module in _MODULES:
        importlib.import_module(module)
    tree = typer.main.get_command(cli.app)
    typer.main.get_command = lambda _: tree
    [*tree.commands.values()]  # reads every command
    _rehearse(cli)
    gc.collect()
    gc.freeze()
    while asked := sys.stdin.readline():
        if child := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        else:
            _become(json.loads(asked))
            _run(cli)


def _rehearse(cli: Any) -> None:
    """Run commands in a home of their own that is gone afterwards; nothing in them connects to anything."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="headwater-rehearsal-") as folder, contextlib.chdir(folder):
        os.environ["HEADWATER_HOME"] = folder
        os.environ["PREFECT_API_URL"] = ""  # the news of a change take a thread
        Path("rehearsal.yaml").write_text(_REHEARSAL)
        with Path("told").open("w") as told, contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            for command in _REHEARSED:
                cli.app(command.split(), standalone_mode=False)
    os.environ.clear()
    os.environ.update(before)
    assert threading.active_count() == 1, "a fork copies one thread"


def _become(asked: Mapping[str, Any]) -> None:
    """Stand as a process does that was just started with these."""
    signal.alarm(asked["seconds"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        opened = os.open(asked[name], os.O_RDWR)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = asked["arguments"]
    sys.modules["__main__"].__package__ = None  # usage names the program as it was called
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _run(cli: Any) -> None:
    """Run it, and end as a process does, but for taking apart everything that was loaded."""
    try:
        cli.main()
    except SystemExit as leaving:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(leaving.code or 0))


if __name__ == "__main__":
    main()
