"""`headwater approve`: the answer that a suspended flow run waits for."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from flows.options import Why


def approve(
    run: Annotated[str, typer.Argument(help="The id or the name of the flow run that waits.", show_default=False)],
    reject: Annotated[bool, typer.Option("--reject", help="Say no: the run ends and nothing is done.")] = False,
    why: Why = "",
) -> int:
    """Approve, or reject, what a flow run waits for: a deletion, a repointing, an upgrade."""
    from registry.store import open_store
    from tasks import approvals

    with open_store() as store:
        actor = store.by(why).actor
    decision = approvals.REJECT if reject else approvals.APPROVE
    name = asyncio.run(approvals.answer(run, decision, by=actor, why=why))
    print(f"{'rejected' if reject else 'approved'} {name} as {actor}")
    return 0
