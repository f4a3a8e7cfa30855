"""Every scenario file, from every vantage of every kind: the right cause, no false green, in time, and alike."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.lab import scenario
from tests.lab.lab import Lab
from tests.lab.passing import Outcome, kinds_of, pass_all
from tests.lab.scenario import Kind, Scenario

#: The kinds of vantage that this lab can be looked at from.
KINDS: tuple[Kind, ...] = ("local", "ssh")
SCENARIOS = scenario.every()
CASES = {
    f"{one.name}-{language}-{vantage}-{kind}": (one, language, vantage, kind)
    for one in SCENARIOS
    for language in one.languages
    for vantage in one.vantages
    for kind in kinds_of(one, vantage, KINDS)
}


@pytest.fixture(scope="module")
def outcomes(lab: Lab, request: pytest.FixtureRequest) -> Mapping[str, Outcome]:
    """What came of the chosen scenarios, by the name of the case; all of them stand together."""
    chosen: dict[str, Scenario] = {}
    for item in request.session.items:
        if item.path == request.path and hasattr(item, "callspec") and "case" in item.callspec.params:
            one = CASES[item.callspec.params["case"]][0]
            chosen[one.name] = one
    passed = pass_all(lab, chosen.values(), KINDS)
    return {f"{one.scenario.name}-{one.language}-{one.vantage}-{one.kind}": one for one in passed}


@pytest.mark.parametrize("case", CASES)
def test_scenario(outcomes: Mapping[str, Outcome], case: str) -> None:
    outcome = outcomes[case]
    shown = outcome.verdict.model_dump_json(indent=1) if outcome.verdict else ""
    assert not outcome.faults(), "\n".join([*outcome.faults(), shown])
