"""What a FlowSpec says of the work around a name: its kind, what it does with the source, and to which tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.dependents.files import sql
from tasks.dependents.files.uses import Holder, Use, said, value

#: Where a table is named: in `parameter`, in an item of `connection`, in a rule, in an API.
_TABLES = ("table", "tables", "tableName", "tableNames", "collection", "collectionName")
#: What a writer does with rows that are there: (where it says so, what that holds, what it takes beside INSERT).
#: MySQL's `replace` deletes them, Hologres' and `update` (ON DUPLICATE KEY UPDATE) and `upsert` change them.
_MODES = (
    ("writeMode", "replace", "DELETE"),
    ("writeMode", "overwrite", "DELETE"),
    ("writeMode", "truncate", "TRUNCATE"),
    ("writeMode", "update", "UPDATE"),
    ("writeMode", "upsert", "UPDATE"),
    ("conflictMode", "replace", "UPDATE"),
    ("conflictMode", "update", "UPDATE"),
    ("conflictMode", "upsert", "UPDATE"),
)
#: Where a writer names the statements that it runs before and after.
_AROUND = ("preSql", "postSql")
_QUERIES = ("querySql", "query", "sql")
_ROLES: Mapping[str, str] = {"reader": "reader", "source": "reader", "writer": "writer", "destination": "writer"}

#: What the kind of a document, or the key that a thing stands under, begins with -> its module and the kind of work.
_PLACES: Mapping[str, tuple[str, str]] = {
    "dataservice": ("data_service", "api"),
    "apis": ("data_service", "api"),
    "dqc": ("data_quality", "rule"),
    "dataquality": ("data_quality", "rule"),
    "datacatalog": ("data_map", "collection"),
    "dataanalysis": ("data_analysis", "query"),
}
_ROLE_OF_KIND: Mapping[str, str] = {"api": "api", "rule": "rule", "query": "query"}
#: `jobType` and `migrationType` of a synchronization job (OpenAPI 2024-05-18, CreateDIJob) -> the kind of work.
_JOBS: Mapping[str, str] = {
    "singletablerealtimemigration": "realtime_sync",
    "fullandrealtimeincremental": "database_full_incremental_sync",
    "realtimeincremental": "database_realtime_sync",
    "full": "database_batch_sync",
    "offlineincremental": "database_batch_sync",
    "fullandofflineincremental": "database_batch_sync",
    "databaserealtimemigration": "database_realtime_sync",
    "databaseofflinemigration": "database_batch_sync",
}
#: The command of nodes that synchronize as it changes, and what their code calls itself.
_REALTIME = "RI"
_STREAMS = frozenset({"realtime", "stream", "streaming"})


@dataclass(frozen=True)
class Bound:
    """What is done with a source, and to which tables of it; `needs` as in `FoundReference`."""

    role: str
    type: str
    objects: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Code:
    """What something runs; each is empty where it is not said."""

    command: str = ""
    language: str = ""
    text: str = ""


def kind(use: Use, code: Code) -> tuple[str, str]:
    """The module of a use and the kind of its work, as `registry.usage` knows it."""
    if _step(use) or _side(use):
        return "data_integration", _synchronization(use, code)
    words = [word for holder in use.holders for word in (holder.key, said(holder.data, "kind"))]
    for word in words:
        for begin, found in _PLACES.items():
            if word.lower().startswith(begin):
                return found
    return "data_studio", "sql" if "SQL" in code.command.upper() else "node"


def bound(use: Use, code: Code, type: str) -> Iterator[Bound]:
    """What is done with the source: one for each role."""
    if step := _step(use):
        yield _in_step(use, step, type)
    elif side := _side(use):
        yield Bound(side, type, ())
    else:
        yield from _in_node(use, code, type)


def resource_group(use: Use) -> str:
    """The group that code of Data Integration names itself."""
    return next(
        (group for one in reversed(use.holders) if (group := said(value(one.data, "extend"), "resourceGroup"))), ""
    )


def _in_step(use: Use, step: Holder, type: str) -> Bound:
    held = use.holders[-1]
    parameter = value(step.data, "parameter")
    kind_of_source = type or said(step.data, "stepType", "plugin")
    tables = [*_named(held.data), *_queried(held.data, kind_of_source)]
    if not tables and isinstance(parameter, Mapping) and parameter is not held.data:
        tables = [*_named(parameter), *_queried(parameter, kind_of_source)]
    words = (said(step.data, "category"), step.key, said(step.data, "name"))
    role = next((_ROLES[word.lower()] for word in words if word.lower() in _ROLES), "")
    bound_tables = tuple(dict.fromkeys(tables))
    needs = _needs(parameter, bound_tables, kind_of_source) if role == "writer" else {}
    return Bound(role, kind_of_source, bound_tables, needs)


def _needs(parameter: Any, tables: Sequence[str], type: str) -> dict[str, tuple[str, ...]]:
    """What a writer does with its tables, by its mode and by the statements that it runs before and after."""
    words = ["INSERT", *(word for name, part, word in _MODES if part in said(parameter, name).lower())]
    if str(value(parameter, "truncate")).lower() == "true":
        words.append("TRUNCATE")
    needs = {table: dict.fromkeys(words) for table in tables} if len(words) > 1 else {}
    for statement in _statements(parameter):
        found = sql.tables(statement, sql.dialect(type)).needs
        for table in tables:
            if table in found:
                needs[table] = dict.fromkeys((*needs.get(table, words), *found[table]))
    return {table: tuple(dict.fromkeys(each)) for table, each in needs.items()}


def _statements(parameter: Any) -> Iterator[str]:
    for name in _AROUND:
        found = value(parameter, name)
        yield from (one for one in (found if isinstance(found, list) else [found]) if isinstance(one, str))


def _in_node(use: Use, code: Code, type: str) -> Iterator[Bound]:
    _, work = kind(use, code)
    held = use.holders[-1].data
    role = _ROLE_OF_KIND.get(work, "")
    text = code.text or said(held, "apiSql")
    if work != "sql" and not (role and text):
        named = [*_named(held), *([guid] if (guid := said(value(held, "table"), "guid")) else [])]
        yield Bound(role, type, tuple(dict.fromkeys(named)))
        return
    found = sql.tables(text, sql.dialect(code.command, type, code.language))
    if role:
        yield Bound(role, type, tuple(dict.fromkeys([*_named(held), *found.written, *found.read])))
        return
    if found.writes:
        yield Bound("writer", type, found.written, found.needs)
    if found.read or not found.writes:
        yield Bound("query", type, found.read)


def _step(use: Use) -> Holder | None:
    """The step of a synchronization that a name stands in; code of version 1 has `reader` and `writer` for it."""
    for holder in reversed(use.holders):
        words = (holder.key, said(holder.data, "category", "name"))
        if value(holder.data, "stepType") is not None or (
            value(holder.data, "parameter") is not None and any(word.lower() in _ROLES for word in words)
        ):
            return holder
    return None


def _side(use: Use) -> str:
    """reader or writer, by the settings of a job that a name stands in."""
    keys = (holder.key.lower().removesuffix("datasourcesettings") for holder in reversed(use.holders))
    return next((_ROLES[key] for key in keys if key in _ROLES), "")


def _synchronization(use: Use, code: Code) -> str:
    for holder in reversed(use.holders):
        for word in (said(holder.data, "migrationType"), said(holder.data, "jobType")):
            if word and word.lower() in _JOBS and not said(holder.data, "jobType").lower().startswith("single"):
                return _JOBS[word.lower()]
            if word.lower().startswith("singletable"):
                return "realtime_sync"
    whole = next((one.data for one in reversed(use.holders) if isinstance(value(one.data, "steps"), list)), {})
    if code.command.upper().startswith(_REALTIME) or said(whole, "type").lower() in _STREAMS:
        return "realtime_sync"
    return "database_batch_sync" if _tables_read(whole) > 1 else "batch_sync"


def _tables_read(code: Mapping[str, Any]) -> int:
    """The most tables that one step of a synchronization names."""
    steps = value(code, "steps")
    most = 0
    for step in steps if isinstance(steps, list) else []:
        parameter = value(step, "parameter")
        inner = value(parameter, "connection")
        several = [parameter, *(inner if isinstance(inner, list) else [inner])]
        most = max(most, len({name for one in several for name in _listed(one)}))
    return most


def _named(data: Any) -> Iterator[str]:
    """The tables that an object names, without those whose name holds a parameter."""
    return (name for name in _listed(data) if "$" not in name)


def _listed(data: Any) -> Iterator[str]:
    found = value(data, *_TABLES)
    for one in found if isinstance(found, list) else [found]:
        name = said(one, "guid", "name") if isinstance(one, Mapping) else one
        if isinstance(name, str) and name.strip():
            yield name.strip()


def _queried(data: Any, type: str) -> Iterator[str]:
    found = value(data, *_QUERIES)
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, str):
            yield from sql.tables(one, sql.dialect(type)).read


def code_of(runner: Mapping[str, Any], scripts: Sequence[Mapping[str, Any]]) -> Code:
    """What something runs, by its `script`: an object, or `{{id}}` of one that stands by itself."""
    script = value(runner, "script")
    if isinstance(script, str):
        wanted = script.strip(" {}").rpartition(".")[2]
        script = next((one for one in scripts if said(one, "id") == wanted), None)
    runtime = value(script, "runtime")
    text = value(script, "content", "code")
    command, language = said(runtime, "command"), said(script, "language")
    return Code(command, language, text if isinstance(text, str) else "")
