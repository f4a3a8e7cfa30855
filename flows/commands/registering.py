"""`headwater apply` and `headwater export`: the registry as files."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from registry.apply import Applied


class Output(StrEnum):
    """The forms of output."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("apply")(apply)
    app.command("export")(export)


def apply(
    file: Annotated[str, typer.Option("--file", "-f", help="A YAML or JSON file, a folder of them, or - .")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference; change nothing.")] = False,
    why: Annotated[str, typer.Option(help="The reason, for the audit.")] = "",
    output: Annotated[Output, typer.Option("--output", "-o", help="Form of the output.")] = Output.TEXT,
) -> int:
    """Bring the registry to what a file says, all of it or nothing."""
    from registry import apply as applying
    from registry.store import open_store

    with open_store() as store, _Progress() as progress:
        done = applying.apply(store, file, store.by(why), dry_run=dry_run, progress=progress.show)
    if output is Output.JSON:
        print(json.dumps(_document(done), indent=2, ensure_ascii=False, default=str))
    else:
        _print(done)
    return 0


def export(
    workspace: Annotated[str | None, typer.Option("--workspace", "-w", help="Only this workspace.")] = None,
) -> int:
    """Write the registry as a file that `apply` reads; secrets stand as references."""
    from registry import export as exporting
    from registry.store import open_store

    with open_store() as store:
        sys.stdout.write(exporting.export(store, workspace))
    return 0


def _document(done: Applied) -> dict[str, Any]:
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


def _print(done: Applied) -> None:
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


class _Progress:
    """One line on a terminal's standard error that is written over; nothing elsewhere."""

    def __enter__(self) -> _Progress:
        self._visible = sys.stderr.isatty()
        return self

    def show(self, what: str, done: int, total: int) -> None:
        """Tell how far it has come."""
        if self._visible:
            print(f"\r\x1b[K{what} {done}/{total}", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._visible:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
