"""Who runs MaxCompute code on which table: the table of cross-project access, cell by cell."""

from __future__ import annotations

import pytest

from registry import access
from registry.errors import InvalidInput
from registry.identity import ACCESS, Identity, engine_roles, execution, executions


@pytest.mark.parametrize(
    ("role", "inside"),
    [
        ("role_project_admin", ["Role_Project_Admin"]),
        ("role_project_dev", ["Role_Project_Dev"]),
        ("role_project_pe", ["Role_Project_Pe"]),
        ("role_project_deploy", ["Role_Project_Deploy"]),
        ("role_project_guest", ["Role_Project_Guest"]),
        ("role_project_security", ["Role_Project_Security"]),
        ("role_project_owner", []),
        ("role_project_data_analyst", []),
    ],
)
def test_predefined_roles_are_roles_of_the_development_project_alone(role: str, inside: list[str]) -> None:
    held = {access.role(role)}
    assert engine_roles(held, "dev", "standard") == inside
    assert engine_roles(held, "prod", "standard") == []
    assert engine_roles(held, "prod", "basic") == inside


PROJECTS = {"dev": "shop_dev", "prod": "shop"}
PERSON, SCHEDULER = Identity.EXECUTOR, Identity.SCHEDULING


@pytest.mark.parametrize(
    ("name", "env", "identity", "table", "is_granted"),
    [
        ("shop_dev.orders", "dev", PERSON, "shop_dev.orders", False),
        ("shop_dev.orders", "prod", SCHEDULER, "shop_dev.orders", True),
        ("shop.orders", "dev", PERSON, "shop.orders", True),
        ("shop.orders", "prod", SCHEDULER, "shop.orders", False),
        ("orders", "dev", PERSON, "shop_dev.orders", False),
        ("orders", "prod", SCHEDULER, "shop.orders", False),
    ],
)
def test_each_cell_says_who_runs_it_where_and_with_which_grant(
    name: str, env: str, identity: Identity, table: str, is_granted: bool
) -> None:
    found = execution(name, env, PROJECTS)
    assert (found.identity, found.table, bool(found.grant)) == (identity, table, is_granted)


def test_the_table_has_three_by_two_cells_and_they_are_asked_for_together() -> None:
    assert len(ACCESS) == 6
    assert [(one.env, one.table) for one in executions("orders", PROJECTS)] == [
        ("dev", "shop_dev.orders"),
        ("prod", "shop.orders"),
    ]
    assert "Security Center" in execution("shop.orders", "dev", PROJECTS).grant


def test_a_basic_workspace_has_no_development_and_third_projects_are_not_judged() -> None:
    assert execution("orders", "prod", {"prod": "shop"}).table == "shop.orders"
    with pytest.raises(InvalidInput, match="no dev project"):
        execution("orders", "dev", {"prod": "shop"})
    with pytest.raises(InvalidInput, match="neither project"):
        execution("finance.orders", "prod", PROJECTS)
