"""`headwater file`: certificates, keys, keystores and keytabs that the registry keeps for its entries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import completing
from flows.options import Form, Output, Why
from flows.terminal import dump, table
from registry.errors import InvalidInput

if TYPE_CHECKING:
    from registry.certificate_files import FileFacts

app = typer.Typer(help="Certificates, keys and keytabs, kept encrypted, by name.", no_args_is_help=True)

Workspace = Annotated[
    str | None,
    typer.Option("--workspace", "-w", help="The workspace it is of.", autocompletion=completing.workspaces),
]
Name = Annotated[str, typer.Argument(help="NAME or WORKSPACE/NAME; the id will do, too.", show_default=False)]
Content = Annotated[str, typer.Argument(metavar="PATH", help="The file, or - .", show_default=False)]


@app.callback()
def file() -> None:
    """Certificates, keys and keytabs that the registry keeps."""


@app.command()
def add(
    name: Name,
    path: Content,
    workspace: Workspace = None,
    description: Annotated[str, typer.Option(help="What it is.")] = "",
    id_: Annotated[
        str | None, typer.Option("--id", help="The id that it had in the registry of an export.", show_default=False)
    ] = None,
    why: Why = "",
) -> int:
    """Keep a file, encrypted; entries refer to it as certificate:NAME."""
    from registry.store import open_store

    owner, plain = _split(name, workspace)
    content = _read(path)
    with open_store() as store:
        made = store.certificate_files.add(owner, plain, content, store.by(why), description=description, id_=id_)
    print(made)
    return 0


@app.command("list")
def list_(workspace: Workspace = None, output: Form = Output.TABLE) -> int:
    """The files, and how many fields refer to each."""
    from registry.store import open_store

    with open_store() as store:
        found = store.certificate_files.list(workspace, store.by())
    if output is Output.JSON:
        dump([_document(one) for one in found])
        return 0
    rows = [(one.path, one.id, str(one.size), str(len(one.users)), one.description) for one in found]
    table(("file", "id", "bytes", "referred to", "description"), rows)
    return 0


@app.command()
def show(name: Name, workspace: Workspace = None, output: Form = Output.TABLE) -> int:
    """What may be told of a file; never its content."""
    from registry.store import open_store

    owner, plain = _split(name, workspace)
    with open_store() as store:
        found = store.certificate_files.show(owner, plain, store.by())
    if output is Output.JSON:
        dump(_document(found))
        return 0
    print(f"{found.path}  certificate:{found.id}")
    print(f"  {found.size} bytes, SHA-256 {found.digest}")
    print(f"  kept by {found.creator} at {found.created_at:%Y-%m-%d %H:%M} UTC" + _said(found.description))
    for one in found.certificates:
        print(f"  certificate of {one.subject}, by {one.issuer}, until {one.ends_at:%Y-%m-%d %H:%M} UTC")
    for user in found.users or ("nothing",):
        print(f"  referred to by {user}")
    return 0


@app.command()
def replace(name: Name, path: Content, workspace: Workspace = None, why: Why = "") -> int:
    """Put another content in its place; those who refer to it stay."""
    from registry.store import open_store

    owner, plain = _split(name, workspace)
    content = _read(path)
    with open_store() as store:
        store.certificate_files.replace(owner, plain, content, store.by(why))
    print(f"{owner}/{plain} has another content; test who refers to it: headwater file show {owner}/{plain}")
    return 0


@app.command()
def delete(name: Name, workspace: Workspace = None, why: Why = "") -> int:
    """Delete a file that nothing refers to."""
    from registry.store import open_store

    owner, plain = _split(name, workspace)
    with open_store() as store:
        store.certificate_files.delete(owner, plain, store.by(why))
    print(f"{owner}/{plain} is deleted")
    return 0


def _split(name: str, workspace: str | None) -> tuple[str, str]:
    owner, slash, plain = name.partition("/")
    if slash and workspace not in (None, owner):
        raise typer.BadParameter(f"NAME is of workspace {owner}, --workspace says {workspace}")
    if slash:
        return owner, plain
    if workspace is None:
        raise typer.BadParameter("say of which workspace: WORKSPACE/NAME, or --workspace")
    return workspace, name


def _read(path: str) -> bytes:
    from registry.certificate_files import LARGEST

    if path == "-":
        return sys.stdin.buffer.read(LARGEST + 1)
    try:
        with Path(path).open("rb") as opened:
            return opened.read(LARGEST + 1)
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}", where=path) from None


def _said(description: str) -> str:
    return f": {description}" if description else ""


def _document(found: FileFacts) -> dict[str, Any]:
    return {**vars(found), "users": list(found.users), "certificates": [vars(one) for one in found.certificates]}
