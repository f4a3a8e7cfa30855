"""Compute resources: which make a data source, and that it is edited and deleted through them alone."""

from __future__ import annotations

from typing import Any

import pytest

from registry import reconcile, workspaces
from registry.compute_resources import WITH_SOURCE, WITHOUT_SOURCE, ComputeDraft, draft
from registry.entries import SourceDraft
from registry.errors import Conflict, InvalidInput, InvalidInputs, NotFound
from registry.store import Store
from registry.types import catalogue
from tests.registry.depending import depend
from tests.registry.samples import CANARY, retail, source


def holo(password: str = CANARY, host: str = "holo.example.com") -> dict[str, Any]:
    return {"address": [{"host": host, "port": 80}], "database": "dw", "username": "app", "password": password}


def engine(name: str = "dw", type_: str = "hologres", **entries: dict[str, Any]) -> ComputeDraft:
    sides = entries or {"dev": holo(host="dev.example.com"), "prod": holo()}
    return draft("retail", name, type_, sides, literals_allowed=True)


@pytest.fixture
def shop(store: Store) -> Store:
    retail(store)
    return store


def test_attaching_makes_a_data_source_of_the_same_name(shop: Store) -> None:
    made = shop.compute_resources.attach("retail", engine(), shop.by())
    row = shop.sources.get("retail", "dw")
    assert (made.source, row.type, row.origin) == ("retail/dw", "hologres", "automatically")
    assert {entry.env for entry in row.entries} == {"dev", "prod"}


@pytest.mark.parametrize("type_", WITH_SOURCE)
def test_every_type_that_makes_a_source_is_a_type_of_sources(type_: str) -> None:
    example = dict(catalogue()[type_].example)
    assert draft("retail", "dw", type_, {"prod": example}, literals_allowed=True).source is not None


@pytest.mark.parametrize("type_", WITHOUT_SOURCE)
def test_these_make_none(shop: Store, type_: str) -> None:
    made = shop.compute_resources.attach("retail", draft("retail", "dw", type_, {}, literals_allowed=False), shop.by())
    assert (made.source, shop.sources.list(workspace="retail").total) == ("", 0)
    shop.compute_resources.detach("retail", "dw", shop.by())
    assert shop.compute_resources.list("retail") == []


@pytest.mark.parametrize("type_", ["mysql", "nonsense"])
def test_nothing_else_is_a_compute_resource(type_: str) -> None:
    with pytest.raises(NotFound, match="no compute resource is of type"):
        draft("retail", "dw", type_, {}, literals_allowed=False)


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.sources.update(
            "retail", SourceDraft("dw", "hologres", {}, {"description": "x"}), store.by()
        ),
        lambda store: store.sources.add_permit("retail", "dw", "x", store.by()),
        lambda store: store.deletions.delete("retail/dw", store.by()),
        lambda store: store.deletions.delete("retail/dw", store.by(), env="dev", force=["dw"]),
    ],
    ids=["edit", "permit", "delete", "delete one side"],
)
def test_its_source_is_changed_through_it_alone(shop: Store, change: Any) -> None:
    shop.compute_resources.attach("retail", engine(), shop.by())
    with pytest.raises(InvalidInputs, match="edited and deleted only through it") as caught:
        change(shop)
    assert "compute-resource edit retail/dw" in str(caught.value)
    assert shop.sources.get("retail", "dw").version == 1


def test_applying_it_unchanged_is_no_change(shop: Store) -> None:
    shop.compute_resources.attach("retail", engine(prod=holo("env:P")), shop.by())
    same = engine(prod=holo("env:P")).source
    assert same is not None
    with shop.database.write() as session:
        (change,) = reconcile.put(session, shop.secrets, workspaces.find(session, "retail"), [same], shop.by())
    assert change.action == "unchanged"


def test_editing_it_edits_its_source(shop: Store) -> None:
    shop.compute_resources.attach("retail", engine(), shop.by())
    shop.compute_resources.edit("retail", engine(prod=holo("newer", host="moved.example.com")), shop.by())
    row = shop.sources.get("retail", "dw")
    assert [entry.version for entry in row.entries if entry.env == "prod"] == [2]
    assert row.origin == "automatically"
    (target,) = shop.targets(source="dw", env="prod")
    assert shop.resolve_secrets(target)["password"].get_secret_value() == "newer"


