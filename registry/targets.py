"""What there is to check: every data source x environment x bound resource group, in bulk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from registry import entries, groups, model, shared, sources, workspaces
from registry.connection import Connection
from registry.errors import HeadwaterError, InvalidInput, NotFound
from registry.parameters import RemovedParameter

Environment = Literal["dev", "prod"]


@dataclass(frozen=True)
class TargetGroup:
    """The resource group that a check runs from."""

    name: str
    kind: str
    settings: Mapping[str, Any]
    network: Mapping[str, Any]
    public_key: str | None


@dataclass(frozen=True)
class CheckTarget:
    """One thing to check.

    Attributes:
        entry_id: None: the source has no configuration for this environment (`CONFIG.ENV_MISSING`).
        connection: None together with `entry_id`, or when the entry does not fit its type; `problem` says why.
        removed: URL parameters that were taken out when the entry was written.
        version: The version of the entry.
        seen_by: The workspace that it is shared with, where it is tested as that one sees it.
    """

    workspace: str
    source: str
    type: str
    env: str
    group: TargetGroup
    permitted_ranges: tuple[str, ...]
    entry_id: int | None
    connection: Connection | None
    problem: HeadwaterError | None = None
    removed: tuple[RemovedParameter, ...] = ()
    version: int | None = None
    seen_by: str = ""

    @property
    def path(self) -> str:
        """`workspace/source/env`."""
        return f"{self.workspace}/{self.source}/{self.env}"

    @property
    def references(self) -> Mapping[str, str]:
        """Field -> reference of its secrets."""
        return self.connection.secret_references() if self.connection else {}


def targets(
    session: Session,
    *,
    workspace: str | None = None,
    source: str | None = None,
    env: Environment | None = None,
    group: str | None = None,
    user: str = "",
) -> list[CheckTarget]:
    """Everything to check that passes the filters, by workspace, source, environment and group.

    Args:
        source: A name; of one that is shared (`retail.orders`) the targets are the owner's entries, as seen from the
            resource groups of the workspace that sees it.
        env: None: every environment that a source has. One that is asked for by name, and that a source has not, is
            a target without an entry.
        user: Who asks: a source may be shared with single users.

    Raises:
        NotFound: No such workspace, source or group, or a group that none of the workspaces is bound to.
    """
    if source is not None and shared.is_shared(source):
        return list(_shared(session, workspace, source, env, group, user))
    owners = _workspaces(session, workspace)
    bound = _bound(session, owners, group)
    if source is not None:
        _expect_source(session, source, workspace)
    return list(_each(session, owners, bound, source, env))


def _workspaces(session: Session, name: str | None) -> dict[int, model.Workspace]:
    if name is not None:
        found = [workspaces.find(session, name)]
    else:
        found = [*session.scalars(select(model.Workspace).order_by(model.Workspace.name))]
    return {workspace.id: workspace for workspace in found}


def _bound(session: Session, owners: Mapping[int, model.Workspace], group: str | None) -> dict[int, list[TargetGroup]]:
    """Workspace -> the groups that its sources are checked from, by name."""
    if group is not None:
        groups.find(session, group)
    rows = session.execute(
        select(model.Binding.workspace_id, model.ResourceGroup)
        .join(model.ResourceGroup, model.ResourceGroup.id == model.Binding.resource_group_id)
        .order_by(model.ResourceGroup.name)
    )
    bound: dict[int, list[TargetGroup]] = {}
    for workspace_id, row in rows:
        if workspace_id in owners and group in (None, row.name):
            place = TargetGroup(row.name, row.kind, row.settings, row.network, row.public_key)
            bound.setdefault(workspace_id, []).append(place)
    if group is not None and owners and not bound:
        names = ", ".join(workspace.name for workspace in owners.values())
        raise NotFound(
            f"resource group {group} is not bound to workspace {names}",
            where="resource_group",
            instruction=f"add {group} to the workspace's resource_groups and apply",
        )
    return bound


def _expect_source(session: Session, source: str, workspace: str | None) -> None:
    if workspace is not None:
        sources.find(session, workspace, source)
    elif session.scalar(select(model.DataSource.id).where(model.DataSource.name == source).limit(1)) is None:
        advice = sources.nearest(session, source)
        raise NotFound(f"no data source {source!r} in any workspace", where="source", instruction=advice)


def _each(
    session: Session,
    owners: Mapping[int, model.Workspace],
    bound: Mapping[int, list[TargetGroup]],
    source: str | None,
    env: Environment | None,
) -> Iterator[CheckTarget]:
    for owner in owners.values():
        places = bound.get(owner.id, [])
        for (name, type_), sides in _sources(session, owner, source) if places else ():
            for side in (env,) if env else _present(owner, sides):
                yield from _at(owner, name, type_, side, sides.get(side), places)


def _shared(
    session: Session, workspace: str | None, name: str, env: Environment | None, group: str | None, user: str
) -> Iterator[CheckTarget]:
    """The entries behind a shared name, from the groups of the workspaces that see it and to where those may go."""
    seen = [one for one in shared.everywhere(session, name, user) if workspace in (None, one.workspace.name)]
    if not seen and workspace is not None:
        shared.source(session, workspaces.find(session, workspace), name, user)  # says what is shared instead
    if not seen:
        raise NotFound(f"no workspace shares {name!r}", where="source", instruction="`headwater share list`")
    bound = _bound(session, {one.workspace.id: one.workspace for one in seen}, group)
    for one in seen:
        for side in (env,) if env else sorted(entry.env for entry in one.entries):
            row, entry, owner = shared.entry(session, one.workspace, name, side, user)
            home = workspaces.find(session, owner)
            for target in _at(home, row.name, row.type, entry.env, entry, bound.get(one.workspace.id, [])):
                ranges = tuple(one.workspace.permitted_ranges)
                yield replace(target, permitted_ranges=ranges, seen_by=one.workspace.name)


def _present(owner: model.Workspace, sides: Mapping[str, Any]) -> Sequence[str]:
    """The environments that a source has; production where it has none, so that it is not passed over."""
    return [env for env in workspaces.ENVIRONMENTS[owner.mode] if env in sides] or ["prod"]


def _sources(
    session: Session, owner: model.Workspace, source: str | None
) -> Iterator[tuple[tuple[str, str], dict[str, Row[Any]]]]:
    """(name, type) and environment -> columns of its entry; columns only, because rows come in ten thousands."""
    wanted = (
        select(
            model.DataSource.name,
            model.DataSource.type,
            model.Entry.env,
            model.Entry.id,
            model.Entry.mode,
            model.Entry.properties,
            model.Entry.references,
            model.Entry.removed,
            model.Entry.version,
        )
        .outerjoin(model.Entry, model.Entry.data_source_id == model.DataSource.id)
        .where(model.DataSource.workspace_id == owner.id)
        .order_by(model.DataSource.name)
    )
    if source is not None:
        wanted = wanted.where(model.DataSource.name == source)
    grouped: dict[tuple[str, str], dict[str, Row[Any]]] = {}
    for row in session.execute(wanted):
        grouped.setdefault((row[0], row[1]), {})[row[2]] = row
    yield from grouped.items()


def _at(
    owner: model.Workspace,
    name: str,
    type_: str,
    env: str,
    row: Row[Any] | model.Entry | None,
    places: list[TargetGroup],
) -> Iterator[CheckTarget]:
    connection: Connection | None = None
    problem: HeadwaterError | None = None
    path = f"{owner.name}/{name}/{env}"
    if row is None:
        problem = InvalidInput(
            f"data source {name} has no {env} configuration",
            where=path,
            instruction=f"add its {env} side to the file and apply",
        )
    else:
        try:
            connection = entries.build(type_, row.mode, row.properties, row.references)
        except HeadwaterError as error:
            problem = error
    entry_id, version = (row.id, row.version) if row is not None else (None, None)
    removed = tuple(RemovedParameter(key, why) for key, why in row.removed.items()) if row is not None else ()
    ranges = tuple(owner.permitted_ranges)
    for place in places:
        yield CheckTarget(owner.name, name, type_, env, place, ranges, entry_id, connection, problem, removed, version)
