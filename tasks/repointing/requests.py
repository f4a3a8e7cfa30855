"""What is asked for, and what the registry knows of it: the uses to repoint, both sources, grants and bindings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import access, model, plans, sources
from registry.access import Verb
from registry.audit import By
from registry.dependents import Use
from registry.errors import InvalidInput
from registry.store import Store
from tasks.repointing import waves
from tasks.repointing.judging import Grant, Subject

#: Values that are named where none was hit.
_NAMED = 10
#: What `--where` takes -> the attribute of a use.
FILTERS: Mapping[str, str] = {
    "module": "module",
    "owner": "owner",
    "workspace": "workspace",
    "group": "resource_group",
    "adapter": "adapter",
    "name": "name",
}


@dataclass(frozen=True)
class Request:
    """A wish to repoint.

    Attributes:
        old, new: `workspace/name`.
        env: Only uses of this side of the old one.
        where: Filter (see `FILTERS`) -> value. Of several values of one filter any will do.
        sizes: Units in each wave; the last size goes on.
        zone: Whose midnight counts for deployments.
        run: The flow run that asks.
    """

    old: str
    new: str
    env: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    sizes: tuple[int, ...] = waves.SIZES
    zone: str = waves.ZONE
    run: str = ""

    def check(self) -> None:
        """Raises: InvalidInput."""
        waves.check_sizes(self.sizes)
        waves.zone_of(self.zone)
        if self.old == self.new:
            raise InvalidInput(f"{self.old} is what they use already", where="NEW", instruction="name another source")
        if self.env not in (None, *model.ENVIRONMENTS):
            raise InvalidInput(f"there is no side {self.env!r}", where="--env", instruction="use dev or prod")
        for name, _ in self.where:
            if name not in FILTERS:
                told = f"use {', '.join(FILTERS)}, as in module=data_integration"
                raise InvalidInput(f"nothing can be chosen by {name!r}", where="--where", instruction=told)

    def takes(self, use: Use) -> bool:
        """Whether a use passes the filters."""
        if self.env is not None and use.env != self.env:
            return False
        wanted = defaultdict[str, set[str]](set)
        for name, value in self.where:
            wanted[name].add(value)
        return all(getattr(use, FILTERS[name]) in values for name, values in wanted.items())

    def chosen_by(self) -> dict[str, str]:
        """The filters, for people and programs: several values of one with commas."""
        return {name: ",".join(value for other, value in self.where if other == name) for name, _ in self.where}

    def missed(self, uses: Sequence[Use]) -> str:
        """What to choose by instead, where none of these uses passes the filters."""
        asked = {name for name, _ in self.where}
        there = {name: sorted({getattr(use, FILTERS[name]) for use in uses} - {""}) for name in sorted(asked)}
        there |= {"env": sorted({use.env for use in uses})} if self.env is not None else {}
        told = [f"{name}={', '.join(values[:_NAMED]) or 'nothing'}" for name, values in there.items()]
        return f"there is {'; '.join(told)}"


@dataclass(frozen=True)
class Known:
    """What the registry knows of a request.

    Attributes:
        chosen: The uses to repoint.
        others: The other uses of the old source, which stay.
        versions: Object -> its version, of everything that was read.
    """

    subject: Subject
    chosen: Sequence[Use]
    others: Sequence[Use]
    versions: Mapping[str, int]


def know(store: Store, request: Request, by: By) -> Known:
    """Read it all.

    Raises:
        NotFound: No such source.
        InvalidInput: A wish that can't be.
        Forbidden: No role of whoever acts allows to repoint, in the workspace of a dependent.
    """
    request.check()
    with store.database.read() as session:
        old, new = (sources.find(session, *path.split("/", 1)) for path in (request.old, request.new))
    uses = store.dependents.of(request.old)
    chosen = [use for use in uses if request.takes(use)]
    others = [use for use in uses if not request.takes(use)]
    with store.database.read() as session:
        for name in sorted({use.workspace for use in chosen} | {old.workspace.name}):
            access.require(session, by, Verb.REPOINT, _workspace(session, name))
        subject = Subject(old, new, grants_of(session, new), _bound(session), by.actor)
        return Known(subject, chosen, others, plans.versions_of(session, _read(subject, chosen)))


def _workspace(session: Session, name: str) -> model.Workspace:
    return session.scalars(select(model.Workspace).where(model.Workspace.name == name)).one()


def grants_of(session: Session, new: model.DataSource) -> list[Grant]:
    """The sides of a data source that other workspaces may use."""
    rule = model.SharingRule
    wanted = (
        select(model.Entry.env, model.Workspace.name, rule.env, rule.user)
        .join(rule, rule.entry_id == model.Entry.id)
        .join(model.Workspace, model.Workspace.id == rule.target_workspace_id)
        .where(model.Entry.data_source_id == new.id)
    )
    return [Grant(*row) for row in session.execute(wanted)]


def _bound(session: Session) -> dict[str, list[str]]:
    wanted = (
        select(model.Workspace.name, model.ResourceGroup.name)
        .join(model.Binding, model.Binding.workspace_id == model.Workspace.id)
        .join(model.ResourceGroup, model.ResourceGroup.id == model.Binding.resource_group_id)
        .order_by(model.ResourceGroup.name)
    )
    bound = defaultdict[str, list[str]](list)
    for workspace, group in session.execute(wanted):
        bound[workspace].append(group)
    return dict(bound)


def _read(subject: Subject, chosen: Sequence[Use]) -> list[str]:
    """What the plan rests on: whoever changes any of it makes the plan stale."""
    old, new = subject.old.path, subject.new.path
    read = [f"data_source:{old}", f"data_source:{new}"]
    read += [f"entry:{old}/{env}" for env in sorted({use.env for use in chosen})]
    read += [f"entry:{new}/{env}" for env in sorted({subject.side(use) or use.env for use in chosen})]
    return read + [f"workspace:{name}" for name in sorted({use.workspace for use in chosen})]
