"""Passing scenarios: many stand at the same time and are looked at from every vantage of every kind."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from registry.network import declared
from registry.verdict import Verdict
from tasks.perspectives import View, review
from tests.lab import workers
from tests.lab.expectation import check_invariants
from tests.lab.lab import GRACE, Lab
from tests.lab.recording import keep_review
from tests.lab.scenario import Expect, Kind, Scenario, filled
from tests.lab.standing import Standing
from tests.lab.topology import VANTAGES

#: Scenarios that stand at the same time.
_AT_ONCE = 150


@dataclass(frozen=True)
class Outcome:
    """What one scenario came to from one vantage of one kind. `seconds` is the time of the check.

    `words` are those of the scenario as it stood, those of the vantage (``vantage.v4``) with them.
    """

    scenario: Scenario
    language: str
    vantage: str
    kind: Kind
    verdict: Verdict | None
    words: dict[str, str]
    seconds: float = 0.0
    problem: str = ""

    @property
    def expected(self) -> Expect:
        """What must be said here, its placeholders replaced."""
        expect = self.scenario.expected(self.vantage, self.kind)
        return expect.model_validate(filled(expect.model_dump(), self.words, self.scenario.name))

    @property
    def late(self) -> bool:
        """Whether the check outlived its deadline, or what the scenario allows."""
        return self.seconds > self.allowed

    @property
    def allowed(self) -> float:
        """Seconds that the check may take."""
        deadline = self.scenario.source.timeout + GRACE
        return min(self.expected.within or deadline, deadline)

    def faults(self) -> list[str]:
        """What is not as expected, in words; nothing when the verdict is right."""
        if self.verdict is None:
            return [self.problem]
        found = differences(self.verdict, self.expected)
        if self.late:
            found.append(f"took {self.seconds:.2f} s, allowed {self.allowed} s")
        try:
            check_invariants(self.verdict)
        except AssertionError as broken:
            found.append(str(broken))
        return found


def differences(verdict: Verdict, expect: Expect) -> list[str]:
    """Where a verdict is not what is expected."""
    if expect.may_pass and verdict.connectable:
        return []
    found = []
    for what, wanted, got in (
        ("code", expect.code, verdict.cause),
        ("state", expect.state, verdict.state),
        ("alternatives", set(expect.alternatives), set(verdict.alternatives)),
        ("owner", expect.owner or verdict.owner, verdict.owner),
    ):
        if wanted != got:
            found.append(f"{what}: {got!r}, expected {wanted!r}")
    for what, wanted, got in (
        ("component", expect.component, verdict.component),
        ("message", expect.message, verdict.message),
        ("remedy", expect.remedy, verdict.remedy),
        ("warned", expect.warned, "; ".join(warning.message for warning in verdict.warnings)),
    ):
        if wanted not in got:
            found.append(f"{what}: {got!r}, expected {wanted!r} in it")
    if missing := set(expect.warnings) - {warning.code for warning in verdict.warnings}:
        found.append(f"warnings missing: {', '.join(sorted(missing))}")
    return found


def kinds_of(scenario: Scenario, vantage: str, available: Sequence[Kind]) -> list[Kind]:
    """The kinds of vantage that a scenario is passed from there."""
    return [kind for kind in available if kind not in scenario.left_out and kind in VANTAGES[vantage].kinds]


def pass_all(lab: Lab, scenarios: Iterable[Scenario], kinds: Sequence[Kind]) -> Iterator[Outcome]:
    """Bring scenarios up, look at each from everywhere, and take them down; those that disturb others one by one."""
    chosen = list(scenarios)
    together = [one for one in chosen if not one.alone]
    batches = [together[start : start + _AT_ONCE] for start in range(0, len(together), _AT_ONCE)]
    for batch in (*batches, *([one] for one in chosen if one.alone)):
        yield from _pass(lab, batch, kinds)


def look(lab: Lab, standing: Standing, kind: Kind) -> list[Outcome]:
    """Break what stands, and look at it from its vantages of one kind; it goes on standing."""
    before = {kind: _look(lab, [standing] if standing.scenario.before else [], kind)}
    standing.breaks()
    local = {"local": _look(lab, [standing], "local")} if len(standing.scenario.vantages) > 1 else {}
    return list(_reviewed(standing, kind, {**local, kind: _look(lab, [standing], kind)}, before))


def _pass(lab: Lab, batch: Sequence[Scenario], kinds: Sequence[Kind]) -> Iterator[Outcome]:
    with ExitStack() as stack:
        standing = []
        for one in [Standing(lab, scenario, language) for scenario in batch for language in scenario.languages]:
            stack.callback(one.down)
            try:
                one.up()
                standing.append(one)
            except Exception:
                yield Outcome(one.scenario, one.language, one.scenario.vantages[0], "local", None, {},
                              problem=f"does not stand:\n{traceback.format_exc()}")  # fmt: skip
        before = {kind: _look(lab, [one for one in standing if one.scenario.before], kind) for kind in kinds}
        for one in standing:
            one.breaks()
        seen = {kind: _look(lab, standing, kind) for kind in kinds}
        for one in standing:
            for kind in kinds:
                yield from _reviewed(one, kind, seen, before)


#: Of one kind: the answer of the agent by the scenario, its language and the vantage.
Seen = dict[tuple[str, str, str], dict[str, Any]]


def _look(lab: Lab, standing: Sequence[Standing], kind: Kind) -> Seen:
    """Check all of them from all of their vantages that are of a kind."""
    asked = {
        (one.scenario.name, one.language, vantage): one.request(vantage, kind)
        for one in standing
        for vantage in one.scenario.vantages
        if kind in kinds_of(one.scenario, vantage, (kind,))
    }
    return dict(zip(asked, _checked(lab, list(asked.values()), kind), strict=True)) if asked else {}


def _checked(lab: Lab, requests: Sequence[Mapping[str, Any]], kind: Kind) -> list[dict[str, Any]]:
    """The answers to requests at one kind of vantage: by the agents, or in one flow run of each worker."""
    if kind != "worker":
        return lab.check_all(requests, via=kind)
    found: dict[int, dict[str, Any]] = {}
    groups = [(request["vantage"], request.get("pool", "")) for request in requests]
    for vantage, pool in dict.fromkeys(groups):
        places = [position for position, group in enumerate(groups) if group == (vantage, pool)]
        verdicts = workers.check_many(lab, vantage, [requests[position] for position in places], pool=pool)
        found |= {
            position: {"verdict": verdict.model_dump(mode="json"), "seconds": verdict.elapsed_ms / 1000}
            for position, verdict in zip(places, verdicts, strict=True)
        }
    return [found[position] for position in range(len(requests))]


def _reviewed(one: Standing, kind: Kind, seen: dict[Kind, Seen], before: dict[Kind, Seen]) -> Iterator[Outcome]:
    """The outcomes of a scenario at one kind; where a vantage is not of that kind, its local view stands in."""
    scenario = one.scenario

    def answer(answers: dict[Kind, Seen], vantage: str) -> dict[str, Any]:
        key = (scenario.name, one.language, vantage)
        return answers[kind].get(key) or answers.get("local", {}).get(key, {})

    own = [vantage for vantage in scenario.vantages if (scenario.name, one.language, vantage) in seen[kind]]
    if not own:
        return
    verdicts = {vantage: _verdict(answer(seen, vantage)) for vantage in scenario.vantages}
    views = {
        vantage: View(
            verdict, declared(one.request(vantage)["network"]), before=_good(_verdict(answer(before, vantage)))
        )
        for vantage, verdict in verdicts.items()
        if verdict is not None
    }
    keep_review(one.words["slug"], list(views.values()), one.lab.recorded)
    verdicts |= dict(zip(views, review(list(views.values())), strict=True))
    for vantage in own:
        words = one.words | {"vantage": vantage, "vantage.v4": VANTAGES[vantage].v4, "vantage.v6": VANTAGES[vantage].v6}
        reply = answer(seen, vantage)
        yield Outcome(scenario, one.language, vantage, kind, verdicts[vantage], words,
                      seconds=reply.get("seconds", 0.0), problem=reply.get("broken", ""))  # fmt: skip


def _verdict(answer: dict[str, Any]) -> Verdict | None:
    return Verdict.model_validate(answer["verdict"]) if "verdict" in answer else None


def _good(verdict: Verdict | None) -> Verdict | None:
    return verdict if verdict is not None and verdict.connectable else None
