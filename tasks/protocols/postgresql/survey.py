"""What a PostgreSQL server and its tables are like, from the catalogue that every account may read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from registry.allowlists import parse
from tasks.comparison.survey import MOMENTS, MORE, MOST_OBJECTS, Column, Object, Survey, Wanted, tells_a_moment
from tasks.protocols.postgresql.wire import ServerError, quoted

if TYPE_CHECKING:
    from tasks.protocols.postgresql.session import PostgresqlSession

_SETTINGS = """
SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN (
  'server_version', 'server_encoding', 'TimeZone', 'DateStyle', 'search_path', 'max_connections', 'ssl',
  'default_transaction_read_only', 'default_transaction_isolation', 'standard_conforming_strings',
  'password_encryption', 'bytea_output', 'statement_timeout', 'idle_in_transaction_session_timeout')
UNION ALL SELECT 'lc_collate', datcollate FROM pg_catalog.pg_database WHERE datname = current_database()
UNION ALL SELECT 'lc_ctype', datctype FROM pg_catalog.pg_database WHERE datname = current_database()
UNION ALL SELECT 'in_recovery', pg_catalog.pg_is_in_recovery()::text
UNION ALL SELECT 'schemas', pg_catalog.array_to_string(pg_catalog.current_schemas(false), ', ')
"""
#: Every relation that has one of the names, those of the search path first, in its order.
_RELATIONS = """
SELECT c.oid, c.relname, n.nspname, c.relkind,
       CASE WHEN c.relkind IN ('r', 'm', 'f') THEN c.reltuples::bigint ELSE -1 END,
       pg_catalog.array_to_string(ARRAY(
         SELECT word FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) word
         WHERE pg_catalog.has_table_privilege(c.oid, word)
            OR (word IN ('SELECT', 'INSERT', 'UPDATE') AND pg_catalog.has_any_column_privilege(c.oid, word))), ','),
       pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
       pg_catalog.array_position(pg_catalog.current_schemas(false), n.nspname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND {which}
ORDER BY pg_catalog.array_position(pg_catalog.current_schemas(false), n.nspname) NULLS LAST, n.nspname, c.relname
"""
#: Superusers alone may read it; types are ``host``, ``hostssl``, ``hostnossl``, ``hostgssenc``, ``local``.
_HBA = """
SELECT line_number, address, netmask FROM pg_catalog.pg_hba_file_rules
WHERE type <> 'local' AND auth_method <> 'reject' AND address IS NOT NULL AND error IS NULL ORDER BY line_number
"""
_COLUMNS = """
SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
       EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum
               AND i.indisvalid AND i.indpred IS NULL),
       pg_catalog.array_to_string(ARRAY(
         SELECT word FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) word
         WHERE pg_catalog.has_column_privilege(a.attrelid, a.attnum, word)), ',')
FROM pg_catalog.pg_attribute a WHERE a.attrelid IN ({oids}) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
_KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}
#: SQLSTATE of a statement that took too long.
_TIMED_OUT = "57014"


class _Relation:
    """One row of `_RELATIONS` with its columns."""

    def __init__(self, row: Sequence[str | None]) -> None:
        self.oid, self.name, self.schema, kind = (str(value) for value in row[:4])
        self.kind = _KINDS.get(kind, kind)
        self.rows = int(row[4] or -1)
        granted = tuple(word for word in (row[5] or "").split(",") if word)
        self.privileges = (*granted, "USAGE ON SCHEMA") if row[6] == "t" else granted
        self.in_path = row[7] is not None
        self.columns: list[Column] = []
        self.by_column = defaultdict[str, list[str]](list)
        self.indexed: list[str] = []

    @property
    def partly(self) -> dict[str, tuple[str, ...]]:
        """What the account may do with some columns alone -> these."""
        some = {word: names for word, names in self.by_column.items() if len(names) < len(self.columns)}
        return {word: tuple(names) for word, names in sorted(some.items())}

    @property
    def sql(self) -> str:
        return ".".join('"' + part.replace('"', '""') + '"' for part in (self.schema, self.name))

    def moment(self, fresh: str | None) -> str | None:
        """The column that tells how fresh it is: the one asked for, else a moment that an index begins with."""
        if fresh is not None:
            return next((one.name for one in self.columns if one.name == fresh and tells_a_moment(one)), None)
        moments = [one.name for one in self.columns if one.type.startswith(MOMENTS) and one.name in self.indexed]
        return min(moments, key=lambda name: not any(word in name.lower() for word in ("upd", "modif")), default=None)


async def survey(session: PostgresqlSession, wanted: Wanted) -> Survey:
    """Settings, then the bound relations, or those of the search path where none is bound."""
    rows = await session.query(_SETTINGS)
    settings = {str(name): str(value) for name, value in rows if value is not None}
    await session.query(f"SET statement_timeout = {int(wanted.statement_ms)}")
    await session.query("SET default_transaction_read_only = on")
    names = session.access.connection.objects
    relations = await _relations(session, _named(names) if names else f"{_IN_PATH} LIMIT {MOST_OBJECTS + 1}")
    if names:
        chosen = [(name, *_chosen(name, relations)) for name in names]
    else:
        chosen = [(one.name, one, ()) for one in relations[:MOST_OBJECTS]]
    objects = [await _object(session, wanted, *one) for one in chosen]
    notes = await _wide_open(session)
    complete = bool(names) or len(relations) <= MOST_OBJECTS
    return Survey(settings, tuple(objects), complete, notes if complete else (*notes, MORE))


