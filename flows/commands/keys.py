"""`headwater keys`: the keyring that encrypts stored secrets."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

app = typer.Typer(help="The keyring that encrypts stored secrets.", no_args_is_help=True)


@app.callback()
def keys() -> None:
    """The keyring that encrypts stored secrets."""


@app.command()
def rotate(
    batch: Annotated[int, typer.Option(min=1, help="Secrets in one transaction.")] = 500,
    why: Annotated[str, typer.Option(help="The reason, for the audit.")] = "",
) -> int:
    """Encrypt every stored secret under a new key. May be interrupted at any moment and called again."""
    from registry.store import open_store

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{done}/{total}", end="", file=sys.stderr, flush=True)

    with open_store() as store:
        done = store.secrets.rotate(store.by(why), batch=batch, progress=progress)
    print(f"{done.rotated} secrets are encrypted under a new key")
    for owner in done.unreadable:
        print(f"no key decrypts {owner}: set it again with `headwater secret`", file=sys.stderr)
    return 1 if done.unreadable else 0
