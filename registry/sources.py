"""Data sources and their entries: create, change, find, list. `registry.deletion` deletes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Select, Text, cast, exists, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from registry import access, audit, cloning, model, reconcile, shared, types, workspaces
from registry.access import Verb
from registry.audit import By
from registry.changes import Change
from registry.database import Database
from registry.entries import EntryDraft, SourceDraft
from registry.errors import Conflict, InvalidInput, NotFound
from registry.nearest import nearest as likest
from registry.secrets import Secrets

#: In place of a state: no verdict yet.
UNTESTED = "untested"

SortBy = Literal["create_time", "id", "name"]


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Attributes:
        total: Sources that pass the filters, on all pages.
        shared: What other workspaces share with the one that is listed, and that passes the filters; beside the
            first page, and not counted.
    """

    items: list[model.DataSource]
    total: int
    page_number: int
    page_size: int
    shared: Sequence[model.DataSource] = ()


class Sources:
    """The data sources of one registry. What it returns are copies: changing them changes nothing."""

    def __init__(self, database: Database, secrets_: Secrets) -> None:
        self._database = database
        self._secrets = secrets_

    def create(self, workspace: str, source: SourceDraft, by: By) -> Change:
        """Make a data source.

        Raises:
            NotFound: No such workspace.
            Conflict: The workspace has a source of this name.
            InvalidInput: An environment that the workspace has not, or a stored secret of somebody else.
        """
        with self._database.write() as session:
            owner = workspaces.find(session, workspace)
            if reconcile.existing(session, owner, [source.name]):
                raise Conflict(
                    f"workspace {workspace} has a data source {source.name}", where=f"{workspace}/{source.name}"
                )
            return reconcile.put(session, self._secrets, owner, [source], by)[0]

    def update(
        self,
        workspace: str,
        source: SourceDraft,
        by: By,
        *,
        expected_version: int | None = None,
        dry_run: bool = False,
    ) -> Change:
        """Change the attributes and entries that the draft names.

        Args:
            expected_version: The version of the data source that the change was decided on.
            dry_run: Do the same, and take it back.

        Raises:
            NotFound: No such workspace or source.
            Conflict: The source is not at `expected_version` any more; shows what changed.
            InvalidInput: A secret must be set again, because host, port or TLS setting change.
        """
        with self._database.write(keep=not dry_run) as session:
            row = find(session, workspace, source.name)
            audit.expect(session, f"data_source:{row.path}", expected=expected_version, actual=row.version)
            return reconcile.put(session, self._secrets, row.workspace, [source], by, seal=not dry_run)[0]

    def update_entry(
        self, workspace: str, name: str, env: str, entry: EntryDraft, by: By, *, expected_version: int | None = None
    ) -> Change:
        """Replace the configuration of one environment, or add it.

        Args:
            expected_version: The version of the entry that the change was decided on.

        Raises:
            As `update`.
        """
        with self._database.write() as session:
            row = find(session, workspace, name)
            present = row.entry(env)
            actual = present.version if present else 0
            audit.expect(session, f"entry:{row.path}/{env}", expected=expected_version, actual=actual)
            return reconcile.put(
                session, self._secrets, row.workspace, [SourceDraft(name, row.type, {env: entry})], by
            )[0]

    def clone(self, workspace: str, name: str, new: str, by: By, *, envs: Sequence[str] = ()) -> Change:
        """Make a data source after another one (DataWorks' `CloneDataSource`); stored secrets are encrypted for it.

        Args:
            envs: The sides that are cloned; empty: all that there are.

        Raises:
            NotFound: No such workspace or source.
            Conflict: The workspace has a source of the new name.
            InvalidInput, SecretUnresolved: As `registry.cloning.draft`.
        """
        if shared.is_shared(name):
            raise shared.refuse_change(workspace, name)
        row = self.get(workspace, name)
        made = cloning.draft(row, new, envs, self._secrets)
        with self._database.write() as session:
            owner = workspaces.find(session, workspace)
            access.require(session, by, Verb.CLONE, owner)
            same = find(session, workspace, name)
            audit.expect(session, f"data_source:{row.path}", expected=row.version, actual=same.version)
            if reconcile.existing(session, owner, [new]):
                told, advice = f"workspace {workspace} has a data source {new}", "choose another name"
                raise Conflict(told, where=f"{workspace}/{new}", instruction=advice)
            return reconcile.put(session, self._secrets, owner, [made], by)[0]

    def add_permit(self, workspace: str, name: str, parameter: str, by: By) -> Change:
        """Let a source keep a URL parameter that the allow-list of its protocol removes; it counts when an entry is
        written the next time.

        Raises:
            NotFound: No such workspace or source.
        """
        with self._database.write() as session:
            row = find(session, workspace, name)
            permits = [*dict.fromkeys([*row.permits, parameter])]
            return reconcile.put(
                session, self._secrets, row.workspace, [SourceDraft(name, row.type, {}, {"permits": permits})], by
            )[0]

    def get(self, workspace: str, name: str, *, user: str = "") -> model.DataSource:
        """One source with its entries; one that is shared (`retail.orders`) as a copy without references to secrets.

        Args:
            user: Who asks: a source may be shared with single users.

        Raises:
            NotFound: No such workspace or source; the message lists the nearest names.
        """
        with self._database.read() as session:
            if shared.is_shared(name):
                return shared.source(session, workspaces.find(session, workspace), name, user)
            return find(session, workspace, name)

    def find(self, name: str, *, user: str = "") -> list[model.DataSource]:
        """The sources of this name in any workspace, with their entries; of a shared one (`retail.orders`) the copies
        that the workspaces see.

        Args:
            user: Who asks: a source may be shared with single users.
        """
        with self._database.read() as session:
            if shared.is_shared(name):
                return shared.everywhere(session, name, user)
            wanted = _complete(select(model.DataSource).where(model.DataSource.name == name))
            return [*session.scalars(wanted.order_by(model.DataSource.workspace_id))]

    def list(
        self,
        *,
        workspace: str | None = None,
        among: Sequence[str] | None = None,
        types_: Sequence[str] = (),
        name: str | None = None,
        tags: Sequence[str] = (),
        states: Sequence[str] = (),
        sort_by: SortBy = "name",
        descending: bool = False,
        page_number: int = 1,
        page_size: int = 10,
        user: str = "",
    ) -> Page:
        """One page of sources with their entries (DataWorks' `ListDataSources`).

        Args:
            among: The workspaces that may be looked at; None: all.
            types_: Names or aliases of types.
            name: A part of the name; case does not matter.
            tags: All of them.
            states: States of the newest verdict in any environment, from any resource group; `untested`: there is none.
            page_number: From 1.
            page_size: 1 to 100.
            user: Who asks: a source may be shared with single users.

        Raises:
            NotFound: No such workspace or type.
            InvalidInput: A page that can't be.
        """
        if page_number < 1 or not 1 <= page_size <= 100:
            raise InvalidInput("pages count from 1 and hold 1 to 100 sources", where="page")
        with self._database.read() as session:
            conditions, foreign = list[ColumnElement[bool]](), list[model.DataSource]()
            if types_:
                conditions.append(model.DataSource.type.in_([types.get(type_).name for type_ in types_]))
            if name:
                conditions.append(_part_of_name(session, name))
            conditions += [_has_tag(tag) for tag in tags]
            if states:
                conditions.append(or_(*(_is_in(state) for state in states)))
            if workspace is not None:
                owner = workspaces.find(session, workspace)
                foreign = shared.sources(session, owner, user, *conditions) if page_number == 1 else []
                conditions.append(model.DataSource.workspace_id == owner.id)
            elif among is not None:
                allowed = select(model.Workspace.id).where(model.Workspace.name.in_(among))
                conditions.append(model.DataSource.workspace_id.in_(allowed))
            total = session.scalar(select(func.count(model.DataSource.id)).where(*conditions)) or 0
            columns = [getattr(model.DataSource, column) for column in _SORT_COLUMNS[sort_by]]
            order = [column.desc() if descending else column.asc() for column in columns]
            wanted = select(model.DataSource).where(*conditions).order_by(*order)
            wanted = wanted.limit(page_size).offset((page_number - 1) * page_size)
            return Page([*session.scalars(_complete(wanted))], total, page_number, page_size, foreign)


