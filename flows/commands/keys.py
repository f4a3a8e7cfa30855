"""`headwater keys`: the keyring that encrypts stored secrets."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from flows.options import Why
from flows.terminal import ProgressLine

app = typer.Typer(help="The keyring that encrypts stored secrets.", no_args_is_help=True)


@app.callback()
def keys() -> None:
    """The keyring that encrypts stored secrets."""


@app.command()
def rotate(
    batch: Annotated[int, typer.Option(min=1, help="Secrets in one transaction.")] = 500,
    why: Why = "",
) -> int:
    """Encrypt every stored secret under a new key. May be interrupted at any moment and called again."""
    from registry.store import open_store

    with open_store() as store, ProgressLine() as line:
        done = store.secrets.rotate(store.by(why), batch=batch, progress=partial(line.show, "rotating"))
    print(f"{done.rotated} secrets are encrypted under a new key")
    for owner in done.unreadable:
        print(f"no key decrypts {owner}: set it again with `headwater secret`", file=sys.stderr)
    return 1 if done.unreadable else 0
