"""`headwater test`: check data sources and say why they fail."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows import completing
from flows.options import Workspace
from flows.terminal import dump, moves

if TYPE_CHECKING:
    from registry.verdict import Verdict


class Output(StrEnum):
    """The forms of output."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


class Env(StrEnum):
    """The environments."""

    DEV = "dev"
    PROD = "prod"
    ALL = "all"


def check(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="NAME or WORKSPACE/NAME, one or several; all sources when left out.",
            show_default=False,
            autocompletion=completing.sources,
        ),
    ] = None,
    workspace: Workspace = None,
    env: Annotated[Env, typer.Option("--env", "-e", help="Which environment.")] = Env.ALL,
    group: Annotated[
        str, typer.Option("--group", "-g", help="From this resource group, or all.", autocompletion=completing.groups)
    ] = "all",
    tag: Annotated[list[str] | None, typer.Option(help="Only sources with this tag; may be repeated.")] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only sources of this type; may be repeated.", autocompletion=completing.types),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that one check may take.", min=0.1, max=3600)] = 5.0,
    output: Annotated[Output, typer.Option("--output", "-o", help="Form of the output.")] = Output.TABLE,
    explain: Annotated[bool, typer.Option("--explain", help="Print every stage with times and evidence.")] = False,
    url: Annotated[str | None, typer.Option(help="Test this JDBC or native URL; nothing is saved.")] = None,
    username: Annotated[str | None, typer.Option(help="With --url: the user name.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="With --url: read the password from standard input.")
    ] = False,
    objects: Annotated[
        list[str] | None, typer.Option("--object", help="With --url: a table, key or path that must be readable.")
    ] = None,
) -> int:
    """Test data sources from every resource group and name the root cause of what fails."""
    show = _Show(output, explain)
    if url is not None:
        _refuse(
            "leave out with --url",
            source=sources,
            workspace=workspace,
            env=env is not Env.ALL,
            group=group != "all",
            tag=tag,
            type=type_,
        )
        verdicts = show.run(1, _checked(url, username, password_stdin, tuple(objects or ()), timeout))
    else:
        _refuse("needs --url", username=username, password_stdin=password_stdin, object=objects)
        verdicts = _test_registered(
            show, _Wanted(sources or (), workspace, env, group, tag or (), type_ or ()), timeout
        )
    return 0 if all(verdict.connectable for verdict in verdicts) else 1


def _refuse(why: str, **given: Any) -> None:
    for name, value in given.items():
        if value:
            said = "SOURCE" if name == "source" else f"--{name.replace('_', '-')}"
            raise typer.BadParameter(f"{said}: {why}")


@dataclass(frozen=True)
class _Wanted:
    """What is tested."""

    sources: Sequence[str]
    workspace: str | None
    env: Env
    group: str
    tags: Sequence[str]
    types: Sequence[str]


def _test_registered(show: _Show, wanted: _Wanted, timeout: float) -> Sequence[Verdict]:
    from flows import checking
    from registry.store import open_store
    from tasks import announcements

    for named in wanted.sources:
        stated, slash, _ = named.partition("/")
        if slash and wanted.workspace not in (None, stated):
            raise typer.BadParameter(f"SOURCE is of workspace {stated}, --workspace says {wanted.workspace}")
    sides: dict[Env, Literal["dev", "prod"]] = {Env.DEV: "dev", Env.PROD: "prod"}
    with open_store() as store:
        plans = checking.gather_many(
            store,
            wanted.sources,
            workspace=wanted.workspace,
            env=sides.get(wanted.env),
            group=None if wanted.group == "all" else wanted.group,
            tags=wanted.tags,
            types=wanted.types,
        )
        total = sum(len(plan.targets) for plan in plans)
        try:
            return show.run(total, checking.run(plans, timeout=timeout, history=store.verdicts))
        finally:
            store.verdicts.record(show.shown)
            announcements.tested(show.shown)


