"""Who may use a data source, and which side of it a run gets: DataWorks' rules of use, as tables.

The sentences that the rules rest on stand in `SOURCES`; each refusal names one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


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
