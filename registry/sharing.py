"""Sharing rules: who else may use an entry, made and revoked.

Rules of DataWorks (OpenAPI 2024-05-18 `CreateDataSourceSharedRule`, `DeleteDataSourceSharedRule`, and the questions
about permissions on data sources): whoever makes a rule may share in both workspaces, whoever revokes it in one of
them. The owner's side is warned of those who use the source, the other side is refused while it is used there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session, aliased

from registry import access, audit, impacts, model, shared, sources, workspaces
from registry.access import Verb
from registry.audit import By
from registry.changes import Action, Change
from registry.database import Database
from registry.errors import Conflict, InvalidInput, NotFound
from registry.impacts import Use


@dataclass(frozen=True)
class Grant:
    """One sharing rule.

    Attributes:
        source: `workspace/name` of what is shared.
        entry: Which side of it.
        workspace: Whom it is shared with.
        env: The environment of that workspace in which it is seen.
        user: Empty: everybody in that workspace.
    """

    id: int
    source: str
    entry: str
    workspace: str
    env: str
    user: str
    creator: str
    created_at: datetime

    @property
    def name(self) -> str:
        """What it is called there."""
        return shared.name_of(*self.source.split("/", 1))


@dataclass(frozen=True)
class Revoked:
    """What a revocation ended.

    Attributes:
        users: The dependents over there that have lost the source.
    """

    grants: tuple[Grant, ...]
    users: tuple[Use, ...]


@dataclass(frozen=True)
class RuleDraft:
    """A sharing rule as it shall be.

    Attributes:
        source: `workspace/name` of what is shared.
        to: Whom it is shared with.
        env: The environment of that workspace in which it is seen.
        side: The side that is shared; None: as `Sharing.share`.
        user: Empty: everybody there.
    """

    source: str
    to: str
    env: str
    side: str | None = None
    user: str = ""

    @property
    def place(self) -> str:
        """As messages and records of changes name it."""
        return f"share:{self.source} with {self.to}/{self.env}" + (f" for {self.user}" if self.user else "")


class Sharing:
    """The sharing rules of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def share(
        self, workspace: str, name: str, by: By, *, to: str, env: str, user: str = "", entry: str | None = None
    ) -> Grant:
        """Let another workspace, or one user of it, view and use a side of a data source.

        Args:
            to: The other workspace.
            env: The environment of that workspace in which it is seen.
            user: Empty: everybody there.
            entry: The side that is shared; None: the one of the same environment, or the only one.

        Raises:
            Forbidden: Whoever acts may not share in both workspaces.
            NotFound: No such workspace, source or side.
            InvalidInput: It is shared itself, both workspaces are one, or the other has no such environment.
            Conflict: The same is shared already.
        """
        with self._database.write() as session:
            return _share(session, RuleDraft(f"{workspace}/{name}", to, env, entry, user), by)

    def list(self, *, source: str | None = None, workspace: str | None = None, by: By | None = None) -> Sequence[Grant]:
        """The sharing rules of a source (`workspace/name`), or those with this workspace on either side, or all.

        Args:
            by: Who asks: those that he might revoke, from either side; None: the registry itself.
        """
        with self._database.read() as session:
            found = [_grant(row) for row in session.execute(_all())]
            if by is not None:
                known = session.scalars(select(model.Workspace))
                open_ = {one.name for one in known if access.allowed(session, by, Verb.SHARE, one)}
                found = [one for one in found if {one.workspace, one.source.partition("/")[0]} & open_]
        if source is not None:
            found = [one for one in found if one.source == source]
        if workspace is not None:
            found = [one for one in found if workspace in (one.workspace, one.source.partition("/")[0])]
        return found

    def preview(
        self, source: str, by: By, *, of: str, to: str, env: str | None = None, user: str | None = None
    ) -> Revoked:
        """What `revoke` or `give_up` would end, and who would lose the source; nothing is changed.

        Args:
            source: `workspace/name` of what is shared.
            of: The workspace from whose side it would be ended.
            to, env, user: As `revoke`.

        Raises:
            Forbidden: Whoever asks may not share there.
            NotFound: No such workspace or rule.
        """
        with self._database.read() as session:
            access.require(session, by, Verb.SHARE, workspaces.find(session, of))
            grants = _matching(session, source, to, env, user)
            return Revoked(tuple(grants), tuple(_users(session, grants)))

    def revoke(
        self, workspace: str, name: str, by: By, *, to: str, env: str | None = None, user: str | None = None
    ) -> Revoked:
        """End sharing rules from the side of the owner, whoever uses the source there.

        Args:
            to: The workspace that it is shared with.
            env: None: of every environment of it.
            user: None: those for everybody and for single users; empty: the one for everybody.

        Raises:
            Forbidden: Whoever acts may not share in the owner's workspace.
            NotFound: No such workspace, source or rule.
        """
        with self._database.write() as session:
            row = sources.find(session, workspace, name)
            access.require(session, by, Verb.SHARE, row.workspace)
            grants = _matching(session, row.path, to, env, user)
            return _revoke(session, grants, row.version, by)

    def give_up(self, workspace: str, name: str, by: By, *, env: str | None = None, user: str | None = None) -> Revoked:
        """End sharing rules from the side of the workspace that they are for; refused while it is used there.

        Args:
            workspace: The workspace that sees the source.
            name: What it is called there: `retail.orders`.
            env, user: As `revoke`.

        Raises:
            Forbidden: Whoever acts may not share in this workspace.
            NotFound: No such workspace or rule.
            InvalidInput: Something there uses it.
        """
        owner, _, bare = name.partition(".")
        with self._database.write() as session:
            target = workspaces.find(session, workspace)
            access.require(session, by, Verb.SHARE, target)
            grants = _matching(session, f"{owner}/{bare}", workspace, env, user)
            users = _users(session, grants)
            if users:
                names = ", ".join(use.name for use in users[:5])
                raise InvalidInput(
                    f"it is used by {len(users)} there: {names}{', ...' if len(users) > 5 else ''}",
                    where=f"data_source:{workspace}/{name}",
                    instruction=f"move these to another source first: headwater repoint {workspace}/{name} NEW",
                )
            return _revoke(session, grants, sources.find(session, owner, bare).version, by)


