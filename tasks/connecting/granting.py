"""Whether a run may use a data source: the name, roles, sharing, rules of use, maintenance, the last verdict."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from registry import access, entries, maintenance, model, shared, sources, types, usage, workspaces
from registry.access import Verb
from registry.audit import By
from registry.connection import Connection
from registry.errors import HeadwaterError, InvalidInput, NotFound
from registry.nearest import nearest
from registry.network import Network, declared
from registry.usage import TaskKind
from registry.verdict import State
from tasks.connecting.refusals import InMaintenance, NotConnectable, NotUsable
from tasks.connecting.running import Run
from tasks.dependents import FoundDependent, FoundReference

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from registry.store import Store

#: What a run may do with a data source; empty: both.
_ROLES = ("", "reader", "writer")

#: Kind of work -> its module, where that does not depend on the environment.
_MODULES = {
    TaskKind.API: "data_service",
    TaskKind.QUERY: "data_analysis",
    TaskKind.RULE: "data_quality",
    TaskKind.COLLECTION: "data_map",
}

_LOG = logging.getLogger("headwater.connect")

#: What has been noted by this process: once is enough.
_NOTED: set[tuple[str, str, str, str]] = set()


@dataclass(frozen=True)
class Wish:
    """What a pipeline asks for; see `tasks.connecting.connect`."""

    source: str
    env: str | None
    workspace: str | None
    role: str
    task_kind: str
    only_connectable: bool


@dataclass(frozen=True)
class Grant:
    """What it gets.

    Attributes:
        workspace: Where the run belongs.
        owner: The workspace of the source; another one where it is shared.
        written: The name as it is known in the workspace of the run.
        env: Where the run is.
        side: The side of the source that it gets.
        group: The resource group that it runs on; empty: not known.
    """

    run: Run
    wish: Wish
    workspace: str
    owner: str
    name: str
    written: str
    type: str
    protocol: str
    env: str
    side: str
    group: str
    module: str
    connection: Connection

    @property
    def path(self) -> str:
        """`workspace/source/env`."""
        return f"{self.owner}/{self.name}/{self.side}"


def grant(store: Store, wish: Wish, run: Run) -> Grant:
    """What a run gets by a name, if it may.

    Raises:
        HeadwaterError: As `tasks.connecting.connect`.
    """
    _expect_known("role", wish.role, _ROLES)
    _expect_known("task_kind", wish.task_kind, [*TaskKind])
    by = store.by()
    with store.database.read() as session:
        home, written = _home(session, wish, run)
        access.require(session, by, Verb.USE, home)
        env = "prod" if home.mode == "basic" else run.env(wish.env)
        module = _module(wish.task_kind, env)
        wanted = usage.env_for(wish.task_kind, module, env, home.mode)
        row, entry = _meant(session, home, written, wanted, by)
        group, network = _group(session, run)
        where = {"region": network.region_id or "", "group": group}
        case = usage.case_of(row, entry, module, wish.task_kind, wish.role, env=env, purposes=network.purposes, **where)
        refused = usage.broken(usage.RULES, case)
        if refused or entry is None:
            raise NotUsable(
                "\n  ".join(refusal.reason for refusal in refused),
                where=f"data_source:{row.path}",
                instruction=refused[0].remedy,
            )
        _expect_no_maintenance(row, entry, by)
        if wish.only_connectable:
            _expect_connectable(session, row, entry, group)
        connection = entries.connection_of(row.type, entry)
    protocol = types.get(row.type).protocol_of(connection)
    owner = row.workspace.name
    names = (home.name, owner, row.name, written, row.type, protocol, env, entry.env, group, module)
    return Grant(run, wish, *names, connection)


def note(store: Store, granted: Grant) -> None:
    """Remember who uses what: one write a process, source and run's owner. What can't be noted stops no pipeline."""
    run = granted.run
    key = (run.deployment or run.flow, granted.owner, granted.name, granted.side)
    if key in _NOTED:
        return
    try:
        store.dependents.see(granted.workspace, *_dependent(granted), store.by(f"connect from {run.flow}"))
    except HeadwaterError as error:
        _LOG.warning("who uses %s could not be noted: %s", granted.path, error)
    _NOTED.add(key)


def _dependent(granted: Grant) -> tuple[str, FoundDependent]:
    run = granted.run
    adapter, key, unit = "connect", f"flow:{run.flow}", f"flow:{run.flow}"
    if run.deployment:
        adapter, key, unit = "prefect_deployments", run.deployment, f"deployment:{run.deployment}"
    return adapter, FoundDependent(
        key=key,
        unit=unit,
        name=run.flow[-255:],
        module=granted.module,
        references=(FoundReference(granted.written, granted.type, granted.wish.role),),
        task_kind=str(usage.kind_of(granted.wish.task_kind, granted.module)),
        env=granted.env,
        resource_group=granted.group,
        location=run.flow,
    )


def _expect_known(what: str, said: str, known: Sequence[str]) -> None:
    """A word with a slip in it would be held against the rules of another kind of work."""
    if said not in known:
        near = nearest(said, known)
        advice = f"did you mean {near[0]}?" if near else f"use {', '.join(word for word in known if word)}"
        raise InvalidInput(f"there is no {what} {said!r}", where="connect", instruction=advice)


def _module(task_kind: str, env: str) -> str:
    """The module whose rules hold: code is developed in Data Studio, and run by the Operation Center."""
    kind = usage.kind_of(task_kind, "")
    if kind in usage.SYNCHRONIZATION:
        return "data_integration"
    if kind in _MODULES:
        return _MODULES[kind]
    return "data_studio" if env == "dev" else "operation_center"


def _home(session: Session, wish: Wish, run: Run) -> tuple[model.Workspace, str]:
    """The workspace of the run, and the name of the source as it is known there."""
    stated = run.workspace(wish.workspace)
    owner, slash, name = wish.source.partition("/")
    if not slash:
        return (workspaces.find(session, stated), wish.source) if stated else _only(session, wish.source)
    home = workspaces.find(session, stated or owner)
    return home, name if home.name == owner else shared.name_of(owner, name)


def _only(session: Session, name: str) -> tuple[model.Workspace, str]:
    """The one workspace that has, or sees, a source of this name."""
    if shared.is_shared(name):
        found = [one.workspace for one in shared.everywhere(session, name)]
    else:
        wanted = select(model.Workspace).join(model.DataSource).where(model.DataSource.name == name)
        found = [*session.scalars(wanted.order_by(model.Workspace.name))]
    if not found:
        raise NotFound(f"no data source {name!r}", where="source", instruction=sources.nearest(session, name))
    if len(found) > 1:
        known = ", ".join(one.name for one in found)
        instruction = f"tag the deployment workspace:NAME, or export HEADWATER_WORKSPACE with one of: {known}"
        raise InvalidInput(f"{name} is in several workspaces", where="source", instruction=instruction)
    return found[0], name


def _meant(
    session: Session, home: model.Workspace, name: str, env: str, by: By
) -> tuple[model.DataSource, model.Entry | None]:
    """The source, with its workspace and entries, and the side that the run gets."""
    if not shared.is_shared(name):
        row = sources.find(session, home.name, name)
        return row, row.entry(env)
    row, entry, owner = shared.entry(session, home, name, env, by.actor)
    return sources.find(session, owner, row.name), entry


def _group(session: Session, run: Run) -> tuple[str, Network]:
    """The resource group that a run is on, and its network: of its work pool, or as it is named; empty: not known.

    Raises:
        InvalidInput: `HEADWATER_GROUP` names none.
    """
    places = session.scalars(select(model.ResourceGroup).order_by(model.ResourceGroup.name)).all()
    named = os.environ.get("HEADWATER_GROUP", "")
    found = next((one for one in places if run.pool and one.settings.get("work_pool") == run.pool), None)
    if found is None and named:
        found = next((one for one in places if one.name == named), None)
        if found is None:
            known = ", ".join(one.name for one in places)
            told = f"there is no resource group {named!r}"
            raise InvalidInput(told, where="HEADWATER_GROUP", instruction=f"use one of {known}")
    elif found is None and not run.pool:
        found = next((one for one in places if one.kind == "local"), None)
    return (found.name, declared(found.network)) if found is not None else ("", Network())


def _expect_no_maintenance(row: model.DataSource, entry: model.Entry, by: By) -> None:
    held = maintenance.of(row, entry.env, by.at)
    if held is not None:
        raise InMaintenance(
            f"it is in maintenance: {held}",
            where=f"data_source:{row.path}",
            instruction="run again when that is over",
        )


def _expect_connectable(session: Session, row: model.DataSource, entry: model.Entry, group: str) -> None:
    """Raises: NotConnectable: The last check from this group failed. One that was never made keeps nobody away."""
    table = model.Standing
    wanted = select(table).where(table.data_source_id == row.id, table.env == entry.env, table.resource_group == group)
    last = session.scalar(wanted)
    if last is not None and last.state != State.CONNECTABLE.value:
        raise NotConnectable(
            f"since {last.since:%Y-%m-%d %H:%M} UTC it is {last.state} from {group}: {last.cause}",
            where=f"entry:{row.path}/{entry.env}",
            instruction=f"headwater test {row.path} --env {entry.env}",
        )
