"""What deleting a data source, or one side of it, does to those who use it: DataWorks' impact tables, as data.

Sources: "Delete a data source and the impacts" of the data source management pages (the pre-check, the three scenarios
of Data Integration, the modules with their risks, other workspaces). What the pages leave open is said where it stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from registry import model
from registry.resolving import chunks


class Risk(StrEnum):
    """How bad it is for a module when a source that it uses is gone."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


_ORDER = {Risk.HIGH: 0, Risk.MEDIUM: 1, Risk.LOW: 2}


class Effect(StrEnum):
    """What happens to one dependent."""

    #: It runs in production, and its entry is gone.
    FAILS = "fails"
    #: It runs in development, and its entry is gone.
    FAILS_IN_DEV = "fails_in_dev"
    #: It works on the dev entry, and there is no prod entry that it could be deployed with.
    NOT_DEPLOYABLE = "not_deployable"
    #: It keeps running; who edits it sees no tables and columns any more.
    NO_METADATA = "no_metadata"


#: What each effect means, for people.
EFFECTS: Mapping[Effect, str] = {
    Effect.FAILS: "fails in production",
    Effect.FAILS_IN_DEV: "fails in development",
    Effect.NOT_DEPLOYABLE: "can be neither submitted nor deployed",
    Effect.NO_METADATA: "runs on; tables and columns are not shown to those who edit it",
}


@dataclass(frozen=True)
class Consequence:
    """What the loss of one environment's entry means for Data Integration as a whole.

    Attributes:
        gone: The environment whose entry is gone.
        text: For people.
    """

    gone: str
    text: str


#: The rows of the pages' matrix: deleting one side has its own rows, deleting both has the rows of either.
CONSEQUENCES: tuple[Consequence, ...] = (
    Consequence("prod", "synchronization tasks in production that use it fail"),
    Consequence("prod", "tasks that use it in development can be neither submitted nor deployed"),
    Consequence("dev", "editing a task shows no tables and columns of it"),
    Consequence("dev", "it is not offered when a new task is configured"),
)

#: What the matrix says of the runs in production when only dev is deleted.
UNHARMED = "tasks in production run on"


@dataclass(frozen=True)
class ModuleRisk:
    """What a module suffers when a source that it uses is gone, and what helps."""

    risk: Risk
    harm: str
    remedy: str


_REDEPLOY = "give the tasks another source in one go (`headwater repoint`), submit and deploy them again"

#: Module -> its row. The pages have rows for the Operation Center (all periodic tasks: those of Data Integration and
#: of Data Studio), Data Service, Data Analysis and Data Quality. Data Map only reads metadata: its row is Headwater's.
RISKS: Mapping[str, ModuleRisk] = {
    "operation_center": ModuleRisk(Risk.HIGH, "every periodic task that depends on it fails", _REDEPLOY),
    "data_integration": ModuleRisk(Risk.HIGH, "every synchronization task that depends on it fails", _REDEPLOY),
    "data_studio": ModuleRisk(Risk.HIGH, "every scheduled node that depends on it fails", _REDEPLOY),
    "data_service": ModuleRisk(
        Risk.HIGH, "calls of APIs made from it, and of their orchestrations, fail", "give these APIs another source"
    ),
    "data_analysis": ModuleRisk(Risk.MEDIUM, "queries that are aimed at it fail", "run the queries on another source"),
    "data_quality": ModuleRisk(
        Risk.MEDIUM,
        "tasks with quality rules on it report checks that could not be made",
        "take the rules off the tasks in the Operation Center, or change the rules",
    ),
    "data_map": ModuleRisk(Risk.LOW, "its metadata is not collected any more", "take it off the collection"),
}

#: A module that no table knows is treated as the worst of them.
_UNKNOWN = RISKS["operation_center"]


@dataclass(frozen=True)
class Use:
    """One use of a data source by a dependent.

    Attributes:
        dependent: The id of the dependent.
        env: Where the dependent runs itself.
        entry: The environment of the entry that it gets.
        workspace: Where the dependent lives; another one than the source's where that is shared.
    """

    dependent: int
    name: str
    module: str
    env: str
    entry: str
    workspace: str
    owner: str = ""
    role: str = ""
    task_kind: str = ""


@dataclass(frozen=True)
class Granted:
    """A sharing rule as far as deletion matters: (entry, workspace, its environment, user; empty: everybody there)."""

    entry: str
    workspace: str
    env: str
    user: str = ""


@dataclass(frozen=True)
class Hit:
    """What happens to one dependent."""

    use: Use
    effect: Effect
    risk: Risk
    remedy: str

    @property
    def blocks(self) -> bool:
        """Whether it keeps the deletion from being done: production depends on what goes."""
        return self.effect is Effect.FAILS


