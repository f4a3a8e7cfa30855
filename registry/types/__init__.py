"""The catalogue of data source types: one file a type, found by listing this folder.

Other people's packages add types by the entry point group ``headwater.types``; each entry point names a
`DataSourceType`. Type names and aliases are those of DataWorks (OpenAPI, FlowSpec and Data Integration step types).
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from registry.connection import Connection, Mode
from registry.errors import NotFound


@dataclass(frozen=True)
class DataSourceType:
    """What Headwater knows about one kind of data source.

    Attributes:
        name: DataWorks' name, lower case.
        title: The product's own name, for people.
        protocol: The module of `tasks.protocols` that speaks to it.
        default_port: The port its servers listen on unless told otherwise.
        modes: Connection mode -> model of its fields.
        aliases: Other names under which exports and old APIs know it.
        url_schemes: The JDBC and native URL schemes that name this type (``mysql`` in ``jdbc:mysql:``).
        kind: ``standard`` (reader and writer of tasks) or ``metadata`` (collection and governance only).
        example: One environment entry that parses, as it stands in a file.
        tested: How the support is proved, for the support table: ``server`` (its own real server),
            ``protocol`` (a real server of the protocol it shares), ``wire`` (recorded exchanges, no server).
    """

    name: str
    title: str
    protocol: str
    default_port: int
    modes: Mapping[Mode, type[Connection]]
    example: Mapping[str, Any]
    aliases: tuple[str, ...] = ()
    url_schemes: tuple[str, ...] = ()
    kind: str = "standard"
    tested: str = "protocol"
    notes: str = ""
    modules: tuple[str, ...] = field(
        default=("data_integration", "data_studio", "data_map", "data_analysis", "data_service")
    )


@cache
def catalogue() -> Mapping[str, DataSourceType]:
    """Every type by its name, in alphabetical order."""
    found = {entry.name: entry for entry in _all()}
    return dict(sorted(found.items()))


def _all() -> Iterator[DataSourceType]:
    for module in pkgutil.iter_modules(__path__):
        yield importlib.import_module(f"{__name__}.{module.name}").TYPE
    for point in entry_points(group="headwater.types"):
        yield point.load()


@cache
def _aliases() -> Mapping[str, str]:
    return {alias: entry.name for entry in catalogue().values() for alias in entry.aliases}


def get(name: str) -> DataSourceType:
    """The type of this name or alias.

    Raises:
        NotFound: No such type; the message lists the nearest names.
    """
    wanted = name.strip().lower().replace("-", "_")
    found = catalogue().get(wanted) or catalogue().get(_aliases().get(wanted, ""))
    if found is None:
        known = [*catalogue(), *_aliases()]
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
        advice = f"did you mean {', '.join(near)}?" if near else "`headwater types` lists every type"
        raise NotFound(f"unknown data source type {name!r}", where="type", instruction=advice)
    return found
