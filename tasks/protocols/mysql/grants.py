"""What the lines of SHOW GRANTS let an account do."""

from __future__ import annotations

import re
from collections.abc import Sequence

_GRANT = re.compile(r"GRANT (?P<what>.+?) ON (?P<where>\*|`(?:[^`]|``)*`)\.(?P<table>\*|`(?:[^`]|``)*`) TO ")
_ROLE = re.compile(r"GRANT (?!.* ON ).+ TO ")


def select_granted(grants: Sequence[str], database: str) -> bool | None:
    """Whether what SHOW GRANTS says lets an account read tables of a database; None where a role may say otherwise."""
    found = [grant for line in grants if (grant := _GRANT.match(line))]
    for grant in found:
        privileges = re.split(r", |\(", grant["what"])
        if {"SELECT", "SELECT ", "ALL PRIVILEGES"} & set(privileges) and _covers(grant["where"], database):
            return True
    return None if any(_ROLE.match(line) for line in grants) else False


def _covers(where: str, database: str) -> bool:
    """Whether the database of a grant, a pattern of LIKE, is this one."""
    if where == "*":
        return True
    parts = re.findall(r"\\.|.", where[1:-1].replace("``", "`"), re.DOTALL)
    pattern = "".join({"%": ".*", "_": "."}.get(part, re.escape(part[-1])) for part in parts)
    return re.fullmatch(pattern, database, re.DOTALL | re.IGNORECASE) is not None
