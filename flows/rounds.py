"""Checks as Prefect sees them: one task run a resource group and chunk for many, one task run a stage for a single one.

A server sustains some thirty task runs a second, so a task a check would cost more than the checks themselves.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from flows import present
from flows.checking import GroupPlan
from flows.panel import Panel
from flows.remarks import heard_by
from registry.errors import HeadwaterError, InvalidInput
from registry.store import Store
from registry.verdict import Stage, Status, Verdict
from tasks import report
from tasks.check import check
from tasks.fleet import check_all
from tasks.target import Target
from tasks.vantages import Outpost, Vantage

#: Checks that one task run stands for. Each chunk waits for its slowest check, so chunks are large.
CHUNK = 5000
#: Verdicts written to the registry together: what a run has seen is kept when it is killed.
_BATCH = 500
#: The part of a check's time that may be spent on waiting for its stages' task runs to begin.
_PATIENCE = 0.1
#: Sick ones that a run names in its log.
_LOGGED = 100


@dataclass
class Round:
    """What one run checked."""

    verdicts: list[Verdict] = field(default_factory=list)
    seconds: float = 0.0

    def state(self) -> State[None]:
        """The state of the run: it did its work, and its name and message tell how the data sources are."""
        well = all(verdict.connectable for verdict in self.verdicts)
        return Completed(name="Healthy" if well else "Sick", message=report.tally(self.verdicts))


def failed(error: HeadwaterError) -> State[None]:
    """The state of a run that could not check: what is wrong and what to do, without a traceback."""
    get_run_logger().error(str(error))
    return Failed(message=str(error))


def check_timeout(timeout: float) -> None:
    """Refuse a time that no check can have.

    Raises:
        InvalidInput: It is not from 0.1 s to 3600 s.
    """
    if not 0.1 <= timeout <= 3600:
        raise InvalidInput(
            f"{timeout} s is no time for a check", where="timeout", instruction="use 0.1 to 3600 seconds"
        )


async def run(store: Store, plans: Sequence[GroupPlan], *, timeout: float) -> Round:
    """Check everything, keep the verdicts in the registry, and show it as task runs of the flow run under way.

    Args:
        timeout: Seconds for each check.
    """
    targets = [target for plan in plans for target in plan.targets]
    kept, started = _Kept(store, targets), time.perf_counter()
    here = [plan.vantage for plan in plans if not isinstance(plan.vantage, Outpost)]
    try:
        if here and len(targets) == 1:
            await kept.take([await _diagnose(plans[0], here[0], timeout)])
        else:
            logger = get_run_logger()
            with heard_by(lambda remark, page: logger.info(f"{remark} {page}")):
                await asyncio.gather(*(_check_group(kept, plan, timeout) for plan in plans))
    finally:
        await kept.take_rest()
    done = Round(kept.verdicts, time.perf_counter() - started)
    _log(done.verdicts)
    return done


def _log(verdicts: Sequence[Verdict]) -> None:
    logger, ill = get_run_logger(), report.sick(verdicts)
    for verdict in ill[:_LOGGED]:
        logger.warning(present.line(verdict))
    if len(ill) > _LOGGED:
        logger.warning(f"{len(ill) - _LOGGED} more are sick")
    logger.info(report.tally(verdicts))


# --- many -----------------------------------------------------------------------------------------------------------


class _Kept:
    """What a run has seen: reviewed, in the registry, and as much of it as its report needs."""

    def __init__(self, store: Store, targets: Sequence[Target]) -> None:
        self.verdicts: list[Verdict] = []
        self._store = store
        self._panel = Panel(targets, store.verdicts)
        self._detailed = 0

    async def take(self, batch: Sequence[Verdict]) -> None:
        """Take in what one group saw; kept is what all groups have seen by now."""
        await self._keep(await self._panel.add(batch))

    async def take_rest(self) -> None:
        """Keep what groups that broke off have left alone."""
        await self._keep(await self._panel.rest())

    async def _keep(self, reviewed: Sequence[Verdict]) -> None:
        if not reviewed:
            return
        await asyncio.to_thread(self._store.verdicts.record, reviewed)
        for verdict in reviewed:
            whole = not verdict.connectable and self._detailed < report.DETAILS
            self._detailed += whole
            self.verdicts.append(verdict if whole else _light(verdict))


def _light(verdict: Verdict) -> Verdict:
    return verdict.model_copy(update={"stages": []})


class _Work:
    """What a task run is to do. No dataclass: Prefect looks for futures in every field of one."""

    def __init__(self, label: str, plan: GroupPlan, timeout: float, kept: _Kept) -> None:
        self.label = label
        self.plan = plan
        self.timeout = timeout
        self.kept = kept


async def _check_group(kept: _Kept, plan: GroupPlan, timeout: float) -> None:
    targets = plan.targets
    try:
        for start in range(0, len(targets), CHUNK):
            part = replace(plan, targets=targets[start : start + CHUNK])
            numbers = f" {start + 1}-{start + len(part.targets)}" if len(targets) > CHUNK else ""
            work = _Work(f"{plan.group}{numbers}", part, timeout, kept)
            state: State[None] = await cast(Any, _check_many)(work, return_state=True)
            if not state.is_completed():
                await state.aresult()  # raises what went wrong
    finally:
        await plan.vantage.close()


@task(name="check", task_run_name="{work.label}", cache_policy=NO_CACHE, persist_result=False)
async def _check_many(work: _Work) -> State[None]:
    """Check a chunk of one resource group's targets."""
    batch, seen = list[Verdict](), list[Verdict]()
    try:
        async for verdict in check_all(work.plan.targets, work.plan.vantage, timeout=work.timeout):
            batch.append(verdict)
            seen.append(_light(verdict))
            if len(batch) == _BATCH:
                await work.kept.take(batch)
                batch = []
    finally:
        await work.kept.take(batch)
    return Round(seen).state()


