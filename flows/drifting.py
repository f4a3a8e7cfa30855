"""After an upgrade: both sides of a workspace are checked from every bound group, and held against each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from registry.verdict import Verdict

if TYPE_CHECKING:
    from registry.store import Store
    from tasks.drift import Drift

#: Verdicts that are written together.
_BATCH = 500


async def check(store: Store, workspace: str, *, timeout: float) -> AsyncIterator[Verdict]:
    """Check every source of a workspace from everywhere and keep the verdicts; each comes when it is known.

    Args:
        timeout: Seconds for each check.

    Raises:
        NotFound: There is nothing to check.
    """
    from flows import checking

    batch = list[Verdict]()
    try:
        async for verdict in checking.run(
            checking.gather(store, workspace=workspace), timeout=timeout, history=store.verdicts
        ):
            batch.append(verdict)
            yield verdict
            if len(batch) >= _BATCH:
                store.verdicts.record(batch)
                batch = []
    finally:
        store.verdicts.record(batch)


def drifts(store: Store, workspace: str) -> Sequence[Drift]:
    """How far dev and prod of a workspace have drifted apart, by the newest verdicts of each.

    Raises:
        Forbidden: No role of whoever acts allows to look.
        NotFound: No such workspace.
    """
    from registry.access import Verb
    from tasks.drift import drifts

    store.expect(Verb.GET, workspace)
    latest = store.verdicts.latest(workspace=workspace)
    return drifts(store.targets(workspace=workspace), [one.verdict for one in latest])
