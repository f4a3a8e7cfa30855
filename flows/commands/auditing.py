"""`headwater group audit`: what a resource group's network lacks to reach the Internet, or a data source."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import completing
from flows.options import Form, Output
from flows.terminal import dump, table

if TYPE_CHECKING:
    from registry.model import ResourceGroup
    from tasks.networks.facts import Audited
    from tasks.target import Target


def audit(
    name: Annotated[str, typer.Argument(help="The resource group.", autocompletion=completing.groups)],
    source: Annotated[
        str | None,
        typer.Argument(
            help="NAME or WORKSPACE/NAME of a data source; left out: the way out alone.",
            show_default=False,
            autocompletion=completing.sources,
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that asking clouds may take.", min=0.1, max=3600)] = 10.0,
    output: Form = Output.TABLE,
) -> int:
    """Audit the network of a group by what its cloud tells: NAT gateway, SNAT entry, EIP, route, allowlist.

    Each requirement is met, missing (with the value to add) or unknown. Exit status 1 when any is missing.
    """
    from registry.network import declared
    from registry.store import open_store

    with open_store() as store:
        group = store.groups.get(name, store.by())
        targets = _targets(store, name, source)
    network = declared(group.network)
    found, notes = asyncio.run(_audited(group, network, targets, timeout))
    if output is Output.JSON:
        dump({"resource_group": name, "type": network.type, "ways": [_document(one) for one in found], "notes": notes})
    else:
        _print(found, notes)
    return 1 if any(finding.status == "missing" for one in found for finding in one.findings) else 0


def _targets(store: Any, group: str, source: str | None) -> Sequence[Target]:
    from flows import checking

    if source is None:
        return ()
    workspace, slash, short = source.partition("/")
    plans = checking.gather(store, workspace=workspace if slash else None, source=short or source, group=group)
    return [target for plan in plans for target in plan.targets]


async def _audited(
    group: ResourceGroup, network: Any, targets: Sequence[Target], timeout: float
) -> tuple[list[Audited], list[str]]:
    from tasks import references
    from tasks.budget import Budget
    from tasks.evidence import StageFailed
    from tasks.networks.facts import surroundings, way_out, ways_to
    from tasks.vantages import Outpost, open_vantage

    references.install()
    budget = Budget.of(timeout)
    around = await surroundings(network, budget)
    found, notes = [way_out(network, around)], [around.note] if around.note else []
    if not targets:
        return found, notes
    place = open_vantage(group.kind, group.name, group.settings, public_key=group.public_key)
    try:
        if isinstance(place, Outpost):
            return found, [*notes, f"a {group.kind} group cannot be asked for addresses: only its way out is audited"]
        for target in targets:
            try:
                found += await ways_to(target, place, around, budget)
            except StageFailed as failed:
                notes.append(f"{target.source}/{target.env}: {_why(target, failed)}")
    finally:
        await place.close()
    return found, notes


def _why(target: Target, failed: Any) -> str:
    """What a check would say of it."""
    from registry.verdict import Stage, Status
    from tasks.diagnosis import explain

    stage = Stage(name="instance", status=Status.FAILED, started_at="", elapsed_ms=0.0, evidence=failed.evidence)
    finding = explain(target, stage, None)
    return f"{finding.code}: {finding.message} {finding.remedy}"


def _document(one: Audited) -> dict[str, Any]:
    from tasks.networks.audit import shown

    return {"about": one.about, "requirements": [shown(finding) for finding in one.findings]}


def _print(found: Sequence[Audited], notes: Sequence[str]) -> None:
    rows = [
        (
            one.about or "the Internet",
            each.rule,
            str(each.status),
            each.told,
            each.remedy if each.status != "met" else "",
        )
        for one in found
        for each in one.findings
    ]
    table(("to", "requirement", "", "what", "what to do"), rows)
    for note in notes:
        print(f"note: {note}")
