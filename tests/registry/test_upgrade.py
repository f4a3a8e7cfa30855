"""Upgrading from basic to standard: what is shown happens, all of it or nothing, and back until the first change."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from registry import audit, compute_resources, model, reconcile, upgrade_mapping, workspaces
from registry.access import Role
from registry.entries import SourceDraft, draft_source
from registry.errors import Conflict, Forbidden, InvalidInput, InvalidInputs
from registry.members import Membership
from registry.plans import PlanDraft, PlanState, StepState
from registry.store import Store
from registry.upgrade_mapping import Mapped
from registry.workspaces import WorkspaceDraft
from tests.registry.depending import depend
from tests.registry.samples import CANARY, entry, fields, retail, source
from tests.registry.test_secrets import everything_written, password
from tests.tasks.killing import killed_at_write

PROJECT = {"project": "orders", "region_id": "cn-hangzhou", "access_id": "LTAI5t", "access_key": "env:KEY"}


def stored(name: str = "orders") -> SourceDraft:
    return source(name, prod=fields(password=CANARY))


def maxcompute(name: str = "lake", **more: Any) -> SourceDraft:
    return draft_source(name, "maxcompute", {"prod": PROJECT | more}, where=f"retail/{name}", literals_allowed=True)


def basic(store: Store, *sources: SourceDraft) -> None:
    retail(store, *(sources or (stored(),)), mode="basic")


def upgraded(store: Store, mapping: Mapped | None = None) -> model.Plan:
    plan = store.upgrades.plan("retail", store.by(), mapping=mapping)
    store.upgrades.apply(plan.id, store.by("two sides"), confirmed=True)
    return plan


def sides(store: Store, name: str = "orders") -> dict[str, Mapping[str, Any]]:
    return {one.env: one.properties for one in store.sources.get("retail", name).entries}


def everything(store: Store) -> list[Any]:
    """What a registry says but for versions, moments and the plans."""
    with store.database.read() as session:
        sources = session.scalars(select(model.DataSource).order_by(model.DataSource.name)).all()
        entries = session.scalars(select(model.Entry).order_by(model.Entry.data_source_id, model.Entry.env)).all()
        uses = session.execute(select(model.Reference.dependent_id, model.Reference.source, model.Reference.env))
        return [
            [(one.name, one.mode) for one in session.scalars(select(model.Workspace))],
            [(one.name, one.type, one.origin, one.visibility, one.tags) for one in sources],
            [(one.env, one.mode, one.properties, one.references) for one in entries],
            sorted(session.scalars(select(model.Secret.id))),
            sorted(tuple(row) for row in uses),
        ]


def mapping(tmp_path: Path, text: str) -> Mapped:
    path = tmp_path / "dev.yaml"
    path.write_text(text)
    return upgrade_mapping.read(str(path))


# --- what happens to a source ---------------------------------------------------------------------------------------


def test_a_source_gets_a_dev_side_that_is_a_copy_with_a_secret_of_its_own(store: Store, home: Path) -> None:
    basic(store)
    plan = store.upgrades.plan("retail", store.by())
    assert sides(store).keys() == {"prod"}
    assert plan.document["shares_target"] == ["orders"]
    done = store.upgrades.apply(plan.id, store.by(), confirmed=True)
    assert (done.workspace, done.copied) == ("retail", 1)
    assert store.workspaces.get("retail").mode == "standard"
    assert sides(store)["dev"] == sides(store)["prod"]
    dev, prod = store.sources.get("retail", "orders").entries
    assert dev.references["password"] != prod.references["password"]
    assert (password(store, env="dev"), password(store)) == (CANARY, CANARY)
    assert CANARY.encode() not in everything_written(store, home)
    assert store.plans.get(plan.id).state == PlanState.APPLIED


def test_the_two_sides_are_independent_afterwards(store: Store) -> None:
    basic(store)
    upgraded(store)
    store.sources.update_entry("retail", "orders", "dev", entry(database="orders_dev", password="other"), store.by())
    assert (password(store, env="dev"), password(store)) == ("other", CANARY)
    assert (sides(store)["dev"]["database"], sides(store)["prod"]["database"]) == ("orders_dev", "orders")


@pytest.mark.parametrize(
    ("before", "after"),
    [("TaskOwner", "PrimaryAccount"), ("PrimaryAccount", "PrimaryAccount"), ("SubAccount", "SubAccount")],
)
def test_maxcompute_runs_as_its_executor_in_dev_and_never_as_the_task_owner_in_prod(
    store: Store, before: str, after: str
) -> None:
    basic(store, maxcompute(auth_type=before, auth_identity="1234" if before == "SubAccount" else None))
    plan = upgraded(store)
    dev, prod = sides(store, "lake")["dev"], sides(store, "lake")["prod"]
    assert (dev.get("auth_type", "Executor"), dev.get("auth_identity"), prod["auth_type"]) == ("Executor", None, after)
    assert dev["project"] == prod["project"] == "orders"
    assert plan.document["sources"] == {"own_identity": 1}


@pytest.mark.parametrize(("project", "dev"), [("orders", "orders_dev"), ("x_dev", "x_dev_dev")])
def test_maxcompute_that_is_a_compute_resource_gets_a_project_of_its_own(store: Store, project: str, dev: str) -> None:
    basic(store, stored())
    attach(store, "lake", project)
    plan = upgraded(store)
    assert (sides(store, "lake")["dev"]["project"], sides(store, "lake")["prod"]["project"]) == (dev, project)
    assert plan.document["shares_target"] == ["orders"]
    assert plan.document["sources"] == {"own_project": 1, "copied": 1}


def attach(store: Store, name: str, project: str) -> None:
    engine = compute_resources.draft(
        "retail", name, "maxcompute", {"prod": PROJECT | {"project": project}}, literals_allowed=True
    )
    compute_resources.ComputeResources(store.database, store.secrets, store.deletions).attach(
        "retail", engine, store.by()
    )


def test_a_project_for_development_that_is_production_of_another_is_in_the_way(store: Store, tmp_path: Path) -> None:
    basic(store, stored())
    attach(store, "lake", "shop")
    attach(store, "pond", "shop_dev")
    refused(store, "dev would lead to the production of pond")
    upgraded(store, mapping(tmp_path, "lake: {project: shop_test}\n"))
    assert (sides(store, "lake")["dev"]["project"], sides(store, "pond")["dev"]["project"]) == (
        "shop_test",
        "shop_dev_dev",
    )


def test_a_mapping_onto_the_production_of_another_is_told(store: Store, tmp_path: Path) -> None:
    basic(store, stored(), source("billing", prod=fields(database="billing")))
    plan = store.upgrades.plan("retail", store.by(), mapping=mapping(tmp_path, "orders: {database: billing}\n"))
    assert plan.document["shares_target"] == ["billing", "orders"]
    (notes,) = [one.action["notes"] for one in store.plans.steps(plan.id) if one.action.get("source") == "orders"]
    assert "dev would lead to the production of billing" in notes[-1]


@pytest.mark.parametrize(
    ("given", "told"), [("auth_type: PrimaryAccount", "whoever executes"), ("project: shop", "one project, shop")]
)
def test_a_mapping_keeps_the_rules_of_a_compute_resource(store: Store, tmp_path: Path, given: str, told: str) -> None:
    basic(store, stored())
    attach(store, "lake", "shop")
    with pytest.raises(InvalidInputs, match=told):
        store.upgrades.plan("retail", store.by(), mapping=mapping(tmp_path, f"lake: {{{given}}}\n"))


def test_what_another_compute_resource_made_follows_it(store: Store) -> None:
    basic(store, stored())
    with store.database.write() as session:
        session.execute(update(model.DataSource).values(origin="automatically"))
    assert upgraded(store).document["sources"] == {"follows": 1}
    assert sides(store).keys() == {"dev", "prod"}


def test_a_catalogue_of_metadata_is_copied_and_told_as_such(store: Store) -> None:
    prod = {"endpoint": "https://catalog.example.com:8080", "warehouse": "lake"}
    basic(store, draft_source("lake", "paimon_catalog", {"prod": prod}, where="retail/lake", literals_allowed=False))
    plan = upgraded(store)
    assert plan.document["sources"] == {"metadata": 1}
    assert sides(store, "lake")["dev"] == sides(store, "lake")["prod"]


def test_a_source_without_a_prod_side_stays_incomplete(store: Store) -> None:
    basic(store, SourceDraft("later", "postgresql", {}))
    assert upgraded(store).document["sources"] == {"empty": 1}
    assert sides(store, "later") == {}


# --- people and tasks -----------------------------------------------------------------------------------------------


def test_the_plan_tells_what_members_lose_and_who_may_deploy(store: Store) -> None:
    basic(store, stored(), maxcompute())
    store.members.grant(Membership("alice", Role.TENANT_OWNER), store.by())
    for user, role in (("dora", Role.DEVELOP), ("otto", Role.OPERATOR), ("dina", Role.DEPLOY)):
        store.members.grant(Membership(user, role, "retail"), store.by())
    document = store.upgrades.plan("retail", store.by()).document
    told = {one["user"]: (one["roles"], bool(one["loses"]), one["deploys"]) for one in document["members"]}
    assert told == {
        "alice": (["workspace_owner"], False, True),
        "dina": (["deploy"], True, True),
        "dora": (["develop"], True, False),
        "otto": (["operator"], True, True),
    }
    assert document["deployers"] == ["alice", "dina", "otto"]
    assert {one["user"]: one["in_maxcompute"] for one in document["members"]} == {
        "alice": [], "dina": ["Role_Project_Deploy"], "dora": ["Role_Project_Dev"], "otto": ["Role_Project_Pe"],
    }  # fmt: skip


def test_without_maxcompute_nobody_has_roles_inside_of_it(store: Store) -> None:
    basic(store, stored())
    store.members.grant(Membership("alice", Role.TENANT_OWNER), store.by())
    store.members.grant(Membership("dora", Role.DEVELOP, "retail"), store.by())
    document = store.upgrades.plan("retail", store.by()).document
    assert [one["in_maxcompute"] for one in document["members"]] == [[], []]


def test_the_plan_tells_the_tasks_that_need_a_deploy_and_the_side_their_dev_runs_get(store: Store) -> None:
    basic(store)
    depend(store, "node", module="data_studio")
    depend(store, "sync", module="data_integration")
    depend(store, "rule", module="data_quality")
    tasks = store.upgrades.plan("retail", store.by()).document["tasks"]
    assert {one["name"]: (one["dev_run_gets"], one["sources"]) for one in tasks} == {
        "node": ("dev", ["retail/orders"]),
        "sync": ("prod", ["retail/orders"]),
    }


def test_what_runs_in_development_is_pointed_at_dev_by_the_rules_of_use(store: Store) -> None:
    basic(store)
    nodes = {
        name: depend(store, name, env=env, entry="prod", module=module)
        for name, env, module in (
            ("studio", "dev", "data_studio"),
            ("nightly", "prod", "data_studio"),
            ("whole_database", "dev", "data_integration"),
        )
    }
    before = everything(store)
    upgraded(store)
    with store.database.read() as session:
        uses = dict(session.execute(select(model.Reference.dependent_id, model.Reference.env)).tuples().all())
    assert {name: uses[id_] for name, id_ in nodes.items()} == {
        "studio": "dev",
        "nightly": "prod",
        "whole_database": "prod",
    }
    store.upgrades.undo("retail", store.by())
    assert everything(store) == before


# --- what is in the way ---------------------------------------------------------------------------------------------


def refused(store: Store, told: str) -> None:
    plan = store.upgrades.plan("retail", store.by())
    assert any(told in one["why"] for one in plan.document["blocks"]), plan.document["blocks"]
    with pytest.raises(InvalidInput, match="cannot be upgraded"):
        store.upgrades.apply(plan.id, store.by(), confirmed=True)
    assert store.workspaces.get("retail").mode == "basic"


def test_a_source_in_maintenance_is_in_the_way(store: Store) -> None:
    basic(store)
    until = datetime.now(UTC) + timedelta(hours=1)
    store.maintenances.begin("retail", "orders", store.by(), reason="disk", until=until, envs=["prod"])
    refused(store, "it is in maintenance: disk")
    store.maintenances.end("retail", "orders", store.by())
    upgraded(store)


def test_an_invalid_source_is_in_the_way(store: Store) -> None:
    basic(store)
    with store.database.write() as session:
        session.execute(update(model.Entry).values(properties={"database": "orders", "colour": "blue"}))
    refused(store, "its prod side is invalid")


def test_a_secret_that_no_key_opens_is_in_the_way(store: Store) -> None:
    basic(store)
    with store.database.write() as session:
        session.execute(update(model.Secret).values(ciphertext=b"gone"))
    refused(store, "no key of")


def test_a_plan_in_progress_is_in_the_way(store: Store) -> None:
    basic(store)
    draft = PlanDraft("repoint", None, {}, {"data_source:retail/orders": 1})
    other = store.plans.begin(store.plans.create(draft, store.by()).id, store.by())
    refused(store, "a plan is applying (repoint)")
    store.plans.move(other.id, PlanState.APPLIED, store.by())
    upgraded(store)


def test_a_plan_that_begins_between_plan_and_apply_is_waited_for(store: Store) -> None:
    basic(store)
    plan = store.upgrades.plan("retail", store.by())
    other = store.plans.create(PlanDraft("repoint", "retail", {}, {}), store.by())
    store.plans.begin(other.id, store.by())
    with pytest.raises(Conflict, match="a plan is applying"):
        store.upgrades.apply(plan.id, store.by(), confirmed=True)
    assert store.workspaces.get("retail").mode == "basic"


def test_a_standard_workspace_is_not_upgraded_again(store: Store) -> None:
    basic(store)
    upgraded(store)
    with pytest.raises(InvalidInput, match="is standard already"):
        store.upgrades.plan("retail", store.by())


def test_nothing_is_done_before_somebody_said_yes(store: Store) -> None:
    basic(store)
    plan = store.upgrades.plan("retail", store.by())
    with pytest.raises(InvalidInput, match="irreversible"):
        store.upgrades.apply(plan.id, store.by(), confirmed=False)
    assert store.plans.get(plan.id).state == PlanState.READY


def test_only_the_owner_of_the_tenant_upgrades(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    basic(store)
    store.members.grant(Membership("root", Role.TENANT_OWNER), store.by())
    store.members.grant(Membership("anna", Role.ADMIN, "retail"), store.by())
    monkeypatch.setenv("HEADWATER_ACTOR", "root")
    plan = store.upgrades.plan("retail", store.by())
    monkeypatch.setenv("HEADWATER_ACTOR", "anna")
    for attempt in (
        lambda: store.upgrades.plan("retail", store.by()),
        lambda: store.upgrades.apply(plan.id, store.by(), confirmed=True),
    ):
        with pytest.raises(Forbidden, match="anna may not upgrade a workspace"):
            attempt()
    monkeypatch.setenv("HEADWATER_ACTOR", "root")
    store.upgrades.apply(plan.id, store.by(), confirmed=True)
    monkeypatch.setenv("HEADWATER_ACTOR", "anna")
    with pytest.raises(Forbidden):
        store.upgrades.undo("retail", store.by())


@pytest.mark.parametrize("change", ["new", "gone", "edited", "workspace"])
def test_what_was_planned_is_what_is_done(store: Store, change: str) -> None:
    basic(store, stored(), stored("spare"))
    plan = store.upgrades.plan("retail", store.by())
    if change == "new":
        store.sources.create("retail", stored("newer"), store.by())
    elif change == "gone":
        store.deletions.delete("retail/spare", store.by())
    elif change == "edited":
        store.sources.update_entry("retail", "spare", "prod", entry(database="other", password="x"), store.by())
    else:
        store.workspaces.update(WorkspaceDraft("retail", description="new"), store.by())
    with pytest.raises(Conflict, match="has changed since the plan was made"):
        store.upgrades.apply(plan.id, store.by(), confirmed=True)
    assert store.workspaces.get("retail").mode == "basic"
    upgraded(store)


# --- the mapping file -----------------------------------------------------------------------------------------------


def test_a_mapping_gives_dev_sides_their_own(store: Store, tmp_path: Path) -> None:
    basic(store, stored(), stored("spare"))
    given = mapping(
        tmp_path,
        "orders:\n  address: [{host: dev.example.com, port: 5433}]\n  database: orders_dev\n  password: env:DEV\n"
        "spare: {database: spare_dev}\n",
    )
    plan = upgraded(store, given)
    assert plan.document["shares_target"] == []
    dev = {one.env: one for one in store.sources.get("retail", "orders").entries}["dev"]
    assert dev.properties["address"] == [{"host": "dev.example.com", "port": 5433}]
    assert (dev.properties["database"], dev.properties["username"], dev.references) == (
        "orders_dev",
        "app",
        {"password": "env:DEV"},
    )
    assert (sides(store, "spare")["dev"]["database"], password(store, "spare", env="dev")) == ("spare_dev", CANARY)


def test_a_url_stands_in_place_of_host_and_database(store: Store, tmp_path: Path) -> None:
    basic(store)
    upgraded(store, mapping(tmp_path, "orders: {jdbc_url: 'jdbc:postgresql://dev:5/d', password: env:DEV}\n"))
    assert sides(store)["dev"] == {"address": [{"host": "dev", "port": 5}], "database": "d", "username": "app"}


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("order: {database: d}\n", "dev.yaml:1:1", "no data source 'order'"),
        ("orders:\n  database: d\n  databse: e\n", "dev.yaml:3:3", "unknown field"),
        ("orders:\n  address: [{host: dev, port: 70000}]\n", "dev.yaml:2", "address"),
        ("orders:\n  address: [{host: dev, port: 5432}]\n", "dev.yaml:1", "goes only to those it was stored for"),
        ("orders:\n  password: hunter2\n", "dev.yaml:2:3", "password"),
        ("orders:\n  jdbc_url: 'jdbc:postgresql://u:hunter2@dev:5/d'\n", "dev.yaml", "password"),
        ("orders:\n  password: stored:0123456789abcdef\n", "dev.yaml:2", "belongs to one entry"),
        ("orders: 5\n", "dev.yaml:1:1", "has no fields"),
        ("- orders\n", "dev.yaml:1:1", "no mapping"),
    ],
)
def test_a_faulty_mapping_is_told_with_its_line(store: Store, tmp_path: Path, text: str, line: str, told: str) -> None:
    basic(store)
    with pytest.raises(InvalidInputs) as caught:
        store.upgrades.plan("retail", store.by(), mapping=mapping(tmp_path, text))
    assert line in str(caught.value)
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)


# --- undo -----------------------------------------------------------------------------------------------------------


def test_undone_everything_is_as_it_was(store: Store) -> None:
    basic(store, stored(), maxcompute(auth_type="TaskOwner"))
    before = everything(store)
    version = store.sources.get("retail", "orders").version
    plan = upgraded(store)
    assert everything(store) != before
    done = store.upgrades.undo("retail", store.by("not yet"))
    assert (done.plan, done.copied) == (plan.id, 2)
    assert everything(store) == before
    assert store.sources.get("retail", "orders").version > version
    assert store.plans.get(plan.id).state == PlanState.ROLLED_BACK
    assert password(store) == CANARY
    upgraded(store)
    assert password(store, env="dev") == CANARY


def touched(store: Store, change: str) -> None:
    if change == "source":
        store.sources.update_entry("retail", "orders", "dev", entry(database="mine", password="x"), store.by())
    elif change == "new source":
        store.sources.create("retail", stored("newer"), store.by())
    elif change == "member":
        store.members.grant(Membership("dora", Role.DEVELOP, "retail"), store.by())
    elif change == "share":
        store.workspaces.create(WorkspaceDraft("sales"), store.by())
        store.sources.create("sales", source("forecast"), store.by())
        with store.database.write() as session:
            names = select(model.Workspace.name, model.Workspace.id)
            target = dict(session.execute(names).tuples().all())["retail"]
            entry_id = session.scalars(
                select(model.Entry.id).join(model.DataSource).where(model.DataSource.name == "forecast")
            ).one()
            rule = {"entry_id": entry_id, "target_workspace_id": target, "env": "dev", "user": "", "creator": "sam"}
            session.add(model.SharingRule(**rule, created_at=model.now()))
    elif change == "deletion":
        store.deletions.delete("retail/orders", store.by(), env="dev")
    else:
        by = store.by()
        with store.database.write() as session:
            sides = {"source": "retail/orders"}, {"source": "retail/other"}
            record = by.record("repoint", "dependent:flowspec:a", version=None, before=sides[0], after=sides[1])
            audit.write(session, [record])


@pytest.mark.parametrize("change", ["source", "new source", "member", "share", "deletion", "repoint"])
def test_the_first_change_makes_it_irreversible(store: Store, change: str) -> None:
    basic(store)
    store.members.grant(Membership("alice", Role.TENANT_OWNER), store.by())
    upgraded(store)
    touched(store, change)
    with pytest.raises(Conflict, match="was changed since it became standard"):
        store.upgrades.undo("retail", store.by())
    assert store.workspaces.get("retail").mode == "standard"


def test_what_was_not_upgraded_or_is_undone_already_is_not_taken_back(store: Store) -> None:
    basic(store)
    with pytest.raises(InvalidInput, match="was not upgraded"):
        store.upgrades.undo("retail", store.by())
    upgraded(store)
    store.upgrades.undo("retail", store.by())
    with pytest.raises(InvalidInput, match="is undone already"):
        store.upgrades.undo("retail", store.by())


def test_it_is_not_taken_back_under_a_plan_in_progress(store: Store) -> None:
    basic(store)
    plan = upgraded(store)
    other = store.plans.create(PlanDraft("repoint", None, {}, {"entry:retail/orders/dev": 1}), store.by())
    store.plans.begin(other.id, store.by())
    with pytest.raises(Conflict, match=r"a plan is applying \(repoint\)"):
        store.upgrades.undo("retail", store.by())
    assert store.plans.get(plan.id).state == PlanState.APPLIED
    store.plans.move(other.id, PlanState.APPLIED, store.by())
    store.upgrades.undo("retail", store.by())


def test_changes_elsewhere_and_tests_leave_it_reversible(store: Store) -> None:
    basic(store)
    store.workspaces.create(WorkspaceDraft("sales"), store.by())
    upgraded(store)
    store.sources.create("sales", source("orders"), store.by())
    with pytest.raises(InvalidInput):
        store.upgrades.plan("retail", store.by())
    store.upgrades.undo("retail", store.by())
    assert store.workspaces.get("retail").mode == "basic"


# --- killed ---------------------------------------------------------------------------------------------------------


def killed(what: str, step: int) -> bool:
    """Apply a plan, or undo, and be killed before the so manieth write; whether it came to that."""

    def work(store: Store) -> None:
        if what == "undo":
            store.upgrades.undo("retail", store.by())
        else:
            store.upgrades.apply(what, store.by(), confirmed=True)

    return killed_at_write(step, work)


def test_killed_at_any_step_it_ends_the_same(store: Store) -> None:
    basic(store, stored(), maxcompute(auth_type="TaskOwner"), stored("spare"))
    depend(store, "studio", env="dev", entry="prod")
    before, last = everything(store), 0
    for step in range(1, 60):
        plan = store.upgrades.plan("retail", store.by())
        if not killed(plan.id, step):
            last = step
            break
        mode = store.workspaces.get("retail").mode
        assert (everything(store) == before) == (mode == "basic")
        store.upgrades.apply(plan.id, store.by(), confirmed=True)
        assert store.workspaces.get("retail").mode == "standard"
        assert (password(store, env="dev"), password(store, "spare", env="dev")) == (CANARY, CANARY)
        assert sides(store, "lake")["prod"]["auth_type"] == "PrimaryAccount"
        assert store.plans.get(plan.id).state == PlanState.APPLIED
        assert store.plans.counts(plan.id) == {StepState.DONE: 4}
        store.upgrades.undo(plan.id, store.by())
        assert everything(store) == before
    assert last > 8


def test_killed_at_any_step_of_the_undo_it_ends_the_same(store: Store) -> None:
    basic(store, stored(), maxcompute(auth_type="TaskOwner"))
    before, last = everything(store), 0
    for step in range(1, 40):
        upgraded(store)
        done = everything(store)
        if not killed("undo", step):
            last = step
            break
        assert everything(store) in (done, before)
        store.upgrades.undo("retail", store.by())
        assert everything(store) == before
    assert last > 5
    assert everything(store) == before


def test_two_operators_upgrade_once(store: Store, operator: Callable[..., subprocess.Popen[str]]) -> None:
    basic(store)
    plans = [store.upgrades.plan("retail", store.by()).id for _ in range(2)]
    code = (
        "import sys\nfrom registry.store import open_store\nfrom registry.errors import HeadwaterError\n"
        "with open_store() as store:\n"
        "    try: store.upgrades.apply(sys.argv[1], store.by(), confirmed=True)\n"
        "    except HeadwaterError as error: print(type(error).__name__)\n"
        "    else: print('done')"
    )
    told = sorted(process.communicate()[0].strip() for process in [operator(code, plan) for plan in plans])
    assert told == ["Conflict", "done"]
    assert sides(store).keys() == {"dev", "prod"}


def test_more_sources_than_a_chunk_holds_are_upgraded_and_taken_back(store: Store) -> None:
    basic(store, stored())
    many = [source(f"s{number}", prod=fields(password="env:P")) for number in range(1000)]
    with store.database.write() as session:
        reconcile.put(session, store.secrets, workspaces.find(session, "retail"), many, store.by())
    said: list[tuple[str, int, int]] = []
    plan = store.upgrades.plan("retail", store.by(), progress=lambda *one: said.append(one))
    store.upgrades.apply(plan.id, store.by(), confirmed=True, progress=lambda *one: said.append(one))
    assert {what for what, done, total in said if done == total == 1001} == {"looking", "making ready", "copying"}
    assert store.plans.counts(plan.id) == {StepState.DONE: 1002}
    store.upgrades.undo("retail", store.by())
    with store.database.read() as session:
        assert {*session.scalars(select(model.Entry.env))} == {"prod"}
