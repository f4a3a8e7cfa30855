"""`upgrade-workspace`: plan an upgrade to standard mode, wait for an approval, do it, and hold dev against prod."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed

from flows import approvals, checking, drifting, rounds
from registry import model, upgrade_mapping
from registry.errors import HeadwaterError, InvalidInput, NotFound
from registry.store import Store, open_store
from registry.upgrade import KIND, Upgraded
from tasks import publish, report
from tasks.drift import summary

NAME = "upgrade-workspace"
KEY = "headwater-upgrade"


@flow(name=NAME, flow_run_name="upgrade {workspace}", persist_result=True)
async def upgrade_workspace(workspace: str, mapping: str = "", why: str = "", timeout: float = 5.0) -> State[None]:
    """Upgrade a workspace from basic to standard mode, after an approval.

    The plan stands in the artifact `headwater-upgrade`: what happens to every data source, member and task, and what is
    in the way. After the switch both sides are tested from every bound resource group, and the artifact
    `headwater-drift` holds dev against prod. It is irreversible once anything is changed in the standard workspace;
    until then `headwater workspace upgrade NAME --undo` takes it back.

    Args:
        workspace: Its name.
        mapping: A file on the worker's machine: what dev sides have of their own. Left out: all are copies.
        why: The reason, for the audit.
        timeout: Seconds for each check.
    """
    try:
        rounds.check_timeout(timeout)
        with open_store() as store:
            plan = await asyncio.to_thread(planned, store, workspace, mapping, why)
            if not store.upgrades.is_done(plan):
                markdown = await asyncio.to_thread(page, store, plan, workspace)
                await publish.artifact(KEY, markdown, f"plan {plan.id} for {workspace}", once=True)
                _expect_clear(plan)
                approval = await approvals.ask(report.upgrade_brief(workspace, plan.document), KEY)
                by = store.by(approval.told)
                done = await asyncio.to_thread(store.upgrades.apply, plan.id, by, confirmed=True, progress=_log)
                _tell(done)
            return await compared(store, workspace, timeout)
    except approvals.Rejected as error:
        return Cancelled(message=str(error))
    except HeadwaterError as error:
        return approvals.failed(error)


def planned(store: Store, workspace: str, mapping: str, why: str) -> model.Plan:
    """The plan of this run; one that goes on after its approval finds the one that was approved.

    Raises:
        HeadwaterError: As `Upgrades.plan`.
    """
    run = flow_run.get_id()
    known = store.plans.of_run(KIND, run) if run else None
    if known is not None:
        return known
    given = upgrade_mapping.read(str(Path(mapping).expanduser())) if mapping else None
    by = store.by(why or f"flow run {flow_run.get_name()}")
    return store.upgrades.plan(workspace, by, mapping=given, run=run, progress=_log)


def page(store: Store, plan: model.Plan, workspace: str) -> str:
    """The plan as Markdown."""
    actions = [step.action for step in store.plans.steps(plan.id) if step.wave == 0]
    about = {"creator": plan.creator, "expires_at": plan.expires_at, "why": plan.why}
    return report.upgrade(plan.id, workspace, plan.document, actions, **about)  # type: ignore[arg-type]


async def compared(store: Store, workspace: str, timeout: float) -> State[None]:
    """Both sides tested from everywhere, and held against each other; the state of the run."""
    try:
        plans = checking.gather(store, workspace=workspace)
        await rounds.run(store, plans, timeout=timeout)
    except NotFound as nothing:
        get_run_logger().warning(f"nothing was tested: {nothing}")
    found = await asyncio.to_thread(drifting.drifts, store, workspace)
    told = summary(found)
    await publish.artifact("headwater-drift", report.drift(workspace, found), told)
    well = all(one.is_well for one in found)
    return Completed(name="Upgraded" if well else "UpgradedSick", message=f"{workspace} is standard: {told}")


def _expect_clear(plan: model.Plan) -> None:
    stuck = plan.document["blocks"]
    if stuck:
        told = "; ".join(f"{one['where']}: {one['why']}" for one in stuck[:20])
        raise InvalidInput(told, where=f"plan:{plan.id}", instruction="mend what is in the way, and start again")


def _log(what: str, done: int, total: int) -> None:
    if done == total:
        get_run_logger().info(f"{what}: {done} of {total}")


def _tell(done: Upgraded) -> None:
    told = f"{done.workspace} is standard: {done.copied} data sources, switched in {done.seconds:.1f} s"
    get_run_logger().info(f"{told}; until the first change: headwater workspace upgrade {done.workspace} --undo")
