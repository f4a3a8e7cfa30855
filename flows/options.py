"""Options and arguments that several commands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from flows import completing


class Output(StrEnum):
    """The forms of output."""

    TABLE = "table"
    JSON = "json"


Form = Annotated[Output, typer.Option("--output", "-o", help="Form of the output.")]
Why = Annotated[str, typer.Option(help="The reason, for the audit.")]
Source = Annotated[
    str,
    typer.Argument(help="NAME or WORKSPACE/NAME.", show_default=False, autocompletion=completing.sources),
]
OfWorkspace = Annotated[
    str | None,
    typer.Option("--workspace", "-w", help="The workspace of SOURCE.", autocompletion=completing.workspaces),
]
Workspace = Annotated[
    str | None,
    typer.Option("--workspace", "-w", help="Only this workspace.", autocompletion=completing.workspaces),
]
