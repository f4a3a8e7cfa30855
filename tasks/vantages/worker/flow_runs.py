"""Having something run on a Prefect work pool, and finding out soon when nobody there will.

Why nothing came of it is told by `StageFailed`, whose evidence the rules of `PROBE.AGENT_DOWN` read: ``agent`` is a
word for each reason.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from tasks.evidence import StageFailed
from tasks.prefect_api import PrefectApi

#: Seconds between looks at a run, and between looks at the pool meanwhile.
_INTERVAL = 0.5
_POOL_INTERVAL = 3.0
#: Seconds without an answer after which the server counts as gone, and for a last word to it.
_SILENCE = 15.0
_FAREWELL = 3.0
#: Prefect counts a worker as online until it has missed three heartbeats. Here one that has missed one counts as gone,
#: unless somebody asks for work: seconds between that, three times as many as are usual, and heartbeats, with their
#: jitter.
_POLLS = 30.0
_BEATS = 1.5
_BEAT = 30.0
#: Artifacts that the server lists at once.
_PAGE = 50

_WAITING = ("SCHEDULED", "PENDING")
_FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

#: What is being waited for; each record bears the run's `page`.
log = logging.getLogger("headwater.worker")


@dataclass(frozen=True)
class Ended:
    """A flow run that has ended."""

    id: str
    page: str
    type: str
    name: str
    message: str


class WorkPool:
    """A work pool, and the deployment on it that is to run.

    Args:
        queue: The queue of the pool; None for its default queue.
        start_timeout: Seconds that a run may wait until a worker has started it.
    """

    def __init__(self, api: PrefectApi, name: str, queue: str | None, start_timeout: float) -> None:
        self._api = api
        self._name = name
        self._queue = queue or "default"
        self._start_timeout = start_timeout
        self._path = f"/work_pools/{quote(name, safe='')}"

    async def ready(self, flow: str, deployment: str) -> str:
        """The id of the deployment, if a worker is there to run it.

        Raises:
            StageFailed: The pool takes no work now.
        """
        found = f"/deployments/name/{quote(flow, safe='')}/{quote(deployment, safe='')}"
        pool, queue, workers, deployed = await asyncio.gather(
            self._api.get(self._path), self._read_queue(), self._workers(), self._api.get(found)
        )
        self._expect_open(pool, queue)
        if deployed is None:
            raise StageFailed(agent="no-deployment", deployment=f"{flow}/{deployment}")
        if deployed.get("work_pool_name") != self._name:
            elsewhere = deployed.get("work_pool_name") or "no pool"
            raise StageFailed(agent="deployed-elsewhere", deployment=f"{flow}/{deployment}", deployed_to=elsewhere)
        self._expect_worker(workers or [], queue or {})
        return str(deployed["id"])

    async def _read_queue(self) -> Any:
        return await self._api.get(f"{self._path}/queues/{quote(self._queue, safe='')}")

    async def _workers(self) -> Any:
        return await self._api.post(f"{self._path}/workers/filter", {})

    def _expect_open(self, pool: Any, queue: Any) -> None:
        if pool is None:
            raise StageFailed(agent="no-pool")
        if pool.get("is_paused"):
            raise StageFailed(agent="pool-paused")
        if pool.get("concurrency_limit") == 0:
            raise StageFailed(agent="pool-limit")
        if queue is None:
            raise StageFailed(agent="no-queue")
        if queue.get("is_paused"):
            raise StageFailed(agent="queue-paused")

    def _expect_worker(self, workers: Sequence[Mapping[str, Any]], queue: Mapping[str, Any]) -> None:
        online = [one for one in workers if one.get("status") == "ONLINE"]
        if not workers:
            raise StageFailed(agent="no-worker")
        if not online:
            heard = max(str(one.get("last_heartbeat_time")) for one in workers)
            raise StageFailed(agent="offline", workers=len(workers), last_heartbeat=heard)
        polled = self._ago(queue.get("last_polled"))
        beats = [(self._ago(one.get("last_heartbeat_time")), one.get("heartbeat_interval_seconds")) for one in online]
        if polled > _POLLS and all(ago > _BEATS * (interval or _BEAT) for ago, interval in beats):
            quiet = round(min(polled, *(ago for ago, _ in beats)))
            raise StageFailed(agent="not-heard", workers=len(online), quiet_s=quiet)

    def _ago(self, moment: Any) -> float:
        """Seconds since a moment by the server's clock; infinitely many since never."""
        if not moment or self._api.clock is None:
            return math.inf
        return (self._api.clock - _instant(str(moment))).total_seconds()

    async def run(self, deployment: str, name: str, parameters: Mapping[str, Any], limit: float) -> Ended:
        """Have the deployment run, and wait until it has ended; a run that is given up is cancelled.

        Args:
            deployment: Its id.
            limit: Seconds that the run may take from its start.
        """
        body = {"name": name, "parameters": dict(parameters), "idempotency_key": str(uuid.uuid4())}
        made = await self._api.post(f"/deployments/{deployment}/create_flow_run", body)
        if made is None:
            raise StageFailed(agent="no-deployment", deployment=deployment)
        run = str(made["id"])
        try:
            return await self._follow(run, limit)
        except StageFailed as failure:
            await self._give_up(run)
            raise StageFailed(**failure.evidence, flow_run=self._api.page_of(run)) from None
        except BaseException:
            await asyncio.shield(self._give_up(run))
            raise

    async def _follow(self, run: str, limit: float) -> Ended:
        page = self._api.page_of(run)
        log.info("waiting for a worker of %s ...", self._name, extra={"page": page})
        state = await self._started(run)
        if state["type"] not in _FINAL:
            log.info("a worker of %s is at it ...", self._name, extra={"page": page})
            state = await self._ended(run, limit)
        return Ended(run, page, state["type"], str(state.get("name") or state["type"]), str(state.get("message") or ""))

    async def _started(self, run: str) -> Mapping[str, Any]:
        """The state of a run once a worker has started it."""
        begun = looked = time.monotonic()
        async for state in self._states(run):
            passed = time.monotonic() - begun
            if state["type"] not in _WAITING:
                return state
            if passed > self._start_timeout:
                raise StageFailed(
                    agent="not-started", run_state=str(state.get("name")), start_timeout_s=self._start_timeout
                )
            if state["type"] == "SCHEDULED" and time.monotonic() - looked > _POOL_INTERVAL:
                looked = time.monotonic()
                queue, workers = await asyncio.gather(self._read_queue(), self._workers())
                self._expect_worker(workers or [], queue or {})
        raise AssertionError("states have no end")

    async def _ended(self, run: str, limit: float) -> Mapping[str, Any]:
        ends = time.monotonic() + limit
        async for state in self._states(run):
            if state["type"] in _FINAL:
                return state
            if time.monotonic() > ends:
                raise StageFailed(agent="overdue", run_state=str(state.get("name")), limit_s=round(limit))
        raise AssertionError("states have no end")

    async def _states(self, run: str) -> AsyncIterator[Mapping[str, Any]]:
        """The state of a run, again and again; a server that is away for a moment does no harm."""
        heard = time.monotonic()
        while True:
            try:
                found = await self._api.get(f"/flow_runs/{run}")
            except StageFailed:
                if time.monotonic() - heard > _SILENCE:
                    raise
            else:
                heard = time.monotonic()
                if found is None or not found.get("state"):
                    raise StageFailed(agent="ended", run_state="deleted", run_said="it is not there any more")
                yield found["state"]
            await asyncio.sleep(_INTERVAL)

    async def _give_up(self, run: str) -> None:
        """Cancel a run that nobody waits for any more. What cannot be cancelled ends by itself."""
        body = {"state": {"type": "CANCELLING", "message": "nobody waits for it any more"}}
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._api.post(f"/flow_runs/{run}/set_state", body)
        except (StageFailed, TimeoutError):
            pass

    async def artifacts(self, run: str, key: str) -> list[Any]:
        """The data of the artifacts of a run under a key."""
        found: list[Any] = []
        wanted = {"flow_run_id": {"any_": [run]}, "key": {"any_": [key]}}
        while True:
            body = {"artifacts": wanted, "limit": _PAGE, "offset": len(found), "sort": "CREATED_DESC"}
            page = await self._api.post("/artifacts/filter", body) or []
            found += [one.get("data") for one in page]
            if len(page) < _PAGE:
                return found


def _instant(text: str) -> datetime:
    """A time as the server writes it; in UTC where it names no zone."""
    read = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return read if read.tzinfo else read.replace(tzinfo=UTC)
