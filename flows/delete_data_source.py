"""`delete-data-source`: plan a deletion, show what it does to whom, wait for an approval, and do it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed

from flows import approvals
from registry import model
from registry.deletion import Deleted
from registry.errors import HeadwaterError, InvalidInput
from registry.plans import PlanState
from registry.store import Store, open_store
from tasks import publish, report

NAME = "delete-data-source"
KEY = "headwater-deletion"


def _run_name() -> str:
    sources: list[str] = flow_run.get_parameters().get("sources") or []
    return f"delete {', '.join(sources[:3])}" + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")


@flow(name=NAME, flow_run_name=_run_name, persist_result=True)
async def delete_data_source(
    sources: list[str],
    env: Literal["both", "dev", "prod"] = "both",
    force: list[str] = [],  # noqa: B006 - never changed; a form shows it as an empty list
    why: str = "",
) -> State[None]:
    """Delete data sources, or one side of them, after an approval. They can be brought back for 30 days.

    The plan stands in the artifact `headwater-deletion`: what happens to which dependents, in other workspaces too.
    While production depends on a source, nothing is asked and nothing is deleted, unless `force` names it.

    Args:
        sources: WORKSPACE/NAME of each; all of them are deleted, or none.
        env: Which side; both: the sources themselves.
        force: Names again of sources that go although production depends on them.
        why: The reason, for the audit.
    """
    try:
        with open_store() as store:
            plan = await asyncio.to_thread(planned, store, sources, env, force, why)
            if plan.state == PlanState.APPLIED:  # the run before this one did not come to its end
                return deleted(store.deletions.done(plan.id))
            markdown = report.deletion(
                plan.id, plan.document, creator=plan.creator, expires_at=plan.expires_at, why=plan.why
            )
            await publish.artifact(KEY, markdown, f"plan {plan.id} of {len(sources)} data sources", once=True)
            _expect_unused(plan)
            approval = await approvals.ask(report.deletion_brief(plan.document), KEY)
            done = await asyncio.to_thread(store.deletions.apply, plan.id, store.by(approval.told))
    except approvals.Rejected as error:
        return Cancelled(message=str(error))
    except HeadwaterError as error:
        return approvals.failed(error)
    return deleted(done)


def planned(store: Store, sources: Sequence[str], env: Any, force: Sequence[str], why: str) -> model.Plan:
    """The plan of this run; one that goes on after its approval finds the one that was approved.

    Raises:
        HeadwaterError: As `Deletions.plan`.
    """
    run = flow_run.get_id()
    known = store.deletions.of_run(run) if run else None
    if known is not None:
        return known
    by = store.by(why or f"flow run {flow_run.get_name()}")
    return store.deletions.plan(sources, by, env=env, force=force, run=run).plan


def deleted(done: Sequence[Deleted]) -> State[None]:
    """The state of a run that has deleted, with the tombstones that undo it."""
    for one in done:
        get_run_logger().info(f"deleted {one.path} ({' and '.join(one.envs)}), tombstone {one.tombstone}")
    told = ", ".join(f"{one.path} (headwater source restore {one.tombstone})" for one in done)
    return Completed(name="Deleted", message=f"deleted {told}")


def _expect_unused(plan: model.Plan) -> None:
    refused: dict[str, str] = plan.document["refused"]
    if refused:
        told = "; ".join(f"{path} is {why}" for path, why in refused.items())
        advice = "move them to another source first (repoint-dependents), or name the source under force as well"
        raise InvalidInput(told, where=f"plan:{plan.id}", instruction=advice)
