"""A data source by the name that people type: `name`, or `workspace/name`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from registry.access import Verb
    from registry.model import DataSource
    from registry.store import Store


def find(store: Store, source: str, verb: Verb | None = None, *, workspace: str | None = None) -> DataSource:
    """The one data source of this name.

    Args:
        verb: What for, where it is more than to look at it.
        workspace: The one that a name alone is of.

    Raises:
        Forbidden: No role of whoever acts allows it.
        NotFound: None has it; the nearest are named.
        InvalidInput: Several workspaces have one, or `source` is of another workspace.
    """
    from registry.access import Verb

    found = _found(store, source if workspace is None or "/" in source else f"{workspace}/{source}")
    if workspace not in (None, found.workspace.name):
        told = f"{source} is of workspace {found.workspace.name}, --workspace says {workspace}"
        raise InvalidInput(told, where="--workspace", instruction="drop one of the two")
    store.expect(verb or Verb.GET, found.workspace.name)
    return found


def _found(store: Store, source: str) -> DataSource:
    from registry import sources

    workspace, slash, name = source.partition("/")
    if slash:
        return store.sources.get(workspace, name, user=store.by().actor)
    found = store.sources.find(source, user=store.by().actor)
    if not found:
        with store.database.read() as session:
            near = sources.nearest(session, source)
        raise NotFound(f"no data source {source!r} in any workspace", where="source", instruction=near)
    if len(found) > 1:
        names = ", ".join(row.path for row in found)
        raise InvalidInput(f"{source} is in several workspaces", where="source", instruction=f"say which: {names}")
    return found[0]
