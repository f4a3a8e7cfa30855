"""Dependents to put into a registry."""

from __future__ import annotations

from sqlalchemy import select

from registry import model, sources, workspaces
from registry.store import Store


def depend(
    store: Store,
    name: str,
    source: str = "retail/orders",
    *,
    env: str = "prod",
    entry: str | None = None,
    module: str = "data_studio",
    workspace: str | None = None,
    owner: str = "",
) -> int:
    """A dependent that reads a source; its id."""
    home, _, bare = source.partition("/")
    with store.database.write() as session:
        row = sources.find(session, home, bare)
        node = model.Dependent(
            workspace_id=workspaces.find(session, workspace or home).id,
            adapter="registered",
            key=f"{workspace or home}:{name}",
            unit=name,
            module=module,
            env=env,
            name=name,
            owner=owner,
            seen_at=model.now(),
        )
        session.add(node)
        session.flush()
        session.add(
            model.Reference(dependent_id=node.id, data_source_id=row.id, source=source, env=entry or env, role="reader")
        )
        return node.id


def pointed_at(store: Store, dependent: int) -> int | None:
    """The id of the source that a dependent's reference points to."""
    with store.database.read() as session:
        wanted = select(model.Reference.data_source_id).where(model.Reference.dependent_id == dependent)
        return session.scalars(wanted).one()
