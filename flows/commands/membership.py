"""`headwater member` and `headwater token`: who may do what, and how they prove who they are."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Annotated

import typer

from flows import completing
from flows.options import Form, Output, Why, Workspace
from flows.terminal import dump, table

members = typer.Typer(help="Who has which role, in a workspace and above all.", no_args_is_help=True)
tokens = typer.Typer(help="Tokens, which prove who acts on a shared registry.", no_args_is_help=True)

User = Annotated[str, typer.Argument(help="The user.", show_default=False)]
Role = Annotated[str, typer.Argument(help="workspace_admin, operator, develop, ...", autocompletion=completing.roles)]
Place = Annotated[
    str | None,
    typer.Option("--workspace", "-w", help="Where; left out: the tenant.", autocompletion=completing.workspaces),
]


@members.callback()
def member() -> None:
    """Who has which role, in a workspace and above all."""


@members.command("list")
def list_members(workspace: Workspace = None, output: Form = Output.TABLE) -> int:
    """List who has which role."""
    from registry.store import open_store

    with open_store() as store:
        found = store.members.list(workspace, store.by())
    if output is Output.JSON:
        dump([{"user": one.user, "role": one.role, "workspace": one.workspace or None} for one in found])
        return 0
    table(("user", "role", "where"), [(one.user, one.role, one.workspace or "(tenant)") for one in found])
    return 0


@members.command()
def grant(user: User, role: Role, workspace: Place = None, why: Why = "") -> int:
    """Give a user a role in a workspace, or, without --workspace, in the whole tenant."""
    from registry import access
    from registry.members import Membership
    from registry.store import open_store

    given = Membership(user, access.role(role), workspace or "")
    with open_store() as store:
        new = store.members.grant(given, store.by(why))
    print(f"{user} is {given.role} of {given.place}" if new else f"{user} was {given.role} of {given.place} already")
    return 0


@members.command()
def revoke(user: User, role: Role, workspace: Place = None, why: Why = "") -> int:
    """Take a role from a user."""
    from registry import access
    from registry.members import Membership
    from registry.store import open_store

    taken = Membership(user, access.role(role), workspace or "")
    with open_store() as store:
        store.members.revoke(taken, store.by(why))
    print(f"{user} is no longer {taken.role} of {taken.place}")
    return 0


@tokens.callback()
def token() -> None:
    """Tokens, which prove who acts on a shared registry."""


@tokens.command()
def create(
    user: User,
    name: Annotated[str, typer.Option(help="What it is for: a machine, a pipeline.")] = "default",
    days: Annotated[int, typer.Option(min=0, help="Days until it expires; 0: never.")] = 365,
    why: Why = "",
) -> int:
    """Make a token and print it: the only time that it can be seen. Put it into HEADWATER_TOKEN."""
    from registry.store import open_store

    with open_store() as store:
        text = store.tokens.create(user, name, store.by(why), lifetime=timedelta(days=days) if days else None)
    print(text)
    print(f"export it as HEADWATER_TOKEN: whoever holds it acts as {user}", file=sys.stderr)
    return 0


@tokens.command("list")
def list_tokens(output: Form = Output.TABLE) -> int:
    """List tokens: whose, what for, until when. Never what they are."""
    from registry.store import open_store

    with open_store() as store:
        found = store.tokens.list(store.by())
    rows = [
        {
            "user": one.user,
            "name": one.name,
            "created_at": one.created_at.isoformat(timespec="seconds"),
            "expires_at": one.expires_at.isoformat(timespec="seconds") if one.expires_at else None,
            "revoked_at": one.revoked_at.isoformat(timespec="seconds") if one.revoked_at else None,
        }
        for one in found
    ]
    if output is Output.JSON:
        dump(rows)
        return 0
    columns = ("user", "name", "created_at", "expires_at", "revoked_at")
    table(columns, [tuple(str(row[column] or "-") for column in columns) for row in rows])
    return 0


@tokens.command("revoke")
def revoke_token(
    user: User, name: Annotated[str, typer.Argument(help="The token's name.")] = "default", why: Why = ""
) -> int:
    """Let a token count no more."""
    from registry.store import open_store

    with open_store() as store:
        store.tokens.revoke(user, name, store.by(why))
    print(f"the token {name} of {user} counts no more")
    return 0
