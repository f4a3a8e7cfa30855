"""Members: who has which role, in a workspace and above all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry import access, audit, model, workspaces
from registry.access import TENANT_ROLES, Role, Verb
from registry.audit import By
from registry.changes import Action, Change
from registry.database import Database
from registry.errors import InvalidInput, NotFound


@dataclass(frozen=True)
class Membership:
    """One role of one user. `workspace` is empty for a role of the tenant."""

    user: str
    role: Role
    workspace: str = ""

    @property
    def place(self) -> str:
        """Where it counts, as the audit says it."""
        return f"workspace:{self.workspace}" if self.workspace else "tenant"


class Members:
    """The members of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, workspace: str | None = None, by: By | None = None) -> Sequence[Membership]:
        """Every role that anybody holds; of one workspace: those there and above it.

        Args:
            by: Who asks: of the roles in workspaces only those where he may list data sources or manage members, and
                his own; None: the registry itself.

        Raises:
            Forbidden: He may neither, in the workspace that he asks for.
            NotFound: No such workspace.
        """
        with self._database.read() as session:
            named = workspaces.find(session, workspace) if workspace is not None else None
            here = named.id if named is not None else None
            if by is not None and named is not None and not _may_look(session, by, named):
                access.require(session, by, Verb.LIST, named)
            rows = session.execute(
                select(model.Workspace.name, model.Member.user, model.Member.role)
                .join(model.Workspace)
                .where(*([model.Member.workspace_id == here] if here is not None else []))
            )
            found = [Membership(user, access.role(role), name) for name, user, role in rows]
            above = session.execute(select(model.TenantMember.user, model.TenantMember.role))
            if by is not None:
                open_ = {one.name for one in session.scalars(select(model.Workspace)) if _may_look(session, by, one)}
                found = [one for one in found if one.workspace in open_ or one.user == by.actor]
            found += [Membership(user, access.role(role)) for user, role in above]
        return sorted(found, key=lambda one: (one.workspace, one.user, one.role))

    def grant(self, given: Membership, by: By) -> bool:
        """Give a role; False: the user has it already.

        Raises:
            Forbidden: Whoever acts manages neither the workspace nor the tenant.
            InvalidInput: The role belongs elsewhere.
            NotFound: No such workspace.
        """
        _expect_its_place(given)
        with self._database.write() as session:
            row = _row(session, given, by)
            if given.role in access.roles_here(session, given.user, row):
                return False
            if row is None:
                session.add(model.TenantMember(user=given.user, role=given.role))
            else:
                session.add(model.Member(workspace_id=row.id, user=given.user, role=given.role))
                _touch(row, by)
            after = {"user": given.user, "role": given.role}
            version = row.version if row is not None else None
            audit.write(session, [by.record("grant", given.place, version=version, before=None, after=after)])
        return True

    def revoke(self, taken: Membership, by: By) -> None:
        """Take a role away.

        Raises:
            Forbidden: As `grant`.
            NotFound: The user does not have it.
            InvalidInput: It is the last owner of the tenant.
        """
        with self._database.write() as session:
            row = _row(session, taken, by)
            if taken.role not in access.roles_here(session, taken.user, row):
                told = f"{taken.user} has no role {taken.role} there"
                raise NotFound(told, where=taken.place, instruction="`headwater member list` shows who has what")
            if row is None:
                _expect_another_owner(session, taken)
                here = (model.TenantMember.user == taken.user, model.TenantMember.role == taken.role)
                session.execute(delete(model.TenantMember).where(*here))
            else:
                whose = (model.Member.user == taken.user, model.Member.workspace_id == row.id)
                for member in session.scalars(select(model.Member).where(*whose)):
                    if access.role(member.role) is taken.role:
                        session.delete(member)
                _touch(row, by)
            before = {"user": taken.user, "role": taken.role}
            version = row.version if row is not None else None
            audit.write(session, [by.record("revoke", taken.place, version=version, before=before, after=None)])


def of_tenant(user: str, role: str) -> Membership:
    """A role of the tenant, by any of its names.

    Raises:
        InvalidInput: There is no such role, or it is one of a workspace.
    """
    found = Membership(user, access.role(role))
    _expect_its_place(found)
    return found


def admit(session: Session, wanted: Sequence[Membership], by: By) -> list[Change]:
    """Give roles of the tenant, in a transaction that holds the write lock; whoever is not named keeps his.

    Raises:
        Forbidden: Whoever acts may not give one of them.
    """
    given = [*dict.fromkeys(wanted)]
    new = list[Membership]()
    for one in given:
        if one.role not in access.roles_here(session, one.user, None):
            # Asked for all of them before there is any: whoever gives the first one away may have none of his own.
            _row(session, one, by)
            new.append(one)
    session.add_all(model.TenantMember(user=one.user, role=one.role) for one in new)
    audit.write(
        session,
        [
            by.record("grant", one.place, version=None, before=None, after={"user": one.user, "role": one.role})
            for one in new
        ],
    )
    return [
        Change(f"tenant_member:{one.user}", Action.CREATE, {"role": (None, one.role.value)})
        if one in new
        else Change(f"tenant_member:{one.user}", Action.UNCHANGED)
        for one in given
    ]


def _may_look(session: Session, by: By, workspace: model.Workspace) -> bool:
    return any(access.allowed(session, by, verb, workspace) for verb in (Verb.LIST, Verb.MANAGE_WORKSPACE))


def _row(session: Session, one: Membership, by: By) -> model.Workspace | None:
    row = workspaces.find(session, one.workspace) if one.workspace else None
    access.require(session, by, Verb.MANAGE_WORKSPACE if row else access.verb_over(session, one.role), row)
    return row


def _touch(row: model.Workspace, by: By) -> None:
    for column, value in by.changed(row.version).items():
        setattr(row, column, value)


def _expect_its_place(given: Membership) -> None:
    tenant = given.role in TENANT_ROLES
    if tenant and given.workspace:
        advice = f"headwater member grant {given.user} {given.role}, without --workspace"
        raise InvalidInput(f"{given.role} is a role of the tenant", where=given.place, instruction=advice)
    if not tenant and not given.workspace:
        advice = f"headwater member grant {given.user} {given.role} --workspace NAME"
        raise InvalidInput(f"{given.role} is a role of a workspace", where="tenant", instruction=advice)


def _expect_another_owner(session: Session, taken: Membership) -> None:
    owners = select(model.TenantMember.user).where(model.TenantMember.role == Role.TENANT_OWNER)
    others = select(model.TenantMember.user).where(model.TenantMember.role != Role.TENANT_OWNER)
    if taken.role is not Role.TENANT_OWNER or len(session.scalars(owners).all()) > 1:
        return
    if session.scalar(others.limit(1)) is not None:
        advice = "grant tenant_owner to somebody else first"
        raise InvalidInput(f"{taken.user} is the last owner of the tenant", where="tenant", instruction=advice)
