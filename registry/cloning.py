"""A data source made after another one: all that is configured, under a new name, with secrets of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry import entries, model, names
from registry.connection import Connection
from registry.connection.reading import PENDING
from registry.entries import EntryDraft, SourceDraft
from registry.errors import InvalidInput, SecretUnresolved
from registry.parameters import RemovedParameter
from registry.secrets import Secrets


@dataclass(frozen=True)
class _Bearer:
    """An entry whose stored secrets are wanted."""

    path: str
    connection: Connection | None


def draft(row: model.DataSource, name: str, envs: Sequence[str], secrets: Secrets) -> SourceDraft:
    """A clone of a data source, on its way into the registry.

    Args:
        envs: The sides that are cloned; empty: all that there are.

    Raises:
        InvalidInput: A name that a clone cannot have, a side that the source has not, or a source that belongs to a
            compute resource.
        SecretUnresolved: A stored secret that no key opens.
    """
    names.CLONE.check(name)
    held = {entry.env: entry for entry in row.entries}
    missing = [env for env in envs if env not in held]
    if missing or not held:
        told = f"{row.path} has no {' and no '.join(missing or ['configuration'])}"
        raise InvalidInput(told, where="env", instruction=f"it has: {', '.join(held) or 'none'}")
    if row.origin == "automatically":
        advice = "attach a compute resource of the new name: headwater compute-resource attach"
        raise InvalidInput(f"{row.path} belongs to a compute resource", where=row.path, instruction=advice)
    made = {env: _entry(row, entry, secrets) for env, entry in held.items() if not envs or env in envs}
    attributes = {key: getattr(row, key) for key in ("kind", "visibility", "description", "tags", "permits")}
    return SourceDraft(name, row.type, made, attributes)


def _entry(row: model.DataSource, entry: model.Entry, secrets: Secrets) -> EntryDraft:
    connection = entries.connection_of(row.type, entry)
    stored = [field for field, reference in entry.references.items() if reference.startswith("stored:")]
    removed = tuple(RemovedParameter(key, why) for key, why in entry.removed.items())
    if not stored:
        return EntryDraft(connection, removed=removed)
    kept = {field: entry.references[field] for field in stored}
    only = entries.build(row.type, entry.mode, entry.properties, kept)
    (found,) = secrets.resolve([_Bearer(f"{row.path}/{entry.env}", only)])
    if isinstance(found, SecretUnresolved):
        raise found
    pending = {**entry.references, **dict.fromkeys(stored, PENDING)}
    return EntryDraft(entries.build(row.type, entry.mode, entry.properties, pending), found, removed)
