"""`test-connectivity`: test one, several or all data sources, and report why they fail."""

# ruff: noqa: PT028 - no test of pytest's: a flow with parameters

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from flows import checking, rounds
from registry.errors import HeadwaterError, NotFound
from registry.store import Store, open_store
from registry.targets import CheckTarget
from tasks import announcements, publish, report


def _run_name() -> str:
    chosen: dict[str, Any] = flow_run.get_parameters()
    sources = chosen.get("sources") or ["all data sources"]
    names = ", ".join(sources[:3]) + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")
    env = chosen.get("env", "all")
    return names if env == "all" else f"{names} in {env}"


@flow(name="test-connectivity", flow_run_name=_run_name)
async def test_connectivity(
    sources: list[str] = [],  # noqa: B006 - never changed; a form shows it as an empty list
    env: Literal["all", "dev", "prod"] = "all",
    groups: list[str] = [],  # noqa: B006
    timeout: float = 5.0,
) -> State[None]:
    """Test data sources and name the root cause of what fails.

    The run completes when it could check; its state then says how the data sources are, Healthy or Sick. It fails when
    it could not check. The report is the artifact of the run.

    Args:
        sources: Data sources as WORKSPACE/NAME; none means all of them.
        env: The environment to test.
        groups: Resource groups to test from; none means every group that is bound to the workspace.
        timeout: Seconds that one check may take.
    """
    try:
        rounds.check_timeout(timeout)
        with open_store() as store:
            plans = await asyncio.to_thread(_plan, store, sources, None if env == "all" else env, groups)
            done = await rounds.run(store, plans, timeout=timeout)
    except HeadwaterError as error:
        return rounds.failed(error)
    announcements.tested(done.verdicts)
    await publish_round(done)
    return done.state()


async def publish_round(done: rounds.Round, *, title: str = "Connectivity", note: str = "") -> None:
    """The report of a round: of one diagnosis everything, of several a summary and what is sick."""
    told = report.tally(done.verdicts)
    if len(done.verdicts) == 1:
        (one,) = done.verdicts
        key = report.key("connectivity", one.workspace, one.source, one.env, one.resource_group)
        markdown = report.diagnosis(one)
    else:
        key = "headwater-connectivity"
        markdown = report.several(done.verdicts, seconds=done.seconds, title=title)
    await publish.artifact(key, f"{markdown}\n\n{note}" if note else markdown, told)


def _plan(
    store: Store, sources: Sequence[str], env: Literal["dev", "prod"] | None, groups: Sequence[str]
) -> list[checking.GroupPlan]:
    if not sources and not groups:
        return checking.gather(store, env=env)
    wanted = {store.groups.get(group).name for group in groups}
    found: dict[tuple[str, str], CheckTarget] = {}
    for source in sources or [""]:
        workspace, _, name = source.rpartition("/")
        for one in store.targets(workspace=workspace or None, source=name or None, env=env):
            if not wanted or one.group.name in wanted:
                found[one.path, one.group.name] = one
    if not found:
        raise NotFound(
            "there is nothing to test",
            where=", ".join([*sources, *groups][:5]),
            instruction="choose a resource group that is bound to the workspace, or leave the groups out",
        )
    return checking.plan(store, list(found.values()))
