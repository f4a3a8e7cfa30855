"""A Prefect worker: whole checks are made there, by the same code, and their verdicts come back as artifacts.

One flow run checks many targets. What it is to check travels in its parameter: in a box sealed to the worker's key, or,
where the group has no key, with references in the place of secrets. Parameters are stored in clear: nothing else may
stand there.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydantic import SecretStr, ValidationError

from registry import sealing
from registry.connection.fields import KEPT_HERE
from registry.errors import HeadwaterError, SecretUnresolved
from registry.groups import WorkerSettings
from registry.verdict import Stage, Status, Verdict
from tasks.diagnosis import diagnose
from tasks.evidence import StageFailed, Steps, Trace, now, skipped
from tasks.prefect_api import PrefectApi, settings
from tasks.target import Target
from tasks.vantages.worker import parcels
from tasks.vantages.worker.flow_runs import Ended, WorkPool
from tasks.vantages.worker.parcels import Packed

#: The flow that runs on the group's work pool; its deployment bears the group's name.
FLOW = "check-here"
#: Key of the artifacts that the verdicts come back in: tables whose column `verdict` holds each whole, as JSON.
VERDICTS = "headwater-verdicts"
#: Name of the state of a run that refuses what it was sent; its message begins with the reason's word.
REFUSED = "Refused"

#: Bytes of JSON that one run is given, before sealing: Prefect takes parameters of up to 512 KiB.
_LARGEST = 300_000
_MOST = 520_000
#: Runs under way at a time: each is a process, or a container, of its own at the worker.
_AT_ONCE = 3
#: Checks that a worker makes at a time at least: those of one server wait for each other.
_ABREAST = 8
#: Seconds that a run may take besides its checks: to begin, to write the artifacts, to end.
_ASIDE = 30.0
#: How often a busy server is asked again; the look at the pool ends with the check's own time.
_AGAIN = 3
#: Seconds for a run that ends itself in time to be seen to have ended.
_GRACE = 10.0
#: Characters of a run's last words that are told.
_WORDS = 300

_Key = tuple[str, str, str, str, str]


def open_vantage(name: str, settings: Mapping[str, Any], *, public_key: str | None = None) -> WorkerPool:
    """The outpost of a resource group of kind worker."""
    return WorkerPool(name, WorkerSettings.model_validate(settings), public_key)


@dataclass(frozen=True)
class _Order:
    """What one run is to check: targets, and how they are sent."""

    targets: Sequence[Target]
    packed: Sequence[Packed]
    timeout: float

    @property
    def content(self) -> dict[str, Any]:
        """What is sent, as JSON."""
        files = {digest: text for one in self.packed for digest, text in one.files.items()}
        targets = [one.parcel for one in self.packed]
        return {"timeout": self.timeout, "limit": self.limit, "files": files, "targets": targets}

    @property
    def limit(self) -> float:
        """Seconds that the run may take from its start."""
        return math.ceil(len(self.targets) / _ABREAST) * (self.timeout + 0.5) + _ASIDE

    @property
    def name(self) -> str:
        """What it is called in Prefect's interface."""
        first, count = self.targets[0], len(self.targets)
        return f"{first.workspace}/{first.source} {first.env}" + (f" and {count - 1} more" if count > 1 else "")


