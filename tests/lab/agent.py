"""A warm process at a vantage: one request a line on standard input, one verdict a line on standard output.

A scenario costs the check itself and not the start of a program.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
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
from tasks.protocols import load
from tasks.target import Target
from tasks.vantages import Outpost, Vantage, open_vantage
from tests.lab import recording
from tests.stopwatch import Stopwatch


def target(request: Mapping[str, Any]) -> Target:
    """What the request asks to be checked, as a file's entry would be."""
    kind = types.get(request["type"])
    common: dict[str, Any] = {
        "workspace": "lab", "source": request["source"], "type": kind.name, "env": "dev",
        "resource_group": request["vantage"],
        "protocol": kind.protocol, "default_port": kind.default_port,
        "permitted_ranges": tuple(request["permitted_ranges"]), "network": declared(request.get("network", {})),
    }  # fmt: skip
    try:
        reading = read_entry(kind, request["entry"], literals_allowed=True, where=f"lab/{request['source']}/dev")
    except InvalidInputs as problems:
        first = problems.problems[0]
        return Target(**common, connection=None, problem=first, problem_code=first.code)
    warnings = tuple(Warning(code="CONFIG.PARAM_REMOVED", message=str(removed)) for removed in reading.removed)
    common["protocol"] = kind.protocol_of(reading.connection)
    return Target(**common, connection=reading.connection, secrets=lambda: _secrets(reading), warnings=warnings)


def _secrets(reading: EntryReading) -> dict[str, SecretStr]:
    return {
        field: reading.literals[field]
        if field in reading.literals
        else resolve_field(reading.connection, field, reference)
        for field, reference in reading.connection.secret_references().items()
    }


async def answer(request: Mapping[str, Any], places: Mapping[str, Vantage]) -> dict[str, Any]:
    """The verdict and the seconds that the check itself took, or the traceback of one that broke."""
    try:
        with Stopwatch() as watch:
            verdict = await check(target(request), places[_place(request)], timeout=request["timeout"])
    except Exception:
        return {"broken": traceback.format_exc()}
    return {"verdict": verdict.model_dump(mode="json"), "seconds": watch.own}


def _place(request: Mapping[str, Any]) -> str:
    return json.dumps([request.get("kind", "local"), request["vantage"], request.get("settings", {})])


async def answer_all(requests: Sequence[Mapping[str, Any]], at_once: int) -> list[dict[str, Any]]:
    """The answers to several requests, so many at a time; those for one resource group share its vantage."""
    gate = asyncio.Semaphore(at_once)
    places: dict[str, Vantage] = {}
    for request in requests:
        kind, name, settings = json.loads(_place(request))
        place = open_vantage(kind, name, settings)
        assert not isinstance(place, Outpost)
        places.setdefault(_place(request), place)

    async def one(request: Mapping[str, Any]) -> dict[str, Any]:
        async with gate:
            return await answer(request, places)

    try:
        return list(await asyncio.gather(*(one(request) for request in requests)))
    finally:
        for place in places.values():
            await place.close()


def _warm() -> None:
    """Import what the first checks would otherwise be timed with."""
    for name in ("postgresql", "mysql", "redis", "ftp", "sftp", "http"):
        load(name)
    for module in ("dns.message", "dns.rdtypes.IN.A", "dns.rdtypes.IN.AAAA", "paramiko", "ssl"):
        importlib.import_module(module)


def main() -> None:
    """Serve requests until standard input ends."""
    recording.install_if_asked()
    _warm()
    for line in sys.stdin:
        asked = json.loads(line)
        answers = asyncio.run(answer_all(asked.get("all", [asked]), asked.get("at_once", 1)))
        print(json.dumps(answers if "all" in asked else answers[0]), flush=True)


if __name__ == "__main__":
    main()
