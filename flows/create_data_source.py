"""`create-data-source`: register a data source in one transaction, then test what was registered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, ParamSpec, TypeVar

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from flows import checking, rounds
from flows.literals import literals
from flows.test_connectivity import publish_round
from registry import names
from registry.entries import SourceDraft, draft_source
from registry.errors import HeadwaterError, InvalidInput
from registry.store import Store, open_store

P = ParamSpec("P")
R = TypeVar("R")

_HIDDEN = "(literal secret, removed)"


class SecretFreeFlow(Flow[P, R]):
    """A flow that a call with a literal secret never becomes a run of: Prefect keeps parameters in clear.

    Runs made by the server are held against the deployment's schema, which refuses the same (`headwater deploy`).
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        sides = [value for value in (*args, *kwargs.values()) if isinstance(value, Mapping)]
        if found := [place for side in sides for place in literals(side)]:
            raise _refusal(found)
        return super().__call__(*args, **kwargs)


def _refusal(fields: list[str]) -> InvalidInput:
    return InvalidInput(
        f"a literal secret is not accepted in a flow's parameters: {', '.join(fields)} (value not shown)",
        where="create-data-source",
        instruction='use a reference such as "env:ORDERS_PASSWORD" or "file:/run/secrets/orders", '
        "or register with `headwater apply -f -`, which encrypts literals",
    )


async def _create_data_source(
    workspace: str,
    name: str,
    type: str,
    description: str = "",
    dev: dict[str, Any] = {},  # noqa: B006 - never changed; a form shows it as an empty object
    prod: dict[str, Any] = {},  # noqa: B006
    timeout: float = 5.0,
) -> State[None]:
    """Register a data source with one side or both, then test what was registered.

    Secrets are given as references (env:NAME, file:PATH, prefect:BLOCK-SLUG/NAME, vault:PATH#FIELD); a run with a
    literal secret is refused.

    Args:
        workspace: The workspace that will own it.
        name: Letters, digits and _, not first a digit or _. One that tells the business, such as orders_mysql; where
            both sides do not go by one name, the environment too, such as orders_mysql_dev.
        type: A data source type, such as postgresql.
        description: What it is for, at most 3000 characters.
        dev: Its fields in development, for example {"address": [{"host": "db", "port": 5432}], "database": "orders",
            "username": "app", "password": "env:ORDERS_DEV_PASSWORD"}. Leave it empty in a basic workspace.
        prod: The same for production.
        timeout: Seconds that one check may take.
    """
    sides = {env: fields for env, fields in (("dev", dev), ("prod", prod)) if fields}
    try:
        await _refuse_literals(sides)
        rounds.check_timeout(timeout)
        draft = _draft(workspace, name, type, description, sides)
        with open_store() as store:
            made = store.sources.create(workspace, draft, store.by(f"flow run {flow_run.get_name()}"))
            get_run_logger().info(f"{made.object} registered")
            plans = await asyncio.to_thread(_plan, store, workspace, draft)
            done = await rounds.run(store, plans, timeout=timeout)
    except HeadwaterError as error:
        return rounds.failed(error)
    await publish_round(done, title=f"{workspace}/{name} is registered", note="\n".join(_notes(draft)))
    return done.state()


def _draft(
    workspace: str, name: str, type_: str, description: str, sides: Mapping[str, Mapping[str, Any]]
) -> SourceDraft:
    where = f"{workspace}/{name}"
    names.DATA_SOURCE.check(name, where=f"{workspace}.name")
    names.check_description(description, where=f"{where}.description")
    if not sides:
        raise InvalidInput("neither dev nor prod is given", where=where, instruction="fill in one of them at least")
    draft = draft_source(
        name, type_, sides, where=where, literals_allowed=False, attributes={"description": description}
    )
    if clear := [f"{where}/{env}" for env, entry in draft.entries.items() if entry.clear_password]:
        raise _refusal(clear)
    return draft


def _plan(store: Store, workspace: str, draft: SourceDraft) -> list[checking.GroupPlan]:
    """The sides that were registered; an environment left out on purpose is no fault."""
    found = store.targets(workspace=workspace, source=draft.name)
    return checking.plan(store, [one for one in found if one.env in draft.entries])


def _notes(draft: SourceDraft) -> Iterator[str]:
    for env, entry in draft.entries.items():
        for removed in entry.removed:
            yield f"- `{env}`: the parameter `{removed.key}` was removed: {removed.why}"


async def _refuse_literals(sides: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse what came past the deployment's schema, and take it out of the run's own parameters.

    Raises:
        InvalidInput: A secret itself stands in a field.
    """
    found = {env: literals(fields) for env, fields in sides.items()}
    if not any(found.values()):
        return
    kept: dict[str, Any] = dict(flow_run.get_parameters())
    for env, keys in found.items():
        kept[env] = {key: _HIDDEN if key in keys else value for key, value in sides[env].items()}
    async with get_client() as client:
        await client.request(
            "PATCH", "/flow_runs/{id}", path_params={"id": flow_run.get_id()}, json={"parameters": kept}
        )
    raise _refusal([f"{env}.{key}" for env, keys in found.items() for key in keys])


create_data_source = SecretFreeFlow(_create_data_source, name="create-data-source", flow_run_name="{workspace}/{name}")