_SORT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "create_time": ("created_at", "id"),
    "id": ("id",),
    "name": ("name", "id"),
}


def find(session: Session, workspace: str, name: str) -> model.DataSource:
    """One source with its workspace and entries.

    Raises:
        NotFound: No such workspace or source; the message lists the nearest names.
        InvalidInput: It is one that another workspace shares: this is not the way to look at it.
    """
    if shared.is_shared(name):
        raise shared.refuse_change(workspace, name)
    owner = workspaces.find(session, workspace)
    here = model.DataSource.workspace_id == owner.id
    row = session.scalar(_complete(select(model.DataSource).where(here, model.DataSource.name == name)))
    if row is None:
        raise NotFound(
            f"workspace {workspace} has no data source {name!r}", where="source", instruction=nearest(session, name)
        )
    return row


def _part_of_name(session: Session, part: str) -> ColumnElement[bool]:
    """Case does not matter. SQLite's LIKE knows none in ASCII, and names are ASCII; folding them first costs double."""
    column = model.DataSource.name
    if session.get_bind().dialect.name == "sqlite":
        return column.contains(part, autoescape=True)
    return column.icontains(part, autoescape=True)


def _has_tag(tag: str) -> ColumnElement[bool]:
    """The column is a list in JSON, and so is its text on every database."""
    return cast(model.DataSource.tags, Text).contains(json.dumps(tag), autoescape=True)


def _is_in(state: str) -> ColumnElement[bool]:
    of_it = model.Standing.data_source_id == model.DataSource.id
    if state == UNTESTED:
        return ~exists().where(of_it)
    return exists().where(of_it, model.Standing.state == state)


def _complete(statement: Select[tuple[model.DataSource]]) -> Select[tuple[model.DataSource]]:
    return statement.options(selectinload(model.DataSource.entries), joinedload(model.DataSource.workspace))


def nearest(session: Session, name: str) -> str:
    """Advice for a name that no source bears: the nearest that are."""
    known = session.execute(
        select(model.Workspace.name, model.DataSource.name)
        .join(model.Workspace, model.Workspace.id == model.DataSource.workspace_id)
        .order_by(model.DataSource.name)
        .limit(2000)
    ).all()
    names = sorted({source for _, source in known})
    near = likest(name, names, count=3)
    paths = [f"{workspace}/{source}" for workspace, source in known if source in near]
    return f"did you mean {', '.join(paths[:3])}?" if paths else "`headwater list` shows every data source"
