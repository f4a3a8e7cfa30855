"""`headwater workspace`: list, look at, upgrade from basic to standard, compare dev and prod."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import completing
from flows.options import Form, Output, Why
from flows.terminal import ProgressLine, dump, table
from registry.errors import InvalidInput

if TYPE_CHECKING:
    from registry.model import Plan, Workspace
    from registry.store import Store
    from tasks.drift import Drift

app = typer.Typer(help="Workspaces: look at them, upgrade them to standard mode.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The workspace.", show_default=False, autocompletion=completing.workspaces)]
Seconds = Annotated[float, typer.Option("--timeout", help="Seconds that one check may take.", min=0.1, max=3600)]

#: Rows of a plan that are shown of members and tasks; JSON shows all.
_MOST = 50


@app.callback()
def workspace() -> None:
    """Workspaces."""


@app.command("list")
def list_workspaces(output: Form = Output.TABLE) -> int:
    """List the workspaces: mode, data sources, resource groups."""
    from registry.access import Verb
    from registry.store import open_store

    with open_store() as store:
        among = store.visible(Verb.LIST)
        found = [_row(store, one) for one in store.workspaces.list() if among is None or one.name in among]
    if output is Output.JSON:
        dump(found)
        return 0
    heads = ("workspace", "mode", "data sources", "resource groups", "description")
    table(
        heads,
        [
            (one["name"], one["mode"], str(one["data_sources"]), ", ".join(one["groups"]), one["description"])
            for one in found
        ],
    )
    return 0


@app.command()
def show(name: Name, output: Form = Output.TABLE) -> int:
    """Show a workspace: mode, permitted ranges, resource groups, members, its upgrade."""
    from registry.access import Verb
    from registry.store import open_store

    with open_store() as store:
        store.expect(Verb.LIST, name)
        row = store.workspaces.get(name)
        plan = store.upgrades.latest(name)
        found = _row(store, row) | {
            "permitted_ranges": row.permitted_ranges,
            "members": [{"user": user, "role": role} for user, role in store.workspaces.members(name)],
            "version": row.version,
            "created_by": row.creator,
            "upgrade": {"plan": plan.id, "state": plan.state} if plan is not None else None,
        }
    if output is Output.JSON:
        dump(found)
        return 0
    shown = found | {
        "groups": ", ".join(found["groups"]),
        "permitted_ranges": ", ".join(found["permitted_ranges"]) or "those of the default policy",
        "members": ", ".join(f"{one['user']} ({one['role']})" for one in found["members"]) or "none",
        "upgrade": f"plan {plan.id} is {plan.state}" if plan is not None else "-",
    }
    table(("what", "value"), [(key.replace("_", " "), str(value)) for key, value in shown.items()])
    return 0


def _row(store: Store, one: Workspace) -> dict[str, Any]:
    return {
        "name": one.name,
        "mode": one.mode,
        "data_sources": store.sources.list(workspace=one.name, page_size=1).total,
        "groups": [group.name for group in store.workspaces.resource_groups(one.name)],
        "description": one.description,
    }


@app.command()
def upgrade(
    named: Annotated[
        str,
        typer.Argument(
            metavar="NAME|PLAN",
            help="The workspace; or the id of a plan.",
            show_default=False,
            autocompletion=completing.workspaces,
        ),
    ],
    mapping: Annotated[
        str | None, typer.Option("--mapping", "-m", help="A file: what dev sides have of their own; - for stdin.")
    ] = None,
    apply_: Annotated[bool, typer.Option("--apply/--plan", help="Do it, or show and keep the plan.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take an upgrade back: until the first change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Confirm that it is irreversible; do not ask.")] = False,
    test: Annotated[bool, typer.Option("--test/--no-test", help="Test both sides afterwards.")] = True,
    timeout: Seconds = 5.0,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Upgrade a workspace from basic to standard mode: every data source gets a dev side.

    Exit status 1: something is in the way; or, after --apply, a side is not Connectable.
    """
    from registry.store import open_store

    with open_store() as store, _Pace() as pace:
        if undo:
            done = store.upgrades.undo(named, store.by(why), progress=pace.show)
            print(f"{done.workspace} is basic again: plan {done.plan} is undone, {done.copied} dev sides are gone")
            return 0
        plan, name = _planned(store, named, mapping, why, apply_, pace)
        if not apply_ or plan.document["blocks"]:
            pace.clear()
            _show_plan(store, plan, name, output)
            return 1 if plan.document["blocks"] else 0
        if not yes and not _confirmed(plan, name, pace):
            print(f"{name} stays basic", file=sys.stderr)
            return 1
        told = store.upgrades.apply(plan.id, store.by(why), confirmed=True, progress=pace.show)
        pace.clear()
        print(
            f"{name} is standard: {told.copied} data sources, plan {plan.id}, switched in {told.seconds:.1f} s\n"
            f"until the first change: headwater workspace upgrade {name} --undo",
            file=sys.stderr,
        )
        if not test:
            return 0
        asyncio.run(_check(store, name, timeout, pace))
        pace.clear()
        from flows.drifting import drifts

        return _show_drift(drifts(store, name), output)


