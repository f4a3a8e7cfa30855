"""`remove-data-source`: find who uses a data source, move them to another one, verify it, and delete it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled

from flows import approvals, rounds
from flows.delete_data_source import deleted, planned
from flows.source_observer import SourceObserver
from registry import model
from registry.errors import HeadwaterError, InvalidInput
from registry.plans import ENDED, PlanState, StepState
from registry.store import Store, open_store
from tasks import publish
from tasks.dependents import Scope, catalogue
from tasks.dependents.scanning import keep, scan
from tasks.repointing import applying, planning
from tasks.repointing import report as moving
from tasks.repointing.requests import Request
from tasks.repointing.running import Outcome

NAME = "remove-data-source"
KEY = "headwater-removal"


@flow(name=NAME, flow_run_name="remove {source}", persist_result=True)
async def remove_data_source(
    source: str,
    replacement: str,
    look_in: dict[str, list[str]] = {},  # noqa: B006 - never changed; a form shows it as an empty object
    timeout: float = 5.0,
    why: str = "",
) -> State[None]:
    """Move everything that uses a data source to another one, and delete it. Nothing happens before an approval.

    While one dependent cannot be moved, none is; when a wave fails, it is rolled back and the source stays. The source
    can be brought back for 30 days, the dependents by `headwater repoint rollback`.

    Args:
        source: WORKSPACE/NAME of the source that goes.
        replacement: WORKSPACE/NAME of the source that takes its place.
        look_in: Where to look for dependents first, adapter: places; {"prefect_deployments": []} looks at all
            deployments. Empty: what earlier scans have found is all.
        timeout: Seconds for each check.
        why: The reason, for the audit.
    """
    try:
        rounds.check_timeout(timeout)
        with open_store() as store:
            ended = store.deletions.of_run(flow_run.get_id() or "")
            if ended is not None and ended.state == PlanState.APPLIED:  # the run before did not come to its end
                return deleted(store.deletions.done(ended.id))
            observer = SourceObserver(store, timeout=timeout)
            plan = await _planned(store, source, replacement, look_in, observer, why)
            markdown = await asyncio.to_thread(_page, store, source, plan)
            await publish.artifact(KEY, markdown, f"{source} is replaced by {replacement} and deleted", once=True)
            approval = await approvals.ask(_brief(source, replacement, plan), KEY)
            if plan is not None and plan.state not in ENDED:
                by = store.by(approval.told)
                _expect_moved(await applying.apply(store, plan.id, catalogue(), observer, by))
            await _look(store, source, look_in, why)
            deletion = await asyncio.to_thread(planned, store, [source], "both", [], approval.told)
            done = await asyncio.to_thread(store.deletions.apply, deletion.id, store.by(approval.told))
    except approvals.Rejected as error:
        return Cancelled(message=str(error))
    except HeadwaterError as error:
        return approvals.failed(error)
    return deleted(done)


async def _look(store: Store, source: str, look_in: Mapping[str, Sequence[str]], why: str) -> None:
    """Scan: before the plan, to find them, and before the deletion, to see whether any is left."""
    for adapter, roots in look_in.items():
        scanned = await scan(adapter, Scope(source.partition("/")[0], tuple(roots)))
        for unread in scanned.unread:
            get_run_logger().warning(f"{unread.place.unit} could not be read: {unread.reason}")
        await asyncio.to_thread(keep, store, adapter, scanned, store.by(why or NAME))


async def _planned(
    store: Store,
    source: str,
    replacement: str,
    look_in: Mapping[str, Sequence[str]],
    observer: SourceObserver,
    why: str,
) -> model.Plan | None:
    """The repoint of this run, the one that was approved where it goes on; None: nothing is to be moved.

    Raises:
        InvalidInput: Some cannot be moved.
        HeadwaterError: As `planning.plan`.
    """
    run = flow_run.get_id() or ""
    known = store.plans.of_run(planning.KIND, run) if run else None
    if known is not None:
        return known
    await _look(store, source, look_in, why)
    if not await asyncio.to_thread(store.dependents.of, source, limit=1):
        return None
    by = store.by(why or f"flow run {flow_run.get_name()}")
    plan = await planning.plan(store, Request(source, replacement, run=run), catalogue(), observer, by)
    blocked = plan.document["blocked"]
    if blocked:
        markdown = moving.markdown(plan, store.plans.steps(plan.id))
        await publish.artifact(KEY, markdown, f"{len(blocked)} dependents cannot be moved")
        named = ", ".join(f"{one['name']} ({'; '.join(one['reasons'])})" for one in blocked[:5])
        advice = f"headwater plan show {plan.id} tells of all"
        raise InvalidInput(f"{len(blocked)} cannot be moved: {named}", where=f"plan:{plan.id}", instruction=advice)
    return plan


def _brief(source: str, replacement: str, plan: model.Plan | None) -> str:
    first = f"{moving.brief(plan)}\n" if plan is not None else f"Nothing uses {source}: nobody moves to {replacement}."
    return f"{first}\n\n**Then delete {source}**, to be brought back within 30 days if need be."


def _page(store: Store, source: str, plan: model.Plan | None) -> str:
    grants = store.sharing.list(source=source)
    lines = [f"## Then {source} is deleted", "It stays while anything in production depends on it still."]
    lines += [f"- {grant.workspace}/{grant.env} loses it" for grant in grants]
    lines.append("It can be brought back for 30 days: `headwater source restore`.")
    first = moving.markdown(plan, store.plans.steps(plan.id)) if plan is not None else f"Nothing uses {source}."
    return "\n\n".join([first, "\n".join(lines)])


def _expect_moved(outcome: Outcome) -> None:
    left = {state: count for state, count in outcome.counts.items() if state is not StepState.DONE}
    if outcome.state is not PlanState.APPLIED or left:
        told = ", ".join(f"{count} {state}" for state, count in left.items())
        raise InvalidInput(
            f"the repoint {outcome.state}: {told}; the source stays",
            where=f"plan:{outcome.plan}",
            instruction=f"headwater repoint status {outcome.plan}",
        )
