"""What goes to Prefect: report artifacts, events of state changes, and the past of a flow. Needs a run to belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prefect.artifacts import acreate_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterStateType,
)
from prefect.client.schemas.filters import FlowRunFilterState as StateFilter
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events import emit_event
from prefect.runtime import flow_run

from registry.verdict import State
from registry.verdicts import Standing
from tasks import report

CHANGED = "headwater.data-source.state-changed"
MANY_CHANGED = "headwater.data-source.many-states-changed"
#: A server takes some 30 events a second: beyond these, one event tells of the rest.
EVENTS_A_RUN = 500


async def artifact(key: str, markdown: str, description: str, *, once: bool = False) -> None:
    """Keep a report with the run that is under way; the same key again makes a new version of it.

    Args:
        key: Small letters, digits and dashes: see `tasks.report.key`.
        once: Only if the run has none of this key: one that goes on after an approval has shown what it is about.
    """
    if not (once and await _is_published(key)):
        await acreate_markdown_artifact(markdown, key=key, description=description)


async def _is_published(key: str) -> bool:
    wanted = {"key": {"any_": [key]}, "flow_run_id": {"any_": [flow_run.get_id()]}}
    async with get_client() as client:
        found = await client.read_artifacts(artifact_filter=ArtifactFilter.model_validate(wanted), limit=1)
    return bool(found)


def changes(changed: Sequence[Standing]) -> None:
    """An event a state change. Automations match `event` and the resource's id or labels."""
    for one in changed[:EVENTS_A_RUN]:
        place = f"{one.workspace}.{one.source}.{one.env}.{one.resource_group}"
        state, cause = one.before or (None, None)
        emit_event(
            CHANGED,
            {
                "prefect.resource.id": f"headwater.data-source.{place}",
                "prefect.resource.name": f"{one.workspace}/{one.source} {one.env} from {one.resource_group}",
                "headwater.workspace": one.workspace,
                "headwater.source": one.source,
                "headwater.env": one.env,
                "headwater.resource-group": one.resource_group,
                "headwater.state": str(one.state),
            },
            payload={
                "state": str(one.state),
                "cause": one.cause,
                "previous": str(state) if state else None,
                "previous_cause": cause,
                "since": one.since.isoformat(),
            },
        )
    rest = changed[EVENTS_A_RUN:]
    if rest:
        ill = sum(1 for one in rest if one.state is not State.CONNECTABLE)
        emit_event(
            MANY_CHANGED,
            {"prefect.resource.id": "headwater.data-sources"},
            payload={"changed": len(rest), "now_sick": ill, "now_connectable": len(rest) - ill},
        )


@dataclass(frozen=True)
class Past:
    """The completed runs of a flow.

    Attributes:
        ended: When the last of them ended; None where there is none.
        trend: Their numbers, oldest first.
    """

    ended: datetime | None
    trend: tuple[report.Point, ...]


async def past(flow: str, *, runs: int = 96) -> Past:
    """What the newest completed runs of a flow told in their states, written by `tasks.report.tally`."""
    async with get_client() as client:
        found = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
            flow_run_filter=FlowRunFilter(state=StateFilter(type=FlowRunFilterStateType(any_=[StateType.COMPLETED]))),
            sort=FlowRunSort.END_TIME_DESC,
            limit=runs,
        )
    points = [
        report.Point(run.end_time, *numbers)
        for run in reversed(found)
        if run.end_time is not None and (numbers := report.counted(run.state.message if run.state else None))
    ]
    return Past(points[-1].at if points else None, tuple(points))
