"""Looking at what is registered and known: list, show, history, workspaces, groups, types, causes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import completing
from flows.finding import find
from flows.options import Form, Output, Source, Workspace
from flows.terminal import dump, table
from registry.errors import NotFound

if TYPE_CHECKING:
    from registry.model import DataSource


class Sort(StrEnum):
    """What a list is sorted by."""

    NAME = "name"
    CREATE_TIME = "create_time"
    ID = "id"


class Standing(StrEnum):
    """What a list can be narrowed to: the state of the newest verdict."""

    CONNECTABLE = "Connectable"
    CONFIG_ERROR = "ConfigError"
    UNREACHABLE = "Unreachable"
    UNSUPPORT = "Unsupport"
    UNTESTED = "untested"


def list_sources(
    name: Annotated[str | None, typer.Argument(help="A part of the name.", show_default=False)] = None,
    workspace: Workspace = None,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", "-t", help="Only this type; may be repeated.", autocompletion=completing.types),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only with this tag; repeated: with all of them.")] = None,
    state: Annotated[
        list[Standing] | None,
        typer.Option(help="Only those whose newest verdict, from anywhere, is this; may be repeated."),
    ] = None,
    sort: Annotated[Sort, typer.Option(help="What to sort by.")] = Sort.NAME,
    descending: Annotated[bool, typer.Option("--desc", help="Largest or latest first.")] = False,
    page: Annotated[int, typer.Option(min=1, help="Which page.")] = 1,
    page_size: Annotated[int, typer.Option(min=1, max=100, help="Data sources on a page.")] = 10,
    output: Form = Output.TABLE,
) -> int:
    """List data sources, a page at a time."""
    from registry.access import Verb
    from registry.store import open_store

    with open_store() as store:
        among = store.visible(Verb.LIST)
        if workspace is not None:
            store.expect(Verb.LIST, workspace)
        found = store.sources.list(
            workspace=workspace,
            among=among,
            types_=type_ or (),
            name=name,
            tags=tag or (),
            states=[one.value for one in state or ()],
            sort_by=sort.value,
            descending=descending,
            page_number=page,
            page_size=page_size,
            user=store.by().actor,
        )
    if output is Output.JSON:
        shared = {"shared": [_document(row) for row in found.shared]} if found.shared else {}
        listed = [_document(row) for row in found.items]
        dump({"total": found.total, "page": page, "data_sources": listed, **shared})
        return 0
    shown = [*found.items, *found.shared]
    rows = [(row.path, row.type, ", ".join(sorted(e.env for e in row.entries)), _remark(row)) for row in shown]
    table(("data source", "type", "environments", "description"), rows)
    pages = max(1, -(-found.total // page_size))
    beside = f", and {len(found.shared)} shared by others" if found.shared else ""
    print(f"{found.total} data sources, page {page} of {pages}{beside}", file=sys.stderr)
    return 0


def _remark(row: DataSource) -> str:
    # A description may have several lines, a row has one.
    description = " ".join(row.description.split())
    if row.shared_by:
        return f"(shared by {row.shared_by}) {description}".rstrip()
    missing = "".join(f"(no {env} side: fill it in) " for env in _missing(row))
    return f"{missing}{description}".rstrip()


def _missing(row: DataSource) -> tuple[str, ...]:
    from registry.usage import missing_sides

    return () if row.shared_by else missing_sides(row)


def show(source: Source, output: Form = Output.TABLE) -> int:
    """Show one data source: both environments, and the latest verdict from each resource group."""
    from registry.store import open_store

    with open_store() as store:
        row = find(store, source)
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
        dump(document)
    else:
        from registry import texts

        sys.stdout.write(texts.dump(document))
    return 0


def history(source: Source, output: Form = Output.TABLE) -> int:
    """Show who changed a data source, when and why."""
    from registry.store import open_store

    with open_store() as store:
        row = find(store, source)
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
        dump(rows)
    else:
        table(
            ("at", "actor", "action", "object", "why", "after"),
            [
                (*(str(row[key] or "") for key in ("at", "actor", "action", "object", "why")), json.dumps(row["after"]))
                for row in rows
            ],
        )
    return 0


def workspaces(output: Form = Output.TABLE) -> int:
    """List the workspaces with the resource groups that are bound to them."""
    from registry.access import Verb
    from registry.store import open_store

    with open_store() as store:
        among = store.visible(Verb.LIST)
        rows = [row for row in store.workspaces.list() if among is None or row.name in among]
        bound = {row.name: [group.name for group in store.workspaces.resource_groups(row.name)] for row in rows}
    if output is Output.JSON:
        dump(
            [
                {
                    "name": row.name,
                    "mode": row.mode,
                    "resource_groups": bound[row.name],
                    "description": row.description,
                }
                for row in rows
            ]
        )
        return 0
    table(
        ("workspace", "mode", "resource groups", "description"),
        [(row.name, row.mode, ", ".join(bound[row.name]), row.description) for row in rows],
    )
    return 0


def groups(output: Form = Output.TABLE) -> int:
    """List the resource groups: the places that tests run from."""
    from registry.store import open_store

    with open_store() as store:
        found = store.groups.list(store.by())
    if output is Output.JSON:
        dump([{"name": one.name, "kind": one.kind, "settings": one.settings, "network": one.network} for one in found])
    else:
        table(("resource group", "kind", "network"), [(one.name, one.kind, _compact(one.network)) for one in found])
    return 0


def types(output: Form = Output.TABLE) -> int:
    """List the types of data sources: the modules that they are for, and what Data Integration reads and writes."""
    from registry.synchronization import TABLE
    from registry.types import catalogue

    found = catalogue().values()
    if output is Output.TABLE:
        rows = [
            (
                one.name,
                one.title,
                str(one.default_port),
                ", ".join(one.aliases),
                ", ".join(one.modules),
                ", ".join(f"{kind} {does}" for kind, does in TABLE.get(one.name, {}).items() if does != "-"),
            )
            for one in found
        ]
        table(("type", "product", "port", "aliases", "modules", "synchronization"), rows)
        return 0
    dump(
        [
            {
                "name": one.name,
                "title": one.title,
                "aliases": list(one.aliases),
                "default_port": one.default_port,
                "modes": [str(mode) for mode in one.modes],
                "tested": one.tested,
                "kind": one.kind,
                "modules": list(one.modules),
                "synchronization": dict(TABLE[one.name]) if one.name in TABLE else None,
            }
            for one in found
        ]
    )
    return 0


def causes(
    code: Annotated[
        str | None, typer.Argument(help="One code.", show_default=False, autocompletion=completing.causes)
    ] = None,
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
        dump(
            [
                {"code": one.code, "state": str(one.state), "owner": str(one.owner), "meaning": one.meaning}
                for one in wanted
            ]
        )
    else:
        table(
            ("code", "state", "owner", "meaning"),
            [(one.code, str(one.state), str(one.owner), one.meaning) for one in wanted],
        )
    return 0


def _document(row: DataSource) -> dict[str, Any]:
    return {
        "workspace": row.workspace.name,
        "name": row.name,
        **({"shared_by": row.shared_by} if row.shared_by else {}),
        "type": row.type,
        "description": row.description,
        "tags": row.tags,
        **({"missing": list(missing)} if (missing := _missing(row)) else {}),
        "version": row.version,
        "modified_by": row.modifier,
        "modified_at": row.modified_at.isoformat(timespec="seconds"),
        **{entry.env: _entry(entry.mode, entry.properties, entry.references) for entry in row.entries},
    }


def _entry(mode: str, properties: Mapping[str, Any], references: Mapping[str, Any]) -> dict[str, Any]:
    return {"mode": mode, **properties, **references}


def _compact(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False) if fields else ""