def _planned(store: Store, named: str, mapping: str | None, why: str, apply_: bool, pace: _Pace) -> tuple[Plan, str]:
    """The plan that is meant, and its workspace; a workspace is planned anew."""
    by = store.by(why)
    if apply_ and named not in {one.name for one in store.workspaces.list()}:
        if mapping is not None:
            raise typer.BadParameter("the plan has its mapping already", param_hint="--mapping")
        plan = store.plans.get(named)
        steps = store.plans.steps(plan.id)
        if plan.kind != "upgrade":
            raise InvalidInput(f"plan {plan.id} is no upgrade: it is of kind {plan.kind}", where=f"plan:{plan.id}")
        return plan, str(steps[-1].action["workspace"])
    from registry.upgrade_mapping import read

    given = read(mapping) if mapping is not None else None
    begun = store.upgrades.latest(named) if apply_ and given is None else None
    if begun is not None and begun.state == "applying":
        return begun, named
    return store.upgrades.plan(named, by, mapping=given, progress=pace.show), named


def _confirmed(plan: Plan, name: str, pace: _Pace) -> bool:
    pace.clear()
    if not sys.stdin.isatty():
        told = "nobody is there to confirm what is irreversible"
        raise InvalidInput(
            told, where=f"plan:{plan.id}", instruction=f"headwater workspace upgrade {plan.id} --apply --yes"
        )
    from registry.upgrade_plan import MEANING, Fate

    for fate, count in plan.document["sources"].items():
        print(f"{count} x {MEANING[Fate(fate)]}", file=sys.stderr)
    shared = len(plan.document["shares_target"])
    print(f"{shared} dev sides lead to the target of production (CONFIG.ENVS_SHARE_TARGET)", file=sys.stderr)
    print(f"all of it: headwater plan show {plan.id}", file=sys.stderr)
    counts = sum(plan.document["sources"].values())
    print(
        f"Upgrading {name} with {counts} data sources to standard mode is irreversible once anything is changed in it.",
        file=sys.stderr,
    )
    return str(typer.prompt(f"Type {name} to go on", err=True, default="", show_default=False)) == name


async def _check(store: Store, name: str, timeout: float, pace: _Pace) -> None:
    from flows import drifting

    total, done = len(store.targets(workspace=name)), 0
    if not total:
        print(f"{name} has nothing to test, or is bound to no resource group", file=sys.stderr)
        return
    async for _ in drifting.check(store, name, timeout=timeout):
        done += 1
        pace.show("testing", done, total)


@app.command()
def drift(
    name: Name,
    test: Annotated[bool, typer.Option("--test/--no-test", help="Test both sides first.")] = False,
    timeout: Seconds = 5.0,
    output: Form = Output.TABLE,
) -> int:
    """Hold dev against prod: one physical target or two, who can be connected to, what is configured otherwise."""
    from flows.drifting import drifts
    from registry.store import open_store

    with open_store() as store, _Pace() as pace:
        if test:
            asyncio.run(_check(store, name, timeout, pace))
            pace.clear()
        return _show_drift(drifts(store, name), output)


# --- what is shown --------------------------------------------------------------------------------------------------


