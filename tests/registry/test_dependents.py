"""Dependents: what a scan finds is kept, what it no longer finds is forgotten, and names mean what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from registry import model, recording
from registry.audit import By
from registry.errors import Forbidden, InvalidInput
from registry.store import Store
from registry.workspaces import WorkspaceDraft
from tasks.dependents import FoundDependent, FoundReference, Place
from tests.registry.samples import fields, retail, source


def node(number: int, *names: str, unit: str = "/specs/a.json", **more: Any) -> FoundDependent:
    """A node of a file that names data sources."""
    references = tuple(
        FoundReference(name, "postgresql", "reader", ("orders",), (Place(unit, f"/spec/nodes/{number}/{at}"),))
        for at, name in enumerate(names)
    )
    known = {"module": "data_studio", "task_kind": "sql", "owner": "wang", **more}
    return FoundDependent(f"{unit}#{number}", unit, f"node_{number}", references=references, **known)


def record(store: Store, *found: FoundDependent, scanned: tuple[str, ...] = ("/specs/a.json",)) -> Any:
    return store.dependents.record("retail", "flowspec", found, scanned, store.by("nightly"))


def both_sides() -> Any:
    return source(dev=fields(database="orders_dev"), prod=fields())


def test_a_scan_is_kept_and_a_second_one_changes_nothing(store: Store) -> None:
    retail(store, both_sides())
    counts = record(store, node(0, "orders"), node(1, "orders", env="dev"))
    assert (counts.new, counts.references, counts.unresolved) == (2, 2, ())
    again = record(store, node(0, "orders"), node(1, "orders", env="dev"))
    assert (again.new, again.changed, again.unchanged, again.gone) == (0, 0, 2, 0)
    uses = store.dependents.of("retail/orders")
    assert [(use.name, use.env, use.run_env, use.role, use.objects) for use in uses] == [
        ("node_0", "prod", "prod", "reader", ("orders",)),
        ("node_1", "dev", "dev", "reader", ("orders",)),
    ]
    (place,) = uses[0].places
    assert (place.unit, place.pointer, place.name, place.type) == (
        "/specs/a.json",
        "/spec/nodes/0/0",
        "orders",
        "postgresql",
    )
    with store.database.read() as session:
        scans = session.scalars(select(model.AuditRecord).where(model.AuditRecord.action == "scan")).all()
    assert [(scan.actor, scan.why, (scan.after or {})["new"]) for scan in scans] == [("alice", "nightly", 2)]


def test_what_a_read_unit_no_longer_holds_is_forgotten_and_an_unread_unit_keeps_all(store: Store) -> None:
    retail(store, source())
    record(store, node(0, "orders"), node(1, "orders"), node(2, "orders", unit="/specs/b.json"))
    counts = record(store, replace(node(0, "orders"), owner="li"))
    assert (counts.changed, counts.gone) == (1, 1)
    assert [(use.key, use.owner) for use in store.dependents.of("retail/orders")] == [
        ("/specs/a.json#0", "li"),
        ("/specs/b.json#2", "wang"),
    ]
    assert store.dependents.units("retail", "flowspec") == ["/specs/a.json", "/specs/b.json"]
    assert record(store, replace(node(0), references=())).gone == 1


def test_one_that_reads_and_writes_has_two_references_and_counts_once(store: Store) -> None:
    retail(store, both_sides())
    found = node(0, "orders")
    writer = replace(found.references[0], role="writer", places=(Place(found.unit, "/spec/nodes/0/w"),))
    second = replace(found.references[0], places=(Place(found.unit, "/spec/nodes/0/again"),), objects=("lines",))
    record(store, replace(found, references=(*found.references, second, writer)))
    reader, other = store.dependents.of("retail/orders")
    assert (reader.objects, [place.pointer for place in reader.places]) == (
        ("orders", "lines"),
        ["/spec/nodes/0/0", "/spec/nodes/0/again"],
    )
    assert other.role == "writer"
    summary = store.dependents.summary("retail/orders")
    assert (summary.dependents, summary.references, summary.by_module) == (1, 2, {"data_studio": 1})


def test_names_mean_the_own_the_named_and_the_shared_source(store: Store) -> None:
    retail(store, both_sides(), source("lines"))
    store.workspaces.create(WorkspaceDraft("finance", mode="standard"), store.by())
    with store.database.write() as session:
        target = session.scalars(select(model.Workspace.id).where(model.Workspace.name == "finance")).one()
        entry = session.scalars(
            select(model.Entry.id)
            .join(model.DataSource)
            .where(model.DataSource.name == "orders", model.Entry.env == "prod")
        ).one()
        # In development, finance is let see the production side.
        session.add(
            model.SharingRule(
                entry_id=entry, target_workspace_id=target, env="dev", creator="alice", created_at=model.now()
            )
        )
    found = [
        node(0, "retail.orders", env="dev"),
        node(1, "retail/lines"),
        node(2, "orders"),
        node(3, "retail.lines"),
    ]
    counts = store.dependents.record("finance", "flowspec", found, (), store.by())
    assert [(one.name, one.dependent, one.pointer) for one in counts.unresolved] == [
        ("orders", "node_2", "/spec/nodes/2/0"),
        ("retail.lines", "node_3", "/spec/nodes/3/0"),
    ]
    (shared,) = store.dependents.of("retail/orders")
    assert (shared.workspace, shared.run_env, shared.env, shared.places[0].name) == (
        "finance",
        "dev",
        "prod",
        "retail.orders",
    )
    assert [use.name for use in store.dependents.of("retail/lines")] == ["node_1"]
    assert [use.source for use in store.dependents.unresolved("finance")] == ["finance/orders", "retail/lines"]
    assert store.dependents.summary("retail/orders").by_workspace == {"finance": 1}


def test_the_side_follows_the_rules_of_use(store: Store) -> None:
    retail(store, both_sides())
    kinds = ("batch_sync", "realtime_sync", "database_batch_sync")
    found = [node(at, "orders", module="data_integration", task_kind=kind, env="dev") for at, kind in enumerate(kinds)]
    record(store, *found)
    assert [use.env for use in store.dependents.of("retail/orders")] == ["dev", "prod", "prod"]
    assert store.dependents.summary("retail/orders").by_env == {"prod": 2, "dev": 1}
    assert [use.name for use in store.dependents.of("retail/orders", "dev")] == ["node_0"]


def test_a_summary_counts_every_dependent_once_in_each_table(store: Store) -> None:
    retail(store, both_sides())
    ran = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    record(
        store,
        node(0, "orders", last_run_at=ran, resource_group="vpc_a"),
        node(1, "orders", module="data_quality", task_kind="rule", owner="li", last_run_at=ran - timedelta(days=1)),
        node(2, "orders", module="data_service", task_kind="api", owner=""),
    )
    summary = store.dependents.summary("retail/orders")
    assert summary.dependents == 3
    assert summary.by_owner == {"": 1, "li": 1, "wang": 1}
    assert summary.by_risk == {"high": 2, "medium": 1}
    assert summary.by_group == {"": 2, "vpc_a": 1}
    assert summary.last_run_at == ran
    assert summary.last_seen_at is not None
    filtered = store.dependents.of("retail/orders", owner="wang", group="vpc_a", module="data_studio")
    assert [use.name for use in filtered] == ["node_0"]


def test_pages_go_on_after_the_last_use(store: Store) -> None:
    retail(store, source())
    record(store, *(node(number, "orders") for number in range(5)))
    first = store.dependents.of("retail/orders", limit=2)
    rest = store.dependents.of("retail/orders", after=first[-1].reference_id)
    assert [use.name for use in (*first, *rest)] == [f"node_{number}" for number in range(5)]


def seen(*names: str) -> FoundDependent:
    return FoundDependent(
        "7", "deployment:7", "etl/nightly", "operation_center", tuple(FoundReference(name) for name in names), "flow"
    )


def test_what_was_seen_to_connect_outlives_a_scan_that_cannot_see_it(store: Store) -> None:
    retail(store, source(), source("lines"))
    store.dependents.see("retail", "prefect_deployments", seen("orders"), store.by())
    store.dependents.see("retail", "prefect_deployments", seen("orders"), store.by())
    (use,) = store.dependents.of("retail/orders")
    assert (use.places, use.unit) == ((), "deployment:7")
    assert use.last_run_at is not None

    def scan(*references: FoundReference, days: int = 0) -> Any:
        found = replace(seen(), references=references, last_run_at=use.last_run_at)
        by = By("alice", at=model.now() + timedelta(days=days))
        return store.dependents.record("retail", "prefect_deployments", [found], ["deployment:7"], by)

    assert scan().gone == 0
    assert len(store.dependents.of("retail/orders")) == 1
    placed = FoundReference("orders", places=(Place("deployment:7", "/parameters/source"),))
    scan(placed)
    (use,) = store.dependents.of("retail/orders")
    assert [place.pointer for place in use.places] == ["/parameters/source"]
    store.dependents.see("retail", "prefect_deployments", seen("orders", "lines"), store.by())
    (still,) = store.dependents.of("retail/orders")
    assert still.places == use.places
    assert scan(placed, days=31).changed == 1
    assert store.dependents.of("retail/lines") == []
    with store.database.read() as session:
        records = session.scalars(select(model.AuditRecord).where(model.AuditRecord.action == "connect")).all()
    assert [(record.after or {})["uses"] for record in records] == [["retail/orders prod"], ["retail/lines prod"]]


def test_two_of_one_key_and_strangers_are_refused(store: Store) -> None:
    retail(store, source())
    with pytest.raises(InvalidInput, match="two dependents have the key"):
        record(store, node(0, "orders"), node(0, "orders"))
    store.workspaces.update(WorkspaceDraft("retail", members=(("alice", "visitor"),)), store.by())
    with pytest.raises(Forbidden):
        store.dependents.record("retail", "flowspec", [node(0, "orders")], (), By("mallory"))
    with pytest.raises(InvalidInput, match="WORKSPACE/NAME"):
        store.dependents.summary("orders")


def test_one_that_uses_both_sides_counts_in_both_and_once_in_all_else(store: Store) -> None:
    retail(store, both_sides())
    found = node(0, "orders", env="dev")
    record(store, found, node(1, "orders"))
    with store.database.write() as session:
        (other,) = session.scalars(select(model.Reference).where(model.Reference.env == "dev")).all()
        columns = {name: getattr(other, name) for name in ("dependent_id", "data_source_id", "source", "role")}
        session.add(model.Reference(**columns, env="prod", objects=[], places=[]))
    summary = store.dependents.summary("retail/orders")
    assert (summary.dependents, summary.references) == (2, 3)
    assert summary.by_env == {"prod": 2, "dev": 1}
    assert summary.by_module == {"data_studio": 2}
    assert summary.by_owner == {"wang": 2}


def audited(store: Store) -> list[tuple[int, int]]:
    """(new, gone) of each part of a scan that changed something."""
    with store.database.read() as session:
        scans = session.scalars(select(model.AuditRecord).where(model.AuditRecord.action == "scan")).all()
    return [((scan.after or {})["new"], (scan.after or {})["gone"]) for scan in scans]


def between_portions(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Portions of two; something happens after the first."""
    monkeypatch.setattr(recording, "PORTION", 2)
    put, done = recording.Scan._put, list[int]()

    def watched(self: Any, found: Any) -> None:
        done.append(len(found))
        if len(done) == 2:
            happens()
        put(self, found)

    monkeypatch.setattr(recording.Scan, "_put", watched)


