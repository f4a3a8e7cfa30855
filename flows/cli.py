"""The command line: `headwater`, or `python -m flows.cli`.

Exit status: 0 when all is well (for `test`: every verdict is Connectable), 1 when it is not, 2 for wrong usage or a
broken set-up, 130 after Ctrl-C, 141 when the reader of the output has gone.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from flows.commands import keys, operate, registering, sources, testing
from registry.errors import HeadwaterError

app = typer.Typer(
    name="headwater",
    help="The lifecycle of data sources: register, test, diagnose, watch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (testing, registering, sources, operate):
    module.register(app)
app.add_typer(keys.app, name="keys")

_WRONG_USAGE = 2
_INTERRUPTED = 130
_BROKEN_PIPE = 141


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    try:
        result = app(standalone_mode=False)
        sys.stdout.flush()
    except HeadwaterError as error:
        _leave(_WRONG_USAGE, f"headwater: {error}")
    except typer.Abort:
        _leave(_INTERRUPTED, "headwater: interrupted")
    except KeyboardInterrupt:
        _leave(_INTERRUPTED, "headwater: interrupted")
    except BrokenPipeError:
        _leave(_BROKEN_PIPE)
    except Exception as error:  # click's own errors carry their status and text
        if not hasattr(error, "exit_code") or not hasattr(error, "show"):
            raise
        error.show()
        _leave(int(error.exit_code))
    _leave(int(result) if isinstance(result, int) else 0)


def _leave(status: int, message: str = "") -> NoReturn:
    if message:
        print(message, file=sys.stderr)
    # The interpreter flushes the streams at its end: a pipe that nobody reads any more would then be told again.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


if __name__ == "__main__":
    main()