def _show_plan(store: Store, plan: Plan, name: str, output: Output) -> None:
    actions = [step.action for step in store.plans.steps(plan.id) if step.wave == 0]
    document = plan.document
    if output is Output.JSON:
        head = {"plan": plan.id, "digest": plan.digest, "workspace": name, "expires_at": plan.expires_at}
        dump(head | {key: value for key, value in document.items() if key != "sources"} | {"sources": actions})
        return
    for one in actions:
        print(f"~ {name}/{one['source']} ({one['type']})")
        for note in one["notes"]:
            print(f"    {note}")
    print(f"\nmembers of {name}:")
    for one in document["members"][:_MOST]:
        lost = f"loses {one['loses']}" if one["loses"] else "keeps everything"
        inside = f", {' and '.join(lake)} in MaxCompute" if (lake := one.get("in_maxcompute")) else ""
        print(f"    {one['user']} ({', '.join(one['roles'])}): same roles in development{inside}; {lost}")
    _show_tasks(document)
    if document["shared_in"]:
        print(f"\nshared with production alone, not seen in development: {', '.join(document['shared_in'])}")
    for one in document["blocks"]:
        print(f"\nBLOCKED {one['where']}: {one['why']}\n    {one['remedy']}")
    sys.stdout.flush()
    _show_next(plan, len(actions))


def _show_tasks(document: dict[str, Any]) -> None:
    tasks = document["tasks"]
    if not tasks:
        return
    who = ", ".join(document["deployers"]) or "nobody yet"
    print(f"\n{len(tasks)} tasks need submit and deploy from now on; may deploy: {who}")
    for one in tasks[:_MOST]:
        print(
            f"    {one['name']} ({one['module']}): a dev run gets {one['dev_run_gets']} of {', '.join(one['sources'])}"
        )
    if len(tasks) > _MOST:
        print(f"    and {len(tasks) - _MOST} more: --output json shows them all")


def _show_next(plan: Plan, sources: int) -> None:
    shared = len(plan.document["shares_target"])
    if shared:
        told = f"{shared} of {sources} dev sides lead to the target of production (CONFIG.ENVS_SHARE_TARGET)"
        print(f"{told}: --mapping FILE gives them their own", file=sys.stderr)
    until = f"to be applied until {plan.expires_at:%Y-%m-%d %H:%M} UTC"
    print(f"plan {plan.id} of {sources} data sources, {until}", file=sys.stderr)
    if plan.document["blocks"]:
        print("blocked as it stands: mend what is in the way, and plan again", file=sys.stderr)
    else:
        print(f"headwater workspace upgrade {plan.id} --apply", file=sys.stderr)


def _show_drift(found: Sequence[Drift], output: Output) -> int:
    from tasks.drift import summary

    if output is Output.JSON:
        dump([one.document() for one in found])
    else:
        heads = ("data source", "type", "target", "dev", "prod", "differs (dev / prod)")
        table(
            heads,
            [
                (
                    one.source,
                    one.type,
                    str(one.target.same) if one.target else "-",
                    one.side("dev"),
                    one.side("prod"),
                    one.told(),
                )
                for one in found
            ],
        )
        print(summary(found), file=sys.stderr)
    return 0 if all(one.is_well for one in found) else 1


class _Pace:
    """A line of progress on standard error, with the rate and the time that is left."""

    def __init__(self) -> None:
        self._line = ProgressLine()
        self._what, self._since = "", 0.0

    def __enter__(self) -> _Pace:
        self._line.__enter__()
        return self

    def show(self, what: str, done: int, total: int) -> None:
        """Tell how far it has come."""
        if what != self._what:
            self._what, self._since = what, time.monotonic()
        seconds = time.monotonic() - self._since
        rate = done / seconds if seconds > 0 else 0.0
        pace = f" ({rate:.0f}/s, {(total - done) / rate:.0f} s left)" if rate > 0 and done < total else ""
        self._line.show(f"{what}{pace}", done, total)

    def clear(self) -> None:
        """Take the line away: something else is written."""
        self._line.__exit__()

    def __exit__(self, *_: object) -> None:
        self.clear()
