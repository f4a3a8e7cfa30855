"""`headwater dependents`: what hangs on a data source, and how that is found and written down."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from flows import completing
from flows.finding import find
from flows.options import Form, Output, Source, Why
from flows.terminal import dump, moves, table

if TYPE_CHECKING:
    from registry.dependents import Counts, Summary, Use
    from registry.model import DataSource
    from registry.store import Store
    from tasks.dependents.scanning import Scanned


class _OfASource(TyperGroup):
    """`headwater dependents SOURCE` is `headwater dependents show SOURCE`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=_OfASource, help="What hangs on a data source: find it, see it.", no_args_is_help=True)

_Adapter = Annotated[str, typer.Option("--adapter", "-a", help="What finds them.", autocompletion=completing.adapters)]
_Workspace = Annotated[
    str | None,
    typer.Option(
        "--workspace",
        "-w",
        help="The one that names without a workspace belong to; may be left out where there is one only.",
        autocompletion=completing.workspaces,
    ),
]
_Options = Annotated[
    list[str] | None, typer.Option("--option", help="NAME=VALUE for the adapter; may be repeated.", show_default=False)
]
_DEFAULT = "flowspec"


@app.callback()
def dependents() -> None:
    """What hangs on a data source: `headwater dependents SOURCE`. A source named as a command needs WORKSPACE/NAME."""


@app.command()
def show(
    source: Source,
    env: Annotated[
        str | None, typer.Option(help="The side that is used.", autocompletion=completing.environments)
    ] = None,
    module: Annotated[str | None, typer.Option(help="Only of this module.", autocompletion=completing.modules)] = None,
    risk: Annotated[str | None, typer.Option(help="Only of this risk: high, medium or low.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only of this owner.")] = None,
    of_workspace: Annotated[
        str | None,
        typer.Option("--in", help="Only in this workspace, of those it is shared with.", show_default=False),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Only on this resource group.", autocompletion=completing.groups)
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="References that are listed.")] = 20,
    scan: Annotated[
        list[str] | None, typer.Option("--scan", help="First look here; may be repeated.", show_default=False)
    ] = None,
    adapter: _Adapter = _DEFAULT,
    output: Form = Output.TABLE,
) -> int:
    """Show what hangs on a data source: by module, side, workspace, owner, group and risk; and the first of them."""
    from registry.store import open_store

    status = 0
    _expect_known(env=env, module=module, risk=risk)
    with open_store() as store:
        row = find(store, source)
        _expect_owned(row)
        if scan:
            status = _scanned(store, adapter, row.workspace.name, scan, {}, "", quiet=True)
        summary = store.dependents.summary(row.path)
        uses = store.dependents.of(
            row.path, env, module=module, risk=risk, owner=owner, workspace=of_workspace, group=group, limit=limit + 1
        )
    more, uses = len(uses) > limit, uses[:limit]
    if output is Output.JSON:
        dump({"summary": summary.document(), "dependents": [use.document() for use in uses], "more": more})
    else:
        _print(summary, uses)
    if more:
        print(f"the first {limit} references are listed: --limit lists more", file=sys.stderr)
    _tell_unknown(summary, owner=owner, workspace=of_workspace, group=group)
    return status


