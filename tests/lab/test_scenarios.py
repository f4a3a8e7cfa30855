"""Every scenario file, from every vantage of every kind: the right cause, no false green, in time, and alike."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import pytest

from registry.verdict import INCONCLUSIVE
from tasks import causes
from tests.lab import accuracy, scenario
from tests.lab.lab import Lab
from tests.lab.passing import Outcome, kinds_of, pass_all
from tests.lab.recording import Expected, keep
from tests.lab.scenario import KINDS, Scenario

#: All of them stand, are looked at and are taken down before the first test.
pytestmark = pytest.mark.timeout(900)

SCENARIOS = {one.name: one for one in scenario.every()}
CASES = {
    f"{one.name}-{language}-{vantage}-{kind}": one
    for one in SCENARIOS.values()
    for language in one.languages
    for vantage in one.vantages
    for kind in kinds_of(one, vantage, KINDS)
}
#: What every kind of vantage must say of these, word for word.
ALIKE = sorted({name.removesuffix("-local") for name in CASES if name.endswith("-local")})


@pytest.fixture(scope="module")
def outcomes(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Mapping[str, Outcome]]:
    """What came of the chosen scenarios, by the name of the case."""
    chosen: dict[str, Scenario] = {}
    for item in request.session.items:
        if item.path == request.path and hasattr(item, "callspec"):
            case = item.callspec.params["case"]
            one = CASES.get(case) or CASES[f"{case}-local"]
            chosen[one.name] = one
    found = {f"{one.scenario.name}-{one.language}-{one.vantage}-{one.kind}": one
             for one in pass_all(lab, chosen.values(), KINDS)}  # fmt: skip
    for outcome in found.values():
        if outcome.words:
            keep(Expected(outcome.words["slug"], outcome.vantage, outcome.expected), lab.recorded)
    yield found
    if os.environ.get("HEADWATER_WRITE_MATRIX") == "1" and chosen.keys() == SCENARIOS.keys():
        accuracy.write(found.values())


@pytest.mark.parametrize("case", CASES)
def test_scenario(outcomes: Mapping[str, Outcome], case: str) -> None:
    outcome = outcomes[case]
    shown = outcome.verdict.model_dump_json(indent=1) if outcome.verdict else ""
    assert not outcome.faults(), "\n".join([*outcome.faults(), shown])


@pytest.mark.parametrize("case", ALIKE)
def test_every_kind_of_vantage_says_the_same(outcomes: Mapping[str, Outcome], case: str) -> None:
    """Unless the scenario declares that one cannot, and why."""
    differs = CASES[f"{case}-local"].differs
    said = {
        kind: (verdict.cause, verdict.state, sorted(verdict.alternatives), verdict.component)
        for kind in KINDS
        if kind not in differs
        and (outcome := outcomes.get(f"{case}-{kind}")) is not None
        and (verdict := outcome.verdict) is not None
    }
    assert len(set(map(str, said.values()))) == 1, said


def test_every_code_has_a_scenario() -> None:
    """Codes that need other people's clouds or a broken installation are proved where these are made."""
    expected = [
        expect for one in SCENARIOS.values() for expect in (one.expect, *one.elsewhere.values(), *one.differs.values())
    ]
    named = {expect.code for expect in expected} | {code for expect in expected for code in expect.alternatives}
    missing = causes.catalogue().keys() - named - {INCONCLUSIVE}
    assert missing <= PROVED_ELSEWHERE.keys(), f"no scenario for {', '.join(sorted(missing - PROVED_ELSEWHERE.keys()))}"
    assert not PROVED_ELSEWHERE.keys() & named, "these have a scenario by now"


#: Codes without a scenario file, and the test that proves them.
PROVED_ELSEWHERE = {
    "CONFIG.ENV_MISSING": "tests/registry: the registry knows of no configuration for the environment",
}
