"""Names of tables and accounts as MySQL's SQL has them."""

from __future__ import annotations

import re

_PART = re.compile(r"`((?:[^`]|``)+)`|([^`.]+)")
#: What may stand without backticks, but for reserved words; those are names all the same behind a period (MySQL manual,
#: "Keywords and Reserved Words"), so only those count that somebody would call a database.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset(
    {"database", "databases", "group", "groups", "index", "key", "keys", "option", "order", "range", "rank", "read"}
    | {"release", "row", "rows", "schema", "schemas", "system", "table", "usage"}
)


def quoted(name: str) -> str:
    """A table's name as SQL: ``table`` or ``database.table``, each part plain or in backticks."""
    return ".".join(map(identifier, parts(name)))


def parts(name: str) -> list[str]:
    """The parts of a table's name, without backticks."""
    return [one.replace("``", "`") or two for one, two in _PART.findall(name)]


def identifier(name: str) -> str:
    """One part of a name, in backticks."""
    return "`" + name.replace("`", "``") + "`"


def written(name: str) -> str:
    """One part of a name for people to copy: in backticks where it needs them."""
    return name if _PLAIN.fullmatch(name) and name.lower() not in _RESERVED else identifier(name)


def table_in(name: str, database: str | None) -> str:
    """A table's name with its database, for people to copy."""
    found = parts(name)
    return ".".join(map(written, found if len(found) > 1 or not database else [database, *found]))


def literal(text: str) -> str:
    """A string, as users and hosts are written."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def account(current_user: str) -> str:
    """What CURRENT_USER() says (``app@10.1.%``; in Doris and StarRocks with quotes) as GRANT and ALTER USER want it."""
    user, _, host = current_user.rpartition("@")
    return "@".join(literal(part.strip("'")) for part in (user, host))
