"""A survey: what a server and the bound objects in it are like, read in the place of a check's last stage.

Plain data, so that the surveys of two environments can be compared by pure functions (`tasks.comparison`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Objects that a survey looks at where none is bound.
MOST_OBJECTS = 50
MORE = f"there are more than {MOST_OBJECTS} objects, and no more were looked at: bind those that count"


#: How the names of types of moments begin, in PostgreSQL and MySQL; and of those that may count seconds.
MOMENTS = ("timestamp", "date")
_NUMBERS = ("int", "bigint", "numeric", "decimal", "double")


@dataclass(frozen=True)
class Wanted:
    """What a survey is to find out besides what costs nothing.

    Attributes:
        count: Whether to count rows exactly.
        fresh: The column of moments whose newest value tells how fresh a table is; None: one that an index makes
            cheap to ask.
        statement_ms: Milliseconds that the server may spend on one statement.
    """

    count: bool = False
    fresh: str | None = None
    statement_ms: int = 3000


@dataclass(frozen=True)
class Column:
    """One column; `position` counts from 1 over the columns that are there."""

    name: str
    type: str
    nullable: bool
    position: int


def tells_a_moment(column: Column) -> bool:
    """Whether a column may hold moments, if only as a number; what stands in others is nobody's business here."""
    return column.type.startswith((*MOMENTS, *_NUMBERS))


@dataclass(frozen=True)
class Object:
    """One bound object.

    Attributes:
        exists: Whether this account sees it where it looks for it.
        kind: ``table``, ``view``...; empty where it does not exist.
        place: The schema or database that it is in.
        hidden: Where it does not exist: it may be there nevertheless, and not shown to this account. Else: it may have
            more columns than this account is shown.
        elsewhere: Other schemas or databases that have one of this name.
        rows: None: not known. An estimate unless `exact`.
        newest: The newest value of the column `newest_of`, as the server writes it.
        privileges: What this account may do with it, or with some of its columns.
        partly: What of that it may do with some columns alone -> these.
        untold: What the server does not tell for sure whether it may.
        notes: What could not be found out, and why.
    """

    name: str
    exists: bool
    kind: str = ""
    place: str = ""
    hidden: bool = False
    elsewhere: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    rows: int | None = None
    exact: bool = False
    newest: str | None = None
    newest_of: str | None = None
    privileges: tuple[str, ...] = ()
    partly: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    untold: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """What was found on one server.

    Attributes:
        settings: Name -> value, as the server writes it; those that it does not tell are left out.
        complete: Whether `objects` are all that there are, or all that are bound.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    objects: tuple[Object, ...] = ()
    complete: bool = True
    notes: tuple[str, ...] = ()
