"""`headwater compute-resource`: engines attached to a workspace, with the data sources that they make."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.deleting import Force, plan_document, print_plan, tell
from flows.options import Form, Output, Why, Workspace
from flows.terminal import dump, table
from registry.errors import InvalidInput

if TYPE_CHECKING:
    from registry.compute_resources import Attached, ComputeDraft

app = typer.Typer(help="Engines of a workspace, and the data sources that they make.", no_args_is_help=True)

Path = Annotated[str, typer.Argument(metavar="WORKSPACE/NAME", help="The compute resource.", show_default=False)]
File = Annotated[
    str | None,
    typer.Option("--file", "-f", help="YAML or JSON with dev, prod, settings, description; - is standard input."),
]
Default = Annotated[bool | None, typer.Option("--default/--no-default", help="The workspace's default of its type.")]

_KEYS = ("dev", "prod", "settings", "description")


@app.callback()
def compute_resource() -> None:
    """Engines of a workspace, and the data sources that they make."""


@app.command()
def attach(
    name: Path,
    type_: Annotated[str, typer.Option("--type", "-t", help="hologres, maxcompute, emr, ...", show_default=False)],
    file: File = None,
    default: Default = None,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Attach an engine; most make a data source of the same name, from the dev and prod of the file."""
    from registry.store import open_store

    workspace, bare = _parts(name)
    with open_store() as store:
        made = store.compute_resources.attach(workspace, _draft(workspace, bare, type_, file, default), store.by(why))
    return _show(made, output, "attached")


@app.command()
def edit(name: Path, file: File = None, default: Default = None, why: Why = "", output: Form = Output.TABLE) -> int:
    """Change an engine and its data source; a side that the file does not name stays as it is."""
    from registry.store import open_store

    workspace, bare = _parts(name)
    with open_store() as store:
        type_ = store.compute_resources.get(workspace, bare).type
        done = store.compute_resources.edit(workspace, _draft(workspace, bare, type_, file, default), store.by(why))
    return _show(done, output, "changed")


@app.command("list")
def list_attached(workspace: Workspace = None, output: Form = Output.TABLE) -> int:
    """List the engines."""
    from registry.access import Verb
    from registry.store import open_store

    with open_store() as store:
        among = store.visible(Verb.LIST)
        if workspace is not None:
            store.expect(Verb.LIST, workspace)
        found = [one for one in store.compute_resources.list(workspace) if among is None or one.workspace in among]
    if output is Output.JSON:
        dump([_document(one) for one in found])
        return 0
    table(
        ("compute resource", "type", "default", "data source", "by"),
        [
            (f"{one.workspace}/{one.name}", one.type, "yes" if one.is_default else "", one.source or "-", one.creator)
            for one in found
        ],
    )
    return 0


@app.command()
def detach(
    name: Path,
    force: Force = None,
    apply_: Annotated[bool, typer.Option("--apply/--plan", help="Do it at once, or show and keep the plan.")] = False,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Detach an engine. Its data source is deleted with it, by a plan as `source delete` makes one."""
    from registry.access import Verb
    from registry.store import open_store

    workspace, bare = _parts(name)
    with open_store() as store:
        store.expect(Verb.DELETE, workspace)
        found = store.compute_resources.get(workspace, bare)
        if not found.source:
            if apply_:
                store.compute_resources.detach(workspace, bare, store.by(why))
            print(f"{'detached' if apply_ else 'would detach'} {name}: it has no data source")
            return 0
        proposal = store.compute_resources.plan_detach(workspace, bare, store.by(why), force=force or ())
        if apply_ and not proposal.refused:
            return tell(store.deletions.apply(proposal.plan.id, store.by(why)), output)
    if output is Output.JSON:
        dump(plan_document(proposal))
    else:
        print_plan(proposal)
    return 1 if proposal.refused else 0


def _parts(path: str) -> tuple[str, str]:
    workspace, slash, name = path.partition("/")
    if not slash:
        raise typer.BadParameter(f"{path}: say WORKSPACE/NAME")
    return workspace, name


def _draft(workspace: str, name: str, type_: str, file: str | None, default: bool | None) -> ComputeDraft:
    from registry import texts
    from registry.compute_resources import draft

    said = _read(file) if file else {}
    return draft(
        workspace,
        name,
        type_,
        {env: said[env] for env in ("dev", "prod") if env in said},
        literals_allowed=file == texts.STANDARD_INPUT,
        is_default=default,
        settings=said.get("settings"),
        attributes={"description": said["description"]} if said.get("description") is not None else {},
    )


def _read(file: str) -> Mapping[str, Any]:
    from registry import texts
    from registry.errors import InvalidInputs

    ((source, text),) = texts.read_all(file)
    parsed = texts.parse(source, text)
    if parsed.problems:
        raise InvalidInputs([*parsed.problems])
    if not isinstance(parsed.data, dict):
        raise InvalidInput("no mapping", where=source, instruction=f"give {', '.join(_KEYS)}")
    for key, value in parsed.data.items():
        if key not in _KEYS:
            raise InvalidInput(f"{key} is unknown", where=source, instruction=f"give {', '.join(_KEYS)}")
        if key != "description" and not isinstance(value, dict):
            raise InvalidInput(f"{key} is no mapping", where=source, instruction=f"{key}: {{field: value, ...}}")
    return parsed.data


def _show(one: Attached, output: Output, done: str) -> int:
    if output is Output.JSON:
        dump(_document(one))
        return 0
    print(f"{done} {one.workspace}/{one.name} ({one.type})")
    if one.source and done == "attached":
        print(f"data source {one.source} is edited and deleted through it", file=sys.stderr)
    return 0


def _document(one: Attached) -> dict[str, Any]:
    return {
        "workspace": one.workspace,
        "name": one.name,
        "type": one.type,
        "default": one.is_default,
        "data_source": one.source or None,
        "settings": dict(one.settings),
        "created_by": one.creator,
    }
