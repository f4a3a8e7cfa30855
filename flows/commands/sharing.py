"""`headwater share`: let another workspace use a data source, see who may, and end it."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from flows import completing
from flows.finding import find
from flows.options import Form, Output, Source, Why, Workspace
from flows.terminal import dump, table

if TYPE_CHECKING:
    from registry.impacts import Use
    from registry.sharing import Grant, Revoked
    from registry.store import Store


class Env(StrEnum):
    """The environments."""

    DEV = "dev"
    PROD = "prod"


class _Verbs(TyperGroup):
    """`headwater share SOURCE ...` is short for `headwater share with SOURCE ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["with", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Verbs, help="Let other workspaces use data sources.", no_args_is_help=True)

To = Annotated[
    str, typer.Option("--to", help="The other workspace.", show_default=False, autocompletion=completing.workspaces)
]
User = Annotated[str, typer.Option("--user", help="Only this user of it.")]


@app.callback()
def share() -> None:
    """Let other workspaces use data sources."""


@app.command("with")
def share_with(
    source: Source,
    to: To,
    env: Annotated[Env, typer.Option("--env", "-e", help="The environment of the other workspace.")],
    user: User = "",
    side: Annotated[
        Env | None, typer.Option(help="The side that is shared; by default that of the same environment.")
    ] = None,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Share a data source: `headwater share SOURCE --to WORKSPACE --env prod`. It may be used there, not edited."""
    from registry.access import Verb
    from registry.store import open_store

    with open_store() as store:
        row = find(store, source, Verb.SHARE)
        entry = side.value if side else None
        grant = store.sharing.share(
            row.workspace.name, row.name, store.by(why), to=to, env=env.value, user=user, entry=entry
        )
    if output is Output.JSON:
        dump(_document(grant))
    else:
        whom = f"{grant.user} in {grant.workspace}" if grant.user else grant.workspace
        print(f"{grant.source}/{grant.entry} is {grant.name} for {whom} in {grant.env}")
    return 0


@app.command("list")
def list_grants(
    source: Annotated[
        str | None,
        typer.Argument(help="NAME or WORKSPACE/NAME.", show_default=False, autocompletion=completing.sources),
    ] = None,
    workspace: Workspace = None,
    output: Form = Output.TABLE,
) -> int:
    """List what is shared with whom."""
    from registry.access import Verb
    from registry.store import open_store

    with open_store() as store:
        path, by = None, store.by()
        if source is not None:
            seen_by, path = _seen(store, source)
            workspace = seen_by or workspace
            path = path or find(store, source, Verb.SHARE).path
        grants = store.sharing.list(source=path, workspace=workspace, by=by)
    if output is Output.JSON:
        dump([_document(one) for one in grants])
        return 0
    table(
        ("data source", "side", "shared with", "env", "user", "name there", "by"),
        [
            (one.source, one.entry, one.workspace, one.env, one.user or "everybody", one.name, one.creator)
            for one in grants
        ],
    )
    return 0


@app.command()
def revoke(
    source: Annotated[
        str,
        typer.Argument(help="WORKSPACE/NAME; from the other side: WORKSPACE/OWNER.NAME.", show_default=False),
    ],
    to: Annotated[
        str | None,
        typer.Option("--to", help="The workspace that loses it.", autocompletion=completing.workspaces),
    ] = None,
    env: Annotated[Env | None, typer.Option("--env", "-e", help="Only for this environment of it.")] = None,
    user: Annotated[str | None, typer.Option(help="Only the rule for this user.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show who uses it there; change nothing.")] = False,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """End sharing. The owner is warned of those who use it; the other side is refused while it uses it."""
    from registry.access import Verb
    from registry.store import open_store

    side = env.value if env else None
    with open_store() as store:
        seen_by, path = _seen(store, source)
        path = path or find(store, source, Verb.SHARE).path
        target = to or seen_by
        if not target:
            raise typer.BadParameter("--to: name the workspace that it is shared with")
        if seen_by and target != seen_by:
            raise typer.BadParameter(f"{source} is seen by {seen_by}; leave out --to")
        owner, _, name = path.partition("/")
        if dry_run:
            done = store.sharing.preview(path, store.by(), of=seen_by or owner, to=target, env=side, user=user)
        elif seen_by:
            done = store.sharing.give_up(seen_by, f"{owner}.{name}", store.by(why), env=side, user=user)
        else:
            done = store.sharing.revoke(owner, name, store.by(why), to=target, env=side, user=user)
    return _tell(done, output, "would no longer be shared with" if dry_run else "is no longer shared with")


def _seen(store: Store, source: str) -> tuple[str, str]:
    """The workspace that sees a shared source, and the owner's path of it; empty where `source` is none.

    Who may share there may end it without seeing it himself: it may be shared with a single user.
    """
    from registry.shared import is_shared

    workspace, slash, name = source.rpartition("/")
    if not is_shared(name):
        return "", ""
    owner, _, bare = name.partition(".")
    return (workspace if slash else find(store, source).workspace.name), f"{owner}/{bare}"


def _tell(done: Revoked, output: Output, what: str) -> int:
    if output is Output.JSON:
        dump({"rules": [_document(one) for one in done.grants], "users": [_use(one) for one in done.users]})
        return 0
    for one in done.grants:
        whom = f"{one.user} in {one.workspace}" if one.user else one.workspace
        print(f"{one.source}/{one.entry} {what} {whom} in {one.env}")
    sys.stdout.flush()
    for use in done.users:
        print(f"! used by {use.name} ({use.workspace}, {use.module}, {use.env})", file=sys.stderr)
    return 0


def _document(grant: Grant) -> dict[str, Any]:
    return {
        "source": grant.source,
        "side": grant.entry,
        "workspace": grant.workspace,
        "env": grant.env,
        "user": grant.user,
        "name": grant.name,
        "created_by": grant.creator,
        "created_at": grant.created_at.isoformat(timespec="seconds"),
    }


def _use(use: Use) -> dict[str, str]:
    return {"name": use.name, "workspace": use.workspace, "module": use.module, "env": use.env, "owner": use.owner}
