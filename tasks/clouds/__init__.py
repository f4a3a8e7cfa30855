"""Clouds: what an instance id stands for. One file a cloud, found by its name."""

from __future__ import annotations

from registry.connection import Endpoint
from tasks.budget import Budget
from tasks.evidence import Recorder, StageFailed
from tasks.target import Target


async def locate(target: Target, recorder: Recorder, budget: Budget) -> tuple[Endpoint, ...]:
    """The addresses of the instance that a connection names.

    Raises:
        StageFailed: With what the cloud said.
    """
    raise StageFailed(missing_module="a cloud inventory", instance_mode=True)
