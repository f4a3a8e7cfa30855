"""Files of SQL: the source they are said to run on, and the tables that their statements name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dependents import NotRewritable, Place, Rename
from tasks.dependents.files import sql
from tasks.dependents.files.units import content
from tasks.dependents.sql_text import ADAPTER
from tests.tasks.dependents.scanning import EXAMPLES, changed_lines, copied, renames, scan

FILES = EXAMPLES / "sql_text"


async def test_files_that_say_their_source_are_found() -> None:
    found, unread = await scan(ADAPTER, FILES)
    assert not unread
    assert {
        key: (
            one.owner,
            Path(one.references[0].places[0].unit).name,
            [(use.source, use.role, use.objects) for use in one.references],
        )
        for key, one in found.items()
    } == {
        "daily.sql": ("ana", "daily.sql", [("orders", "writer", ("daily",)), ("orders", "query", ("orders",))]),
        "shop_by_year.sql": ("", "headwater.yaml", [("orders", "query", ("customers", "orders"))]),
        "strange.sql": ("", "strange.sql", [("orders", "query", ())]),
        "visits.sql": ("", "headwater.yaml", [("lake", "query", ("visits",))]),
    }


@pytest.mark.parametrize(
    ("key", "old", "was", "now"),
    [
        ("daily.sql", "orders", "-- datasource: orders\n", "-- datasource: orders_v2\n"),
        ("strange.sql", "orders", "-- datasource: orders\r\n", "-- datasource: orders_v2\r\n"),
        ("visits.sql", "lake", "datasource: lake   # most", "datasource: lake_v2   # most"),
        ("shop_by_year.sql", "orders", "'shop_*.sql': \"orders\"", "'shop_*.sql': \"orders_v2\""),
    ],
)
async def test_the_name_changes_where_it_is_said(key: str, old: str, was: str, now: str, tmp_path: Path) -> None:
    found, _ = await scan(ADAPTER, copied(FILES, tmp_path))
    [(unit, changes)] = renames(found[key], old, f"{old}_v2").items()
    before = await ADAPTER.read(unit)
    after = ADAPTER.rewrite(before, changes)
    [(line, changed)] = changed_lines(before.text, after.text)
    assert changed == line.replace(was, now) != line
    assert ADAPTER.rewrite(after, [one.backwards() for one in changes]) == before


@pytest.mark.parametrize(
    ("pointer", "old", "new"),
    [("1:16", "orders", "x y"), ("1:16", "other", "x"), ("2:1", "orders", "x"), ("9:1", "a", "b")],
)
def test_what_is_not_said_there_is_not_rewritten(pointer: str, old: str, new: str) -> None:
    text = "-- datasource: orders\norders\n"
    with pytest.raises(NotRewritable):
        ADAPTER.rewrite(content(text), [Rename(Place("/q/a.sql", pointer), old, new)])


async def test_files_with_a_broken_mapping_are_told(tmp_path: Path) -> None:
    (tmp_path / "headwater.yaml").write_text("datasource: [\n")
    (tmp_path / "a.sql").write_text("select 1")
    (tmp_path / "b.sql").write_text("-- datasource: orders\nselect 1")
    found, unread = await scan(ADAPTER, tmp_path)
    assert [*found] == ["b.sql"]
    assert [*unread] == ["a.sql "]
    assert "headwater.yaml:2:1 beside it" in unread["a.sql "].reason


#: Statement, the type or command that it is written for -> tables that are written, tables that are read.
STATEMENTS = {
    ("select * from a join s.b using (x)", "mysql"): ((), ("a", "s.b")),
    ("with a as (select * from b) select * from a, s.a", "postgresql"): ((), ("s.a", "b")),
    ("insert overwrite table t partition (ds='${bizdate}') select * from s", "ODPS_SQL"): (("t",), ("s",)),
    ("create table t as select * from s", "HOLOGRES_SQL"): (("t",), ("s",)),
    ("update t set x = 1 where y in (select y from u)", "mysql"): (("t",), ("u",)),
    ("merge into t using s on t.x = s.x when matched then delete", "oracle"): (("t",), ("s",)),
    ("truncate table t; drop table u", "mysql"): (("t", "u"), ()),
    ("create table if not exists t (a string) lifecycle 7", "ODPS_SQL"): (("t",), ()),
    ("create function f as 'x'; drop schema s", "hive"): ((), ()),
    ("insert into t select * from t", "mysql"): (("t",), ("t",)),
    ("select * from [a b].[c]", "sqlserver"): ((), ("a b.c",)),
    ("select * from orders_${bizdate}, {{ table }}", "hive"): ((), ()),
    ("use shop; set x = 1", "hive"): ((), ()),
    ("", "mysql"): ((), ()),
    ("this is no SQL (((", "mysql"): ((), ()),
    ("select 1; {% if x %} insert into t select * from s {% endif %}; select * from z {# why #}", "mysql"): (
        ("t",),
        ("s", "z"),
    ),
    (
        "{{ config(meta={'a': 1}) }}\nwith a as (select * from {{ ref('x') }}) select * from a join raw.o using (id)",
        "",
    ): (
        (),
        ("raw.o",),
    ),
    ("select * from a where b = #{id}; select * from c where x = :y", "mysql"): ((), ("a", "c")),
    ("@a := select * from ods.s; insert into t select * from @a", "odps"): (("t",), ("ods.s",)),
    ("from src insert overwrite table d1 select * insert overwrite table d2 select *", "hive"): (
        ("d1", "d2"),
        ("src",),
    ),
    ("select * from t1;\nselect $$$ broken from;\nselect 'a;b' from t3 -- x;y", "hive"): ((), ("t1", "t3")),
    ("select * from t1\nGO\nexec p\r\nGO\ninsert into #tmp select * from t2", "sqlserver"): ((), ("t1", "t2")),
    ("DECLARE x number;\nBEGIN\n  INSERT INTO hr.a SELECT * FROM hr.b@far;\n  COMMIT;\nEND;\n/", "oracle"): (
        ("hr.a",),
        (),
    ),
    ("delete a from orders a join users b on a.id = b.id", "mysql"): (("orders",), ("users",)),
    ("replace into `r` select * from q", "mysql"): (("r",), ("q",)),
    ("copy t from stdin; copy u to stdout", "postgresql"): (("t",), ("u",)),
    ("with d as (delete from q returning *) insert into arch select * from d", "postgresql"): (("arch", "q"), ()),
    ("select * from t where " + "a + (" * 15_000, "mysql"): ((), ()),
    ("select " + "case when " * 5_000, "hive"): ((), ()),
}


@pytest.mark.parametrize(("statement", "written_for"), STATEMENTS, ids=lambda text: text[:40])
def test_tables_of_statements(statement: str, written_for: str) -> None:
    found = sql.tables(statement, sql.dialect(written_for))
    written, read = STATEMENTS[statement, written_for]
    assert (found.written, {*found.read}) == (written, {*read})


@pytest.mark.parametrize(
    ("text", "writes"),
    [
        ("INSERT what", True),
        ("-- insert\nselect 1", False),
        ("select 1;\n drop (", True),
        ("select 'x' /* ; drop */", False),
        ("with d as (delete from q returning *) select * from d", True),
    ],
)
def test_a_statement_that_can_not_be_read_still_tells_whether_it_writes(text: str, writes: bool) -> None:
    assert sql.tables(text, "mysql").writes is writes


_ALL_BUT_DELETE = ("INSERT", "UPDATE", "SELECT")


@pytest.mark.parametrize(
    ("text", "spoken", "needs"),
    [
        ("insert into a select * from b", "postgres", {"a": ("INSERT",)}),
        ("insert into a(id) values (1) on conflict do nothing", "postgres", {"a": ("INSERT",)}),
        ("insert into a(id) values (1) on conflict (id) do update set id = 2", "postgres", {"a": _ALL_BUT_DELETE}),
        ("insert into a(id) values (1) on duplicate key update id = 2", "mysql", {"a": _ALL_BUT_DELETE}),
        ("update a set x = 1 where id = 2; delete from b", "postgres", {"a": ("UPDATE", "SELECT"), "b": ("DELETE",)}),
        (
            "update a set x = 1; delete from b; truncate c",
            "postgres",
            {"a": ("UPDATE",), "b": ("DELETE",), "c": ("TRUNCATE",)},
        ),
        (
            "merge into a using b on a.id = b.id when matched then delete when not matched then insert values (1)",
            "postgres",
            {"a": ("INSERT", "DELETE", "SELECT")},
        ),
        ("create table a as select * from b", "postgres", {}),
        ("replace into a select * from b", "mysql", {"a": ("DELETE", "INSERT")}),
        ("replace a (id) select id from b", "mysql", {"a": ("DELETE", "INSERT")}),
        ("replace low_priority into `my shop`.`a b` set id = 1", "mysql", {"my shop.a b": ("DELETE", "INSERT")}),
        ("-- by day\nreplace into a values (1)", "mysql", {"a": ("DELETE", "INSERT")}),
        ("/* by day */ replace delayed a set id = 1", "mysql", {"a": ("DELETE", "INSERT")}),
        ("begin replace into a values (1); end", "mysql", {"a": ("DELETE", "INSERT")}),
        ("select replace(x, 'a', 'b') from a -- replace into b values (1)", "mysql", {}),
        ("create or replace view a as select * from b", "mysql", {}),
        ("select * from a", "postgres", {}),
    ],
)
def test_what_a_statement_does_with_a_table_is_what_the_account_needs(
    text: str, spoken: str, needs: dict[str, tuple[str, ...]]
) -> None:
    assert sql.tables(text, spoken).needs == needs


WORDS = (
    "select",
    "*",
    "from",
    "t",
    "insert into",
    "'",
    '"',
    "`",
    "--",
    "/*",
    "*/",
    ";",
    "{{",
    "}}",
    "{%",
    "@a :=",
    "(",
    "\n",
)


@given(
    st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=20).map(" ".join),
    st.sampled_from(["", "hive", "tsql"]),
)
def test_no_text_ends_a_scan(text: str, spoken: str) -> None:
    found = sql.tables(text, spoken)
    assert found.writes or not found.written
    assert not any("@" in name or "parameter__" in name for name in (*found.written, *found.read))
