"""Who runs a piece of MaxCompute SQL, and on which table: the table of cross-project access, as data.

In a standard workspace a project `orders` has a development project `orders_dev`. In development code runs as the
person who runs it, in production as the scheduling access identity (workspace roles and permissions, access to
resources across projects). Members have roles in the development project alone; what else they need is granted in the
Security Center.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from registry.access import Role
from registry.errors import InvalidInput


class Naming(StrEnum):
    """How code names a table."""

    OF_DEVELOPMENT = "project_dev.table"
    OF_PRODUCTION = "project.table"
    PLAIN = "table"


class Identity(StrEnum):
    """Who runs it."""

    EXECUTOR = "the personal account of whoever runs it"
    SCHEDULING = "the scheduling access identity"


@dataclass(frozen=True)
class Access:
    """One cell of the table.

    Attributes:
        project: The side whose project holds the table: dev or prod.
        grant: What must be granted besides the roles that membership gives; empty: nothing.
    """

    identity: Identity
    project: str
    grant: str = ""


_PERSONAL = "the person's account needs the table of the production project: ask for it in the Security Center"
_DOWNWARDS = "the scheduling identity needs the table of the development project: it has a role in production alone"

#: (naming, where it runs) -> who runs it, on which table, with which grant.
ACCESS: Mapping[tuple[Naming, str], Access] = {
    (Naming.OF_DEVELOPMENT, "dev"): Access(Identity.EXECUTOR, "dev"),
    (Naming.OF_DEVELOPMENT, "prod"): Access(Identity.SCHEDULING, "dev", _DOWNWARDS),
    (Naming.OF_PRODUCTION, "dev"): Access(Identity.EXECUTOR, "prod", _PERSONAL),
    (Naming.OF_PRODUCTION, "prod"): Access(Identity.SCHEDULING, "prod"),
    (Naming.PLAIN, "dev"): Access(Identity.EXECUTOR, "dev"),
    (Naming.PLAIN, "prod"): Access(Identity.SCHEDULING, "prod"),
}


#: Role in a workspace -> the role that DataWorks gives its holder in the MaxCompute project (workspace roles and
#: permissions, mapping to the development project). Whoever owns the workspace owns the project; of other roles, and of
#: roles of one's own, there is none.
ENGINE_ROLES: Mapping[Role, str] = {
    Role.ADMIN: "Role_Project_Admin",
    Role.DEVELOP: "Role_Project_Dev",
    Role.OPERATOR: "Role_Project_Pe",
    Role.DEPLOY: "Role_Project_Deploy",
    Role.VISITOR: "Role_Project_Guest",
    Role.SECURITY_ADMIN: "Role_Project_Security",
}
#: What the scheduling identity has, in the production project alone.
SCHEDULER_ROLE = "Role_Project_Scheduler"


def engine_roles(held: Collection[Role], side: str, mode: str) -> list[str]:
    """The roles inside of MaxCompute that somebody has by these roles in a workspace.

    Args:
        side: Whose project: dev or prod.
        mode: Of the workspace: in standard mode roles count in development alone, in basic mode there is one project.
    """
    counts = side == ("prod" if mode == "basic" else "dev")
    return sorted(name for role, name in ENGINE_ROLES.items() if role in held) if counts else []


def expect_own_development(dev: Mapping[str, Any], prod: Mapping[str, Any], where: str) -> None:
    """Let the dev side of a MaxCompute compute resource be a project of its own, run as whoever executes.

    Args:
        dev: The properties of its dev side, and of its prod side.

    Raises:
        InvalidInput: It is not (associating a MaxCompute project).
    """
    project, identity = dev["project"], dev.get("auth_type", "Executor")
    if project == prod["project"]:
        advice = f"give dev a project of its own, such as {project}_dev"
        raise InvalidInput(f"dev and prod are one project, {project}", where=where, instruction=advice)
    if identity != "Executor":
        told = f"dev runs as whoever executes (Executor), not as {identity}"
        raise InvalidInput(told, where=where, instruction="leave out auth_type and auth_identity of dev")


@dataclass(frozen=True)
class Execution:
    """What a piece of code does where it runs.

    Attributes:
        table: The table it reaches, with its project.
    """

    name: str
    env: str
    naming: Naming
    identity: Identity
    table: str
    project: str
    grant: str


def execution(name: str, env: str, projects: Mapping[str, str]) -> Execution:
    """Who runs code that names a table like this, and on which table.

    Args:
        name: `orders_dev.t`, `orders.t` or `t`, as the code says it.
        env: Where it runs: dev or prod.
        projects: Side -> its project; a basic workspace has prod alone.

    Raises:
        InvalidInput: The table is of a third project, or there is no such side.
    """
    project, dot, table = name.rpartition(".")
    if env not in projects:
        raise InvalidInput(f"there is no {env} project", where=name, instruction=f"use {' or '.join(sorted(projects))}")
    if not dot:
        naming = Naming.PLAIN
    elif project == projects.get("dev"):
        naming = Naming.OF_DEVELOPMENT
    elif project == projects.get("prod"):
        naming = Naming.OF_PRODUCTION
    else:
        known = ", ".join(sorted(projects.values()))
        told = f"{project} is neither project of this workspace: its own rules say who may use it"
        raise InvalidInput(told, where=name, instruction=f"its projects are {known}")
    access = ACCESS[naming, env]
    return Execution(
        name, env, naming, access.identity, f"{projects[access.project]}.{table}", access.project, access.grant
    )


def executions(name: str, projects: Mapping[str, str]) -> list[Execution]:
    """As `execution`, for every environment there is."""
    return [execution(name, env, projects) for env in sorted(projects)]
