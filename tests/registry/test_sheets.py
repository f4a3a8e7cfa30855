"""Data sources from a CSV sheet: all or none, every fault with its line and column."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import sheets, types
from registry.apply import Applied, apply_texts
from registry.errors import HeadwaterError, InvalidInputs
from registry.sheets import _read, _Reader
from registry.store import Store

SHEET = """type,name,description,tags,env,url,username,password
postgresql,orders,order book,gold;shop,0,jdbc:postgresql://dev.example.com:5432/orders,app,env:ORDERS_DEV
postgresql,orders,,,1,jdbc:postgresql://db.example.com:5432/orders,app,env:ORDERS_PROD
mysql,shop,"the shop, all of it",,prod,mysql://db.example.com/shop,app,
"""


@pytest.fixture
def retail(store: Store) -> Store:
    apply_texts(store, [("x.yaml", "version: 1\nworkspaces: [{name: retail, mode: standard}]")], store.by())
    return store


def add(store: Store, text: str, tmp_path: Path, **options: Any) -> Applied:
    file = tmp_path / "s.csv"
    file.write_text(text)
    return sheets.add_many(store, str(file), "retail", store.by("many"), **options)


def faults(store: Store, text: str, tmp_path: Path) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInputs) as refused:
        add(store, text, tmp_path)
    assert store.sources.list(workspace="retail").total == 0
    return [(one.where.removeprefix(f"{tmp_path}/"), one.reason) for one in refused.value.problems]


def test_rows_become_the_sides_of_sources(retail: Store, tmp_path: Path) -> None:
    dry = add(retail, SHEET, tmp_path, dry_run=True)
    assert retail.sources.list(workspace="retail").total == 0
    done = add(retail, SHEET, tmp_path)
    assert dry.changes == done.changes
    orders, shop = (retail.sources.get("retail", name) for name in ("orders", "shop"))
    assert (orders.description, orders.tags) == ("order book", ["gold", "shop"])
    found = {entry.env: (entry.properties["address"][0]["host"], entry.references) for entry in orders.entries}
    assert found == {
        "dev": ("dev.example.com", {"password": "env:ORDERS_DEV"}),
        "prod": ("db.example.com", {"password": "env:ORDERS_PROD"}),
    }
    assert shop.description == "the shop, all of it"
    assert retail.history("data_source:retail/shop")[0].why == "many"


def test_every_fault_is_told_with_line_and_column_and_nothing_goes_in(retail: Store, tmp_path: Path) -> None:
    text = """type,name,env,url,username,password
postgres,good,1,postgresql://db/orders,app,env:P
postgrs,a,1,postgresql://db/a,app,
mysql,1b,1,mysql://db/b,app,
mysql,c,2,mysql://db/c,app,
mysql,d,1,mysql://db/d,app,hunter2
mysql,e,1,,app,
mysql,f,1,mysql://db/f,app,,,
,g,1,mysql://db/g,app,
mysql,good,1,mysql://db/h,app,
mysql,h,1,"{x",app,
"""
    found = faults(retail, text, tmp_path)
    assert [where for where, _ in found] == [
        "s.csv:3:1: type",
        "s.csv:4:2: name",
        "s.csv:5:3: env",
        "s.csv:6:6: password",
        "s.csv:7:1: address",
        "s.csv:7:1: database",
        "s.csv:8:7",
        "s.csv:9:1: type",
        "s.csv:10:3: env",
        "s.csv:11:4: url",
    ]
    assert not [reason for _, reason in found if "hunter2" in reason]


def test_rows_of_one_source_agree(retail: Store, tmp_path: Path) -> None:
    text = """type,name,description,env,url,username
mysql,a,one,0,mysql://db/a,app
postgresql,a,one,1,postgresql://db/a,app
mysql,b,one,0,mysql://db/a,app
mysql,b,two,1,mysql://db/a,app
"""
    assert [where for where, _ in faults(retail, text, tmp_path)] == ["s.csv:3:1: type", "s.csv:5:3: description"]


def test_a_source_that_is_there_is_not_changed(retail: Store, tmp_path: Path) -> None:
    add(retail, SHEET, tmp_path)
    with pytest.raises(InvalidInputs, match=r"s.csv:2:2: name: workspace retail has a data source orders"):
        add(retail, SHEET, tmp_path)


def test_what_the_registry_refuses_is_told_at_its_row(store: Store, tmp_path: Path) -> None:
    apply_texts(store, [("x.yaml", "version: 1\nworkspaces: [{name: retail, mode: basic}]")], store.by())
    with pytest.raises(InvalidInputs, match=r"s.csv:2:1: .*a basic workspace has no environment dev"):
        add(store, SHEET, tmp_path)


def test_other_columns_are_fields_and_cells_may_be_json(retail: Store, tmp_path: Path) -> None:
    text = """name;type;address;database;username;objects
orders;postgresql;[{"host": "db", "port": 5433}];orders;app;["orders"]
"""
    add(retail, text, tmp_path)
    entry = retail.sources.get("retail", "orders").entry("prod")
    assert entry is not None
    assert (entry.properties["address"], entry.properties["objects"]) == ([{"host": "db", "port": 5433}], ["orders"])


@pytest.mark.parametrize("written", [";", "\t", ","])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_sheets_as_spreadsheets_write_them(retail: Store, tmp_path: Path, written: str, end: str) -> None:
    cells = ["mysql", "stock", '"two' + end + 'lines, or "" more; a\tb"', "jdbc:mysql://db/stock", "app"]
    lines = [["type", "name", "description", "url", "username"], cells]
    text = "\ufeff" + "".join(written.join(line) + end for line in lines)
    add(retail, text, tmp_path)
    row = retail.sources.get("retail", "stock")
    assert row.description.splitlines() == ["two", 'lines, or " more; a\tb']


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no column type"),
        ("type,url\n", "no column name"),
        ("type,name,name\n", "the column name stands twice"),
        ("type,name\n", "has no rows"),
        ('type,name\n"a', "no valid CSV"),
        ("type,name\nmysql,a\0b\n", r"s.csv:2:1: a null character"),
    ],
    ids=["empty", "no-name", "twice", "no-rows", "quote", "null"],
)
def test_what_is_no_sheet(retail: Store, tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(HeadwaterError, match=told):
        add(retail, text, tmp_path)


@pytest.mark.parametrize("name", sorted(types.catalogue()))
def test_the_template_of_every_type_is_a_sheet_that_goes_in(name: str) -> None:
    reader = _Reader(_read("t.csv", sheets.template(name)), "retail", frozenset(), {})
    ((_, (draft,)),) = reader.documents().workspaces
    assert reader.problems == []
    assert (draft.type, sorted(draft.entries)) == (name, ["dev", "prod"])


@given(
    st.text(max_size=60)
    | st.text(alphabet='type,name\n"[{;0x', max_size=80).map(lambda one: f"type,name,env,url\n{one}")
)
def test_any_text_is_read_or_told(text: str) -> None:
    with suppress(HeadwaterError):
        _Reader(_read("t.csv", text), "retail", frozenset(), {}).documents()
