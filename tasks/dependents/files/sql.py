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

#: Values that a scheduler or a template puts in: `${bizdate}`, `$[yyyymmdd]`, `{{ ds }}`, `#{id}`.
_PARAMETER = re.compile(r"[$#]\{[^{}]*\}|\$\[[^\[\]]*\]|\{\{.*?(?:\}\}|\Z)", re.DOTALL)
#: What templates say to themselves: `{% if x %}`, `{# why #}`.
_TEMPLATE = re.compile(r"\{%.*?(?:%\}|\Z)|\{#.*?(?:#\}|\Z)", re.DOTALL)
#: What MaxCompute adds to the definition of a table.
_LIFECYCLE = re.compile(r"\blifecycle\s+\d+", re.IGNORECASE)
#: What is created, changed and dropped beside tables and views.
_NO_TABLES = frozenset({"FUNCTION", "PROCEDURE", "SCHEMA", "DATABASE", "SEQUENCE", "ROLE", "USER"})
_STANDS_IN = "parameter__"
_WRITES = re.compile(
    r"(?:^|;|\bbegin)\s*(?:insert|update|delete|merge|replace|create|drop|alter|truncate|load)\b", re.IGNORECASE
)
#: MySQL's REPLACE, with or without INTO, where a statement begins: at the start, behind another one or a comment, in a
#: block.
_REPLACE = re.compile(
    r"""(\A|;|\bbegin\b|\*/|(?:--|\#)[^\n]*\n)\s*replace\s+(?:(?:low_priority|delayed)\s+)?
    (?:into\s+|(?!(?:table|view|dictionary|function|procedure)\b))
    ((?:`[^`]+`|"[^"]+"|[\w$]+)(?:\s*\.\s*(?:`[^`]+`|"[^"]+"|[\w$]+))*)(?=[\s(])""",
    re.IGNORECASE | re.VERBOSE,
)
#: What sqlglot does not know -> what it knows that touches the same tables: a macro's call before a statement, MySQL's
#: REPLACE (which deletes and inserts), a variable of MaxCompute's scripts, the end of a batch of SQL Server.
_REWORDED = (
    (re.compile(rf"(\A|;)\s*{_STANDS_IN}\s*(?=(?:with|select|insert|merge|create|delete|update)\b)", re.I), r"\1 "),
    (_REPLACE, r"\1 delete from \2; insert into \2"),
    (re.compile(r"@\w+\s*:="), ""),
    (re.compile(r"^[ \t]*go[ \t]*\r?$", re.I | re.M), ";"),
)
#: One statement; a quotation or a comment that is never closed reaches to the end.
_PIECE = re.compile(
    r"""(?:'(?:[^'\\]|\\.)*(?:'|\Z)|"(?:[^"\\]|\\.)*(?:"|\Z)|`[^`]*(?:`|\Z)|--[^\n]*|/\*.*?(?:\*/|\Z)|[^;])+""",
    re.DOTALL,
)
#: What opens a block of procedural SQL.
_BLOCK = re.compile(r"\s*(?:declare\b.*?)?\bbegin\b", re.I | re.DOTALL)
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
    plain = _LIFECYCLE.sub("", _PARAMETER.sub(_STANDS_IN, _TEMPLATE.sub(" ", text)))
    writes = bool(_WRITES.search(_COMMENT.sub(" ", plain)))
    written, read = dict[str, None](), dict[str, None]()
    needs = defaultdict[str, dict[str, None]](dict)
    for statement in _statements(_reworded(plain), spoken):
        changes = {id(table): change for change in _changes(statement) for table in _targets(change)}
        for table in _used(statement):
            name = ".".join(part.name for part in table.parts)
            if not name or _STANDS_IN in name or "@" in name:  # a stage, or a table beyond a link of databases
                continue
            (written if id(table) in changes else read)[name] = None
            if id(table) in changes:
                needs[name] |= dict.fromkeys(_needed(changes[id(table)], table))
    said = {name: tuple(words) for name, words in needs.items() if words}
    return Tables(tuple(written), tuple(read), writes or bool(written), said)


def _reworded(text: str) -> str:
    for pattern, words in _REWORDED:
        text = pattern.sub(words, text)
    return text


def _needed(statement: Any, table: Any) -> Iterator[str]:
    """What a statement does with a table that it changes; nothing where that is more than a matter of rows."""
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
    if _looks(statement, table):
        yield "SELECT"