def put(session: Session, wanted: RuleDraft, by: By) -> Change:
    """Make a sharing rule, in a transaction that holds the write lock; one that is there already is no change.

    Raises:
        As `Sharing.share`.
    """
    row = sources.find(session, *wanted.source.split("/", 1))
    side = _side(row, wanted.env, wanted.side).env
    said = (wanted.source, side, wanted.to, wanted.env, wanted.user)
    for there in session.execute(_all().where(model.DataSource.id == row.id)):
        grant = _grant(there)
        if said == (grant.source, grant.entry, grant.workspace, grant.env, grant.user):
            return Change(wanted.place, Action.UNCHANGED)
    _share(session, wanted, by)
    return Change(wanted.place, Action.CREATE, {"side": (None, side)})


def _share(session: Session, wanted: RuleDraft, by: By) -> Grant:
    row, target = sources.find(session, *wanted.source.split("/", 1)), workspaces.find(session, wanted.to)
    access.require(session, by, Verb.SHARE, row.workspace)
    access.require(session, by, Verb.SHARE, target)
    _expect_shareable(row, target, wanted.env)
    side = _side(row, wanted.env, wanted.side)
    _expect_new(session, row, target, wanted.env, wanted.user)
    rule = model.SharingRule(
        entry_id=side.id,
        target_workspace_id=target.id,
        env=wanted.env,
        user=wanted.user,
        creator=by.actor,
        created_at=by.at,
    )
    session.add(rule)
    session.flush()
    grant = Grant(rule.id, row.path, side.env, wanted.to, wanted.env, wanted.user, by.actor, by.at)
    audit.write(session, [_record("share", grant, row.version, by)])
    return grant


def _expect_shareable(row: model.DataSource, target: model.Workspace, env: str) -> None:
    where = f"data_source:{row.path}"
    if target.id == row.workspace_id:
        advice = "name another workspace"
        raise InvalidInput("a workspace has its own data sources without sharing", where=where, instruction=advice)
    allowed = workspaces.ENVIRONMENTS[target.mode]
    if env not in allowed:
        told = f"{target.name} is a {target.mode} workspace and has no environment {env}"
        raise InvalidInput(told, where=where, instruction=f"use --env {' or '.join(allowed)}")


