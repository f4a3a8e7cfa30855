"""Deleting data sources and bringing them back."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import completing
from flows.finding import find
from flows.options import Form, Output, Source, Why, Workspace
from flows.terminal import dump, table
from registry.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.deletion import Deleted, Proposal
    from registry.impacts import Impact
    from registry.model import DataSource
    from registry.store import Store


class Env(StrEnum):
    """Which sides are deleted."""

    DEV = "dev"
    PROD = "prod"
    BOTH = "both"


Side = Annotated[Env, typer.Option("--env", "-e", help="Delete only this side.")]
Force = Annotated[
    list[str] | None,
    typer.Option("--force", help="NAME again, to delete it although production depends on it; may be repeated."),
]


def delete(
    source: Source,
    why: Why = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    env: Side = Env.BOTH,
    force: Force = None,
) -> int:
    """Delete a data source with its secrets and verdicts; refused while production depends on it."""
    from registry.store import open_store

    with open_store() as store:
        row = find(store, source)
        if not yes and not _confirmed(row, env):
            print(f"{row.path} stays", file=sys.stderr)
            return 1
        store.deletions.delete(row.path, store.by(why), env=env.value, force=force or ())
    print(f"deleted {row.path}" if env is Env.BOTH else f"deleted {row.path}/{env.value}")
    return 0


def _confirmed(row: DataSource, env: Env) -> bool:
    if not sys.stdin.isatty():
        raise InvalidInput("nobody is there to confirm it", where=row.path, instruction="say --yes to delete it")
    held = " and ".join(entry.env for entry in row.entries if env in (Env.BOTH, entry.env)) or "no configuration"
    return typer.confirm(f"Delete {row.path} ({held})?", err=True)


def delete_many(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="NAME or WORKSPACE/NAME of each.", show_default=False, autocompletion=completing.sources),
    ] = None,
    workspace: Workspace = None,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", "-t", help="All of this type; may be repeated.", autocompletion=completing.types),
    ] = None,
    name: Annotated[str | None, typer.Option(help="All with this part in their name.")] = None,
    env: Side = Env.BOTH,
    force: Force = None,
    apply_: Annotated[bool, typer.Option("--apply/--plan", help="Do it at once, or show and keep the plan.")] = False,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Plan the deletion of data sources: what it does to whom; all of them are deleted, or none."""
    from registry.store import open_store

    with open_store() as store:
        paths = _named(store, sources or [], workspace, type_ or [], name)
        by = store.by(why)
        proposal = store.deletions.plan(paths, by, env=env.value, force=force or ())
        if apply_ and not proposal.refused:
            done = store.deletions.apply(proposal.plan.id, by)
            return tell(done, output)
    if output is Output.JSON:
        dump(plan_document(proposal))
    else:
        print_plan(proposal)
    return 1 if proposal.refused else 0


def _named(
    store: Store, sources: Sequence[str], workspace: str | None, types: Sequence[str], name: str | None
) -> list[str]:
    """The paths of the sources that are named, or of those that pass the filters."""
    if sources:
        if types or name:
            raise typer.BadParameter("name data sources, or give --type and --name, not both")
        return [find(store, f"{workspace}/{one}" if workspace and "/" not in one else one).path for one in sources]
    if not (types or name):
        raise typer.BadParameter("say which: names, or --type or --name")
    found, page = list[str](), 1
    while True:
        part = store.sources.list(workspace=workspace, types_=types, name=name, page_number=page, page_size=100)
        found += [row.path for row in part.items]
        if len(found) >= part.total or not part.items:
            return found
        page += 1


