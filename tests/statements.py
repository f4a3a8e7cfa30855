"""SQL compiled once for all registries of a process.

SQLAlchemy keeps what it has compiled by engine, and each test has an engine of its own: a third of the time of the
tests of the registry went into compiling the same statements again. What is compiled depends on the dialect alone.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from registry import database

#: More than the registry has statements, so that none is forgotten.
_MANY = 5000

_make = database.create_engine
_first: dict[str, Engine] = {}


def share() -> None:
    """From now on, engines of one kind of database share what they compile."""
    database.create_engine = _engine  # type: ignore[attr-defined]


def _engine(*arguments: Any, **more: Any) -> Engine:
    engine = _make(*arguments, query_cache_size=_MANY, **more)
    first = _first.setdefault(engine.dialect.name, engine)
    # A dialect knows its server after the first connection.
    if getattr(first.dialect, "server_version_info", None):
        engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
    return engine
