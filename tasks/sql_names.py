"""Names as they stand in the statements of a remedy, for whoever copies them."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$#]*")


def quoted(name: str) -> str:
    """A name of standard SQL, in quotes where it needs them; plain names fold as they do when logging in."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def backticked(name: str) -> str:
    """A name of Hive."""
    return name if _PLAIN.fullmatch(name) else "`" + name.replace("`", "``") + "`"


def bracketed(name: str) -> str:
    """A name of SQL Server."""
    return "[" + name.replace("]", "]]") + "]"
