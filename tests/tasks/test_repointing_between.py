"""Nothing stays between two states: what goes together, sources deleted meanwhile, a changed world, edits by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from registry import model
from registry.errors import Conflict, InvalidInput, NotFound
from registry.plans import PlanState, StepState
from registry.store import open_store
from registry.workspaces import WorkspaceDraft
from tasks.repointing import applying, bundles
from tasks.repointing.running import Audience, Progress
from tests.registry.conftest import home, sqlite_template, store
from tests.registry.samples import entry, source
from tests.tasks.killing import Fuse, in_child, run
from tests.tasks.repointing_support import NEW, OLD, World
from tests.tasks.test_repointing_apply import _apply, _audited, _messages, _rollback, backend, tmp_path, world

__all__ = ["backend", "home", "sqlite_template", "store", "tmp_path", "world"]


def _also_in(world: World, name: str, other: Path) -> None:
    """Let the first task of a file lie in another file as well, as with one that names sources in two places."""
    with world.store.database.write() as session:
        one = session.scalars(select(model.Dependent).where(model.Dependent.name == name)).one()
        (kept,) = session.scalars(select(model.Reference).where(model.Reference.dependent_id == one.id))
        kept.places = [*kept.places, {"unit": str(other), "pointer": "/tasks/1/reads", "name": "orders", "type": ""}]


def _delete(world: World, path: str, **options: Any) -> None:
    world.store.deletions.delete(path, world.store.by(), **options)


def test_parts_with_a_member_in_common_go_together() -> None:
    parts = {"a": [1], "b": [2, 3], "c": [4], "d": [3, 1], "e": []}
    assert bundles.together(parts) == [["a", "b", "d"], ["c"], ["e"]]


def test_a_lock_in_one_file_of_a_dependent_keeps_its_other_file_too(world: World) -> None:
    world.file("a", {"reads": "orders"})
    theirs = world.file("b", {"reads": "orders", "locked_by": "bob"}, {"reads": "orders"})
    world.file("c", {"reads": "orders"})
    world.scan()
    _also_in(world, "a_0", theirs)
    plan = world.plan_of_known(sizes=(5,))
    outcome = _apply(world, plan)
    assert outcome.counts == {StepState.SKIPPED: 2, StepState.DONE: 1}
    assert world.names() == ["orders", "orders", "orders", "orders_v2"]
    assert _messages(world, plan, StepState.SKIPPED) == ["bob is editing it, or what goes with it"] * 2


def test_a_pause_never_comes_between_two_files_of_a_dependent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "CHUNK", 1)
    world.file("a", {"reads": "orders"})
    other = world.file("b", {"reads": "orders"}, {"reads": "orders"})
    world.file("c", {"reads": "orders"})
    world.scan()
    _also_in(world, "a_0", other)
    plan = world.plan_of_known(sizes=(5,))
    told: list[Progress] = []

    def pause(now: Progress) -> None:
        if not told:
            applying.pause(world.store, plan.id, world.store.by())
        told.append(now)

    assert _apply(world, plan, Audience(progress=pause)).state is PlanState.PAUSED
    assert sorted(world.names()) in (["orders"] * 3 + ["orders_v2"], ["orders"] + ["orders_v2"] * 3)


def test_neither_end_is_deleted_while_dependents_are_on_their_way_unless_forced(world: World) -> None:
    world.files(2, env="dev")
    plan = world.plan(sizes=(1,))
    refused: list[str] = []

    def meddle(_: Progress) -> None:
        for path in (OLD, NEW) if not refused else ():
            with pytest.raises(InvalidInput, match="being repointed") as caught:
                _delete(world, path)
            refused.append(str(caught.value))

    assert _apply(world, plan, Audience(progress=meddle)).state is PlanState.APPLIED
    assert len(refused) == 2
    assert f"headwater repoint status {plan.id}" in refused[0]
    _delete(world, OLD)
    assert set(world.names()) == {"orders_v2"}


def test_what_others_have_changed_keeps_no_source_for_ever(world: World) -> None:
    first, second = world.files(2, env="dev")
    plan = world.plan()
    _apply(world, plan)
    second.write_text(second.read_text().replace("f00001_0", "renamed"))
    assert _rollback(world, plan).state is PlanState.ROLLING_BACK
    assert '"orders"' in first.read_text()
    _delete(world, NEW)


def test_a_new_source_that_is_deleted_meanwhile_takes_nobody_along(world: World) -> None:
    world.files(3)
    plan = world.plan(sizes=(1,))
    tombs: list[None] = []

    def meddle(now: Progress) -> None:
        if now.done == 2 and not tombs:
            tombs.append(_delete(world, NEW, force=["orders_v2"]))

    assert _apply(world, plan, Audience(progress=meddle)).state is PlanState.FAILED
    assert world.names() == ["orders_v2", "orders", "orders"]
    assert "data_source:retail/orders_v2 was deleted, entry:retail/orders_v2/prod was deleted meanwhile" in str(
        _messages(world, plan, StepState.FAILED)
    )
    with pytest.raises(Conflict, match=r"retail/orders_v2: version \d+ then, gone now"):
        _apply(world, plan)
    assert _rollback(world, plan).state is PlanState.ROLLED_BACK
    assert set(world.names()) == {"orders"}
    assert world.known(OLD) == 3
    assert {told[-1] for told in _audited(world.store).values()} == {OLD}


def test_a_grant_that_has_ended_stops_the_plan_and_a_run_alike(world: World) -> None:
    world.files(2)
    by = world.store.by()
    world.store.workspaces.create(WorkspaceDraft("sales", mode="basic"), by)
    world.store.sources.create("sales", source("orders_v3"), by)
    world.store.sharing.share("sales", "orders_v3", by, to="retail", env="prod")
    plan = world.plan(new="sales/orders_v3", sizes=(1,))
    done: list[Progress] = []

    def revoke(now: Progress) -> None:
        if now.done == 2 and not done:
            done.append(now)
            world.store.sharing.revoke("sales", "orders_v3", by, to="retail")

    assert _apply(world, plan, Audience(progress=revoke)).state is PlanState.FAILED
    assert world.names() == ["sales.orders_v3", "orders"]
    assert "it was shared no more with retail/prod meanwhile" in str(_messages(world, plan, StepState.FAILED))
    with pytest.raises(Conflict, match="not shared with retail/prod any more"):
        _apply(world, plan)
    assert _rollback(world, plan).state is PlanState.ROLLED_BACK
    world.store.sharing.share("sales", "orders_v3", by, to="retail", env="prod")
    again = world.plan(new="sales/orders_v3")
    world.store.sharing.revoke("sales", "orders_v3", by, to="retail")
    with pytest.raises(Conflict, match="not shared with retail/prod any more"):
        _apply(world, again)
    assert world.store.plans.get(again.id).state == PlanState.READY


def test_nobody_is_taken_back_to_a_source_that_is_gone(world: World) -> None:
    world.files(2)
    plan = world.plan()
    _apply(world, plan)
    _delete(world, OLD)
    with pytest.raises(NotFound, match="orders"):
        _rollback(world, plan)
    assert set(world.names()) == {"orders_v2"}
    world.store.tombstones.restore("orders", world.store.by())
    assert _rollback(world, plan).state is PlanState.ROLLED_BACK
    assert world.known(OLD) == 2


def test_killed_then_the_world_changes_then_applied_again(world: World) -> None:
    world.files(4)
    plan = world.plan(sizes=(1, 3)).id
    world.store.close()
    assert in_child(lambda: run(plan, fuse=Fuse(24)))
    with open_store() as again:
        running = again.plans.counts(plan)[StepState.RUNNING]
        again.sources.update_entry("retail", "orders_v2", "prod", entry(database="other"), again.by())
    assert running == 3
    assert any("orders_v2" in path.read_text() for path in sorted(world.folder.glob("*.json"))[1:])
    with pytest.raises(Conflict, match="nothing is under way any more"):
        run(plan)
    assert world.names() == ["orders_v2", "orders", "orders", "orders"]
    assert run(plan, back=True) is PlanState.ROLLED_BACK
    assert set(world.names()) == {"orders"}


def test_what_a_failing_wave_brought_back_is_its_owners_again(world: World) -> None:
    world.file("a", {"reads": "orders"})
    second = world.file("b", {"reads": "orders", "resource_group": "far"})
    plan = world.plan(sizes=(1,))
    world.observing.ill = {"far"}
    assert _apply(world, plan).state is PlanState.FAILED
    edited = second.read_text().replace("b_0", "renamed")
    second.write_text(edited)
    assert _rollback(world, plan).state is PlanState.ROLLED_BACK
    assert second.read_text() == edited
    assert world.store.plans.counts(plan.id) == {StepState.ROLLED_BACK: 2}


def test_a_rollback_tells_how_far_it_is(world: World) -> None:
    world.files(3)
    plan = world.plan()
    _apply(world, plan)
    heard: list[Progress] = []
    work = applying.rollback(
        world.store, plan.id, world.adapters, world.observing, world.store.by(), Audience(progress=heard.append)
    )
    asyncio.run(work)
    assert (heard[-1].done, heard[-1].total, heard[-1].left_seconds) == (3, 3, 0)
