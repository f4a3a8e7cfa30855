"""Editing and cloning data sources, one at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from flows import completing
from flows.finding import find
from flows.options import Source, Why
from registry.errors import InvalidInput

Env = Annotated[
    str | None,
    typer.Option(
        "--env",
        "-e",
        help="dev or prod; where there is one side alone it may be left out.",
        autocompletion=completing.environments,
    ),
]


def edit(
    source: Source,
    env: Env = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="FIELD=VALUE of the side, the value as in YAML; may be repeated.")
    ] = None,
    unset: Annotated[list[str] | None, typer.Option(help="A field of the side to leave out.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Add a tag.")] = None,
    untag: Annotated[list[str] | None, typer.Option(help="Take a tag away.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change.")] = False,
    why: Why = "",
) -> int:
    """Edit a data source; never its name, type or environments. Secrets are set by `headwater secret`."""
    from flows.commands.registering import print_applied
    from registry.access import Verb
    from registry.apply import Applied
    from registry.entries import SourceDraft, draft_source
    from registry.store import open_store

    with open_store() as store:
        row = find(store, source, Verb.UPDATE)
        attributes: dict[str, Any] = {}
        if description is not None:
            attributes["description"] = description
        if tag or untag:
            attributes["tags"] = [one for one in dict.fromkeys([*row.tags, *(tag or ())]) if one not in (untag or ())]
        draft = SourceDraft(row.name, row.type, {}, attributes)
        if set_ or unset:
            side = _side(row, env)
            wanted = {**_edited(row.entry(side), set_ or [], unset or [])}
            draft = draft_source(
                row.name,
                row.type,
                {side: wanted},
                where=row.path,
                literals_allowed=False,
                permitted=frozenset(row.permits),
                attributes=attributes,
            )
            gone = replace(draft.entries[side], dropped=frozenset(name.strip() for name in unset or ()))
            draft = replace(draft, entries={side: gone})
        by = store.by(why)
        change = store.sources.update(row.workspace.name, draft, by, expected_version=row.version, dry_run=dry_run)
    print_applied(Applied([change], [], dry_run))
    return 0


def _side(row: Any, env: str | None) -> str:
    held = [entry.env for entry in row.entries]
    if env is None and len(held) == 1:
        return str(held[0])
    if env in held:
        return str(env)
    told = f"{row.path} has no {env} configuration" if env else f"{row.path} has two sides"
    advice = f"say --env {' or --env '.join(held)}" if held else "register it first"
    raise InvalidInput(told, where="env", instruction=advice)


def _edited(entry: Any, changes: list[str], gone: list[str]) -> dict[str, Any]:
    """The fields of an entry as people write them, with these changes."""
    from registry import texts
    from registry.entries import joined

    fields: dict[str, Any] = {**joined(entry.properties, entry.references), "mode": entry.mode}
    for said in changes:
        name, equals, value = said.partition("=")
        if not equals:
            raise InvalidInput(
                f"{said!r} says no value", where="--set", instruction="for example: --set database=orders"
            )
        holder, key = _holder(fields, name.strip())
        holder[key] = texts.parse("--set", f"value: {value}").data["value"]
    for name in gone:
        holder, key = _holder(fields, name.strip())
        if key not in holder:
            raise InvalidInput(f"there is no {name!r} to leave out", where="--unset", instruction=", ".join(fields))
        del holder[key]
    return fields


def _holder(fields: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """Where `name` or `mapping.key` is kept."""
    outer, dot, key = name.partition(".")
    if not dot:
        return fields, name
    inner = dict(fields.get(outer) or {})
    fields[outer] = inner
    return inner, key


def clone(
    source: Source,
    name: Annotated[str, typer.Argument(help="The new name, of at most 60 characters.", show_default=False)],
    env: Annotated[
        list[str] | None,
        typer.Option("--env", "-e", help="Only this side; left out: all.", autocompletion=completing.environments),
    ] = None,
    why: Why = "",
) -> int:
    """Make a data source after another one, with secrets of its own."""
    from registry.access import Verb
    from registry.store import open_store

    with open_store() as store:
        row = find(store, source, Verb.CLONE)
        store.sources.clone(row.workspace.name, row.name, name, store.by(why), envs=env or ())
    print(f"{row.workspace.name}/{name} is as {row.path} is; test it: headwater test {row.workspace.name}/{name}")
    return 0