@app.command("scan")
def scan_places(
    roots: Annotated[
        list[str] | None, typer.Argument(help="Folders, files or repositories; deployments.", show_default=False)
    ] = None,
    adapter: _Adapter = _DEFAULT,
    workspace: _Workspace = None,
    option: _Options = None,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Find dependents and keep them. Exit status 1 when a place could not be read or a name means nothing."""
    from registry.store import open_store

    with open_store() as store:
        owner = _the_workspace(store, workspace)
        return _scanned(store, adapter, owner, roots or [], _pairs(option or []), why, output=output)


@app.command()
def adapters() -> int:
    """List what finds dependents."""
    from tasks.dependents import catalogue

    rows = []
    for name, one in catalogue().items():
        told = sys.modules[type(one).__module__].__doc__ or ""
        rows.append((name, told.partition("\n")[0]))
    table(("adapter", "what it finds"), rows)
    return 0


@app.command()
def register(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files of registrations, JSON or YAML.", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option(help="One rule, API or saved query, instead of a file.")] = None,
    module: Annotated[str, typer.Option(help="data_quality, data_service, data_analysis, ...")] = "data_service",
    source: Annotated[
        str | None, typer.Option(help="The data source that it uses.", autocompletion=completing.sources)
    ] = None,
    objects: Annotated[
        list[str] | None, typer.Option("--object", help="A table that it binds; may be repeated.", show_default=False)
    ] = None,
    env: Annotated[str, typer.Option(help="Where it runs.", autocompletion=completing.environments)] = "prod",
    owner: Annotated[str, typer.Option(help="Who answers for it.")] = "",
    location: Annotated[str, typer.Option(help="Where it can be opened.")] = "",
    workspace: _Workspace = None,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Write down rules, APIs and saved queries that use data sources, from files or one by its options.

    One that is given by options is kept in a file of the home, which can be edited and read again.
    """
    from registry.errors import InvalidInput
    from registry.store import open_store

    if bool(files) == bool(name and source):
        instruction = "headwater dependents register FILE, or with --name NAME --module MODULE --source SOURCE"
        raise InvalidInput("give files, or the name and source of one", where="register", instruction=instruction)
    with open_store() as store:
        place = _the_workspace(store, workspace)
        roots = [str(file) for file in files or ()]
        if name and source:
            one = {"name": name, "module": module, "source": source, "objects": objects, "env": env}
            roots = [str(_written(place, one | {"owner": owner, "location": location}))]
        return _scanned(store, "registered", place, roots, {}, why, output=output)


# --- what they do ---------------------------------------------------------------------------------------------------


def _expect_known(**filters: str | None) -> None:
    """A filter that means nothing would hide everything."""
    from registry.errors import InvalidInput
    from registry.impacts import Risk
    from registry.model import ENVIRONMENTS
    from registry.nearest import nearest
    from registry.usage import MODULES

    known = {"env": ENVIRONMENTS, "module": tuple(MODULES), "risk": tuple(map(str, Risk))}
    for word, told in filters.items():
        if told is not None and told not in known[word]:
            near = nearest(told, [*known[word]], count=1, likeness=0.5)
            meant = f"did you mean {near[0]}? " if near else ""
            raise InvalidInput(
                f"no {word} {told!r}", where=word, instruction=f"{meant}there are {', '.join(known[word])}"
            )


def _tell_unknown(summary: Summary, **filters: str | None) -> None:
    """Which filters fit nothing that hangs on the source, and which would."""
    tables = {"owner": summary.by_owner, "workspace": summary.by_workspace, "group": summary.by_group}
    for word, told in filters.items():
        if told is not None and told not in tables[word]:
            known = ", ".join(name or "(not known)" for name in [*tables[word]][:10]) or "nobody"
            print(f"nothing of {word} {told!r} hangs on {summary.source}: there is {known}", file=sys.stderr)


def _expect_owned(row: DataSource) -> None:
    """What hangs on a shared source is told to those who may look at it where it belongs."""
    from registry.errors import InvalidInput

    if row.shared_by:
        told = f"{row.name} belongs to {row.shared_by}, and what hangs on it is told there"
        instruction = f"headwater dependents {row.shared_by}/{row.name.partition('.')[2]}"
        raise InvalidInput(told, where="source", instruction=instruction)


def _written(workspace: str, one: Mapping[str, Any]) -> Path:
    """The file of the home, with one more registration."""
    import yaml

    from registry import home

    path = home.ensure(home.ensure(home.home()) / "registered") / f"{workspace}.yaml"
    before = path.read_text() if path.exists() else "dependents:\n"
    item = yaml.safe_dump([{key: value for key, value in one.items() if value}], sort_keys=False, allow_unicode=True)
    path.write_text(before + "".join(f"  {line}\n" for line in item.splitlines()))
    return path


def _the_workspace(store: Store, name: str | None) -> str:
    from registry.errors import InvalidInput

    if name is not None:
        return store.workspaces.get(name).name
    known = [one.name for one in store.workspaces.list()]
    if len(known) != 1:
        instruction = (
            f"say --workspace with one of: {', '.join(known[:10])}" if known else "`headwater apply` makes one"
        )
        raise InvalidInput("the workspace is not clear", where="workspace", instruction=instruction)
    return known[0]


def _pairs(options: Sequence[str]) -> dict[str, str]:
    from registry.errors import InvalidInput

    pairs = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise InvalidInput(f"{option!r} is no option", where="option", instruction="write NAME=VALUE")
        pairs[name] = value
    return pairs


def _scanned(
    store: Store,
    adapter: str,
    workspace: str,
    roots: Sequence[str],
    options: Mapping[str, str],
    why: str,
    *,
    output: Output = Output.TABLE,
    quiet: bool = False,
) -> int:
    from tasks.dependents import Scope
    from tasks.dependents.scanning import keep, scan

    live = moves(sys.stderr)

    def progress(found: int) -> None:
        if live and found % 50 == 0:
            print(f"\r\x1b[K{adapter}: {found} dependents found", end="", file=sys.stderr, flush=True)

    try:
        scanned = asyncio.run(scan(adapter, Scope(workspace, tuple(roots), options), progress))
    finally:
        if live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    counts = keep(store, adapter, scanned, store.by(why))
    if output is Output.JSON and not quiet:
        dump(_document(scanned, counts))
    elif not quiet:
        numbers = counts.document()
        words = ("new", "changed", "unchanged", "gone")
        table(("since the last scan", "dependents"), [(word, str(numbers[word])) for word in words])
    _tell(scanned, counts)
    return 1 if scanned.unread or counts.unresolved else 0


def _document(scanned: Scanned, counts: Counts) -> dict[str, Any]:
    return {
        **counts.document(),
        "unresolved": [
            {"name": one.name, "dependent": one.dependent, "unit": one.unit, "pointer": one.pointer}
            for one in counts.unresolved
        ],
        "unread": [
            {"unit": one.place.unit, "pointer": one.place.pointer, "reason": one.reason} for one in scanned.unread
        ],
    }


def _tell(scanned: Scanned, counts: Counts) -> None:
    for unread in scanned.unread:
        where = f"{unread.place.unit} {unread.place.pointer}".rstrip()
        print(f"not read: {where}: {unread.reason}", file=sys.stderr)
    for one in counts.unresolved:
        where = f"{one.unit} {one.pointer}".rstrip()
        print(f"no data source {one.name}: {one.dependent} names it at {where}", file=sys.stderr)


def _print(summary: Summary, uses: Sequence[Use]) -> None:
    print(f"{summary.source}: {summary.dependents} dependents, {summary.references} references")
    tables = (
        ("module", summary.by_module),
        ("side", summary.by_env),
        ("workspace", summary.by_workspace),
        ("owner", summary.by_owner),
        ("resource group", summary.by_group),
        ("risk", summary.by_risk),
    )
    rows = [(what, name or "(not known)", str(count)) for what, counted in tables for name, count in counted.items()]
    rows += [("last run", _minute(summary.last_run_at), ""), ("last seen", _minute(summary.last_seen_at), "")]
    table(("by", "which", "dependents"), rows)
    heads = ("dependent", "module", "side", "role", "workspace", "owner", "risk", "last run", "last seen", "where")
    table(
        heads,
        [
            (
                use.name,
                use.module,
                use.env,
                use.role,
                use.workspace,
                use.owner,
                use.risk,
                _minute(use.last_run_at),
                _minute(use.seen_at),
                use.location or use.unit,
            )
            for use in uses
        ],
    )


def _minute(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "never"