# --- one ------------------------------------------------------------------------------------------------------------


async def _diagnose(plan: GroupPlan, vantage: Vantage, timeout: float) -> Verdict:
    """One check whose stages are task runs. It runs beside the flow, in a thread with an event loop of its own."""
    # Prefect logs a returned failure with the traceback of an exception that there is none of.
    logging.getLogger("prefect.task_runs").addFilter(_without_empty_traceback)
    timeline = _Timeline(asyncio.get_running_loop(), timeout * _PATIENCE)
    verdict = await asyncio.to_thread(
        asyncio.run, check(plan.targets[0], vantage, timeout=timeout, observe=timeline.observe)
    )
    await timeline.end()
    return verdict.model_copy(update={"elapsed_ms": round(verdict.elapsed_ms - timeline.waited * 1000, 3)})


def _without_empty_traceback(record: logging.LogRecord) -> bool:
    return record.exc_info != (None, None, None)


class _Followed:
    """One stage while it runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begun = threading.Event()
        self.over = asyncio.Event()
        self.record: Stage | None = None


class _Timeline:
    """Makes a task run of every stage when it begins, and ends it when the stage ends.

    The check waits until the task run has begun: the stage's clock measures the stage, and not the time that Prefect
    takes for its books. It waits no longer than its patience lasts; task runs then begin late, and checks go on.

    Attributes:
        waited: Seconds that the check has spent waiting.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        self._loop = loop
        self._patience = patience
        self.waited = 0.0
        self._running: list[Future[State[None]]] = []

    def observe(self, name: str) -> Callable[[Stage], object]:
        """A stage begins; called in the check's own thread."""
        stage = _Followed(name)
        following = cast(Any, _follow)(stage, return_state=True)
        self._running.append(asyncio.run_coroutine_threadsafe(following, self._loop))
        self._wait(stage.begun.wait)

        def ended(record: Stage) -> None:
            stage.record = record
            self._loop.call_soon_threadsafe(stage.over.set)

        return ended

    def _wait(self, wait: Callable[[float], object]) -> None:
        started = time.monotonic()
        wait(max(0.0, self._patience - self.waited))
        self.waited += time.monotonic() - started

    async def end(self) -> None:
        """Wait until every task run has ended."""
        await asyncio.gather(*map(asyncio.wrap_future, self._running))


@task(name="stage", task_run_name="{stage.name}", cache_policy=NO_CACHE, persist_result=False)
async def _follow(stage: _Followed) -> State[None]:
    """A stage of a check, as long as it runs."""
    stage.begun.set()
    await stage.over.wait()
    return _state_of(stage.record)


def _state_of(record: Stage | None) -> State[None]:
    """The evidence stays out of it: it is in the report, where a peer's words are made harmless."""
    if record is None or record.status is Status.FAILED:
        return Failed(message="this is the stage that failed: the report tells why")
    took = f"{record.elapsed_ms:.1f} ms"
    if record.status is Status.SKIPPED:
        return Completed(name="Skipped", message=str(record.evidence.get("reason", "")))
    return Completed(name="Warned" if record.status is Status.WARNED else "Completed", message=took)