async def _checked(
    url: str, username: str | None, password_stdin: bool, objects: tuple[str, ...], timeout: float
) -> AsyncIterator[Verdict]:
    from tasks import check as checking
    from tasks.adhoc import target_of_url
    from tasks.vantages.local import LocalVantage

    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    yield await checking.check(target_of_url(url, username, password, objects), LocalVantage(), timeout=timeout)


class _Show:
    """Shows verdicts as they come and sums them up at the end."""

    def __init__(self, output: Output, explain: bool) -> None:
        self.output = output
        self.explain = explain
        self.terminal = sys.stdout.isatty()
        self.shown: list[Verdict] = []

    def run(self, total: int, verdicts: AsyncIterator[Verdict]) -> Sequence[Verdict]:
        """Await every verdict and show it."""
        started = time.perf_counter()
        asyncio.run(self._each(total, verdicts))
        self._end(self.shown, time.perf_counter() - started)
        return self.shown

    async def _each(self, total: int, verdicts: AsyncIterator[Verdict]) -> None:
        # Lines that come out on the same terminal are progress enough.
        lines_on_terminal = self.terminal and self.output is Output.JSONL
        with _Watch(total, visible=moves(sys.stderr) and not lines_on_terminal) as watch:
            async for verdict in verdicts:
                self.shown.append(verdict)
                self._one(verdict)
                watch.add(verdict)

    def _one(self, verdict: Verdict) -> None:
        from flows import present

        if self.output is Output.JSONL:
            print(verdict.model_dump_json(), flush=True)
        elif self.output is Output.TABLE and not self.terminal:
            print(present.explanation(verdict) if self.explain else present.line(verdict), flush=True)

    def _end(self, shown: Sequence[Verdict], seconds: float) -> None:
        from flows import present

        if self.output is Output.JSON:
            dump([verdict.model_dump(mode="json") for verdict in present.ordered(shown)])
        if self.output is not Output.TABLE:
            return
        if self.terminal and self.explain:
            print("\n\n".join(present.explanation(verdict) for verdict in present.ordered(shown)))
        elif self.terminal:
            from rich.console import Console

            console = Console()
            console.print(present.table(present.ordered(shown)[:_MOST_ROWS]))
            if len(shown) > _MOST_ROWS:
                print(f"{len(shown) - _MOST_ROWS} more are left out; --output jsonl shows them all")
        print(present.summary(shown, seconds))


#: Rows of the table on a terminal, and sick ones shown while the rest is being checked.
_MOST_ROWS = 200
_LATEST = 8


class _Watch:
    """On a terminal's standard error while checks run: the sick ones as they come, and a bar. Gone at the end."""

    def __init__(self, total: int, *, visible: bool) -> None:
        self._total = total
        self._visible = visible
        self._sick: list[Verdict] = []

    def __enter__(self) -> _Watch:
        if self._visible:
            from rich.console import Console
            from rich.live import Live
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            from flows.remarks import heard_by

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            console = Console(stderr=True)
            self._bar = Progress(*columns, console=console)
            self._task = self._bar.add_task("testing", total=self._total)
            self._live = Live(get_renderable=self._picture, console=console, transient=True, refresh_per_second=8)
            self._live.start()
            self._hearing = heard_by(lambda remark, _: self._bar.update(self._task, description=remark))
            self._hearing.__enter__()
        return self

    def add(self, verdict: Verdict) -> None:
        """Take in one more."""
        if self._visible:
            self._bar.advance(self._task)
            if not verdict.connectable:
                self._sick.append(verdict)

    def _picture(self) -> Any:
        from rich.console import Group

        from flows import present

        latest = [present.short(verdict) for verdict in self._sick[-_LATEST:]]
        return Group(*latest, self._bar)

    def __exit__(self, *_: object) -> None:
        if self._visible:
            self._hearing.__exit__(None, None, None)
            self._live.stop()