@dataclass(frozen=True)
class Impact:
    """What deleting entries of a data source does.

    Attributes:
        source: `workspace/name`.
        envs: The environments whose entries go.
        consequences: For Data Integration as a whole.
        hits: Every dependent that it does something to, the worst first.
        grants: The sharing rules that end with the entries.
    """

    source: str
    envs: tuple[str, ...]
    consequences: tuple[str, ...]
    hits: tuple[Hit, ...]
    grants: tuple[Granted, ...]

    @property
    def blocking(self) -> tuple[Hit, ...]:
        """Those that production depends on."""
        return tuple(hit for hit in self.hits if hit.blocks)

    @property
    def other_workspaces(self) -> tuple[str, ...]:
        """The workspaces that lose the source, besides its own."""
        own = self.source.partition("/")[0]
        names = {hit.use.workspace for hit in self.hits} | {grant.workspace for grant in self.grants}
        return tuple(sorted(names - {own}))

    def modules(self) -> list[dict[str, Any]]:
        """One row a workspace, module and effect: how many, how bad, what helps; the worst first."""
        counted = Counter((hit.risk, hit.use.workspace, hit.use.module, hit.effect, hit.remedy) for hit in self.hits)
        return [
            {
                "risk": str(risk),
                "workspace": workspace,
                "module": module,
                "effect": str(effect),
                "dependents": count,
                "remedy": remedy,
            }
            for (risk, workspace, module, effect, remedy), count in sorted(
                counted.items(), key=lambda item: (_ORDER[item[0][0]], item[0][1:])
            )
        ]

    def document(self, *, most: int = 50) -> dict[str, Any]:
        """All of it as JSON; of the dependents at most so many by name."""
        return {
            "source": self.source,
            "envs": list(self.envs),
            "consequences": list(self.consequences),
            "modules": self.modules(),
            "dependents": [_told(hit) for hit in self.hits[:most]],
            "dependents_in_all": len(self.hits),
            "blocking": len(self.blocking),
            "other_workspaces": list(self.other_workspaces),
            "shared_with": [
                {"entry": grant.entry, "workspace": grant.workspace, "env": grant.env, "user": grant.user}
                for grant in self.grants
            ],
        }


def impact(
    source: str, envs: Collection[str], left: Collection[str], uses: Sequence[Use], grants: Sequence[Granted] = ()
) -> Impact:
    """What deleting these entries does to the actual dependents. Pure.

    Args:
        source: `workspace/name`.
        envs: The environments whose entries go.
        left: The environments whose entries stay.
    """
    gone = {"dev", "prod"} - set(left)
    told = [row.text for row in CONSEQUENCES if row.gone in gone]
    if "prod" not in gone:
        told.insert(0, UNHARMED)
    hits = [hit for use in uses if (hit := _hit(use, set(envs))) is not None]
    hits.sort(key=lambda hit: (_ORDER[hit.risk], hit.use.workspace, hit.use.module, hit.use.name, hit.use.dependent))
    ended = tuple(grant for grant in grants if grant.entry in envs)
    return Impact(source, tuple(sorted(envs)), tuple(told), tuple(hits), ended)


def _hit(use: Use, envs: set[str]) -> Hit | None:
    module = RISKS.get(use.module, _UNKNOWN)
    if use.entry in envs:
        if use.env == "prod":
            return Hit(use, Effect.FAILS, module.risk, module.remedy)
        return Hit(use, Effect.FAILS_IN_DEV, Risk.LOW, module.remedy)
    if "prod" in envs and use.env == "dev":
        return Hit(use, Effect.NOT_DEPLOYABLE, Risk.MEDIUM, "give it another source before it is deployed")
    if "dev" in envs and use.module in ("data_integration", "data_studio"):
        return Hit(use, Effect.NO_METADATA, Risk.LOW, "fill in the dev entry again before the task is edited")
    return None


def uses_of(session: Session, source_ids: Collection[int]) -> dict[int, list[Use]]:
    """Every use of these data sources, of other workspaces too; columns only, for they come in hundred thousands."""
    home, found = aliased(model.Workspace), {id_: list[Use]() for id_ in source_ids}
    wanted = (
        select(
            model.Reference.data_source_id,
            model.Dependent.id,
            model.Dependent.name,
            model.Dependent.module,
            model.Dependent.env,
            model.Reference.env,
            home.name,
            model.Dependent.owner,
            model.Reference.role,
            model.Dependent.task_kind,
        )
        .join(model.Dependent, model.Dependent.id == model.Reference.dependent_id)
        .join(home, home.id == model.Dependent.workspace_id)
        .order_by(model.Dependent.id, model.Reference.env, model.Reference.role)
    )
    for chunk in chunks(sorted(found)):
        for id_, *columns in session.execute(wanted.where(model.Reference.data_source_id.in_(chunk))):
            found[id_].append(Use(*columns))
    return found


def grants_of(session: Session, source_ids: Collection[int]) -> dict[int, list[Granted]]:
    """Every sharing rule of these data sources."""
    found = {id_: list[Granted]() for id_ in source_ids}
    wanted = (
        select(
            model.Entry.data_source_id,
            model.Entry.env,
            model.Workspace.name,
            model.SharingRule.env,
            model.SharingRule.user,
        )
        .select_from(model.SharingRule)
        .join(model.Entry, model.Entry.id == model.SharingRule.entry_id)
        .join(model.Workspace, model.Workspace.id == model.SharingRule.target_workspace_id)
        .order_by(model.SharingRule.id)
    )
    for chunk in chunks(sorted(found)):
        for id_, *columns in session.execute(wanted.where(model.Entry.data_source_id.in_(chunk))):
            found[id_].append(Granted(*columns))
    return found


def _told(hit: Hit) -> dict[str, str]:
    return {
        "name": hit.use.name,
        "workspace": hit.use.workspace,
        "module": hit.use.module,
        "env": hit.use.env,
        "owner": hit.use.owner,
        "effect": str(hit.effect),
        "risk": str(hit.risk),
        "remedy": hit.remedy,
    }
