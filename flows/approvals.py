"""A human's approval in the middle of a flow: the run waits for a form, in the UI or by `headwater approve`.

A run of a deployment is suspended: its process ends, and after the approval a worker starts the flow again from the
top, which then passes `ask` at once. So what a flow does before it asks must find again what it did (a stored plan).
A run without a deployment cannot be started again by anybody; it waits in its process.

Prefect's open server knows no users: who approved is what the form says. The change itself is made, and held against
roles, as whoever the flow's worker acts for; the audit keeps the approver's word in its reason.
"""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.flow_runs import apause_flow_run, aresume_flow_run, asuspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment, flow_run
from pydantic import Field

from registry.errors import HeadwaterError, InvalidInput, NotFound

#: Seconds that a run waits for its approval: as long as a plan may be applied.
PATIENCE = 24 * 3600
#: Characters of what is approved that stand above the form; all of it is in the run's artifact.
LONGEST = 20_000
#: Seconds between two looks of a run that waits in its process.
_LOOK = 2


class Approval(RunInput):
    """The form of an approval."""

    approve: bool = Field(default=False, description="Do it. Left off: the run ends and nothing is done.")
    approved_by: str = Field(default="", description="Who you are, for the audit.")
    why: str = Field(default="", description="The reason, for the audit.")

    @property
    def told(self) -> str:
        """The reason that the audit keeps."""
        return f"{self.why}{': ' if self.why else ''}approved by {self.approved_by} in flow run {flow_run.get_name()}"


class Rejected(HeadwaterError):
    """Whoever was asked said no."""


async def ask(markdown: str, *, seconds: int = PATIENCE) -> Approval:
    """Wait until the flow run under way is approved.

    Args:
        markdown: What is to be approved; stands above the form.
        seconds: How long to wait; then the run fails.

    Raises:
        Rejected: It was not approved, or nobody's name stands under it.
    """
    if len(markdown) > LONGEST:
        markdown = f"{markdown[:LONGEST].rpartition(chr(10))[0]}\n\n… all of it is among the artifacts of the run."
    form = Approval.with_initial_data(description=markdown, approve=False, approved_by="", why="")
    if deployment.get_id():
        given = cast("Approval", await asuspend_flow_run(wait_for_input=form, timeout=seconds, key="approval"))
    else:
        given = cast(
            "Approval",
            await apause_flow_run(wait_for_input=form, timeout=seconds, poll_interval=_LOOK, key="approval"),
        )
    if not given.approve:
        raise Rejected(f"rejected by {given.approved_by or 'somebody'}{': ' if given.why else ''}{given.why}")
    if not given.approved_by.strip():
        raise Rejected("approved by nobody: the form has no name under approved_by", instruction="start the run again")
    return given


async def answer(run: str, *, approve: bool, by: str, why: str) -> str:
    """Give a waiting run its answer.

    Args:
        run: The id of a flow run, or its name.

    Returns:
        The run's name.

    Raises:
        NotFound: No run of this name or id waits for an answer.
        InvalidInput: Several do.
    """
    async with get_client() as client:
        found = await _waiting(client, run)
    answered: dict[str, Any] = {"approve": approve, "approved_by": by, "why": why}
    await aresume_flow_run(found.id, run_input=answered)
    return found.name


async def _waiting(client: PrefectClient, run: str) -> FlowRun:
    try:
        known = await client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": [UUID(run)]}}))
    except ValueError:
        named = FlowRunFilter(name=FlowRunFilterName(any_=[run]))
        known = await client.read_flow_runs(flow_run_filter=named)
    waiting = [one for one in known if one.state is not None and one.state.is_paused()]
    if len(waiting) > 1:
        ids = ", ".join(str(one.id) for one in waiting)
        raise InvalidInput(f"several runs are called {run}", where="run", instruction=f"say which: {ids}")
    if not waiting:
        states = ", ".join(sorted({one.state_name or "?" for one in known}))
        told = f"the run {run} waits for nothing: it is {states}" if known else f"there is no flow run {run!r}"
        raise NotFound(told, where="run", instruction="the Prefect UI lists the runs that are paused or suspended")
    return waiting[0]
