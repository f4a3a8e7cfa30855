"""Dependents: who uses a data source, and how each is rewritten. One module a kind, found by listing this folder.

An adapter knows one kind of place where data sources are named: files of a format, deployments of a Prefect server.
What it rewrites in one go is a unit (a file, a deployment), in which several dependents may lie. All it is told to
change are names at places; so a change is undone by the same change backwards, and nothing but names and fingerprints
needs to be remembered of it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Protocol

from registry.errors import HeadwaterError


@dataclass(frozen=True)
class Place:
    """Where exactly a name stands.

    Attributes:
        unit: The file (its absolute path) or `deployment:ID`.
        pointer: JSON pointer (RFC 6901) of the value; a pointer into JSON text inside of a value goes on after `!`
            (`/spec/nodes/0/script/content!/steps/0/parameter/datasource`); in text that is no JSON, `line:column`.
    """

    unit: str
    pointer: str


@dataclass(frozen=True)
class FoundReference:
    """One use of a data source, as it stands there.

    Attributes:
        source: The name as it is written: `orders`, or `retail/orders`, or `retail.orders` for one that is shared.
        type: The type as it is written, under any of its aliases; empty: not said.
        role: reader, writer, query, rule or api; empty: not said.
        objects: Tables that it binds there.
        needs: Table -> what is done with it beyond what the role says, in the words of GRANT: INSERT, UPDATE, DELETE,
            TRUNCATE. Of a writer's table that is left out, INSERT is taken for all.
    """

    source: str
    type: str = ""
    role: str = ""
    objects: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class FoundDependent:
    """One dependent, as its adapter sees it.

    Attributes:
        key: What the adapter knows it by, for ever.
        unit: What is rewritten in one go.
        module: data_integration, data_studio, operation_center, data_service, data_analysis, data_quality, data_map.
        task_kind: The kind of its work, as `registry.usage` knows it; empty: not known.
        env: `dev` or `prod`: where it runs itself.
        locked_by: Who is editing it right now.
        details: What the adapter wants to remember (scalars and lists): a smoke run, a schedule.
    """

    key: str
    unit: str
    name: str
    module: str
    references: tuple[FoundReference, ...]
    task_kind: str = ""
    env: str = "prod"
    owner: str = ""
    resource_group: str = ""
    location: str = ""
    locked_by: str = ""
    last_run_at: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unread:
    """A place that could not be read: it is told and left alone."""

    place: Place
    reason: str


@dataclass(frozen=True)
class Scope:
    """Where to look.

    Attributes:
        workspace: The workspace that unqualified names belong to.
        roots: Folders, files or repositories; of Prefect: names or patterns of deployments, empty: all.
    """

    workspace: str
    roots: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rename:
    """One name at one place that becomes another one. Backwards it is its own undoing."""

    place: Place
    old: str
    new: str

    def backwards(self) -> Rename:
        """What undoes it."""
        return Rename(self.place, self.new, self.old)


@dataclass(frozen=True)
class Content:
    """What a unit holds right now.

    Attributes:
        text: All of it, as the adapter reads it. It may hold secrets of others: it is never stored, logged or shown.
        fingerprint: SHA-256 of the text.
    """

    text: str = field(repr=False)
    fingerprint: str = ""


class UnitMoved(HeadwaterError):
    """A unit holds neither what was expected nor what it was to become: somebody else has changed it."""


class NotRewritable(HeadwaterError):
    """A place does not hold the old name, or cannot hold the new one."""


class Adapter(Protocol):
    """One kind of place where data sources are named. Every call may be repeated after a kill at any instruction."""

    #: The name of its module.
    name: str

    def scan(self, scope: Scope) -> AsyncIterator[FoundDependent | Unread]:
        """Everything in a scope that names a data source, and everything that could not be read."""
        ...

    async def read(self, unit: str) -> Content:
        """What a unit holds.

        Raises:
            HeadwaterError: It is gone, or out of reach.
        """
        ...

    def rewrite(self, content: Content, renames: Sequence[Rename]) -> Content:
        """The unit with these names changed and nothing else, not a space. Pure.

        Raises:
            NotRewritable: A place does not hold its old name.
        """
        ...

    async def write(self, unit: str, before: Content, after: Content) -> None:
        """Make a unit hold `after`, in one step that is seen whole or not at all. One that holds it already is left.

        Raises:
            UnitMoved: It holds neither `before` nor `after`.
        """
        ...

    async def submit(self, unit: str, message: str) -> None:
        """Hand the new version in: commit it, make it a version. Nothing where there is no such step."""
        ...

    async def deploy(self, unit: str) -> None:
        """Bring what was submitted to where it runs. Nothing where there is no such step."""
        ...

    async def verify(self, unit: str, expected: Content) -> str | None:
        """Whether what runs is what was written: None, or what is wrong with it."""
        ...

    async def smoke(self, unit: str, details: Mapping[str, Any]) -> str | None:
        """Run a dependent once, where it declares such a run: None when it went well or declares none, else why not."""
        ...


def blocks(adapter: Adapter | None) -> bool:
    """Whether its calls block, as on a disk: whoever makes many works in lanes (`tasks.lanes`).

    An adapter says so by `blocking = True`. None of its calls may belong to an event loop then.
    """
    return getattr(adapter, "blocking", False)


@cache
def catalogue() -> Mapping[str, Adapter]:
    """Every adapter by its name."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    found = [module.ADAPTER for module in modules if hasattr(module, "ADAPTER")]
    return {adapter.name: adapter for adapter in sorted(found, key=lambda one: one.name)}
