"""Tokens: what proves who acts. The registry keeps their digests alone.

A registry in a file needs none: who may open the file is known. One that many share has no other proof, so from its
first token on it believes no bare name any more.
"""

from __future__ import annotations

import hashlib
import secrets as random
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import access, audit, model
from registry.access import Role, Verb
from registry.audit import By
from registry.database import Database
from registry.errors import InvalidInput, NotFound

#: What every token begins with, so that scanners of repositories know one when they see it.
PREFIX = "hwt_"
#: Bytes of chance in a token.
_BYTES = 32
#: How long a token counts unless told otherwise.
LIFETIME = timedelta(days=365)


class Tokens:
    """The tokens of one registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, user: str, name: str, by: By, *, lifetime: timedelta | None = LIFETIME) -> str:
        """Make a token; this is the only time that it is told.

        Args:
            lifetime: None: it never expires.

        Raises:
            Forbidden: It is for somebody else, and whoever acts does not manage the tenant; or it is for an owner of
                the tenant, as whom none but another owner may act.
            InvalidInput: The user has a token of this name.
        """
        text = PREFIX + random.token_urlsafe(_BYTES)
        with self._database.write() as session:
            if user != by.actor:
                is_owner = Role.TENANT_OWNER in access.roles_here(session, user, None)
                access.require(session, by, Verb.MANAGE_OWNERS if is_owner else Verb.MANAGE_TENANT)
            if _find(session, user, name) is not None:
                advice = f"choose another --name, or revoke it first: headwater token revoke {user} {name}"
                raise InvalidInput(f"{user} has a token {name!r}", where="token", instruction=advice)
            expires_at = by.at + lifetime if lifetime is not None else None
            row = model.Token(
                user=user, name=name, digest=_digest(text), creator=by.actor, created_at=by.at, expires_at=expires_at
            )
            session.add(row)
            after = {"user": user, "name": name, "expires_at": expires_at.isoformat() if expires_at else None}
            audit.write(session, [by.record("create", f"token:{user}/{name}", version=None, before=None, after=after)])
        return text

    def list(self, by: By) -> Sequence[model.Token]:
        """Every token, or, for those who do not manage the tenant, their own."""
        wanted = select(model.Token).order_by(model.Token.user, model.Token.name)
        with self._database.read() as session:
            if not access.allowed(session, by, Verb.MANAGE_TENANT):
                wanted = wanted.where(model.Token.user == by.actor)
            return session.scalars(wanted).all()

    def revoke(self, user: str, name: str, by: By) -> None:
        """Let a token count no more.

        Raises:
            Forbidden: It is somebody else's, and whoever acts does not manage the tenant.
            NotFound: No such token.
            InvalidInput: It is the last that counts of a shared registry, which would believe bare names again.
        """
        with self._database.write() as session:
            if user != by.actor:
                access.require(session, by, Verb.MANAGE_TENANT)
            row = _find(session, user, name)
            if row is None:
                raise NotFound(f"{user} has no token {name!r}", where="token", instruction="headwater token list")
            if not self._database.is_local:
                _expect_another(session, row)
            row.name, row.revoked_at = f"{name} revoked {by.at:%Y-%m-%dT%H:%M:%S.%f}", by.at
            audit.write(session, [by.record("revoke", f"token:{user}/{name}", version=None, before=None, after=None)])

    def user_of(self, text: str) -> str:
        """Whose token this is.

        Raises:
            InvalidInput: It is nobody's, has expired or is revoked; the token is not repeated.
        """
        with self._database.read() as session:
            row = session.scalar(select(model.Token).where(model.Token.digest == _digest(text)))
        if row is None or row.revoked_at is not None:
            told = "the token is unknown" if row is None else f"the token was revoked on {row.revoked_at:%Y-%m-%d}"
        elif row.expires_at is not None and row.expires_at <= model.now():
            told = f"the token expired on {row.expires_at:%Y-%m-%d}"
        else:
            return row.user
        raise InvalidInput(told, where="HEADWATER_TOKEN", instruction="ask for one: headwater token create USER")

    def any(self) -> bool:
        """Whether there are tokens that are not revoked: where all have expired, no name is believed either."""
        with self._database.read() as session:
            wanted = select(model.Token.id).where(model.Token.revoked_at.is_(None)).limit(1)
            return session.scalar(wanted) is not None


def _find(session: Session, user: str, name: str) -> model.Token | None:
    here = (model.Token.user == user, model.Token.name == name, model.Token.revoked_at.is_(None))
    return session.scalar(select(model.Token).where(*here))


def _expect_another(session: Session, row: model.Token) -> None:
    """Without a token that counts anybody could act under any name, also under that of an owner."""
    counts = (model.Token.revoked_at.is_(None), model.Token.id != row.id)
    others = session.scalars(select(model.Token.expires_at).where(*counts)).all()
    if not any(end is None or end > model.now() for end in others):
        told = "it is the last token that counts; without one this registry would believe any name"
        raise InvalidInput(
            told, where="token", instruction=f"make another one first: headwater token create {row.user}"
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
