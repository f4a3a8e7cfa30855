"""Where the values of secrets come from, and how the registry keeps those that it is given.

A stored secret is encrypted together with what it is bound to: its entry and field, and the hosts, ports and TLS
setting of the connection. A row moved to another entry, or an entry turned to another host behind the registry's back,
decrypts to a refusal. That is asked of stored secrets alone: a reference (`env:`, `file:`, ...) stands in the same text
as the host, written by the same hand, and whoever may change one may change the other.
"""

from __future__ import annotations

import base64
import json
import os
import secrets as random
import stat
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from registry import access, audit, certificate_files, keyring, model
from registry.access import Verb
from registry.connection import Connection
from registry.database import Database
from registry.errors import RegistryUnavailable, SecretUnresolved

#: A file that holds a secret is small; a larger one is the wrong file. In bytes.
MAX_FILE = 1 << 20
#: Ids in one `IN (...)`.
_CHUNK = 500

Resolver = Callable[[str], str]
Resolved = dict[str, SecretStr]


class Bearer(Protocol):
    """An entry whose secrets are wanted."""

    @property
    def path(self) -> str:
        """`workspace/source/env`."""
        ...

    @property
    def connection(self) -> Connection | None: ...


def binding(connection: Connection) -> str:
    """What a stored secret is bound to: hosts and ports, or the instance, and TLS setting, in one canonical text."""
    tls = connection.tls()
    trust = "stored" if (tls.ca or "").startswith("stored:") else tls.ca
    addresses = sorted(f"{endpoint.host.lower()} {endpoint.port}" for endpoint in connection.endpoints())
    place = connection.place()
    return json.dumps([addresses, tls.mode, trust, *([place] if place else [])])


# --- references -----------------------------------------------------------------------------------------------------


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SecretUnresolved(f"the environment variable {name} is not set", instruction=f"export {name}=...")
    if not value:
        raise SecretUnresolved(f"the environment variable {name} is empty", instruction=f"export {name}=...")
    return value


def _from_file(path: str) -> str:
    try:
        value = _bytes_of_file(path).decode()
    except UnicodeDecodeError:
        raise SecretUnresolved(f"the file {path} is no text (UTF-8)") from None
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise SecretUnresolved(f"the file {path} is empty")
    return value


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in data


def _of_file(data: bytes) -> SecretStr:
    """Text as it is; anything else as a data URI in base64 (RFC 2397)."""
    return SecretStr(data.decode() if _is_text(data) else "data:;base64," + base64.b64encode(data).decode())


def _bytes_of_file(path: str) -> bytes:
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device could keep the reader for ever
            raise SecretUnresolved(f"{path} is no regular file")
        if status.st_size > MAX_FILE:
            raise SecretUnresolved(f"the file {path} is larger than {MAX_FILE} bytes: it holds no secret")
        return Path(path).read_bytes()
    except OSError as error:
        raise SecretUnresolved(f"the file {path} cannot be read: {error.strerror}") from error


_RESOLVERS: dict[str, Resolver] = {"env": _from_environment, "file": _from_file}


def register_resolver(scheme: str, resolver: Resolver) -> None:
    """Teach the registry a scheme that needs more than this machine.

    Args:
        scheme: `prefect`, `vault`.
        resolver: Takes what follows the colon and gives the value, or raises `SecretUnresolved`.
    """
    _RESOLVERS[scheme] = resolver


