"""Looks at data sources for a repoint: checks from resource groups, and surveys of tables. Read-only."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from flows import checking
from flows.checking import GroupPlan
from registry.store import Store
from registry.targets import CheckTarget, Environment, TargetGroup
from registry.verdict import Verdict
from tasks.comparison.survey import Wanted
from tasks.comparison.surveying import survey
from tasks.repointing.facts import Looked, Pair, Reach
from tasks.vantages import Outpost

#: Groups that a survey is tried from before it is given up.
_TRIES = 3
#: Groups of which it is told why no survey came of it.
_TOLD = 3
_OUTPOST = "a worker checks, and does not survey"
#: No column's newest value is asked for.
_NO_FRESHNESS = Wanted(fresh="")


class SourceObserver:
    """See `tasks.repointing.facts.Observer`.

    Args:
        timeout: Seconds for each check; a survey may take three times as long.
    """

    def __init__(self, store: Store, *, timeout: float = 5.0) -> None:
        self._store = store
        self._timeout = timeout

    async def reach(self, pairs: Collection[Pair]) -> Mapping[Pair, Reach]:
        """One check for each pair; the verdicts are kept as those of any test."""
        targets = await asyncio.to_thread(self._targets, pairs)
        told = {pair: Reach(None, target) for pair, target in targets.items() if isinstance(target, str)}
        found = [target for target in targets.values() if isinstance(target, CheckTarget)]
        if found:
            verdicts = [one async for one in checking.run(checking.plan(self._store, found), timeout=self._timeout)]
            await asyncio.to_thread(self._store.verdicts.record, verdicts)
            told |= {_pair(verdict): _reach(verdict) for verdict in verdicts}
        return told

    async def survey(self, source: str, env: str, groups: Collection[str], tables: Collection[str]) -> Looked:
        """These tables as they are there, seen from the first of these groups that gets as far as its login."""
        targets = await asyncio.to_thread(self._targets, [Pair(source, env, group) for group in groups])
        unable = {pair.group: _unable(target) for pair, target in targets.items()}
        told = {group: why for group, why in unable.items() if why}
        able = [one for one in targets.values() if isinstance(one, CheckTarget) and not unable[one.group.name]]
        for target in able[:_TRIES]:
            (plan,) = checking.plan(self._store, [target])
            try:
                looked = await self._survey(plan, sorted(tables))
            finally:
                await plan.vantage.close()
            if looked.survey is not None:
                return looked
            told[target.group.name] = looked.told
        listed = [f"from {group}: {why}" for group, why in told.items()]
        return Looked(None, "; ".join(listed[:_TOLD]) or "no resource group is known from which anything runs")

    async def _survey(self, plan: GroupPlan, tables: Sequence[str]) -> Looked:
        target = plan.targets[0]
        if isinstance(plan.vantage, Outpost):
            return Looked(None, _OUTPOST)
        if target.connection is not None:
            connection = target.connection.model_copy(update={"objects": tuple(tables)})
            target = replace(target, connection=connection)
        found = await survey(target, plan.vantage, _NO_FRESHNESS, timeout=3 * self._timeout)
        if found.survey is not None:
            return Looked(found.survey)
        stages = found.verdict.stages
        skipped = str(stages[-1].evidence.get("reason", "nothing came of it")) if stages else "nothing came of it"
        return Looked(None, _words(found.verdict) or skipped)

    def _targets(self, pairs: Collection[Pair]) -> dict[Pair, CheckTarget | str]:
        """The targets behind these, or why there is none; groups that the source's workspace has not bound too."""
        known = {one.name: one for one in self._store.groups.list()}
        sides = defaultdict[tuple[str, str], list[Pair]](list)
        for pair in pairs:
            sides[pair.source, pair.env].append(pair)
        found: dict[Pair, CheckTarget | str] = {}
        for (source, env), asked in sides.items():
            workspace, _, name = source.partition("/")
            side: Environment = "dev" if env == "dev" else "prod"
            any_one = next(iter(self._store.targets(workspace=workspace, source=name, env=side)), None)
            for pair in asked:
                group = known.get(pair.group)
                if group is None:
                    found[pair] = f"resource group {pair.group} is not registered"
                elif any_one is None:
                    found[pair] = f"no resource group is bound to workspace {workspace}"
                else:
                    place = TargetGroup(group.name, group.kind, group.settings, group.network, group.public_key)
                    found[pair] = replace(any_one, group=place)
        return found


def _unable(target: CheckTarget | str) -> str:
    """Why no survey can be made from there; empty where it can be tried."""
    if isinstance(target, str):
        return target
    return _OUTPOST if target.group.kind == "worker" else ""


def _pair(verdict: Verdict) -> Pair:
    return Pair(f"{verdict.workspace}/{verdict.source}", verdict.env, verdict.resource_group)


def _reach(verdict: Verdict) -> Reach:
    return Reach(verdict.connectable, _words(verdict))


def _words(verdict: Verdict) -> str:
    return f"{verdict.cause}: {verdict.message}" if verdict.cause else ""
