"""Checks by Prefect workers at the vantages: any entries, sealed, in one flow run a vantage.

    hub (Prefect server, registry) 10.99.N.1 -- mgmt -- 10.99.N.2 vantage of subnet N (worker)

The server listens in the management network (`tests.lab.hops`), which leads nowhere else; a worker sees the server
there, and everything else as its vantage sees it. Each worker has a home and a key pair of its own.

    verdicts = check_many(lab, "client", [{"type": "postgresql", "entry": {...}}, ...])

A server takes 10 s to start, a worker 5 s, a run 5 s, on a machine that has nothing else to do; the checks of a run are
made at the same time. Everything stays until the lab ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from flows.worker_groups import ENTRYPOINT
from registry import sealing
from registry.groups import WorkerSettings
from registry.verdict import Verdict
from tasks.prefect_api import PrefectApi
from tasks.target import Target
from tasks.vantages.worker import FLOW, WorkerPool
from tests.lab.agent import target
from tests.lab.hops import HUB
from tests.lab.hub_server import QUIET, HubServer
from tests.lab.lab import Lab
from tests.lab.topology import VANTAGES
from tests.working import Worker

PORT = 4200
_API = f"http://127.0.0.1:{PORT}/api"
#: Many scenarios run beside it.
_START_TIMEOUT_S = 90.0
#: Seconds after which a server that is too busy for a check is not asked again.
_BUSY_SECONDS = 180.0


def check_many(lab: Lab, vantage: str, requests: Sequence[Mapping[str, Any]], *, pool: str = "") -> list[Verdict]:
    """Have entries checked by the worker of a vantage, in one flow run for each timeout among them.

    Args:
        requests: Each as for `Lab.check_all`: ``type`` and ``entry``, written as in the declarative file and with
            secrets in it; if wanted ``source``, ``timeout`` (seconds, 5 by default), ``permitted_ranges`` and
            ``network`` (as declared; by default what is true).
        pool: A work pool in place of the one that the worker serves.

    Returns:
        The verdicts, in the order of the requests.
    """
    return _of(lab).check_many(vantage, requests, pool)


def _of(lab: Lab) -> Workers:
    if lab not in _workers:
        _workers[lab] = Workers(lab)
    return _workers[lab]


class Workers:
    """The Prefect server of a lab, and the workers at its vantages, each started when it is first asked for."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._folder = lab.network.directory / "prefect"
        self._workers: dict[str, Worker] = {}
        self._keys: dict[str, str] = {}
        self._server: HubServer | None = None

    def check_many(self, vantage: str, requests: Sequence[Mapping[str, Any]], work_pool: str = "") -> list[Verdict]:
        """See `check_many`."""
        self._started(vantage)
        wanted = [self._target(vantage, number, request) for number, request in enumerate(requests)]
        timeouts = [float(request.get("timeout", 5.0)) for request in requests]
        public_key = self._keys[vantage]
        pool = WorkerPool(
            vantage,
            WorkerSettings(work_pool=work_pool or vantage, start_timeout_s=_START_TIMEOUT_S),
            public_key=public_key,
        )
        shares = {
            timeout: [one for one, own in zip(wanted, timeouts, strict=True) if own == timeout] for timeout in timeouts
        }
        with self._at_hub():
            found = asyncio.run(_checked(pool, shares))
            ends = time.monotonic() + _BUSY_SECONDS
            while any(verdict.component == _API for verdict in found.values()):
                self._expect_server(ends)
                found = asyncio.run(_checked(pool, shares))
        return [_restored(found[one.workspace], one.workspace) for one in wanted]

    def _expect_server(self, ends: float) -> None:
        """Its server stands, whatever it is busy with. Raises: RuntimeError: It does not, or not in time."""
        assert self._server is not None
        if not self._server.runs or time.monotonic() > ends:
            raise RuntimeError("the Prefect server of the lab does not answer:\n" + self._server.said)
        time.sleep(1)

    def _target(self, vantage: str, number: int, request: Mapping[str, Any]) -> Target:
        """The target of a request; its workspace tells those of one name apart."""
        defaults = {"source": "orders", "permitted_ranges": (), "network": VANTAGES[vantage].network}
        return replace(target({**defaults, **request, "vantage": vantage}), workspace=f"lab-{number}")

    @contextmanager
    def _at_hub(self) -> Iterator[None]:
        """Act as the registry: in the hub, with its home."""
        changed = {"HEADWATER_HOME": str(self._folder / "registry"), "PREFECT_API_URL": _API}
        before = {name: os.environ.get(name) for name in (*changed, "HEADWATER_KEYRING")}
        os.environ.update(changed)
        os.environ.pop("HEADWATER_KEYRING", None)
        try:
            with self._lab.inside(HUB):
                yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})

    # -- server and workers -----------------------------------------------------------------------------------------

    def _started(self, vantage: str) -> None:
        if vantage not in self._workers:
            self._lab.hops.wire(vantage)
            self._serve()
            self._deploy(vantage)
            assert self._server is not None
            settings = {"PREFECT_API_URL": self._server.api_from(vantage), **QUIET}
            prefix = self._lab.network.command(vantage, [sys.executable])[:-1]
            worker = Worker(self._folder / vantage, vantage, settings, prefix=prefix)
            with self._at_hub():
                registry = sealing.registry_keys().public
            self._keys[vantage] = worker.headwater("group", "keygen", vantage, "--trust", registry)
            worker.start()
            self._workers[vantage] = worker

    def _deploy(self, vantage: str) -> None:
        async def deploy() -> None:
            async with PrefectApi({"PREFECT_API_URL": _API}) as api:
                await api.post("/work_pools/", {"name": vantage, "type": "process"})
                flow = (await api.post("/flows/", {"name": FLOW}))["id"]
                deployment = {"name": vantage, "flow_id": flow, "work_pool_name": vantage, "entrypoint": ENTRYPOINT}
                await api.post("/deployments/", deployment)

        with self._at_hub():
            asyncio.run(deploy())

    def _serve(self) -> None:
        if self._server is None:
            self._server = HubServer(self._lab, self._folder / "server", PORT)
            self._server.wait()


_workers: WeakKeyDictionary[Lab, Workers] = WeakKeyDictionary()


async def _checked(pool: WorkerPool, shares: Mapping[float, Sequence[Target]]) -> dict[str, Verdict]:
    """Workspace -> verdict; a flow run for each timeout, at the same time."""

    async def check(timeout: float) -> list[Verdict]:
        return [verdict async for verdict in pool.check_all(shares[timeout], timeout=timeout)]

    return {verdict.workspace: verdict for found in await asyncio.gather(*map(check, shares)) for verdict in found}


def _restored(verdict: Verdict, workspace: str) -> Verdict:
    """The verdict with the workspace that entries of the lab have."""
    texts = {name: getattr(verdict, name).replace(workspace, "lab") for name in ("component", "message", "remedy")}
    return verdict.model_copy(update={"workspace": "lab", **texts})
