"""PostgreSQL's frontend/backend protocol 3.0, and everything that speaks it.

The handshake is our own, because libpq hides the SQLSTATE and the server's routine when connecting fails, and because
it works over any stream. Source of the message formats: PostgreSQL documentation, chapter "Frontend/Backend Protocol";
of the codes: appendix "PostgreSQL Error Codes".
"""

from __future__ import annotations

import hashlib
import re
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from registry.verdict import INCONCLUSIVE
from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Access, Answer, Dial, Outcome, Protocol, Retry, Session
from tasks.streams import Reader, Stream, StreamBroken, printable
from tasks.tls import asks_for_certificate, start_tls

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_PROTOCOL_3 = 196608
#: The longest message that a handshake has reason to send; a longer length means another protocol.
_LONGEST_MESSAGE = 1 << 24

_OK, _CLEARTEXT, _MD5, _GSS, _SSPI, _SASL = 0, 3, 5, 7, 9, 10
_METHODS = {2: "Kerberos 5", 6: "SCM credentials", _GSS: "GSSAPI", _SSPI: "SSPI"}

#: One round trip that tells whether anything can be read, and what else a good check wants to know.
FACTS = """
SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
               AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
       EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
               AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
               AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
               AND (pg_catalog.has_table_privilege(c.oid, 'SELECT')
                    OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT'))),
       pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('transaction_read_only'),
       pg_catalog.current_setting('max_connections'),
       (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datid IS NOT NULL),
       (SELECT CASE WHEN isfinite(rolvaliduntil) THEN extract(epoch FROM rolvaliduntil) END
        FROM pg_catalog.pg_roles WHERE rolname = current_user),
       extract(epoch FROM pg_catalog.clock_timestamp()),
       pg_catalog.host(pg_catalog.inet_client_addr())
"""
#: For servers that speak the protocol without PostgreSQL's whole catalogue.
_PLAIN_FACTS = (
    "SELECT count(*) FROM information_schema.tables "
    "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_schema NOT LIKE 'pg_toast%'"
)


class ServerError(Exception):
    """An ErrorResponse. `fields` has the one-letter keys of the protocol."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__()
        self.fields = fields

    def evidence(self) -> dict[str, Any]:
        """Codes first; the server's words are for people only."""
        code, routine = self.fields.get("C"), self.fields.get("R")
        return {
            "sqlstate": code,
            "sqlstate_class": (code or "")[:2],
            "routine": routine,
            "server_line": self.fields.get("L"),
            "server_message": self.fields.get("M"),
            "server_said": f"SQLSTATE {code}",
        }


@dataclass(frozen=True)
class _Message:
    kind: bytes
    body: bytes


