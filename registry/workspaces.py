"""Workspaces: their mode, members, permitted ranges and bound resource groups."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from registry import access, audit, groups, model
from registry.access import Verb
from registry.audit import By
from registry.changes import Action, Change
from registry.database import Database
from registry.errors import Conflict, InvalidInput, NotFound
from registry.nearest import nearest

#: Environments of a workspace mode: a basic one has production alone.
ENVIRONMENTS: Mapping[str, tuple[str, ...]] = {"basic": ("prod",), "standard": ("dev", "prod")}

#: The resource group of a workspace that names none: this machine.
DEFAULT_GROUPS = ("local",)


@dataclass(frozen=True)
class WorkspaceDraft:
    """A workspace as it shall be; None: as it is, or the default for a new one.

    Attributes:
        members: (user, role) pairs.
    """

    name: str
    mode: str | None = None
    description: str | None = None
    permitted_ranges: tuple[str, ...] | None = None
    resource_groups: tuple[str, ...] | None = None
    members: tuple[tuple[str, str], ...] | None = None


class Workspaces:
    """The workspaces of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, draft: WorkspaceDraft, by: By) -> Change:
        """Make a workspace.

        Raises:
            Conflict: There is one of this name.
            InvalidInput: An unknown mode or range.
            NotFound: An unknown resource group.
        """
        with self._database.write() as session:
            if _select(session, draft.name) is not None:
                raise Conflict(f"workspace {draft.name} exists", where=f"workspace:{draft.name}")
            return put(session, draft, by)

    def update(self, draft: WorkspaceDraft, by: By, *, expected_version: int | None = None) -> Change:
        """Change a workspace; fields that are None stay.

        Raises:
            NotFound: No such workspace or resource group.
            Conflict: The workspace is not at `expected_version` any more.
        """
        with self._database.write() as session:
            workspace = find(session, draft.name)
            audit.expect(session, f"workspace:{draft.name}", expected=expected_version, actual=workspace.version)
            return put(session, draft, by)

    def get(self, name: str) -> model.Workspace:
        """Raises: NotFound."""
        with self._database.read() as session:
            return find(session, name)

    def list(self) -> list[model.Workspace]:
        """Every workspace, by name."""
        with self._database.read() as session:
            return [*session.scalars(select(model.Workspace).order_by(model.Workspace.name))]

    def resource_groups(self, name: str) -> Sequence[model.ResourceGroup]:
        """The groups that a workspace is bound to, by name.

        Raises:
            NotFound: No such workspace.
        """
        with self._database.read() as session:
            return bound_groups(session, find(session, name))

    def members(self, name: str) -> Sequence[tuple[str, str]]:
        """The (user, role) pairs of a workspace.

        Raises:
            NotFound: No such workspace.
        """
        with self._database.read() as session:
            return _members(session, find(session, name))

    def bind(self, name: str, group: str, by: By) -> Change:
        """Let a workspace use a resource group.

        Raises:
            NotFound: No such workspace or group.
        """
        return self._rebind(name, by, add=(group,))

    def unbind(self, name: str, group: str, by: By) -> Change:
        """Take a resource group from a workspace.

        Raises:
            NotFound: No such workspace or group.
        """
        return self._rebind(name, by, remove=(group,))

    def _rebind(self, name: str, by: By, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Change:
        with self._database.write() as session:
            bound = {group.name for group in bound_groups(session, find(session, name))}
            known = {groups.find(session, group).name for group in (*add, *remove)}
            wanted = (bound | known) - set(remove)
            return put(session, WorkspaceDraft(name, resource_groups=tuple(wanted)), by)


def find(session: Session, name: str) -> model.Workspace:
    """The workspace of this name.

    Raises:
        NotFound: No such workspace; the message lists the nearest names.
    """
    workspace = _select(session, name)
    if workspace is None:
        known = session.scalars(select(model.Workspace.name).order_by(model.Workspace.name)).all()
        near = nearest(name, known, count=3, likeness=0.5) or known[:5]
        advice = f"known: {', '.join(near)}" if near else "there is none yet: `headwater apply -f FILE` makes them"
        raise NotFound(f"no workspace {name!r}", where="workspace", instruction=advice)
    return workspace


def bound_groups(session: Session, workspace: model.Workspace) -> list[model.ResourceGroup]:
    """The groups that a workspace is bound to, by name."""
    wanted = (
        select(model.ResourceGroup)
        .join(model.Binding)
        .where(model.Binding.workspace_id == workspace.id)
        .order_by(model.ResourceGroup.name)
    )
    return [*session.scalars(wanted)]


def put(session: Session, draft: WorkspaceDraft, by: By) -> Change:
    """Create or update a workspace in a transaction that holds the write lock."""
    _check(draft)
    workspace = _select(session, draft.name)
    object_ = f"workspace:{draft.name}"
    before = snapshot(session, workspace) if workspace else {}
    if workspace is None:
        access.require(session, by, Verb.MANAGE_TENANT)
        workspace = model.Workspace(name=draft.name, mode=draft.mode or "standard", **by.new())
        workspace.description, workspace.permitted_ranges = "", []
        session.add(workspace)
        session.flush()
        draft = _with_defaults(draft)
    elif draft.mode not in (None, workspace.mode):
        raise InvalidInput(
            f"the workspace is {workspace.mode}; a mode is not changed by an update",
            where=f"{object_}.mode",
            instruction=f"headwater workspace upgrade {workspace.name}"
            if workspace.mode == "basic"
            else f"leave mode at {workspace.mode}",
        )
    # Whoever may not do it now must not be able to give himself the role with it.
    refusals = {verb: access.refusal(session, by, verb, workspace) for verb in (Verb.BIND, Verb.MANAGE_WORKSPACE)}
    _fill(session, workspace, draft)
    after = snapshot(session, workspace)
    changed = audit.differences(before, after)
    if not changed:
        return Change(object_, Action.UNCHANGED)
    if before:
        for column, value in by.changed(workspace.version).items():
            setattr(workspace, column, value)
    refused = refusals[Verb.BIND if set(changed) == {"resource_groups"} else Verb.MANAGE_WORKSPACE]
    if refused is not None:
        raise refused
    action = Action.UPDATE if before else Action.CREATE
    old, new = audit.sides(changed) if before else (None, after)
    session.flush()
    audit.write(session, [by.record(action, object_, version=workspace.version, before=old, after=new)])
    shown = changed if before else {name: sides for name, sides in changed.items() if sides[1]}
    return Change(object_, action, shown)


def snapshot(session: Session, workspace: model.Workspace) -> dict[str, Any]:
    """The fields of a workspace that people set."""
    return {
        "mode": workspace.mode,
        "description": workspace.description,
        "permitted_ranges": workspace.permitted_ranges,
        "resource_groups": [group.name for group in bound_groups(session, workspace)],
        "members": [{"user": user, "role": role} for user, role in _members(session, workspace)],
    }


def _with_defaults(draft: WorkspaceDraft) -> WorkspaceDraft:
    if draft.resource_groups is not None:
        return draft
    return WorkspaceDraft(**{**draft.__dict__, "resource_groups": DEFAULT_GROUPS})


def _fill(session: Session, workspace: model.Workspace, draft: WorkspaceDraft) -> None:
    if draft.description is not None:
        workspace.description = draft.description
    if draft.permitted_ranges is not None:
        workspace.permitted_ranges = list(draft.permitted_ranges)
    if draft.resource_groups is not None:
        _bind(session, workspace, {groups.find(session, name).id for name in draft.resource_groups})
    if draft.members is not None:
        _admit(session, workspace, [(user, access.role(role)) for user, role in draft.members])
    session.flush()


def _bind(session: Session, workspace: model.Workspace, wanted: set[int]) -> None:
    present = {group.id for group in bound_groups(session, workspace)}
    table, here = model.Binding, model.Binding.workspace_id == workspace.id
    session.execute(delete(table).where(here, table.resource_group_id.in_(present - wanted)))
    rows = [{"workspace_id": workspace.id, "resource_group_id": id_} for id_ in sorted(wanted - present)]
    if rows:
        session.execute(insert(table), rows)


def _admit(session: Session, workspace: model.Workspace, wanted: Sequence[tuple[str, str]]) -> None:
    if sorted(set(wanted)) == _members(session, workspace):
        return
    session.execute(delete(model.Member).where(model.Member.workspace_id == workspace.id))
    rows = [{"workspace_id": workspace.id, "user": user, "role": role} for user, role in sorted(set(wanted))]
    if rows:
        session.execute(insert(model.Member), rows)


def _members(session: Session, workspace: model.Workspace) -> list[tuple[str, str]]:
    rows = session.execute(
        select(model.Member.user, model.Member.role).where(model.Member.workspace_id == workspace.id)
    )
    return sorted((user, role) for user, role in rows)


def _select(session: Session, name: str) -> model.Workspace | None:
    return session.scalar(select(model.Workspace).where(model.Workspace.name == name))


def _check(draft: WorkspaceDraft) -> None:
    where = f"workspace:{draft.name}"
    if draft.mode not in (None, *ENVIRONMENTS):
        raise InvalidInput(f"no mode {draft.mode!r}", where=f"{where}.mode", instruction="use basic or standard")
    for cidr in draft.permitted_ranges or ():
        try:
            ipaddress.ip_network(cidr)
        except ValueError as error:
            advice = 'write a network such as "10.0.0.0/8" or an address such as "10.1.2.3/32"'
            raise InvalidInput(str(error), where=f"{where}.permitted_ranges", instruction=advice) from None
    for user, name in draft.members or ():
        try:
            placed = access.role(name) not in access.TENANT_ROLES
        except InvalidInput as error:
            raise InvalidInput(error.reason, where=f"{where}.members", instruction=error.instruction) from None
        if not placed:
            advice = f"headwater member grant {user} {name}"
            raise InvalidInput(f"{name} is a role of the tenant", where=f"{where}.members", instruction=advice)
