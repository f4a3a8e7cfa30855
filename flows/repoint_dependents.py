"""`repoint-dependents`: plan a repoint, show it, wait for an approval, and apply it in waves."""

from __future__ import annotations

from typing import Literal

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from flows import approvals, rounds
from flows.source_observer import SourceObserver
from registry import model
from registry.errors import HeadwaterError, InvalidInput
from registry.plans import ENDED
from registry.store import Store, open_store
from tasks import publish
from tasks.dependents import catalogue
from tasks.repointing import applying, planning, report, waves
from tasks.repointing.requests import Request
from tasks.repointing.running import Audience, Options, Outcome, Progress

NAME = "repoint-dependents"
KEY = "headwater-repoint"
#: Seconds between two lines of progress in a run's log.
_PACE = 5.0


@flow(name=NAME, flow_run_name="repoint {old} to {new}", persist_result=True)
async def repoint_dependents(
    old: str,
    new: str,
    env: Literal["both", "dev", "prod"] = "both",
    where: list[str] = [],  # noqa: B006 - never changed; a form shows it as an empty list
    sizes: list[int] = list(waves.SIZES),  # noqa: B006
    keep_going: bool = False,
    force_locked: bool = False,
    leave_out_blocked: bool = False,
    timeout: float = 5.0,
    why: str = "",
) -> State[None]:
    """Make everything that uses one data source use another one, after an approval.

    The plan stands in the artifact `headwater-repoint`: the exact change of every unit, and what speaks against it. A
    wave that fails is rolled back. A run that is killed is gone on with by `headwater repoint apply PLAN`.

    Args:
        old: The data source that is used now, as WORKSPACE/NAME.
        new: The one to use.
        env: Only uses of this side of the old one.
        where: Only these dependents, each as NAME=VALUE: module, owner, workspace, group, adapter or name.
        sizes: Units in each wave; the last size goes on.
        keep_going: Go on with the next wave after one that failed and was rolled back.
        force_locked: Change what somebody is editing too.
        leave_out_blocked: Apply the rest where some are blocked; else nothing is asked and nothing is done.
        timeout: Seconds that one check may take.
        why: The reason, for the audit.
    """
    try:
        rounds.check_timeout(timeout)
        request = Request(
            old, new, None if env == "both" else env, pairs(where), tuple(sizes), run=flow_run.get_id() or ""
        )
        with open_store() as store:
            observer = SourceObserver(store, timeout=timeout)
            plan = await planned(store, request, observer, why)
            steps = store.plans.steps(plan.id)
            markdown = report.markdown(plan, steps)
            await publish.artifact(KEY, markdown, f"plan {plan.id} of {len(steps)} units", once=True)
            _expect_complete(plan, leave_out_blocked)
            approval = await approvals.ask(report.brief(plan), KEY)
            options = Options(keep_going, force_locked, leave_out_blocked)
            by = store.by(approval.told)
            outcome = await applying.apply(store, plan.id, catalogue(), observer, by, options, _log())
            told = report.outcome(store.plans.get(plan.id), store.plans.steps(plan.id))
            await publish.artifact(KEY, f"{markdown}\n\n{told}", f"plan {plan.id} {outcome.state}")
    except approvals.Rejected as error:
        return Cancelled(message=str(error))
    except HeadwaterError as error:
        return approvals.failed(error)
    return _state(outcome)


async def planned(store: Store, request: Request, observer: SourceObserver, why: str) -> model.Plan:
    """The plan of this run; one that goes on after its approval finds the one that was approved.

    Raises:
        HeadwaterError: As `planning.plan`.
    """
    known = store.plans.of_run(planning.KIND, request.run) if request.run else None
    if known is not None:
        return known
    by = store.by(why or f"flow run {flow_run.get_name()}")
    return await planning.plan(store, request, catalogue(), observer, by)


def pairs(where: list[str]) -> tuple[tuple[str, str], ...]:
    """Filters as they are typed, taken apart.

    Raises:
        InvalidInput: One is not NAME=VALUE.
    """
    parts = [one.partition("=") for one in where]
    for name, sign, _ in parts:
        if not sign:
            raise InvalidInput(f"{name!r} is not NAME=VALUE", where="where", instruction="module=data_integration")
    return tuple((name.strip(), value.strip()) for name, _, value in parts)


def _expect_complete(plan: model.Plan, leave_out_blocked: bool) -> None:
    blocked = len(plan.document["blocked"])
    if blocked and not leave_out_blocked:
        told = f"{blocked} of {plan.document['counts']['dependents']} dependents are blocked; the plan says why"
        raise InvalidInput(told, where=f"plan:{plan.id}", instruction="remove what blocks them, or leave them out")


def _log() -> Audience:
    """The waves in the run's log, with rate and time left."""
    logger, last = get_run_logger(), [float("-inf")]

    def progress(now: Progress) -> None:
        if now.seconds - last[0] >= _PACE or now.done == now.total:
            last[0] = now.seconds
            left = f", {now.left_seconds:.0f} s left" if now.left_seconds is not None else ""
            told = f"wave {now.wave} of {now.waves}: {now.done} of {now.total} units, {now.rate:.0f} a second{left}"
            logger.info(told)

    return Audience(progress, logger.warning)


def _state(outcome: Outcome) -> State[None]:
    counts = ", ".join(f"{count} {state}" for state, count in outcome.counts.items())
    told = f"plan {outcome.plan} {outcome.state}: {counts}"
    if outcome.state in ENDED:
        return Completed(name="Repointed", message=f"{told}; headwater repoint rollback {outcome.plan} takes it back")
    return Failed(message=f"{told}; headwater repoint status {outcome.plan} says why")
