"""Vertica: PostgreSQL's protocol 3 with a version, password digests and SQLSTATEs of its own.

Source: "Vertica: SQL State List", and the messages as Vertica's own open client (vertica-python) sends them.
"""

from __future__ import annotations

import hashlib
import struct

from tasks import sql_names
from tasks.evidence import Recorder, StageFailed
from tasks.protocols import Answer, Protocol
from tasks.protocols.postgresql.session import PostgresqlSession
from tasks.protocols.postgresql.wire import ServerError, quoted

_PROTOCOL_3_5 = 3 << 16 | 5
#: The password must be changed first; it will have to be soon; a digest of it, in the way that the server keeps it.
_CHANGE_PASSWORD, _GRACE = 9, 11
_HASH, _HASH_MD5, _HASH_SHA512 = 65536, 65536 + 5, 65536 + 512
_MD5 = 5

_TABLES = "SELECT table_schema, table_name FROM v_catalog.tables WHERE NOT is_system_table LIMIT 20"
_SUPERUSER = "SELECT is_super_user FROM v_catalog.users WHERE user_name = CURRENT_USER()"


class VerticaSession(PostgresqlSession):
    """One conversation with one Vertica node."""

    def _startup(self) -> bytes:
        words = {
            "user": str(self.access.setting("username", "")),
            "database": str(self.access.setting("database", "")),
            "client_type": "headwater",
            "client_label": "headwater",
        }
        body = b"".join(f"{key}\0{value}\0".encode() for key, value in words.items() if value) + b"\0"
        return struct.pack("!II", len(body) + 8, _PROTOCOL_3_5) + body

    async def _authenticate(self, code: int, body: bytes, recorder: Recorder) -> None:
        if code == _CHANGE_PASSWORD:
            raise StageFailed(password_expired=True)
        if code == _GRACE:
            recorder.warn(renewal="the server asks for a new password soon")
        elif code in (_HASH, _HASH_SHA512):
            recorder.see(method="sha512")
            length = int.from_bytes(body[4:8])
            proof = _digest("sha512", self._password(), body[8 : 8 + length], body[:4])
            await self._send(b"p", b"sha512" + proof + b"\0")
        elif code in (_MD5, _HASH_MD5):
            recorder.see(method="md5")
            user = str(self.access.setting("username", "")).encode()
            await self._send(b"p", b"md5" + _digest("md5", self._password(), user, body[:4]) + b"\0")
        else:
            await super()._authenticate(code, body, recorder)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for name in objects:
            try:
                await self._read_one(quoted(name))
            except ServerError as error:
                raise StageFailed(**error.evidence(), object=name) from None
        if objects:
            recorder.see(objects=list(objects))
            return
        # The catalogue lists what an account may use in some way; reading is tried.
        tables = await self._listed()
        for schema, table in tables:
            try:
                await self._read_one(".".join(_identifier(str(part)) for part in (schema, table)))
            except ServerError:
                continue
            recorder.see(read=f"{schema}.{table}")
            return
        if tables or not await self._is_superuser():
            raise StageFailed(nothing_readable=True, object=f"any table of {self.access.setting('database', '')}")
        recorder.warn(nothing_to_read="the database has no tables yet")

    async def _read_one(self, table: str) -> None:
        await self.query(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - quoted by the caller

    async def _listed(self) -> list[list[str | None]]:
        try:
            return await self.query(_TABLES)
        except ServerError as error:
            raise StageFailed(**error.evidence(), object="v_catalog.tables") from None

    async def _is_superuser(self) -> bool:
        try:
            rows = await self.query(_SUPERUSER)
        except ServerError:
            return False
        return bool(rows) and rows[0][0] == "t"


def _digest(algorithm: str, password: str, *salts: bytes) -> bytes:
    """The password, hashed with one salt after the other; in hexadecimal each time."""
    found = password.encode()
    for salt in salts:
        found = hashlib.new(algorithm, found + salt, usedforsecurity=False).hexdigest().encode()
    return found


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


ANSWERS = (
    Answer("PROTO.MISMATCH", {"not_tls": True}, stage="tls"),
    Answer(
        "AUTH.EXPIRED_OR_LOCKED",
        {"password_expired": True},
        message="The password of {username} on {address}:{port} has expired: the server asks for a new one.",
        remedy="ALTER USER {username_sql} IDENTIFIED BY a new password, and store it in {source}/{env}.",
    ),
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"no_password": True},
        message="{address}:{port} asks {username} for a password, and {source}/{env} has none.",
        remedy="Set password for {source}/{env}.",
    ),
    Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}),
    # One state for a wrong password, an unknown or locked user, and an address without an authentication record.
    Answer(
        "AUTH.BAD_CREDENTIALS",
        {"sqlstate_class": "28"},
        message="{address}:{port} does not accept {username} from {source_address}: the password is wrong, the user "
        "unknown or locked, or no authentication record covers this address; the server does not say which.",
        remedy="Correct the user name or the password of {source}/{env}; else let the DBA look at v_catalog.users "
        "(is_locked) and v_catalog.client_auth.",
    ),
    Answer("TARGET.MISSING", {"sqlstate": "3D000"}),
    Answer("CAPACITY.CONNECTIONS", {"sqlstate": "53300"}),
    Answer("SERVER.NOT_READY", {"sqlstate": frozenset({"57V01", "57V03", "57P03", "57P01", "08V01"})}),
    Answer(
        "TARGET.OBJECT_MISSING",
        {"sqlstate": frozenset({"42V01", "3F000", "42P01"})},
        stage="privilege",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"sqlstate": "42501"},
        stage="privilege",
        remedy="GRANT SELECT ON {object} TO {username_sql}; and USAGE on its schema.",
    ),
    Answer(
        "PRIV.OBJECT_DENIED",
        {"nothing_readable": True},
        message="{username} is logged in to {database}, but may not read a single table in it.",
        remedy="GRANT USAGE ON SCHEMA and SELECT ON the tables that are needed TO {username_sql};",
    ),
)

PROTOCOL = Protocol(
    name="vertica",
    title="Vertica",
    session=VerticaSession,
    answers=ANSWERS,
    fingerprint="PostgreSQL",
    written=sql_names.quoted,
)
