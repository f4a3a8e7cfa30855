"""The rules of use, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from registry import model
from registry.errors import InvalidInput
from registry.usage import (
    IN_DEVELOPMENT,
    RULES,
    SIDES_OF_NEW,
    SYNCHRONIZATION,
    TaskKind,
    broken,
    case_of,
    env_for,
    expect_own,
    kind_of,
    missing_sides,
    refusals,
)

_STUDIO = ("data_studio", "node")


def made(
    type_: str = "postgresql",
    *sides: str,
    mode: str = "standard",
    origin: str = "manually",
    properties: dict[str, Any] | None = None,
    references: dict[str, str] | None = None,
) -> model.DataSource:
    """A source as the registry gives it."""
    entries = [
        model.Entry(env=env, mode="UrlMode", properties=properties or {}, references=references or {})
        for env in sides or ("dev", "prod")
    ]
    workspace = model.Workspace(name="retail", mode=mode)
    return model.DataSource(name="orders", type=type_, origin=origin, workspace=workspace, entries=entries)


def rules(source: model.DataSource, module: str, kind: str, role: str = "", **more: Any) -> list[str]:
    """The rules that a use breaks."""
    env = more.get("env", "prod")
    entry = source.entry(env_for(kind, module, env, source.workspace.mode))
    return [refusal.rule for refusal in refusals(source, entry, module, kind, role, **more)]


@pytest.mark.parametrize(
    ("kind", "module", "in_development"),
    [
        ("batch_sync", "data_integration", "dev"),
        ("realtime_sync", "data_integration", "prod"),
        ("database_batch_sync", "data_integration", "prod"),
        ("database_realtime_sync", "data_integration", "prod"),
        ("database_full_incremental_sync", "data_integration", "prod"),
        ("sync", "data_integration", "prod"),
        ("", "data_integration", "prod"),
        ("sql", "data_studio", "dev"),
        ("node", "data_studio", "dev"),
        ("flow", "data_studio", "dev"),
        ("", "data_studio", "dev"),
        ("api", "data_service", "dev"),
        ("query", "data_analysis", "dev"),
        ("rule", "data_quality", "dev"),
        ("collection", "data_map", "dev"),
    ],
)
def test_which_side_a_run_gets(kind: str, module: str, in_development: str) -> None:
    assert env_for(kind, module, "dev", "standard") == in_development
    assert env_for(kind, module, "prod", "standard") == "prod"
    assert env_for(kind, module, "dev", "basic") == "prod"


def test_only_single_table_batch_synchronization_is_isolated() -> None:
    assert {kind for kind in SYNCHRONIZATION if IN_DEVELOPMENT[kind] == "dev"} == {TaskKind.BATCH_SYNC}
    assert len(SYNCHRONIZATION) == 6
    assert kind_of("never heard of", "data_quality") is TaskKind.RULE


@pytest.mark.parametrize(
    ("made_in", "mode", "sides"),
    [
        ("management_center", "standard", ("dev", "prod")),
        ("data_integration", "standard", ("prod",)),
        ("management_center", "basic", ("prod",)),
        ("data_integration", "basic", ("prod",)),
    ],
)
def test_which_sides_a_new_source_has(made_in: str, mode: str, sides: tuple[str, ...]) -> None:
    assert SIDES_OF_NEW[made_in, mode] == sides


_LIMITED = {
    "cross_account": ({"cross_account_owner_id": "1", "cross_account_role_name": "reader"}, {}),
    "cross_region": ({"region_id": "cn-beijing"}, {}),
    "access_key": ({"auth_type": "Ak"}, {"access_key": "env:KEY"}),
}


@pytest.mark.parametrize("rule", _LIMITED)
@pytest.mark.parametrize("kind", [kind.value for kind in TaskKind])
def test_sources_of_elsewhere_are_for_synchronization_only(rule: str, kind: str) -> None:
    properties, references = _LIMITED[rule]
    source = made("mysql", properties=properties, references=references)
    module = "data_integration" if kind.endswith("sync") else "data_studio"
    wanted = [] if kind.endswith("sync") else [rule]
    assert rules(source, module, kind, region="cn-hangzhou") == wanted


def test_of_regions_nothing_is_said_where_one_is_not_known_or_both_are_the_same() -> None:
    source = made(properties={"region_id": "cn-beijing"})
    assert rules(source, *_STUDIO) == []
    assert rules(source, *_STUDIO, region="cn-beijing") == []


@pytest.mark.parametrize(
    ("module", "kind", "role", "is_refused"),
    [
        ("data_map", "collection", "", False),
        ("data_map", "collection", "reader", True),
        ("data_quality", "rule", "rule", False),
        ("data_map", "sql", "", True),
        ("data_integration", "batch_sync", "reader", True),
        ("data_integration", "batch_sync", "writer", True),
        ("data_studio", "sql", "", True),
    ],
)
def test_a_catalogue_of_metadata_is_no_input_and_no_output(module: str, kind: str, role: str, is_refused: bool) -> None:
    found = rules(made("paimon_catalog"), module, kind, role)
    assert ("metadata" in found) == is_refused


@pytest.mark.parametrize(
    ("type_", "module", "kind", "is_refused"),
    [
        ("postgresql", "data_integration", "batch_sync", False),
        ("postgresql", "data_studio", "sql", False),
        ("postgresql", "operation_center", "node", False),
        ("postgresql", "data_service", "api", False),
        ("postgresql", "data_analysis", "query", False),
        ("postgresql", "data_quality", "rule", False),
        ("postgresql", "data_map", "collection", False),
        ("db2", "data_integration", "batch_sync", False),
        ("db2", "operation_center", "batch_sync", False),
        ("db2", "operation_center", "node", True),
        ("db2", "data_studio", "sql", True),
        ("db2", "data_quality", "rule", True),
        ("db2", "data_service", "api", True),
        ("ssh", "data_studio", "node", False),
        ("ssh", "data_integration", "batch_sync", True),
    ],
)
def test_each_module_takes_the_types_it_supports(type_: str, module: str, kind: str, is_refused: bool) -> None:
    assert rules(made(type_), module, kind) == (["module"] if is_refused else [])


def test_a_source_without_a_development_side_is_not_for_data_studio_until_it_is_filled_in() -> None:
    half = made("postgresql", "prod")
    assert missing_sides(half) == ("dev",)
    assert rules(half, *_STUDIO) == ["development"]
    assert rules(half, *_STUDIO, env="dev") == ["development"]
    assert rules(half, "operation_center", "node") == []
    assert rules(half, "data_integration", "database_realtime_sync", env="dev") == []
    assert rules(half, "data_integration", "batch_sync", env="dev") == ["side"]
    whole = made()
    assert missing_sides(whole) == ()
    assert rules(whole, *_STUDIO, env="dev") == []


def test_a_basic_workspace_lacks_nothing_with_production_alone() -> None:
    basic = made("postgresql", "prod", mode="basic")
    assert missing_sides(basic) == ()
    assert rules(basic, *_STUDIO, env="dev") == []


def test_without_a_production_side_nothing_runs_in_production() -> None:
    assert rules(made("postgresql", "dev"), "operation_center", "node") == ["side"]


def test_what_a_compute_resource_made_is_changed_through_it_alone() -> None:
    with pytest.raises(InvalidInput, match="cannot be deleted by itself"):
        expect_own(made(origin="automatically"), "deleted")
    expect_own(made(), "deleted")


def test_data_development_takes_no_engine_that_is_not_attached() -> None:
    assert rules(made("maxcompute"), "data_studio", "sql") == ["compute_resource"]
    assert rules(made("maxcompute"), "operation_center", "node") == ["compute_resource"]
    assert rules(made("maxcompute", origin="automatically"), "data_studio", "sql") == []
    assert rules(made("maxcompute"), "data_integration", "batch_sync") == []
    assert rules(made("maxcompute"), "data_studio", "flow") == []
    assert rules(made("postgresql"), "data_studio", "sql") == []


@pytest.mark.parametrize(
    ("purposes", "kind", "is_refused"),
    [
        ((), "batch_sync", False),
        (("scheduling",), "batch_sync", True),
        (("scheduling",), "flow", False),
        (("synchronization",), "database_batch_sync", False),
        (("synchronization",), "flow", True),
        (("synchronization",), "api", True),
        (("scheduling", "data_service"), "api", False),
    ],
)
def test_an_exclusive_group_runs_only_what_it_is_for(purposes: tuple[str, ...], kind: str, is_refused: bool) -> None:
    module = "data_service" if kind == "api" else "data_studio" if kind == "flow" else "data_integration"
    source = made()
    case = case_of(source, source.entry("prod"), module, kind, group="exclusive_1", purposes=purposes)
    assert [one.rule for one in broken(RULES, case)] == (["resource_group"] if is_refused else [])


def test_every_rule_says_where_it_is_written_and_what_to_do() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    (refusal,) = refusals(made("db2"), None, "data_service", "api")
    assert str(refusal) == "db2 is not supported in Data Service; `headwater types` tells what each type is for"
    assert "types supported" in refusal.source
