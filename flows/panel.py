"""Keeps the verdicts over a data source until all its resource groups have seen it, and has them reviewed together."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from registry.network import Network
from registry.verdict import Verdict
from registry.verdicts import Pair, Verdicts
from tasks import cautions, perspectives, same_target
from tasks.perspectives import View
from tasks.target import Target

_Subject = tuple[str, str, str]


class Panel:
    """The verdicts of one run on their way from the groups to whoever records and shows them.

    Args:
        targets: Everything that is checked in this run, once for each group.
        history: Where the verdicts of the past are; without it, only those of the present are held together.
    """

    def __init__(self, targets: Sequence[Target], history: Verdicts | None = None) -> None:
        self._networks = {_pair(target): target.network for target in targets}
        self._missing = Counter(map(_subject, targets))
        self._waiting: defaultdict[_Subject, list[Verdict]] = defaultdict(list)
        self._history = history
        #: Group, address and port -> the data sources for which they conversed in this run.
        self._conversed: defaultdict[tuple[str, object], dict[str, None]] = defaultdict(dict)
        self._sides = same_target.Sides()

    async def add(self, verdicts: Iterable[Verdict]) -> list[Verdict]:
        """Take these in. Returns the verdicts over what all groups have now seen, reviewed."""
        complete: list[list[Verdict]] = []
        for verdict in verdicts:
            subject = _subject(verdict)
            self._note(verdict)
            self._waiting[subject].append(verdict)
            self._missing[subject] -= 1
            if self._missing[subject] == 0:
                complete.append(self._waiting.pop(subject))
        return await self._reviewed(complete)

    async def rest(self) -> list[Verdict]:
        """What is left when no more will come: a group that broke off keeps nothing back of what others saw."""
        left, self._waiting = list(self._waiting.values()), defaultdict(list)
        return await self._reviewed(left)

    def _note(self, verdict: Verdict) -> None:
        """Remember where a peer was heard: what it says to a group for one data source counts for others there."""
        seen = View(verdict)
        if seen.counts and seen.conversed:
            self._conversed[verdict.resource_group, seen.place][f"{verdict.source}/{verdict.env}"] = None

    def _conversed_for(self, verdict: Verdict) -> tuple[str, ...]:
        return tuple(self._conversed.get((verdict.resource_group, View(verdict).place), ()))

    async def _reviewed(self, subjects: Sequence[Sequence[Verdict]]) -> list[Verdict]:
        verdicts = [verdict for together in subjects for verdict in together]
        before, usual = await self._past(verdicts)

        def view(verdict: Verdict) -> View:
            pair = _pair(verdict)
            return View(
                verdict,
                self._networks.get(pair, Network()),
                before.get(pair),
                usual.get(pair),
                self._conversed_for(verdict),
            )

        reviewed = (told for together in subjects for told in perspectives.review([view(one) for one in together]))
        return self._sides.told(reviewed)

    async def _past(self, verdicts: Sequence[Verdict]) -> tuple[dict[Pair, Verdict], dict[Pair, float]]:
        """The last good verdicts of those that fail, and the usual time of those that took long."""
        failing = [_pair(one) for one in verdicts if not one.connectable]
        slow = [_pair(one) for one in verdicts if one.connectable and one.elapsed_ms > cautions.SLOWER_BY_MS]
        if self._history is None or not (failing or slow):
            return {}, {}
        before = await asyncio.to_thread(self._history.last_good, failing) if failing else {}
        usual = await asyncio.to_thread(self._history.usual_ms, slow) if slow else {}
        return before, usual


def _subject(one: Target | Verdict) -> _Subject:
    return one.workspace, one.source, one.env


def _pair(one: Target | Verdict) -> Pair:
    return Pair(*_subject(one), one.resource_group)
