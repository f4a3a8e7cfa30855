"""Workspaces, groups, sources and verdicts: what two operators and ten thousand sources meet."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from sqlalchemy import select

from registry import model
from registry.entries import SourceDraft
from registry.errors import Conflict, InvalidInput, NotFound
from registry.groups import GroupDraft, LocalSettings
from registry.store import Store, open_store
from registry.verdict import State, Verdict
from registry.workspaces import WorkspaceDraft
from tests.registry.samples import entry, fields, retail, source


def test_the_second_of_two_operators_sees_what_the_first_did(
    store: Store, operator: Callable[..., subprocess.Popen[str]]
) -> None:
    retail(store, source())
    seen = store.sources.get("retail", "orders").entries[0].version
    code = (
        "from registry.store import open_store\nfrom tests.registry.samples import entry\n"
        "with open_store() as store:\n"
        "    store.sources.update_entry('retail', 'orders', 'prod', entry(database='bobs'), store.by('moved'))"
    )
    assert operator(code, actor="bob").communicate()[1] == ""
    with pytest.raises(Conflict) as caught:
        store.sources.update_entry(
            "retail", "orders", "prod", entry(database="mine"), store.by(), expected_version=seen
        )
    told = str(caught.value)
    assert "bob at 20" in told
    assert "database: 'orders' -> 'bobs'" in told
    assert store.sources.get("retail", "orders").entries[0].properties["database"] == "bobs"


def test_of_many_operators_at_once_exactly_one_gets_through(store: Store) -> None:
    retail(store, source())
    together = Barrier(4)

    def change(number: int) -> str:
        with open_store() as own:
            wanted = entry(database=f"of_{number}")
            together.wait()
            try:
                own.sources.update_entry("retail", "orders", "prod", wanted, own.by(), expected_version=1)
            except Conflict:
                return "conflict"
            return "done"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(change, range(4))) == ["conflict", "conflict", "conflict", "done"]
    assert store.sources.get("retail", "orders").entries[0].version == 2


def test_every_change_is_audited(store: Store) -> None:
    retail(store, source())
    by = store.by("ticket 12")
    store.sources.update("retail", SourceDraft("orders", "postgresql", {}, {"description": "order book"}), by)
    store.sources.add_permit("retail", "orders", "loadBalanceHosts", by)
    store.deletions.delete("retail/orders", by)
    with store.database.read() as session:
        wanted = select(model.AuditRecord).where(model.AuditRecord.object == "data_source:retail/orders")
        records = [*session.scalars(wanted.order_by(model.AuditRecord.id))]
    assert [record.action for record in records] == ["create", "update", "update", "delete"]
    assert {record.actor for record in records} == {"alice"}
    assert records[1].why == "ticket 12"
    assert (records[1].before, records[1].after) == ({"description": ""}, {"description": "order book"})
    assert records[2].after == {"permits": ["loadBalanceHosts"]}
    assert records[3].before is not None
    assert records[3].before["prod.database"] == "orders"
    assert abs((datetime.now(UTC) - records[3].at).total_seconds()) < 60


def test_what_is_the_same_already_is_not_touched(store: Store) -> None:
    retail(store, source())
    change = store.sources.update("retail", source(), store.by())
    assert change.action == "unchanged"
    assert store.sources.get("retail", "orders").version == 1
    assert len(store.history("entry:retail/orders/prod")) == 1


def test_a_basic_workspace_has_no_dev_side(store: Store) -> None:
    with pytest.raises(InvalidInput, match=r"retail/orders/dev: a basic workspace has no environment dev"):
        retail(store, source(dev=fields(), prod=fields()), mode="basic")
    with pytest.raises(NotFound, match="no data source 'orders'"):
        store.sources.get("retail", "orders")


def test_a_name_is_taken_once(store: Store) -> None:
    retail(store, source())
    with pytest.raises(Conflict, match="has a data source orders"):
        store.sources.create("retail", source(), store.by())
    with pytest.raises(Conflict, match="workspace retail exists"):
        store.workspaces.create(WorkspaceDraft("retail"), store.by())


def test_a_type_is_never_changed(store: Store) -> None:
    retail(store, source())
    with pytest.raises(InvalidInput, match="a type is never changed"):
        store.sources.update("retail", SourceDraft("orders", "mysql", {}), store.by())


def test_a_source_in_use_is_not_deleted(store: Store) -> None:
    retail(store, source())
    with store.database.write() as session:
        workspace = session.scalars(select(model.Workspace)).one()
        row = session.scalars(select(model.DataSource)).one()
        node = model.Dependent(
            workspace_id=workspace.id,
            adapter="registered",
            key="daily",
            unit="daily",
            module="data_studio",
            env="prod",
            name="daily",
            seen_at=model.now(),
        )
        session.add(node)
        session.flush()
        reference = model.Reference(
            dependent_id=node.id, data_source_id=row.id, source="retail/orders", env="prod", role="reader"
        )
        session.add(reference)
    with pytest.raises(InvalidInput, match=r"in use by 1 in production: daily \(retail, data_studio\)"):
        store.deletions.delete("retail/orders", store.by())


def test_a_bound_group_is_not_deleted(store: Store) -> None:
    retail(store)
    store.groups.put(GroupDraft("spare", "local", LocalSettings()), store.by())
    with pytest.raises(InvalidInput, match="bound to retail"):
        store.groups.delete("local", store.by())
    store.groups.delete("spare", store.by())
    store.workspaces.unbind("retail", "local", store.by())
    store.groups.delete("local", store.by())
    assert store.groups.list() == []


def test_names_that_are_not_there_bring_the_nearest(store: Store) -> None:
    retail(store, source())
    for ask, told in (
        (lambda: store.sources.get("retail", "order"), "did you mean retail/orders"),
        (lambda: store.workspaces.get("retial"), "retail"),
        (lambda: store.groups.get("locla"), "local"),
        (lambda: store.targets(source="ordres"), "did you mean retail/orders"),
    ):
        with pytest.raises(NotFound) as caught:
            ask()
        assert told in caught.value.instruction


def test_lists_filter_sort_and_page(store: Store) -> None:
    retail(store, *(source(name) for name in ("b_orders", "a_orders", "stock", "per_cent")))
    sources = store.sources
    assert [row.name for row in sources.list().items] == ["a_orders", "b_orders", "per_cent", "stock"]
    assert [row.name for row in sources.list(name="ORDERS", descending=True).items] == ["b_orders", "a_orders"]
    assert sources.list(sort_by="create_time").items[0].name == "b_orders"
    assert [row.path for row in sources.list(page_number=2, page_size=3).items] == ["retail/stock"]
    assert sources.list(page_size=1).total == 4
    assert sources.list(types_=["mysql"]).items == []
    assert sources.list(types_=["postgres"], workspace="retail").total == 4
    assert sources.list(name="%").items == []
    assert sources.list(name="r_c").total == 1
    assert sources.list().items[0].entry("prod").properties["database"] == "orders"  # type: ignore[union-attr]
    with pytest.raises(InvalidInput, match="1 to 100"):
        sources.list(page_size=101)


def test_targets_are_every_source_environment_and_bound_group(store: Store) -> None:
    retail(store, source(dev=fields(), prod=fields()), source("half"))
    store.groups.put(GroupDraft("other", "local", LocalSettings()), store.by())
    store.workspaces.bind("retail", "other", store.by())
    found = [(target.path, target.group.name) for target in store.targets()]
    assert found == [
        (f"retail/{side}", group) for side in ("half/prod", "orders/dev", "orders/prod") for group in ("local", "other")
    ]
    missing = store.targets(source="half", env="dev", group="other")[0]
    assert missing.entry_id is None
    assert "half has no dev configuration" in str(missing.problem)
    assert store.targets(source="half", env="prod", group="other")[0].references == {"password": "env:ORDERS_PASSWORD"}


def test_targets_of_a_group_that_is_not_bound(store: Store) -> None:
    retail(store, source())
    store.groups.put(GroupDraft("other", "local", LocalSettings()), store.by())
    with pytest.raises(NotFound, match="other is not bound to workspace retail"):
        store.targets(group="other")


def test_an_entry_that_no_longer_fits_its_type_is_a_target_with_a_problem(store: Store) -> None:
    retail(store, source(), source("sound"))
    with store.database.write() as session:
        row = session.scalars(select(model.Entry).order_by(model.Entry.id)).first()
        assert row is not None
        row.properties = {"address": "nonsense"}
    broken, sound = store.targets(env="prod")
    assert broken.connection is None
    assert broken.problem is not None
    assert sound.problem is None


def verdict(source: str, state: State, cause: str | None = None, at: int = 0) -> Verdict:
    return Verdict(
        workspace="retail",
        source=source,
        type="postgresql",
        env="prod",
        resource_group="local",
        state=state,
        cause=cause,
        started_at=f"2026-01-01T00:00:{at:02}Z",
        elapsed_ms=1.5,
    )


def test_verdicts_tell_what_turned_and_since_when(store: Store) -> None:
    retail(store, source("a"), source("b"))
    first = store.verdicts.record([verdict("a", State.CONNECTABLE), verdict("b", State.CONNECTABLE)])
    assert [turn.before for turn in first] == [None, None]
    assert store.verdicts.record([verdict("a", State.CONNECTABLE, at=1), verdict("ghost", State.CONNECTABLE)]) == []
    (turn,) = store.verdicts.record([verdict("b", State.UNREACHABLE, "PORT.CLOSED", at=2)])
    assert (turn.verdict.source, turn.before) == ("b", (State.CONNECTABLE, None))
    latest = {each.verdict.source: each for each in store.verdicts.latest(workspace="retail")}
    assert latest["a"].since == datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC)
    assert latest["b"].since == datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert latest["b"].verdict.cause == "PORT.CLOSED"
    assert [each.state for each in store.verdicts.history("retail", "b")] == [State.UNREACHABLE, State.CONNECTABLE]


def test_one_report_may_hold_a_source_twice(store: Store) -> None:
    retail(store, source("a"))
    turns = store.verdicts.record(
        [verdict("a", State.CONNECTABLE), verdict("a", State.UNREACHABLE, "PORT.CLOSED", at=3)]
    )
    assert [turn.before for turn in turns] == [None, (State.CONNECTABLE, None)]
    assert store.verdicts.latest()[0].verdict.cause == "PORT.CLOSED"


def test_pruning_keeps_the_newest(store: Store) -> None:
    retail(store, source("a"), source("b"))
    for at in range(3):
        store.verdicts.record([verdict("a", State.CONNECTABLE, at=at)])
    store.verdicts.record([verdict("b", State.CONNECTABLE)])
    assert store.verdicts.prune(datetime(2027, 1, 1, tzinfo=UTC)) == 2
    assert {each.verdict.source for each in store.verdicts.latest()} == {"a", "b"}


def test_verdicts_go_with_their_source(store: Store) -> None:
    retail(store, source("a"))
    store.verdicts.record([verdict("a", State.CONNECTABLE)])
    store.deletions.delete("retail/a", store.by())
    assert store.verdicts.latest() == []
