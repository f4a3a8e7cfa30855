"""`headwater source`: one group of verbs for the life of data sources; the modules of the verbs add them."""

from __future__ import annotations

import typer

app = typer.Typer(help="The life of data sources: delete, restore, ...", no_args_is_help=True)


@app.callback()
def source() -> None:
    """The life of data sources."""
