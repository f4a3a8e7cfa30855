"""Worker groups on a Prefect server: each has a deployment of `check-here` on its work pool, as the registry has it.

A deployment names the flow by its module, so a worker needs Headwater installed, and no checkout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.groups import WorkerSettings
from tasks.vantages.worker import FLOW

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

    from registry.model import ResourceGroup

ENTRYPOINT = "flows.check_here.check_here"
_TAGS = ["headwater"]
#: Pools that are missing are made of this type; one that exists may be of any.
_POOL_TYPE = "process"


async def sync(groups: Sequence[ResourceGroup]) -> list[str]:
    """Bring pools, queues and deployments to what the registry says of its worker groups.

    Returns:
        What was done, a line each.
    """
    from prefect.client.orchestration import get_client

    wanted = {one.name: WorkerSettings.model_validate(one.settings) for one in groups if one.kind == "worker"}
    said: list[str] = []
    async with get_client() as client:
        there = await _deployed(client)
        for name, settings in wanted.items():
            said += await _ensure_place(client, settings)
            said += await _ensure_deployment(client, name, settings, there.get(name))
        for name, deployment in there.items():
            if name not in wanted:
                await client.delete_deployment(deployment.id)
                said.append(f"removed {FLOW}/{name}: there is no such worker group")
    return said


async def _deployed(client: PrefectClient) -> dict[str, DeploymentResponse]:
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    chosen, found = FlowFilter(name=FlowFilterName(any_=[FLOW])), list[Any]()
    while page := await client.read_deployments(flow_filter=chosen, limit=200, offset=len(found)):
        found += page
    return {one.name: one for one in found}


async def _ensure_place(client: PrefectClient, settings: WorkerSettings) -> list[str]:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    said, pool, queue = [], settings.work_pool, settings.work_queue
    try:
        await client.create_work_pool(WorkPoolCreate(name=pool, type=_POOL_TYPE))
        said.append(f"work pool {pool}: created; next: start a worker with `prefect worker start --pool {pool}`")
    except ObjectAlreadyExists:
        pass
    if queue:
        try:
            await client.create_work_queue(name=queue, work_pool_name=pool)
            said.append(f"work queue {queue} of {pool}: created")
        except ObjectAlreadyExists:
            pass
    return said


async def _ensure_deployment(
    client: PrefectClient, group: str, settings: WorkerSettings, there: DeploymentResponse | None
) -> list[str]:
    from prefect.utilities.callables import parameter_schema

    from flows.check_here import check_here

    wanted: dict[str, Any] = {
        "entrypoint": ENTRYPOINT,
        "work_pool_name": settings.work_pool,
        "work_queue_name": settings.work_queue or "default",
        "parameter_openapi_schema": parameter_schema(check_here).model_dump(exclude_unset=True),
    }
    if there is not None and all(getattr(there, key) == value for key, value in wanted.items()):
        return []  # what was set on the server, such as variables of the job, stays
    flow_id = await client.create_flow_from_name(FLOW)
    await client.create_deployment(
        flow_id,
        group,
        **wanted,
        description=f"Checks data sources on behalf of the resource group {group}. Headwater starts it.",
        tags=_TAGS,
        enforce_parameter_schema=True,
    )
    return [f"deployed {FLOW}/{group} to {settings.work_pool}"]
