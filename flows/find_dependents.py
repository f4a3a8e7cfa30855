"""`find-dependents`: look for who uses data sources, keep it, and draw what hangs on each."""

from __future__ import annotations

import asyncio

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows import rounds
from registry.dependents import Counts, Summary
from registry.errors import HeadwaterError
from registry.store import Store, open_store
from tasks import publish, report
from tasks.dependents import Scope
from tasks.dependents.scanning import Scanned, keep, scan

NAME = "find-dependents"
KEY = "headwater-dependents"


@flow(name=NAME)
async def find_dependents(
    workspace: str,
    adapter: str = "prefect_deployments",
    roots: list[str] = [],  # noqa: B006 - never changed; a form shows it as an empty list
    why: str = "",
) -> State[None]:
    """Find the dependents of a workspace's data sources.

    Publishes what hangs on the sources that most is known to hang on as artifact `headwater-dependents`, with the
    places that could not be read and the names that mean no data source.

    Args:
        workspace: The one that names without a workspace belong to.
        adapter: What finds them: `headwater dependents adapters` lists all.
        roots: Folders, files or repositories; of Prefect, names of deployments, none: all.
        why: The reason, for the audit.
    """
    try:
        with open_store() as store:
            scanned = await scan(adapter, Scope(workspace, tuple(roots)))
            counts, busiest = await asyncio.to_thread(_kept, store, adapter, scanned, why)
    except HeadwaterError as error:
        return rounds.failed(error)
    markdown = report.dependents(workspace, busiest, counts=counts, unread=scanned.unread)
    told = f"{len(scanned.found)} dependents found, {counts.new} new, {counts.gone} gone"
    await publish.artifact(KEY, markdown, told)
    if left := len(scanned.unread) + len(counts.unresolved):
        return Completed(name="Incomplete", message=f"{told}; {left} places could not be read or mean no data source")
    return Completed(message=told)


def _kept(store: Store, adapter: str, scanned: Scanned, why: str) -> tuple[Counts, list[Summary]]:
    counts = keep(store, adapter, scanned, store.by(why or f"flow {NAME}"))
    return counts, store.dependents.busiest(scanned.scope.workspace)
