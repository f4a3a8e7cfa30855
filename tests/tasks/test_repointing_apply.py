"""Applying a repoint: waves, failures, locks, pauses, the way back, and kill -9 at every boundary and at random."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from registry import model
from registry.audit import By
from registry.errors import Conflict, Forbidden, InvalidInput
from registry.plans import PlanState, StepState
from registry.store import Store, open_store
from tasks.dependents import Place, Rename
from tasks.repointing import applying, records
from tasks.repointing.running import NOBODY, Audience, Options, Outcome, Progress
from tests.registry.conftest import home, postgresql_url, sqlite_template, store
from tests.tasks.killing import Fuse, in_child, run
from tests.tasks.repointing_support import NEW, OLD, World, deployed

MEMORY = Path("/dev/shm")
__all__ = ["home", "postgresql_url", "sqlite_template", "store"]


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """In memory, where there is such a place: these tests wait for nothing but disks."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="headwater-repoint-") as folder:
        yield Path(folder)


@pytest.fixture
def backend() -> str:
    return "sqlite"


@pytest.fixture
def world(store: Store, tmp_path: Path) -> World:
    folder = tmp_path / "files"
    folder.mkdir()
    return World(store, folder)


def _apply(world: World, plan: model.Plan, audience: Audience = NOBODY, **options: Any) -> Outcome:
    work = applying.apply(
        world.store, plan.id, world.adapters, world.observing, world.store.by(), Options(**options), audience
    )
    return asyncio.run(work)


def _rollback(world: World, plan: model.Plan) -> Outcome:
    return asyncio.run(applying.rollback(world.store, plan.id, world.adapters, world.observing, world.store.by()))


def _audited(store: Store) -> dict[str, list[str]]:
    """Dependent -> where the audit says that it was sent, in order."""
    told: dict[str, list[str]] = {}
    with store.database.read() as session:
        wanted = select(model.AuditRecord).where(model.AuditRecord.object.like("dependent:%"))
        for row in session.scalars(wanted.order_by(model.AuditRecord.id)):
            if row.action in ("repoint", "roll_back"):
                told.setdefault(row.object, []).append((row.after or {})["source"])
    return told


def _messages(world: World, plan: model.Plan, *states: StepState) -> list[str]:
    return [step.message for step in world.store.plans.steps(plan.id, *states)]


def test_everything_moves_and_the_registry_and_the_audit_know(world: World) -> None:
    world.files(12)
    world.file("both", {"reads": "orders"}, {"writes": "orders"})
    heard: list[Progress] = []
    outcome = _apply(world, world.plan(), Audience(progress=heard.append))
    assert (outcome.state, outcome.counts) == (PlanState.APPLIED, {StepState.DONE: 13})
    assert set(world.names()) == {"orders_v2"}
    assert (world.known(OLD), world.known(NEW)) == (0, 14)
    assert list(_audited(world.store).values()) == [[NEW]] * 14
    assert (heard[-1].done, heard[-1].total, heard[-1].wave, heard[-1].left_seconds) == (13, 13, 3, 0)
    assert {use.places[0].name for use in world.store.dependents.of(NEW)} == {"orders_v2"}


def test_a_scan_afterwards_finds_what_the_registry_says(world: World) -> None:
    world.file("both", {"reads": "orders"}, {"writes": "orders"})
    _apply(world, world.plan())
    before = world.store.dependents.of(NEW)
    world.scan()
    assert [use.places for use in world.store.dependents.of(NEW)] == [use.places for use in before]


def test_a_failing_wave_goes_back_and_the_rest_stays(world: World) -> None:
    world.file("a", {"reads": "orders", "resource_group": "near"})
    world.file("b", {"reads": "orders", "resource_group": "far"})
    world.file("c", {"reads": "orders", "resource_group": "near"})
    world.file("d", {"reads": "orders", "resource_group": "near"})
    plan = world.plan(sizes=(1, 2))
    world.observing.ill = {"far"}
    outcome = _apply(world, plan)
    assert outcome.state is PlanState.FAILED
    assert world.names() == ["orders_v2", "orders", "orders", "orders"]
    assert outcome.counts == {StepState.DONE: 1, StepState.FAILED: 1, StepState.ROLLED_BACK: 1, StepState.WAITING: 1}
    (failed,) = _messages(world, plan, StepState.FAILED)
    assert failed == "not Connectable from far any more: PORT.REFUSED; it is on retail/orders again"
    assert (world.known(OLD), world.known(NEW)) == (3, 1)


