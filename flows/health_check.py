"""`health-check`: test every data source, remember it, and tell what changed since the last run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from prefect import flow
from prefect.client.schemas.objects import State

from flows import checking, overdue, rounds
from registry.errors import HeadwaterError
from registry.store import open_store
from tasks import publish, report

NAME = "health-check"
KEY = "headwater-health"
_BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)


@flow(name=NAME)
async def health_check(timeout: float = 5.0) -> State[None]:
    """Test every data source from every resource group.

    Publishes the summary as artifact `headwater-health`, and an event `headwater.data-source.state-changed` for
    everything that stands otherwise than after the last run, whoever found it out in between. What is left of data
    sources that were deleted 30 days ago is forgotten, and schedules that were paused for a maintenance whose time is
    over are started again.

    Args:
        timeout: Seconds that one check may take.
    """
    try:
        rounds.check_timeout(timeout)
        with open_store() as store:
            past = await publish.past(NAME)
            plans = await asyncio.to_thread(checking.gather, store)
            done = await rounds.run(store, plans, timeout=timeout)
            changes = await asyncio.to_thread(store.verdicts.changed, past.ended or _BEFORE_ALL)
            standings = await asyncio.to_thread(store.verdicts.sick)
            await asyncio.to_thread(store.tombstones.purge, store.by(NAME))
            await overdue.end(store, NAME)
    except HeadwaterError as error:
        return rounds.failed(error)
    markdown = report.health(
        done.verdicts,
        seconds=done.seconds,
        changes=changes,
        standings=standings,
        previous=past.ended,
        trend=[*past.trend, report.Point(datetime.now(UTC), len(report.sick(done.verdicts)), len(done.verdicts))],
    )
    publish.changes(changes)
    await publish.artifact(KEY, markdown, report.tally(done.verdicts))
    return done.state()
