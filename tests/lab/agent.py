"""A warm process at a vantage: one request a line on standard input, one verdict a line on standard output.

A scenario costs the check itself and not the start of a program.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from registry import types
from registry.connection import EntryReading, read_entry
from registry.errors import InvalidInputs
from registry.network import declared
from registry.secrets import resolve_field
from registry.verdict import Warning
from tasks.check import check
from tasks.target import Target
from tasks.vantages import open_vantage


def target(request: Mapping[str, Any]) -> Target:
    """What the request asks to be checked, as a file's entry would be."""
    kind = types.get(request["type"])
    common: dict[str, Any] = {
        "workspace": "lab", "source": request["source"], "type": kind.name, "env": "dev",
        "resource_group": request["vantage"],
        "protocol": kind.protocol, "default_port": kind.default_port,
        "permitted_ranges": tuple(request["permitted_ranges"]), "network": declared(request["network"]),
    }  # fmt: skip
    try:
        reading = read_entry(kind, request["entry"], literals_allowed=True, where=f"lab/{request['source']}/dev")
    except InvalidInputs as problems:
        first = problems.problems[0]
        return Target(**common, connection=None, problem=first, problem_code=first.code)
    warnings = tuple(Warning(code="CONFIG.PARAM_REMOVED", message=str(removed)) for removed in reading.removed)
    return Target(**common, connection=reading.connection, secrets=lambda: _secrets(reading), warnings=warnings)


def _secrets(reading: EntryReading) -> dict[str, SecretStr]:
    return {
        field: reading.literals[field]
        if field in reading.literals
        else resolve_field(reading.connection, field, reference)
        for field, reference in reading.connection.secret_references().items()
    }


async def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict and the seconds that it took, or the traceback of a check that broke."""
    started = time.perf_counter()
    try:
        verdict = await check(
            target(request), open_vantage("local", request["vantage"], {}), timeout=request["timeout"]
        )
    except Exception:
        return {"broken": traceback.format_exc()}
    return {"verdict": verdict.model_dump(mode="json"), "seconds": time.perf_counter() - started}


async def answer_all(requests: Sequence[Mapping[str, Any]], at_once: int) -> list[dict[str, Any]]:
    """The answers to several requests, so many at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one(request: Mapping[str, Any]) -> dict[str, Any]:
        async with gate:
            return await answer(request)

    return list(await asyncio.gather(*(one(request) for request in requests)))


def main() -> None:
    """Serve requests until standard input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        together = answer_all(asked["all"], asked["at_once"]) if "all" in asked else answer(asked)
        print(json.dumps(asyncio.run(together)), flush=True)


if __name__ == "__main__":
    main()
