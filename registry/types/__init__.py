"""The catalogue of data source types: one file a type, found by listing this folder.

Other people's packages add types by the entry point group ``headwater.types``; each entry point names a
`DataSourceType`. Type names and aliases are those of DataWorks (OpenAPI, FlowSpec and Data Integration step types).
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from registry.connection.model import Connection, Mode
from registry.errors import NotFound
from registry.nearest import nearest


@dataclass(frozen=True)
class DataSourceType:
    """What Headwater knows about one kind of data source.

    Attributes:
        name: DataWorks' name, lower case.
        title: The product's own name, for people.
        protocol: The module of `tasks.protocols` that speaks to it.
        default_port: The port its servers listen on unless told otherwise.
        modes: Connection mode -> model of its fields.
        variant_field: The field that chooses another protocol, and
        variants: its value -> that protocol.
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
    variant_field: str = ""
    variants: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    url_schemes: tuple[str, ...] = ()
    kind: str = "standard"
    tested: str = "protocol"
    notes: str = ""
    modules: tuple[str, ...] = field(
        default=("data_integration", "data_studio", "data_map", "data_analysis", "data_service")
    )

    def protocol_of(self, connection: Connection) -> str:
        """The protocol that this connection speaks: postgresql, mysql, redis, ftp, sftp, http or an added one."""
        return self.protocol_named(getattr(connection, self.variant_field, None))

    def protocol_named(self, variant: object) -> str:
        """The protocol for a value of `variant_field`."""
        return self.variants.get(str(variant).strip().lower(), self.protocol)


@cache
def catalogue() -> Mapping[str, DataSourceType]:
    """Every type by its name, in alphabetical order."""
    found = {entry.name: entry for entry in _all()}
    return dict(sorted(found.items()))


def _all() -> Iterator[DataSourceType]:
    for module in pkgutil.iter_modules(__path__):
        if entry := _of_file(module.name):
            yield entry
    # Loaded only with the whole catalogue: 30 ms that one type's name does not need.
    from importlib.metadata import entry_points

    for point in entry_points(group="headwater.types"):
        yield point.load()


def _of_file(name: str) -> DataSourceType | None:
    """The type of the file of this name, without loading the others."""
    if not name.isidentifier() or importlib.util.find_spec(f"{__name__}.{name}") is None:
        return None
    found = getattr(importlib.import_module(f"{__name__}.{name}"), "TYPE", None)
    return found if isinstance(found, DataSourceType) else None


@cache
def _aliases() -> Mapping[str, str]:
    return {alias: entry.name for entry in catalogue().values() for alias in entry.aliases}


def get(name: str) -> DataSourceType:
    """The type of this name or alias.

    Raises:
        NotFound: No such type; the message lists the nearest names.
    """
    wanted = name.strip().lower().replace("-", "_")
    found = _of_file(wanted) or catalogue().get(_aliases().get(wanted, wanted))
    if found is None:
        known = [*catalogue(), *_aliases()]
        near = nearest(wanted, known, count=3, likeness=0.5)
        advice = f"did you mean {', '.join(near)}?" if near else "`headwater types` lists every type"
        raise NotFound(f"unknown data source type {name!r}", where="type", instruction=advice)
    return found


def by_scheme(scheme: str) -> DataSourceType | None:
    """The type that a URL scheme names (``mysql`` of ``jdbc:mysql:``), None for a scheme of no type."""
    own = _of_file(scheme)
    if own and scheme in own.url_schemes:
        return own
    return next((entry for entry in catalogue().values() if scheme in entry.url_schemes), None)
