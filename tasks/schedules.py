"""The schedules of Prefect deployments: paused while something that they need is being worked on, and started again."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.evidence import StageFailed
from tasks.prefect_api import PrefectApi, settings


async def running(deployments: Sequence[str]) -> list[str]:
    """Those of these deployments whose schedules are at work.

    Raises:
        StageFailed: The server is out of reach.
    """
    async with PrefectApi(settings()) as api:
        found = [await api.get(f"/deployments/{deployment}") for deployment in deployments]
    return [one["id"] for one in found if one is not None and not one.get("paused")]


async def pause(deployments: Sequence[str]) -> list[str]:
    """Keep deployments from planning runs; gives those that still do.

    Raises:
        StageFailed: The server is out of reach.
    """
    return await _each(deployments, "pause_deployment", paused=True)


async def resume(deployments: Sequence[str]) -> list[str]:
    """Let deployments plan runs again; gives those that do not, or are gone.

    Raises:
        StageFailed: The server is out of reach.
    """
    return await _each(deployments, "resume_deployment", paused=False)


async def _each(deployments: Sequence[str], verb: str, *, paused: bool) -> list[str]:
    """What the server says afterwards counts, not how it answered."""
    failed = []
    async with PrefectApi(settings()) as api:
        for deployment in deployments:
            try:
                await api.post(f"/deployments/{deployment}/{verb}", {})
            except StageFailed as failure:
                if failure.evidence.get("agent") != "server-error":
                    raise
            found = await api.get(f"/deployments/{deployment}")
            if found is None or bool(found.get("paused")) is not paused:
                failed.append(deployment)
    return failed
