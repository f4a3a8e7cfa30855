"""Imported before everything else: Ctrl-C while the command line is still being read ends it in one line."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

INTERRUPTED = 130


def _leave(_signal: int, _frame: object) -> NoReturn:
    os.write(2, b"headwater: interrupted\n")
    os._exit(INTERRUPTED)  # nothing has begun that would have to be ended


def begin() -> None:
    """From now on, Ctrl-C is an exception, which ends what is under way."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Whoever imports the command line as a library keeps its own ways.
if sys.argv[0].rpartition(os.sep)[2] == "headwater" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
