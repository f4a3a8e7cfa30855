"""A program that has loaded `headwater` and becomes it again and again: each command a process of its own, by a fork.

Most of a command's time is Python's start and the loading of modules, which are the same for every command. One request
a line on standard input: arguments, environment, folder, and the files that are to be its standard streams; on standard
output the exit status of each.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

#: What commands load when they need it.
_MODULES = ("registry.apply", "registry.store", "rich.table", "tasks.check", "tasks.fleet")


def main() -> None:
    """Serve requests until standard input ends."""
    cli = importlib.import_module("flows.cli")
    for module in _MODULES:
        importlib.import_module(module)
    gc.freeze()
    while asked := sys.stdin.readline():
        if child := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        else:
            _become(json.loads(asked))
            cli.main()


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


if __name__ == "__main__":
    main()
