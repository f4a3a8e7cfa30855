"""`headwater deploy`: the flows on a Prefect server, with the choices of their forms.

`prefect deploy --all` does most of it. What it leaves: the work pool must exist, schedules that are gone from
`prefect.yaml` stay on the server (Prefect 3.8), and neither forms nor deployments follow what the registry holds.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import following, worker_groups
from registry.errors import HeadwaterError, InvalidInput
from registry.store import Store, open_store

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

PROJECT = Path(__file__).resolve().parent.parent
POOL = "headwater"
_POOL_TYPE = "process"
#: A form is no place to look through more names than these; any name may be typed then.
CHOICES = 1000
_PAGE = 100


def deploy(project: Path = PROJECT) -> Iterator[str]:
    """Put the flows on the Prefect server that `PREFECT_API_URL` names. Safe to run again.

    Args:
        project: The folder of `prefect.yaml`.

    Yields:
        What was done, a line each.

    Raises:
        InvalidInput: No server is named, or there is no `prefect.yaml`.
        HeadwaterError: The server does not answer or refuses.
    """
    wanted = _deployments(project)
    api = _server()
    yield f"Prefect server: {api}"
    yield asyncio.run(_ensure_pool())
    _prefect_deploy(project)
    for name in wanted:
        yield f"deployed {name}"
    yield from asyncio.run(_clear_schedules(wanted))
    with open_store() as store:
        yield from asyncio.run(_sync(wanted, _choices(store)))
        yield from asyncio.run(worker_groups.sync(store.groups.list()))
    yield f"next: start a worker with `prefect worker start --pool {POOL}`"


def sync_choices() -> bool:
    """Bring the choices of the forms, and the worker groups, to what the registry holds now; for after a change of it.

    Whoever changes the registry waits for it: Prefect's library is loaded only where a worker group is not deployed as
    it should be, and a server that does not answer soon is left alone.

    Returns:
        Whether there was something to do: false at once where `PREFECT_API_URL` is not set.

    Raises:
        HeadwaterError: The server does not answer or refuses.
    """
    if not os.environ.get("PREFECT_API_URL"):
        return False
    with open_store() as store:
        choices, groups = _choices(store), store.groups.list()
    return asyncio.run(following.follow(list(_deployments(PROJECT)), lambda schema: form(schema, choices), groups))


def _server() -> str:
    """The address of a server that answers."""
    import httpx
    from prefect.settings import PREFECT_API_URL

    api = PREFECT_API_URL.value()
    start = "start one with `prefect server start`, then set PREFECT_API_URL=http://127.0.0.1:4200/api"
    if not api:
        raise InvalidInput("no Prefect server is named", where="PREFECT_API_URL", instruction=start)
    try:
        httpx.get(f"{api.rstrip('/')}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise HeadwaterError(
            f"the Prefect server at {api} does not answer: {type(error).__name__}",
            where="PREFECT_API_URL",
            instruction=start,
        ) from None
    return str(api)


def _deployments(project: Path) -> dict[str, Mapping[str, Any]]:
    """`flow/deployment` -> what prefect.yaml says of it."""
    import yaml

    path = project / "prefect.yaml"
    if not path.exists():
        raise InvalidInput(
            f"there is no prefect.yaml in {project}", where="deploy", instruction="run it from a checkout of Headwater"
        )
    found = yaml.safe_load(path.read_text())["deployments"]
    return {f"{one['name']}/{one['name']}": one for one in found}


async def _ensure_pool() -> str:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    async with get_client() as client:
        try:
            await client.create_work_pool(WorkPoolCreate(name=POOL, type=_POOL_TYPE))
        except ObjectAlreadyExists:
            return f"work pool {POOL}: exists"
    return f"work pool {POOL}: created"


def _prefect_deploy(project: Path) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        told = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-15:]
        raise HeadwaterError("`prefect deploy --all` failed:\n" + "\n".join(told), where="deploy")


async def _clear_schedules(wanted: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where prefect.yaml has schedules, Prefect has replaced the old ones; where it has none, they are still there."""
    from prefect.client.orchestration import get_client

    said = []
    async with get_client() as client:
        for name in (name for name, one in wanted.items() if not one.get("schedules")):
            deployment = await client.read_deployment_by_name(name)
            for schedule in deployment.schedules:
                await client.delete_deployment_schedule(deployment.id, schedule.id)
            if deployment.schedules:
                said.append(f"cleared {len(deployment.schedules)} schedule(s) of {name}: prefect.yaml has none")
    return said


# --- choices --------------------------------------------------------------------------------------------------------


def _choices(store: Store) -> dict[str, list[str]]:
    """Parameter -> what it may be. An empty list offers nothing and takes any value."""
    from registry import types

    sources = _sources(store)
    return {
        "workspace": [workspace.name for workspace in store.workspaces.list()],
        "sources": sources,
        "old": sources,
        "new": sources,
        "source": sources,
        "replacement": sources,
        "groups": [group.name for group in store.groups.list()],
        "type": list(types.catalogue()),
    }


def _sources(store: Store) -> list[str]:
    page = store.sources.list(page_size=_PAGE)
    if page.total > CHOICES:
        return []
    found = list(page.items)
    for number in range(2, -(-page.total // _PAGE) + 1):
        found += store.sources.list(page_size=_PAGE, page_number=number).items
    return sorted(source.path for source in found)


async def _sync(wanted: Mapping[str, Mapping[str, Any]], choices: Mapping[str, list[str]]) -> list[str]:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        return [said for name in wanted if (said := await _sync_one(client, name, choices))]


async def _sync_one(client: PrefectClient, name: str, choices: Mapping[str, list[str]]) -> str:
    from prefect.client.schemas.actions import DeploymentUpdate
    from prefect.exceptions import ObjectNotFound

    try:
        deployment: DeploymentResponse = await client.read_deployment_by_name(name)
    except ObjectNotFound:
        return ""
    before = deployment.parameter_openapi_schema or {}
    after = form(before, choices)
    if after == before:
        return ""
    await client.update_deployment(deployment.id, DeploymentUpdate(parameter_openapi_schema=after))
    offered = [f"{len(choices[field])} {field}" for field in after["properties"] if choices.get(field)]
    return f"form of {name}: {', '.join(offered) or 'secrets are refused'}"


def form(schema: Mapping[str, Any], choices: Mapping[str, list[str]]) -> dict[str, Any]:
    """A parameter schema with choices, and with no place for a literal secret.

    Plain enumerations only: Prefect's forms mix up the branches of a union.
    """
    made = deepcopy(dict(schema))
    for field, definition in made.get("properties", {}).items():
        place = definition["items"] if definition.get("type") == "array" else definition
        if field in choices:
            place.pop("enum", None)
            if choices[field]:
                place["enum"] = choices[field]
        elif field in ("dev", "prod"):
            definition["patternProperties"] = _references_only()
    return made


def _references_only() -> dict[str, Any]:
    """Held against a side by the server, before a run is made: what it refuses is stored nowhere."""
    from pydantic.alias_generators import to_camel

    from flows.literals import CLEAR_URL, REFERENCE, secret_fields

    names = sorted({spelling for name in secret_fields() for spelling in (name, to_camel(name))})
    return {
        f"^({'|'.join(names)})$": {"type": "string", "pattern": REFERENCE},
        "^(jdbc_url|jdbcUrl|url)$": {"type": "string", "not": {"pattern": CLEAR_URL}},
    }
