"""Who may use a data source, and which side of it a run gets: DataWorks' rules of use, as tables.

Pages meant: data source management (its notes, types, creation methods) and data source environment isolation. Each
rule names the part that it is taken from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from registry import model, synchronization, types
from registry.errors import InvalidInput


class TaskKind(StrEnum):
    """The kinds of work that use data sources."""

    #: Data Integration: one table, in batches; one table, as it changes; whole databases; of an unknown kind.
    BATCH_SYNC = "batch_sync"
    REALTIME_SYNC = "realtime_sync"
    DATABASE_BATCH_SYNC = "database_batch_sync"
    DATABASE_REALTIME_SYNC = "database_realtime_sync"
    DATABASE_FULL_INCREMENTAL_SYNC = "database_full_incremental_sync"
    SYNC = "sync"
    #: Code that is developed, debugged and scheduled: SQL, other nodes, flows.
    SQL = "sql"
    NODE = "node"
    FLOW = "flow"
    #: An API of Data Service, a saved query of Data Analysis, a rule of Data Quality, a collection of metadata.
    API = "api"
    QUERY = "query"
    RULE = "rule"
    COLLECTION = "collection"


#: What Data Integration runs.
SYNCHRONIZATION = frozenset(kind for kind in TaskKind if kind.value.endswith("sync"))

#: Kind -> the side that a run of it in development gets in a standard workspace; a run in production gets prod always.
IN_DEVELOPMENT: Mapping[TaskKind, str] = {
    kind: "prod" if kind in SYNCHRONIZATION and kind is not TaskKind.BATCH_SYNC else "dev" for kind in TaskKind
}

#: The modules, with their names for people.
MODULES: Mapping[str, str] = {
    "data_integration": "Data Integration",
    "data_studio": "Data Studio",
    "operation_center": "the Operation Center",
    "data_service": "Data Service",
    "data_analysis": "Data Analysis",
    "data_quality": "Data Quality",
    "data_map": "Data Map",
}

#: Module -> the kind of its work where nothing more is known.
KIND_OF_MODULE: Mapping[str, TaskKind] = {
    "data_integration": TaskKind.SYNC,
    "data_studio": TaskKind.NODE,
    "operation_center": TaskKind.NODE,
    "data_service": TaskKind.API,
    "data_analysis": TaskKind.QUERY,
    "data_quality": TaskKind.RULE,
    "data_map": TaskKind.COLLECTION,
}


def kind_of(task_kind: str, module: str) -> TaskKind:
    """The kind of work that is meant; one that is not known is the usual one of its module."""
    try:
        return TaskKind(task_kind)
    except ValueError:
        return KIND_OF_MODULE.get(module, TaskKind.NODE)


def env_for(task_kind: str, module: str, env: str, workspace_mode: str) -> str:
    """The side of a data source that a run gets.

    Args:
        env: Where the run is: `dev` or `prod`.
        workspace_mode: `basic` or `standard`, of the workspace that the run belongs to.
    """
    if workspace_mode == "basic" or env == "prod":
        return "prod"
    return IN_DEVELOPMENT[kind_of(task_kind, module)]


#: Where a data source is made, mode of its workspace -> the sides it is made with. A workspace in basic mode has one
#: list of sources, in standard mode Data Integration fills in production alone.
SIDES_OF_NEW: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("management_center", "basic"): ("prod",),
    ("data_integration", "basic"): ("prod",),
    ("management_center", "standard"): ("dev", "prod"),
    ("data_integration", "standard"): ("prod",),
}

#: Module -> the one that a type must support for it. What the Operation Center runs was made in Data Integration or
#: Data Studio; Data Quality watches tables that Data Map has collected.
_SUPPORT: Mapping[str, str] = {"operation_center": "data_studio", "data_quality": "data_map"}

#: Types that a compute resource of the same name makes a data source of.
OF_COMPUTE_RESOURCES = frozenset(
    {
        "maxcompute",
        "hologres",
        "analyticdb_for_mysql",
        "analyticdb_for_postgresql",
        "clickhouse",
        "lindorm",
        "starrocks",
        "opensearch",
    }
)


@dataclass(frozen=True)
class Case:
    """One use of a data source that the rules are asked about.

    Attributes:
        sides: The environments that the source is configured for.
        env: Where the run is.
        side: The side that it gets.
        region: Where it runs; empty: not known, and nothing is said of regions.
        group: The resource group that it runs on, and
        purposes: what that is declared to be for; empty: anything.
    """

    path: str
    type: str
    kind: str
    origin: str
    mode: str
    sides: tuple[str, ...]
    module: str
    task_kind: TaskKind
    env: str
    side: str
    role: str
    region: str
    properties: Mapping[str, Any]
    references: Mapping[str, str]
    group: str = ""
    purposes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """Why a use is refused.

    Attributes:
        rule: Its name in `RULES`.
    """

    rule: str
    reason: str
    remedy: str

    @property
    def source(self) -> str:
        """Where the rule is written."""
        return next(rule.source for rule in RULES if rule.name == self.rule)

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}"


@dataclass(frozen=True)
class Rule:
    """One rule of use.

    Attributes:
        source: The page and the part of it that the rule is taken from.
        breaks: Whether a use breaks it.
        reason: What is told then; fields of `Case` stand in braces.
    """

    name: str
    source: str
    breaks: Callable[[Case], bool]
    reason: str
    remedy: str


def _is_synchronization(case: Case) -> bool:
    return case.task_kind in SYNCHRONIZATION


def _of_another_account(case: Case) -> bool:
    return bool(case.properties.get("cross_account_owner_id"))


def _of_another_region(case: Case) -> bool:
    there = case.properties.get("region_id")
    return bool(there and case.region) and there != case.region


def _by_access_key(case: Case) -> bool:
    return "access_key" in case.references or str(case.properties.get("auth_type")).lower() == "ak"


def _is_task_of_metadata(case: Case) -> bool:
    governed = case.task_kind in (TaskKind.COLLECTION, TaskKind.RULE)
    return case.kind == "metadata" and (case.role in ("reader", "writer") or not governed)


def _lacks_support(case: Case) -> bool:
    module = _SUPPORT.get(case.module, case.module)
    if case.module == "operation_center" and _is_synchronization(case):
        module = "data_integration"
    return module not in types.get(case.type).modules


def _is_development_on_a_bare_engine(case: Case) -> bool:
    """Of nodes of a scheduler that runs them on the engine; a flow of one's own opens the source by itself."""
    develops = case.task_kind in (TaskKind.SQL, TaskKind.NODE)
    return develops and case.type in OF_COMPUTE_RESOURCES and case.origin != "automatically"


