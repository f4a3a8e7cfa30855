"""What is to be checked, from the registry or from a URL typed a moment ago."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import SecretStr

from registry import policy, types
from registry.connection import Connection
from registry.errors import HeadwaterError, InvalidInput
from registry.network import Network, declared
from registry.verdict import Warning

if TYPE_CHECKING:
    from registry.targets import CheckTarget


def no_secrets() -> Mapping[str, SecretStr]:
    """The secrets of a connection that has none."""
    return {}


@dataclass(frozen=True)
class Target:
    """One environment of one data source, to be checked from one resource group.

    Attributes:
        type: Name of the data source type.
        protocol: Name of the module in `tasks.protocols`.
        default_port: The port that servers of this type listen on unless told otherwise.
        connection: The configuration; None when it is missing or faulty, which `problem` then tells.
        secrets: Called once, in the stage `credentials`: field -> value. Raises `SecretUnresolved`.
        permitted_ranges: CIDRs that tests of this workspace may be aimed at; empty for the default policy.
        network: What is declared about the network of the resource group.
        warnings: What registration already found, such as removed URL parameters.
        version: The version of the entry in the registry, where it comes from there.
        resolves_secrets: Whether the place that checks looks up itself what the references of secrets name.
    """

    workspace: str
    source: str
    type: str
    env: str
    resource_group: str
    protocol: str
    default_port: int
    connection: Connection | None
    secrets: Callable[[], Mapping[str, SecretStr]] = no_secrets
    permitted_ranges: tuple[str, ...] = ()
    network: Network = field(default_factory=Network)
    warnings: tuple[Warning, ...] = ()
    version: int | None = None
    resolves_secrets: bool = False
    problem: HeadwaterError | None = field(default=None)
    problem_code: str = ""

    def refusal_of(self, address: str) -> policy.Refusal | None:
        """Why a test may not be aimed at an address, by the ranges of the workspace and those of the group."""
        refusal = policy.refusal_of(address, self.permitted_ranges)
        own = [str(cidr) for cidr in self.network.permitted_ranges]
        return refusal if refusal is not None or not own else policy.refusal_of(address, own)


def from_registry(
    found: CheckTarget, secrets: Callable[[], Mapping[str, SecretStr]], warnings: tuple[Warning, ...] = ()
) -> Target:
    """The target behind what the registry has to check.

    Args:
        secrets: Resolves the secrets of this target; called in the stage `credentials` only.
    """
    kind = types.get(found.type)
    connection = found.connection
    problem, code = found.problem, getattr(found.problem, "code", "") or "CONFIG.BAD_VALUE"
    if found.entry_id is None:
        code = "CONFIG.ENV_MISSING"
        problem = problem or InvalidInput(f"{found.source} has no configuration for {found.env}", where=found.path)
    return Target(
        workspace=found.workspace,
        source=found.source,
        type=kind.name,
        env=found.env,
        resource_group=found.group.name,
        protocol=kind.protocol_of(connection) if connection is not None else "",
        default_port=kind.default_port,
        connection=connection,
        secrets=secrets,
        permitted_ranges=found.permitted_ranges,
        network=declared(found.group.network),
        warnings=warnings,
        version=found.version,
        problem=problem,
        problem_code=code if problem is not None else "",
    )
