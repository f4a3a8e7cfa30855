"""Exports of DolphinScheduler: ids are names by its pages, and a name is written as the id that it has there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.dependents import FoundDependent, NotRewritable
from tasks.dependents.dolphinscheduler import ADAPTER
from tests.tasks.dependents.scanning import EXAMPLES, changed_lines, copied, real, renames, scan

EXPORTS = EXAMPLES / "dolphinscheduler"


def uses(found: FoundDependent) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [(one.source, one.type, one.role, one.objects) for one in found.references]


async def test_tasks_are_found_with_the_names_of_their_ids() -> None:
    found, unread = await scan(ADAPTER, EXPORTS)
    assert {key: (one.module, one.task_kind, one.owner, uses(one)) for key, one in found.items()} == {
        "shop.json#501": (
            "data_studio",
            "sql",
            "ana",
            [("orders", "mysql", "writer", ("daily",)), ("orders", "mysql", "query", ("orders",))],
        ),
        "shop.json#502": (
            "data_integration",
            "batch_sync",
            "ana",
            [("orders", "mysql", "reader", ("orders",)), ("lake", "hive", "writer", ("ods_orders",))],
        ),
        "old.json#tasks-9": ("data_studio", "sql", "", [("orders", "mysql", "query", ("orders",))]),
    }
    assert {key: one.reason for key, one in unread.items()} == {
        "shop.json /0/taskDefinitionList/2/taskParams/datasource": (
            "no page of data sources beside the export has the id 99"
        )
    }


@pytest.mark.parametrize(
    ("key", "old", "new", "was", "now"),
    [
        ("shop.json#501", "orders", "orders_v2", '\\"datasource\\": 1,', '\\"datasource\\": 2,'),
        ("shop.json#502", "orders", "lake", '"dataSource": 1,', '"dataSource": 12,'),
        ("shop.json#502", "lake", "orders", '"dataTarget": 12,', '"dataTarget": 1,'),
        ("old.json#tasks-9", "orders", "lake", '\\"datasource\\": \\"1\\"', '\\"datasource\\": \\"12\\"'),
    ],
)
async def test_the_id_changes_and_goes_back(key: str, old: str, new: str, was: str, now: str) -> None:
    found, _ = await scan(ADAPTER, EXPORTS)
    [(unit, changes)] = renames(found[key], old, new).items()
    before = await ADAPTER.read(unit)
    after = ADAPTER.rewrite(before, changes)
    [(line, changed)] = changed_lines(before.text, after.text)
    assert changed == line.replace(was, now) != line
    assert ADAPTER.rewrite(after, [one.backwards() for one in changes]) == before


@pytest.mark.parametrize(("new", "told"), [("nowhere", "have no sources named"), ("twice", "have 2 sources named")])
async def test_a_name_without_one_id_is_refused(new: str, told: str) -> None:
    found, _ = await scan(ADAPTER, EXPORTS)
    [(unit, changes)] = renames(found["shop.json#501"], "orders", new).items()
    with pytest.raises(NotRewritable, match=told):
        ADAPTER.rewrite(await ADAPTER.read(unit), changes)


async def test_real_exports_are_read_and_rewritten(tmp_path: Path) -> None:
    folder = real("dolphinscheduler")
    if folder is None:
        return
    found, unread = await scan(ADAPTER, copied(folder, tmp_path))
    assert not unread
    assert {key: uses(one) for key, one in found.items()} == {
        "singleSqlNode-dolphin.json#13821670806241": [("spark_conn", "spark", "query", ())],
        "sql-python-dolphin.json#14022067659489": [("spark_conn", "spark", "query", ())],
    }
    for unit, changes in renames([*found.values()], "spark_conn", "mysql_conn").items():
        before = await ADAPTER.read(unit)
        after = ADAPTER.rewrite(before, changes)
        [(was, now)] = changed_lines(before.text, after.text)
        assert (was.strip(), now.strip()) == ('"datasource": 1,', '"datasource": 3,')
        assert ADAPTER.rewrite(after, [one.backwards() for one in changes]) == before


async def test_an_export_of_version_3_3_with_every_kind_of_task(tmp_path: Path) -> None:
    def task(code: int, kind: str, params: dict[str, Any]) -> dict[str, Any]:
        return {"code": code, "name": f"t{code}", "taskType": kind, "taskParams": params, "workerGroup": "default"}

    check = {"src_connector_type": 0, "src_datasource_id": "1", "src_table": "daily", "target_datasource_id": "2"}
    tasks = [
        task(1, "PROCEDURE", {"type": "MYSQL", "datasource": 1, "method": "call p()"}),
        task(
            2,
            "DATAX",
            {"customConfig": 0, "dataSource": 1, "dataTarget": 2, "sql": "select * from a", "targetTable": "b"},
        ),
        task(3, "DATAX", {"customConfig": 1, "json": '{"job": {}}', "dataSource": 0, "dataTarget": 0}),
        task(4, "DATA_QUALITY", {"ruleId": 1, "ruleInputParameter": check}),
        task(5, "SUB_WORKFLOW", {"workflowDefinitionCode": 7}),
        task(6, "SHELL", {"rawScript": "echo datasource 1", "localParams": [{"prop": "datasource", "value": "1"}]}),
    ]
    workflow = {"code": 7, "name": "nightly", "userName": "ana", "releaseState": "ONLINE"}
    (tmp_path / "export.json").write_text(json.dumps([{"workflowDefinition": workflow, "taskDefinitionList": tasks}]))
    listed = [{"id": 1, "name": "orders", "type": "MYSQL"}, {"id": 2, "name": "lake", "type": "HIVE"}]
    (tmp_path / "datasources.json").write_text(json.dumps({"code": 0, "data": listed}))

    found, unread = await scan(ADAPTER, tmp_path)
    assert not unread
    assert {key: (one.owner, one.details["process"], uses(one)) for key, one in found.items()} == {
        "export.json#1": ("ana", "nightly", [("orders", "mysql", "query", ())]),
        "export.json#2": (
            "ana",
            "nightly",
            [("orders", "mysql", "reader", ("a",)), ("lake", "hive", "writer", ("b",))],
        ),
        "export.json#4": ("ana", "nightly", [("orders", "mysql", "rule", ("daily",)), ("lake", "hive", "rule", ())]),
    }
