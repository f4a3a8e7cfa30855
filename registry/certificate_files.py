"""Certificates, keys, keystores and keytabs kept by the registry: entries refer to one as `certificate:ID` or
`certificate:NAME`, DataWorks' own documents by the bare id.

The content is encrypted with the keyring, together with the workspace and id that it belongs to: a row moved elsewhere
decrypts to a refusal. It is never shown again, unless it is nothing but certificates in PEM, which an export carries;
what can be told of it is its digest, its size, who refers to it, and of such certificates whom they are for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets as random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, cast, or_, select
from sqlalchemy.orm import Session

from registry import access, audit, keyring, model, workspaces
from registry.access import Verb
from registry.audit import By
from registry.changes import Action, Change
from registry.database import Database
from registry.errors import Conflict, InvalidInput, NotFound, SecretUnresolved
from registry.nearest import nearest

if TYPE_CHECKING:
    from registry.secrets import Secrets

SCHEME = "certificate:"
#: Bytes that a file may have.
LARGEST = 1 << 20

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,254}")
_ID = re.compile(r"[0-9a-f]{32}")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----(?:\r?\n|\Z)")
_CHUNK = 500

#: (workspace, id or name), as references say it.
Wanted = tuple[str, str]


@dataclass(frozen=True)
class Certificate:
    """What a certificate says of itself, in RFC 4514's notation."""

    subject: str
    issuer: str
    ends_at: datetime


@dataclass(frozen=True)
class FileFacts:
    """What may be told of a file.

    Attributes:
        path: `workspace/name`.
        size: Bytes.
        digest: SHA-256, hexadecimal.
        users: `workspace/source/env.field` of every entry that refers to it.
        certificates: Those in it, where it is PEM; of a single file asked for alone.
    """

    id: str
    path: str
    description: str
    size: int
    digest: str
    creator: str
    created_at: datetime
    users: tuple[str, ...]
    certificates: tuple[Certificate, ...] = ()


@dataclass(frozen=True)
class FileDraft:
    """A file as it shall be; None: as it is.

    Attributes:
        id: What entries may refer to it by; for a new one, None: any.
        content: None of a new one: it has to be given by `CertificateFiles.add`.
        digest: SHA-256 of a content that is not here.
    """

    name: str
    id: str | None = None
    description: str | None = None
    content: bytes | None = None
    digest: str | None = None


