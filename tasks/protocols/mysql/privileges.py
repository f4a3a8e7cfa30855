"""What an account may do with a table, of two witnesses: the server's catalogue and what was granted. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tasks.protocols.mysql.grants import Granted

#: What the catalogue tells of columns, as the server itself works it out.
BY_COLUMNS = frozenset({"SELECT", "INSERT", "UPDATE"})
#: What goes by tables, and is told by the grants alone. TRUNCATE takes DROP.
BY_TABLES = frozenset({"DELETE", "DROP"})


def privileges(catalogue: Mapping[str, Collection[str]], granted: Granted | None) -> dict[str, Any]:
    """The fields of `tasks.comparison.survey.Object` that tell it.

    An account may have more than SHOW GRANTS shows, such as what its user was granted at other hosts; and a server that
    only speaks the protocol may fill the catalogue with anything. So what the grants deny is believed where both agree
    on everything that both tell.

    Args:
        catalogue: Each column that the account is shown -> its privileges there, from information_schema.
        granted: None: nobody could read the grants.
    """
    columns = {word: {name for name, words in catalogue.items() if word in words} for word in BY_COLUMNS}
    if granted is None:
        silent = catalogue and not any(columns.values())
        untold = BY_TABLES | (BY_COLUMNS if silent else frozenset())
        whole = frozenset(word for word, names in columns.items() if len(names) == len(catalogue))
    else:
        whole = frozenset(word for word in BY_COLUMNS | BY_TABLES if granted.may(word))
        doubtful = frozenset(word for word, names in columns.items() if names != _granted(granted, word, catalogue))
        untold = doubtful | (BY_TABLES - whole if doubtful else frozenset())
    told = ({word for word, names in columns.items() if names} | whole & BY_TABLES) - untold
    return {
        "privileges": tuple(sorted(told)),
        "partly": {word: tuple(sorted(columns[word])) for word in sorted(told - whole)},
        "untold": tuple(sorted(untold)),
        "hidden": not whole & BY_COLUMNS,
    }


def _granted(granted: Granted, word: str, shown: Collection[str]) -> set[str]:
    """The columns, of those that the account is shown, on which it was granted a privilege."""
    return {*shown} if granted.may(word) else granted.columns[word] & {*shown}
