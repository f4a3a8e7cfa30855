"""`check-here`: the flow that a resource group's worker runs. It checks what it is sent, and keeps no registry.

`headwater deploy` puts it on the work pool of every group of kind worker; checks from these groups start it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import flow
from prefect.artifacts import acreate_table_artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from registry import sealing
from registry.errors import HeadwaterError
from registry.sealing import BoxRefused
from registry.verdict import Verdict
from tasks import references, report
from tasks.fleet import check_all
from tasks.target import Target
from tasks.vantages.local import LocalVantage
from tasks.vantages.worker import FLOW, REFUSED, VERDICTS, parcels

#: Bytes of verdicts in one artifact: its event is refused above 1.5 MB.
_LARGEST = 500_000


class _Work(BaseModel):
    """What a box holds.

    Attributes:
        timeout: Seconds for each check.
        limit: Seconds for all of them.
        files: Digest -> file that targets refer to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    timeout: float = Field(gt=0, le=3600)
    limit: float = Field(gt=0)
    files: dict[str, str]
    targets: list[dict[str, Any]] = Field(min_length=1)


@flow(name=FLOW, persist_result=False)
async def check_here(group: str, request: str) -> State[None]:
    """Check data sources from this machine on behalf of a resource group.

    The verdicts become artifacts of the run. Started by Headwater itself: a box opens once.

    Args:
        group: The resource group.
        request: A sealed box, or an open letter without secrets.
    """
    references.install()
    try:
        work = _Work.model_validate(sealing.receive(request, group=group))
        targets = [parcels.unpack(packed, work.files) for packed in work.targets]
    except (HeadwaterError, ValidationError) as refused:
        return _refused(refused)
    done: list[Verdict] = []
    try:
        async with asyncio.timeout(work.limit):
            await _check(targets, group, work.timeout, done)
    except TimeoutError:
        return Failed(message=f"{len(targets) - len(done)} of {len(targets)} checks were not done in time")
    well = all(verdict.connectable for verdict in done)
    return Completed(name="Healthy" if well else "Sick", message=report.tally(done))


def _refused(error: HeadwaterError | ValidationError) -> State[None]:
    """What was sent is not used. Why is told; what was in it is not."""
    word = error.why if isinstance(error, BoxRefused) else "broken"
    reason = str(error) if isinstance(error, HeadwaterError) else "it is of another version of Headwater"
    get_run_logger().error(f"what this run was sent is refused: {reason}")
    return Failed(name=REFUSED, message=f"{word}: {reason}")


async def _check(targets: list[Target], group: str, timeout: float, done: list[Verdict]) -> None:
    """Check and publish, as many verdicts at a time as fit into an artifact; however it ends, what is done is told."""
    batch, size = list[Verdict](), 0
    try:
        async for verdict in check_all(targets, LocalVantage(group), timeout=timeout):
            own = len(verdict.model_dump_json())
            if batch and size + own > _LARGEST:
                await _publish(batch)
                batch, size = [], 0
            batch.append(verdict)
            done.append(verdict.model_copy(update={"stages": []}))
            size += own
    finally:
        if batch:
            await _publish(batch)


async def _publish(verdicts: list[Verdict]) -> None:
    rows = [
        {
            "data source": f"{verdict.workspace}/{verdict.source}",
            "env": verdict.env,
            "state": str(verdict.state),
            "cause": verdict.cause or "",
            "verdict": verdict.model_dump_json(),
        }
        for verdict in verdicts
    ]
    await acreate_table_artifact(rows, key=VERDICTS, description=report.tally(verdicts))
