"""Maintenance whose time is over: what was paused for it is started again, and it is forgotten."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from registry.errors import HeadwaterError
from registry.store import Store
from tasks import schedules
from tasks.evidence import StageFailed

_LOG = logging.getLogger("headwater.maintenance")


async def end(store: Store, why: str) -> list[str]:
    """End what is over; gives the data sources. What cannot be ended now is logged, and left for the next time.

    Schedules are started first: after a kill in between, the next time does the rest.
    """
    now, ended = datetime.now(UTC), list[str]()
    for path, one in store.maintenances.list():
        if one.until is None or one.until > now:
            continue
        workspace, _, name = path.partition("/")
        try:
            failed = await schedules.resume(one.paused) if one.paused else []
            store.maintenances.end(workspace, name, store.by(why), expected=one)
        except (HeadwaterError, StageFailed) as error:
            _LOG.warning("the maintenance of %s is over and could not be ended: %s", path, error)
            continue
        ended.append(path)
        for deployment in failed:
            _LOG.warning("deployment %s could not be started again, or is gone", deployment)
    return ended