async def _wide_open(session: PostgresqlSession) -> tuple[str, ...]:
    """The line of pg_hba.conf that lets in more than any list of clients needs, where the account may read it."""
    try:
        rules = await session.query(_HBA)
    except ServerError:
        return ()
    for line, address, netmask in rules:
        entries = ("0.0.0.0/0", "::/0") if address == "all" else _network(str(address), netmask)
        wide = parse(entries).too_wide()
        if wide:
            return (f"line {line} of pg_hba.conf lets in {wide}",)
    return ()


def _network(address: str, netmask: str | None) -> tuple[str, ...]:
    """A rule's network, whose mask the view writes as an address; none for host names, ``samehost`` and ``samenet``."""
    try:
        length = f"/{int(ip_address(netmask)).bit_count()}" if netmask else ""
        return (str(ip_network(address + length)),)
    except ValueError:
        return ()


_IN_PATH = "n.nspname = ANY (pg_catalog.current_schemas(false))"


def _named(names: Sequence[str]) -> str:
    last = {_parts(name, fold)[-1] for name in names for fold in (True, False)}
    return f"c.relname IN ({', '.join(map(_literal, sorted(last)))})"


async def _relations(session: PostgresqlSession, which: str) -> list[_Relation]:
    condition, limit, count = which.partition(" LIMIT ")
    found = [_Relation(row) for row in await session.query(_RELATIONS.format(which=condition) + limit + count)]
    if not found:
        return []
    by_oid = {one.oid: one for one in found}
    rows = await session.query(_COLUMNS.format(oids=", ".join(by_oid)))
    for oid, name, type_, not_null, indexed, may in rows:
        one = by_oid[str(oid)]
        for word in may.split(",") if may else ():
            one.by_column[word].append(str(name))
        one.columns.append(Column(str(name), str(type_), not_null != "t", len(one.columns) + 1))
        if indexed == "t":
            one.indexed.append(str(name))
    return found


def _chosen(name: str, relations: Sequence[_Relation]) -> tuple[_Relation | None, tuple[str, ...]]:
    """The relation that a name means, as a check reads it, and the schemas that have another of the name."""
    for fold in (True, False):
        parts = _parts(name, fold)
        named = [one for one in relations if one.name == parts[-1]]
        fit = [one for one in named if (one.schema == parts[-2] if len(parts) > 1 else one.in_path)]
        if fit:
            return fit[0], tuple(one.schema for one in named if one is not fit[0])
    last = {_parts(name, fold)[-1] for fold in (True, False)}
    return None, tuple(dict.fromkeys(one.schema for one in relations if one.name in last))


async def _object(
    session: PostgresqlSession, wanted: Wanted, name: str, found: _Relation | None, elsewhere: tuple[str, ...]
) -> Object:
    if found is None:
        return Object(name, exists=False, elsewhere=elsewhere)
    notes: list[str] = []
    rows, exact = (found.rows if found.rows >= 0 else None), False
    if wanted.count:
        counted = await _value(session, f"SELECT count(*) FROM {found.sql}", "rows", notes)  # noqa: S608 - quoted
        rows, exact = (int(counted), True) if counted is not None else (rows, False)
    column, newest = found.moment(wanted.fresh), None
    if column is not None:
        quoted_column = '"' + column.replace('"', '""') + '"'
        newest = await _value(session, f"SELECT max({quoted_column}) FROM {found.sql}", column, notes)  # noqa: S608
    return Object(
        name,
        exists=True,
        kind=found.kind,
        place=found.schema,
        elsewhere=elsewhere,
        columns=tuple(found.columns),
        rows=rows,
        exact=exact,
        newest=newest,
        newest_of=column,
        privileges=found.privileges,
        partly=found.partly,
        notes=tuple(notes),
    )


async def _value(session: PostgresqlSession, sql: str, what: str, notes: list[str]) -> str | None:
    try:
        ((value,),) = await session.query(sql)
    except ServerError as refused:
        state = refused.evidence()["sqlstate"]
        why = "it takes too long" if state == _TIMED_OUT else f"SQLSTATE {state}"
        notes.append(f"{what} not known: {why}")
        return None
    return value


def _parts(name: str, fold: bool) -> list[str]:
    """The parts of a name as the catalogue has them."""
    parts = quoted(name, fold=fold)[1:-1].split('"."')
    return [part.replace('""', '"') for part in parts]


def _literal(text: str) -> str:
    """An SQL string; a backslash is one whatever `standard_conforming_strings` says."""
    escaped = text.replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in escaped else f"'{escaped}'"
