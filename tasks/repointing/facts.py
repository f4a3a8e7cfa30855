"""What is asked before a repoint, and what was observed: plain data between the planner and whoever can look."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tasks.comparison.survey import Survey


@dataclass(frozen=True, order=True)
class Pair:
    """A side of a data source, seen from a resource group."""

    source: str
    env: str
    group: str


@dataclass(frozen=True)
class Reach:
    """What a check told.

    Attributes:
        connectable: None: nobody could look from there.
        told: Why not.
    """

    connectable: bool | None
    told: str = ""


@dataclass(frozen=True)
class Looked:
    """What a survey told: the survey, or why there is none."""

    survey: Survey | None
    told: str = ""


@dataclass(frozen=True)
class Observed:
    """Everything that was looked at.

    Attributes:
        surveys: (`workspace/name`, side) -> what is there.
    """

    reach: Mapping[Pair, Reach] = field(default_factory=dict)
    surveys: Mapping[tuple[str, str], Looked] = field(default_factory=dict)


class Observer(Protocol):
    """Looks at data sources. Nothing that it does leaves a trace there."""

    async def reach(self, pairs: Collection[Pair]) -> Mapping[Pair, Reach]:
        """One check for each pair."""
        ...

    async def survey(self, source: str, env: str, groups: Collection[str], tables: Collection[str]) -> Looked:
        """These tables as they are there, seen from the first of these groups from which it can be done.

        Args:
            groups: Those that the dependents run on first, then others that may use the source.
        """
        ...