class PostgresqlSession(Session):
    """One conversation with one PostgreSQL server."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.reader = Reader(stream)
        self.parameters: dict[str, str] = {}
        self._request: _Message | ServerError | None = None
        self._offers_tls = False
        self._password_proved = False

    # -- stages -------------------------------------------------------------------------------------------------------

    async def greet(self, recorder: Recorder) -> None:
        if self.access.tls.wanted and not self.access.address.startswith("/"):
            await self.stream.send(_SSL_REQUEST)
            answer = (await self.reader.peek(16))[:1]
            recorder.see(ssl_request=printable(answer))
            if answer not in (b"S", b"N"):
                # 'E' comes from servers that know no SSLRequest, and from a server that has no process left for us.
                if answer == b"E":
                    self._request = await self._startup_answer(recorder)
                    return
                raise await self._not_postgresql()
            await self.reader.exactly(1)
            if self.reader.buffer:
                # More bytes than the answer: somebody in the middle stuffs the buffer (CVE-2021-23222).
                raise await self._not_postgresql()
            self._offers_tls = answer == b"S"
            return
        await self.stream.send(self._startup())
        self._request = await self._startup_answer(recorder)

    async def tls(self, recorder: Recorder) -> None:
        tls = self.access.tls
        if not tls.wanted or self.access.address.startswith("/"):
            raise StageSkipped("TLS is not configured")
        if not self._offers_tls:
            if tls.demanded and self._request is None:
                raise StageFailed(tls_refused=True)
            raise StageSkipped("the server does not offer TLS, and it was only preferred")
        self.stream, facts = await start_tls(self.stream, tls, self.access.host)
        self.reader = Reader(self.stream)
        recorder.see(**facts)

    async def admit(self, recorder: Recorder) -> None:
        if self._request is None:
            await self.stream.send(self._startup())
            self._request = await self._startup_answer(recorder)
        recorder.see(over_tls=self._over_tls)
        if isinstance(self._request, ServerError):
            raise StageFailed(**self._request.evidence(), over_tls=self._over_tls)

    async def login(self, recorder: Recorder) -> None:
        message = self._request
        while isinstance(message, _Message) and message.kind == b"R":
            (code,) = struct.unpack_from("!I", message.body)
            if code == _OK:
                recorder.see(authenticated=True)
                self._password_proved = "method" in recorder.evidence
                return
            await self._authenticate(code, message.body[4:], recorder)
            message = await self._next(recorder)

    async def _authenticate(self, code: int, body: bytes, recorder: Recorder) -> None:
        if code == _CLEARTEXT:
            recorder.see(method="password")
            await self._send(b"p", self._password().encode() + b"\0")
        elif code == _MD5:
            recorder.see(method="md5")
            user = str(self.access.setting("username", ""))
            # PostgreSQL's own scheme; nothing here relies on MD5's strength.
            inner = hashlib.md5((self._password() + user).encode(), usedforsecurity=False).hexdigest()
            outer = hashlib.md5(inner.encode() + body[:4], usedforsecurity=False).hexdigest()
            await self._send(b"p", f"md5{outer}".encode() + b"\0")
        elif code == _SASL:
            await self._scram(body, recorder)
        else:
            raise StageFailed(method=_METHODS.get(code, f"method {code}"), unsupported=True)

    async def _scram(self, body: bytes, recorder: Recorder) -> None:
        from scramp import ScramClient, ScramException

        offered = [word.decode() for word in body.split(b"\0") if word]
        recorder.see(method="SASL", mechanisms=offered)
        usable = [word for word in offered if word == "SCRAM-SHA-256"]
        if not usable:
            raise StageFailed(method=", ".join(offered), unsupported=True)
        # The user name of the startup message counts; SCRAM's own is ignored by the server.
        client = ScramClient(usable, str(self.access.setting("username", "")), self._password())
        first = client.get_client_first().encode()
        await self._send(b"p", client.mechanism_name.encode() + b"\0" + struct.pack("!I", len(first)) + first)
        try:
            client.set_server_first(_sasl(await self._next(recorder), 11))
            await self._send(b"p", client.get_client_final().encode())
            client.set_server_final(_sasl(await self._next(recorder), 12))
        except ScramException:
            raise StageFailed(server_proof="wrong", server_said="a SCRAM proof that does not fit") from None
        self._password_proved = True

    def _password(self) -> str:
        password = self.access.secret("password")
        if password is None:
            raise StageFailed(no_password=True)
        return password

    async def target(self, recorder: Recorder) -> None:
        while True:
            message = await self._message()
            if message.kind == b"E":
                raise StageFailed(**_error(message.body).evidence(), password_proved=self._password_proved)
            if message.kind == b"S":
                name, value = message.body.split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode(errors="replace")
            if message.kind == b"Z":
                break
        version = self.parameters.get("server_version")
        recorder.see(server_version=version, database=self.access.setting("database"))

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for name in objects:
            await self._read(name)
        if objects:
            recorder.see(objects=list(objects))
        await self._facts(recorder, demand_something=not objects)

    async def close(self) -> None:
        try:
            if self.parameters:
                await self._send(b"X", b"")
        except Exception:  # noqa: S110 - a goodbye is never worth an error
            pass
        self.stream.close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """A refused client asks again the other way, with or without TLS: that parts an allowlist from a demand.

        The server words a missing entry and a missing client certificate with one code and one routine. The line of
        its source parts them: without TLS nobody is asked for a certificate, so a refusal from the same line is none.
        """
        if stage != "admit" or evidence.get("sqlstate_class") != "28":
            return {}
        over_tls, access = bool(evidence.get("over_tls")), self.access
        discreet = over_tls and access.tls.demanded
        if discreet:
            # Names that TLS was to hide stay hidden.
            access = replace(access, connection=access.connection.model_copy(update=_NOBODY))
        other = replace(access.tls, mode="disable" if over_tls else "require")
        outcome = await retry(access.over(other), until="admit")
        way = _way(outcome)
        found: dict[str, Any] = {} if discreet else {"other_way": way}
        same_line = way == "refused" and outcome.evidence.get("server_line") == evidence.get("server_line")
        if (over_tls or way == "refused") and not same_line and access.tls.certificate is None:
            found["certificate_asked"] = await self._certificate_asked()
        return found

    async def _certificate_asked(self) -> bool:
        """Whether the server asks clients for a certificate, as far as can be seen."""
        stream = await self.dial()
        try:
            await stream.send(_SSL_REQUEST)
            offered = await Reader(stream).exactly(1) == b"S"
            return offered and await asks_for_certificate(stream, self.access.host) is not False
        except StreamBroken:
            return True
        finally:
            stream.close()

    # -- messages -----------------------------------------------------------------------------------------------------

    @property
    def _over_tls(self) -> bool:
        return self._offers_tls

    def _startup(self) -> bytes:
        words = {
            "user": str(self.access.setting("username", "")),
            "database": str(self.access.setting("database", "")),
            "application_name": "headwater",
            "client_encoding": "UTF8",
        }
        body = b"".join(f"{key}\0{value}\0".encode() for key, value in words.items() if value) + b"\0"
        return struct.pack("!II", len(body) + 8, _PROTOCOL_3) + body

    async def _startup_answer(self, recorder: Recorder) -> _Message | ServerError:
        """The answer to the startup message, which carries no credentials."""
        first = await self.reader.peek(16)
        if first[:1] not in (b"R", b"E", b"v", b"N"):
            raise await self._not_postgresql()
        try:
            return await self._next(recorder)
        except StageFailed as failure:
            if "sqlstate" not in failure.evidence:
                raise
            return ServerError(
                {
                    "C": failure.evidence["sqlstate"] or "",
                    "R": failure.evidence["routine"] or "",
                    "L": failure.evidence["server_line"] or "",
                    "M": failure.evidence["server_message"] or "",
                }
            )

    async def _next(self, recorder: Recorder) -> _Message:
        """The next message that is no notice. Raises `StageFailed` with the codes of an ErrorResponse."""
        while True:
            message = await self._message()
            if message.kind == b"E":
                raise StageFailed(**_error(message.body).evidence(), password_proved=self._password_proved)
            if message.kind not in (b"N", b"v"):
                return message

    async def _message(self) -> _Message:
        header = await self.reader.exactly(5)
        (length,) = struct.unpack_from("!I", header, 1)
        if not 4 <= length <= _LONGEST_MESSAGE:
            raise StageFailed(not_protocol=True, first_bytes=printable(header), looks_like=identify(header))
        return _Message(header[:1], await self.reader.exactly(length - 4))

    async def _send(self, kind: bytes, body: bytes) -> None:
        await self.stream.send(kind + struct.pack("!I", len(body) + 4) + body)

    async def _not_postgresql(self) -> StageFailed:
        first = await self.reader.peek(64)
        return StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=identify(first))

    async def query(self, sql: str) -> list[list[str | None]]:
        """The rows of one statement, as text. Raises `ServerError`; the session can go on after it."""
        await self._send(b"Q", sql.encode() + b"\0")
        rows: list[list[str | None]] = []
        failure: ServerError | None = None
        while True:
            message = await self._message()
            if message.kind == b"D":
                rows.append(_columns(message.body))
            elif message.kind == b"E":
                failure = _error(message.body)
            elif message.kind == b"Z":
                break
        if failure is not None:
            raise failure
        return rows

    async def _read(self, name: str) -> None:
        try:
            await self.query(f"SELECT 1 FROM {quoted(name)} LIMIT 1")  # noqa: S608 - quoted right here
        except ServerError as error:
            raise StageFailed(**error.evidence(), object=name) from None

    async def _facts(self, recorder: Recorder, *, demand_something: bool) -> None:
        try:
            (row,) = await self.query(FACTS)
        except ServerError:
            ((count,),) = await self._plain_facts()
            readable_tables = int(count or 0)
            recorder.see(tables_readable=readable_tables)
            if demand_something and not readable_tables:
                recorder.warn(nothing_to_read="the database shows no tables to this account")
            return
        there, readable, replica, read_only, limit, used, until, clock, source = row
        recorder.see(
            connections_used=int(used or 0),
            connections_limit=int(limit or 0),
            account_valid_until=_iso(until),
            clock_skew_s=round(float(clock or 0) - time.time(), 3),
            source_address_seen_by_server=source,
            replica=replica == "t",
        )
        if demand_something and there == "t" and readable != "t":
            raise StageFailed(nothing_readable=True, object=f"any table of {self.access.setting('database', '')}")
        if demand_something and there != "t":
            recorder.warn(nothing_to_read="the database has no tables yet")
        if (replica == "t" or read_only == "on") and self._wants_writer():
            raise StageFailed(wrong_role=True)

    async def _plain_facts(self) -> list[list[str | None]]:
        try:
            return await self.query(_PLAIN_FACTS)
        except ServerError as error:
            raise StageFailed(**error.evidence(), object="information_schema.tables") from None

    def _wants_writer(self) -> bool:
        properties = {key.lower(): value.lower() for key, value in self.access.connection.properties.items()}
        wanted = properties.get("target_session_attrs") or properties.get("targetservertype")
        return wanted in ("read-write", "primary", "master")


def _sasl(message: _Message, expected: int) -> str:
    (code,) = struct.unpack_from("!I", message.body)
    if message.kind != b"R" or code != expected:
        raise StageFailed(method=f"SASL step {code}", unsupported=True)
    return message.body[4:].decode()


def _error(body: bytes) -> ServerError:
    fields = {part[:1].decode("latin-1"): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    return ServerError(fields)


def _columns(body: bytes) -> list[str | None]:
    (count,) = struct.unpack_from("!H", body)
    position, values = 2, list[str | None]()
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, position)
        position += 4
        if length < 0:
            values.append(None)
            continue
        values.append(body[position : position + length].decode(errors="replace"))
        position += length
    return values


def _iso(epoch: str | None) -> str | None:
    if epoch is None:
        return None
    return datetime.fromtimestamp(float(epoch), UTC).isoformat().replace("+00:00", "Z")


_PART = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')
_NAME = re.compile(rf"(?:{_PART.pattern})(?:\.(?:{_PART.pattern}))*")


def _folded(part: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in part)


def quoted(name: str) -> str:
    """A table's name as SQL: ``schema.table``; parts that are not quoted fold to lower case as in SQL (ASCII only).

    What is no such name is taken for the name of one table, letter by letter.
    """
    if _NAME.fullmatch(name):
        parts = [one.replace('""', '"') if one else _folded(two) for one, two in _PART.findall(name)]
    else:
        parts = [name]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


#: Names that are nobody's secret.
_NOBODY = {"username": "headwater", "database": "headwater"}


def _way(outcome: Outcome) -> str:
    """How the server answers a client that comes the other way."""
    if outcome.stage is None:
        return "admitted"
    if outcome.stage == "tls":
        return "not offered" if outcome.evidence.get("tls_refused") else "tls failed"
    refused = outcome.stage == "admit" and outcome.evidence.get("sqlstate_class") == "28"
    return "refused" if refused else "no answer"


_INVALID = {"sqlstate": "28000"}
_UNDECIDED = frozenset({"tls failed", "no answer"})
_ADMITTED_OVER_TLS = {"routine": "ClientAuthentication", "over_tls": False, "other_way": "admitted"}

PROTOCOL = Protocol(
    name="postgresql",
    title="PostgreSQL",
    session=PostgresqlSession,
    fall_back_after=frozenset({"tls", "admit"}),
    answers=(
        Answer("TLS.REQUIRED", {**_INVALID, **_ADMITTED_OVER_TLS}, stage="admit"),
        Answer(
            INCONCLUSIVE,
            {**_INVALID, "routine": "ClientAuthentication", "over_tls": False, "other_way": _UNDECIDED},
            stage="admit",
            alternatives=("TLS.REQUIRED", "ADMIT.ALLOWLIST"),
            component="{source_address}",
            message="{address}:{port} refuses {source_address} without TLS, and over TLS nothing can be learned "
            "({other_way}).",
            remedy="Enable TLS with the files that the server demands and test again: only then the two causes part.",
        ),
        Answer(
            INCONCLUSIVE,
            {**_INVALID, "routine": "ClientAuthentication", "certificate_asked": True},
            stage="admit",
            alternatives=("ADMIT.ALLOWLIST", "TLS.CLIENT_CERT"),
            component="{source_address}",
            message="{address}:{port} refuses {username} from {source_address} over TLS, and asks clients for a "
            "certificate, which {source}/{env} has not.",
            remedy="Give the client's certificate and key as keystore_file and key_file and test again; if that is "
            "refused too, let the DBA add {source_cidr} to pg_hba.conf.",
        ),
        Answer(
            "ADMIT.ALLOWLIST",
            {**_INVALID, "routine": "ClientAuthentication", "over_tls": True, "other_way": "admitted"},
            stage="admit",
            message="{address}:{port} admits {username} from {source_address} without TLS only.",
            remedy="Change hostnossl to host or hostssl in pg_hba.conf, or set sslmode=disable for {source}/{env}.",
        ),
        Answer(
            "ADMIT.ALLOWLIST",
            {**_INVALID, "routine": "ClientAuthentication", "over_tls": True},
            message="{address}:{port} has no pg_hba.conf entry that lets {username} from {source_address} into "
            "{database} over TLS.",
            remedy="Add to pg_hba.conf: hostssl {database} {username} {source_cidr} scram-sha-256 (for a cloud "
            "instance: add {source_cidr} to its allowlist), then reload.",
        ),
        Answer(
            "ADMIT.ALLOWLIST",
            {**_INVALID, "routine": "ClientAuthentication"},
            message="{address}:{port} has no pg_hba.conf entry that lets {username} from {source_address} into "
            "{database}.",
            remedy="Add to pg_hba.conf: host {database} {username} {source_cidr} scram-sha-256 (for a cloud "
            "instance: add {source_cidr} to its allowlist), then reload.",
        ),
        Answer(
            "AUTH.LOGIN_FORBIDDEN",
            {**_INVALID, "routine": "InitializeSessionUserId", "password_proved": True},
            remedy="ALTER ROLE {username} LOGIN;",
        ),
        # Without a password exchange the server answers an unknown role and one that may not log in alike.
        Answer(
            INCONCLUSIVE,
            {**_INVALID, "routine": "InitializeSessionUserId"},
            alternatives=("AUTH.USER_UNKNOWN", "AUTH.LOGIN_FORBIDDEN"),
            component="{username}",
            message="The role {username} does not exist on {address}:{port}, or may not log in.",
            remedy="Ask the server: SELECT rolcanlogin FROM pg_roles WHERE rolname = '{username}'; then CREATE ROLE "
            "or ALTER ROLE {username} LOGIN.",
        ),
        # Refused before a password was asked for: by the operating system's user, an ident server, a certificate.
        Answer(
            "AUTH.METHOD_UNSUPPORTED",
            {**_INVALID, "routine": "auth_failed"},
            stage="admit",
            component="pg_hba.conf",
            message="{address}:{port} knows {username} by something else than a password (peer, ident or a "
            "certificate), and what it sees does not fit.",
            remedy="Let the DBA look at the pg_hba.conf entry for {username} and its user name map, or allow "
            "scram-sha-256 there.",
        ),
        Answer("AUTH.BAD_CREDENTIALS", {"sqlstate_class": "28"}),
        Answer(
            "AUTH.BAD_CREDENTIALS",
            {"no_password": True},
            message="{address}:{port} asks {username} for a password, and {source}/{env} has none.",
            remedy="Set password for {source}/{env}.",
        ),
        Answer("AUTH.METHOD_UNSUPPORTED", {"unsupported": True}),
        Answer(
            "AUTH.METHOD_UNSUPPORTED",
            {"server_proof": "wrong"},
            component="SCRAM-SHA-256",
            message="{address}:{port} could not prove that it knows the password of {username}: it may be an impostor.",
            remedy="Find out which server answers at {address}:{port} before trusting it.",
        ),
        Answer(
            "TARGET.MISSING",
            {"sqlstate": "3D000"},
            remedy="Correct the name of the database, or: CREATE DATABASE {database};",
        ),
        Answer(
            "TARGET.NO_CONNECT",
            {"sqlstate": "42501"},
            stage="target",
            remedy="GRANT CONNECT ON DATABASE {database} TO {username};",
        ),
        Answer(
            "TARGET.NO_CONNECT",
            {"sqlstate": "42501"},
            stage="login",
            remedy="GRANT CONNECT ON DATABASE {database} TO {username};",
        ),
        Answer(
            "TARGET.NO_CONNECT",
            {"sqlstate": "55000", "routine": "CheckMyDatabase"},
            message="The database {database} on {address}:{port} does not accept connections.",
            remedy="ALTER DATABASE {database} ALLOW_CONNECTIONS true;",
        ),
        Answer("CAPACITY.CONNECTIONS", {"sqlstate": "53300"}),
        Answer("SERVER.NOT_READY", {"sqlstate": frozenset({"57P01", "57P02", "57P03"})}),
        Answer("TARGET.OBJECT_MISSING", {"sqlstate": frozenset({"42P01", "3F000"})}, stage="privilege"),
        Answer(
            "PRIV.OBJECT_DENIED",
            {"sqlstate": "42501"},
            stage="privilege",
            remedy="GRANT SELECT ON {object} TO {username}; and GRANT USAGE on its schema.",
        ),
        Answer(
            "PRIV.OBJECT_DENIED",
            {"nothing_readable": True},
            message="{username} is logged in to {database}, but may not read a single table in it.",
            remedy="GRANT SELECT ON ALL TABLES IN SCHEMA public TO {username}; or bind the tables that are needed.",
        ),
        Answer("SERVER.WRONG_ROLE", {"wrong_role": True}),
        Answer("SERVER.ERROR", {"sqlstate": bool}),
    ),
)
