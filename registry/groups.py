"""Resource groups: the places that tests and tasks run from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import access, audit, model
from registry.access import Verb
from registry.audit import By
from registry.changes import Action, Change
from registry.connection import Port, SecretReference
from registry.database import Database
from registry.errors import InvalidInput, NotFound
from registry.nearest import nearest
from registry.network import Network


class Settings(BaseModel):
    """The settings of one kind of resource group."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class LocalSettings(Settings):
    """This machine: nothing to set."""


class SshHop(Settings):
    """A machine that is reached by SSH, and how to get in."""

    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Port = 22
    username: Annotated[str, Field(min_length=1)]
    private_key: SecretReference | None = None
    passphrase: SecretReference | None = None
    password: SecretReference | None = None
    #: OpenSSH's certificate for the private key: a reference, or the line itself.
    certificate: str | None = None
    #: Also try the keys of the agent that `SSH_AUTH_SOCK` names.
    agent: bool = False
    #: As in `known_hosts`, without the name: `ssh-ed25519 AAAA...`.
    host_key: str | None = None


class SshSettings(SshHop):
    """A machine that is reached by SSH and looks out from there."""

    #: The machine from which `host` is reached.
    jump: SshHop | None = None
    #: Seconds without a word from the machine after which it is asked for one; after twice as many it counts as lost.
    keepalive_s: Annotated[float, Field(gt=0, le=3600)] = 15.0
    #: Connections through the machine at a time; it needs a descriptor for each.
    max_channels: Annotated[int, Field(ge=1, le=5000)] = 200
    #: Seconds for connecting and logging in.
    connect_timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0


class WorkerSettings(Settings):
    """A Prefect worker that takes the work from a pool."""

    work_pool: Annotated[str, Field(min_length=1)]
    work_queue: str | None = None
    #: Seconds that a check may wait until a worker has started on it; beside the check's own time.
    start_timeout_s: Annotated[float, Field(ge=1, le=3600)] = 60


#: Kind -> model of its settings. `registry.documents` accepts the settings under the kind's own name.
KINDS: Mapping[str, type[Settings]] = {"local": LocalSettings, "ssh": SshSettings, "worker": WorkerSettings}


@dataclass(frozen=True)
class GroupDraft:
    """A resource group as it shall be; None: as it is."""

    name: str
    kind: str
    settings: Settings
    network: Network | None = None