def _side(row: model.DataSource, env: str, wanted: str | None) -> model.Entry:
    present = {entry.env: entry for entry in row.entries}
    if wanted is None:
        wanted = env if env in present or len(present) != 1 else next(iter(present))
    if wanted not in present:
        advice = f"it has: {', '.join(present) or 'none'}; say which with --side"
        raise NotFound(f"{row.path} has no {wanted} entry", where=f"entry:{row.path}/{wanted}", instruction=advice)
    return present[wanted]


def _expect_new(session: Session, row: model.DataSource, target: model.Workspace, env: str, user: str) -> None:
    """One name means one entry: a source is shared once with whom, and for which environment."""
    same = (
        model.SharingRule.entry_id.in_([entry.id for entry in row.entries]),
        model.SharingRule.target_workspace_id == target.id,
        model.SharingRule.env == env,
        model.SharingRule.user == user,
    )
    if session.scalar(select(model.SharingRule.id).where(*same)) is not None:
        whom = f"{user} in {target.name}" if user else target.name
        raise Conflict(
            f"it is shared with {whom} for {env} already",
            where=f"data_source:{row.path}",
            instruction=f"headwater share list {row.path}, or revoke it first",
        )


def _all() -> Select[Any]:
    owner, target = aliased(model.Workspace), aliased(model.Workspace)
    return (
        select(model.SharingRule, owner.name, model.DataSource.name, model.Entry.env, target.name)
        .join(model.Entry, model.Entry.id == model.SharingRule.entry_id)
        .join(model.DataSource, model.DataSource.id == model.Entry.data_source_id)
        .join(owner, owner.id == model.DataSource.workspace_id)
        .join(target, target.id == model.SharingRule.target_workspace_id)
        .order_by(owner.name, model.DataSource.name, target.name, model.SharingRule.env, model.SharingRule.user)
    )


def _grant(row: Row[Any]) -> Grant:
    rule, owner, source, entry, target = row
    return Grant(rule.id, f"{owner}/{source}", entry, target, rule.env, rule.user, rule.creator, rule.created_at)


def _matching(session: Session, source: str, to: str, env: str | None, user: str | None) -> list[Grant]:
    found = [
        grant
        for row in session.execute(_all())
        if (grant := _grant(row)).source == source
        and grant.workspace == to
        and env in (None, grant.env)
        and user in (None, grant.user)
    ]
    if not found:
        told = f"{source} is not shared with {to}" + (f" for {env}" if env else "") + (f" and {user}" if user else "")
        raise NotFound(told, where=f"data_source:{source}", instruction="`headwater share list` shows every rule")
    return found


def _users(session: Session, grants: Sequence[Grant]) -> list[Use]:
    """Those who get a source by one of these rules and by no other one."""
    ended = {grant.id for grant in grants}
    left = [grant for row in session.execute(_all()) if (grant := _grant(row)).id not in ended]
    lost: dict[tuple[int, str, str], Use] = {}
    for grant in grants:
        owner, _, name = grant.source.partition("/")
        id_ = sources.find(session, owner, name).id
        for use in impacts.uses_of(session, [id_])[id_]:
            if _covers(grant, grant.source, use) and not any(_covers(other, grant.source, use) for other in left):
                lost[use.dependent, use.entry, use.role] = use
    return [*lost.values()]


def _covers(grant: Grant, source: str, use: Use) -> bool:
    """Whether a dependent may use a source by this rule. One without an owner may be anybody's."""
    whom = grant.user in ("", use.owner) or not use.owner
    return grant.source == source and (grant.workspace, grant.entry) == (use.workspace, use.entry) and whom


def _revoke(session: Session, grants: Sequence[Grant], version: int, by: By) -> Revoked:
    users = _users(session, grants)
    for grant in grants:
        session.delete(session.get_one(model.SharingRule, grant.id))
    audit.write(session, [_record("unshare", grant, version, by) for grant in grants])
    return Revoked(tuple(grants), tuple(users))


def _record(action: str, grant: Grant, version: int, by: By) -> dict[str, Any]:
    told = {"entry": grant.entry, "workspace": grant.workspace, "env": grant.env, "user": grant.user}
    before, after = (None, told) if action == "share" else (told, None)
    return by.record(action, f"data_source:{grant.source}", version=version, before=before, after=after)