def resolve_reference(reference: str, *, binary: bool = False) -> SecretStr:
    """The value behind `env:`, `file:` or a registered scheme.

    Args:
        binary: A file may hold something else than text; it then comes as a data URI in base64 (RFC 2397).

    Raises:
        SecretUnresolved: It resolves to nothing; says why, never what.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == "file" and binary:
        data = _bytes_of_file(rest)
        if not _is_text(data):
            return _of_file(data)
    resolver = _RESOLVERS.get(scheme)
    if resolver is None:
        known = ", ".join(f"{name}:" for name in _RESOLVERS)
        raise SecretUnresolved(f"{scheme}: references can't be resolved here", instruction=f"use one of {known}")
    return SecretStr(resolver(rest))


def resolve_field(connection: Connection, field: str, reference: str) -> SecretStr:
    """The value of one field of a connection; of a field that is a file, whatever the file holds.

    Raises:
        SecretUnresolved: As `resolve_reference`.
    """
    return resolve_reference(reference, binary=connection.sensitive_fields().get(field) == "file")


# --- stored secrets -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sealing:
    """A literal on its way into the database."""

    entry_id: int
    path: str
    field: str
    binding: str
    value: SecretStr
    id: str

    @property
    def reference(self) -> str:
        return f"stored:{self.id}"


def new_id() -> str:
    """The id of a secret to be: 32 hexadecimal digits."""
    return random.token_hex(16)


@dataclass(frozen=True)
class Rotation:
    """What `rotate` did.

    Attributes:
        rotated: Secrets that were encrypted again.
        unreadable: `workspace/source/env.field` of secrets that no key decrypts; they need to be set anew. While there
            are any, the keys before are kept.
    """

    rotated: int
    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class _Kept:
    """What the registry keeps encrypted for some entries, and the keys to it."""

    secrets: Mapping[str, model.Secret]
    files: Mapping[certificate_files.Wanted, model.CertificateFile]
    ring: keyring.Keyring | SecretUnresolved | None

    def keys(self) -> set[str]:
        """The ids of the keys that it is under."""
        return {row.key_id for row in self.secrets.values()} | {row.key_id for row in self.files.values()}


def _resolve_one(bearer: Bearer, kept: _Kept) -> Resolved | SecretUnresolved:
    connection, found = bearer.connection, Resolved()
    if connection is None:
        return found
    for field, reference in connection.secret_references().items():
        scheme, _, rest = reference.partition(":")
        try:
            if scheme == "stored":
                found[field] = _open(kept.secrets.get(rest), kept.ring, [bearer.path, field, binding(connection)])
            elif scheme == "certificate":
                workspace = bearer.path.partition("/")[0]
                content = certificate_files.opened(kept.files.get((workspace, rest)), kept.ring, workspace, rest)
                found[field] = _of_file(content)
            else:
                found[field] = resolve_field(connection, field, reference)
        except SecretUnresolved as error:
            where = f"{bearer.path}.{field}"
            return SecretUnresolved(error.reason, where=where, instruction=error.instruction)
    return found


class Secrets:
    """The secrets of one registry."""

    def __init__(self, database: Database, path: Path) -> None:
        self._database = database
        self.keyring_path = path

    def seal(self, session: Session, items: Sequence[Sealing], by: audit.By) -> None:
        """Encrypt literals and keep them, in a transaction that holds the write lock.

        Raises:
            RegistryUnavailable: The keyring is gone while secrets exist that were encrypted with it.
        """
        if not items:
            return
        ring = self.ring_for_writing(session)
        rows = [
            {
                "id": item.id,
                "entry_id": item.entry_id,
                "field": item.field,
                "key_id": ring.current.id,
                "ciphertext": ring.cipher.encrypt(_pack(item)),
                "created_at": by.at,
            }
            for item in items
        ]
        session.execute(insert(model.Secret), rows)

    def resolve(self, bearers: Sequence[Bearer]) -> list[Resolved | SecretUnresolved]:
        """Every secret of many entries; a failure is a value in its place, so that one bad entry spoils no other."""
        kept = self._fetch(bearers)
        known: dict[str, Resolved | SecretUnresolved] = {}
        for bearer in bearers:
            if bearer.path not in known:
                known[bearer.path] = _resolve_one(bearer, kept)
        return [known[bearer.path] for bearer in bearers]

    def _fetch(self, bearers: Iterable[Bearer]) -> _Kept:
        ids, files = set[str](), set[certificate_files.Wanted]()
        for bearer in bearers:
            for text in bearer.connection.secret_references().values() if bearer.connection else ():
                scheme, _, rest = text.partition(":")
                if scheme == "stored":
                    ids.add(rest)
                elif scheme == "certificate":
                    files.add((bearer.path.partition("/")[0], rest))
        if not ids and not files:
            return _Kept({}, {}, None)
        while True:
            kept = self._load(ids, files)
            ring = self.ring()
            # A rotation may have ended between the two; then rows and keys don't fit, and both are read again.
            strange = isinstance(ring, keyring.Keyring) and not kept.keys() <= {key.id for key in ring.keys}
            if not strange or self._load(ids, files).keys() == kept.keys():
                return replace(kept, ring=ring)

    def _load(self, ids: Collection[str], files: Collection[certificate_files.Wanted]) -> _Kept:
        with self._database.read() as session:
            return _Kept(_load(session, sorted(ids)), certificate_files.load(session, files), None)

    def unchanged(self, session: Session, known: Sequence[Sealing]) -> set[str]:
        """Which of these stored secrets hold exactly this value, bound to exactly this: their ids."""
        rows = _load(session, [item.id for item in known])
        ring = self.ring() if rows else None
        same = set()
        for item in known:
            try:
                value = _open(rows.get(item.id), ring, [item.path, item.field, item.binding])
            except SecretUnresolved:
                continue
            if value.get_secret_value() == item.value.get_secret_value():
                same.add(item.id)
        return same

    def ring(self) -> keyring.Keyring | SecretUnresolved:
        """The keys that open what is kept; a failure is a value."""
        try:
            return keyring.load(self.keyring_path)
        except RegistryUnavailable as error:
            return SecretUnresolved(error.reason, instruction=error.instruction)

    def ring_for_writing(self, session: Session) -> keyring.Keyring:
        """The keys to encrypt with, in a transaction that holds the write lock; the first use makes them.

        Raises:
            RegistryUnavailable: The keyring is gone while something is encrypted with it.
        """
        if not self.keyring_path.exists() and not _count(session):
            return keyring.create(self.keyring_path)
        return keyring.load(self.keyring_path)

    def rotate(
        self, by: audit.By, *, batch: int = 500, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Rotation:
        """Encrypt every stored secret under a new key, in batches; may be killed at any moment and called again.

        Those of deleted entries and uploaded files too: what is restored must open. The new key is in the keyring
        before the first secret is under it, and the old key leaves the keyring only when no secret is under it. A
        keyring with more than one key is a rotation that was cut short: it is finished first.

        Args:
            progress: Called with (secrets done, secrets in all) after each batch.

        Raises:
            Forbidden: Whoever acts does not manage the tenant.
        """
        with self._database.write() as session:
            access.require(session, by, Verb.MANAGE_TENANT)
            ring = self.ring_for_writing(session)
            if len(ring.keys) == 1:
                ring = ring.with_new_key()
                ring.save()
            total = _count(session, ring)
        rotated, unreadable = 0, dict[str, str]()
        while True:
            with self._database.write() as session:
                done = self._rotate_batch(session, ring, batch, unreadable)
                rotated += done
                if not done:
                    return self._finish_rotation(session, ring, by, Rotation(rotated, tuple(unreadable.values())))
            progress(rotated, total)

    def _rotate_batch(self, session: Session, ring: keyring.Keyring, batch: int, unreadable: dict[str, str]) -> int:
        done = 0
        for table in _SEALED:
            if done < batch:
                done += self._rotate_rows(session, table, ring, batch - done, unreadable)
        return done

    def _rotate_rows(
        self, session: Session, table: _Sealed, ring: keyring.Keyring, most: int, unreadable: dict[str, str]
    ) -> int:
        from cryptography.fernet import InvalidToken

        rows = []
        wanted = select(table.id, table.ciphertext).where(table.key_id != ring.current.id)
        for id_, sealed in session.execute(wanted.limit(most + len(unreadable))).all():
            try:
                ciphertext = ring.cipher.rotate(sealed)
            except InvalidToken:
                unreadable[id_] = _owner(session, table, id_)
                continue
            rows.append({"id": id_, "key_id": ring.current.id, "ciphertext": ciphertext})
        if rows:
            session.execute(update(table), rows)
        return len(rows)

    def _finish_rotation(self, session: Session, ring: keyring.Keyring, by: audit.By, done: Rotation) -> Rotation:
        if not _count(session, ring):
            ring.with_current_only().save()
        after = {"key": ring.current.id, "rotated": done.rotated, "unreadable": list(done.unreadable)}
        audit.write(session, [by.record("rotate", "keyring", version=None, before=None, after=after)])
        return done


def _load(session: Session, ids: Sequence[str]) -> dict[str, model.Secret]:
    rows: dict[str, model.Secret] = {}
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        rows |= {row.id: row for row in session.scalars(select(model.Secret).where(model.Secret.id.in_(chunk)))}
    return rows


def forget(session: Session, ids: Sequence[str]) -> None:
    """Delete stored secrets that no entry refers to any more."""
    if ids:
        session.execute(delete(model.Secret).where(model.Secret.id.in_(ids)))


#: Everything that is encrypted with the keyring.
_Sealed = type[model.Secret] | type[model.BuriedSecret] | type[model.CertificateFile]
_SEALED: tuple[_Sealed, ...] = (model.Secret, model.BuriedSecret, model.CertificateFile)


def _count(session: Session, stale: keyring.Keyring | None = None) -> int:
    """How much is encrypted; of a keyring: how much is under another key than its current one."""
    counts = (select(func.count()).select_from(table) for table in _SEALED)
    if stale is not None:
        counts = (select(func.count()).select_from(table).where(table.key_id != stale.current.id) for table in _SEALED)
    return sum(session.scalar(count) or 0 for count in counts)


def _owner(session: Session, table: _Sealed, id_: str) -> str:
    """Whose it is, for people."""
    if table is model.Secret:
        row = session.execute(
            select(model.Workspace.name, model.DataSource.name, model.Entry.env, model.Secret.field)
            .join(model.DataSource, model.DataSource.workspace_id == model.Workspace.id)
            .join(model.Entry, model.Entry.data_source_id == model.DataSource.id)
            .join(model.Secret, model.Secret.entry_id == model.Entry.id)
            .where(model.Secret.id == id_)
        ).one()
        return "/".join(row[:3]) + f".{row[3]}"
    if table is model.BuriedSecret:
        buried = session.execute(
            select(model.Workspace.name, model.Tombstone.name, model.BuriedSecret.env, model.BuriedSecret.field)
            .join(model.Tombstone, model.Tombstone.workspace_id == model.Workspace.id)
            .join(model.BuriedSecret, model.BuriedSecret.tombstone_id == model.Tombstone.id)
            .where(model.BuriedSecret.id == id_)
        ).one()
        return "/".join(buried[:3]) + f".{buried[3]} (deleted)"
    file = session.execute(
        select(model.Workspace.name, model.CertificateFile.name)
        .join(model.CertificateFile, model.CertificateFile.workspace_id == model.Workspace.id)
        .where(model.CertificateFile.id == id_)
    ).one()
    return f"certificate file {'/'.join(file)}"


def _pack(item: Sealing) -> bytes:
    bound = [item.path, item.field, item.binding]
    return json.dumps({"id": item.id, "bound": bound, "value": item.value.get_secret_value()}).encode()


def _open(row: model.Secret | None, ring: keyring.Keyring | SecretUnresolved | None, bound: list[str]) -> SecretStr:
    from cryptography.fernet import InvalidToken

    again = "set the secret again"
    if row is None:
        raise SecretUnresolved("the registry holds no such stored secret", instruction=again)
    if not isinstance(ring, keyring.Keyring):
        raise ring or SecretUnresolved("the keyring was not loaded")
    try:
        content = json.loads(ring.cipher.decrypt(row.ciphertext))
    except InvalidToken:
        reason = f"no key of {ring.path} decrypts the stored secret: it was tampered with, or the keyring is another's"
        raise SecretUnresolved(reason, instruction=again) from None
    if content["id"] != row.id or content["bound"] != bound:
        raise SecretUnresolved(
            "the stored secret was kept for another entry, host, port or TLS setting", instruction=again
        )
    return SecretStr(content["value"])
