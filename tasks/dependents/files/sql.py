"""Tables in SQL text, read with sqlglot: which ones are written and which are read."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

#: Longer texts are not read, in characters.
LONGEST = 100_000

#: What a type of data source or a command of a node begins with -> sqlglot's dialect, the longest that fits.
#: MaxCompute and EMR speak Hive's, Hologres, Kingbase and AnalyticDB for PostgreSQL PostgreSQL's.
_DIALECTS: Mapping[str, str] = {
    "analyticdb_for_mysql": "mysql",
    "analyticdb_for_postgresql": "postgres",
    "ads": "mysql",
    "adb_mysql": "mysql",
    "adb_postgres": "postgres",
    "apsaradb_for_oceanbase": "mysql",
    "bigquery": "bigquery",
    "cdh_hive": "hive",
    "cdh_presto": "presto",
    "cdh_spark": "spark",
    "clickhouse": "clickhouse",
    "databricks": "databricks",
    "doris": "doris",
    "drds": "mysql",
    "emr_hive": "hive",
    "emr_presto": "presto",
    "emr_spark": "spark",
    "emr_trino": "trino",
    "hive": "hive",
    "holo": "postgres",
    "hybriddb_for_postgresql": "postgres",
    "kingbase": "postgres",
    "mariadb": "mysql",
    "maxcompute": "hive",
    "mysql": "mysql",
    "oceanbase": "mysql",
    "odps": "hive",
    "oracle": "oracle",
    "polardb": "mysql",
    "polardb_o": "oracle",
    "polardbo": "oracle",
    "postgre": "postgres",
    "presto": "presto",
    "redshift": "redshift",
    "selectdb": "doris",
    "snowflake": "snowflake",
    "spark": "spark",
    "sqlserver": "tsql",
    "starrocks": "starrocks",
    "tidb": "mysql",
    "trino": "trino",
    "vertica": "postgres",
}

#: Values that a scheduler puts in: `${bizdate}`, `$[yyyymmdd]`, `{{ ds }}`.
_PARAMETER = re.compile(r"\$\{[^{}]*\}|\$\[[^\[\]]*\]|\{\{[^{}]*\}\}")
#: What MaxCompute adds to the definition of a table.
_LIFECYCLE = re.compile(r"\blifecycle\s+\d+", re.IGNORECASE)
#: What is created, changed and dropped beside tables and views.
_NO_TABLES = frozenset({"FUNCTION", "PROCEDURE", "SCHEMA", "DATABASE", "SEQUENCE", "ROLE", "USER"})
_STANDS_IN = "parameter__"
_WRITES = re.compile(r"(?:^|;)\s*(?:insert|update|delete|merge|replace|create|drop|alter|truncate|load)\b", re.I)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Tables:
    """The tables of statements, named as they are written there, without those whose name holds a parameter.

    Attributes:
        writes: Whether any statement changes something.
        needs: Table that is written -> what is done with it, in the words of GRANT.
    """

    written: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    writes: bool = False
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def dialect(*hints: str) -> str:
    """sqlglot's name of the dialect that a command or a type speaks, the first that is known; empty: none."""
    for hint in (hint.lower().replace("-", "_") for hint in hints):
        known = [begin for begin in _DIALECTS if hint.startswith(begin)]
        if known:
            return _DIALECTS[max(known, key=len)]
    return ""


@lru_cache(maxsize=4096)
def tables(text: str, spoken: str) -> Tables:
    """The tables of all statements of a text; what sqlglot can't read has none."""
    plain = _LIFECYCLE.sub("", _PARAMETER.sub(_STANDS_IN, text))
    writes = bool(_WRITES.search(_COMMENT.sub(" ", plain)))
    written, read = dict[str, None](), dict[str, None]()
    needs = defaultdict[str, dict[str, None]](dict)
    for statement in _statements(plain, spoken):
        targets = {id(table) for table in _targets(statement)}
        for table in _used(statement):
            name = ".".join(part.name for part in table.parts)
            if name and _STANDS_IN not in name:
                (written if id(table) in targets else read)[name] = None
                if id(table) in targets:
                    needs[name] |= dict.fromkeys(_needed(statement))
    said = {name: tuple(words) for name, words in needs.items() if words}
    return Tables(tuple(written), tuple(read), writes, said)


def _needed(statement: Any) -> Iterator[str]:
    """What a statement does with the tables that it changes; nothing where that is more than a matter of rows."""
    from sqlglot import exp

    if isinstance(statement, exp.Merge):
        done = {type(one) for one in statement.find_all(exp.Insert, exp.Update)}
        yield from (word for kind, word in ((exp.Insert, "INSERT"), (exp.Update, "UPDATE")) if kind in done)
        if any(str(one.args.get("then")).upper() == "DELETE" for one in statement.find_all(exp.When)):
            yield "DELETE"
    elif isinstance(statement, exp.Insert):
        yield "INSERT"
        conflict = statement.args.get("conflict")
        if conflict is not None and conflict.expressions:
            yield "UPDATE"
    else:
        words = ((exp.Update, "UPDATE"), (exp.Delete, "DELETE"), (exp.TruncateTable, "TRUNCATE"))
        yield from (word for kind, word in words if isinstance(statement, kind))


def _statements(text: str, spoken: str) -> list[Any]:
    if len(text) > LONGEST:
        return []
    import sqlglot
    from sqlglot.errors import SqlglotError

    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of each statement that it passes on unread
    try:
        return [statement for statement in sqlglot.parse(text, read=spoken or None) if statement is not None]
    except (SqlglotError, ValueError, RecursionError):
        return []


def _targets(statement: Any) -> list[Any]:
    """The tables that a statement changes."""
    from sqlglot import exp

    if isinstance(statement, exp.TruncateTable):
        return list(statement.expressions)
    if isinstance(statement, exp.Drop):
        return list(statement.args.get("tables") or [statement.this])
    kinds = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Alter, exp.LoadData)
    changed = statement.this if isinstance(statement, kinds) else None
    return [changed.find(exp.Table)] if isinstance(changed, exp.Expression) else []


def _used(statement: Any) -> Iterator[Any]:
    """Its tables, without what it names itself."""
    from sqlglot import exp

    if isinstance(statement, exp.Use | exp.Command) or str(statement.args.get("kind")).upper() in _NO_TABLES:
        return
    own = {one.alias_or_name.lower() for one in statement.find_all(exp.CTE)}
    for table in statement.find_all(exp.Table):
        if table.db or table.name.lower() not in own:
            yield table
