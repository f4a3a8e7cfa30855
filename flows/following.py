"""Forms and worker groups on a Prefect server, brought to what the registry holds; without Prefect's library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flows import worker_groups
from registry.errors import HeadwaterError
from registry.groups import WorkerSettings
from tasks.evidence import StageFailed
from tasks.prefect_api import PrefectApi, settings
from tasks.vantages.worker import FLOW

if TYPE_CHECKING:
    from registry.model import ResourceGroup

#: Seconds in which a server must have told what is deployed there, and then have taken what is to be changed.
LOOK, CHANGE = 2.0, 20.0
#: The server gives no more deployments at a time.
_PAGE = 200
#: What a request came to, where it was not simply left without an answer.
_TOLD = {
    "server-unauthorized": "refuses the credentials of Prefect's settings",
    "server-busy": "is busy",
    "server-error": "answers with an error",
}


async def follow(
    names: Sequence[str], form: Callable[[dict[str, Any]], dict[str, Any]], groups: Sequence[ResourceGroup]
) -> bool:
    """Change the forms and worker groups that are not as they should be.

    Args:
        names: `flow/deployment` of those with forms.
        form: The parameter schema that a form should have, from the one that it has.
        groups: All resource groups of the registry.

    Returns:
        Whether there was one.

    Raises:
        HeadwaterError: The server does not answer in time, or refuses.
    """
    try:
        async with PrefectApi(settings()) as api:
            try:
                return await _follow(api, names, form, groups)
            except TimeoutError:
                raise _failed(api.api, "does not answer in time") from None
    except StageFailed as failed:
        agent, where = failed.evidence["agent"], failed.evidence["api"]
        raise _failed(where, _TOLD.get(agent, "does not answer")) from None


async def _follow(
    api: PrefectApi,
    names: Sequence[str],
    form: Callable[[dict[str, Any]], dict[str, Any]],
    groups: Sequence[ResourceGroup],
) -> bool:
    flows, deployments = ({name.split("/")[part] for name in names} for part in (0, 1))
    async with asyncio.timeout(LOOK):
        there = [one for one in await _deployed(api, sorted(flows)) if one["name"] in deployments]
        workers = await _deployed(api, [FLOW])
    changed = False
    async with asyncio.timeout(CHANGE):
        for one in there:
            before = one["parameter_openapi_schema"] or {}
            if (after := form(before)) != before:
                changed |= await api.patch(f"/deployments/{one['id']}", {"parameter_openapi_schema": after})
    if _places(workers) == _wanted(groups):
        return changed
    return bool(await _sync(api, groups)) or changed


async def _deployed(api: PrefectApi, flows: Sequence[str]) -> list[dict[str, Any]]:
    """The deployments of these flows."""
    found: list[dict[str, Any]] = []
    while True:
        asked = {"flows": {"name": {"any_": flows}}, "limit": _PAGE, "offset": len(found)}
        page = await api.post("/deployments/filter", asked)
        found += page or []
        if len(page or []) < _PAGE:
            return found


def _places(deployed: Sequence[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Group -> where it is deployed."""
    keys = ("entrypoint", "work_pool_name", "work_queue_name")
    return {one["name"]: tuple(str(one.get(key)) for key in keys) for one in deployed}


def _wanted(groups: Sequence[ResourceGroup]) -> dict[str, tuple[str, ...]]:
    declared = {one.name: WorkerSettings.model_validate(one.settings) for one in groups if one.kind == "worker"}
    return {
        name: (worker_groups.ENTRYPOINT, one.work_pool, one.work_queue or "default") for name, one in declared.items()
    }


async def _sync(api: PrefectApi, groups: Sequence[ResourceGroup]) -> list[str]:
    import httpx

    try:
        return await worker_groups.sync(groups)
    except httpx.HTTPError as error:  # what Prefect's client raises is one too
        raise _failed(api.api, f"does not take the worker groups: {type(error).__name__}") from None


def _failed(api: str, told: str) -> HeadwaterError:
    return HeadwaterError(f"the Prefect server at {api} {told}", where="PREFECT_API_URL")
