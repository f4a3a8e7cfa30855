"""Who may see plans: those about workspaces whose data sources they may list, and look into."""

from __future__ import annotations

import pytest

from registry.audit import By
from registry.errors import Forbidden
from registry.members import Membership
from registry.plans import PlanDraft
from registry.store import Store
from registry.workspaces import WorkspaceDraft
from tests.registry.samples import retail, source


@pytest.fixture
def plans(store: Store) -> dict[str, str]:
    """Plans about `retail`, about `sales`, and about both."""
    retail(store, source("orders"))
    store.workspaces.create(WorkspaceDraft("sales"), store.by())
    for user, role, workspace in (
        ("dee", "develop", "retail"),
        ("dee", "visitor", "sales"),
        ("sam", "develop", "sales"),
    ):
        store.members.grant(Membership(user, role, workspace), store.by())
    drafts = {
        "retail": PlanDraft("delete", "retail", {}, {"data_source:retail/orders": 1}),
        "sales": PlanDraft("upgrade", "sales", {}, {"workspace:sales": 1}),
        "both": PlanDraft("repoint", "retail", {}, {"workspace:retail": 1, "workspace:sales": 1}),
        "bulk": PlanDraft("delete", None, {}, {"data_source:retail/orders": 1, "data_source:sales/shop": 1}),
    }
    return {name: store.plans.create(draft, store.by()).id for name, draft in drafts.items()}


@pytest.mark.parametrize(
    ("user", "listed", "shown"),
    [
        ("dee", {"retail", "sales", "both", "bulk"}, {"retail"}),
        ("sam", {"sales"}, {"sales"}),
        ("nobody", set(), set()),
    ],
)
def test_plans_are_listed_and_shown_by_the_table_of_permissions(
    store: Store, plans: dict[str, str], user: str, listed: set[str], shown: set[str]
) -> None:
    names = {id_: name for name, id_ in plans.items()}
    assert {names[one.id] for one in store.plans.list(by=By(user))} == listed
    for name, id_ in plans.items():
        if name in shown:
            assert store.plans.get(id_, By(user)).id == id_
            continue
        with pytest.raises(Forbidden, match=f"{user} may not look at a data source"):
            store.plans.get(id_, By(user))


def test_a_limit_counts_what_one_may_see(store: Store, plans: dict[str, str]) -> None:
    assert [one.id for one in store.plans.list(by=By("sam"), limit=1)] == [plans["sales"]]
    assert len(store.plans.list(limit=3)) == 3
