"""What deleting does to whom: row by row as the source documents' tables say it."""

from __future__ import annotations

import pytest

from registry.impacts import EFFECTS, RISKS, UNHARMED, Effect, Granted, Impact, Risk, Use, impact

PRODUCTION_FAILS = "synchronization tasks in production that use it fail"
NOT_DEPLOYABLE = "tasks that use it in development can be neither submitted nor deployed"
NO_METADATA = "editing a task shows no tables and columns of it"
NOT_OFFERED = "it is not offered when a new task is configured"


def use(
    module: str = "data_integration", env: str = "prod", entry: str | None = None, workspace: str = "retail"
) -> Use:
    return Use(1, "load", module, env, entry or env, workspace)


def of(envs: set[str], *uses: Use, grants: tuple[Granted, ...] = ()) -> Impact:
    return impact("retail/orders", envs, {"dev", "prod"} - envs, uses, grants)


@pytest.mark.parametrize(
    ("envs", "told"),
    [
        ({"dev", "prod"}, {PRODUCTION_FAILS, NOT_OFFERED}),
        ({"dev"}, {UNHARMED, NO_METADATA, NOT_OFFERED}),
        ({"prod"}, {PRODUCTION_FAILS, NOT_DEPLOYABLE}),
    ],
    ids=["both", "only dev", "only prod"],
)
def test_each_scenario_has_the_consequences_of_the_matrix(envs: set[str], told: set[str]) -> None:
    assert told <= set(of(envs).consequences)


def test_a_scenario_has_no_consequence_of_another() -> None:
    assert PRODUCTION_FAILS not in of({"dev"}).consequences
    assert NOT_DEPLOYABLE not in of({"dev"}).consequences
    assert NOT_OFFERED not in of({"prod"}).consequences
    assert UNHARMED not in of({"prod"}).consequences


@pytest.mark.parametrize(
    ("module", "risk"),
    [
        ("operation_center", Risk.HIGH),
        ("data_service", Risk.HIGH),
        ("data_analysis", Risk.MEDIUM),
        ("data_quality", Risk.MEDIUM),
        ("data_integration", Risk.HIGH),
        ("data_studio", Risk.HIGH),
    ],
)
def test_each_module_has_its_risk_and_a_remedy(module: str, risk: Risk) -> None:
    (hit,) = of({"dev", "prod"}, use(module)).hits
    assert (hit.risk, hit.effect, hit.blocks) == (risk, Effect.FAILS, True)
    assert hit.remedy == RISKS[module].remedy


@pytest.mark.parametrize(
    ("envs", "env", "entry", "effect"),
    [
        ({"prod"}, "prod", "prod", Effect.FAILS),
        ({"prod"}, "dev", "prod", Effect.FAILS_IN_DEV),
        ({"prod"}, "dev", "dev", Effect.NOT_DEPLOYABLE),
        ({"dev"}, "prod", "prod", Effect.NO_METADATA),
        ({"dev"}, "dev", "dev", Effect.FAILS_IN_DEV),
        ({"dev"}, "prod", "dev", Effect.FAILS),
    ],
)
def test_a_dependent_suffers_by_where_it_runs_and_what_it_gets(
    envs: set[str], env: str, entry: str, effect: Effect
) -> None:
    (hit,) = of(envs, use(env=env, entry=entry)).hits
    assert hit.effect is effect
    assert hit.blocks is (effect is Effect.FAILS)
    assert EFFECTS[effect]


def test_queries_and_apis_do_not_notice_that_dev_is_gone() -> None:
    assert of({"dev"}, use("data_service"), use("data_analysis")).hits == ()


def test_a_module_that_no_table_knows_counts_as_the_worst() -> None:
    (hit,) = of({"prod"}, use("something_new")).hits
    assert hit.risk is Risk.HIGH


def test_other_workspaces_are_told_whether_they_use_it_or_may() -> None:
    found = of(
        {"prod"},
        use(workspace="sales"),
        use(),
        grants=(Granted("prod", "finance", "prod"), Granted("dev", "untouched", "dev")),
    )
    assert found.other_workspaces == ("finance", "sales")
    assert found.document()["shared_with"] == [{"entry": "prod", "workspace": "finance", "env": "prod", "user": ""}]


def test_dependents_are_counted_by_module_the_worst_first() -> None:
    found = of({"prod"}, use("data_quality"), use("data_service"), use("data_service"), use(env="dev"))
    rows = [(row["risk"], row["module"], row["effect"], row["dependents"]) for row in found.modules()]
    assert rows == [
        ("high", "data_service", "fails", 2),
        ("medium", "data_integration", "not_deployable", 1),
        ("medium", "data_quality", "fails", 1),
    ]
    assert len(found.document(most=1)["dependents"]) == 1
    assert found.document(most=1)["dependents_in_all"] == 4