def purpose_of(kind: TaskKind) -> str:
    """What a resource group must be for to run it."""
    if kind in SYNCHRONIZATION:
        return "synchronization"
    return "data_service" if kind is TaskKind.API else "scheduling"


def _is_no_purpose_of_its_group(case: Case) -> bool:
    return bool(case.purposes) and purpose_of(case.task_kind) not in case.purposes


def _is_not_synchronized_so(case: Case) -> bool:
    """A type that Data Integration does not have at all is told by the rule `module`."""
    if not _is_synchronization(case) or _lacks_support(case):
        return False
    able = synchronization.roles(case.type, case.task_kind)
    return case.role not in able if case.role in (synchronization.READER, synchronization.WRITER) else not able


def _lacks_side(case: Case) -> bool:
    return case.side not in case.sides and not _lacks_development(case)


def _lacks_development(case: Case) -> bool:
    return case.mode == "standard" and case.module == "data_studio" and "dev" not in case.sides


_LIMITS = "data source management, notes: usage limits"
_ONLY_SYNCHRONIZATION = "use it in a synchronization task, or register one of the own account and region without a key"

#: What is refused, in the order in which it is told.
RULES: tuple[Rule, ...] = (
    Rule(
        "metadata",
        "data source management, data source types: the metadata type is no input or output of a task",
        _is_task_of_metadata,
        "{path} is a catalogue of metadata: no task reads or writes it",
        "use the data source of the data itself",
    ),
    Rule(
        "module",
        "data source management, use of data sources: types supported by each module",
        _lacks_support,
        "{type} is not supported in {module}",
        "`headwater types` tells what each type is for",
    ),
    Rule(
        "synchronization",
        "supported data sources and synchronization solutions: what is read and what is written, in which kind",
        _is_not_synchronized_so,
        "{kind_of_work} {able} {type}",
        "use another kind of synchronization, or another data source: `headwater types`",
    ),
    Rule(
        "development",
        "data source environment isolation: a source without a development side cannot be chosen in Data Studio",
        _lacks_development,
        "{path} has no development side, so Data Studio cannot use it",
        "fill in its dev side",
    ),
    Rule(
        "side",
        "data source environment isolation: a run gets the side of its environment",
        _lacks_side,
        "{path} has no {side} side, which a {task_kind} run in {env} gets",
        "fill in its {side} side",
    ),
    Rule(
        "cross_account",
        _LIMITS,
        lambda case: _of_another_account(case) and not _is_synchronization(case),
        "{path} is of another cloud account: it is for synchronization only",
        _ONLY_SYNCHRONIZATION,
    ),
    Rule(
        "cross_region",
        _LIMITS,
        lambda case: _of_another_region(case) and not _is_synchronization(case),
        "{path} is in another region than {region}: it is for synchronization only",
        _ONLY_SYNCHRONIZATION,
    ),
    Rule(
        "access_key",
        _LIMITS,
        lambda case: _by_access_key(case) and not _is_synchronization(case),
        "{path} is reached with an access key: it is for synchronization only",
        _ONLY_SYNCHRONIZATION,
    ),
    Rule(
        "compute_resource",
        "data source management, creation methods: data development needs the source of a compute resource",
        _is_development_on_a_bare_engine,
        "{path} belongs to no compute resource: nodes of data development need one that does",
        "attach the engine to the workspace as a compute resource: `headwater compute-resource attach`",
    ),
    Rule(
        "resource_group",
        "resource groups, types: an exclusive one is for scheduling, for Data Integration or for Data Service alone",
        _is_no_purpose_of_its_group,
        "resource group {group} is for {purposes} alone, and this is {purpose}",
        "run it on another group, or declare network.purposes of this one anew",
    ),
)


