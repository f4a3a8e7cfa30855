"""What a shell completes: names from the registry and from the catalogues. A fault completes to nothing."""

from __future__ import annotations


def sources(incomplete: str) -> list[str]:
    """Names of data sources, or `workspace/name` as soon as a slash is typed."""
    from registry import glance

    workspace, slash, name = incomplete.partition("/")
    if slash:
        return [f"{owner}/{found}" for owner, found in glance.sources(name, workspace)]
    names = [found for _, found in glance.sources(incomplete)]
    return [*dict.fromkeys(names), *(f"{owner}/" for owner in glance.workspaces(incomplete))]


def workspaces(incomplete: str) -> list[str]:
    """Names of workspaces."""
    from registry import glance

    return glance.workspaces(incomplete)


def groups(incomplete: str) -> list[str]:
    """Names of resource groups."""
    from registry import glance

    return glance.groups(incomplete)


def plans(incomplete: str) -> list[str]:
    """Ids of plans."""
    from registry import glance

    return glance.plans(incomplete)


def types(incomplete: str) -> list[str]:
    """Names of data source types."""
    from registry.types import catalogue

    return [name for name in catalogue() if name.startswith(incomplete.lower())]


def causes(incomplete: str) -> list[str]:
    """Codes of root causes."""
    from tasks.causes import catalogue

    return [code for code in catalogue() if code.startswith(incomplete.upper())]


def environments(incomplete: str) -> list[str]:
    """The environments."""
    return [env for env in ("dev", "prod") if env.startswith(incomplete)]


def roles(incomplete: str) -> list[str]:
    """The roles of members."""
    from registry.access import Role

    return [role for role in Role if role.startswith(incomplete.lower())]


def adapters(incomplete: str) -> list[str]:
    """What finds dependents."""
    from tasks.dependents import catalogue

    return [name for name in catalogue() if name.startswith(incomplete)]


def modules(incomplete: str) -> list[str]:
    """Modules that use data sources."""
    from registry.usage import MODULES

    return [name for name in MODULES if name.startswith(incomplete)]
