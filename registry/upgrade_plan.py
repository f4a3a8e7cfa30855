"""What an upgrade from basic to standard does to each data source, member and task of a workspace.

DataWorks' rules (workspace modes, upgrade from basic to standard): every source is copied, and both sides lead to the
same physical target until the dev side is changed. MaxCompute that is no compute resource: the dev side is run as
whoever executes, and a task owner as identity of production becomes the primary account. MaxCompute that is one: a
project `NAME_dev` of its own. Members keep their roles in development and lose what they had in production, but for the
owner. Tasks run on as they are; whoever changes one submits and deploys it from now on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from registry import access, entries, identity, maintenance, model, places, types, upgrade_mapping, usage
from registry.access import Role
from registry.connection.reading import PENDING
from registry.entries import EntryDraft
from registry.errors import HeadwaterError, InvalidInput
from registry.parameters import RemovedParameter
from registry.plans import PlanState
from registry.usage import TaskKind


class Fate(StrEnum):
    """What happens to a data source."""

    COPIED = "copied"
    #: MaxCompute that is no compute resource.
    OWN_IDENTITY = "own_identity"
    #: MaxCompute that is one.
    OWN_PROJECT = "own_project"
    #: Made by another compute resource.
    FOLLOWS = "follows"
    METADATA = "metadata"
    #: It has nothing to copy.
    EMPTY = "empty"


#: Fate -> what it means, for people.
MEANING: Mapping[Fate, str] = {
    Fate.COPIED: "its prod side is copied to dev",
    Fate.OWN_IDENTITY: "its prod side is copied to dev, which is run as whoever executes (Executor)",
    Fate.OWN_PROJECT: "dev gets a project of its own, run as whoever executes (Executor)",
    Fate.FOLLOWS: "its prod side is copied to dev, and both follow its compute resource",
    Fate.METADATA: "its prod side is copied to dev; a catalogue of metadata is no input or output of a task",
    Fate.EMPTY: "it has no prod side to copy, and stays incomplete",
}

#: Plans in one of these keep everybody else from upgrading.
_IN_PROGRESS = (PlanState.APPLYING, PlanState.PAUSED, PlanState.ROLLING_BACK)

#: What is developed, submitted and deployed.
_DEPLOYED = usage.SYNCHRONIZATION | {TaskKind.SQL, TaskKind.NODE, TaskKind.FLOW}

_LOST = "permissions on production: ask for what is needed there in the Security Center"


@dataclass(frozen=True)
class Outlook:
    """What happens to one data source.

    Attributes:
        dev: Its dev side to be; stored secrets say PENDING. None: it gets none.
        prod: Fields of its prod side that change: name -> (before, after).
        shares: Whether dev leads to the physical target of production, as far as its text says.
        leads: Where its prod side and its dev side lead; see `places.place`.
        blocks: Why the workspace cannot be upgraded as it stands.
    """

    row: model.DataSource
    fate: Fate
    dev: EntryDraft | None = None
    prod: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    shares: bool = False
    leads: tuple[places.Place, places.Place] | None = None
    mapped: bool = False
    notes: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()

    def action(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """The step of a plan."""
        return {
            "do": self.fate,
            "source": self.row.name,
            "type": self.row.type,
            "version": self.row.version,
            "given": dict(given) if given else None,
            "prod": {name: list(sides) for name, sides in self.prod.items()},
            "shares_target": self.shares,
            "notes": list(self.notes),
        }


def rows(session: Session, workspace: model.Workspace) -> list[model.DataSource]:
    """The data sources of a workspace with their entries, by name."""
    wanted = select(model.DataSource).where(model.DataSource.workspace_id == workspace.id)
    return [*session.scalars(wanted.options(selectinload(model.DataSource.entries)).order_by(model.DataSource.name))]


def attached(session: Session, workspace: model.Workspace) -> set[int]:
    """The data sources that compute resources made."""
    wanted = select(model.ComputeResource.data_source_id).where(model.ComputeResource.workspace_id == workspace.id)
    return {id_ for id_ in session.scalars(wanted) if id_ is not None}


def outlook(row: model.DataSource, made: Collection[int], given: Mapping[str, Any] | None) -> Outlook:
    """What happens to a data source.

    Args:
        row: With its entries.
        made: The ids of those that compute resources made.
        given: What a mapping file says of its dev side.

    Raises:
        InvalidInputs: What is given cannot be; `where` is the field.
    """
    automatic = row.id in made or row.origin == "automatically"
    prod = row.entry("prod")
    if prod is None:
        if given:
            raise InvalidInput("it has no prod side, and stays without a dev side", where="")
        return Outlook(row, Fate.EMPTY)
    try:
        before = entries.connection_of(row.type, prod)
        fate = _fate(row, automatic)
        own = _own(fate, prod)
        base = _copy(row, prod, own)
    except HeadwaterError as error:
        told = f"its prod side is invalid: {error.where}{': ' if error.where else ''}{error.reason}"
        return Outlook(row, Fate.COPIED, blocks=(told,))
    dev = upgrade_mapping.side(row, prod, own, given) if given else base
    if fate is Fate.OWN_PROJECT:
        identity.expect_own_development(entries.columns(dev.connection)["properties"], prod.properties, "")
    leads = places.place(before), places.place(dev.connection)
    changed: dict[str, tuple[Any, Any]] = {}
    if fate is Fate.OWN_IDENTITY and prod.properties.get("auth_type") == "TaskOwner":
        changed = {"auth_type": ("TaskOwner", "PrimaryAccount")}
    found = Outlook(
        row,
        fate,
        dev,
        changed,
        shares=leads[0] == leads[1],
        leads=leads,
        mapped=bool(given),
        blocks=() if row.entry("dev") is None else ("it has a dev side, which a basic workspace cannot have",),
    )
    return replace(found, notes=tuple(_notes(found)))


def beside(outlooks: Sequence[Outlook]) -> list[Outlook]:
    """As they are, but for those whose dev side would lead to the production of another source.

    A project of its own that is one already cannot be made: that blocks. What a mapping says is told.
    """
    production = defaultdict[places.Place, list[str]](list)
    for one in outlooks:
        if one.leads is not None:
            production[one.leads[0]].append(one.row.name)
    return [_beside(one, production) for one in outlooks]


def _beside(one: Outlook, production: Mapping[places.Place, Sequence[str]]) -> Outlook:
    others = production.get(one.leads[1], ()) if one.leads is not None and not one.shares else ()
    if not others:
        return one
    told = f"dev would lead to the production of {', '.join(others)} (CONFIG.ENVS_SHARE_TARGET)"
    if one.fate is Fate.OWN_PROJECT:
        return replace(one, blocks=(*one.blocks, told))
    return replace(one, shares=True, notes=(*one.notes, told))


def _fate(row: model.DataSource, automatic: bool) -> Fate:
    if row.type == "maxcompute":
        return Fate.OWN_PROJECT if automatic else Fate.OWN_IDENTITY
    if automatic:
        return Fate.FOLLOWS
    return Fate.METADATA if types.get(row.type).kind == "metadata" or row.kind == "metadata" else Fate.COPIED


def _own(fate: Fate, prod: model.Entry) -> dict[str, Any]:
    """What a dev side has of its own, by its fate."""
    if fate is Fate.OWN_PROJECT:
        return {"auth_type": "Executor", "auth_identity": None, "project": f"{prod.properties['project']}_dev"}
    if fate is Fate.OWN_IDENTITY:
        return {"auth_type": "Executor", "auth_identity": None}
    return {}


def _copy(row: model.DataSource, prod: model.Entry, own: Mapping[str, Any]) -> EntryDraft:
    properties = {name: value for name, value in {**prod.properties, **own}.items() if value is not None}
    references = {
        name: PENDING if reference.startswith("stored:") else reference for name, reference in prod.references.items()
    }
    return EntryDraft(entries.build(row.type, prod.mode, properties, references), removed=removed(prod))


def removed(prod: model.Entry) -> tuple[RemovedParameter, ...]:
    """The URL parameters that were taken out of an entry when it was written."""
    return tuple(RemovedParameter(key, why) for key, why in prod.removed.items())


def _notes(found: Outlook) -> Iterator[str]:
    yield MEANING[found.fate] if not found.mapped else f"{MEANING[found.fate]}; the mapping gives dev its own"
    if found.dev is not None and found.fate is Fate.OWN_PROJECT:
        yield f"the project of dev is {getattr(found.dev.connection, 'project', '')}: it must be there before dev runs"
    for name, (before, after) in found.prod.items():
        yield f"prod: {name} changes from {before} to {after}"
    if found.shares:
        yield "dev leads to the physical target of production: it is not isolated (CONFIG.ENVS_SHARE_TARGET)"


# --- what stands in the way -----------------------------------------------------------------------------------------


def blocks(session: Session, workspace: model.Workspace, outlooks: Sequence[Outlook], at: Any) -> list[dict[str, str]]:
    """Everything that keeps a workspace from being upgraded: where, why, and what to do."""
    found = [
        _block(f"{workspace.name}/{one.row.name}", why, _remedy(workspace, one))
        for one in outlooks
        for why in one.blocks
    ]
    for one in outlooks:
        held = maintenance.of(one.row, "prod", at) or maintenance.of(one.row, "dev", at)
        if held is not None:
            path = f"{workspace.name}/{one.row.name}"
            found.append(_block(path, f"it is in maintenance: {held}", f"headwater maintenance end {path}"))
    return [*found, *plans_in_progress(session, workspace)]


def plans_in_progress(session: Session, workspace: model.Workspace, but: str = "") -> list[dict[str, str]]:
    """The plans that are being applied to a workspace right now."""
    running = session.scalars(select(model.Plan).where(model.Plan.state.in_(_IN_PROGRESS), model.Plan.id != but))
    here = (f"workspace:{workspace.name}", f"data_source:{workspace.name}/", f"entry:{workspace.name}/")
    return [
        _block(f"plan:{plan.id}", f"a plan is {plan.state} ({plan.kind})", f"let it end: headwater plan show {plan.id}")
        for plan in running
        if plan.workspace_id == workspace.id or any(name.startswith(here) for name in plan.versions)
    ]


def _remedy(workspace: model.Workspace, one: Outlook) -> str:
    if one.fate is Fate.OWN_PROJECT:
        return f"give it another project by --mapping FILE: `{one.row.name}: {{project: NAME}}`"
    return f"headwater edit {workspace.name}/{one.row.name}"


def _block(where: str, why: str, remedy: str) -> dict[str, str]:
    return {"where": where, "why": why, "remedy": remedy}


# --- people and tasks -----------------------------------------------------------------------------------------------


def members(session: Session, workspace: model.Workspace) -> list[dict[str, Any]]:
    """Every member: the roles that stay in development, what is lost in production, and whether he may deploy.

    Where there is MaxCompute: also the roles inside of its development project.
    """
    lakes = select(model.DataSource.id).where(
        model.DataSource.workspace_id == workspace.id, model.DataSource.type == "maxcompute"
    )
    has_lake = session.scalar(lakes.limit(1)) is not None
    held: defaultdict[str, set[Role]] = defaultdict(set)
    for user, name in session.execute(
        select(model.Member.user, model.Member.role).where(model.Member.workspace_id == workspace.id)
    ):
        held[user].add(access.role(name))
    held[workspace.creator].add(Role.OWNER)
    return [
        {
            "user": user,
            "roles": sorted(roles),
            "in_maxcompute": identity.engine_roles(roles, "dev", "standard") if has_lake else [],
            "loses": "" if Role.OWNER in roles else _LOST,
            "deploys": bool(roles & access.PERMISSIONS[access.Verb.REPOINT]),
        }
        for user, roles in sorted(held.items())
    ]


def tasks(session: Session, workspace: model.Workspace) -> list[dict[str, Any]]:
    """Every task of a workspace that has to be submitted and deployed from now on, and the side that dev runs get."""
    one, use = model.Dependent, model.Reference
    wanted = (
        select(one.id, one.name, one.module, one.task_kind, one.env, one.owner, use.source)
        .outerjoin(use, use.dependent_id == one.id)
        .where(one.workspace_id == workspace.id)
        .order_by(one.module, one.name, one.id, use.source)
    )
    found: dict[int, dict[str, Any]] = {}
    for id_, name, module, task_kind, env, owner, source in session.execute(wanted):
        kind = usage.kind_of(task_kind, module)
        if kind not in _DEPLOYED:
            continue
        side = usage.env_for(task_kind, module, "dev", "standard")
        told = {"name": name, "module": module, "kind": kind, "env": env, "owner": owner, "dev_run_gets": side}
        task = found.setdefault(id_, {**told, "sources": []})
        if source is not None and source not in task["sources"]:
            task["sources"].append(source)
    return [*found.values()]


def shared_in(session: Session, workspace: model.Workspace) -> list[str]:
    """What other workspaces share with production of this one alone: its development does not see it."""
    rule, owner = model.SharingRule, model.Workspace
    wanted = (
        select(owner.name, model.DataSource.name, rule.env)
        .join(model.Entry, model.Entry.id == rule.entry_id)
        .join(model.DataSource, model.DataSource.id == model.Entry.data_source_id)
        .join(owner, owner.id == model.DataSource.workspace_id)
        .where(rule.target_workspace_id == workspace.id)
    )
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for name, source, env in session.execute(wanted):
        seen[f"{name}.{source}"].add(env)
    return sorted(name for name, envs in seen.items() if "dev" not in envs)