def test_keep_going_goes_on_after_a_failing_wave_and_apply_again_tries_it_again(world: World) -> None:
    for number, smoke in enumerate(["goes", "fails", "goes"]):
        world.file(f"f{number}", {"reads": "orders", "smoke": smoke})
    plan = world.plan(sizes=(1,))
    outcome = _apply(world, plan, keep_going=True)
    assert outcome.state is PlanState.FAILED
    assert world.names() == ["orders_v2", "orders", "orders_v2"]
    assert "smoke run of f1_0 failed: it said no" in _messages(world, plan, StepState.FAILED)[0]

    async def well(unit: str, details: object) -> None:
        """It works now."""

    world.adapters["json_files"].smoke = well  # type: ignore[method-assign]
    assert _apply(world, plan).state is PlanState.APPLIED
    assert set(world.names()) == {"orders_v2"}


def test_nothing_is_applied_where_anything_moved(world: World) -> None:
    first, second = world.files(2)
    plan = world.plan()
    second.write_text(second.read_text().replace("f00001_0", "renamed"))
    with pytest.raises(Conflict, match="have changed since the plan was made") as caught:
        _apply(world, plan)
    assert str(second) in str(caught.value)
    assert "orders_v2" not in first.read_text() + second.read_text()
    assert world.store.plans.get(plan.id).state == PlanState.READY


def test_a_source_that_changed_makes_the_plan_stale(world: World) -> None:
    from tests.registry.samples import entry

    world.files(1)
    plan = world.plan()
    world.store.sources.update_entry("retail", "orders_v2", "prod", entry(database="other"), world.store.by())
    with pytest.raises(Conflict, match="entry:retail/orders_v2/prod: version 1 then, 2 now"):
        _apply(world, plan)
    assert set(world.names()) == {"orders"}


def test_a_unit_that_somebody_changes_meanwhile_is_left_alone(world: World) -> None:
    first, second = world.files(2)
    plan = world.plan(sizes=(1,))
    theirs = second.read_text().replace("f00001_0", "renamed")
    meddling = Audience(progress=lambda _: second.write_text(theirs))
    outcome = _apply(world, plan, meddling)
    assert outcome.state is PlanState.FAILED
    assert second.read_text() == theirs
    assert "somebody else has changed it; it is left alone" in _messages(world, plan, StepState.FAILED)[0]
    assert "orders_v2" in first.read_text()


def test_what_is_blocked_stops_the_plan_unless_left_out(world: World) -> None:
    world.file("a", {"reads": "orders", "resource_group": "near"})
    world.file("b", {"reads": "orders", "resource_group": "far"})
    world.observing.ill = {"far"}
    plan = world.plan()
    with pytest.raises(InvalidInput, match="1 of 2 dependents are blocked"):
        _apply(world, plan)
    assert _apply(world, plan, leave_out_blocked=True).state is PlanState.APPLIED
    assert world.names() == ["orders_v2", "orders"]


def test_what_somebody_edits_is_skipped_or_forced_and_own_locks_do_not_count(world: World) -> None:
    world.file("a", {"reads": "orders", "locked_by": "bob"})
    world.file("b", {"reads": "orders", "locked_by": world.store.by().actor})
    plan = world.plan()
    outcome = _apply(world, plan)
    assert outcome.counts == {StepState.DONE: 1, StepState.SKIPPED: 1}
    assert world.names() == ["orders", "orders_v2"]
    assert _messages(world, plan, StepState.SKIPPED) == ["bob is editing it"]
    assert _apply(world, world.plan(), force_locked=True).state is PlanState.APPLIED
    assert set(world.names()) == {"orders_v2"}


