"""What the verdicts of several resource groups, and those of the past, tell together about one data source.

One check sees the world from one place. Here its verdict is held against those of the other places and against the last
one that was good: pure functions over verdicts, like the diagnosis itself. One file a family of rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.network import Network
from registry.verdict import Stage, Verdict


@dataclass(frozen=True)
class View:
    """How one place sees a data source.

    Attributes:
        network: What is declared about the place.
        before: The last verdict from there that was Connectable, if there is one.
    """

    verdict: Verdict
    network: Network = field(default_factory=Network)
    before: Verdict | None = None

    def stage(self, name: str) -> Stage | None:
        """The stage of this name."""
        return next((stage for stage in self.verdict.stages if stage.name == name), None)

    def seen(self, name: str) -> Mapping[str, Any]:
        """The evidence of a stage; empty when it was not reached."""
        stage = self.stage(name)
        return stage.evidence if stage is not None else {}


def review(views: Sequence[View]) -> list[Verdict]:
    """The verdicts of all places over one environment of one data source, each in the light of the others."""
    return [view.verdict for view in views]