def apply(
    plan: Annotated[
        str,
        typer.Argument(help="The id of a plan, or its beginning.", show_default=False, autocompletion=completing.plans),
    ],
    force: Force = None,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Do what a plan of `source delete` says; refused when anything has moved since."""
    from registry.store import open_store

    with open_store() as store:
        done = store.deletions.apply(plan, store.by(why), force=force or ())
    return tell(done, output)


def restore(
    named: Annotated[str, typer.Argument(metavar="NAME|ID", help="NAME, WORKSPACE/NAME or the tombstone's id.")],
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Bring a deleted data source back: its entries, secrets, sharing rules and the references to it."""
    from registry.store import open_store

    with open_store() as store:
        back = store.tombstones.restore(named, store.by(why))
    if output is Output.JSON:
        dump(
            {
                "source": back.path,
                "envs": list(back.envs),
                "shared_with": list(back.grants),
                "references": back.references,
                "left_out": list(back.left_out),
            }
        )
        return 0
    print(f"restored {back.path}: {' and '.join(back.envs) or 'no configuration'}")
    if back.grants:
        print(f"  shared with {', '.join(back.grants)} again")
    if back.references:
        print(f"  {back.references} references point to it again")
    for what in back.left_out:
        print(f"! not restored: {what}", file=sys.stderr)
    return 0


def tombstones(workspace: Workspace = None, output: Form = Output.TABLE) -> int:
    """List the deleted data sources that can be brought back."""
    from registry.access import Verb
    from registry.store import open_store

    with open_store() as store:
        among = store.visible(Verb.LIST)
        found = [one for one in store.tombstones.list(workspace) if among is None or one.workspace in among]
    if output is Output.JSON:
        dump(
            [
                {
                    "id": one.id,
                    "source": one.path,
                    "type": one.type,
                    "envs": list(one.envs),
                    "deleted_by": one.by,
                    "deleted_at": one.at.isoformat(timespec="seconds"),
                    "expires_at": one.expires_at.isoformat(timespec="seconds"),
                    "why": one.why,
                }
                for one in found
            ]
        )
        return 0
    table(
        ("tombstone", "data source", "type", "sides", "deleted by", "until", "why"),
        [
            (one.id, one.path, one.type, ", ".join(one.envs), one.by, f"{one.expires_at:%Y-%m-%d %H:%M}", one.why)
            for one in found
        ],
    )
    return 0


# --- what is shown --------------------------------------------------------------------------------------------------


def tell(done: Sequence[Deleted], output: Output) -> int:
    """Show what was deleted, and how it comes back."""
    if output is Output.JSON:
        dump([{"source": one.path, "envs": list(one.envs), "tombstone": one.tombstone} for one in done])
        return 0
    for one in done:
        print(f"deleted {one.path} ({' and '.join(one.envs) or 'no configuration'})  tombstone {one.tombstone}")
    if done:
        print("for 30 days: headwater source restore TOMBSTONE", file=sys.stderr)
    return 0


def plan_document(proposal: Proposal) -> dict[str, Any]:
    """A plan as JSON."""
    plan = proposal.plan
    return {
        "plan": plan.id,
        "digest": plan.digest,
        "expires_at": plan.expires_at.isoformat(timespec="seconds"),
        "env": plan.document["env"],
        "refused": dict(proposal.refused),
        "sources": [one.document() for one in proposal.impacts],
    }


def print_plan(proposal: Proposal) -> None:
    """A plan on a terminal, and what to type next on standard error."""
    for one in proposal.impacts:
        print("\n".join(lines(one, proposal.refused)))
    plan = proposal.plan
    sys.stdout.flush()
    count = len(proposal.impacts)
    told = f"plan {plan.id} of {count} data source{'s' if count != 1 else ''}"
    if proposal.refused:
        print(f"{told}, refused as it stands", file=sys.stderr)
        print("repoint the dependents, or type the names too: --force NAME", file=sys.stderr)
    else:
        print(f"{told}, to be applied until {plan.expires_at:%Y-%m-%d %H:%M} UTC", file=sys.stderr)
        print(f"headwater source apply {plan.id}", file=sys.stderr)


def lines(impact: Impact, refused: Mapping[str, str]) -> list[str]:
    """What deleting one source does, for a terminal."""
    from registry.impacts import EFFECTS, Effect

    told = [f"- {impact.source} ({' and '.join(impact.envs) or 'no configuration'})"]
    told += [f"    {text}" for text in impact.consequences]
    told += [
        f"    {row['risk']:<7}{row['dependents']} in {row['workspace']}/{row['module']}: "
        f"{EFFECTS[Effect(row['effect'])]}; {row['remedy']}"
        for row in impact.modules()
    ]
    told += [f"    the share with {grant.workspace}/{grant.env} ends" for grant in impact.grants]
    if impact.source in refused:
        told.append(f"    REFUSED: {refused[impact.source]}")
    return told
