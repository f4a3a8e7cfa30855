"""`headwater compare`: development and production of one data source side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import completing
from flows.finding import find
from flows.options import Form, OfWorkspace, Output, Source
from flows.terminal import dump, table
from registry.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from flows.sides import Sides
    from registry.targets import CheckTarget
    from tasks.comparison import Difference


def compare(
    source: Source,
    workspace: OfWorkspace = None,
    group: Annotated[
        str | None,
        typer.Option("--group", "-g", help="Look from this resource group.", autocompletion=completing.groups),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for each check and each survey.", min=0.1, max=3600)] = 15.0,
    count: Annotated[bool, typer.Option("--count", help="Count rows exactly, as far as time allows.")] = False,
    fresh: Annotated[
        str | None, typer.Option(help="The column whose newest value tells how fresh a table is.", show_default=False)
    ] = None,
    output: Form = Output.TABLE,
) -> int:
    """Put dev and prod of a data source side by side, and say which difference explains a failure.

    Read-only. Exit status 0 when nothing differs that a job can tell, 1 when something does, a side fails, or one could
    not be looked into.
    """
    from flows.sides import gather
    from registry.store import open_store
    from tasks.comparison.survey import Wanted

    with open_store() as store:
        row = find(store, source, workspace=workspace)
        found = store.targets(workspace=row.workspace.name, source=row.name, group=group)
        _expect_both(row.path, found)
        wanted = Wanted(count, fresh, statement_ms=max(100, int(timeout * 1000 / 5)))
        sides = asyncio.run(gather(store, found, wanted, timeout=timeout))
        store.verdicts.record(sides.verdicts)
    if output is Output.JSON:
        dump(_document(row.path, sides))
    else:
        _print(sides)
    return 1 if sides.matter or not sides.complete else 0


def _expect_both(path: str, found: Sequence[CheckTarget]) -> None:
    """Raises: InvalidInput, NotFound."""
    if not found:
        raise NotFound(
            f"no resource group is bound to the workspace of {path}",
            where=path,
            instruction="add one to the workspace's resource_groups and apply",
        )
    absent = {"dev", "prod"} - {one.env for one in found if one.connection is not None or one.problem is not None}
    if absent:
        raise InvalidInput(
            f"{path} has no {' and no '.join(sorted(absent))} side: there is nothing to compare",
            where=path,
            instruction="a standard workspace's source has both; add the missing one to the file and apply",
        )


def _document(path: str, sides: Sides) -> dict[str, Any]:
    return {
        "data_source": path,
        "looked_from": dict(sides.looked_from),
        "verdicts": [verdict.model_dump(mode="json") for verdict in sides.verdicts],
        "surveys": {env: asdict(survey) if survey else None for env, survey in sides.surveys.items()},
        "differences": [
            {"aspect": one.aspect, "subject": one.subject, "dev": one.dev, "prod": one.prod, "matters": one.matters}
            | ({"why": one.why} if one.why else {})
            for one in sides.differences
        ],
        "explanations": list(sides.explanations),
        "notes": list(sides.notes),
        "matters": sides.matter,
        "complete": sides.complete,
    }


def _print(sides: Sides) -> None:
    from flows import present

    for verdict in present.ordered(sides.verdicts):
        print(present.line(verdict))
    if sides.differences:
        print()
        table(("", "what", "dev", "prod"), [_row(one) for one in sides.differences])
    print()
    for text in sides.explanations:
        print(f"-> {text}")
    for text in sides.notes:
        print(f"note: {text}")
    if not sides.complete:
        print("Not compared: what the servers are like and hold.")
    elif not sides.matter:
        print("Nothing differs that a job can tell.")


def _row(one: Difference) -> tuple[str, str, str, str]:
    what = {"setting": f"setting {one.subject}", "entry": f"entry: {one.subject}"}.get(one.aspect, one.subject)
    if one.aspect in ("privilege", "rows", "fresh", "kind"):
        what = f"{one.aspect} of {one.subject}"
    return ("differs" if one.matters else "", what, one.dev, one.prod)
