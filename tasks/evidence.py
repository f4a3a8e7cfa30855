"""Evidence: what was observed, stage by stage, on the way to a data source.

A trace is data. Probes append to it and decide nothing; `tasks.diagnosis` reads it and touches nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from registry.verdict import STAGES, Stage, Status


class StageFailed(Exception):
    """The peer, the network or the configuration said no. What it said is in `evidence`."""

    def __init__(self, **evidence: Any) -> None:
        super().__init__()
        self.evidence = evidence


class StageSkipped(Exception):
    """The protocol or the configuration has no such stage."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def now() -> str:
    """The time as RFC 3339 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Recorder:
    """Collects the evidence of one stage while it runs."""

    evidence: dict[str, Any] = field(default_factory=dict)
    warned: bool = False

    def see(self, **evidence: Any) -> None:
        """Note what was observed; `None` says nothing and is left out."""
        self.evidence.update({key: value for key, value in evidence.items() if value is not None})

    def warn(self, **evidence: Any) -> None:
        """Note something that works and is not as it should be."""
        self.warned = True
        self.see(**evidence)


#: Called with a stage's name when it begins; what it returns is called with the record of the stage when it ends.
Observer = Callable[[str], Callable[[Stage], object]]


def unobserved(_name: str) -> Callable[[Stage], object]:
    """Nobody watches."""
    return _nothing


def _nothing(_stage: Stage) -> None:
    pass


@dataclass
class Steps:
    """The stages passed through so far, in the order in which they ran."""

    stages: list[Stage] = field(default_factory=list)
    observe: Observer = unobserved

    @contextmanager
    def stage(self, name: str) -> Iterator[Recorder]:
        """Run one stage: time it, keep its evidence, and let its failure through as `StageFailed`."""
        ended = self.observe(name)
        recorder, started_at, started = Recorder(), now(), time.perf_counter()

        def close(status: Status, /, **evidence: Any) -> None:
            recorder.see(**evidence)
            elapsed = round((time.perf_counter() - started) * 1000, 3)
            self.stages.append(
                Stage(name=name, status=status, started_at=started_at, elapsed_ms=elapsed, evidence=recorder.evidence)
            )
            ended(self.stages[-1])

        try:
            yield recorder
        except StageFailed as failure:
            close(Status.FAILED, **failure.evidence)
            raise
        except StageSkipped as skip:
            close(Status.SKIPPED, reason=skip.reason)
        except BaseException:
            close(Status.FAILED, interrupted=True)
            raise
        else:
            close(Status.WARNED if recorder.warned else Status.PASSED)

    def amend(self, name: str, **evidence: Any) -> None:
        """Add what a second observation found to a stage that has ended."""
        for stage in reversed(self.stages):
            if stage.name == name:
                stage.evidence.update({key: value for key, value in evidence.items() if value is not None})
                return

    def failed(self) -> Stage | None:
        """The stage that failed, if one did."""
        return next((stage for stage in self.stages if stage.status is Status.FAILED), None)

    def named(self, name: str) -> Stage | None:
        """The stage of this name, if it ran."""
        return next((stage for stage in self.stages if stage.name == name), None)


@dataclass
class Attempt:
    """One address of one endpoint, from the route to the last stage reached."""

    host: str
    port: int
    address: str
    steps: Steps = field(default_factory=Steps)

    @property
    def succeeded(self) -> bool:
        """Whether it came through every stage to the last one."""
        return self.steps.named(STAGES[-1]) is not None and self.steps.failed() is None

    @property
    def reached(self) -> int:
        """How far it got, as an index into `STAGES`."""
        return max((STAGES.index(stage.name) for stage in self.steps.stages), default=-1)


@dataclass
class Trace:
    """Everything observed in one check."""

    head: Steps = field(default_factory=Steps)
    attempts: list[Attempt] = field(default_factory=list)
    #: Facts that several stages share, by name; for the diagnosis only.
    facts: dict[str, Any] = field(default_factory=dict)

    def best(self) -> Attempt | None:
        """The attempt that succeeded, else the one that got furthest; the first of equals."""
        ranked = sorted(self.attempts, key=lambda attempt: (not attempt.succeeded, -attempt.reached))
        return ranked[0] if ranked else None


def skipped(name: str, reason: str) -> Stage:
    """A stage that did not run."""
    return Stage(name=name, status=Status.SKIPPED, started_at=now(), elapsed_ms=0.0, evidence={"reason": reason})


def matches(evidence: Mapping[str, Any], when: Mapping[str, Any]) -> bool:
    """Whether evidence fits a row of a table: a value, a set of values, or a predicate for each key."""
    for key, wanted in when.items():
        seen = evidence.get(key)
        if callable(wanted):
            if not wanted(seen):
                return False
        elif isinstance(wanted, (set, frozenset)):
            if seen not in wanted:
                return False
        elif seen != wanted:
            return False
    return True
