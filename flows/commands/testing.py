"""`headwater test`: check data sources and say why they fail."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

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


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("test")(check)


def check(
    source: Annotated[
        str | None, typer.Argument(help="NAME or WORKSPACE/NAME; all sources when left out.", show_default=False)
    ] = None,
    workspace: Annotated[str | None, typer.Option("--workspace", "-w", help="Only sources of this workspace.")] = None,
    env: Annotated[Env, typer.Option("--env", "-e", help="Which environment.")] = Env.ALL,
    group: Annotated[str, typer.Option("--group", "-g", help="From this resource group, or all.")] = "all",
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
        verdicts = show.run(1, _checked(url, username, password_stdin, tuple(objects or ()), timeout))
    else:
        verdicts = _test_registered(show, source, workspace, env, group, timeout)
    return 0 if all(verdict.connectable for verdict in verdicts) else 1


def _test_registered(
    show: _Show, source: str | None, workspace: str | None, env: Env, group: str, timeout: float
) -> Sequence[Verdict]:
    from flows import checking
    from registry.store import open_store

    if source and "/" in source:
        workspace, _, source = source.partition("/")
    side: Literal["dev", "prod"] | None = None if env is Env.ALL else ("dev" if env is Env.DEV else "prod")
    place = None if group == "all" else group
    with open_store() as store:
        plans = checking.gather(store, workspace=workspace, source=source, env=side, group=place)
        total = sum(len(plan.targets) for plan in plans)
        try:
            return show.run(total, checking.run(plans, timeout=timeout))
        finally:
            store.verdicts.record(show.shown)


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
        with _Progress(sys.stderr.isatty() and self.output is not Output.JSONL) as progress:
            async for verdict in verdicts:
                self.shown.append(verdict)
                progress.advance(len(self.shown), total)
                self._one(verdict)

    def _one(self, verdict: Verdict) -> None:
        from flows import present

        if self.output is Output.JSONL:
            print(verdict.model_dump_json(), flush=True)
        elif self.output is Output.TABLE and not self.terminal:
            print(present.explanation(verdict) if self.explain else present.line(verdict), flush=True)

    def _end(self, shown: Sequence[Verdict], seconds: float) -> None:
        from flows import present

        if self.output is Output.JSON:
            documents = [verdict.model_dump(mode="json") for verdict in present.ordered(shown)]
            print(json.dumps(documents, indent=2, ensure_ascii=False))
        if self.output is not Output.TABLE:
            return
        if self.terminal and self.explain:
            print("\n\n".join(present.explanation(verdict) for verdict in present.ordered(shown)))
        elif self.terminal:
            from rich.console import Console

            Console().print(present.table(shown))
        print(present.summary(shown, seconds))


class _Progress:
    """A progress line on a terminal's standard error; nothing elsewhere."""

    def __init__(self, visible: bool) -> None:
        self._visible = visible

    def __enter__(self) -> _Progress:
        if self._visible:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("testing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("testing", total=None)
            self._bar.start()
        return self

    def advance(self, done: int, total: int) -> None:
        """Show how many are done."""
        if self._visible:
            self._bar.update(self._task, completed=done, total=total or None)

    def __exit__(self, *_: object) -> None:
        if self._visible:
            self._bar.stop()