def test_pause_stops_between_units_and_apply_goes_on(world: World) -> None:
    world.files(4)
    plan = world.plan(sizes=(2,))
    paused: list[model.Plan] = []

    def pause(_: Progress) -> None:
        if not paused:
            paused.append(applying.pause(world.store, plan.id, world.store.by()))

    assert _apply(world, plan, Audience(progress=pause)).state is PlanState.PAUSED
    assert world.names() == ["orders_v2", "orders_v2", "orders", "orders"]
    with pytest.raises(InvalidInput, match="not being applied"):
        applying.pause(world.store, plan.id, world.store.by())
    assert _apply(world, plan).state is PlanState.APPLIED
    assert set(world.names()) == {"orders_v2"}


def test_a_rollback_takes_everything_back_and_ends_the_plan(world: World) -> None:
    world.files(3)
    before = [path.read_text() for path in sorted(world.folder.glob("*.json"))]
    plan = world.plan()
    with pytest.raises(InvalidInput, match="nothing to take back"):
        _rollback(world, plan)
    _apply(world, plan)
    assert _rollback(world, plan).state is PlanState.ROLLED_BACK
    assert [path.read_text() for path in sorted(world.folder.glob("*.json"))] == before
    assert (world.known(OLD), world.known(NEW)) == (3, 0)
    assert list(_audited(world.store).values()) == [[NEW, OLD]] * 3
    with pytest.raises(InvalidInput, match="rolled_back"):
        _apply(world, plan)


def test_a_rollback_tells_of_what_others_changed_and_can_be_gone_on_with(world: World) -> None:
    first, second = world.files(2)
    plan = world.plan()
    _apply(world, plan)
    ours = second.read_text()
    second.write_text(ours.replace("f00001_0", "renamed"))
    assert _rollback(world, plan).state is PlanState.ROLLING_BACK
    assert '"orders"' in first.read_text()
    with pytest.raises(InvalidInput, match="being rolled back"):
        _apply(world, plan)
    second.write_text(ours)
    assert _rollback(world, plan).state is PlanState.ROLLED_BACK
    assert set(world.names()) == {"orders"}


def test_one_that_uses_both_keeps_one_use_and_gets_its_own_back(world: World) -> None:
    world.file("a", {"reads": "orders"})
    path = world.file("b", {"reads": "orders"})
    world.scan()
    with world.store.database.write() as session:
        one = session.scalars(select(model.Dependent).where(model.Dependent.unit == str(path))).one()
        (kept,) = session.scalars(select(model.Reference).where(model.Reference.dependent_id == one.id))
        new = session.scalars(select(model.DataSource).where(model.DataSource.name == "orders_v2")).one()
        place = {"unit": str(path), "pointer": "/tasks/0/also", "name": "orders_v2", "type": ""}
        more = {name: getattr(kept, name) for name in ("dependent_id", "env", "role", "objects")}
        session.add(model.Reference(**more, data_source_id=new.id, source=NEW, places=[place]))
    plan = world.plan_of_known()
    _apply(world, plan)
    assert (world.known(OLD), world.known(NEW)) == (0, 2)
    (both,) = [use for use in world.store.dependents.of(NEW) if use.unit == str(path)]
    assert sorted(place.pointer for place in both.places) == ["/tasks/0/also", "/tasks/0/reads"]
    _rollback(world, plan)
    assert (world.known(OLD), world.known(NEW)) == (2, 1)
    (left,) = world.store.dependents.of(NEW)
    assert [place.pointer for place in left.places] == ["/tasks/0/also"]


def test_nobody_applies_without_the_role(world: World) -> None:
    world.files(1)
    plan = world.plan()
    with world.store.database.write() as session:
        owner = session.scalars(select(model.Workspace)).one()
        session.add(model.Member(workspace_id=owner.id, user="vera", role="visitor"))
    with pytest.raises(Forbidden, match="vera may not repoint tasks"):
        asyncio.run(applying.apply(world.store, plan.id, world.adapters, world.observing, By("vera")))
    assert set(world.names()) == {"orders"}


def test_two_operators_do_not_apply_one_plan(world: World) -> None:
    world.files(1)
    plan = world.plan()
    with world.store.plans.hold(plan.id), pytest.raises(Conflict, match="applying it right now"):
        _apply(world, plan)


