"""Events of changed data sources, for Prefect's automations: created, changed, shared, deleted, tested.

They go out after the commit of the change, in a thread of their own, where a server is configured. A server that is
away, or slow, neither fails nor holds up the change: its events are lost, and the audit has them all the same.
Prefect's library is not loaded for it, as commands live for less time than that takes.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import queue
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from tasks import prefect_api

if TYPE_CHECKING:
    from registry.news import Records
    from registry.verdict import Verdict

_LOG = logging.getLogger("headwater.events")

#: Action of the audit on a data source -> its event.
EVENTS: Mapping[str, str] = {
    "create": "headwater.data-source.created",
    "update": "headwater.data-source.changed",
    "maintain": "headwater.data-source.maintenance-began",
    "end maintenance": "headwater.data-source.maintenance-ended",
    "share": "headwater.data-source.shared",
    "unshare": "headwater.data-source.unshared",
    "delete": "headwater.data-source.deleted",
    "restore": "headwater.data-source.restored",
}
TESTED = "headwater.data-source.tested"
MANY = "headwater.data-source.many"
#: Of more sources that are changed, or tested, together, one event tells the rest.
MOST = 100
#: Seconds that a server may take: a busy one takes some, and nobody waits for it.
ANSWER = 15.0
#: Seconds that an ending process waits for its last events.
PATIENCE = 2.0
#: Seconds for which a server that does not answer is left alone.
PAUSE = 60.0
#: Actions whose record says with whom, and until when; of others the names of the changed fields are told, no values.
_TOLD_WHOLE = ("share", "unshare", "maintain", "end maintenance")


def changed(records: Records) -> None:
    """An event for each of these records of data sources."""
    _send([_of_record(one) for one in records if one["action"] in EVENTS])


def tested(verdicts: Sequence[Verdict]) -> None:
    """An event for each check that somebody asked for."""
    _send([_of_verdict(one) for one in verdicts])


def _of_record(record: Mapping[str, Any]) -> dict[str, Any]:
    sides: tuple[Mapping[str, Any], Mapping[str, Any]] = (record["before"] or {}, record["after"] or {})
    more = {"fields": sorted({*sides[0], *sides[1]})}
    if record["action"] in _TOLD_WHOLE:
        more = {name: value for name, value in (sides[1] or sides[0]).items() if name != "paused"}
    told = {"actor": record["actor"], "why": record["why"], "version": record["version"], **more}
    return _event(EVENTS[record["action"]], record["object"].removeprefix("data_source:"), told, at=record["at"])


def _of_verdict(verdict: Verdict) -> dict[str, Any]:
    labels = {
        "headwater.env": verdict.env,
        "headwater.resource-group": verdict.resource_group,
        "headwater.state": str(verdict.state),
    }
    told = {"state": str(verdict.state), "cause": verdict.cause, "elapsed_ms": verdict.elapsed_ms}
    return _event(TESTED, f"{verdict.workspace}/{verdict.source}", told, labels)


def _event(
    name: str,
    path: str,
    payload: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
    at: datetime | None = None,
) -> dict[str, Any]:
    workspace, _, source = path.partition("/")
    return {
        "id": str(uuid.uuid4()),
        "occurred": (at or datetime.now(UTC)).isoformat(),
        "event": name,
        "resource": {
            "prefect.resource.id": f"headwater.data-source.{workspace}.{source}",
            "prefect.resource.name": path,
            "headwater.workspace": workspace,
            "headwater.source": source,
            **(labels or {}),
        },
        "payload": dict(payload),
    }


def _send(events: Sequence[dict[str, Any]]) -> None:
    if not events or not prefect_api.settings().get("PREFECT_API_URL"):
        return
    rest = events[MOST:]
    if rest:
        counts: dict[str, int] = {}
        for one in rest:
            counts[one["event"]] = counts.get(one["event"], 0) + 1
        many = _event(MANY, "", {"events": counts})
        many["resource"] = {"prefect.resource.id": "headwater.data-sources"}
        events = [*events[:MOST], many]
    _messenger().take(events)


@cache
def _messenger() -> _Messenger:
    return _Messenger()


class _Messenger:
    """A thread that brings events to the server, one batch after the other."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Sequence[dict[str, Any]] | None] = queue.SimpleQueue()
        self._away_until = 0.0
        self._thread = threading.Thread(target=self._run, name="headwater-events", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def take(self, events: Sequence[dict[str, Any]]) -> None:
        """Bring these, soon."""
        self._waiting.put(events)

    def close(self) -> None:
        """Bring what is still there, for as long as an ending process may wait."""
        self._waiting.put(None)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        for events in iter(self._waiting.get, None):
            if time.monotonic() < self._away_until:
                continue
            try:
                with asyncio.Runner(loop_factory=_Loop) as runner:
                    runner.run(_post(events))
            except Exception as error:  # nothing depends on them
                self._away_until = time.monotonic() + PAUSE
                _LOG.debug("events are lost: %s", type(error).__name__)


class _Loop(asyncio.SelectorEventLoop):
    """Looks names up in its own thread: the pool of threads that loops do it in takes nothing once a process ends."""

    async def getaddrinfo(self, host: Any, port: Any, **more: Any) -> Any:
        return socket.getaddrinfo(host, port, **more)


async def _post(events: Iterable[dict[str, Any]]) -> None:
    async with asyncio.timeout(ANSWER), prefect_api.PrefectApi(prefect_api.settings()) as api:
        await api.post("/events", [*events])
