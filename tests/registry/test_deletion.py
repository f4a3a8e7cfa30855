"""Deleting and restoring: planned, refused while in use, all or nothing, and back again with every secret."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from registry import model, reconcile, workspaces
from registry.access import Role
from registry.errors import Conflict, Forbidden, InvalidInput, InvalidInputs, NotFound
from registry.members import Membership
from registry.plans import PlanState
from registry.store import Store
from registry.workspaces import WorkspaceDraft
from tests.registry.depending import depend, pointed_at
from tests.registry.samples import CANARY, fields, retail, source
from tests.registry.test_secrets import everything_written, password
from tests.registry.test_standings import verdict
from tests.tasks.killing import killed_at_write


def two_sided(name: str = "orders") -> object:
    return source(name, dev=fields(password="dev secret"), prod=fields(password=CANARY))


def share(store: Store, target: str = "sales", env: str = "prod") -> None:
    store.workspaces.create(WorkspaceDraft(target), store.by())
    with store.database.write() as session:
        entry = session.scalars(select(model.Entry).where(model.Entry.env == env)).one()
        workspace = session.scalars(select(model.Workspace).where(model.Workspace.name == target)).one()
        session.add(
            model.SharingRule(
                entry_id=entry.id,
                target_workspace_id=workspace.id,
                env="prod",
                user="",
                creator="alice",
                created_at=model.now(),
            )
        )


def actions(store: Store, object_: str) -> list[str]:
    with store.database.read() as session:
        wanted = select(model.AuditRecord.action).where(model.AuditRecord.object == object_)
        return [*session.scalars(wanted.order_by(model.AuditRecord.id))]


def test_a_deleted_source_comes_back_whole(store: Store, home: Path) -> None:
    retail(store, two_sided())
    share(store)
    node = depend(store, "nightly", env="dev")
    before = store.sources.get("retail", "orders")
    done = store.deletions.delete("retail/orders", store.by("retired"))
    with pytest.raises(NotFound):
        store.sources.get("retail", "orders")
    assert pointed_at(store, node) is None
    assert CANARY.encode() not in everything_written(store, home)
    back = store.tombstones.restore("orders", store.by("needed after all"))
    after = store.sources.get("retail", "orders")
    assert (back.path, back.envs, back.grants, back.references) == ("retail/orders", ("dev", "prod"), ("sales",), 1)
    assert pointed_at(store, node) == after.id
    assert (password(store, env="dev"), password(store)) == ("dev secret", CANARY)
    assert [(e.env, e.properties, e.references) for e in after.entries] == [
        (e.env, e.properties, e.references) for e in before.entries
    ]
    assert (after.created_at, after.creator) == (before.created_at, before.creator)
    assert after.version > before.version
    with store.database.read() as session:
        rule = session.scalars(select(model.SharingRule)).one()
        assert (rule.env, rule.creator) == ("prod", "alice")
        assert session.scalars(select(model.BuriedSecret)).all() == []
    assert actions(store, "data_source:retail/orders") == ["create", "delete", "restore"]
    assert actions(store, "entry:retail/orders/prod") == ["create", "delete", "restore"]
    with pytest.raises(NotFound, match="nothing deleted is left"):
        store.tombstones.restore(done.tombstone, store.by())


def test_a_restored_secret_opens_after_the_keys_were_rotated_meanwhile(store: Store) -> None:
    retail(store, two_sided())
    store.deletions.delete("retail/orders", store.by())
    assert store.secrets.rotate(store.by(), batch=1).rotated == 2
    store.tombstones.restore("retail/orders", store.by())
    assert (password(store, env="dev"), password(store)) == ("dev secret", CANARY)


def test_a_buried_secret_that_no_key_opens_is_named_by_the_rotation(store: Store) -> None:
    retail(store, source(prod=fields(password=CANARY)))
    store.deletions.delete("retail/orders", store.by())
    with store.database.write() as session:
        session.execute(update(model.BuriedSecret).values(ciphertext=b"garbage", key_id="gone"))
    assert store.secrets.rotate(store.by()).unreadable == ("retail/orders/prod.password (deleted)",)


def test_a_file_that_is_gone_meanwhile_is_told(store: Store) -> None:
    retail(store, source(prod=fields(password=CANARY)))
    with store.database.write() as session:
        row = session.scalars(select(model.Entry)).one()
        row.references = {**row.references, "truststore": "certificate:corporate_ca"}
    store.deletions.delete("retail/orders", store.by())
    back = store.tombstones.restore("orders", store.by())
    assert back.left_out == ("prod.truststore: the file corporate_ca is gone",)


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_one_side_goes_and_comes_back_alone(store: Store, env: str) -> None:
    retail(store, two_sided())
    other = "prod" if env == "dev" else "dev"
    store.deletions.delete("retail/orders", store.by(), env=env)
    left = store.sources.get("retail", "orders")
    assert [entry.env for entry in left.entries] == [other]
    assert left.version == 2
    store.tombstones.restore("orders", store.by())
    assert {entry.env for entry in store.sources.get("retail", "orders").entries} == {"dev", "prod"}
    assert password(store, env=env) == {"dev": "dev secret", "prod": CANARY}[env]


def test_both_sides_deleted_one_by_one_come_back_in_either_order(store: Store) -> None:
    retail(store, two_sided())
    by = store.by
    first = store.deletions.delete("retail/orders", by(), env="dev")
    second = store.deletions.delete("retail/orders", by(), env="prod")
    with pytest.raises(NotFound):
        store.sources.get("retail", "orders")
    store.tombstones.restore(first.tombstone, by())
    store.tombstones.restore(second.tombstone, by())
    assert (password(store, env="dev"), password(store)) == ("dev secret", CANARY)


def test_another_source_of_the_name_is_not_overwritten(store: Store) -> None:
    retail(store, two_sided())
    store.deletions.delete("retail/orders", store.by())
    store.sources.create("retail", source(dev=fields(password="newer")), store.by())
    with pytest.raises(Conflict, match="has another dev entry now") as caught:
        store.tombstones.restore("orders", store.by())
    assert "clone it under another name" in caught.value.instruction
    assert password(store, env="dev") == "newer"
    store.deletions.delete("retail/orders", store.by())
    names = [one.envs for one in store.tombstones.list("retail")]
    assert names == [("dev",), ("dev", "prod")]


def test_production_keeps_its_source(store: Store) -> None:
    retail(store, two_sided())
    depend(store, "daily")
    depend(store, "report", module="data_analysis", env="prod")
    proposal = store.deletions.plan(["retail/orders"], store.by())
    assert "in use by 2 in production" in proposal.refused["retail/orders"]
    with pytest.raises(InvalidInput, match="in use by 2 in production") as caught:
        store.deletions.apply(proposal.plan.id, store.by())
    assert "--force orders" in caught.value.instruction
    assert store.plans.get(proposal.plan.id).state == PlanState.FAILED
    assert store.deletions.apply(proposal.plan.id, store.by("it is gone anyway"), force=["orders"])
    assert actions(store, f"plan:{proposal.plan.id}")[-1] == "applied"
    forced = next(one for one in store.history("data_source:retail/orders") if one.action == "force")
    assert (forced.actor, forced.why) == ("alice", "it is gone anyway")
    assert forced.after is not None
    assert forced.after["dependents"] == ["retail/daily (data_studio)", "retail/report (data_analysis)"]


def test_the_name_of_another_source_forces_nothing(store: Store) -> None:
    retail(store, two_sided())
    depend(store, "daily")
    with pytest.raises(InvalidInput, match="in use"):
        store.deletions.delete("retail/orders", store.by(), force=["other"])


def test_dev_goes_although_production_uses_prod(store: Store) -> None:
    retail(store, two_sided())
    depend(store, "daily")
    assert store.deletions.delete("retail/orders", store.by(), env="dev").envs == ("dev",)
    with pytest.raises(InvalidInput, match="in use"):
        store.deletions.delete("retail/orders", store.by(), env="prod")


def test_a_shared_source_that_production_elsewhere_uses_is_kept(store: Store) -> None:
    retail(store, two_sided())
    share(store)
    depend(store, "forecast", workspace="sales")
    with pytest.raises(InvalidInput, match=r"forecast \(sales, data_studio\)"):
        store.deletions.delete("retail/orders", store.by())


def test_a_plan_is_not_applied_when_somebody_began_to_depend_on_it_since(store: Store) -> None:
    retail(store, two_sided())
    depend(store, "daily")
    plan = store.deletions.plan(["retail/orders"], store.by(), force=["orders"]).plan
    depend(store, "hourly")
    with pytest.raises(Conflict, match="1 more in production depend on it"):
        store.deletions.apply(plan.id, store.by())
    assert store.sources.get("retail", "orders")


def test_a_plan_is_not_applied_when_it_is_shared_since(store: Store) -> None:
    retail(store, two_sided())
    plan = store.deletions.plan(["retail/orders"], store.by()).plan
    share(store)
    with pytest.raises(Conflict, match="shared otherwise"):
        store.deletions.apply(plan.id, store.by())


def test_a_plan_is_not_applied_to_a_source_that_has_changed(store: Store) -> None:
    retail(store, two_sided())
    plan = store.deletions.plan(["retail/orders"], store.by()).plan
    store.sources.add_permit("retail", "orders", "x", store.by())
    with pytest.raises(Conflict, match="changed since the plan was made"):
        store.deletions.apply(plan.id, store.by())


def test_many_go_together_or_not_at_all(store: Store) -> None:
    retail(store, *(two_sided(name) for name in ("a", "b", "c")))
    paths = [f"retail/{name}" for name in "abc"]
    plan = store.deletions.plan(paths, store.by()).plan
    depend(store, "daily", "retail/c")
    with pytest.raises(InvalidInput, match="retail/c is in use"):
        store.deletions.apply(plan.id, store.by())
    assert store.sources.list(workspace="retail").total == 3
    assert store.tombstones.list() == []
    done = store.deletions.apply(store.deletions.plan(paths, store.by(), force=["c"]).plan.id, store.by())
    assert [one.path for one in done] == paths
    assert store.sources.list(workspace="retail").total == 0


def test_a_side_that_is_not_there_is_told_of_every_source(store: Store) -> None:
    retail(store, source("a"), source("b"))
    with pytest.raises(InvalidInputs) as caught:
        store.deletions.plan(["retail/a", "retail/b"], store.by(), env="dev")
    assert str(caught.value).count("it has no dev entry") == 2


def test_who_may_not_delete_may_not_plan_it_nor_restore_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    retail(store, two_sided(), two_sided("spare"))
    store.deletions.delete("retail/spare", store.by())
    store.members.grant(Membership("dora", Role.DEVELOP, "retail"), store.by())
    plan = store.deletions.plan(["retail/orders"], store.by()).plan
    monkeypatch.setenv("HEADWATER_ACTOR", "dora")
    for attempt in (
        lambda: store.deletions.plan(["retail/orders"], store.by()),
        lambda: store.deletions.apply(plan.id, store.by()),
        lambda: store.tombstones.restore("spare", store.by()),
    ):
        with pytest.raises(Forbidden, match="dora may not"):
            attempt()
    assert actions(store, "workspace:retail").count("refuse") == 3


def test_what_has_expired_is_purged_and_audited(store: Store, home: Path) -> None:
    retail(store, two_sided(), two_sided("other"))
    done = store.deletions.delete("retail/orders", store.by())
    with store.database.write() as session:
        session.execute(update(model.Tombstone).values(expires_at=model.now() - timedelta(seconds=1)))
    with pytest.raises(NotFound, match="nothing deleted is left"):
        store.tombstones.restore(done.tombstone, store.by())
    assert store.tombstones.list() == []
    store.deletions.delete("retail/other", store.by())
    with store.database.read() as session:
        assert {row.name for row in session.scalars(select(model.Tombstone))} == {"other"}
        assert len(session.scalars(select(model.BuriedSecret)).all()) == 2
    assert actions(store, "data_source:retail/orders")[-1] == "purge"
    assert store.tombstones.purge(store.by()) == 0


def test_a_basic_workspace_takes_no_dev_side_back(store: Store) -> None:
    retail(store, two_sided())
    store.deletions.delete("retail/orders", store.by(), env="dev")
    with store.database.write() as session:
        session.execute(update(model.Workspace).values(mode="basic"))
    with pytest.raises(InvalidInput, match="has no environment dev"):
        store.tombstones.restore("orders", store.by())


@pytest.mark.parametrize("step", [1, 3, 4, 6, 8, 10, 13])
def test_killed_in_the_middle_of_a_deletion_it_is_gone_on_with(store: Store, step: int) -> None:
    retail(store, two_sided(), two_sided("spare"))
    plan = store.deletions.plan(["retail/orders", "retail/spare"], store.by()).plan
    killed = killed_at_write(step, lambda other: other.deletions.apply(plan.id, other.by()))
    assert store.sources.list(workspace="retail").total in (0, 2)
    assert len(store.tombstones.list()) == 2 - store.sources.list(workspace="retail").total
    if killed:
        assert len(store.deletions.apply(plan.id, store.by())) == 2
    assert store.plans.get(plan.id).state == PlanState.APPLIED
    for name in ("orders", "spare"):
        store.tombstones.restore(name, store.by())
        assert password(store, name) == CANARY


@pytest.mark.parametrize("step", [1, 2, 3, 4, 6, 8])
def test_killed_in_the_middle_of_a_restore_nothing_is_lost(store: Store, step: int) -> None:
    retail(store, two_sided())
    store.deletions.delete("retail/orders", store.by())
    if killed_at_write(step, lambda other: other.tombstones.restore("orders", other.by())):
        store.tombstones.restore("orders", store.by())
    assert (password(store, env="dev"), password(store)) == ("dev secret", CANARY)


def test_two_operators_delete_once(store: Store, operator: Callable[..., subprocess.Popen[str]]) -> None:
    retail(store, two_sided())
    plans = [store.deletions.plan(["retail/orders"], store.by()).plan.id for _ in range(2)]
    code = (
        "import sys\nfrom registry.store import open_store\nfrom registry.errors import HeadwaterError\n"
        "with open_store() as store:\n"
        "    try: store.deletions.apply(sys.argv[1], store.by())\n"
        "    except HeadwaterError as error: print(type(error).__name__)\n"
        "    else: print('done')"
    )
    told = sorted(process.communicate()[0].strip() for process in [operator(code, plan) for plan in plans])
    assert told == ["Conflict", "done"]
    assert len(store.tombstones.list()) == 1


def test_what_goes_after_a_plan_has_begun_is_a_conflict(store: Store) -> None:
    retail(store, two_sided())
    late, early = (store.deletions.plan(["retail/orders"], store.by()).plan.id for _ in range(2))
    store.plans.begin(late, store.by())  # and stands still there, as one of two operators may
    store.deletions.apply(early, store.by())
    with pytest.raises(Conflict, match="gone since the plan was made"):
        store.deletions.apply(late, store.by())
    assert len(store.tombstones.list()) == 1


def test_two_operators_restore_once(store: Store, operator: Callable[..., subprocess.Popen[str]]) -> None:
    retail(store, two_sided())
    store.deletions.delete("retail/orders", store.by())
    code = (
        "from registry.store import open_store\nfrom registry.errors import HeadwaterError\n"
        "with open_store() as store:\n"
        "    try: store.tombstones.restore('orders', store.by())\n"
        "    except HeadwaterError as error: print(type(error).__name__)\n"
        "    else: print('done')"
    )
    told = sorted(process.communicate()[0].strip() for process in [operator(code), operator(code)])
    assert told == ["NotFound", "done"]
    assert (password(store, env="dev"), password(store)) == ("dev secret", CANARY)


def test_hundreds_go_together_each_with_its_own_secret_and_come_back(store: Store) -> None:
    retail(store, *(source(f"s{number}", prod=fields(password=f"p{number}")) for number in range(3)))
    many = [source(f"t{number}") for number in range(600)]
    with store.database.write() as session:
        reconcile.put(session, store.secrets, workspaces.find(session, "retail"), many, store.by())
    paths = [f"retail/t{number}" for number in range(600)] + [f"retail/s{number}" for number in range(3)]
    done = store.deletions.apply(store.deletions.plan(paths, store.by()).plan.id, store.by())
    assert [one.path for one in done] == paths
    for number in range(3):
        store.tombstones.restore(f"s{number}", store.by())
    assert [password(store, f"s{number}") for number in range(3)] == ["p0", "p1", "p2"]
    assert len(store.tombstones.list()) == 600


def _tested(store: Store, *told: tuple[str, str | None, int]) -> None:
    """Verdicts over `orders` from one group: side, cause, minute."""
    for env, cause, minute in told:
        store.verdicts.record([verdict(minute, cause).model_copy(update={"env": env})])


def _standing(store: Store) -> list[tuple[str, str | None, object]]:
    return [(one.verdict.env, one.verdict.cause, one.since) for one in store.verdicts.latest(source="orders")]


@pytest.mark.parametrize("env", ["both", "prod"])
def test_the_history_of_verdicts_comes_back_and_goes_on(store: Store, env: str) -> None:
    retail(store, two_sided())
    _tested(store, ("dev", None, 0), ("prod", None, 1), ("prod", "PORT.REFUSED", 2), ("prod", "PORT.REFUSED", 3))
    before = (_standing(store), store.verdicts.history("retail", "orders"))
    store.deletions.delete("retail/orders", store.by(), env=env)
    assert [one[0] for one in _standing(store)] == ([] if env == "both" else ["dev"])
    if env == "prod":  # a check that was under way tells of the side that is gone
        _tested(store, ("prod", None, 4))
    store.tombstones.restore("orders", store.by())
    assert _standing(store) == before[0]
    assert {one.started_at for one in store.verdicts.history("retail", "orders")} >= {
        one.started_at for one in before[1]
    }
    assert len(store.verdicts.history("retail", "orders", env="prod")) == (3 if env == "both" else 4)
    _tested(store, ("prod", "PORT.REFUSED", 5))
    assert _standing(store) == before[0], "the same cause goes on since when it began"
    with store.database.read() as session:
        assert session.scalars(select(model.BuriedVerdict)).all() == []
