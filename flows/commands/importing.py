"""`headwater import`: connections of other tools."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import completing
from flows.options import Form, Output, Why
from flows.terminal import ProgressLine, dump

if TYPE_CHECKING:
    from registry.taking_over import Imported


class Keep(StrEnum):
    """What becomes of the secrets in an export."""

    ENV = "env"
    STORE = "store"


class Side(StrEnum):
    """The environments."""

    DEV = "dev"
    PROD = "prod"


def _formats(incomplete: str) -> list[str]:
    from registry.importing import catalogue

    return [name for name in catalogue() if name.startswith(incomplete)]


def import_(
    file: Annotated[str, typer.Argument(help="An export, a folder of them, or - .", show_default=False)],
    workspace: Annotated[
        str, typer.Option("--workspace", "-w", help="Into this workspace.", autocompletion=completing.workspaces)
    ],
    format_: Annotated[
        str | None,
        typer.Option("--format", help="airflow, dataworks, dbt, dolphinscheduler or prefect.", autocompletion=_formats),
    ] = None,
    env: Annotated[
        Side | None,
        typer.Option("--env", "-e", help="Only this side; what has no environments becomes it (else prod)."),
    ] = None,
    secrets: Annotated[
        Keep,
        typer.Option(help="env: passwords become references to variables, which are named; store: encrypted here."),
    ] = Keep.ENV,
    region: Annotated[str, typer.Option(help="Region of cloud instances whose record names none.")] = "",
    skip_faulty: Annotated[
        bool, typer.Option("--skip-faulty", help="Leave out what cannot be taken over, instead of taking nothing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be made; change nothing.")] = False,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Take over the connections that another tool has exported."""
    from registry.importing import Context
    from registry.store import open_store
    from registry.taking_over import take_over

    context = Context(env.value if env else None, dict(os.environ), region)
    with open_store() as store, ProgressLine() as progress:
        done = take_over(
            store,
            file,
            workspace,
            store.by(why),
            format_=format_,
            context=context,
            keep="env" if secrets is Keep.ENV else "store",
            skip_faulty=skip_faulty,
            dry_run=dry_run,
            progress=progress.show,
        )
    _tell(done, output)
    return 0


def _tell(done: Imported, output: Output) -> None:
    from flows.commands.registering import as_document, print_applied

    if output is Output.JSON:
        skipped = [{"where": one.where, "reason": one.reason} for one in done.skipped]
        document: dict[str, Any] = as_document(done.applied)
        dump({**document, "variables": list(done.variables), "skipped": skipped})
        return
    print_applied(done.applied)
    if done.variables:
        print("the passwords were not kept; these variables name them where sources are tested:")
        for name in done.variables:
            print(f"  export {name}=...")
