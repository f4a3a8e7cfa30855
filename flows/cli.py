"""The command line: `headwater`, or `python -m flows.cli`.

Exit status: 0 when all is well (for `test`: every verdict is Connectable), 1 when it is not, 2 for wrong usage or a
broken set-up, 130 after Ctrl-C, 141 when the reader of the output has gone.
"""

from __future__ import annotations

from flows import early

# isort: split
import gc
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from typer.core import TyperGroup

from flows import terminal
from flows.menu import Menu
from registry.errors import HeadwaterError, InvalidInputs

_WRONG_USAGE = 2

#: Faults of one input that are told; a large file may have thousands of the same kind.
_MOST_PROBLEMS = 50

T = TypeVar("T")


class _ReaderGone(Exception):
    """Nobody reads the output any more."""


class _Commands(TyperGroup):
    """Those of the menu. Keeps a closed pipe and Ctrl-C from Typer, which gives them other statuses."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.commands = Menu()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def make_context(self, *args: Any, **more: Any) -> Any:
        return _told(lambda: super(_Commands, self).make_context(*args, **more))

    def invoke(self, ctx: Any) -> Any:
        return _told(lambda: super(_Commands, self).invoke(ctx))


def _told(call: Callable[[], T]) -> T:
    try:
        return call()
    except BrokenPipeError:
        raise _ReaderGone from None
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # rich, which prints the help, leaves by itself
            raise _ReaderGone from None
        raise
    except KeyboardInterrupt:
        raise typer.Abort from None


app = typer.Typer(
    name="headwater",
    cls=_Commands,
    help="The lifecycle of data sources: register, test, diagnose, change, watch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"headwater {version('headwater')}")
        raise typer.Exit


@app.callback()
def headwater(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """The lifecycle of data sources: register, test, diagnose, change, watch."""


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    # A command lives for seconds: looking for cycles after every 700 objects makes it start 5 % later, and finds none.
    gc.set_threshold(200_000)
    early.begin()
    terminal.write_any_character()
    try:
        result = app(standalone_mode=False)
        sys.stdout.flush()
    except HeadwaterError as error:
        _leave(_WRONG_USAGE, f"headwater: {_shortened(error)}")
    except (typer.Abort, KeyboardInterrupt):
        _leave(early.INTERRUPTED, "headwater: interrupted")
    except (_ReaderGone, BrokenPipeError):
        _leave(terminal.READER_GONE)
    except Exception as error:  # click's own errors carry their status and text
        if not hasattr(error, "exit_code") or not hasattr(error, "show"):
            raise
        error.show()
        _leave(int(error.exit_code))
    _leave(int(result) if isinstance(result, int) else 0)


def _shortened(error: HeadwaterError) -> str:
    if not isinstance(error, InvalidInputs) or len(error.problems) <= _MOST_PROBLEMS:
        return str(error)
    left = len(error.problems) - _MOST_PROBLEMS
    return f"{InvalidInputs(error.problems[:_MOST_PROBLEMS])}\nand {left} more like these"


def _leave(status: int, message: str = "") -> NoReturn:
    if message:
        print(message, file=sys.stderr)
    terminal.forget_reader(sys.stdout)
    terminal.forget_reader(sys.stderr)
    gc.freeze()  # Python's end looks for cycles among all that was loaded, a fifth of the time of a short command
    sys.exit(status)


if __name__ == "__main__":
    main()
