"""Files of FlowSpec repointed by threads: killed at random, all of it ends on one side."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from registry.plans import PlanState
from registry.store import open_store
from tasks.dependents import FoundDependent, Scope, blocks
from tasks.dependents.flowspec import ADAPTER
from tasks.repointing import applying
from tests.registry.conftest import home, sqlite_template, store
from tests.tasks.killing import Fuse, in_child
from tests.tasks.repointing_support import NEW, OLD, Observing, World
from tests.tasks.test_repointing_apply import _audited, backend, tmp_path, world

__all__ = ["backend", "home", "sqlite_template", "store", "tmp_path", "world"]


def _spec(name: str, source: str) -> str:
    node = {
        "id": name,
        "name": name,
        "datasource": {"name": source, "type": "postgresql"},
        "runtimeResource": {"resourceGroup": "near"},
        "script": {"runtime": {"command": "POSTGRESQL"}, "content": "select 1"},
    }
    return json.dumps({"version": "1.1.0", "kind": "Node", "spec": {"nodes": [node]}}, indent=2)


def _files(world: World, count: int) -> list[Path]:
    """Specs with one node each, and the registry knows them."""
    paths = [world.folder / f"f{number:04}.json" for number in range(count)]
    for path in paths:
        path.write_text(_spec(path.stem, "orders"))
    scope = Scope("retail", (str(world.folder),))

    async def found() -> list[FoundDependent]:
        return [one async for one in ADAPTER.scan(scope) if isinstance(one, FoundDependent)]

    units = {str(path) for path in paths}
    world.store.dependents.record("retail", "flowspec", asyncio.run(found()), units, world.store.by())
    world.adapters = {"flowspec": ADAPTER}
    return paths


def _run(plan: str, *, back: bool = False, fuse: Fuse | None = None) -> PlanState:
    fuse = fuse or Fuse(None)
    with open_store() as store:
        fuse.into(store)
        adapter = fuse.around(ADAPTER)
        assert blocks(adapter)
        act = applying.rollback if back else applying.apply
        return asyncio.run(act(store, plan, {"flowspec": adapter}, Observing(), store.by())).state


def _names(paths: Sequence[Path]) -> list[str]:
    """What each names; it holds nothing but the spec with that name."""
    texts = [path.read_text() for path in paths]
    found = [json.loads(text)["spec"]["nodes"][0]["datasource"]["name"] for text in texts]
    assert texts == [_spec(path.stem, name) for path, name in zip(paths, found, strict=True)]
    return found


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_while_several_threads_write(world: World, seed: int) -> None:
    """At a boundary in one thread, and so wherever the others are."""
    paths = _files(world, 60)
    plan = world.plan_of_known(sizes=(1, 59)).id
    world.store.close()
    chance = random.Random(seed)
    for back, name in ((False, "orders_v2"), (True, "orders")):
        for at in chance.sample(range(10, 170), 3):
            assert in_child(lambda: _run(plan, back=back, fuse=Fuse(at)))  # noqa: B023  it is called at once
            assert set(_names(paths)) <= {"orders", "orders_v2"}
        assert _run(plan, back=back) is (PlanState.ROLLED_BACK if back else PlanState.APPLIED)
        assert set(_names(paths)) == {name}
        assert sorted(path.name for path in world.folder.iterdir()) == [path.name for path in paths]
        with open_store() as store:
            assert len(store.dependents.of(OLD if back else NEW)) == 60
            assert {told[-1] for told in _audited(store).values()} == {OLD if back else NEW}


def test_each_file_is_deployed_by_its_command_and_one_that_fails_takes_its_wave_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = _files(world, 4)
    plan = world.plan_of_known(sizes=(1, 3)).id
    monkeypatch.setenv("HEADWATER_FILES_DEPLOY", "cp {path} {folder}/deployed/{name}")
    assert _run(plan) is PlanState.FAILED  # there is no such folder
    assert set(_names(paths)) == {"orders"}
    monkeypatch.setenv("HEADWATER_FILES_DEPLOY", "install -m 600 {path} {path}.deployed")
    assert _run(plan) is PlanState.APPLIED
    deployed = [path.with_name(f"{path.name}.deployed") for path in paths]
    assert [path.read_text() for path in deployed] == [_spec(path.stem, "orders_v2") for path in paths]