class CertificateFiles:
    """The files of one registry."""

    def __init__(self, database: Database, secrets_: Secrets) -> None:
        self._database = database
        self._secrets = secrets_

    def add(
        self, workspace: str, name: str, content: bytes, by: By, *, description: str = "", id_: str | None = None
    ) -> str:
        """Keep a file; gives its id.

        Args:
            id_: The one that it had in another registry; None: a new one.

        Raises:
            NotFound: No such workspace.
            Conflict: The workspace has a file of this name, or the registry one of this id.
            InvalidInput: A name, id or content that cannot be.
        """
        with self._database.write() as session:
            owner = workspaces.find(session, workspace)
            access.require(session, by, Verb.CREATE, owner)
            if _rows(session, owner, name):
                path = f"{workspace}/{name}"
                advice = f"headwater file replace {path} PATH, or use another name"
                raise Conflict(f"workspace {workspace} has a file {name}", where=path, instruction=advice)
            draft = FileDraft(name, id_, description, content)
            return _add(session, self._secrets, owner, draft, by).id

    def replace(self, workspace: str, named: str, content: bytes, by: By) -> None:
        """Put another content in place of a file's; its id and those who refer to it stay.

        Raises:
            NotFound, InvalidInput: As `add`.
        """
        _check_content(content)
        with self._database.write() as session:
            owner = workspaces.find(session, workspace)
            access.require(session, by, Verb.UPDATE, owner)
            row = _find(session, owner, named)
            before = {"size": row.size, "digest": row.digest}
            _fill(session, self._secrets, owner, row, content)
            after = {"size": row.size, "digest": row.digest}
            path = f"certificate_file:{workspace}/{row.name}"
            audit.write(session, [by.record("update", path, version=None, before=before, after=after)])

    def delete(self, workspace: str, named: str, by: By) -> None:
        """Delete a file that nothing refers to.

        Raises:
            NotFound: No such workspace or file.
            Conflict: Entries refer to it; they are named.
        """
        with self._database.write() as session:
            owner = workspaces.find(session, workspace)
            access.require(session, by, Verb.DELETE, owner)
            row = _find(session, owner, named)
            users = [*_users(session, owner).get(row.id, ()), *_users(session, owner).get(row.name, ())]
            path = f"{workspace}/{row.name}"
            if users:
                count = "1 field refers" if len(users) == 1 else f"{len(users)} fields refer"
                told = f"{count} to it: {', '.join(users[:5])}{', ...' if len(users) > 5 else ''}"
                raise Conflict(told, where=path, instruction="give them another file first: headwater edit")
            before = {"id": row.id, "size": row.size, "digest": row.digest}
            session.delete(row)
            audit.write(
                session, [by.record("delete", f"certificate_file:{path}", version=None, before=before, after=None)]
            )

    def list(self, workspace: str | None, by: By) -> list[FileFacts]:
        """The files of a workspace, or of all that may be looked at, by name."""
        with self._database.read() as session:
            if workspace is not None:
                owners = [workspaces.find(session, workspace)]
                access.require(session, by, Verb.LIST, owners[0])
            else:
                known = session.scalars(select(model.Workspace).order_by(model.Workspace.name))
                owners = [one for one in known if access.allowed(session, by, Verb.LIST, one)]
            return [facts for owner in owners for facts in _facts(session, owner)]

    def show(self, workspace: str, named: str, by: By) -> FileFacts:
        """One file, with the certificates in it.

        Raises:
            NotFound: No such workspace or file.
            SecretUnresolved: No key opens it.
        """
        ring = self._secrets.ring()
        with self._database.read() as session:
            owner = workspaces.find(session, workspace)
            access.require(session, by, Verb.GET, owner)
            row = _find(session, owner, named)
            content = opened(row, ring, workspace)
            (facts,) = (one for one in _facts(session, owner) if one.id == row.id)
            return FileFacts(**{**vars(facts), "certificates": certificates(content)})


# --- for files of the registry ----------------------------------------------------------------------------------------


def put(
    session: Session, secrets_: Secrets, owner: model.Workspace, wanted: FileDraft, by: By, *, seal: bool = True
) -> Change | None:
    """Keep a file, or bring it to what the draft says, in a transaction that holds the write lock.

    None: there is none of this name, and the draft has no content for it.

    Args:
        seal: False: encrypt nothing, because the transaction will be taken back.

    Raises:
        As `CertificateFiles.add` and `CertificateFiles.replace`.
    """
    object_ = f"certificate_file:{owner.name}/{wanted.name}"
    if wanted.content is not None and not is_public(wanted.content):
        advice = f"headwater file add {owner.name}/{wanted.name} PATH keeps it encrypted"
        told = "the content of a file stands in clear here, and it is more than certificates in PEM"
        raise InvalidInput(told, where=object_, instruction=advice)
    found = _rows(session, owner, wanted.name)
    if not found:
        if wanted.content is None:
            return None
        access.require(session, by, Verb.CREATE, owner)
        made = _add(session, secrets_, owner, wanted, by, seal)
        return Change(object_, Action.CREATE, audit.differences({}, _snapshot(made)))
    (row,) = found
    before = _snapshot(row)
    if wanted.content is not None and hashlib.sha256(wanted.content).hexdigest() != row.digest:
        _fill(session, secrets_, owner, row, wanted.content, seal)
    row.description = wanted.description if wanted.description is not None else row.description
    changed = audit.differences(before, _snapshot(row))
    if not changed:
        return Change(object_, Action.UNCHANGED)
    access.require(session, by, Verb.UPDATE, owner)
    old, new = audit.sides(changed)
    audit.write(session, [by.record("update", object_, version=None, before=old, after=new)])
    return Change(object_, Action.UPDATE, changed)