def test_detaching_deletes_its_source_and_restoring_attaches_it_again(shop: Store) -> None:
    shop.compute_resources.attach("retail", engine(), shop.by())
    proposal = shop.compute_resources.plan_detach("retail", "dw", shop.by())
    (done,) = shop.deletions.apply(proposal.plan.id, shop.by())
    assert shop.compute_resources.list() == []
    assert shop.sources.list(workspace="retail").total == 0
    shop.tombstones.restore(done.tombstone, shop.by())
    assert [one.source for one in shop.compute_resources.list()] == ["retail/dw"]
    (target,) = shop.targets(source="dw", env="prod")
    assert shop.resolve_secrets(target)["password"].get_secret_value() == CANARY
    with pytest.raises(InvalidInputs, match="only through it"):
        shop.deletions.delete("retail/dw", shop.by())


def test_detaching_is_refused_while_production_uses_its_source(shop: Store) -> None:
    shop.compute_resources.attach("retail", engine(), shop.by())
    depend(shop, "daily", "retail/dw")
    proposal = shop.compute_resources.plan_detach("retail", "dw", shop.by())
    assert proposal.refused
    with pytest.raises(InvalidInput, match="in use by 1 in production"):
        shop.deletions.apply(proposal.plan.id, shop.by())
    assert shop.compute_resources.list()


def test_a_source_whose_engine_is_replaced_comes_back_as_one_of_its_own(shop: Store) -> None:
    shop.compute_resources.attach("retail", engine(), shop.by())
    shop.deletions.apply(shop.compute_resources.plan_detach("retail", "dw", shop.by()).plan.id, shop.by())
    shop.compute_resources.attach("retail", draft("retail", "dw", "emr", {}, literals_allowed=False), shop.by())
    back = shop.tombstones.restore("dw", shop.by())
    assert back.left_out == ("compute resource dw: there is another one of this name",)
    assert shop.sources.get("retail", "dw").origin == "manually"


def test_names_are_taken_once(shop: Store) -> None:
    shop.sources.create("retail", source("dw"), shop.by())
    with pytest.raises(Conflict, match="there is a data source of this name"):
        shop.compute_resources.attach("retail", engine(), shop.by())
    shop.compute_resources.attach("retail", engine("other"), shop.by())
    with pytest.raises(Conflict, match="there is a compute resource of this name"):
        shop.compute_resources.attach("retail", engine("other"), shop.by())


def test_a_workspace_has_one_default_of_a_type(shop: Store) -> None:
    for name in ("a", "b"):
        made = draft("retail", name, "emr", {}, literals_allowed=False, is_default=True)
        shop.compute_resources.attach("retail", made, shop.by())
    assert [one.is_default for one in shop.compute_resources.list("retail")] == [False, True]


def test_the_two_sides_of_maxcompute_are_two_projects_and_dev_is_run_as_who_executes(shop: Store) -> None:
    side = {"project": "orders", "region_id": "cn-hangzhou", "auth_type": "PrimaryAccount"}

    def lake(**dev: str) -> ComputeDraft:
        sides = {"dev": {**side, **dev}, "prod": side}
        return draft("retail", "mc", "maxcompute", sides, literals_allowed=False)

    resources, apart = shop.compute_resources, lake(project="orders_dev", auth_type="Executor")
    with pytest.raises(InvalidInput, match="dev and prod are one project, orders") as caught:
        resources.attach("retail", lake(), shop.by())
    assert "orders_dev" in caught.value.instruction
    with pytest.raises(InvalidInput, match="not as PrimaryAccount"):
        resources.attach("retail", lake(project="orders_dev"), shop.by())
    assert resources.list() == []
    assert resources.attach("retail", apart, shop.by()).source
    with pytest.raises(InvalidInput, match="dev and prod are one project, orders"):
        resources.edit("retail", lake(auth_type="Executor"), shop.by())
    with pytest.raises(InvalidInput, match="not as PrimaryAccount"):
        resources.edit("retail", lake(project="orders_dev"), shop.by())
