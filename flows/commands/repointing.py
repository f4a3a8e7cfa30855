"""`headwater repoint`: what hangs on one data source is made to hang on another one, in waves, and undoably."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from flows import completing
from flows.finding import find
from flows.options import Form, Output, Source, Why
from flows.terminal import ProgressLine, dump, table

if TYPE_CHECKING:
    from registry.model import Plan
    from registry.store import Store
    from tasks.repointing.requests import Request
    from tasks.repointing.running import Audience, Options, Outcome, Progress


class _OldAndNew(TyperGroup):
    """`headwater repoint OLD NEW` is `headwater repoint plan OLD NEW`, wherever its options stand."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in ctx.help_option_names and self.get_command(ctx, args[0]) is None:
            args = ["plan", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_OldAndNew, help="Move dependents to another data source.", no_args_is_help=True)

_Plan = Annotated[
    str,
    typer.Argument(help="The id of a plan, or its beginning.", show_default=False, autocompletion=completing.plans),
]
_Timeout = Annotated[float, typer.Option(help="Seconds for each check.", min=0.1, max=3600)]
_KeepGoing = Annotated[bool, typer.Option("--keep-going", help="Go on after a wave that failed and was rolled back.")]
_ForceLocked = Annotated[bool, typer.Option("--force-locked", help="Change what somebody is editing too.")]
_LeaveOut = Annotated[bool, typer.Option("--leave-out-blocked", help="Apply the rest where some are blocked.")]


@app.callback()
def repoint() -> None:
    """Move dependents to another data source: `headwater repoint OLD NEW`, then `headwater repoint apply PLAN`."""


