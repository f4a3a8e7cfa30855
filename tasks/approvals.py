"""The answer to a flow run that waits for an approval, asked for by `flows.approvals`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from registry.errors import Conflict, HeadwaterError, InvalidInput, NotFound
from tasks import prefect_faults
from tasks.evidence import StageFailed
from tasks.prefect_api import PrefectApi, settings

#: What runs that wait for an approval of ours are known by: Prefect's key of the pause.
KEY = "approval"
#: The word of an answer that lets a run go on, and the one that ends it.
APPROVE, REJECT = "approve", "reject"
#: Prefect shows a run as waiting a moment before it can be answered: seconds until then, and between two looks.
_PATIENCE, _LOOK = 10.0, 0.25
_UNREADY = "schema not found"
_LIST = "the Prefect UI lists the runs that are paused or suspended"


async def answer(run: str, decision: str, *, by: str, why: str) -> str:
    """Give a waiting run its answer.

    Args:
        run: The id of a flow run, or its name.
        decision: `APPROVE` or `REJECT`.
        by: Who answers.

    Returns:
        The run's name.

    Raises:
        NotFound: No run of this name or id waits for an approval.
        InvalidInput: Several do.
        Conflict: Somebody else has answered it meanwhile, or its time is over.
        HeadwaterError: The server does not answer, or refuses.
    """
    try:
        async with PrefectApi(settings()) as api:
            found = _waiting(await _runs(api, run), run)
            body = {"run_input": {"decision": decision, "approved_by": by, "why": why}}
            _expect_accepted(await _resume(api, found["id"], body), found)
    except StageFailed as failed:
        raise _explained(failed.evidence) from None
    return str(found["name"])


async def _runs(api: PrefectApi, run: str) -> list[Any]:
    try:
        wanted: dict[str, Any] = {"id": {"any_": [str(UUID(run))]}}
    except ValueError:
        wanted = {"name": {"any_": [run]}}
    return list(await api.post("/flow_runs/filter", {"flow_runs": wanted}) or [])


def _waiting(known: Sequence[Any], run: str) -> Any:
    """The one of these that waits for an approval."""
    waiting = [one for one in known if _state(one).get("type") == "PAUSED"]
    ours = [one for one in waiting if (_state(one).get("state_details") or {}).get("pause_key") == KEY]
    if len(ours) > 1:
        ids = ", ".join(one["id"] for one in ours)
        raise InvalidInput(f"several runs are called {run}", where="run", instruction=f"say which: {ids}")
    if ours:
        return ours[0]
    if waiting:
        told = f"the run {run} waits for something else than an approval"
        raise NotFound(told, where="run", instruction="resume it in the Prefect UI")
    states = ", ".join(sorted({_state(one).get("name") or "?" for one in known}))
    told = f"the run {run} waits for nothing: it is {states}" if known else f"there is no flow run {run!r}"
    raise NotFound(told, where="run", instruction=_LIST)


def _state(run: Any) -> Mapping[str, Any]:
    return run.get("state") or {}


async def _resume(api: PrefectApi, run: str, body: Mapping[str, Any]) -> Any:
    """The server's word on it, once it is ready to take one."""
    ends = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        said = await api.post(f"/flow_runs/{run}/resume", body) or {}
        if _UNREADY not in _reason(said) or asyncio.get_running_loop().time() > ends:
            return said
        await asyncio.sleep(_LOOK)


def _reason(said: Any) -> str:
    return str((said.get("details") or {}).get("reason") or "")


def _expect_accepted(said: Any, run: Any) -> None:
    if said.get("status") == "ACCEPT":
        return
    if said.get("status") == "ABORT":
        told = "it does not wait any more: somebody has answered it, or cancelled it"
        raise Conflict(told, where=f"run:{run['name']}", instruction=_LIST)
    if _state(said).get("type") == "FAILED":
        told = "it was not answered in time, and has failed; nothing was done"
        raise Conflict(told, where=f"run:{run['name']}", instruction="start it again")
    raise HeadwaterError(f"Prefect does not resume it: {_reason(said)}", where=f"run:{run['name']}")


def _explained(evidence: Mapping[str, Any]) -> HeadwaterError:
    told, advice = prefect_faults.told(evidence), prefect_faults.advice(evidence)
    return HeadwaterError(told, where="PREFECT_API_URL", instruction=advice)