def _looks(statement: Any, table: Any) -> bool:
    """Whether a statement reads columns of the rows that it changes: in a condition, a value, or what it returns."""
    from sqlglot import exp

    inserts = isinstance(statement, exp.Insert)
    parts = [statement.args.get(part) for part in ("conflict", "returning")] if inserts else [statement]
    # PostgreSQL looks at the columns of a constraint that is named, MariaDB at every column that is set on a duplicate
    # key. MySQL does not, but which of the two answers is not told by a type or a dialect.
    if parts[0] is not None and any(parts[0].args.get(word) for word in ("constraint", "duplicate")):
        return True

    def is_direct(part: Any) -> bool:
        return part.find_ancestor(exp.Select, type(statement)) is statement

    # A bare column beside another table may be of either.
    alone = inserts or not any(one is not table and is_direct(one) for one in statement.find_all(exp.Table))
    own = table.alias_or_name.lower()
    columns = [one for part in parts if part is not None for one in part.find_all(exp.Column) if not _is_set(one)]
    return any(one.table.lower() == own if one.table else alone and is_direct(one) for one in columns)


def _is_set(column: Any) -> bool:
    """Whether a column stands where it is given a value, or is named to get one."""
    from sqlglot import exp

    place = column.parent if isinstance(column.parent, exp.Tuple) else column
    given = place.parent
    if isinstance(given, exp.EQ) and given.this is place:
        return isinstance(given.parent, exp.Update | exp.OnConflict) and given.arg_key == "expressions"
    return isinstance(given, exp.Insert)


def _statements(text: str, spoken: str) -> list[Any]:
    if len(text) > LONGEST:
        return []
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of each statement that it passes on unread
    found = _parsed(text, spoken)
    if found is not None:
        return found
    pieces = [piece[0] for piece in _PIECE.finditer(text)]
    return [statement for piece in pieces for statement in _piece(piece, spoken)]


def _piece(text: str, spoken: str) -> list[Any]:
    """One statement of a text that has something in it which can't be read."""
    block = _BLOCK.match(text)
    for words in (text, text[block.end() :]) if block else (text,):
        for dialect in (spoken, ""):
            found = _parsed(words, dialect)
            if found is not None:
                return found
    return []


def _parsed(text: str, spoken: str) -> list[Any] | None:
    """The statements of a text; None: it can't be read."""
    import sqlglot

    try:
        return [statement for statement in sqlglot.parse(text, read=spoken or None) if statement is not None]
    except Exception:  # a parser of everybody's SQL fails in many ways, and none of them may end a scan
        return None


def _changes(statement: Any) -> list[Any]:
    """What changes tables in a statement: itself, or what it holds."""
    from sqlglot import exp

    kinds = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Alter, exp.LoadData, exp.Copy)
    return [*statement.find_all(*kinds, exp.TruncateTable, exp.Drop)]


def _targets(statement: Any) -> list[Any]:
    """The tables that a statement changes."""
    from sqlglot import exp

    if isinstance(statement, exp.Copy) and not statement.args.get("kind"):
        return []
    if named := _named(statement):
        words = {table.name.lower() for table in named}
        others = (table for table in statement.find_all(exp.Table) if not any(table is one for one in named))
        return [table for table in others if table.alias_or_name.lower() in words]
    if isinstance(statement, exp.TruncateTable):
        return list(statement.expressions)
    if isinstance(statement, exp.Drop):
        return list(statement.args.get("tables") or [statement.this])
    return [statement.this.find(exp.Table)] if isinstance(statement.this, exp.Expression) else []


def _named(statement: Any) -> list[Any]:
    """What MySQL's DELETE names between DELETE and FROM: tables that it gives again there, mostly by their aliases."""
    from sqlglot import exp

    return list(statement.args.get("tables") or ()) if isinstance(statement, exp.Delete) else []


def _used(statement: Any) -> Iterator[Any]:
    """Its tables, without what it names itself."""
    from sqlglot import exp

    if (
        isinstance(statement, exp.Use | exp.Command | exp.Execute)
        or str(statement.args.get("kind")).upper() in _NO_TABLES
    ):
        return
    own = {one.alias_or_name.lower() for one in statement.find_all(exp.CTE)}
    named = {id(table) for delete in statement.find_all(exp.Delete) for table in _named(delete)}
    for table in statement.find_all(exp.Table):
        is_variable = isinstance(table.this, exp.Parameter) or table.this.args.get("temporary")
        if id(table) not in named and not is_variable and (table.db or table.name.lower() not in own):
            yield table
