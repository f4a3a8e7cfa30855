"""Looking at data sources and changing single things: list, show, history, delete, secret, permit, types, causes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from registry.model import DataSource
    from registry.store import Store


class Output(StrEnum):
    """The forms of output."""

    TABLE = "table"
    JSON = "json"


class Sort(StrEnum):
    """What a list is sorted by."""

    NAME = "name"
    CREATE_TIME = "create_time"
    ID = "id"


Form = Annotated[Output, typer.Option("--output", "-o", help="Form of the output.")]
Source = Annotated[str, typer.Argument(help="NAME or WORKSPACE/NAME.", show_default=False)]
Why = Annotated[str, typer.Option(help="The reason, for the audit.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("list")(list_sources)
    app.command("show")(show)
    app.command("history")(history)
    app.command("delete")(delete)
    app.command("secret")(secret)
    app.command("permit")(permit)
    app.command("types")(types)
    app.command("causes")(causes)


def list_sources(
    name: Annotated[str | None, typer.Argument(help="A part of the name.", show_default=False)] = None,
    workspace: Annotated[str | None, typer.Option("--workspace", "-w", help="Only this workspace.")] = None,
    type_: Annotated[list[str] | None, typer.Option("--type", "-t", help="Only this type; may be repeated.")] = None,
    sort: Annotated[Sort, typer.Option(help="What to sort by.")] = Sort.NAME,
    descending: Annotated[bool, typer.Option("--desc", help="Largest or latest first.")] = False,
    page: Annotated[int, typer.Option(min=1, help="Which page.")] = 1,
    page_size: Annotated[int, typer.Option(min=1, max=100, help="Data sources on a page.")] = 10,
    output: Form = Output.TABLE,
) -> int:
    """List data sources, a page at a time."""
    from registry.store import open_store

    with open_store() as store:
        found = store.sources.list(
            workspace=workspace,
            types_=type_ or (),
            name=name,
            sort_by=sort.value,
            descending=descending,
            page_number=page,
            page_size=page_size,
        )
    if output is Output.JSON:
        _dump({"total": found.total, "page": page, "data_sources": [_document(row) for row in found.items]})
        return 0
    rows = [(row.path, row.type, ", ".join(sorted(e.env for e in row.entries)), row.description) for row in found.items]
    _table(("data source", "type", "environments", "description"), rows)
    pages = max(1, -(-found.total // page_size))
    print(f"{found.total} data sources, page {page} of {pages}")
    return 0


def show(source: Source, output: Form = Output.TABLE) -> int:
    """Show one data source: both environments, and the latest verdict from each resource group."""
    from registry.store import open_store

    with open_store() as store:
        row = _find(store, source)
        document = _document(row)
        latest = store.verdicts.latest(workspace=row.workspace.name, source=row.name)
    document["verdicts"] = [
        {
            "env": one.verdict.env,
            "resource_group": one.verdict.resource_group,
            "state": str(one.verdict.state),
            "cause": one.verdict.cause,
            "since": one.since.isoformat(),
            "checked_at": one.verdict.started_at,
        }
        for one in latest
    ]
    if output is Output.JSON:
        _dump(document)
    else:
        from registry.texts import dump

        sys.stdout.write(dump(document))
    return 0


def history(source: Source, output: Form = Output.TABLE) -> int:
    """Show who changed a data source, when and why."""
    from registry.store import open_store

    with open_store() as store:
        row = _find(store, source)
        objects = [f"data_source:{row.path}", *(f"entry:{row.path}/{entry.env}" for entry in row.entries)]
        records = sorted((one for name in objects for one in store.history(name)), key=lambda record: record.id)
    rows = [
        {
            "at": record.at.isoformat(timespec="seconds"),
            "actor": record.actor,
            "action": record.action,
            "object": record.object,
            "why": record.why,
            "before": record.before,
            "after": record.after,
        }
        for record in records
    ]
    if output is Output.JSON:
        _dump(rows)
    else:
        _table(
            ("at", "actor", "action", "object", "why", "after"),
            [
                (*(str(row[key] or "") for key in ("at", "actor", "action", "object", "why")), json.dumps(row["after"]))
                for row in rows
            ],
        )
    return 0


def delete(
    source: Source,
    why: Why = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Forget a data source with its secrets and verdicts; refused while something refers to it."""
    from registry.store import open_store

    with open_store() as store:
        row = _find(store, source)
        if not yes:
            typer.confirm(f"Delete {row.path} with {len(row.entries)} environments?", abort=True)
        store.sources.delete(row.workspace.name, row.name, store.by(why))
    print(f"deleted {row.path}")
    return 0


