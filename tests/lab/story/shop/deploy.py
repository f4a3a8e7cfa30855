"""Two hundred deployments of the shop's flows."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pipelines import consistency, copy_tables, daily_report, invoices
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.utilities.callables import parameter_schema

REGIONS = ("north", "east", "south", "west")
OWNERS = ("ana", "ben", "li", "wang")


def wanted() -> list[tuple[Flow[Any, Any], str, dict[str, Any], list[str]]]:
    """(flow, name of the deployment, parameters, tags)."""
    made: list[tuple[Flow[Any, Any], str, dict[str, Any], list[str]]] = []
    for number in range(120):
        env = "dev" if number % 10 == 0 else "prod"
        smoke = ["headwater-smoke"] if number in (0, 1) else []
        parameters = {"source": "orders", "region": REGIONS[number % 4]}
        made.append((daily_report, f"report-{number:03}", parameters, [f"env:{env}", *smoke]))
    for number in range(30):
        made.append((consistency, f"check-{number:02}", {"sources": ["orders", "archive"]}, ["env:prod"]))
    for number in range(40):
        copies = [{"source": "orders", "target": "warehouse"}, {"source": "archive", "target": "warehouse"}]
        made.append((copy_tables, f"copy-{number:02}", {"copies": copies}, ["env:prod"]))
    for number in range(10):
        smoke = ["headwater-smoke"] if number == 0 else []
        made.append((invoices, f"invoices-{number}", {"source": "orders"}, ["env:prod", *smoke]))
    return made


async def main() -> None:
    """Put all of them on the server, some at a time."""
    slots = asyncio.Semaphore(4)
    async with get_client() as client:
        ids = {one: await client.create_flow(one) for one in (daily_report, consistency, copy_tables, invoices)}

        async def put(number: int, flow: Flow[Any, Any], name: str, given: dict[str, Any], tags: list[str]) -> None:
            async with slots:
                await client.create_deployment(
                    flow_id=ids[flow],
                    name=name,
                    parameters=given,
                    tags=[*tags, f"owner:{OWNERS[number % 4]}"],
                    work_pool_name="jobs",
                    path=str(Path(__file__).parent),
                    entrypoint=f"pipelines.py:{flow.fn.__name__}",
                    parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
                )

        found = wanted()
        await asyncio.gather(*(put(number, *one) for number, one in enumerate(found)))
    print(f"{len(found)} deployments in the work pool jobs")


asyncio.run(main())
