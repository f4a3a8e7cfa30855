"""Changing single things: secret, permit."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from flows import completing
from flows.finding import find
from flows.options import OfWorkspace, Source, Why
from registry.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from registry.model import DataSource, Entry


def secret(
    source: Source,
    env: Annotated[
        str, typer.Argument(help="dev or prod.", show_default=False, autocompletion=completing.environments)
    ],
    field: Annotated[str, typer.Argument(help="The field, such as password.")] = "password",
    workspace: OfWorkspace = None,
    why: Why = "",
) -> int:
    """Set a secret: typed at a prompt, or read from standard input. It is stored encrypted."""
    from registry.access import Verb
    from registry.entries import draft_source, joined
    from registry.parameters import RemovedParameter
    from registry.store import open_store

    with open_store() as store:
        row = find(store, source, Verb.UPDATE, workspace=workspace)
        entry = row.entry(env)
        if entry is None:
            present = ", ".join(one.env for one in row.entries) or "none"
            raise NotFound(f"{row.path} has no {env} configuration", where="env", instruction=f"it has: {present}")
        _expect_secret_field(row, entry, field)
        value = _read_secret(f"{field} of {row.path}/{env}")
        wanted = {**joined(entry.properties, {**entry.references, field: value}), "mode": entry.mode}
        draft = draft_source(
            row.name, row.type, {env: wanted}, where=row.path, literals_allowed=True, permitted=frozenset(row.permits)
        )
        # What was removed from the text when it was applied is still in the text.
        removed = tuple(RemovedParameter(key, reason) for key, reason in entry.removed.items())
        kept = replace(draft, entries={env: replace(draft.entries[env], removed=removed)})
        store.sources.update(row.workspace.name, kept, store.by(why), expected_version=row.version)
    print(f"stored {field} of {row.path}/{env}, encrypted")
    return 0


def _expect_secret_field(row: DataSource, entry: Entry, field: str) -> None:
    """Refuse a field that holds no secret, before anything secret is typed."""
    from registry import types
    from registry.connection import Mode
    from registry.nearest import nearest

    model = types.get(row.type).modes[Mode(entry.mode)]
    name, _, key = field.partition(".")
    known = [*model.sensitive_fields(), *entry.references]
    if field in known or (key and name in model.secret_mappings and model.secret_keys({key: ""})):
        return
    near = nearest(field, known)
    advice = f"did you mean {near[0]}?" if near else f"secrets of {row.type}: {', '.join(dict.fromkeys(known))}"
    raise InvalidInput(f"{field!r} is no secret of {row.type}", where="field", instruction=advice)


def _read_secret(what: str) -> str:
    if sys.stdin.isatty():
        value: str = typer.prompt(what, hide_input=True, confirmation_prompt=True, err=True)
        return value
    value = sys.stdin.readline().rstrip("\r\n")
    if not value:
        raise InvalidInput("standard input holds no secret", instruction='printf %s "$VALUE" | headwater secret ...')
    return value


def permit(
    source: Source,
    parameter: Annotated[str, typer.Argument(help="The URL parameter to keep.", show_default=False)],
    why: Annotated[str, typer.Option(help="Why it is needed; kept in the audit.", show_default=False)],
) -> int:
    """Let a data source keep a URL parameter that the allow-list removes; takes effect with the next apply."""
    from registry.access import Verb
    from registry.store import open_store

    with open_store() as store:
        row = find(store, source, Verb.UPDATE)
        store.sources.add_permit(row.workspace.name, row.name, parameter, store.by(why))
    print(f"{row.path} may keep {parameter}; apply its file again")
    return 0
