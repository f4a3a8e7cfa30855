"""`headwater group`: the resource groups, and the keys that let a worker group be sent secrets.

`keygen` and `trust` are typed where the worker is, the others where the registry is.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import completing
from flows.commands import auditing, looking, observing
from flows.options import Form, Output, Why
from flows.terminal import dump
from registry.errors import InvalidInput

if TYPE_CHECKING:
    from registry.model import ResourceGroup
    from registry.store import Store

app = typer.Typer(help="Resource groups, and the keys of their workers.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The resource group.", autocompletion=completing.groups)]


@app.callback()
def group() -> None:
    """Resource groups, and the keys of their workers."""


app.command("list")(looking.groups)
app.command("check")(observing.check)
app.command("audit")(auditing.audit)


@app.command()
def show(name: Name, output: Form = Output.TABLE) -> int:
    """Show one resource group; for a worker group also the keys, and the next command to type."""
    from registry import sealing, texts
    from registry.store import open_store

    with open_store() as store:
        found = store.groups.get(name, store.by())
    document: dict[str, Any] = {
        "name": found.name,
        "kind": found.kind,
        "settings": found.settings,
        "network": found.network,
    }
    if found.kind == "worker":
        registry = sealing.registry_keys().public
        document |= {"public_key": found.public_key, "registry_key": registry}
    if output is Output.JSON:
        dump(document)
        return 0
    sys.stdout.write(texts.dump(document))
    if found.kind == "worker":
        sys.stdout.flush()
        _next_for_worker(found, registry)
    return 0


def _next_for_worker(found: ResourceGroup, registry: str) -> None:
    if found.public_key is None:
        _hint(
            "without a public key, checks from here can use references that the worker itself resolves, and no others"
        )
    _hint(
        f"on the worker's machine, with its HEADWATER_HOME:\n  headwater group keygen {found.name} --trust {registry}"
    )


@app.command()
def keygen(
    name: Annotated[str | None, typer.Argument(help="The resource group.", show_default=False)] = None,
    trust: Annotated[
        str | None, typer.Option(help="Trust this registry for the group; `headwater group show` prints its key there.")
    ] = None,
) -> int:
    """On the worker's machine: make its key pair, and print the public key. A key that is there already stays."""
    from registry import sealing

    if name is not None:
        _expect_name(name)
    if trust and name is None:
        raise typer.BadParameter("--trust needs NAME: which group is the registry trusted for?")
    public = sealing.worker_keys(make=True).public
    if trust and name is not None:
        sealing.trust(name, trust)
    print(public, flush=True)
    _hint(f"where the registry is:\n  headwater group set-key {name or 'NAME'} {public}")
    return 0


@app.command()
def trust(
    name: Annotated[str, typer.Argument(help="The resource group.")],
    key: Annotated[str, typer.Argument(help="The registry's public key.")],
    add: Annotated[bool, typer.Option("--add", help="Beside the registries trusted before.")] = False,
) -> int:
    """On the worker's machine: open what this registry seals for the group, and nothing else."""
    from registry import sealing

    _expect_name(name)
    sealing.trust(name, key, alone=not add)
    print(f"boxes for {name} are opened if that registry sealed them")
    return 0


@app.command("set-key")
def set_key(
    name: Name,
    key: Annotated[str, typer.Argument(help="The worker's public key, as `headwater group keygen` prints it.")],
    why: Why = "",
) -> int:
    """Seal what is sent to a worker group to this public key."""
    from registry import sealing
    from registry.store import open_store

    sealing.public_key(key, "worker")
    with open_store() as store:
        _expect_worker(store, name)
        store.groups.set_public_key(name, key.strip(), store.by(why))
    print(f"secrets for {name} are sealed to {key.strip()}", flush=True)
    registry = sealing.registry_keys().public
    _hint(
        f"on the worker's machine, unless it trusts this registry already:\n  headwater group trust {name} {registry}"
    )
    return 0


def _expect_name(name: str) -> None:
    """Where the worker is, no registry tells that there is no such group."""
    from registry import names

    names.RESOURCE_GROUP.check(name)


def _expect_worker(store: Store, name: str) -> None:
    found = store.groups.get(name)
    if found.kind != "worker":
        raise InvalidInput(
            f"{name} is of kind {found.kind}, which takes no key",
            where=f"resource_group:{name}",
            instruction="only groups of kind worker are sent sealed boxes",
        )


def _hint(text: str) -> None:
    print(f"next, {text}" if "\n" in text else text, file=sys.stderr)
