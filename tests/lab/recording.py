"""What the diagnosis was given, kept for the mutation run: it is pure, so it can be asked again with a rule less."""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from registry.verdict import Stage, Verdict
from tasks import diagnosis, perspectives
from tasks.evidence import Attempt, Steps, Trace, unobserved
from tasks.perspectives import Rule, View
from tasks.target import Target, no_secrets
from tests.lab.scenario import Expect

#: Names the folder into which every diagnosis of a process is kept.
VARIABLE = "HEADWATER_RECORD"


@dataclass(frozen=True)
class Diagnosed:
    """One diagnosis: what it was given."""

    target: Target
    trace: Trace

    @property
    def label(self) -> tuple[str, str]:
        """Source and resource group."""
        return self.target.source, self.target.resource_group


@dataclass(frozen=True)
class Explained:
    """One failed stage that was explained by itself, as scripted peers have it done."""

    target: Target
    failed: Stage
    attempt: Attempt | None

    @property
    def label(self) -> tuple[str, str]:
        """What stands in place of source and resource group."""
        return f"scripted {self.target.type}", self.failed.name


@dataclass(frozen=True)
class Reviewed:
    """One review of the verdicts of several places."""

    label: str
    views: tuple[View, ...]


@dataclass(frozen=True)
class Expected:
    """What a scenario expects at one vantage."""

    slug: str
    vantage: str
    expect: Expect


Record = Diagnosed | Explained | Reviewed | Expected


#: Records of one shape, the same cause by the same kind of evidence, that are kept by a process.
_ENOUGH = 60
_shapes: Counter[tuple[Any, ...]] = Counter()
_writing = threading.Lock()


def keep(record: Record, folder: Path, *shape: Any) -> None:
    """Add a record to those of this process; one that cannot be kept, or that has many alike, is left out."""
    _shapes[shape] += 1
    if shape and _shapes[shape] > _ENOUGH:
        return
    # A test may leave its process without descriptors or rights: then nothing is kept, and nothing is spoilt.
    with contextlib.suppress(pickle.PicklingError, AttributeError, TypeError, OSError):
        folder.mkdir(parents=True, exist_ok=True)
        data = pickle.dumps(record)
        # Places are asked by threads: each record is written whole before the next.
        with _writing, (folder / f"{os.getpid()}.records").open("ab") as file:
            file.write(data)


def kept(folder: Path) -> Iterator[Record]:
    """Every record of a folder. Raises: UnpicklingError, EOFError: One is broken, and all behind it would be lost."""
    for path in sorted(folder.glob("*.records")):
        with path.open("rb") as file:
            while file.tell() < path.stat().st_size:
                yield pickle.load(file)


def install(folder: Path) -> None:
    """Keep every diagnosis that this process makes from now on."""
    diagnose, explain = diagnosis.diagnose, diagnosis.explain
    inside = threading.local()

    def recorded(target: Target, trace: Trace, **times: Any) -> Verdict:
        inside.diagnose = True
        try:
            verdict = diagnose(target, trace, **times)
        finally:
            inside.diagnose = False
        best = trace.best()
        failed = trace.head.failed() or (best.steps.failed() if best else None)
        warned = (warning.code for warning in verdict.warnings)
        shape = (target.type, verdict.cause, *verdict.alternatives, *warned, *(failed.evidence if failed else ()))
        keep(Diagnosed(replace(target, secrets=no_secrets), _plain(trace)), folder, *shape)
        return verdict

    def explained(target: Target, failed: Stage, attempt: Attempt | None, **more: Any) -> diagnosis.Finding:
        finding = explain(target, failed, attempt, **more)
        if not getattr(inside, "diagnose", False):
            tried = replace(attempt, steps=_unwatched(attempt.steps)) if attempt else None
            shape = (target.type, finding.code, *finding.alternatives, *failed.evidence)
            keep(Explained(replace(target, secrets=no_secrets), failed, tried), folder, *shape)
        return finding

    review = perspectives.review

    def reviewed(views: Sequence[View], by: Sequence[Rule] | None = None) -> list[Verdict]:
        if by is None:
            shape = [(view.verdict.resource_group, view.verdict.cause) for view in views]
            keep(Reviewed("scripted", tuple(views)), folder, "review", *shape)
        return review(views, by)

    perspectives.review = reviewed
    diagnosis.diagnose, diagnosis.explain = recorded, explained


def install_if_asked() -> None:
    """The same, where the environment names a folder."""
    if folder := os.environ.get(VARIABLE):
        install(Path(folder))


def keep_review(label: str, views: Sequence[View], folder: Path) -> None:
    """Keep what a review was given."""
    keep(Reviewed(label, tuple(views)), folder)


def _plain(trace: Trace) -> Trace:
    """The trace without those who watched it."""
    attempts = [replace(one, steps=_unwatched(one.steps)) for one in trace.attempts]
    return replace(trace, head=_unwatched(trace.head), attempts=attempts)


def _unwatched(steps: Steps) -> Steps:
    return replace(steps, observe=unobserved)
