"""Which right an account lacks to read a table: that to its schema, that to the table itself, or both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tasks.protocols.postgresql.wire import ServerError, written

#: The refusal has one code for both (42501, insufficient_privilege), and names neither in a field; the catalog tells.
#: A table without its schema was found by the search path, which passes over schemas that may not be used.
_QUESTION = """
SELECT quote_ident(n.nspname), n.nspname || '.' || c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       has_schema_privilege(n.oid, 'USAGE'),
       has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, parse_ident({name}) AS p
 WHERE c.relname = p[array_upper(p, 1)]
   AND (n.nspname = p[1] AND array_length(p, 1) = 2
        OR array_length(p, 1) = 1 AND n.nspname = ANY (current_schemas(true)))
 LIMIT 1
"""


async def lacking(
    query: Callable[[str], Awaitable[list[list[str | None]]]], table: str, username: str
) -> dict[str, Any]:
    """``lacks``, the rights that are missing, and ``grants``, the statements that give them.

    Empty where the catalog does not say: what a view reads from is missing, or the server is only akin to PostgreSQL.

    Args:
        table: Quoted as SQL has it.
    """
    literal = "'" + table.replace("'", "''") + "'"
    try:
        rows = await query(_QUESTION.format(name=literal))
    except ServerError:
        return {}
    if not rows:
        return {}
    schema, name, table_sql, enters, reads = rows[0]
    role = username if username == "PUBLIC" else written(username)
    missing = []
    if enters == "f":
        missing.append((f"USAGE on its schema {schema}", f"GRANT USAGE ON SCHEMA {schema} TO {role};"))
    if reads == "f":
        missing.append((f"SELECT on {name}", f"GRANT SELECT ON {table_sql} TO {role};"))
    if not missing:
        return {}
    return {
        "lacks": " and ".join(right for right, _ in missing),
        "grants": " ".join(statement for _, statement in missing),
    }
