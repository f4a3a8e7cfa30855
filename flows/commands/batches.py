"""Many data sources at once, from a CSV sheet."""

from __future__ import annotations

from typing import Annotated

import typer

from flows import completing
from flows.options import Form, Output, Why
from flows.terminal import ProgressLine, dump


def add_many(
    file: Annotated[str, typer.Argument(help="A CSV file, or - .", show_default=False)],
    workspace: Annotated[
        str, typer.Option("--workspace", "-w", help="Into this workspace.", autocompletion=completing.workspaces)
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be made; change nothing.")] = False,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Make the data sources of a sheet, all of them or none; a row an entry."""
    from flows.commands.registering import as_document, print_applied
    from registry import sheets
    from registry.store import open_store

    with open_store() as store, ProgressLine() as progress:
        done = sheets.add_many(store, file, workspace, store.by(why), dry_run=dry_run, progress=progress.show)
    if output is Output.JSON:
        dump(as_document(done))
    else:
        print_applied(done)
    return 0


def template(
    type_: Annotated[
        str, typer.Argument(metavar="TYPE", help="A type.", show_default=False, autocompletion=completing.types)
    ],
) -> int:
    """Print a sheet for data sources of a type, to be filled in."""
    from registry import sheets

    print(sheets.template(type_), end="")
    return 0
