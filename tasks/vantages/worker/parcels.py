"""Targets on their way to another machine and verdicts on their way back: everything that a check needs, as JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
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
        files: Field -> digest of its value, for certificates and the like: they are large, and many targets share one.
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
    files: dict[str, str]
    permitted_ranges: tuple[str, ...]
    network: dict[str, Any]
    warnings: tuple[Warning, ...]
    version: int | None


@dataclass(frozen=True)
class Packed:
    """A target as it is sent: JSON, and the files that it refers to by their digests."""

    parcel: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)


def pack(target: Target, secrets: Mapping[str, SecretStr] | None) -> Packed:
    """A target that has a connection.

    Args:
        secrets: The values of its secrets: only for what is sealed. None: they are resolved there.
    """
    assert target.connection is not None  # noqa: S101 - one without has failed before
    kinds = target.connection.sensitive_fields()
    values = {name: value.get_secret_value() for name, value in (secrets or {}).items()}
    files = {name: _digest(value) for name, value in values.items() if kinds.get(name) == "file"}
    parcel = Parcel(
        workspace=target.workspace,
        source=target.source,
        type=target.type,
        env=target.env,
        resource_group=target.resource_group,
        secrets=None if secrets is None else {name: values[name] for name in values if name not in files},
        files=files,
        permitted_ranges=target.permitted_ranges,
        network=target.network.model_dump(mode="json", exclude_defaults=True),
        warnings=target.warnings,
        version=target.version,
        **entries.columns(target.connection),
    )
    return Packed(parcel.model_dump(mode="json"), {digest: values[name] for name, digest in files.items()})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def unpack(packed: Mapping[str, Any], files: Mapping[str, str]) -> Target:
    """The target as it was packed.

    Args:
        files: Digest -> file, of all targets that came with it.

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
        secrets=lambda: _secrets(parcel, connection, files),
        permitted_ranges=parcel.permitted_ranges,
        network=declared(parcel.network),
        warnings=parcel.warnings,
        version=parcel.version,
        resolves_secrets=parcel.secrets is None,
    )


def _secrets(parcel: Parcel, connection: Connection, files: Mapping[str, str]) -> dict[str, SecretStr]:
    if parcel.secrets is not None:
        values = {**parcel.secrets, **{name: files[digest] for name, digest in parcel.files.items()}}
        return {name: SecretStr(value) for name, value in values.items()}
    references = connection.secret_references()
    return {name: resolve_field(connection, name, reference) for name, reference in references.items()}
