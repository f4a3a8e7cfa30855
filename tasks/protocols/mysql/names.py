"""Names of tables as MySQL's SQL has them."""

from __future__ import annotations

import re

_PART = re.compile(r"`((?:[^`]|``)+)`|([^`.]+)")


def quoted(name: str) -> str:
    """A table's name as SQL: ``table`` or ``database.table``, each part plain or in backticks."""
    return ".".join(map(identifier, parts(name)))


def parts(name: str) -> list[str]:
    """The parts of a table's name, without backticks."""
    return [one.replace("``", "`") or two for one, two in _PART.findall(name)]


def identifier(name: str) -> str:
    """One part of a name, in backticks."""
    return "`" + name.replace("`", "``") + "`"