def differences(session: Session, owner: model.Workspace, wanted: FileDraft) -> Iterator[str]:
    """How a file is otherwise than the draft of it that was `put`, and what to type."""
    path = f"{owner.name}/{wanted.name}"
    for row in _rows(session, owner, wanted.name):
        if wanted.content is None and wanted.digest not in (None, row.digest):
            yield f"the file {path} has another content here: headwater file replace {path} PATH gives it that one"
        if wanted.id not in (None, row.id):
            told = f"the file {path} is not {wanted.id} here, but {row.id}"
            yield f"{told}: whoever refers to that id finds nothing; write certificate:{wanted.name}"


def of(session: Session, owner: model.Workspace) -> list[model.CertificateFile]:
    """The files of a workspace, by name."""
    here = model.CertificateFile.workspace_id == owner.id
    return [*session.scalars(select(model.CertificateFile).where(here).order_by(model.CertificateFile.name))]


def is_public(content: bytes) -> bool:
    """Whether a file is nothing but certificates in PEM: no key, and nothing that could hold one."""
    blocks = _CERTIFICATE.findall(content)
    return not _CERTIFICATE.sub(b"", content).strip() and 0 < len(blocks) == len(certificates(content))


def _snapshot(row: model.CertificateFile) -> dict[str, Any]:
    return {"description": row.description, "size": row.size, "digest": row.digest}


def _add(
    session: Session, secrets_: Secrets, owner: model.Workspace, wanted: FileDraft, by: By, seal: bool = True
) -> model.CertificateFile:
    _check_name(wanted.name)
    _check_content(wanted.content or b"")
    id_ = _new_id(session, wanted.id)
    row = model.CertificateFile(
        id=id_,
        workspace_id=owner.id,
        name=wanted.name,
        description=wanted.description or "",
        creator=by.actor,
        created_at=by.at,
    )
    _fill(session, secrets_, owner, row, wanted.content or b"", seal)
    session.add(row)
    after = {"id": row.id, "size": row.size, "digest": row.digest}
    path = f"certificate_file:{owner.name}/{wanted.name}"
    audit.write(session, [by.record("create", path, version=1, before=None, after=after)])
    return row


def _new_id(session: Session, wanted: str | None) -> str:
    if wanted is None:
        return random.token_hex(16)
    if not _ID.fullmatch(wanted):
        raise InvalidInput(f"{wanted[:60]!r} is no id of a file", where="id", instruction="an id is 32 hexadecimals")
    if session.get(model.CertificateFile, wanted) is not None:
        raise Conflict("the registry has a file of this id", where="id", instruction="leave the id out for a new one")
    return wanted


def _fill(
    session: Session,
    secrets_: Secrets,
    owner: model.Workspace,
    row: model.CertificateFile,
    content: bytes,
    seal: bool = True,
) -> None:
    row.size, row.digest = len(content), hashlib.sha256(content).hexdigest()
    row.key_id, row.ciphertext = "", b""
    if seal:
        ring = secrets_.ring_for_writing(session)
        sealed = {"bound": _bound(owner.name, row.id), "value": base64.b64encode(content).decode()}
        row.key_id, row.ciphertext = ring.current.id, ring.cipher.encrypt(json.dumps(sealed).encode())


# --- for those who resolve references --------------------------------------------------------------------------------


def load(session: Session, wanted: Collection[Wanted]) -> dict[Wanted, model.CertificateFile]:
    """The files that references name, as far as there are any."""
    keys = sorted({named for _, named in wanted})
    found: dict[Wanted, model.CertificateFile] = {}
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        rows = session.execute(
            select(model.Workspace.name, model.CertificateFile)
            .join(model.Workspace, model.Workspace.id == model.CertificateFile.workspace_id)
            .where(or_(model.CertificateFile.id.in_(chunk), model.CertificateFile.name.in_(chunk)))
        )
        for workspace, row in rows:
            found |= {(workspace, row.id): row, (workspace, row.name): row}
    return {key: found[key] for key in wanted if key in found}


