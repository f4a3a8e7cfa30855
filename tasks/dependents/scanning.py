"""One scan by one adapter: what it found, what it could not read, and which units it has read to the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from registry.audit import By
from registry.dependents import Counts
from registry.errors import InvalidInput
from registry.nearest import nearest
from registry.store import Store
from tasks.dependents import Adapter, FoundDependent, Scope, Unread, catalogue

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Scanned:
    """What a scan told."""

    scope: Scope
    found: tuple[FoundDependent, ...]
    unread: tuple[Unread, ...]

    def finished(self, known: Iterable[str]) -> set[str]:
        """The units that were read to the end, of those that an earlier scan knew too.

        A unit with a place that could not be read is not among them, nor is anything beneath a folder like that.
        """
        held = {one.unit for one in self.found}
        closed = {one.place.unit for one in self.unread}
        roots = [Path(root).expanduser().resolve() for root in self.scope.roots]
        units = held | {unit for unit in known if _within(unit, roots)}
        return {unit for unit in units if unit not in closed and not any(_beneath(unit, one) for one in closed)}


def adapter(name: str) -> Adapter:
    """The adapter of this name.

    Raises:
        InvalidInput: There is none; all of them are named.
    """
    known = catalogue()
    if name not in known:
        near = nearest(name, [*known], count=1, likeness=0.5)
        meant = f"did you mean {near[0]}? " if near else ""
        raise InvalidInput(f"no adapter {name!r}", where="adapter", instruction=f"{meant}there are {', '.join(known)}")
    return known[name]


async def scan(name: str, scope: Scope, progress: Progress = lambda found: None) -> Scanned:
    """Everything in a scope that names a data source.

    Args:
        progress: Called with the number of dependents that are found so far.

    Raises:
        InvalidInput: No such adapter.
        HeadwaterError: A root is not there, or out of reach.
    """
    found: list[FoundDependent] = []
    unread: list[Unread] = []
    async for one in adapter(name).scan(scope):
        if isinstance(one, Unread):
            unread.append(one)
        else:
            found.append(one)
            progress(len(found))
    return Scanned(scope, tuple(found), tuple(unread))


def keep(store: Store, name: str, scanned: Scanned, by: By) -> Counts:
    """Record a scan; see `Dependents.record`."""
    workspace = scanned.scope.workspace
    finished = scanned.finished(store.dependents.units(workspace, name))
    return store.dependents.record(workspace, name, scanned.found, finished, by)


def _within(unit: str, roots: Iterable[Path]) -> bool:
    """Whether a scan of these roots comes to a unit; one of no roots comes to everything but files."""
    roots = list(roots)
    if unit.startswith("/"):
        return any(Path(unit).is_relative_to(root) for root in roots)
    return not roots and not unit.startswith("flow:")


def _beneath(unit: str, folder: str) -> bool:
    return unit.startswith(folder.rstrip("/") + "/")
