"""Waiting for what a Prefect server has still to write down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any


async def eventually(ask: Callable[[], Any], *, seconds: float = 90) -> Any:
    """What the server tells once it has come that far."""
    ends = time.monotonic() + seconds
    found = await asyncio.to_thread(ask)
    while not found and time.monotonic() < ends:
        await asyncio.sleep(0.2)
        found = await asyncio.to_thread(ask)
    return found