class Groups:
    """The resource groups of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, draft: GroupDraft, by: By, *, expected_version: int | None = None) -> Change:
        """Create or update a group.

        Raises:
            Conflict: The group is not at `expected_version` any more.
        """
        with self._database.write() as session:
            return put(session, draft, by, expected_version=expected_version)

    def get(self, name: str, by: By | None = None) -> model.ResourceGroup:
        """One group.

        Args:
            by: Who asks; None: the registry itself.

        Raises:
            NotFound: No such group.
            Forbidden: He manages no groups, and sees no workspace that is bound to it.
        """
        with self._database.read() as session:
            group = find(session, name)
            if by is not None and not _may_look(session, by, group):
                bound = _bound_to(session, group)
                access.require(session, by, Verb.LIST if bound else Verb.MANAGE_TENANT, bound[0] if bound else None)
            return group

    def list(self, by: By | None = None) -> list[model.ResourceGroup]:
        """Every group, by name; those that `by` may `get`."""
        with self._database.read() as session:
            found = session.scalars(select(model.ResourceGroup).order_by(model.ResourceGroup.name)).all()
            return [one for one in found if by is None or _may_look(session, by, one)]

    def set_public_key(self, name: str, public_key: str, by: By) -> None:
        """Keep the key that boxes for this group are sealed to.

        Raises:
            NotFound: No such group.
        """
        with self._database.write() as session:
            _write(session, find(session, name), {"public_key": public_key}, by)

    def delete(self, name: str, by: By) -> None:
        """Forget a group that no workspace is bound to.

        Raises:
            NotFound: No such group.
            InvalidInput: Workspaces are bound to it.
        """
        with self._database.write() as session:
            access.require(session, by, Verb.MANAGE_TENANT)
            group = find(session, name)
            bound = session.scalars(
                select(model.Workspace.name).join(model.Binding).where(model.Binding.resource_group_id == group.id)
            ).all()
            if bound:
                raise InvalidInput(
                    f"resource group {name} is bound to {', '.join(sorted(bound)[:5])}",
                    where=f"resource_group:{name}",
                    instruction="unbind it from these workspaces first",
                )
            record = by.record("delete", f"resource_group:{name}", version=None, before=snapshot(group), after=None)
            audit.write(session, [record])
            session.delete(group)


def _may_look(session: Session, by: By, group: model.ResourceGroup) -> bool:
    """Whether whoever asks manages groups, or may list the data sources of a workspace that is bound to it."""
    if access.allowed(session, by, Verb.MANAGE_TENANT):
        return True
    return any(access.allowed(session, by, Verb.LIST, one) for one in _bound_to(session, group))


def _bound_to(session: Session, group: model.ResourceGroup) -> list[model.Workspace]:
    wanted = select(model.Workspace).join(model.Binding).where(model.Binding.resource_group_id == group.id)
    return [*session.scalars(wanted.order_by(model.Workspace.name))]


def find(session: Session, name: str) -> model.ResourceGroup:
    """The group of this name.

    Raises:
        NotFound: No such group; the message lists the nearest names.
    """
    group = session.scalar(select(model.ResourceGroup).where(model.ResourceGroup.name == name))
    if group is None:
        known = session.scalars(select(model.ResourceGroup.name).order_by(model.ResourceGroup.name)).all()
        near = nearest(name, known, count=3, likeness=0.5) or known[:5]
        raise NotFound(f"no resource group {name!r}", where="resource_group", instruction=f"known: {', '.join(near)}")
    return group


def snapshot(group: model.ResourceGroup) -> dict[str, Any]:
    """The fields of a group that people set."""
    flat = {"kind": group.kind}
    flat |= {f"{group.kind}.{name}": value for name, value in group.settings.items()}
    flat |= {f"network.{name}": value for name, value in group.network.items()}
    return flat | ({"public_key": group.public_key} if group.public_key else {})


def put(session: Session, draft: GroupDraft, by: By, *, expected_version: int | None = None) -> Change:
    """Create or update a group in a transaction that holds the write lock."""
    group = session.scalar(select(model.ResourceGroup).where(model.ResourceGroup.name == draft.name))
    if group is None:
        access.require(session, by, Verb.MANAGE_TENANT)
    wanted: dict[str, Any] = {
        "kind": draft.kind,
        "settings": draft.settings.model_dump(mode="json", exclude_defaults=True),
    }
    if draft.network is not None:
        wanted["network"] = draft.network.model_dump(mode="json", exclude_defaults=True)
    if group is not None:
        audit.expect(session, f"resource_group:{draft.name}", expected=expected_version, actual=group.version)
        return _write(session, group, wanted, by)
    group = model.ResourceGroup(name=draft.name, **{"network": {}, **wanted}, **by.new())
    session.add(group)
    session.flush()
    after = snapshot(group)
    record = by.record("create", f"resource_group:{draft.name}", version=1, before=None, after=after)
    audit.write(session, [record])
    return Change(f"resource_group:{draft.name}", Action.CREATE, audit.differences({}, after))


def _write(session: Session, group: model.ResourceGroup, wanted: dict[str, Any], by: By) -> Change:
    object_, before = f"resource_group:{group.name}", snapshot(group)
    for column, value in wanted.items():
        setattr(group, column, value)
    changed = audit.differences(before, snapshot(group))
    if not changed:
        session.expire(group)
        return Change(object_, Action.UNCHANGED)
    access.require(session, by, Verb.MANAGE_TENANT)
    for column, value in by.changed(group.version).items():
        setattr(group, column, value)
    session.flush()
    old, new = audit.sides(changed)
    audit.write(session, [by.record("update", object_, version=group.version, before=old, after=new)])
    return Change(object_, Action.UPDATE, changed)