def case_of(
    source: model.DataSource,
    entry: model.Entry | None,
    module: str,
    task_kind: str,
    role: str = "",
    *,
    env: str = "prod",
    region: str = "",
    group: str = "",
    purposes: Sequence[str] = (),
) -> Case:
    """The case of a registered source. It must come with its workspace and entries."""
    kind, mode = kind_of(task_kind, module), source.workspace.mode
    return Case(
        path=source.path,
        type=source.type,
        kind=types.get(source.type).kind,
        origin=source.origin,
        mode=mode,
        sides=tuple(one.env for one in source.entries),
        module=module,
        task_kind=kind,
        env=env,
        side=entry.env if entry is not None else env_for(kind, module, env, mode),
        role=role,
        region=region,
        properties=entry.properties if entry is not None else {},
        references=entry.references if entry is not None else {},
        group=group,
        purposes=tuple(purposes),
    )


def refusals(
    source: model.DataSource,
    entry: model.Entry | None,
    module: str,
    task_kind: str,
    role: str = "",
    *,
    env: str = "prod",
    region: str = "",
) -> list[Refusal]:
    """Why a dependent may not use a data source; empty: it may.

    Args:
        source: With its workspace and entries.
        entry: The side that it would get (`env_for`); None: the source has no such side.
        role: reader, writer, query, rule or api; empty: not known.
        env: Where the dependent runs.
        region: Where it runs; empty: not known.
    """
    return broken(RULES, case_of(source, entry, module, task_kind, role, env=env, region=region))


def broken(rules: Sequence[Rule], case: Case) -> list[Refusal]:
    """The rules that a use breaks."""
    words = {name: getattr(case, name) for name in ("path", "type", "task_kind", "env", "side", "region", "group")}
    words["module"] = MODULES.get(case.module, case.module)
    words["purposes"], words["purpose"] = " and ".join(case.purposes), purpose_of(case.task_kind)
    words["able"] = synchronization.told(case.type, case.task_kind)
    words["kind_of_work"] = f"synchronization ({synchronization.KINDS.get(case.task_kind, 'of any kind')})"
    return [
        Refusal(rule.name, rule.reason.format(**words), rule.remedy.format(**words))
        for rule in rules
        if rule.breaks(case)
    ]


def missing_sides(source: model.DataSource) -> tuple[str, ...]:
    """The sides of a source that are still to be filled in; with its workspace and entries."""
    wanted = SIDES_OF_NEW["management_center", source.workspace.mode]
    return tuple(env for env in wanted if source.entry(env) is None)


def expect_own(source: model.DataSource, verb: str) -> None:
    """Let a source be edited or deleted only where it was made by hand.

    Raises:
        InvalidInput: A compute resource made it and alone changes it (data source management, managing and deleting).
    """
    if source.origin == "automatically":
        raise InvalidInput(
            f"{source.path} was made by attaching a compute resource: it cannot be {verb} by itself",
            where=f"data_source:{source.path}",
            instruction="change the compute resource, or detach it, which deletes the source",
        )
