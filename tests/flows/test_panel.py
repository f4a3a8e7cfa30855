"""Verdicts on their way: held until all groups have spoken, reviewed with the past, and never lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

from flows.panel import Panel
from registry.apply import apply_texts
from registry.store import open_store
from registry.verdict import Verdict
from registry.verdicts import Pair, Verdicts
from tasks.target import Target
from tests.flows.cli_support import CommandLine, source, workspace
from tests.tasks.support import target
from tests.tasks.test_perspectives import _AT, fine, refused, silent, view


class Past:
    """A history that counts how often it is asked."""

    def __init__(self, good: Verdict) -> None:
        self.good = good
        self.asked: list[list[Pair]] = []

    def last_good(self, pairs: Iterable[Pair]) -> dict[Pair, Verdict]:
        self.asked.append(list(pairs))
        return dict.fromkeys(self.asked[-1], self.good)

    def usual_ms(self, pairs: Iterable[Pair]) -> dict[Pair, float]:
        self.asked.append(list(pairs))
        return dict.fromkeys(self.asked[-1], 100.0)


def _targets(*groups: str, sources: int = 1) -> list[Target]:
    return [
        replace(target(), source=f"orders{number}", resource_group=group)
        for group in groups
        for number in range(sources)
    ]


def _of(verdict: Verdict, number: int = 0) -> Verdict:
    return verdict.model_copy(update={"source": f"orders{number}"})


async def test_verdicts_wait_for_each_other_and_are_reviewed_together() -> None:
    panel = Panel(_targets("a", "b"))
    assert await panel.add([_of(silent("a").verdict)]) == []
    told = await panel.add([_of(fine("b").verdict)])
    assert [verdict.cause for verdict in told] == ["FILTER.DROP", None]


async def test_a_port_that_converses_for_another_source_of_the_run_is_not_closed_by_a_rule() -> None:
    panel = Panel(_targets("a", "b", sources=2))
    refused_login = view("a", "AUTH.BAD_CREDENTIALS", "login", connect=_AT).verdict
    silenced = [_of(silent("a", answers_ping=True).verdict, 1), _of(silent("b", answers_ping=True).verdict, 1)]
    told = await panel.add([_of(refused_login, 0), _of(silent("b").verdict, 0), *silenced])
    assert [(one.source, one.resource_group, one.cause) for one in told[2:]] == [
        ("orders1", "a", "INCONCLUSIVE"),
        ("orders1", "b", "INCONCLUSIVE"),
    ]
    assert "orders0/prod" in told[2].message
    assert "CAPACITY.CONNECTIONS" in told[2].alternatives
    assert "CAPACITY.CONNECTIONS" not in told[3].alternatives


async def test_a_group_that_broke_off_keeps_nothing_back() -> None:
    panel = Panel(_targets("a", "b", "c"))
    assert await panel.add([_of(silent("a").verdict), _of(fine("b").verdict)]) == []
    assert [verdict.cause for verdict in await panel.rest()] == ["FILTER.DROP", None]
    assert await panel.rest() == []


async def test_the_past_is_asked_about_all_failing_ones_at_once_and_about_no_other() -> None:
    past = Past(fine("a").verdict)
    panel = Panel(_targets("a", sources=40), cast(Verdicts, past))
    well = [_of(fine("a").verdict, number) for number in range(20)]
    sick = [_of(refused("a").verdict, number) for number in range(20, 40)]
    told = await panel.add([*well, *sick])
    assert [len(pairs) for pairs in past.asked] == [20]
    assert all("it worked from a until" in verdict.message for verdict in told[20:])
    assert past.asked[0][0] == Pair("sales", "orders20", "prod", "a")


async def test_a_check_that_took_far_longer_than_usual_is_told() -> None:
    slow = _of(fine("a").verdict).model_copy(update={"elapsed_ms": 3000.0})
    (told,) = await Panel(_targets("a"), cast(Verdicts, Past(slow))).add([slow])
    assert [warning.code for warning in told.warnings] == ["LATENCY.HIGH"]


def test_the_command_line_tells_until_when_it_worked_and_what_was_changed(retail: CommandLine) -> None:
    assert retail("test", "orders").status == 0
    retail.apply(workspace(source("orders", 1)))
    (verdict,) = retail("test", "orders", "-o", "json").json
    assert verdict["cause"] == "PORT.CLOSED"
    assert "; it worked from local until 20" in verdict["message"]
    assert "the version of the configuration changed from 1 to 2" in verdict["message"]
    (failed,) = [stage["evidence"] for stage in verdict["stages"] if stage["status"] == "failed"]
    assert failed["last_worked_at"].endswith("Z")
    assert any("the configured address changed" in change for change in failed["changed_since"])


async def test_a_run_keeps_what_was_reviewed_and_what_a_broken_group_left(tmp_path: Path, empty_registry: Path) -> None:
    from flows.rounds import _Kept

    shutil.copy(empty_registry, tmp_path / "registry.db")
    with open_store(tmp_path) as store:
        apply_texts(store, [("sales.yaml", _SALES)], store.by())
        kept = _Kept(store, _targets("a", "b", "c"))
        await kept.take([_of(silent("a").verdict)])
        assert kept.verdicts == []
        await kept.take([_of(fine("b").verdict)])
        await kept.take_rest()
        latest = {one.verdict.resource_group: one.verdict.cause for one in store.verdicts.latest()}
    assert latest == {"a": "FILTER.DROP", "b": None}
    assert [(verdict.resource_group, bool(verdict.stages)) for verdict in kept.verdicts] == [("a", True), ("b", False)]


_SALES = """
version: 1
resource_groups: [{name: local, kind: local}]
workspaces:
  - name: sales
    mode: basic
    resource_groups: [local]
    data_sources:
      - {name: orders0, type: redis, prod: {address: [{host: 127.0.0.1, port: 1}], password: "env:X"}}
"""
