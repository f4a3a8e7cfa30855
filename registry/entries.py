"""The configuration of one environment: from what people write to the columns of a row, and back to a connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr, ValidationError

from registry import model, names, types
from registry.connection import Connection, EntryReading, Mode, read_entry
from registry.errors import InvalidInput, InvalidInputs
from registry.parameters import RemovedParameter
from registry.types import DataSourceType


@dataclass(frozen=True)
class EntryDraft:
    """An entry as it shall be; its literals are not encrypted yet.

    Attributes:
        literals: Field -> literal secret; the connection says `stored:PENDING` there.
        removed: URL parameters that the allow-list of the protocol took out.
        clear_password: The entry was written with credentials in its URL where literals are not accepted: they go into
            the secret store, but whatever it was written in holds them in clear.
        dropped: Fields whose stored secret goes: that a draft does not name one keeps it otherwise.
    """

    connection: Connection
    literals: Mapping[str, SecretStr] = field(default_factory=dict)
    removed: tuple[RemovedParameter, ...] = ()
    clear_password: bool = False
    dropped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SourceDraft:
    """A data source as it shall be. Attributes and environments that are not named stay as they are.

    Raises:
        InvalidInput: A description that cannot be.
    """

    name: str
    type: str
    entries: Mapping[str, EntryDraft]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names.check_description(self.attributes.get("description", ""), where=f"{self.name}.description")


def draft_source(
    name: str,
    type_: str,
    entries: Mapping[str, Mapping[str, Any]],
    *,
    where: str,
    literals_allowed: bool,
    permitted: frozenset[str] = frozenset(),
    attributes: Mapping[str, Any] | None = None,
) -> SourceDraft:
    """Read the entries of a source as people write them.

    Args:
        entries: Environment -> its fields.
        where: `workspace/source`, for errors.
        literals_allowed: Whether a secret may stand there itself (prompt, standard input).
        permitted: URL parameters that an audited permit keeps.

    Raises:
        NotFound: An unknown type.
        InvalidInputs: Every fault of every entry.
    """
    known, read, problems = types.get(type_), dict[str, EntryDraft](), list[InvalidInput]()
    for env, raw in entries.items():
        try:
            read[env] = draft_entry(
                known, raw, where=f"{where}/{env}", literals_allowed=literals_allowed, permitted=permitted
            )
        except InvalidInputs as error:
            problems += error.problems
    if problems:
        raise InvalidInputs(problems)
    return SourceDraft(name, known.name, read, dict(attributes or {}))


def draft_entry(
    type_: DataSourceType,
    raw: Mapping[str, Any],
    *,
    where: str,
    literals_allowed: bool,
    permitted: frozenset[str] = frozenset(),
) -> EntryDraft:
    """Read one entry as people write it; as `draft_source`.

    Raises:
        InvalidInputs: Everything that is wrong.
    """

    def read(allowed: bool) -> EntryReading:
        return read_entry(type_, raw, permitted=permitted, literals_allowed=allowed, where=where)

    reading = read(True)
    if reading.literals and not literals_allowed and _stated(raw, reading):
        read(False)  # refuses them, each in its place
    clear = bool(reading.literals) and not literals_allowed
    return EntryDraft(reading.connection, reading.literals, reading.removed, clear)


def _stated(raw: Mapping[str, Any], reading: EntryReading) -> bool:
    """Whether a literal stands in a field of its own, not just in the URL."""
    fields = {_squashed(str(key)) for key in raw}
    return any(_squashed(place.partition(".")[0]) in fields for place in reading.literals)


def _squashed(key: str) -> str:
    return key.replace("_", "").replace("-", "").strip().casefold()


def columns(connection: Connection) -> dict[str, Any]:
    """The columns `mode`, `properties` and `references` of a connection: what is said, without its secrets."""
    references = dict(connection.secret_references())
    properties = connection.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    for place in references:
        name, _, key = place.partition(".")
        if key:
            properties[name].pop(key)
        else:
            properties.pop(name)
    return {"mode": type(connection).mode.value, "properties": properties, "references": references}


def joined(properties: Mapping[str, Any], references: Mapping[str, str]) -> dict[str, Any]:
    """The fields of an entry, its references in their places."""
    fields = dict(properties)
    for place, reference in references.items():
        name, _, key = place.partition(".")
        if key:
            fields[name] = {**fields.get(name, {}), key: reference}
        else:
            fields[name] = reference
    return fields


def build(type_: str, mode: str, properties: Mapping[str, Any], references: Mapping[str, str]) -> Connection:
    """The connection that the columns of an entry hold.

    Raises:
        NotFound: The type is not in the catalogue any more.
        InvalidInput: The entry does not fit its type any more.
    """
    known = types.get(type_)
    try:
        return known.modes[Mode(mode)].model_validate(joined(properties, references))
    except ValidationError as error:
        raise InvalidInputs(
            [InvalidInput(fault["msg"], where=".".join(map(str, fault["loc"]))) for fault in error.errors()]
        ) from None
    except (KeyError, ValueError):
        raise InvalidInput(f"type {type_} has no connection mode {mode}", where="mode") from None


def connection_of(type_: str, entry: model.Entry) -> Connection:
    """The connection of an entry; raises as `build`."""
    return build(type_, entry.mode, entry.properties, entry.references)


def flat(mode: str, properties: Mapping[str, Any], references: Mapping[str, str]) -> dict[str, Any]:
    """The fields of an entry for comparison: mappings key by key, secrets as references."""
    fields: dict[str, Any] = {"mode": mode}
    for name, value in properties.items():
        fields |= {f"{name}.{key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
    return fields | dict(references)


def snapshot(entry: model.Entry) -> dict[str, Any]:
    """The fields of an entry, as `flat`."""
    return flat(entry.mode, entry.properties, entry.references)
