"""The committed page on accuracy: nothing wrong, no false green, nothing late."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import accuracy, scenario
from tests.lab.passing import Outcome
from tests.lab.scenario import Scenario
from tests.lab.test_lab import verdict


def test_the_page_tells_of_no_wrong_verdict() -> None:
    told = accuracy.totals()
    assert (told["wrong"], told["false green"], told["late"]) == (0, 0, 0)
    assert told["scenarios"] >= 150


def made(expect: dict[str, object], said: object, seconds: float = 0.1) -> Outcome:
    one = Scenario.model_validate(
        {"name": "x", "title": "x", "source": {"type": "redis", "entry": {}}, "expect": {"within": 1, **expect}}
    )
    return Outcome(one, "en", "client", "local", said, {}, seconds)  # type: ignore[arg-type]


DENIED = {"code": "PRIV.OBJECT_DENIED", "state": "ConfigError"}
GREEN = {"state": "Connectable", "cause": None}


@pytest.mark.parametrize(
    ("expect", "changes", "seconds", "ending", "late"),
    [
        (DENIED, {}, 0.1, "named", False),
        (DENIED, {}, 2.0, "named", True),
        (DENIED, {"cause": "TARGET.MISSING"}, 0.1, "wrong", False),
        ({**DENIED, "component": "other"}, {}, 0.1, "wrong", False),
        (DENIED, GREEN, 0.1, "false green", False),
        ({"code": None, "state": "Connectable"}, GREEN, 0.1, "named", False),
        ({"code": None, "state": "Connectable"}, {}, 0.1, "wrong", False),
    ],
)
def test_how_a_check_ended(
    expect: dict[str, object], changes: dict[str, object], seconds: float, ending: str, *, late: bool
) -> None:
    result = accuracy.result(made(expect, verdict(**changes), seconds))
    assert (result.ending, result.late) == (ending, late)


def test_the_page_keeps_its_history_and_the_other_sections(tmp_path: Path) -> None:
    page = tmp_path / "accuracy.md"
    accuracy.put(page, "rules", "## Rules\n\nall of them")
    accuracy.write([made(DENIED, verdict())], page)
    first = page.read_text().replace(f"| {accuracy._commit()} |", "| 0000000 |")
    page.write_text(first)
    accuracy.write([made(DENIED, verdict(cause="TARGET.MISSING"))], page)
    assert "all of them" in page.read_text()
    assert page.read_text().count("| 0000000 |") == 1
    assert accuracy.totals(page)["wrong"] == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sauce": {}}, "sauce"),
        ({"from": ["nowhere"]}, "no vantage 'nowhere'"),
        ({"faults": [{"filter": {"action": "eat"}}]}, "no action 'eat'"),
        ({"faults": [{"listener": {"kind": "rude", "port": 1}}]}, "no listener 'rude'"),
        ({"faults": [{}]}, "give one of filter"),
        ({"expect": {"code": "PORT.CLOSED", "state": "Connectable"}}, "does not go with state"),
        ({"expect": {"code": "INCONCLUSIVE", "state": "Unreachable"}}, "alternatives"),
        ({"server": {"type": "redis"}, "faults": [{"stop": True}]}, "server.own: true"),
        ({"languages": ["en", "de_DE"]}, "there is none"),
        ({"elsewhere": {"onprem": DENIED}}, "not among the vantages"),
    ],
)
def test_a_faulty_scenario_file_is_told(tmp_path: Path, change: dict[str, object], told: str) -> None:
    import yaml

    path = tmp_path / "odd.yaml"
    good = {"title": "odd", "source": {"type": "redis", "entry": {}}, "expect": DENIED}
    path.write_text(yaml.safe_dump(good))
    assert scenario.load(path).name == "odd"
    path.write_text(yaml.safe_dump({**good, **change}))
    with pytest.raises(scenario.ScenarioError, match=r"odd\.yaml") as caught:
        scenario.load(path)
    assert told in str(caught.value)


def test_a_placeholder_that_stands_for_nothing_is_told() -> None:
    with pytest.raises(scenario.ScenarioError, match=r"hots.*known: host"):
        scenario.filled({"a": ["${hots}"]}, {"host": "10.0.0.1"}, "odd")
