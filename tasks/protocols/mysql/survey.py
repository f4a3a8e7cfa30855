"""What a MySQL server and its tables are like, from its variables and information_schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tasks.comparison.survey import MOMENTS, MORE, MOST_OBJECTS, Column, Object, Survey, Wanted, tells_a_moment
from tasks.protocols.mysql import grants
from tasks.protocols.mysql.grants import Grants, NotUnderstood
from tasks.protocols.mysql.names import identifier, parts
from tasks.protocols.mysql.privileges import privileges
from tasks.protocols.mysql.wire import ServerError

if TYPE_CHECKING:
    from tasks.protocols.mysql.session import MysqlSession

_VARIABLES = (
    *("version", "sql_mode", "character_set_server", "character_set_database", "collation_server"),
    *("collation_database", "time_zone", "system_time_zone", "lower_case_table_names", "max_allowed_packet"),
    *("read_only", "super_read_only", "transaction_isolation", "tx_isolation", "max_connections", "net_write_timeout"),
    *("wait_timeout", "require_secure_transport", "explicit_defaults_for_timestamp", "partial_revokes"),
)
#: MariaDB's older name, under the one that both have.
_RENAMED = {"tx_isolation": "transaction_isolation"}
#: MySQL counts milliseconds (8.0 manual, "max_execution_time"), MariaDB seconds ("max_statement_time").
_LIMITS = ("SET SESSION max_execution_time = {ms}", "SET SESSION max_statement_time = {s}")
_TOO_LONG = frozenset({1969, 3024})

Row = list[str | None]


async def survey(session: MysqlSession, wanted: Wanted) -> Survey:
    """Variables, then the bound tables, or those of the database where none is bound."""
    settings = await _settings(session)
    for limit in _LIMITS:
        await session.query(limit.format(ms=wanted.statement_ms, s=wanted.statement_ms / 1000))
    await session.query("SET SESSION TRANSACTION READ ONLY")
    granted = await _grants(session, settings)
    names: Sequence[str] = session.access.connection.objects
    database = str(session.access.setting("database", ""))
    complete = True
    if not names:
        found = await _rows(session, f"{_TABLES} WHERE table_schema = {_text(database)} ORDER BY 2 {_LIMIT}")
        complete, names = len(found) <= MOST_OBJECTS, [identifier(str(row[1])) for row in found[:MOST_OBJECTS]]
    objects = [await _object(session, wanted, granted, name, database, plainly=complete) for name in names]
    return Survey(settings, tuple(objects), complete, () if complete else (MORE,))


_LIMIT = f"LIMIT {MOST_OBJECTS + 1}"
_TABLES = "SELECT table_schema, table_name, table_type, table_rows FROM information_schema.tables"
_COLUMNS = "SELECT column_name, column_type, is_nullable, privileges FROM information_schema.columns"
_INDEXED = "SELECT column_name FROM information_schema.statistics"


async def _settings(session: MysqlSession) -> dict[str, str]:
    words = ", ".join(map(_text, _VARIABLES))
    rows = await _rows(session, f"SHOW VARIABLES WHERE Variable_name IN ({words})")
    return {_RENAMED.get(str(name), str(name)): str(value) for name, value in rows}


async def _grants(session: MysqlSession, settings: Mapping[str, str]) -> Grants | None:
    """What the account has been granted, with its active roles; None where that is not told as MySQL tells it."""
    answers = [await session.query("SHOW GRANTS")]
    if "mariadb" in settings.get("version", "").lower():
        answers.append(await session.query("SHOW GRANTS FOR PUBLIC"))
    if isinstance(answers[0], ServerError):
        return None
    lines = [str(row[0]) for answer in answers if not isinstance(answer, ServerError) for row in answer]
    folds = settings.get("lower_case_table_names", "0") != "0"
    try:
        return grants.read(lines, folds=folds, plain=settings.get("partial_revokes") == "ON")
    except NotUnderstood:
        return None


async def _object(
    session: MysqlSession, wanted: Wanted, granted: Grants | None, name: str, database: str, *, plainly: bool
) -> Object:
    *schema, table = parts(name)
    place = schema[-1] if schema else database
    shown = table if plainly and not schema else name
    same = await _rows(session, f"{_TABLES} WHERE table_name = {_text(table)} ORDER BY 1 LIMIT 20")
    found = next((row for row in same if _same(row[0], place)), None)
    elsewhere = tuple(str(row[0]) for row in same if row is not found)
    if found is None:
        # information_schema shows what the account has a privilege on, and nothing else.
        return Object(shown, exists=False, hidden=True, elsewhere=elsewhere)
    where = f"WHERE table_schema = {_text(str(found[0]))} AND table_name = {_text(str(found[1]))}"
    rows = await _rows(session, f"{_COLUMNS} {where} ORDER BY ordinal_position")
    columns = tuple(Column(str(row[0]), str(row[1]), row[2] == "YES", place + 1) for place, row in enumerate(rows))
    indexed = {str(row[0]) for row in await _rows(session, f"{_INDEXED} {where} AND seq_in_index = 1")}
    catalogue = {str(row[0]): {word.strip().upper() for word in str(row[3] or "").split(",")} for row in rows}
    notes: list[str] = []
    full = f"{identifier(str(found[0]))}.{identifier(str(found[1]))}"
    estimate = int(found[3]) if found[3] and found[3].isdecimal() else None
    counted = await _value(session, f"SELECT COUNT(*) FROM {full}", "rows", notes) if wanted.count else None  # noqa: S608
    moment = _moment(columns, indexed, wanted.fresh)
    newest = None
    if moment is not None:
        newest = await _value(session, f"SELECT MAX({identifier(moment)}) FROM {full}", moment, notes)  # noqa: S608
    return Object(
        shown,
        exists=True,
        kind={"BASE TABLE": "table", "VIEW": "view"}.get(str(found[2]), str(found[2]).lower()),
        place=str(found[0]),
        elsewhere=elsewhere,
        columns=columns,
        rows=int(counted) if counted is not None else estimate,
        exact=counted is not None,
        newest=newest,
        newest_of=moment,
        notes=tuple(notes),
        **privileges(catalogue, granted.on(str(found[0]), str(found[1])) if granted is not None else None),
    )


def _moment(columns: Sequence[Column], indexed: set[str], fresh: str | None) -> str | None:
    """The column that tells how fresh a table is: the one asked for, else a moment that an index begins with."""
    if fresh is not None:
        return next((one.name for one in columns if one.name.lower() == fresh.lower() and tells_a_moment(one)), None)
    moments = [one.name for one in columns if one.type.startswith(MOMENTS) and one.name in indexed]
    return min(moments, key=lambda name: not any(word in name.lower() for word in ("upd", "modif")), default=None)


async def _value(session: MysqlSession, sql: str, what: str, notes: list[str]) -> str | None:
    answer = await session.query(sql)
    if isinstance(answer, ServerError):
        why = "it takes too long" if answer.number in _TOO_LONG else f"error {answer.number}"
        notes.append(f"{what} not known: {why}")
        return None
    return answer[0][0] if answer else None


async def _rows(session: MysqlSession, sql: str) -> list[Row]:
    answer = await session.query(sql)
    return [] if isinstance(answer, ServerError) else answer


def _same(schema: str | None, place: str) -> bool:
    """Servers with lower_case_table_names keep schemas in lower case, whatever was typed."""
    return schema is not None and schema.lower() == place.lower()


def _text(text: str) -> str:
    """A string as hexadecimal digits: the same under every sql_mode."""
    return f"_utf8 x'{text.encode().hex()}'" if text else "''"
