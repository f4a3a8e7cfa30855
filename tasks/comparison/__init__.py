"""Two environments side by side: what differs, and what of it a job can tell. Pure functions over surveys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.comparison.survey import Column, Object, Survey


@dataclass(frozen=True)
class Difference:
    """One thing that is not alike.

    Attributes:
        aspect: ``missing``, ``kind``, ``column``, ``privilege``, ``rows``, ``fresh``, ``setting`` or ``entry``.
        subject: The setting, the object, ``object.column`` or the field of the entry.
        dev, prod: How it is there, in words.
        matters: Whether a job can tell.
        why: What follows from it, where that is known.
        details: For the texts of explanations.
    """

    aspect: str
    subject: str
    dev: str
    prod: str
    matters: bool = True
    why: str = ""
    details: tuple[tuple[str, str], ...] = ()


#: Setting -> what follows when it differs. Settings that are not here are shown, and matter to no job.
CONSEQUENCES: Mapping[str, str] = {
    # PostgreSQL
    "server_encoding": "characters that one stores the other refuses",
    "lc_collate": "texts are sorted and compared in another order",
    "lc_ctype": "upper and lower case and character classes differ",
    "TimeZone": "moments without a zone are read and written hours apart",
    "DateStyle": "dates written as text are read as other days",
    "search_path": "a table's name without a schema may mean another table",
    "schemas": "a table's name without a schema may mean another table",
    "default_transaction_read_only": "writing fails where it is on",
    "default_transaction_isolation": "concurrent jobs see each other's changes otherwise",
    "in_recovery": "one is a read-only replica",
    "standard_conforming_strings": "backslashes in texts are read otherwise",
    "bytea_output": "binary values are written otherwise",
    "statement_timeout": "long statements are ended on one side only",
    # MySQL
    "sql_mode": "the same statement is refused, or values are cut, on one side only",
    "character_set_server": "new tables keep other characters",
    "character_set_database": "new tables keep other characters",
    "collation_server": "texts are sorted and compared in another order",
    "collation_database": "texts are sorted and compared in another order",
    "time_zone": "moments are read and written hours apart",
    "system_time_zone": "moments are read and written hours apart where time_zone is SYSTEM",
    "lower_case_table_names": "a table's name in other case is found on one side only",
    "max_allowed_packet": "large rows are refused on one side only",
    "read_only": "writing fails where it is on",
    "super_read_only": "writing fails where it is on",
    "transaction_isolation": "concurrent jobs see each other's changes otherwise",
    "net_write_timeout": "a slow reader is cut off earlier on one side",
    "require_secure_transport": "clients without TLS are refused where it is on",
    "explicit_defaults_for_timestamp": "a timestamp that is left out gets another value",
    # Redis
    "maxmemory_policy": "keys are dropped by another rule when memory is full",
    "cluster_enabled": "commands over several keys fail in a cluster",
    "databases": "a database of a higher number is there on one side only",
}
#: Settings that name a version, and how many numbers of it have to be alike.
_VERSIONS = {"server_version": 1, "version": 2, "redis_version": 1}
#: Row counts this many times apart are told.
_ROWS_APART = 10


def differences(dev: Survey, prod: Survey) -> list[Difference]:
    """What differs between two surveys, objects first."""
    found = [*_objects(dev, prod), *_settings(dev.settings, prod.settings)]
    return sorted(found, key=lambda one: not one.matters)


def entry_differences(dev: Mapping[str, Any], prod: Mapping[str, Any]) -> list[Difference]:
    """What the two entries say otherwise: for information, because environments are meant to be two places."""
    names = [name for name in dict.fromkeys((*dev, *prod)) if dev.get(name) != prod.get(name)]
    return [Difference("entry", name, _told(dev.get(name)), _told(prod.get(name)), matters=False) for name in names]


def _told(value: Any) -> str:
    """A field of an entry for people: addresses as HOST:PORT, lists with commas."""
    if value in (None, "", (), [], {}):
        return "not set"
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value))
    if not isinstance(value, Mapping):
        return str(value)
    if value.keys() == {"host", "port"}:
        host = f"[{value['host']}]" if ":" in value["host"] else value["host"]
        return f"{host}:{value['port']}"
    return ", ".join(f"{name}={_told(one)}" for name, one in value.items())


def _settings(dev: Mapping[str, str], prod: Mapping[str, str]) -> Iterator[Difference]:
    for name in dict.fromkeys((*dev, *prod)):
        one, other = dev.get(name), prod.get(name)
        if one == other or one is None or other is None:
            continue  # a setting that one server does not tell is no difference
        numbers = _VERSIONS.get(name)
        if numbers is not None:
            matters = _version(one, numbers) != _version(other, numbers)
            why = "statements, functions and types of the newer one are missing in the older" if matters else ""
        else:
            matters, why = name in CONSEQUENCES, CONSEQUENCES.get(name, "")
        yield Difference("setting", name, one, other, matters, why)


def _version(text: str, numbers: int) -> list[str]:
    # MariaDB's 10.x and MySQL's 8.x are two products: the word counts as well.
    return [*re.findall(r"\d+", text)[:numbers], "MariaDB" if "mariadb" in text.lower() else ""]


def _objects(dev: Survey, prod: Survey) -> Iterator[Difference]:
    ours, theirs = ({one.name: one for one in side.objects} for side in (dev, prod))
    for name in dict.fromkeys((*ours, *theirs)):
        one, other = ours.get(name), theirs.get(name)
        if (one is None and not dev.complete) or (other is None and not prod.complete):
            continue  # beyond what was looked at
        yield from _object(one or Object(name, exists=False), other or Object(name, exists=False))


def _object(dev: Object, prod: Object) -> Iterator[Difference]:
    if not (dev.exists and prod.exists):
        if dev.exists != prod.exists:
            yield Difference("missing", dev.name, _presence(dev), _presence(prod), details=_where(dev, prod))
        return
    if dev.kind != prod.kind:
        yield Difference("kind", dev.name, dev.kind, prod.kind, why="it may take no writes, or cost more to read")
    yield from _columns(dev, prod)
    yield from _privileges(dev, prod)
    yield from _contents(dev, prod)


def _presence(one: Object) -> str:
    if one.exists:
        return f"{one.kind} in {one.place}" if one.place else one.kind or "there"
    missing = "missing or hidden" if one.hidden else "missing"
    return f"{missing} (but in {', '.join(one.elsewhere)})" if one.elsewhere else missing


def _where(dev: Object, prod: Object) -> tuple[tuple[str, str], ...]:
    absent = prod if dev.exists else dev
    return (("elsewhere", ", ".join(absent.elsewhere)),) if absent.elsewhere else ()


def _columns(dev: Object, prod: Object) -> Iterator[Difference]:
    ours, theirs = ({one.name: one for one in side.columns} for side in (dev, prod))
    if not ours or not theirs:
        return
    for name in dict.fromkeys((*ours, *theirs)):
        one, other = ours.get(name), theirs.get(name)
        subject = f"{dev.name}.{name}"
        if one is None or other is None:
            here, there = (_kind(side) if side else "no such column" for side in (one, other))
            yield Difference("column", subject, here, there)
        elif (one.type, one.nullable) != (other.type, other.nullable):
            yield Difference("column", subject, _kind(one), _kind(other))
    common = [name for name in ours if name in theirs]
    if common != sorted(common, key=lambda name: theirs[name].position):
        why = "rows written without column names, and files, go into other columns"
        yield Difference("column", f"{dev.name}: order", ", ".join(ours), ", ".join(theirs), why=why)


def _kind(column: Column) -> str:
    return f"{column.type}{'' if column.nullable else ' not null'}"


def _privileges(dev: Object, prod: Object) -> Iterator[Difference]:
    if set(dev.privileges) == set(prod.privileges):
        return
    lacks = {
        "prod": ", ".join(word for word in dev.privileges if word not in prod.privileges),
        "dev": ", ".join(word for word in prod.privileges if word not in dev.privileges),
    }
    why = "; ".join(f"{side} lacks {words}" for side, words in lacks.items() if words)
    here, there = (", ".join(side.privileges) or "none" for side in (dev, prod))
    details = tuple((f"{side}_lacks", words) for side, words in lacks.items() if words)
    yield Difference("privilege", dev.name, here, there, why=why, details=details)


def _contents(dev: Object, prod: Object) -> Iterator[Difference]:
    if dev.rows is not None and prod.rows is not None:
        low, high = sorted((dev.rows, prod.rows))
        empty = low == 0 < high and dev.exact and prod.exact
        if empty or high > max(low, 1) * _ROWS_APART:
            here, there = (f"{'' if one.exact else 'about '}{one.rows} rows" for one in (dev, prod))
            why = "one side has nothing to read" if empty else ""
            yield Difference("rows", dev.name, here, there, matters=empty, why=why)
    if dev.newest != prod.newest and dev.newest_of == prod.newest_of:
        here, there = (one.newest or "nothing" for one in (dev, prod))
        yield Difference("fresh", f"{dev.name}.{dev.newest_of}", here, there, matters=False)
