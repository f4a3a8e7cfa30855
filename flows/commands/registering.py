"""`headwater apply` and `headwater export`: the registry as files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.options import Form, Output, Why, Workspace
from flows.terminal import ProgressLine, dump
from registry.errors import HeadwaterError

if TYPE_CHECKING:
    from registry.apply import Applied
    from registry.store import Store


def apply(
    file: Annotated[str, typer.Option("--file", "-f", help="A YAML or JSON file, a folder of them, or - .")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference; change nothing.")] = False,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Bring the registry to what a file says, all of it or nothing."""
    from registry import apply as applying
    from registry.store import open_store

    with open_store() as store, ProgressLine() as progress:
        done = applying.apply(store, file, store.by(why), dry_run=dry_run, progress=progress.show)
    if output is Output.JSON:
        dump(as_document(done))
    else:
        print_applied(done)
    if not dry_run and any(change.action == "create" for change in done.changes):
        _refresh_forms()
    return 0


def _refresh_forms() -> None:
    """New things are to be chosen in the forms of the Prefect server at once; that it is down undoes no apply."""
    if not os.environ.get("PREFECT_API_URL"):
        return
    from flows.deploy import sync_choices

    try:
        sync_choices()
    except HeadwaterError as error:
        print(f"! the forms on the Prefect server keep their choices: {error.reason}", file=sys.stderr)
        print("  run `headwater deploy` when it answers", file=sys.stderr)


class To(StrEnum):
    """What an export is for."""

    HEADWATER = "headwater"
    PREFECT = "prefect"


def export(
    workspace: Workspace = None,
    to: Annotated[To, typer.Option(help="headwater: for `apply`; prefect: blocks of prefect-sqlalchemy.")] = (
        To.HEADWATER
    ),
    yes: Annotated[
        bool, typer.Option("--yes", help="With --to prefect: save the blocks, passwords too, on the Prefect server.")
    ] = False,
) -> int:
    """Write the registry as a file that `apply` reads, or as blocks; secrets stand as references."""
    from registry import export as exporting
    from registry.store import open_store

    if yes and to is not To.PREFECT:
        raise typer.BadParameter("--yes: goes with --to prefect")
    with open_store() as store:
        among = _open_to_export(store, workspace)
        if to is To.PREFECT:
            return _to_prefect(store, workspace, among, yes)
        sys.stdout.write(exporting.export(store, workspace, among=among, by=store.by()))
    return 0


def _open_to_export(store: Store, workspace: str | None) -> Sequence[str] | None:
    """The workspaces that whoever acts may look into; None: all of them. What is left out is told."""
    from registry.access import Verb

    if workspace is not None:
        store.expect(Verb.GET, workspace)
        return None
    among = store.visible(Verb.GET)
    if among is not None:
        closed = [one.name for one in store.workspaces.list() if one.name not in among]
        if not among:
            store.expect(Verb.GET, *closed)
        print(f"! left out, as {store.by().actor} may not look into them: {', '.join(closed)}", file=sys.stderr)
    return among


def _to_prefect(store: Store, workspace: str | None, among: Sequence[str] | None, save: bool) -> int:
    from registry.access import Verb
    from registry.errors import InvalidInput
    from registry.export_prefect import blocks

    found = blocks(store, workspace, among=among)
    for path, why in found.left_out.items():
        print(f"! {path}: {why}: it is left out", file=sys.stderr)
    if not save:
        dump([dict(block.document) for block in found.blocks])
        return 0
    if not os.environ.get("PREFECT_API_URL"):
        told = "no Prefect server is named"
        raise InvalidInput(
            told, where="PREFECT_API_URL", instruction="export PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    store.expect(Verb.USE, *sorted({block.path.partition("/")[0] for block in found.blocks}))
    from flows import prefect_blocks

    for line in prefect_blocks.save(store, found.blocks):
        print(line)
    return 0


def as_document(done: Applied) -> dict[str, Any]:
    """The same as `print_applied`, as data."""
    return {
        "dry_run": done.dry_run,
        "changes": [
            {"object": change.object, "action": str(change.action), "fields": _sides(change.fields)}
            for change in done.changes
            if change.action != "unchanged"
        ],
        "unchanged": sum(1 for change in done.changes if change.action == "unchanged"),
        "notices": [{"where": notice.where, "code": notice.code, "message": notice.message} for notice in done.notices],
    }


def _sides(fields: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    return {name: {"before": before, "after": after} for name, (before, after) in fields.items()}


_SIGNS = {"create": "+", "update": "~"}


def print_applied(done: Applied) -> None:
    """What was changed, field by field, and how many of what."""
    for change in done.changes:
        if change.action == "unchanged":
            continue
        print(f"{_SIGNS[change.action]} {change.object}")
        if change.action == "update":
            for name, (before, after) in change.fields.items():
                print(f"    {name}: {_told(before)} -> {_told(after)}")
    for notice in done.notices:
        print(f"! {notice.where}: {notice.code}: {notice.message}", file=sys.stderr)
    counts = [f"{sum(1 for change in done.changes if change.action == action)} {word}" for action, word in _WORDS]
    print(("would be: " if done.dry_run else "") + ", ".join(counts))


_WORDS = (("create", "created"), ("update", "updated"), ("unchanged", "unchanged"))


def _told(value: Any) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False, default=str)
