"""Who may do what: DataWorks' roles, and the table of permissions that every verb of the registry is held against.

An actor is the user of a token, or whoever `HEADWATER_ACTOR` names, or the user of the operating system. Three rules
say what the tables leave open:

- whoever owns the file of a local registry, and says to be nobody else, is its tenant owner: nothing could keep him
  from writing the file itself;
- where nobody holds any role yet, in the workspace or above it, everybody who can open the registry may do everything;
- a role of the tenant counts in every workspace, whoever made a workspace is its owner, and until the tenant has
  members of its own, the owners of workspaces act for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import model
from registry.audit import By
from registry.errors import Forbidden, InvalidInput
from registry.nearest import nearest


class Role(StrEnum):
    """The roles of a tenant and of a workspace."""

    TENANT_OWNER = "tenant_owner"
    TENANT_ADMIN = "tenant_admin"
    #: Whom a policy of the cloud lets do everything (data source management, prerequisites); but for what takes the
    #: account itself.
    FULL_ACCESS = "full_access"
    OWNER = "workspace_owner"
    ADMIN = "workspace_admin"
    OPERATOR = "operator"
    DEPLOY = "deploy"
    DEVELOP = "develop"
    VISITOR = "visitor"
    MODEL_DESIGNER = "model_designer"
    SECURITY_ADMIN = "security_admin"
    DATA_ANALYST = "data_analyst"
    OPEN_PLATFORM_ADMIN = "open_platform_admin"
    DATA_GOVERNANCE_ADMIN = "data_governance_admin"


#: The roles that count in every workspace; the others belong to one.
TENANT_ROLES = (Role.TENANT_OWNER, Role.TENANT_ADMIN, Role.FULL_ACCESS)

#: The codes of DataWorks' OpenAPI, its names for people, and policies of the cloud -> role.
ALIASES: Mapping[str, Role] = {
    "role_project_owner": Role.OWNER,
    "role_project_admin": Role.ADMIN,
    "role_project_pe": Role.OPERATOR,
    "role_project_deploy": Role.DEPLOY,
    "role_project_dev": Role.DEVELOP,
    "role_project_guest": Role.VISITOR,
    "role_project_security": Role.SECURITY_ADMIN,
    "role_project_data_analyst": Role.DATA_ANALYST,
    "role_project_model_designer": Role.MODEL_DESIGNER,
    "role_project_erd": Role.MODEL_DESIGNER,
    "role_project_data_governance_admin": Role.DATA_GOVERNANCE_ADMIN,
    "dg_admin": Role.DATA_GOVERNANCE_ADMIN,
    "owner": Role.OWNER,
    "admin": Role.ADMIN,
    "administrator": Role.ADMIN,
    "o&m": Role.OPERATOR,
    "developer": Role.DEVELOP,
    "guest": Role.VISITOR,
    "aliyundataworksfullaccess": Role.FULL_ACCESS,
    "administratoraccess": Role.FULL_ACCESS,
}


class Verb(StrEnum):
    """What can be asked of the registry, in the words that a refusal says."""

    CREATE = "create a data source"
    CLONE = "clone a data source"
    UPDATE = "edit a data source"
    DELETE = "delete a data source"
    GET = "look at a data source"
    LIST = "list data sources"
    TEST = "test a data source"
    USE = "connect to a data source"
    SHARE = "share a data source"
    BIND = "bind a resource group"
    REPOINT = "repoint tasks"
    UPGRADE = "upgrade a workspace"
    MANAGE_WORKSPACE = "change a workspace and its members"
    MANAGE_TENANT = "change resource groups, tenant roles, tokens of others and the keyring"
    MANAGE_OWNERS = "make or unmake an owner of the tenant, or act for one"


_HEADS = frozenset({Role.TENANT_OWNER, Role.FULL_ACCESS, Role.OWNER, Role.ADMIN})
_KEEPERS = _HEADS | {Role.OPERATOR}
_WORKERS = _KEEPERS | {Role.DEPLOY, Role.DEVELOP}

#: Verb -> the roles that may. Where a row is that of an operation of DataWorks' OpenAPI 2024-05-18, it follows the
#: permissions that its documentation lists.
PERMISSIONS: Mapping[Verb, frozenset[Role]] = {
    Verb.CREATE: _KEEPERS,  # CreateDataSource
    Verb.CLONE: _KEEPERS,  # CloneDataSource
    Verb.DELETE: _KEEPERS,  # DeleteDataSource
    Verb.UPDATE: _KEEPERS | {Role.TENANT_ADMIN},  # UpdateDataSource
    Verb.GET: _WORKERS,  # GetDataSource
    Verb.LIST: _WORKERS  # ListDataSources
    | {Role.VISITOR, Role.MODEL_DESIGNER, Role.SECURITY_ADMIN, Role.DATA_ANALYST}
    | {Role.OPEN_PLATFORM_ADMIN, Role.DATA_GOVERNANCE_ADMIN},
    Verb.TEST: _WORKERS,  # TestDataSourceConnectivity
    Verb.SHARE: _HEADS | {Role.TENANT_ADMIN},  # CreateDataSourceSharedRule
    Verb.BIND: _KEEPERS,  # AssociateProjectToResourceGroup
    Verb.USE: _WORKERS | {Role.DATA_ANALYST},  # whoever runs code: development, operation, analysis
    Verb.REPOINT: _KEEPERS | {Role.DEPLOY},  # whoever deploys tasks: operation, deploy, administrator, owner
    Verb.UPGRADE: frozenset({Role.TENANT_OWNER}),  # "only the Alibaba Cloud account"
    Verb.MANAGE_WORKSPACE: _HEADS | {Role.TENANT_ADMIN},
    Verb.MANAGE_TENANT: frozenset(TENANT_ROLES),
    Verb.MANAGE_OWNERS: frozenset({Role.TENANT_OWNER}),  # who may upgrade is nobody's to become by himself
}


def role(name: str) -> Role:
    """The role of this name or code.

    Raises:
        InvalidInput: There is none; the nearest are named.
    """
    wanted = name.strip().lower().replace("-", "_").replace(" ", "_")
    try:
        return ALIASES.get(wanted) or Role(wanted)
    except ValueError:
        near = nearest(wanted, [*Role, *ALIASES], count=3, likeness=0.5) or list(Role)
        raise InvalidInput(f"no role {name!r}", where="role", instruction=f"use {', '.join(near)}") from None


def require(session: Session, by: By, verb: Verb, workspace: model.Workspace | None = None) -> None:
    """Let whoever acts pass, if a role of his allows it.

    Args:
        workspace: Where; None: what belongs to no workspace.

    Raises:
        Forbidden: None does. `Database.write` and `Database.read` keep it in the audit.
    """
    refused = refusal(session, by, verb, workspace)
    if refused is not None:
        raise refused


def refusal(session: Session, by: By, verb: Verb, workspace: model.Workspace | None = None) -> Forbidden | None:
    """As `require`, for those who must ask before they know whether they need it."""
    if allowed(session, by, verb, workspace):
        return None
    place = f"workspace:{workspace.name}" if workspace is not None else "tenant"
    held = ", ".join(sorted(roles(session, by.actor, workspace))) or "no role there"
    wanted = ", ".join(sorted(PERMISSIONS[verb]))
    return Forbidden(
        f"{by.actor} may not {verb}: {by.actor} has {held}",
        where=place,
        instruction=f"ask somebody with one of these roles: {wanted}",
        record=by.record("refuse", place, version=None, before=None, after={"verb": verb.name.lower()}),
    )


def allowed(session: Session, by: By, verb: Verb, workspace: model.Workspace | None = None) -> bool:
    """Whether a role of whoever acts allows it; see `require`."""
    if by.owns_registry or roles(session, by.actor, workspace) & PERMISSIONS[verb]:
        return True
    return not _anybody(session, workspace) or (workspace is None and _stands_in(session, by.actor))


def roles(session: Session, user: str, workspace: model.Workspace | None = None) -> set[Role]:
    """The roles that a user has in a workspace and above it."""
    above = roles_here(session, user, None)
    return above if workspace is None else above | roles_here(session, user, workspace)


def roles_here(session: Session, user: str, workspace: model.Workspace | None) -> set[Role]:
    """The roles that a user has in a workspace itself, or, where it is None, in the tenant itself."""
    if workspace is None:
        wanted = select(model.TenantMember.role).where(model.TenantMember.user == user)
        return {role(name) for name in session.scalars(wanted)}
    here = model.Member.workspace_id == workspace.id
    held = session.scalars(select(model.Member.role).where(here, model.Member.user == user))
    made = {Role.OWNER} if workspace.creator == user else set()
    return made | {role(name) for name in held}


def verb_over(session: Session, role: Role) -> Verb:
    """What giving and taking a role of the tenant takes; where it has no owner yet, an owner's is as any other."""
    owners = select(model.TenantMember.user).where(model.TenantMember.role == Role.TENANT_OWNER).limit(1)
    is_owned = role is Role.TENANT_OWNER and session.scalar(owners) is not None
    return Verb.MANAGE_OWNERS if is_owned else Verb.MANAGE_TENANT


def _anybody(session: Session, workspace: model.Workspace | None) -> bool:
    """Whether anybody has a role there or above; of the tenant: anywhere."""
    if session.scalar(select(model.TenantMember.user).limit(1)) is not None:
        return True
    wanted = select(model.Member.id).limit(1)
    if workspace is not None:
        wanted = wanted.where(model.Member.workspace_id == workspace.id)
    return session.scalar(wanted) is not None


def _stands_in(session: Session, user: str) -> bool:
    """Whether a tenant without members has this user for one: the owner of a workspace."""
    if session.scalar(select(model.TenantMember.user).limit(1)) is not None:
        return False
    return any(Role.OWNER in roles_here(session, user, one) for one in session.scalars(select(model.Workspace)))
