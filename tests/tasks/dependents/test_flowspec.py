"""FlowSpec: who is found in files of any shape, what is rewritten of them, and what is told instead of guessed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml

from tasks.dependents import FoundDependent, NotRewritable, Place, Rename
from tasks.dependents.flowspec import ADAPTER
from tests.tasks.dependents.scanning import EXAMPLES, changed_lines, copied, real, renames, scan

SPECS = EXAMPLES / "flowspec"


def uses(found: FoundDependent) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [(one.source, one.type, one.role, one.objects) for one in found.references]


#: Dependent -> module, kind of work, owner, resource group, what it uses as what with which tables.
EXPECTED = {
    "shop.json#w1": ("data_studio", "node", "ana", "", [("lake", "", "", ())]),
    "shop.json#n1": (
        "data_studio",
        "sql",
        "ana",
        "night_group",
        [("lake", "odps", "writer", ("daily",)), ("lake", "odps", "query", ("ods_orders",))],
    ),
    "shop.json#n2": (
        "data_integration",
        "batch_sync",
        "ben",
        "sync_group",
        [("orders", "mysql", "reader", ("orders",)), ("lake", "odps", "writer", ("ods_orders",))],
    ),
    "shop.json#n3": (
        "data_integration",
        "database_batch_sync",
        "ana",
        "",
        [
            ("orders", "mysql", "reader", ("orders_0", "orders_1")),
            ("orders_east", "mysql", "reader", ("orders_2",)),
            ("lake", "odps", "writer", ("ods_orders",)),
        ],
    ),
    "shop.json#n4": (
        "data_integration",
        "realtime_sync",
        "ana",
        "",
        [("orders", "mysql", "reader", ()), ("events", "kafka", "writer", ())],
    ),
    "shop.json#n5a": ("data_studio", "sql", "ana", "", [("orders", "mysql", "query", ("shops",))]),
    "nightly.yaml#": ("data_studio", "node", "", "", [("lake", "odps", "", ())]),
    "nightly.yaml#y1": ("data_studio", "node", "", "", [("lake", "odps", "", ())]),
    "nightly.yaml#y2": (
        "data_integration",
        "batch_sync",
        "",
        "",
        [("orders", "mysql", "reader", ("orders",)), ("lake_copy", "odps", "writer", ("ods_orders",))],
    ),
    "nightly.yaml#y3": ("data_studio", "node", "", "", [("orders", "mysql", "", ())]),
    "nightly.yaml#y4": ("data_studio", "node", "", "", [("orders_east", "", "", ())]),
    "api.yaml#p1": ("data_service", "api", "", "api_group", [("orders", "mysql", "api", ("orders",))]),
    "checks.json#r1": ("data_quality", "rule", "", "", [("orders", "mysql", "rule", ("shop.orders",))]),
    "job.json#7": (
        "data_integration",
        "database_full_incremental_sync",
        "",
        "",
        [("orders", "", "reader", ()), ("lake", "", "writer", ())],
    ),
    "shared_script.json#a": (
        "data_integration",
        "batch_sync",
        "",
        "small_group",
        [("orders_east", "mysql", "reader", ("orders",))],
    ),
    "shared_script.json#b": ("data_studio", "sql", "", "", [("orders", "mysql", "query", ())]),
    "ask.spec.json#c2": ("data_studio", "sql", "", "", [("orders", "mysql", "query", ("customers", "orders"))]),
    "sync_customers.json#c1": (
        "data_integration",
        "batch_sync",
        "cleo",
        "sync_group",
        [("orders", "mysql", "reader", ("customers",)), ("lake", "odps", "writer", ("ods_customers",))],
    ),
}


async def test_dependents_of_every_shape_are_found() -> None:
    found, unread = await scan(ADAPTER, SPECS)
    seen = {key: (one.module, one.task_kind, one.owner, one.resource_group, uses(one)) for key, one in found.items()}
    assert seen == EXPECTED
    assert {key for key, one in found.items() if one.env == "dev"} == {key for key in found if "shop.json" in key}
    assert {key: one.reason for key, one in unread.items()} == {
        "broken.json 2:37": "expecting property name enclosed in double quotes",
        "broken_code.json /spec/nodes/0/script/content!2:41": (
            "the text there is no JSON: expecting property name enclosed in double quotes"
        ),
        "lost.spec.json /spec/datasource/name": (
            "${spec.nowhere} has no value in a dataworks.properties beside the file or above it"
        ),
    }


async def test_a_definition_that_nobody_means_is_no_use() -> None:
    found, _ = await scan(ADAPTER, SPECS / "shared_script.json")
    assert "never_used" not in {use.source for one in found.values() for use in one.references}


#: Dependents of a file that are repointed together, the name, and every line that changes by it.
DIFFS = {
    "a node": (["shop.json#n1"], "lake", [('"name": "lake"\n', '"name": "lake_v2"\n')]),
    "a workflow without a type": (["shop.json#w1"], "lake", [('"name": "lake",\n', '"name": "lake_v2",\n')]),
    "a list in code that is an object": (["shop.json#n4"], "orders", [('"orders"\n', '"orders_v2"\n')]),
    "text in YAML": (
        ["nightly.yaml#y2"],
        "orders",
        [('"parameter": {"datasource": "orders", "table"', '"parameter": {"datasource": "orders_v2", "table"')],
    ),
    "one line of YAML": (
        ["nightly.yaml#y3"],
        "orders",
        [
            (
                "{id: y3, name: ask, datasource: {name: 'orders', type: mysql}}   # one line",
                "{id: y3, name: ask, datasource: {name: 'orders_v2', type: mysql}}   # one line",
            )
        ],
    ),
    "plain YAML": (["nightly.yaml#y4"], "orders_east", [("orders_east   # plain", "orders_east_v2   # plain")]),
    "an anchor and all who merge it": (
        ["nightly.yaml#", "nightly.yaml#y1"],
        "lake",
        [('{name: "lake", type: odps}', '{name: "lake_v2", type: odps}')],
    ),
    "a definition": (["shared_script.json#b"], "orders", [('"name": "orders", "type"', '"name": "orders_v2", "type"')]),
    "settings of a job": (
        ["job.json#7"],
        "lake",
        [('[{"DataSourceName": "lake"}]', '[{"DataSourceName": "lake_v2"}]')],
    ),
    "Windows' line ends": (["checks.json#r1"], "orders", [('"name": "orders",\r\n', '"name": "orders_v2",\r\n')]),
    "properties of a folder": (
        ["ask.spec.json#c2", "sync_customers.json#c1"],
        "orders",
        [("spec.datasource.name = orders\n", "spec.datasource.name = orders_v2\n")],
    ),
    "a property after a colon": (
        ["sync_customers.json#c1"],
        "lake",
        [("spec.writer : lake\n", "spec.writer : lake_v2\n")],
    ),
}


@pytest.mark.parametrize("case", DIFFS)
async def test_the_diff_is_the_name_alone_and_goes_back(case: str, tmp_path: Path) -> None:
    keys, old, expected = DIFFS[case]
    found, _ = await scan(ADAPTER, copied(SPECS, tmp_path))
    [(unit, changes)] = renames([found[key] for key in keys], old, f"{old}_v2").items()
    before = await ADAPTER.read(unit)

    after = ADAPTER.rewrite(before, changes)

    lines = changed_lines(before.text, after.text)
    assert len(lines) == len(expected)
    for (was, now), (fragment, replaced) in zip(lines, expected, strict=True):
        assert fragment in was
        assert now == was.replace(fragment, replaced)
    assert ADAPTER.rewrite(after, [one.backwards() for one in changes]) == before
    await ADAPTER.write(unit, before, after)
    assert await ADAPTER.verify(unit, after) is None
    again, _ = await scan(ADAPTER, tmp_path)
    assert {ref.source for key in keys for ref in again[key].references} >= {f"{old}_v2"}


async def test_a_name_is_escaped_as_deep_as_it_lies() -> None:
    found, _ = await scan(ADAPTER, SPECS / "shop.json")
    [(unit, changes)] = renames(found["shop.json#n3"], "orders", 'or"ders\\2').items()
    before = await ADAPTER.read(unit)
    after = ADAPTER.rewrite(before, changes)
    assert len(changed_lines(before.text, after.text)) == 1
    code = json.loads(after.text)["spec"]["workflows"][0]["nodes"][2]["script"]["content"]
    assert json.loads(json.loads(code))["steps"][0]["parameter"]["connection"][0]["datasource"] == 'or"ders\\2'


async def test_an_anchor_is_not_changed_for_one_of_its_users_alone() -> None:
    found, _ = await scan(ADAPTER, SPECS / "nightly.yaml")
    [(unit, changes)] = renames(found["nightly.yaml#y1"], "lake", "lake_v2").items()
    with pytest.raises(NotRewritable, match="anchor shares it"):
        ADAPTER.rewrite(await ADAPTER.read(unit), changes)


#: What can't be rewritten without a lie -> (file's name, its text, pointer, old, new).
REFUSED = {
    "another name stands there": ("a.json", '{"datasource": {"name": "x"}}', "/datasource/name", "orders", "y"),
    "the place is gone": ("a.json", "{}", "/datasource/name", "orders", "y"),
    "a part of a placeholder": ("a.json", '{"datasource": {"name": "${a}_x"}}', "/datasource/name", "b_x", "y"),
    "the file is broken by now": ("a.json", '{"datasource": ', "/datasource/name", "x", "y"),
    "escapes would not come back": (
        "a.json",
        '{"datasource": {"name": "\\u006frders"}}',
        "/datasource/name",
        "orders",
        "y",
    ),
    "YAML would read the plain name as true": ("a.yaml", "datasource: {name: x}", "/datasource/name", "x", "on"),
    "YAML would read a comment": ("a.yaml", "datasource: {name: x}", "/datasource/name", "x", "y # z"),
    "a definition with a connection": (
        "a.json",
        '{"spec": {"datasources": [{"id": "i", "name": "x", "config": "{}"}]}}',
        "/spec/datasources/0/name",
        "x",
        "y",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_rewritten_is_refused(case: str) -> None:
    from tasks.dependents.files.units import content

    name, text, pointer, old, new = REFUSED[case]
    with pytest.raises(NotRewritable) as refused:
        ADAPTER.rewrite(content(text), [Rename(Place(f"/specs/{name}", pointer), old, new)])
    assert f"/specs/{name}" in refused.value.where


@pytest.mark.parametrize("wrap", ["components", "paiflow", "do-while", "somethingNew"])
async def test_kinds_that_nobody_has_seen_are_found(wrap: str, tmp_path: Path) -> None:
    node = {"id": "9", "label": "?", "dataSource": {"type": "new_type", "name": "orders"}, "futureKey": [{}]}
    document = {"version": "99", "kind": "Unheard", "spec": {wrap: {"nodes": [[{"deep": node}]]}}}
    (tmp_path / "new.json").write_text(json.dumps(document))
    (tmp_path / "new.yml").write_text(yaml.safe_dump_all([document, document]))
    found, unread = await scan(ADAPTER, tmp_path)
    assert not unread
    assert {key: uses(one) for key, one in found.items()} == {
        key: [("orders", "new_type", "", ())]
        for key in ("new.json#9", "new.yml#9", "new.yml#9/1/spec/" + wrap + "/nodes/0/0/deep")
    }
    for unit, changes in renames([*found.values()], "orders", "orders_v2").items():
        before = await ADAPTER.read(unit)
        assert changed_lines(before.text, ADAPTER.rewrite(before, changes).text)


async def test_a_spec_inside_of_an_answer_of_the_api_is_read_as_a_spec(tmp_path: Path) -> None:
    node = {"id": "9", "name": "inner", "datasource": {"name": "orders"}, "script": {"runtime": {"command": "MYSQL"}}}
    node["script"] |= {"content": "select * from shops"}
    spec = json.dumps({"kind": "CycleWorkflow", "spec": {"workflows": [{"id": "8", "nodes": [node]}]}})
    (tmp_path / "answer.json").write_text(
        json.dumps({"PagingInfo": {"Nodes": [{"Id": 1, "Owner": "ana", "Spec": spec}]}})
    )
    found, _ = await scan(ADAPTER, tmp_path)
    [(key, one)] = found.items()
    assert (key, one.task_kind, one.owner) == ("answer.json#9", "sql", "ana")
    assert uses(one) == [("orders", "", "query", ("shops",))]
    assert one.references[0].places[0].pointer == ("/PagingInfo/Nodes/0/Spec!/spec/workflows/0/nodes/0/datasource/name")


#: What the real exports hold: file -> (dependent's name, source, type, role).
REAL = {
    "real-case-single-sql-spec.json": [("SQL导入海豚测试", "odps_first", "odps", "query")],
    "real-case-single-python-spec.json": [("python3节点", "odps_first", "odps", "")],
    "dowhile.yaml": [("sql_dowhile_01", "odps_first", "odps", "query")],
    "file_resource.json": [("file2.jar", "emr_0", "emr", "")],
    "function.json": [("geo_loc", "autotest", "odps", "")],
    "dataservice.yaml": [("func_1", "datasource_1", "datasource", "api"), ("func_2", "datasource_1", "", "api")],
}


async def test_real_exports_are_read_and_rewritten(tmp_path: Path) -> None:
    folder = real("flowspec")
    if folder is None:
        folder, expected = SPECS, {}
    else:
        expected = REAL
    folder = copied(folder, tmp_path)
    found, unread = await scan(ADAPTER, folder)
    seen = dict[str, list[tuple[str, str, str, str]]]()
    for one in found.values():
        for use in one.references:
            seen.setdefault(Path(one.unit).name, []).append((one.name, use.source, use.type, use.role))
    if expected:
        assert seen == expected
        assert not unread
    for name in sorted({use.source for one in found.values() for use in one.references}):
        for unit, changes in renames([*found.values()], name, "moved").items():
            before = await ADAPTER.read(unit)
            after = ADAPTER.rewrite(before, changes)
            differing = changed_lines(before.text, after.text)
            assert 0 < len(differing) <= len(set(changes))
            assert all(was.replace(name, "moved") == now.replace(name, "moved") for was, now in differing)
            assert ADAPTER.rewrite(after, [change.backwards() for change in changes]) == before


@pytest.mark.parametrize(
    ("parameter", "needs"),
    [
        ({}, {}),
        ({"writeMode": "insert"}, {}),
        ({"writeMode": "replace"}, {"lines": {"INSERT", "DELETE"}}),
        ({"writeMode": "update"}, {"lines": {"INSERT", "UPDATE"}}),
        ({"conflictMode": "upsert"}, {"lines": {"INSERT", "UPDATE"}}),
        ({"truncate": True}, {"lines": {"INSERT", "TRUNCATE"}}),
        ({"preSql": ["delete from lines"]}, {"lines": {"INSERT", "DELETE"}}),
        ({"preSql": ["delete from lines where day = '${bizdate}'"]}, {"lines": {"INSERT", "DELETE", "SELECT"}}),
        ({"postSql": "update other set done = 1"}, {}),
        ({"writeMode": "update", "preSql": "truncate table lines"}, {"lines": {"INSERT", "UPDATE", "TRUNCATE"}}),
    ],
)
async def test_a_writer_tells_what_it_does_with_its_table(
    parameter: dict[str, object], needs: dict[str, set[str]], tmp_path: Path
) -> None:
    step = {
        "stepType": "mysql",
        "category": "writer",
        "parameter": {"datasource": "shop", "table": "lines", **parameter},
    }
    (tmp_path / "code.json").write_text(json.dumps({"type": "job", "steps": [step]}))
    found, _ = await scan(ADAPTER, tmp_path)
    [[reference]] = [one.references for one in found.values()]
    assert {table: set(words) for table, words in reference.needs.items()} == needs


async def test_code_of_version_1_names_its_sources_in_reader_and_writer(tmp_path: Path) -> None:
    sides = {
        "reader": {"plugin": "mysql", "parameter": {"datasource": "orders", "table": "o"}},
        "writer": {"plugin": "odps", "parameter": {"datasource": "lake", "table": "ods_orders"}},
    }
    code = json.dumps({"type": "job", "version": "1.0", "configuration": sides})
    spec = {"spec": {"nodes": [{"id": "1", "script": {"runtime": {"command": "DI"}, "content": code}}]}}
    (tmp_path / "old.json").write_text(json.dumps(spec))
    found, _ = await scan(ADAPTER, tmp_path)
    one = found["old.json#1"]
    assert (one.module, one.task_kind) == ("data_integration", "batch_sync")
    assert uses(one) == [("orders", "mysql", "reader", ("o",)), ("lake", "odps", "writer", ("ods_orders",))]


async def test_a_plain_name_counts_in_nodes_of_a_spec_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(
        "spec:\n  nodes:\n  - name: a\n    datasource: orders\n    variables: {datasource: orders}\n"
    )
    (tmp_path / "dashboard.json").write_text(
        '{"panels": [{"datasource": "orders"}], "nodes": [{"datasource": "orders"}]}'
    )
    (tmp_path / "program.yml").write_text(
        "spring:\n  datasource:\n    name: orders\n    url: jdbc:mysql://shop/orders\n"
    )
    found, unread = await scan(ADAPTER, tmp_path)
    assert {key: [place.pointer for ref in one.references for place in ref.places] for key, one in found.items()} == {
        "plain.yaml#a": ["/spec/nodes/0/datasource"]
    }
    assert not unread


async def test_properties_of_folders_above_count_where_nearer_ones_say_nothing(tmp_path: Path) -> None:
    spec = '{"spec": {"nodes": [{"id": "%s", "datasource": {"name": "${spec.datasource.name}"}}]}}'
    root = tmp_path / "specs"
    (root / "near").mkdir(parents=True)
    (root / "far" / "deep").mkdir(parents=True)
    for at in ("near", "far/deep"):
        (root / at / "a.spec.json").write_text(spec % at)
    (root / "near" / "dataworks.properties").write_text("spec.datasource.name=lines\n")
    (root / "far" / "deep" / "dataworks.properties").write_text("spec.other=1\n")
    (root / "dataworks.properties").write_text("spec.datasource.name=orders\n")
    (tmp_path / "dataworks.properties").write_text("spec.datasource.name=of_others\n")
    found, _ = await scan(ADAPTER, root)
    assert {one.references[0].source: one.references[0].places[0].unit for one in found.values()} == {
        "lines": str(root / "near" / "dataworks.properties"),
        "orders": str(root / "dataworks.properties"),
    }
    (root / "dataworks.properties").unlink()
    found, unread = await scan(ADAPTER, root)
    assert [one.references[0].source for one in found.values()] == ["lines"]
    assert [one.place.pointer for one in unread.values()] == ["/spec/nodes/0/datasource/name"]


async def test_thousands_of_names_in_one_file_are_changed_in_seconds(tmp_path: Path) -> None:
    step = {"stepType": "mysql", "category": "reader", "parameter": {"datasource": "orders"}}
    nodes = [{"id": str(at), "script": {"content": json.dumps({"steps": [step]})}} for at in range(1500)]
    (tmp_path / "large.json").write_text(json.dumps({"spec": {"nodes": nodes}}, indent=1))
    found, _ = await scan(ADAPTER, tmp_path)
    [(unit, changes)] = renames([*found.values()], "orders", "orders_v2").items()
    before = await ADAPTER.read(unit)
    started = time.process_time()
    after = ADAPTER.rewrite(before, changes)
    assert time.process_time() - started < 2.0
    assert len(after.text) == len(before.text) + 1500 * len("_v2")
