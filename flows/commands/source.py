"""`headwater source`: one group of verbs for the life of data sources."""

from __future__ import annotations

import typer

from flows.commands import batches, deleting

app = typer.Typer(help="The life of data sources: delete, restore, ...", no_args_is_help=True)


@app.callback()
def source() -> None:
    """The life of data sources."""


app.command("delete")(deleting.delete_many)
app.command("apply")(deleting.apply)
app.command("restore")(deleting.restore)
app.command("tombstones")(deleting.tombstones)
app.command("add-many")(batches.add_many)
app.command("template")(batches.template)
