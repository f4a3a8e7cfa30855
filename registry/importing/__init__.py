"""Connections as other tools export them, read into what a data source is written as.

One module a format, found by listing this folder: it names a `FORMAT`. A format is a pure reader: from the data of a
text to items, each of which gives the fields of some sides of one data source, or says why it cannot be taken over.
Nothing is resolved, connected to or written here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from registry.errors import InvalidInput, NotFound
from registry.nearest import nearest

#: A path of keys and indexes in the data of an export.
Where = tuple[str | int, ...]


class NotTaken(Exception):
    """A record that cannot be taken over."""

    def __init__(self, reason: str, instruction: str = "") -> None:
        super().__init__(reason)
        self.reason, self.instruction = reason, instruction


@dataclass(frozen=True)
class Context:
    """What an export does not say itself.

    Attributes:
        env: The side that is wanted; None: all that there are.
        environment: Environment variables, for exports that read plain fields (hosts, names) from them.
        region: Region of instances whose record names none.
    """

    env: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    region: str = ""

    @property
    def side(self) -> str:
        """The side that a record of an export without environments becomes."""
        return self.env or "prod"


@dataclass(frozen=True)
class Taken:
    """What was read of one record.

    Attributes:
        type: Name or alias in the catalogue of types.
        sides: Environment -> fields of the entry, as they stand in a file. A secret is a `SecretStr` where it stands
            itself in the export, and a text where it is a reference.
        remarks: What could not be taken over, and why.
    """

    type: str
    sides: Mapping[str, Mapping[str, Any]]
    description: str = ""
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Item:
    """One record of an export: where it stands, what it is called there, and how it is read.

    `read` raises `NotTaken`. Several items may be sides of one data source.
    """

    path: Where
    name: str
    read: Callable[[], Taken]


@dataclass(frozen=True)
class Format:
    """One format of exports.

    Attributes:
        recognises: Whether data look like it; never raises, whatever the data.
        items: The records in the data.
    """

    name: str
    title: str
    recognises: Callable[[Any], bool]
    items: Callable[[Any, Context], Iterator[Item]]


@cache
def catalogue() -> Mapping[str, Format]:
    """Every format by its name."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    formats = (getattr(module, "FORMAT", None) for module in modules)
    return {one.name: one for one in formats if isinstance(one, Format)}


def get(name: str) -> Format:
    """The format of this name.

    Raises:
        NotFound: There is none; the nearest are named.
    """
    known = catalogue()
    found = known.get(name.strip().lower())
    if found is None:
        near = nearest(name.lower(), known) or list(known)
        raise NotFound(f"no format {name!r}", where="--format", instruction=f"use {', '.join(near)}")
    return found


def guess(data: Any, where: str) -> Format:
    """The format that data look like.

    Raises:
        InvalidInput: They look like none.
    """
    for one in catalogue().values():
        if one.recognises(data):
            return one
    told = "; ".join(f"{one.name}: {one.title}" for one in catalogue().values())
    raise InvalidInput("this looks like no export that is known", where=where, instruction=f"say --format; {told}")