def secret(
    source: Source,
    env: Annotated[str, typer.Argument(help="dev or prod.", show_default=False)],
    field: Annotated[str, typer.Argument(help="The field, such as password.", show_default=False)] = "password",
    why: Why = "",
) -> int:
    """Set a secret: typed at a prompt, or read from standard input. It is stored encrypted."""
    from registry.entries import draft_source
    from registry.store import open_store

    with open_store() as store:
        row = _find(store, source)
        entry = row.entry(env)
        if entry is None:
            raise NotFound(f"{row.path} has no {env} configuration", where=f"{row.path}/{env}")
        value = _read_secret(f"{field} of {row.path}/{env}")
        wanted = {**entry.properties, **entry.references, field: value, "mode": entry.mode}
        where = row.path
        draft = draft_source(row.name, row.type, {env: wanted}, where=where, literals_allowed=True)
        store.sources.update(row.workspace.name, draft, store.by(why), expected_version=row.version)
    print(f"stored {field} of {row.path}/{env}, encrypted")
    return 0


def permit(
    source: Source,
    parameter: Annotated[str, typer.Argument(help="The URL parameter to keep.", show_default=False)],
    why: Annotated[str, typer.Option(help="Why it is needed; kept in the audit.", show_default=False)],
) -> int:
    """Let a data source keep a URL parameter that the allow-list removes; takes effect with the next apply."""
    from registry.store import open_store

    with open_store() as store:
        row = _find(store, source)
        store.sources.add_permit(row.workspace.name, row.name, parameter, store.by(why))
    print(f"{row.path} may keep {parameter}; apply its file again")
    return 0


def types(output: Form = Output.TABLE) -> int:
    """List the types of data sources."""
    from registry.types import catalogue

    found = catalogue().values()
    if output is Output.TABLE:
        rows = [(one.name, one.title, str(one.default_port), ", ".join(one.aliases)) for one in found]
        _table(("type", "product", "port", "aliases"), rows)
        return 0
    _dump(
        [
            {
                "name": one.name,
                "title": one.title,
                "aliases": list(one.aliases),
                "default_port": one.default_port,
                "modes": [str(mode) for mode in one.modes],
                "tested": one.tested,
            }
            for one in found
        ]
    )
    return 0


def causes(
    code: Annotated[str | None, typer.Argument(help="One code.", show_default=False)] = None,
    output: Form = Output.TABLE,
) -> int:
    """List the root causes, or say what one means."""
    from tasks.causes import catalogue

    known = catalogue()
    if code is not None and code.upper() not in known:
        from difflib import get_close_matches

        near = ", ".join(get_close_matches(code.upper(), known, n=3, cutoff=0.4))
        raise NotFound(f"no root cause {code!r}", instruction=f"did you mean {near}?" if near else "`headwater causes`")
    wanted = [known[code.upper()]] if code else list(known.values())
    if output is Output.JSON:
        _dump(
            [
                {"code": one.code, "state": str(one.state), "owner": str(one.owner), "meaning": one.meaning}
                for one in wanted
            ]
        )
    else:
        _table(
            ("code", "state", "owner", "meaning"),
            [(one.code, str(one.state), str(one.owner), one.meaning) for one in wanted],
        )
    return 0


def _find(store: Store, source: str) -> DataSource:
    from registry import sources

    workspace, slash, name = source.partition("/")
    if slash:
        return store.sources.get(workspace, name)
    found = store.sources.find(source)
    if not found:
        with store.database.read() as session:
            near = sources.nearest(session, source)
        raise NotFound(f"no data source {source!r} in any workspace", where="source", instruction=near)
    if len(found) > 1:
        names = ", ".join(row.path for row in found)
        raise InvalidInput(f"{source} is in several workspaces", where="source", instruction=f"say which: {names}")
    return found[0]


def _read_secret(what: str) -> str:
    if sys.stdin.isatty():
        value: str = typer.prompt(what, hide_input=True, confirmation_prompt=True)
        return value
    value = sys.stdin.readline().rstrip("\r\n")
    if not value:
        raise InvalidInput("standard input holds no secret", instruction='printf %s "$VALUE" | headwater secret ...')
    return value


def _document(row: DataSource) -> dict[str, Any]:
    return {
        "workspace": row.workspace.name,
        "name": row.name,
        "type": row.type,
        "description": row.description,
        "tags": row.tags,
        "version": row.version,
        "modified_by": row.modifier,
        "modified_at": row.modified_at.isoformat(timespec="seconds"),
        **{entry.env: _entry(entry.mode, entry.properties, entry.references) for entry in row.entries},
    }


def _entry(mode: str, properties: Mapping[str, Any], references: Mapping[str, Any]) -> dict[str, Any]:
    return {"mode": mode, **properties, **references}


def _dump(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A table on a terminal; tab-separated lines in a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    grid = Table(header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    Console().print(grid)
