"""A human's approval in the middle of a flow: the run waits for a form, in the UI or by `headwater approve`.

A run of a deployment is suspended: its process ends, and after the approval a worker starts the flow again from the
top, which then passes `ask` at once. So what a flow does before it asks must find again what it did (a stored plan).
A run without a deployment cannot be started again by anybody; it waits in its process.

Prefect's open server knows no users: who approved is what the form says. The change itself is made, and held against
roles, as whoever the flow's worker acts for; the audit keeps the approver's word in its reason.
"""

from __future__ import annotations

import logging
from typing import Literal

from prefect.client.schemas.objects import State
from prefect.exceptions import FlowPauseTimeout, Pause
from prefect.flow_runs import apause_flow_run, asuspend_flow_run
from prefect.input import RunInput
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run
from pydantic import Field, ValidationError

from flows import rounds
from registry.errors import Conflict, HeadwaterError
from tasks.approvals import APPROVE, KEY

#: Seconds that a run waits for its approval: as long as a plan may be applied.
PATIENCE = 24 * 3600
#: Seconds between two looks of a run that waits in its process.
_LOOK = 2


class Approval(RunInput):
    """The form of an approval. Nothing is chosen for anybody: a form that is sent as it opens is refused."""

    decision: Literal["approve", "reject"] = Field(
        title="Decision", description="approve: it is done. reject: the run ends, and nothing is done."
    )
    approved_by: str = Field(title="Your name", pattern=r"\S", description="Who decides this; the audit keeps it.")
    why: str = Field(default="", title="Why", description="The reason; the audit keeps it.")

    @property
    def told(self) -> str:
        """The reason that the audit keeps."""
        return f"{self.why}{': ' if self.why else ''}approved by {self.approved_by} in flow run {flow_run.get_name()}"


class Rejected(HeadwaterError):
    """Whoever was asked said no."""


async def ask(brief: str, artifact: str, *, seconds: int = PATIENCE) -> Approval:
    """Wait until the flow run under way is approved.

    Args:
        brief: What is to be approved, in a few lines of Markdown: they stand above the form.
        artifact: The key of the run's artifact that tells all of it.
        seconds: How long to wait; then the run fails.

    Raises:
        Rejected: It was not approved, or the run was made to go on without an answer.
        HeadwaterError: Nobody has answered in time.
    """
    form = Approval.with_initial_data(description=f"{brief}\n\nAll of it: the artifact `{artifact}` of this run.")
    try:
        if deployment.get_id():
            given = await asuspend_flow_run(wait_for_input=form, timeout=seconds, key=KEY)
        else:
            _say_what_it_waits_for()
            given = await apause_flow_run(wait_for_input=form, timeout=seconds, poll_interval=_LOOK, key=KEY)
    except Pause:
        _say_what_it_waits_for()
        raise
    except FlowPauseTimeout:
        told = f"nobody has answered within {seconds / 3600:g} hours; nothing was done"
        raise HeadwaterError(told, where="approval", instruction="start the run again") from None
    except ValidationError:  # its state was changed by hand, or it was retried after its time
        told = "the run goes on without an answer; nothing was done"
        raise Rejected(told, where="approval", instruction="start another run, and use Resume in its menu") from None
    if given.decision != APPROVE:
        raise Rejected(f"rejected by {given.approved_by}{': ' if given.why else ''}{given.why}")
    get_run_logger().info(given.told)
    return given


def failed(error: HeadwaterError) -> State[None]:
    """The state of a run that could not do what it was to do; as `rounds.failed`."""
    if isinstance(error, Conflict):  # the advice of the command line is to plan again
        anew = "another run of this flow plans anew, a retry of this one does not"
        error = HeadwaterError(error.reason, where=error.where, instruction=f"{error.instruction}\n  {anew}")
    return rounds.failed(error)


def _say_what_it_waits_for() -> None:
    logging.getLogger("prefect.flow_runs").addFilter(_waiting_is_no_error)
    how = f"Resume in the menu of this run, or `headwater approve {flow_run.get_id()}`"
    get_run_logger().info(f"an approval is asked for: {how}")


def _waiting_is_no_error(record: logging.LogRecord) -> bool:
    """Prefect logs every end that is no completion as an error, a suspension too."""
    if record.levelno == logging.ERROR and "Finished in state Suspended" in record.getMessage():
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True