class WorkerPool:
    """The workers of one work pool. The logger `headwater.worker` tells what is being waited for."""

    kind = "worker"

    def __init__(self, name: str, settings: WorkerSettings, public_key: str | None) -> None:
        self.name = name
        self._settings = settings
        self._public_key = public_key

    async def close(self) -> None:
        """Nothing is held open between checks."""

    async def check_all(self, targets: Sequence[Target], *, timeout: float) -> AsyncIterator[Verdict]:
        """Have targets checked by workers of the pool; see `tasks.vantages.Outpost`.

        A pool that takes no work is told within `timeout`; the start of a run has its own time, `start_timeout_s`.
        """
        ready: list[tuple[Target, Packed]] = []
        for target, prepared in zip(targets, await asyncio.gather(*map(self._prepare, targets)), strict=True):
            if isinstance(prepared, Verdict):
                yield prepared
            else:
                ready.append((target, prepared))
        if not ready:
            return
        started_at, started = now(), time.perf_counter()
        try:
            async with self._pool(timeout) as (pool, deployment):
                async for verdict in self._check(pool, deployment, ready, timeout):
                    yield verdict
        except StageFailed as nobody:
            for target, _ in ready:
                yield self._down(target, nobody.evidence, started_at, started)

    @asynccontextmanager
    async def _pool(self, timeout: float) -> AsyncIterator[tuple[WorkPool, str]]:
        """The pool and the id of the deployment on it, once it is known that a worker is there.

        Raises:
            StageFailed: Nobody is there.
        """
        # Each run has a key of its own, by which the server knows a request that it has done already.
        async with PrefectApi(settings(), again=_AGAIN) as api:
            pool = WorkPool(api, self._settings.work_pool, self._settings.work_queue, self._settings.start_timeout_s)
            try:
                async with asyncio.timeout(timeout):
                    deployment = await pool.ready(FLOW, self.name)
            except TimeoutError:
                raise StageFailed(agent="server-silent", api=api.api, timeout_s=timeout) from None
            yield pool, deployment

    async def _check(
        self, pool: WorkPool, deployment: str, ready: Sequence[tuple[Target, Packed]], timeout: float
    ) -> AsyncIterator[Verdict]:
        gate = asyncio.Semaphore(_AT_ONCE)
        running = [
            asyncio.create_task(self._carry_out(pool, deployment, order, gate)) for order in _orders(ready, timeout)
        ]
        try:
            for finished in asyncio.as_completed(running):
                for verdict in await finished:
                    yield verdict
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    # -- what is sent -----------------------------------------------------------------------------------------------

    async def _prepare(self, target: Target) -> Packed | Verdict:
        """The target as it is sent, or the verdict over one that is at fault before anything is sent."""
        from tasks.check import check
        from tasks.vantages.local import LocalVantage

        if target.connection is not None and target.problem is None:
            try:
                return parcels.pack(target, await self._secrets(target))
            except SecretUnresolved as unresolved:
                target = replace(target, secrets=_raising(unresolved))
        return await check(target, LocalVantage(self.name))  # it ends before anything is asked of the network

    async def _secrets(self, target: Target) -> Mapping[str, SecretStr] | None:
        references = target.connection.secret_references() if target.connection is not None else {}
        if self._public_key is not None:
            return await asyncio.to_thread(target.secrets) if references else {}
        for field, reference in references.items():
            if reference.startswith(KEPT_HERE):
                raise SecretUnresolved(
                    f"{field} is kept in the registry, and the worker of {self.name} has no key that it could be "
                    "sealed to",
                    where=f"{target.workspace}/{target.source}/{target.env}.{field}",
                    instruction=f"Give the worker a key; `headwater group show {self.name}` says how.",
                )
        return None

    def _request(self, order: _Order) -> str:
        """The parameter of a run: a box, or a letter without secrets."""
        lifetime = self._settings.start_timeout_s + _ASIDE
        if self._public_key is None:
            request = sealing.letter(order.content, group=self.name, lifetime=lifetime)
        else:
            keys = sealing.registry_keys()
            request = sealing.seal(
                order.content, group=self.name, worker=self._public_key, keys=keys, lifetime=lifetime
            )
        if len(request) > _MOST:
            raise StageFailed(agent="too-large", kilobytes=len(request) // 1024)
        return request

    # -- what comes back --------------------------------------------------------------------------------------------

    async def _carry_out(
        self, pool: WorkPool, deployment: str, order: _Order, gate: asyncio.Semaphore
    ) -> list[Verdict]:
        """A verdict for each target of an order, whatever happens to its run."""
        found: dict[_Key, Verdict] = {}
        async with gate:
            started_at, started = now(), time.perf_counter()
            try:
                parameters = {"group": self.name, "request": self._request(order)}
                ended = await pool.run(deployment, order.name, parameters, order.limit + _GRACE)
                found = _answers(order, ended, await pool.artifacts(ended.id, VERDICTS))
                evidence = _shortfall(ended)
            except StageFailed as failure:
                evidence = failure.evidence
            except HeadwaterError as error:
                evidence = {"agent": "no-box", "reason": error.reason, "instruction": error.instruction}
        return [found.get(_key(one)) or self._down(one, evidence, started_at, started) for one in order.targets]

    def _down(self, target: Target, evidence: Mapping[str, Any], started_at: str, started: float) -> Verdict:
        """The verdict over a target that nobody checked."""
        elapsed = round((time.perf_counter() - started) * 1000, 3)
        place = {"work_pool": self._settings.work_pool, "work_queue": self._settings.work_queue or "default"}
        left = [skipped(name, f"left to the worker of {self.name}") for name in ("config", "credentials", "instance")]
        failed = Stage("resolve", Status.FAILED, started_at, elapsed, {**place, **evidence})
        return diagnose(target, Trace(Steps([*left, failed])), started_at=started_at, elapsed_ms=elapsed)


def _raising(error: SecretUnresolved) -> Any:
    def secrets() -> Mapping[str, SecretStr]:
        raise error

    return secrets


def _orders(ready: Sequence[tuple[Target, Packed]], timeout: float) -> Iterator[_Order]:
    """Targets by the run, as many as fit into a parameter."""
    targets: list[Target] = []
    packed: list[Packed] = []
    files: set[str] = set()
    size = 0
    for target, one in ready:
        own = len(json.dumps(one.parcel))
        added = sum(len(text) for digest, text in one.files.items() if digest not in files)
        if targets and size + own + added > _LARGEST:
            yield _Order(targets, packed, timeout)
            targets, packed, files, size = [], [], set(), 0
            added = sum(map(len, one.files.values()))
        targets.append(target)
        packed.append(one)
        files.update(one.files)
        size += own + added
    yield _Order(targets, packed, timeout)


def _key(one: Target | Verdict) -> _Key:
    return one.workspace, one.source, one.type, one.env, one.resource_group


def _answers(order: _Order, ended: Ended, artifacts: Sequence[Any]) -> dict[_Key, Verdict]:
    """The verdicts over what was asked; anything else that the artifacts hold is passed over."""
    asked = {_key(target) for target in order.targets}
    found: dict[_Key, Verdict] = {}
    for verdict in _verdicts(artifacts):
        if _key(verdict) in asked and verdict.connectable == (verdict.cause is None):
            if verdict.stages:
                verdict.stages[0].evidence["flow_run"] = ended.page
            found[_key(verdict)] = verdict
    return found


def _verdicts(artifacts: Sequence[Any]) -> Iterator[Verdict]:
    for data in artifacts:
        try:
            rows = json.loads(data) if isinstance(data, str) else data
        except ValueError:
            continue
        for row in rows if isinstance(rows, list) else ():
            try:
                yield Verdict.model_validate_json(row["verdict"])
            except (ValidationError, KeyError, TypeError):
                continue


def _shortfall(ended: Ended) -> dict[str, Any]:
    """Why a target has no verdict though its run has ended."""
    told = {"flow_run": ended.page, "run_state": ended.name}
    if ended.name == REFUSED:
        word, _, reason = ended.message.partition(": ")
        return {**told, "agent": f"box-{word}", "refused": reason[:_WORDS]}
    if ended.type == "COMPLETED":
        return {**told, "agent": "unanswered"}
    return {**told, "agent": "ended", "run_said": ended.message[:_WORDS]}
