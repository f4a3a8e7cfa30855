"""`headwater group check`: the declared network of a resource group beside what is observed there."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import completing
from flows.options import Form, Output
from flows.terminal import dump, table

if TYPE_CHECKING:
    from registry.model import ResourceGroup
    from registry.network import Network
    from tasks.networks.observation import Fact, Observed


def check(
    name: Annotated[str, typer.Argument(help="The resource group.", autocompletion=completing.groups)],
    timeout: Annotated[float, typer.Option(help="Seconds that asking there may take.", min=0.1, max=3600)] = 5.0,
    output: Form = Output.TABLE,
) -> int:
    """Show declared and observed facts of a group's network side by side. Exit status 1 when any disagree.

    Observed are its addresses and name servers, whether its canaries answer, the address that its echo_url sees, and
    those that servers told in the latest checks.
    """
    from registry.network import declared
    from registry.store import open_store
    from tasks.networks.observation import compare, seen_by_servers

    with open_store() as store:
        group = store.groups.get(name, store.by())
        latest = [one.verdict for one in store.verdicts.latest(group=name)]
    network = declared(group.network)
    observed, note = asyncio.run(_observed(group, network, timeout))
    facts = compare(network, replace(observed, seen=seen_by_servers(latest)))
    if output is Output.JSON:
        dump({"resource_group": name, "type": network.type, "facts": [asdict(one) for one in facts], "note": note})
    else:
        table(("fact", "declared", "observed", "", "what to do"), [_row(one) for one in facts])
        if note:
            print(f"note: {note}")
    return 1 if any(one.agrees is False for one in facts) else 0


async def _observed(group: ResourceGroup, network: Network, timeout: float) -> tuple[Observed, str]:
    """What the place says of itself, or nothing and why."""
    from tasks import references
    from tasks.networks.observation import Observed, observe
    from tasks.vantages import Outpost, VantageFailed, open_vantage

    references.install()
    place: Any = open_vantage(group.kind, group.name, group.settings, public_key=group.public_key)
    try:
        if isinstance(place, Outpost):
            return Observed(), f"a {group.kind} group is known by its latest checks alone"
        return await observe(place, network, timeout=timeout), ""
    except VantageFailed as failed:
        why = ", ".join(f"{key}={value}" for key, value in failed.evidence.items())
        return Observed(), f"{group.name} cannot be asked ({why}); headwater test --group {group.name} names the cause"
    finally:
        await place.close()


def _row(one: Fact) -> tuple[str, str, str, str, str]:
    words = {True: "agrees", False: "DIFFERS", None: ""}
    declared = "not declared" if one.declared is None else ", ".join(one.declared) or "none"
    return (one.name, declared, ", ".join(one.observed) or "unknown", words[one.agrees], one.advice)