def test_a_scan_that_was_killed_leaves_what_it_has_written_and_comes_to_the_same_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    retail(store, source())
    record(store, node(8, "orders"), node(9, "orders"))
    found = [node(number, "orders") for number in range(5)]

    def killed() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        between_portions(patched, killed)
        with pytest.raises(KeyboardInterrupt):
            record(store, *found)
    assert {use.name for use in store.dependents.of("retail/orders")} == {"node_0", "node_1", "node_8", "node_9"}
    counts = record(store, *found)
    assert (counts.new, counts.unchanged, counts.gone) == (3, 2, 2)
    assert {use.name for use in store.dependents.of("retail/orders")} == {f"node_{number}" for number in range(5)}
    assert audited(store) == [(2, 0), (2, 0), (3, 0), (0, 2)]


def test_others_write_between_two_portions_and_what_they_have_seen_is_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    retail(store, source(), source("lines"))
    record(store, node(8, "orders"), node(9, "orders"))

    def another() -> None:
        later = By("bob", at=model.now() + timedelta(seconds=1))
        store.dependents.see(
            "retail", "flowspec", replace(node(3, "lines"), references=(FoundReference("lines"),)), later
        )
        store.dependents.see("retail", "flowspec", node(9, "orders"), later)

    between_portions(monkeypatch, another)
    counts = record(store, *(node(number, "orders") for number in range(5)))
    assert (counts.new, counts.changed, counts.gone) == (4, 1, 1)
    assert {use.name for use in store.dependents.of("retail/orders")} == {*(f"node_{at}" for at in range(5)), "node_9"}
    assert [use.name for use in store.dependents.of("retail/lines")] == ["node_3"]


def test_a_number_that_is_given_a_second_time_confuses_no_scan(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    retail(store, source())
    record(store, node(7, "orders"), node(8, "orders"), node(9, "orders"))

    def another() -> None:
        record(store, node(7, "orders"), node(8, "orders"))
        record(store, node(7, "orders"), node(8, "orders"), node(3, "orders"))

    between_portions(monkeypatch, another)
    record(store, *(node(number, "orders") for number in (0, 1, 9, 3)), scanned=())
    assert {use.name for use in store.dependents.of("retail/orders")} == {"node_3", "node_7", "node_8", "node_9"}


def test_of_names_that_are_too_long_the_beginning_is_kept(store: Store) -> None:
    retail(store, source())
    long = replace(node(0, "orders", "x" * 600, owner="w" * 300), name="n" * 300, task_kind="k" * 100)
    long = replace(long, references=tuple(replace(one, role="r" * 40) for one in long.references))
    assert [len(one.name) for one in record(store, long).unresolved] == [600]
    assert record(store, long).unchanged == 1
    (use,) = store.dependents.of("retail/orders")
    assert (use.name, use.owner, use.role) == ("n" * 255, "w" * 255, "r" * 32)
