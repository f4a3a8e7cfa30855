"""A glance at the names in a registry, for the completion of a shell.

It goes past the model and its mapping, which take half a second to load: too long for a key press. It makes no home,
migrates nothing and writes nothing, and where it cannot read it sees no names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from registry import home

#: Names in one answer.
MOST = 200

Row = tuple[str, ...]


def sources(beginning: str, workspace: str = "") -> list[Row]:
    """(workspace, name) of the data sources whose names begin like this."""
    return _rows(
        "SELECT w.name, s.name FROM data_source s JOIN workspace w ON w.id = s.workspace_id"
        " WHERE s.name LIKE {0} ESCAPE '!' AND ({1} = '' OR w.name = {1}) ORDER BY s.name, w.name",
        _pattern(beginning),
        workspace,
    )


def workspaces(beginning: str) -> list[str]:
    """The workspaces whose names begin like this."""
    return _column("SELECT name FROM workspace WHERE name LIKE {0} ESCAPE '!' ORDER BY name", beginning)


def groups(beginning: str) -> list[str]:
    """The resource groups whose names begin like this."""
    return _column("SELECT name FROM resource_group WHERE name LIKE {0} ESCAPE '!' ORDER BY name", beginning)


def _pattern(beginning: str) -> str:
    return "".join(f"!{letter}" if letter in "!%_" else letter for letter in beginning) + "%"


def _column(query: str, beginning: str) -> list[str]:
    return [row[0] for row in _rows(query, _pattern(beginning))]


def plans(begins: str) -> list[str]:
    """Ids of plans, the newest first."""
    query = "SELECT id FROM plan WHERE id LIKE {0} ORDER BY created_at DESC"
    return [id_ for (id_,) in _rows(query, f"{begins}%")]


def _rows(query: str, *arguments: str) -> list[Row]:
    try:
        read = _reader(home.database_url(home.home()))
        found = read(f"{query} LIMIT {MOST}", arguments)
    except Exception:  # whatever it is: a shell in the middle of a line is no place to tell it
        return []
    return [tuple(map(str, row)) for row in found]


def _reader(url: str) -> Callable[[str, Row], list[Any]]:
    scheme, _, rest = url.partition("://")
    if scheme.startswith("sqlite"):
        return lambda query, arguments: _read_sqlite(Path("/" + rest.lstrip("/")), query, arguments)
    return lambda query, arguments: _read_postgresql(f"postgresql://{rest}", query, arguments)


def _read_sqlite(path: Path, query: str, arguments: Row) -> list[Any]:
    numbered = query.format(*(f"?{number}" for number in range(1, len(arguments) + 1)))
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=1)) as connection:
        return connection.execute(numbered, arguments).fetchall()


def _read_postgresql(url: str, query: str, arguments: Row) -> list[Any]:
    import psycopg

    named = query.format(*(f"%(a{number})s" for number in range(len(arguments))))
    values = {f"a{number}": value for number, value in enumerate(arguments)}
    with psycopg.connect(url, connect_timeout=2) as connection:
        return connection.execute(named.encode(), values).fetchall()
