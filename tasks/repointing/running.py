"""A run over a plan, from outside: how it is asked for, who hears of it, how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from registry.plans import PlanState, StepState


@dataclass(frozen=True)
class Options:
    """How a plan is applied.

    Attributes:
        keep_going: Go on with the next wave after one that failed and was rolled back.
        force_locked: Change what somebody is editing too; by default it is skipped.
        leave_out_blocked: Apply the rest of a plan in which some are blocked.
    """

    keep_going: bool = False
    force_locked: bool = False
    leave_out_blocked: bool = False


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        done: Units written and handed in by this run, of `total` that it took up.
        seconds: Since it began.
    """

    done: int
    total: int
    wave: int
    waves: int
    seconds: float

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left_seconds(self) -> float | None:
        """Seconds that the rest will take at this rate; None: not known yet."""
        return (self.total - self.done) / self.rate if self.done else None


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        seconds: How long it took.
    """

    plan: str
    state: PlanState
    counts: Mapping[StepState, int]
    seconds: float


@dataclass(frozen=True)
class Audience:
    """Who hears of a run while it lasts."""

    progress: Callable[[Progress], object] = lambda _: None
    remark: Callable[[str], object] = lambda _: None


#: A run without any leave.
PLAINLY = Options()
#: A run that nobody listens to.
NOBODY = Audience()
