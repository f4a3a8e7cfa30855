"""Whether a column of one server can stand in for a column of another one: families of types, and their widths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tasks.comparison.survey import Column


class Severity(StrEnum):
    """What a finding means for whoever is repointed, the worst last."""

    OK = "ok"
    WARN = "warn"
    BLOCKED = "blocked"


#: Family -> its types, from the narrowest to the widest. PostgreSQL's and MySQL's spellings; each manual's chapter
#: "Data Types" gives the ranges that the order rests on.
_FAMILIES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "integer": (
        ("tinyint", "int1"),
        ("smallint", "int2"),
        ("mediumint",),
        ("integer", "int", "int4"),
        ("bigint", "int8"),
    ),
    "decimal": (("decimal", "numeric", "number"),),
    "float": (("real", "float4", "float"), ("double precision", "double", "float8")),
    "text": (
        ("char", "character", "bpchar"),
        ("varchar", "character varying", "nvarchar", "varchar2"),
        ("tinytext",),
        ("text", "string", "clob"),
        ("mediumtext",),
        ("longtext",),
    ),
    "binary": (("binary", "varbinary", "tinyblob"), ("blob", "bytea"), ("mediumblob",), ("longblob",)),
    "boolean": (("boolean", "bool"),),
    "date": (("date",),),
    "time": (("time", "time without time zone"), ("time with time zone",)),
    "moment": (("timestamp", "timestamp without time zone", "datetime"), ("timestamp with time zone", "timestamptz")),
    "json": (("json",), ("jsonb",)),
    "uuid": (("uuid",),),
}
_PLACES = {
    word: (family, rank) for family, ranks in _FAMILIES.items() for rank, words in enumerate(ranks) for word in words
}
#: A value of the first family fits into the second one, as far as widths allow.
_FITS = frozenset({("integer", "decimal"), ("date", "moment"), ("json", "text"), ("uuid", "text")})
_TYPE = re.compile(r"([^()]*)(?:\(([^()]*)\))?([^()]*)")
#: What MySQL adds to a number.
_SIGNS = re.compile(r" (unsigned|zerofill)\b")


@dataclass(frozen=True)
class Kind:
    """A type, taken apart.

    Attributes:
        family: Empty: none that is known here.
        sizes: Length, or precision and scale; empty: without a limit of its own.
    """

    text: str
    family: str
    rank: int
    sizes: tuple[int, ...]
    unsigned: bool


def kind(text: str) -> Kind:
    """What a server calls a type, taken apart."""
    lowered = " ".join(text.lower().split())
    found = _TYPE.fullmatch(lowered)
    before, sizes, after = found.groups(default="") if found else (lowered, "", "")
    word = _SIGNS.sub("", f"{before}{after}").strip()
    if word == "tinyint" and sizes == "1":
        word = "boolean"  # how MySQL writes BOOLEAN
    family, rank = _PLACES.get(word, ("", 0))
    counted = family in ("text", "binary", "decimal")
    numbers = tuple(int(part) for part in sizes.split(",") if part.strip().isdecimal()) if counted else ()
    return Kind(lowered, family, rank, numbers, "unsigned" in lowered)


def compare(old: str, new: str) -> Severity:
    """Whether values of a column of type `old` fit into one of type `new`: ok the same, warn wider, else blocked."""
    was, now = kind(old), kind(new)
    if was.text == now.text:
        return Severity.OK
    if not was.family or not now.family:
        return Severity.BLOCKED
    if was.family != now.family:
        return Severity.WARN if (was.family, now.family) in _FITS else Severity.BLOCKED
    if (was.rank, was.sizes, was.unsigned) == (now.rank, now.sizes, now.unsigned):
        return Severity.OK
    return Severity.WARN if _holds(now, was) else Severity.BLOCKED


def _holds(wide: Kind, narrow: Kind) -> bool:
    """Whether every value of the narrow type is one of the wide type, both of one family."""
    if wide.unsigned != narrow.unsigned:
        return narrow.unsigned and wide.rank > narrow.rank
    if not wide.sizes:
        return wide.rank >= narrow.rank
    if not narrow.sizes:
        return False
    if wide.family == "decimal":
        (digits, scale), (fewer, less) = ((*one.sizes, 0)[:2] for one in (wide, narrow))
        return digits - scale >= fewer - less and scale >= less
    return wide.sizes >= narrow.sizes


@dataclass(frozen=True)
class Misfit:
    """A column that does not stand in as it is."""

    severity: Severity
    told: str


def misfits(
    table: str, old: tuple[Column, ...], new: tuple[Column, ...], *, writes: bool, hides: bool = False
) -> Iterator[Misfit]:
    """What about the columns of a table keeps another from standing in for it, or might.

    Args:
        writes: A writer brings values of the old columns into the new ones; a reader takes the new ones as the old.
        hides: Whether the new table may have more columns than the account is shown.
    """
    there = {one.name: one for one in new}
    for one in old:
        other = there.pop(one.name, None)
        if other is None:
            yield Misfit(Severity.BLOCKED, f"{table}.{one.name} is missing{' or hidden' if hides else ''}")
            continue
        severity = compare(one.type, other.type)
        if severity is Severity.BLOCKED and not writes and compare(other.type, one.type) is not Severity.BLOCKED:
            severity = Severity.WARN  # narrower: nothing comes that a reader could not take
        if severity is not Severity.OK:
            yield Misfit(severity, f"{table}.{one.name} is {other.type} there, {one.type} here")
        if one.nullable != other.nullable and writes is one.nullable:
            told = "is never null there" if writes else "may be null there"
            yield Misfit(Severity.WARN, f"{table}.{one.name} {told}")
    for other in there.values() if writes else ():
        if not other.nullable:
            yield Misfit(Severity.WARN, f"{table}.{other.name} is new there and never null: does it have a default?")
