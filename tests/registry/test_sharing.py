"""Sharing: used and viewed, not edited, not shared on; revoked from either side by its own rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from registry.access import Role
from registry.entries import SourceDraft
from registry.errors import Conflict, Forbidden, InvalidInput, NotFound
from registry.members import Membership
from registry.sharing import Grant
from registry.store import Store
from registry.workspaces import WorkspaceDraft
from tests.registry.depending import depend
from tests.registry.samples import CANARY, fields, retail, source


@pytest.fixture
def shop(store: Store) -> Store:
    """`retail/orders` with both sides, and the workspaces sales (standard) and bills (basic)."""
    retail(store, source(dev=fields(password="dev secret"), prod=fields(password=CANARY)))
    store.workspaces.create(WorkspaceDraft("sales", mode="standard"), store.by())
    store.workspaces.create(WorkspaceDraft("bills", mode="basic"), store.by())
    return store


def share(store: Store, **more: str) -> Grant:
    return store.sharing.share("retail", "orders", store.by(), **{"to": "sales", "env": "prod", **more})


def test_a_shared_source_is_seen_under_its_owners_name(shop: Store) -> None:
    assert share(shop).name == "retail.orders"
    seen = shop.sources.get("sales", "retail.orders")
    assert (seen.path, seen.shared_by, [entry.env for entry in seen.entries]) == (
        "sales/retail.orders",
        "retail",
        ["prod"],
    )
    assert [row.path for row in shop.sources.find("retail.orders")] == ["sales/retail.orders"]
    assert shop.sources.get("retail", "orders").shared_by == ""


def test_neither_secrets_nor_where_they_are_kept_are_shown(shop: Store) -> None:
    share(shop)
    (entry,) = shop.sources.get("sales", "retail.orders").entries
    assert entry.references == {"password": "(kept by retail)"}
    assert shop.sources.get("retail", "orders").entries[0].references["password"].startswith("stored:")


def test_a_list_shows_it_beside_the_first_page_and_counts_it_not(shop: Store) -> None:
    share(shop)
    shop.sources.create("sales", source("own"), shop.by())
    shop.sources.create("sales", source("spare"), shop.by())
    first = shop.sources.list(workspace="sales", page_size=1)
    second = shop.sources.list(workspace="sales", page_size=1, page_number=2)
    assert (first.total, [row.name for row in first.items], [row.name for row in first.shared]) == (
        2,
        ["own"],
        ["retail.orders"],
    )
    assert ([row.name for row in second.items], list(second.shared)) == (["spare"], [])
    assert [row.name for row in shop.sources.list(workspace="sales", name="ORD").shared] == ["retail.orders"]
    assert list(shop.sources.list(workspace="sales", types_=["mysql"]).shared) == []
    assert list(shop.sources.list(workspace="bills").shared) == []


def test_what_is_shared_with_one_user_is_seen_by_him_alone(shop: Store) -> None:
    share(shop, user="dora")
    assert shop.sources.get("sales", "retail.orders", user="dora")
    with pytest.raises(NotFound, match=r"no data source 'retail.orders' is shared with workspace sales"):
        shop.sources.get("sales", "retail.orders", user="emil")
    assert [len(shop.sources.list(workspace="sales", user=who).shared) for who in ("dora", "emil")] == [1, 0]


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.sources.update(
            "sales", SourceDraft("retail.orders", "postgresql", {}, {"description": "mine"}), store.by()
        ),
        lambda store: store.sources.add_permit("sales", "retail.orders", "x", store.by()),
        lambda store: store.deletions.delete("sales/retail.orders", store.by()),
        lambda store: store.sharing.share("sales", "retail.orders", store.by(), to="bills", env="prod"),
    ],
    ids=["edit", "permit", "delete", "share on"],
)
def test_it_is_neither_changed_nor_shared_on(shop: Store, change: Callable[[Store], object]) -> None:
    share(shop)
    with pytest.raises(InvalidInput, match="shared by retail: sales may view and use it, nothing else"):
        change(shop)


def test_it_is_tested_from_the_groups_and_within_the_ranges_of_those_who_see_it(shop: Store) -> None:
    share(shop)
    shop.workspaces.update(WorkspaceDraft("sales", permitted_ranges=("10.0.0.0/8",)), shop.by())
    (target,) = shop.targets(workspace="sales", source="retail.orders")
    assert (target.path, target.seen_by, target.permitted_ranges) == ("retail/orders/prod", "sales", ("10.0.0.0/8",))
    assert shop.resolve_secrets(target)["password"].get_secret_value() == CANARY
    shop.workspaces.unbind("sales", "local", shop.by())
    assert shop.targets(workspace="sales", source="retail.orders") == []
    with pytest.raises(NotFound, match="is shared with workspace bills"):
        shop.targets(workspace="bills", source="retail.orders")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"to": "retail"}, "has its own data sources"),
        ({"to": "bills", "env": "dev"}, "basic workspace and has no environment dev"),
        ({"to": "nowhere"}, "no workspace 'nowhere'"),
    ],
)
def test_what_cannot_be_shared_is_refused(shop: Store, more: dict[str, str], told: str) -> None:
    with pytest.raises((InvalidInput, NotFound), match=told):
        share(shop, **more)


def test_one_name_means_one_entry(shop: Store) -> None:
    share(shop, env="dev")
    with pytest.raises(Conflict, match="shared with sales for dev already"):
        share(shop, env="dev", entry="prod")
    assert share(shop, to="bills", entry="dev").entry == "dev"
    (target,) = shop.targets(workspace="bills", source="retail.orders")
    assert target.path == "retail/orders/dev"


def test_the_owner_may_revoke_and_is_told_who_used_it(shop: Store) -> None:
    share(shop)
    share(shop, env="dev")
    depend(shop, "forecast", workspace="sales")
    depend(shop, "elsewhere")
    assert len(shop.sharing.preview("retail/orders", shop.by(), of="retail", to="sales").grants) == 2
    done = shop.sharing.revoke("retail", "orders", shop.by(), to="sales", env="prod")
    assert [use.name for use in done.users] == ["forecast"]
    assert [grant.env for grant in shop.sharing.list(workspace="sales")] == ["dev"]


def test_the_other_side_may_not_give_up_what_it_uses(shop: Store) -> None:
    share(shop)
    node = depend(shop, "forecast", workspace="sales")
    with pytest.raises(InvalidInput, match="used by 1 there: forecast"):
        shop.sharing.give_up("sales", "retail.orders", shop.by())
    assert len(shop.sharing.list()) == 1
    share(shop, user="dora")
    assert shop.sharing.give_up("sales", "retail.orders", shop.by(), user="dora").users == ()
    with shop.database.write() as session:
        from registry import model

        session.delete(session.get_one(model.Dependent, node))
    assert len(shop.sharing.give_up("sales", "retail.orders", shop.by()).grants) == 1
    with pytest.raises(NotFound, match="is not shared with sales"):
        shop.sharing.give_up("sales", "retail.orders", shop.by())


@pytest.fixture
def people(shop: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """rita administers retail, sam sales, ada both; dora develops in sales. Returns how to become one of them."""
    for user, role, place in (
        ("rita", Role.ADMIN, "retail"),
        ("sam", Role.ADMIN, "sales"),
        ("ada", Role.ADMIN, "retail"),
        ("ada", Role.ADMIN, "sales"),
        ("dora", Role.DEVELOP, "sales"),
        ("otto", Role.OPERATOR, "sales"),
    ):
        shop.members.grant(Membership(user, role, place), shop.by())
    return lambda user: monkeypatch.setenv("HEADWATER_ACTOR", user)


@pytest.mark.parametrize("user", ["rita", "sam", "dora"])
def test_making_a_rule_takes_the_right_in_both_workspaces(
    shop: Store, people: Callable[[str], None], user: str
) -> None:
    people(user)
    with pytest.raises(Forbidden, match=f"{user} may not share a data source"):
        share(shop)
    people("ada")
    assert share(shop).creator == "ada"


def test_revoking_takes_the_right_in_one_of_them_and_readers_have_none(
    shop: Store, people: Callable[[str], None]
) -> None:
    people("ada")
    share(shop)
    for user in ("dora", "otto", "rita"):
        people(user)
        with pytest.raises(Forbidden):
            shop.sharing.give_up("sales", "retail.orders", shop.by())
    people("sam")
    with pytest.raises(Forbidden):
        shop.sharing.revoke("retail", "orders", shop.by(), to="sales")
    assert shop.sharing.give_up("sales", "retail.orders", shop.by()).grants
    people("ada")
    share(shop)
    people("rita")
    assert shop.sharing.revoke("retail", "orders", shop.by(), to="sales").grants


def test_rules_are_audited_and_go_and_come_back_with_their_source(shop: Store) -> None:
    share(shop, user="dora")
    before = [dataclasses.replace(one, id=0) for one in shop.sharing.list()]
    shop.deletions.delete("retail/orders", shop.by())
    assert shop.sharing.list() == []
    with pytest.raises(NotFound):
        shop.sources.get("sales", "retail.orders", user="dora")
    shop.tombstones.restore("orders", shop.by())
    assert [dataclasses.replace(one, id=0) for one in shop.sharing.list()] == before
    shop.sharing.revoke("retail", "orders", shop.by(), to="sales")
    actions = [record.action for record in shop.history("data_source:retail/orders")]
    assert actions == ["create", "share", "delete", "restore", "unshare"]