def test_names_on_one_line_move_those_behind_them() -> None:
    text = "select * from orders join orders"
    renames = [Rename(Place("u", f"1:{column}"), "orders", "orders_v2") for column in (15, 27)]
    back = records.backwards(renames)
    assert [(one.place.pointer, one.old, one.new) for one in back] == [
        ("1:15", "orders_v2", "orders"),
        ("1:30", "orders_v2", "orders"),
    ]
    assert text.replace("orders", "orders_v2")[29:].startswith("orders_v2")
    assert records.backwards(back) == tuple(renames)


# --- kill -9 --------------------------------------------------------------------------------------------------------


class Rewinding:
    """A world that can be brought back to one moment."""

    def __init__(self, world: World, home: Path, aside: Path) -> None:
        self.world = world
        self.places = {home: aside / "home", world.folder: aside / "files"}
        for place, copy in self.places.items():
            shutil.copytree(place, copy)

    def rewind(self) -> None:
        for place, copy in self.places.items():
            shutil.rmtree(place)
            shutil.copytree(copy, place)


def _check_whole(world: World) -> None:
    """No file and no deployed copy is anything but the old one or the new one."""
    for path in sorted(world.folder.glob("*.json")):
        for one in (path, deployed(path)):
            names = {task["reads"] for task in json.loads(one.read_text())["tasks"]}
            assert names in ({"orders"}, {"orders_v2"})


@pytest.mark.parametrize("case", ["applied", "failing wave", "rollback"])
def test_killed_at_every_boundary_and_run_again(world: World, home: Path, tmp_path: Path, case: str) -> None:
    first = {"reads": "orders", "resource_group": "near", "env": "dev"}
    world.file("f0", first, first)
    world.file("f1", {"reads": "orders", "resource_group": "far", "smoke": "goes"})
    world.file("f2", {"reads": "orders", "resource_group": "near"})
    plan = world.plan(sizes=(1, 2)).id
    ill, back = ["far"] if case == "failing wave" else [], case == "rollback"
    if back:
        run(plan)
    world.store.close()
    moment = Rewinding(world, home, tmp_path / "aside")
    fuse = Fuse(None)
    ended = run(plan, back=back, ill=ill, fuse=fuse)
    assert fuse.passed > 20
    for boundary in range(fuse.passed):
        moment.rewind()
        assert in_child(lambda at=boundary: run(plan, back=back, ill=ill, fuse=Fuse(at)))  # type: ignore[misc]
        _check_whole(world)
        _again(plan, ended, back=back, ill=ill)
        names = world.names()
        with open_store() as store:
            audited = _audited(store)
            known = (len(store.dependents.of(OLD)), len(store.dependents.of(NEW)))
            assert store.plans.get(plan).state == ended
        if case == "applied":
            assert (set(names), known) == ({"orders_v2"}, (0, 4))
            assert list(audited.values()) == [[NEW]] * 4, boundary
        elif case == "failing wave":
            assert (names, known) == (["orders_v2", "orders_v2", "orders", "orders"], (2, 2)), boundary
            assert sorted(told[-1] for told in audited.values()) == [OLD, OLD, NEW, NEW]
        else:
            assert (set(names), known) == ({"orders"}, (4, 0))
            assert {told[-1] for told in audited.values()} == {OLD}


def _again(plan: str, ended: PlanState, **how: Any) -> None:
    """Run it again, unless it had come to its end."""
    with open_store() as store:
        state = store.plans.get(plan).state
    if state != ended or state == PlanState.FAILED:
        assert run(plan, **how) is ended


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again_at_random(world: World, seed: int) -> None:
    chance = random.Random(seed)
    files = world.files(120)
    plan = world.plan(sizes=(1, 20)).id
    world.store.close()
    kills = 0
    for enough in sorted(chance.sample(range(1, 120), 8)):

        def so_far(enough: int = enough) -> bool:
            time.sleep(chance.uniform(0, 0.002))
            return sum("orders_v2" in path.read_text() for path in files) >= enough

        kills += in_child(lambda: run(plan), kill_when=so_far)
        _check_whole(world)
    with open_store() as store:
        state = store.plans.get(plan).state
    if state != PlanState.APPLIED:
        run(plan)
    assert kills > 1
    assert set(world.names()) == {"orders_v2"}
    with open_store() as store:
        assert list(_audited(store).values()) == [[NEW]] * 120
        assert (len(store.dependents.of(OLD)), len(store.dependents.of(NEW))) == (0, 120)