@app.command()
def plan(
    old: Source,
    new: Source,
    env: Annotated[
        str | None, typer.Option(help="Only uses of this side of OLD.", autocompletion=completing.environments)
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these: module=, owner=, workspace=, group=, adapter= or name=VALUE; several with commas, of one "
            "of them any value.",
            show_default=False,
        ),
    ] = None,
    waves: Annotated[str, typer.Option(help="Units in each wave; the last size goes on.")] = "1,10,100,1000",
    zone: Annotated[str, typer.Option(help="Whose midnight counts for deployments.")] = "Asia/Shanghai",
    apply_: Annotated[bool, typer.Option("--apply/--plan", help="Do it at once, or show and keep the plan.")] = False,
    keep_going: _KeepGoing = False,
    force_locked: _ForceLocked = False,
    leave_out_blocked: _LeaveOut = False,
    timeout: _Timeout = 5.0,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Plan it: what changes where, and what speaks against it. Exit status 1 when some are blocked."""
    from registry.store import open_store
    from tasks.repointing.requests import Request
    from tasks.repointing.running import Options

    with open_store() as store:
        sizes = tuple(_number(size) for size in waves.split(","))
        request = Request(find(store, old).path, find(store, new).path, env, _pairs(where or []), sizes, zone)
        made = asyncio.run(_planned(store, request, timeout, why))
        steps = store.plans.steps(made.id)
        if apply_:
            return _apply(store, made.id, Options(keep_going, force_locked, leave_out_blocked), timeout, why, output)
    blocked = len(made.document["blocked"])
    if output is Output.JSON:
        dump(document(made, steps))
        return 1 if blocked else 0
    _print_plan(made, steps)
    return 1 if blocked else 0


@app.command()
def apply(
    plan: _Plan,
    keep_going: _KeepGoing = False,
    force_locked: _ForceLocked = False,
    leave_out_blocked: _LeaveOut = False,
    timeout: _Timeout = 5.0,
    why: Why = "",
    output: Form = Output.TABLE,
) -> int:
    """Do what a plan says, wave by wave, or go on where it broke off. Exit status 1 when something was not done."""
    from registry.store import open_store
    from tasks.repointing.running import Options

    with open_store() as store:
        return _apply(store, plan, Options(keep_going, force_locked, leave_out_blocked), timeout, why, output)


app.command("continue", help="Go on with a plan that was paused, failed or killed; as `apply`.")(apply)


@app.command()
def rollback(plan: _Plan, timeout: _Timeout = 5.0, why: Why = "", output: Form = Output.TABLE) -> int:
    """Take everything back that a plan has done. Exit status 1 when something could not be."""
    from flows.source_observer import SourceObserver
    from registry.store import open_store
    from tasks.dependents import catalogue
    from tasks.repointing import applying

    with open_store() as store, ProgressLine() as line:
        observer = SourceObserver(store, timeout=timeout)
        work = applying.rollback(store, plan, catalogue(), observer, store.by(why), _audience(line))
        with _interruptible(plan):
            return _tell(store, asyncio.run(work), output)


@app.command()
def pause(plan: _Plan, why: Why = "") -> int:
    """Have whoever applies a plan stop after the units that are under way."""
    from registry.store import open_store
    from tasks.repointing import applying

    with open_store() as store:
        paused = applying.pause(store, plan, store.by(why))
    print(f"paused {paused.id}; `headwater repoint continue {paused.id}` goes on")
    return 0


@app.command()
def status(plan: _Plan, output: Form = Output.TABLE) -> int:
    """Show how far a plan has come, and what was not done. Exit status 1 when something failed."""
    from registry.plans import StepState
    from registry.store import open_store

    with open_store() as store:
        found = store.plans.get(plan, store.by())
        steps = store.plans.steps(found.id)
    told = _status(found, steps)
    if output is Output.JSON:
        dump(told)
    else:
        print(", ".join(f"{name} {value}" for name, value in told.items() if name != "steps" and value is not None))
        _print_rest(told["steps"])
    return 1 if any(step.state == StepState.FAILED for step in steps) else 0


def document(plan: Plan, steps: Sequence[Any]) -> dict[str, Any]:
    """A plan as JSON has it."""
    return {
        "plan": plan.id,
        "kind": plan.kind,
        "state": plan.state,
        "digest": plan.digest,
        "creator": plan.creator,
        "created_at": plan.created_at.isoformat(timespec="seconds"),
        "expires_at": plan.expires_at.isoformat(timespec="seconds"),
        "why": plan.why,
        **plan.document,
        "steps": [
            {"position": one.position, "wave": one.wave + 1, "state": one.state, "message": one.message, **one.action}
            for one in steps
        ],
    }


# --- work -----------------------------------------------------------------------------------------------------------


async def _planned(store: Store, request: Request, timeout: float, why: str) -> Plan:
    from flows.source_observer import SourceObserver
    from tasks.dependents import catalogue
    from tasks.repointing import planning

    with ProgressLine() as line:
        observer = SourceObserver(store, timeout=timeout)
        return await planning.plan(store, request, catalogue(), observer, store.by(why), line.show)


def _apply(store: Store, plan: str, options: Options, timeout: float, why: str, output: Output) -> int:
    from flows.source_observer import SourceObserver
    from tasks.dependents import catalogue
    from tasks.repointing import applying

    with ProgressLine() as line:
        observer = SourceObserver(store, timeout=timeout)
        work = applying.apply(store, plan, catalogue(), observer, store.by(why), options, _audience(line))
        with _interruptible(plan):
            outcome = asyncio.run(work)
    return _tell(store, outcome, output)


@contextmanager
def _interruptible(plan: str) -> Iterator[None]:
    """After Ctrl-C, what to do with what is under way."""
    try:
        yield
    except KeyboardInterrupt:
        told = f"`headwater repoint continue {plan}` goes on, `headwater repoint rollback {plan}` takes all of it back"
        print(f"\nplan {plan} is under way: {told}", file=sys.stderr)
        raise


def _audience(line: ProgressLine) -> Audience:
    from tasks.repointing.running import Audience

    def progress(now: Progress) -> None:
        left = f", {now.left_seconds:.0f} s left" if now.left_seconds is not None else ""
        line.show(f"wave {now.wave} of {now.waves}, {now.rate:.0f} a second{left}", now.done, now.total)

    return Audience(progress, lambda told: print(f"! {told}", file=sys.stderr))


def _tell(store: Store, outcome: Outcome, output: Output) -> int:
    from registry.plans import ENDED, StepState
    from tasks.repointing import report

    steps = store.plans.steps(outcome.plan)
    found = report.results(steps)
    counts = {state.value: count for state, count in outcome.counts.items()}
    if output is Output.JSON:
        told = {"plan": outcome.plan, "state": outcome.state, "counts": counts, "seconds": round(outcome.seconds, 3)}
        dump({**told, "steps": found})
    else:
        listed = ", ".join(f"{count} {state}" for state, count in counts.items()) or "nothing to do"
        print(f"plan {outcome.plan} {outcome.state} in {outcome.seconds:.1f} s: {listed}")
        _print_rest(found)
    if outcome.state not in ENDED:
        print(_advice(outcome), file=sys.stderr)
    done = outcome.state in ENDED and not outcome.counts.get(StepState.SKIPPED)
    return 0 if done else 1


def _advice(outcome: Outcome) -> str:
    from registry.plans import PlanState

    if outcome.state is PlanState.ROLLING_BACK:
        return f"`headwater repoint rollback {outcome.plan}` tries the rest again"
    return f"`headwater repoint continue {outcome.plan}` tries the rest again, `rollback` takes all of it back"


def _status(plan: Plan, steps: Sequence[Any]) -> dict[str, Any]:
    from registry.plans import StepState
    from tasks.repointing import report

    done = [step for step in steps if step.state == StepState.DONE and step.started_at and step.finished_at]
    seconds = (max(s.finished_at for s in done) - min(s.started_at for s in done)).total_seconds() if done else 0.0
    rate = len(done) / seconds if seconds > 0 else None
    waiting = sum(step.state in (StepState.WAITING, StepState.RUNNING) for step in steps)
    return {
        "plan": plan.id,
        "state": plan.state,
        **{state.value: count for state in StepState if (count := sum(step.state == state for step in steps))},
        "blocked": len(plan.document.get("blocked", ())) or None,
        "a_second": round(rate, 1) if rate else None,
        "seconds_left": round(waiting / rate) if rate and waiting else None,
        "steps": report.results(steps),
    }


def _pairs(where: Sequence[str]) -> tuple[tuple[str, str], ...]:
    pairs = [part.partition("=") for one in where for part in one.split(",")]
    for name, sign, _ in pairs:
        if not sign:
            raise typer.BadParameter(f"--where: {name!r} is not NAME=VALUE, as in module=data_integration")
    return tuple((name.strip(), value.strip()) for name, _, value in pairs)


def _number(size: str) -> int:
    if not size.strip().isdecimal():
        raise typer.BadParameter(f"--waves: {size!r} is no number; write for example 1,10,100")
    return int(size)


# --- what is shown --------------------------------------------------------------------------------------------------


def _print_plan(plan: Plan, steps: Sequence[Any]) -> None:
    from tasks.repointing import report

    for line in report.lines(plan, steps):
        print(line)
    sys.stdout.flush()
    print(f"plan {plan.id}, to be applied until {plan.expires_at:%Y-%m-%d %H:%M} UTC", file=sys.stderr)
    more = " --leave-out-blocked" if plan.document["blocked"] else ""
    if steps:
        print(f"headwater repoint apply {plan.id}{more}", file=sys.stderr)


def _print_rest(steps: Sequence[dict[str, Any]]) -> None:
    """What is not simply done."""
    rest = [one for one in steps if one["message"]]
    rows = [(one["state"], str(one["wave"]), one["name"], one["message"]) for one in rest[:50]]
    if rows:
        table(("state", "wave", "unit", "why"), rows)
    if len(rest) > len(rows):
        print(f"and {len(rest) - len(rows)} more; --output json has them all")