def opened(
    row: model.CertificateFile | None, ring: keyring.Keyring | SecretUnresolved | None, workspace: str, named: str = ""
) -> bytes:
    """The content of a file.

    Raises:
        SecretUnresolved: There is no such file, or no key opens it.
    """
    from cryptography.fernet import InvalidToken

    if row is None:
        advice = f"headwater file add {named} PATH --workspace {workspace}"
        raise SecretUnresolved(f"workspace {workspace} has no certificate file {named}", instruction=advice)
    if not isinstance(ring, keyring.Keyring):
        raise ring or SecretUnresolved("the keyring was not loaded")
    again = f"headwater file replace {workspace}/{row.name} PATH"
    try:
        content = json.loads(ring.cipher.decrypt(row.ciphertext))
    except InvalidToken:
        reason = f"no key of {ring.path} decrypts the file: it was tampered with, or the keyring is another's"
        raise SecretUnresolved(reason, instruction=again) from None
    if content["bound"] != _bound(workspace, row.id):
        raise SecretUnresolved("the file was kept for another workspace or under another id", instruction=again)
    return base64.b64decode(content["value"])


def certificates(content: bytes) -> tuple[Certificate, ...]:
    """The certificates in a PEM file; none where it is something else."""
    from cryptography import x509

    if b"-----BEGIN CERTIFICATE-----" not in content:
        return ()
    try:
        found = x509.load_pem_x509_certificates(content)
        return tuple(
            Certificate(one.subject.rfc4514_string(), one.issuer.rfc4514_string(), one.not_valid_after_utc)
            for one in found
        )
    except ValueError:
        return ()


# --- what else there is ----------------------------------------------------------------------------------------------


def _bound(workspace: str, id_: str) -> list[str]:
    return ["certificate_file", workspace, id_]


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) and not _ID.fullmatch(name):
        return
    advice = "use letters, digits, _, - and ., at most 255 characters; for example: orders_ca"
    raise InvalidInput(f"{name[:60]!r} is no name of a file", where="name", instruction=advice)


def _check_content(content: bytes) -> None:
    if not content:
        raise InvalidInput("the file is empty", where="file")
    if len(content) > LARGEST:
        raise InvalidInput(f"the file has {len(content)} bytes, {LARGEST} are the most", where="file")


def _rows(session: Session, owner: model.Workspace, named: str) -> list[model.CertificateFile]:
    same = or_(model.CertificateFile.id == named, model.CertificateFile.name == named)
    wanted = select(model.CertificateFile).where(model.CertificateFile.workspace_id == owner.id, same)
    return [*session.scalars(wanted)]


def _find(session: Session, owner: model.Workspace, named: str) -> model.CertificateFile:
    found = _rows(session, owner, named)
    if not found:
        here = model.CertificateFile.workspace_id == owner.id
        known = [*session.scalars(select(model.CertificateFile.name).where(here))]
        near = nearest(named, known) or known[:5]
        advice = f"there is {', '.join(near)}" if near else f"headwater file add {named} PATH -w {owner.name}"
        raise NotFound(f"workspace {owner.name} has no file {named!r}", where="file", instruction=advice)
    return found[0]


def _facts(session: Session, owner: model.Workspace) -> Iterator[FileFacts]:
    users = _users(session, owner)
    for row in of(session, owner):
        yield FileFacts(
            row.id,
            f"{owner.name}/{row.name}",
            row.description,
            row.size,
            row.digest,
            row.creator,
            row.created_at,
            (*users.get(row.id, ()), *users.get(row.name, ())),
        )


def _users(session: Session, owner: model.Workspace) -> Mapping[str, list[str]]:
    """Id or name -> the fields that refer to it."""
    rows = session.execute(
        select(model.DataSource.name, model.Entry.env, model.Entry.references)
        .join(model.DataSource, model.DataSource.id == model.Entry.data_source_id)
        .where(model.DataSource.workspace_id == owner.id)
        .where(cast(model.Entry.references, Text).contains(f'"{SCHEME}'))
        .order_by(model.DataSource.name, model.Entry.env)
    )
    found: dict[str, list[str]] = {}
    for source, env, references in rows:
        for field, reference in references.items():
            if reference.startswith(SCHEME):
                named = reference.removeprefix(SCHEME)
                found.setdefault(named, []).append(f"{owner.name}/{source}/{env}.{field}")
    return found
