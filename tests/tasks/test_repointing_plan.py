"""Plans of a repoint: what is changed, what speaks against it, and that nothing of a neighbour is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from registry import compute_resources, model
from registry.entries import draft_source
from registry.errors import InvalidInput
from registry.store import Store
from registry.workspaces import WorkspaceDraft
from tasks.comparison.survey import Column, Survey
from tasks.dependents import Place, Rename
from tasks.repointing import report, waves
from tasks.repointing.columns import Severity, compare
from tasks.repointing.diffs import called, diff
from tasks.repointing.planning import MOST_ALONE
from tests.registry.conftest import home, sqlite_template, store
from tests.registry.samples import source
from tests.tasks.repointing_support import CANARY, NEW, OLD, JsonFiles, World, survey_of

__all__ = ["home", "sqlite_template", "store"]


@pytest.fixture
def backend() -> str:
    return "sqlite"


@pytest.fixture
def world(store: Store, tmp_path: Path) -> World:
    folder = tmp_path / "files"
    folder.mkdir()
    return World(store, folder)


def _actions(world: World, plan: model.Plan) -> list[dict[str, Any]]:
    return [step.action for step in world.store.plans.steps(plan.id)]


def _reasons(plan: model.Plan) -> str:
    return json.dumps(plan.document["blocked"])


def test_a_plan_shows_every_unit_with_its_diff_and_keeps_secrets_of_neighbours_to_itself(world: World) -> None:
    world.file("a", {"reads": "orders"}, {"reads": "other"}, {"writes": "orders"})
    plan = world.plan()
    (action,) = _actions(world, plan)
    assert action["diff"].splitlines()[2:] == [
        "@@ -5 +5 @@",
        '-   "reads": "orders",',
        '+   "reads": "orders_v2",',
        "@@ -15 +15 @@",
        '-   "writes": "orders",',
        '+   "writes": "orders_v2",',
    ]
    assert [one["name"] for one in action["dependents"]] == ["a_0", "a_2"]
    assert CANARY not in json.dumps([plan.document, action], default=str)
    assert plan.document["blast"]["module"] == {"data_studio": 2}
    assert world.names() == ["orders", "other", "orders"]


def test_a_name_on_a_line_with_anything_else_is_shown_alone() -> None:
    before = f'{{"password": "{CANARY}", "datasource": "orders", "token": "{CANARY}", "also": "orders"}}\n{{}}'
    after = before.replace('"orders"', '"orders_v2"')
    renames = [Rename(Place("f", pointer), "orders", "orders_v2") for pointer in ("/datasource", "/also")]
    assert diff("f", before, after, renames).splitlines() == [
        "--- f",
        "+++ f",
        "@@ -1 +1 @@",
        '-…orders…orders"}',
        '+…orders_v2…orders_v2"}',
    ]


def test_json_of_one_line_is_shown_by_the_pointers_of_its_names() -> None:
    code = json.dumps({"steps": [{"source": "orders", "token": CANARY}]})
    before = json.dumps({"password": CANARY, "parameters": {"a/b": ["other", "orders"]}, "code": code})
    after = before.replace("orders", "orders_v2")
    places = [Place("f", "/parameters/a~1b/1"), Place("f", "/code!/steps/0/source")]
    renames = [Rename(place, "orders", "orders_v2") for place in places]
    assert diff("f", before, after, renames).splitlines() == [
        "--- f",
        "+++ f",
        "@@ /parameters/a~1b/1 @@",
        "-orders",
        "+orders_v2",
        "@@ /code!/steps/0/source @@",
        "-orders",
        "+orders_v2",
    ]
    assert diff("f", before, before, renames) == ""
    elsewhere = [Rename(Place("f", "/password"), "orders", "orders_v2")]
    assert diff("f", before, after, elsewhere).splitlines()[2] == "@@ -1 +1 @@", "nothing is told that is not so"


def test_a_unit_that_is_known_by_an_id_is_called_by_its_name() -> None:
    assert called("deployment:7f-1", [("7f-1", "load/nightly")]) == "deployment load/nightly (7f-1)"
    assert called("deployment:7f-1", [("7f-1", "load/new\nline")]) == r"deployment load/new\nline (7f-1)"
    assert called("/specs/a.json", [("/specs/a.json#1", "a")]) == "/specs/a.json"


@given(
    st.lists(st.sampled_from(["orders", "orders_v2", "x", '"', " ", CANARY, "\n", ":", "käse"]), max_size=30),
    st.sampled_from([("orders", "orders_v2"), ("orders_v2", "orders"), ("aab", "aaab"), ("x", "retail.x")]),
)
def test_no_diff_ever_shows_more_than_names(words: list[str], names: tuple[str, str]) -> None:
    before = "".join(words)
    after = before.replace(*names)
    assert CANARY not in diff("f", before, after, [Rename(Place("f", ""), *names)])


def test_what_a_reader_and_a_writer_lack_there_blocks_them(world: World) -> None:
    world.file("reader", {"reads": "orders", "tables": ["items"]})
    world.file("writer", {"writes": "orders", "tables": ["items"]})
    world.file("column", {"reads": "orders", "tables": ["items.id"]})
    world.file("missing", {"reads": "orders", "tables": ["gone"]})
    world.observing.surveys = {OLD: survey_of("items", "gone"), NEW: survey_of("items", privileges=["SELECT"])}
    plan = world.plan()
    assert plan.document["blast"]["verdict"] == {"ok": 2, "blocked": 2}
    assert "may not INSERT on items; it may SELECT" in _reasons(plan)
    assert "gone is missing in retail/orders_v2" in _reasons(plan)


def test_a_writer_needs_what_its_mode_does_and_nothing_else(world: World) -> None:
    world.file("appends", {"writes": "orders", "tables": ["items"]})
    world.file("changes", {"writes": "orders", "tables": ["items"], "needs": {"items": ["UPDATE"]}})
    world.file("replaces", {"writes": "orders", "tables": ["items"], "needs": {"items": ["INSERT", "DELETE"]}})
    world.file("empties", {"writes": "orders", "tables": ["items"], "needs": {"items": ["INSERT", "TRUNCATE"]}})
    world.file("column", {"writes": "orders", "tables": ["items.id"], "needs": {"items": ["DELETE"]}})
    world.observing.surveys = {OLD: survey_of("items"), NEW: survey_of("items", privileges=["SELECT", "INSERT"])}
    plan = world.plan()
    told = {one["name"]: one["reasons"] for one in plan.document["blocked"]}
    assert told.keys() == {"changes_0", "replaces_0", "empties_0", "column_0"}
    assert "may not UPDATE on items" in told["changes_0"][0]
    assert "may not DELETE on items" in told["replaces_0"][0]
    assert "may not TRUNCATE on items" in told["empties_0"][0]
    verdicts = {one["name"]: one for action in _actions(world, plan) for one in action["dependents"]}
    assert verdicts["appends_0"]["verdict"] == "ok"


def test_what_is_granted_on_some_columns_alone_blocks_whoever_uses_others(world: World) -> None:
    world.file("all", {"writes": "orders", "tables": ["items"]})
    world.file("other", {"writes": "orders", "tables": ["items.id"]})
    world.file("same", {"writes": "orders", "tables": ["items.note"]})
    columns = (Column("id", "integer", False, 1), Column("note", "text", True, 2))
    there = _with(survey_of("items"), columns=columns, partly={"INSERT": ("note",)})
    world.observing.surveys = {OLD: _with(survey_of("items"), columns=columns), NEW: there}
    plan = world.plan()
    (told,) = plan.document["blocked"]
    assert (told["name"], told["reasons"]) == (
        "other_0",
        ["blocked: the account of retail/orders_v2 may not INSERT on items; it may SELECT, INSERT (note), "
        "USAGE ON SCHEMA"],
    )  # fmt: skip
    found = {one["name"]: one for action in _actions(world, plan) for one in action["dependents"]}
    assert found["same_0"]["verdict"] == "ok"
    assert found["all_0"]["reasons"] == [
        "warn: the account of retail/orders_v2 may INSERT (note) of items, and on no other column"
    ]


def _with(survey: Survey, **changes: Any) -> Survey:
    """The survey with every table changed so."""
    return replace(survey, objects=tuple(replace(one, **changes) for one in survey.objects))


def test_what_mysql_grants_as_drop_empties_a_table(world: World) -> None:
    place = {"address": [{"host": "db", "port": 3306}], "database": "d", "username": "u", "password": "env:P"}
    for name in ("shop", "shop_v2"):
        _another(world, name, "mysql", **place)
    world.file("empties", {"writes": "shop", "tables": ["items"], "needs": {"items": ["INSERT", "TRUNCATE"]}})
    may = survey_of("items", privileges=["INSERT", "DROP"])
    world.observing.surveys = {"retail/shop": may, "retail/shop_v2": may}
    assert world.plan("retail/shop", "retail/shop_v2").document["blast"]["verdict"] == {"ok": 1}
    world.observing.surveys["retail/shop_v2"] = survey_of("items", privileges=["INSERT", "DELETE"])
    assert "may not DROP on items; it may INSERT, DELETE" in _reasons(world.plan("retail/shop", "retail/shop_v2"))


def test_what_a_server_does_not_tell_is_no_refusal(world: World) -> None:
    place = {"address": [{"host": "db", "port": 3306}], "database": "d", "username": "u", "password": "env:P"}
    _another(world, "shop", "mysql", **place)
    _another(world, "shop_v2", "mysql", **place)
    world.file("replaces", {"writes": "shop", "tables": ["items"], "needs": {"items": ["INSERT", "DELETE"]}})
    world.file("updates", {"writes": "shop", "tables": ["items"], "needs": {"items": ["UPDATE"]}})
    may = _with(survey_of("items", privileges=["INSERT", "SELECT"]), untold=("DELETE",))
    world.observing.surveys = {"retail/shop": may, "retail/shop_v2": may}
    plan = world.plan("retail/shop", "retail/shop_v2")
    assert [one["name"] for one in plan.document["blocked"]] == ["updates_0"]
    (action,) = _actions(world, plan)
    assert (
        "DELETE on items; whether the account of retail/shop_v2 may is not told"
        in action["dependents"][0]["reasons"][0]
    )


def test_a_table_in_a_schema_that_is_closed_to_the_account_blocks(world: World) -> None:
    world.file("reader", {"reads": "orders", "tables": ["sales.items"]})
    there = survey_of("sales.items")
    closed = replace(there, objects=tuple(replace(one, privileges=("SELECT",)) for one in there.objects))
    world.observing.surveys = {OLD: there, NEW: closed}
    assert "may not USAGE ON SCHEMA on sales.items" in _reasons(world.plan())


def test_narrower_columns_block_a_writer_and_warn_a_reader(world: World) -> None:
    world.file("reader", {"reads": "orders", "tables": ["items"]})
    world.file("writer", {"writes": "orders", "tables": ["items"]})
    world.observing.surveys = {OLD: survey_of("items", type_="bigint"), NEW: survey_of("items", type_="integer")}
    plan = world.plan()
    assert plan.document["blast"]["verdict"] == {"warn": 1, "blocked": 1}
    assert "items.id is integer there, bigint here" in _reasons(plan)


def _another(world: World, name: str, type_: str, **fields: Any) -> None:
    """A third source."""
    made = draft_source(name, type_, {"prod": fields}, where=f"retail/{name}", literals_allowed=True)
    world.store.sources.create("retail", made, world.store.by())


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [("bare", "attached", "ok"), ("attached", "bare", "blocked"), ("bare", "bare_too", "warn")],
)
def test_nodes_move_to_an_engine_that_is_attached(world: World, old: str, new: str, verdict: str) -> None:
    place = {"address": [{"host": "db", "port": 8123}], "database": "d", "username": "u", "password": "env:P"}
    for name in ("bare", "bare_too"):
        _another(world, name, "clickhouse", **place)
    engine = compute_resources.draft("retail", "attached", "clickhouse", {"prod": place}, literals_allowed=True)
    world.store.compute_resources.attach("retail", engine, world.store.by())
    world.file("node", {"reads": old})
    plan = world.plan(f"retail/{old}", f"retail/{new}")
    assert plan.document["blast"]["verdict"] == {verdict: 1}
    if verdict == "blocked":
        assert "retail/bare belongs to no compute resource: nodes of data development need one" in _reasons(plan)


def test_another_protocol_blocks_and_another_type_of_one_protocol_is_told(world: World) -> None:
    world.file("a", {"reads": "orders"})
    place = {
        "address": [{"host": "db.example.com", "port": 5432}],
        "database": "d",
        "username": "u",
        "password": "env:P",
    }
    _another(world, "other", "mysql", **place)
    assert "speaks mysql, not the postgresql of PostgreSQL" in _reasons(world.plan(new="retail/other"))
    _another(world, "kin", "kingbasees", **place)
    (action,) = _actions(world, world.plan(new="retail/kin"))
    assert action["dependents"][0]["verdict"] == "warn"
    assert "one protocol, two types" in action["dependents"][0]["reasons"][0]


def test_what_is_not_shared_with_the_workspace_of_a_dependent_is_blocked_until_it_is(world: World) -> None:
    world.file("a", {"reads": "orders"})
    by = world.store.by()
    world.store.workspaces.create(WorkspaceDraft("sales", mode="basic"), by)
    world.store.sources.create("sales", source("orders_v3"), by)
    assert "sales/orders_v3 is not shared with workspace retail for prod" in _reasons(world.plan(new="sales/orders_v3"))
    with world.store.database.write() as session:
        entry = session.scalars(
            select(model.Entry).join(model.DataSource).where(model.DataSource.name == "orders_v3")
        ).one()
        home = session.scalars(select(model.Workspace).where(model.Workspace.name == "retail")).one()
        rule = {
            "entry_id": entry.id,
            "target_workspace_id": home.id,
            "env": "prod",
            "creator": "x",
            "created_at": by.at,
        }
        session.add(model.SharingRule(**rule))
    (action,) = _actions(world, world.plan(new="sales/orders_v3"))
    assert action["renames"] == [["/tasks/0/reads", "orders", "sales.orders_v3"]]


def test_a_group_that_does_not_connect_blocks_its_dependents_alone(world: World) -> None:
    world.file("near", {"reads": "orders", "resource_group": "near"})
    world.file("far", {"reads": "orders", "resource_group": "far"})
    world.observing.ill = {"far"}
    plan = world.plan()
    assert "not Connectable from far: PORT.REFUSED" in _reasons(plan)
    assert [one["name"] for one in plan.document["blocked"]] == ["far_0"]
    assert len(world.observing.asked) == 2


def _lines(world: World, plan: model.Plan) -> list[str]:
    return [*report.lines(plan, world.store.plans.steps(plan.id))]


def test_a_reason_of_many_is_told_once_with_their_number_and_the_first_names(world: World) -> None:
    world.files(5, resource_group="far")
    world.file("alone", {"reads": "orders", "resource_group": "near", "locked_by": "bob"})
    world.observing.ill = {"far"}
    plan = world.plan()
    told = [line for line in _lines(world, plan) if line.startswith(("ok", "warn", "blocked"))]
    many = (
        "5 dependents: retail/f00000_0 (data_studio), retail/f00001_0 (data_studio), retail/f00002_0 (data_studio), ..."
    )
    assert told == [
        f"blocked: not Connectable from far: PORT.REFUSED: {many}",
        "warn: bob is editing it: it is skipped unless forced: retail/alone_0 (data_studio)",
    ]
    assert told[0] in report.markdown(plan, world.store.plans.steps(plan.id))
    assert all(one["reasons"] for one in plan.document["blocked"]), "every dependent has all of its own"


def test_that_the_old_one_cannot_be_looked_at_is_told_once_and_makes_nobody_doubtful(world: World) -> None:
    for name in "abc":
        world.file(name, {"reads": "orders", "tables": ["items"]})
    world.observing.surveys = {NEW: survey_of("items")}
    plan = world.plan()
    assert plan.document["blast"]["verdict"] == {"ok": 3}
    told = "types of columns were not compared with retail/orders (prod): nobody could look"
    assert plan.document["warnings"].count(told) == 1
    assert [line for line in _lines(world, plan) if told in line] == [f"! {told}"]
    assert all(one["reasons"] == [f"ok: {told}"] for each in _actions(world, plan) for one in each["dependents"])
    world.observing.surveys = {OLD: survey_of("items")}
    plan = world.plan()
    assert plan.document["blast"]["verdict"] == {"warn": 3}, "of the new one nothing is known"
    assert told not in plan.document["warnings"]


def test_what_became_of_a_unit_is_told_by_the_name_that_people_know() -> None:
    action = {"unit": "deployment:7f-1", "dependents": [{"key": "7f-1", "name": "load/nightly"}]}
    step = model.PlanStep(action=action, wave=0, state="failed", message="it moved")
    (found,) = report.results([step])
    assert (found["unit"], found["name"]) == ("deployment:7f-1", "deployment load/nightly (7f-1)")
    plan = model.Plan(state="failed")
    assert "deployment load/nightly (7f-1): failed: it moved" in report.outcome(plan, [step])


def test_each_group_is_asked_once_however_many_run_there(world: World) -> None:
    world.files(50, resource_group="local")
    world.plan()
    assert len(world.observing.asked) == 1


def test_of_a_shared_place_all_or_none(world: World) -> None:
    path = world.file("shared", {"reads": "orders"}, {"reads": "orders", "owner": "bob"})
    world.scan()
    # The second names what the first does, at the place of the first: as with a file of properties.
    with world.store.database.write() as session:
        for row in session.query(model.Reference).all():
            row.places = [{"unit": str(path), "pointer": "/tasks/0/reads", "name": "orders"}]
    plan = world.plan_of_known(where=(("owner", "bob"),))
    assert "which others use that were not chosen: shared_0" in _reasons(plan)
    assert _actions(world, plan) == []


def test_what_moved_since_the_scan_is_blocked_and_its_neighbours_are_not(world: World) -> None:
    path = world.file("a", {"reads": "orders"}, {"reads": "orders"})
    world.scan()
    text = path.read_text().replace('"orders"', '"another"', 1)
    path.write_text(text)
    plan = world.plan_of_known()
    assert [one["name"] for one in plan.document["blocked"]] == ["a_0"]
    assert [one["name"] for action in _actions(world, plan) for one in action["dependents"]] == ["a_1"]


def test_one_that_moved_in_a_file_of_hundreds_is_found_without_hundreds_of_rewritings(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.file("a", *({"reads": "orders"} for _ in range(400)))
    world.scan()
    path.write_text(path.read_text().replace('"orders"', '"another"', 1))
    rewritten, rewrite = [], JsonFiles.rewrite
    monkeypatch.setattr(JsonFiles, "rewrite", lambda *given: (rewritten.append(1), rewrite(*given))[1])
    plan = world.plan_of_known()
    assert [one["name"] for one in plan.document["blocked"]] == ["a_0"]
    assert len(_actions(world, plan)[0]["dependents"]) == 399
    assert len(rewritten) < 30


@pytest.mark.parametrize("more", [0, 5])
def test_a_file_of_blocked_dependents_is_shown_with_every_change(world: World, more: int) -> None:
    path = world.file("a", *({"reads": "orders"} for _ in range(MOST_ALONE + more)))
    world.observing.ill.add("local")
    plan = world.plan()
    blocked, together = plan.document["blocked"], plan.document["blocked_together"]
    changes = [one["diff"] for one in (together or blocked)]
    assert sum(one.count('+   "reads": "orders_v2"') for one in changes) == MOST_ALONE + more
    assert len(together) == (1 if more else 0)
    if more:
        assert {one["diff"] for one in blocked} == {f"(in the diff of all that are blocked of {path})"}
    told = "\n".join(report.lines(plan, [], diffs=50))
    assert told.count('+   "reads": "orders_v2"') == MOST_ALONE + more
    assert report.markdown(plan, []).count('+   "reads": "orders_v2"') == MOST_ALONE + more


def test_a_report_of_thousands_of_names_in_one_file_stays_small(world: World) -> None:
    world.file("a", *({"reads": "orders"} for _ in range(1100)))
    world.observing.ill.add("local")
    told = report.markdown(world.plan(), [])
    assert "and 302 more lines" in told
    assert len(told) < 200_000


def test_of_many_that_are_blocked_those_whose_names_can_not_be_changed_are_left_out(world: World) -> None:
    path = world.file("a", *({"reads": "orders"} for _ in range(MOST_ALONE + 5)))
    world.scan()
    document = json.loads(path.read_text())
    document["tasks"][3]["reads"] = "somebody_elses"
    path.write_text(json.dumps(document, indent=1))
    world.observing.ill.add("local")
    (together,) = world.plan_of_known().document["blocked_together"]
    assert together["diff"].count('+   "reads": "orders_v2"') == MOST_ALONE + 4
    assert "somebody_elses" not in together["diff"]


def test_filters_choose_and_say_what_they_leave(world: World) -> None:
    world.file("a", {"reads": "orders", "owner": "bob"})
    world.file("b", {"reads": "orders", "owner": "eve", "module": "data_quality"})
    plan = world.plan(where=(("module", "data_quality"),))
    assert plan.document["counts"] == {"dependents": 1, "units": 1, "waves": [1], "left_alone": 1}
    with pytest.raises(InvalidInput, match="nothing that uses retail/orders passes") as caught:
        world.plan(where=(("owner", "nobody"), ("module", "data_qualty")))
    assert caught.value.instruction == "there is module=data_quality, data_studio; owner=bob, eve"
    with pytest.raises(InvalidInput, match="no side 'staging'"):
        world.plan(env="staging")
    with pytest.raises(InvalidInput, match="passes") as caught:
        world.plan(env="dev")
    assert caught.value.instruction == "there is env=prod"
    either = world.plan(where=(("owner", "bob"), ("owner", "eve"), ("workspace", "retail")))
    assert either.document["counts"]["dependents"] == 2
    assert either.document["where"] == {"owner": "bob,eve", "workspace": "retail"}
    with pytest.raises(InvalidInput, match="chosen by 'colour'"):
        world.plan(where=(("colour", "red"),))


def test_the_canary_is_what_would_hurt_least(world: World) -> None:
    world.file("a", {"reads": "orders", "module": "data_service"})
    world.file("b", {"reads": "orders", "module": "data_quality"})
    world.file("c", {"reads": "orders", "module": "data_quality", "env": "dev"})
    plan = world.plan(sizes=(1, 1, 1))
    names = [one["name"] for action in _actions(world, plan) for one in action["dependents"]]
    assert names == ["c_0", "b_0", "a_0"]
    assert [step.wave for step in world.store.plans.steps(plan.id)] == [0, 1, 2]


def test_waves_grow_and_the_last_size_goes_on() -> None:
    assert waves.cut([1] * 8, (1, 2)) == [0, 1, 1, 2, 2, 3, 3, 4]
    assert waves.cut([3, 1, 2], (2, 3)) == [0, 1, 1]


def test_deployments_before_midnight_come_a_day_later() -> None:
    assert "a day later" in str(waves.late(datetime(2026, 11, 21, 15, 30, tzinfo=UTC)))
    assert waves.late(datetime(2026, 11, 21, 15, 29, tzinfo=UTC)) is None
    assert waves.late(datetime(2026, 11, 21, 16, 0, tzinfo=UTC)) is None
    assert waves.late(datetime(2026, 11, 21, 23, 45, tzinfo=UTC), "UTC") is not None


@pytest.mark.parametrize(
    ("old", "new", "severity"),
    [
        ("integer", "integer", Severity.OK),
        ("int(11)", "integer", Severity.OK),
        ("tinyint(1)", "boolean", Severity.OK),
        ("integer", "bigint", Severity.WARN),
        ("bigint", "integer", Severity.BLOCKED),
        ("integer", "numeric(20,0)", Severity.WARN),
        ("smallint unsigned", "int", Severity.WARN),
        ("int", "int unsigned", Severity.BLOCKED),
        ("character varying(20)", "varchar(30)", Severity.WARN),
        ("varchar(30)", "varchar(20)", Severity.BLOCKED),
        ("text", "varchar(20)", Severity.BLOCKED),
        ("numeric(10,2)", "numeric(12,2)", Severity.WARN),
        ("numeric(10,2)", "numeric(10,4)", Severity.BLOCKED),
        ("timestamp(3) without time zone", "timestamp without time zone", Severity.OK),
        ("timestamp with time zone", "timestamp without time zone", Severity.BLOCKED),
        ("integer[]", "integer", Severity.BLOCKED),
        ("integer", "text", Severity.BLOCKED),
        ("geometry", "geometry", Severity.OK),
        ("geometry", "text", Severity.BLOCKED),
    ],
)
def test_what_fits_into_a_column(old: str, new: str, severity: Severity) -> None:
    assert compare(old, new) is severity


def test_what_others_edit_is_told_and_what_one_edits_oneself_is_not(world: World) -> None:
    world.file("a", {"reads": "orders", "locked_by": "bob (changes that are not committed)"})
    world.file("b", {"reads": "orders", "locked_by": "alice (changes that are not committed)"})
    told = {one["name"]: one["reasons"] for action in _actions(world, world.plan()) for one in action["dependents"]}
    assert "is editing it" in " ".join(told["a_0"])
    assert "is editing it" not in " ".join(told["b_0"])
