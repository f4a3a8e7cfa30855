"""`headwater plan`: the plans of every kind that are kept, and what is in them."""

from __future__ import annotations

from typing import Annotated

import typer

from flows import completing
from flows.options import Form, Output
from flows.terminal import dump, table

app = typer.Typer(help="Plans that are kept: upgrades, repoints, deletions.", no_args_is_help=True)


@app.callback()
def plan() -> None:
    """Plans that are kept."""


@app.command("list")
def list_plans(
    kind: Annotated[str | None, typer.Option(help="Only this kind: upgrade, repoint, delete.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 20,
    output: Form = Output.TABLE,
) -> int:
    """List plans, the newest first."""
    from registry.store import open_store

    with open_store() as store:
        found = store.plans.list(kind=kind, limit=limit, by=store.by())
    if output is Output.JSON:
        dump(
            [
                {
                    "plan": one.id,
                    "kind": one.kind,
                    "state": one.state,
                    "creator": one.creator,
                    "created_at": one.created_at.isoformat(timespec="seconds"),
                    "expires_at": one.expires_at.isoformat(timespec="seconds"),
                    "why": one.why,
                }
                for one in found
            ]
        )
        return 0
    table(
        ("plan", "kind", "state", "by", "until", "why"),
        [(one.id, one.kind, one.state, one.creator, f"{one.expires_at:%Y-%m-%d %H:%M}", one.why) for one in found],
    )
    return 0


@app.command()
def show(
    plan: Annotated[
        str,
        typer.Argument(help="The id of a plan, or its beginning.", show_default=False, autocompletion=completing.plans),
    ],
    output: Form = Output.TABLE,
) -> int:
    """Show a plan with its steps."""
    from flows.commands.repointing import document
    from registry.store import open_store
    from tasks.repointing import report

    with open_store() as store:
        found = store.plans.get(plan, store.by())
        steps, counts = store.plans.steps(found.id), store.plans.counts(found.id)
    if output is Output.JSON:
        dump(document(found, steps))
        return 0
    print(f"{found.kind} {found.id}: {found.state}, by {found.creator}, until {found.expires_at:%Y-%m-%d %H:%M} UTC")
    print(f"digest {found.digest}")
    print(", ".join(f"{count} {state}" for state, count in counts.items()) or "no steps")
    if found.kind == "repoint":
        for line in report.lines(found, steps):
            print(line)
        return 0
    rows = [(step.state, str(step.wave + 1), _action(step.action), step.message) for step in steps]
    table(("state", "wave", "step", "why"), rows)
    return 0


def _action(action: object) -> str:
    """What a step does, on one line."""
    if not isinstance(action, dict):
        return str(action)
    return ", ".join(f"{name}={value}" for name, value in action.items() if isinstance(value, (str, int)))
