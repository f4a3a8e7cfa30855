"""Targets on their way to another machine and verdicts on their way back: everything that a check needs, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

from registry import entries, types
from registry.connection import Connection
from registry.network import declared
from registry.secrets import resolve_field
from registry.verdict import Warning
from tasks.target import Target


class Parcel(BaseModel):
    """One target.

    Attributes:
        secrets: Field -> value; None: the references of the entry are resolved where it is opened.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    workspace: str
    source: str
    type: str
    env: str
    resource_group: str
    mode: str
    properties: dict[str, Any]
    references: dict[str, str]
    secrets: dict[str, str] | None
    permitted_ranges: tuple[str, ...]
    network: dict[str, Any]
    warnings: tuple[Warning, ...]


def pack(target: Target, secrets: Mapping[str, SecretStr] | None) -> dict[str, Any]:
    """A target that has a connection, as JSON.

    Args:
        secrets: The values of its secrets: only for what is sealed. None: they are resolved there.
    """
    assert target.connection is not None  # noqa: S101 - one without has failed before
    values = None if secrets is None else {field: value.get_secret_value() for field, value in secrets.items()}
    return Parcel(
        workspace=target.workspace,
        source=target.source,
        type=target.type,
        env=target.env,
        resource_group=target.resource_group,
        secrets=values,
        permitted_ranges=target.permitted_ranges,
        network=target.network.model_dump(mode="json", exclude_defaults=True),
        warnings=target.warnings,
        **entries.columns(target.connection),
    ).model_dump(mode="json")


def unpack(packed: Mapping[str, Any]) -> Target:
    """The target as it was packed.

    Raises:
        ValidationError: It is no parcel, or one of another version of Headwater.
        HeadwaterError: It does not fit its type here.
    """
    parcel = Parcel.model_validate(packed)
    kind = types.get(parcel.type)
    connection = entries.build(kind.name, parcel.mode, parcel.properties, parcel.references)
    return Target(
        workspace=parcel.workspace,
        source=parcel.source,
        type=kind.name,
        env=parcel.env,
        resource_group=parcel.resource_group,
        protocol=kind.protocol_of(connection),
        default_port=kind.default_port,
        connection=connection,
        secrets=lambda: _secrets(parcel, connection),
        permitted_ranges=parcel.permitted_ranges,
        network=declared(parcel.network),
        warnings=parcel.warnings,
    )


def _secrets(parcel: Parcel, connection: Connection) -> dict[str, SecretStr]:
    if parcel.secrets is not None:
        return {field: SecretStr(value) for field, value in parcel.secrets.items()}
    references = connection.secret_references()
    return {field: resolve_field(connection, field, reference) for field, reference in references.items()}
