"""One conversation with one PostgreSQL server, stage by stage."""

from __future__ import annotations

import contextlib
import hashlib
import struct
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.comparison.survey import Survey, Wanted
from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Outcome, Retry, Session
from tasks.protocols.postgresql.facts import FACTS, IDENTITY, PLAIN_FACTS
from tasks.protocols.postgresql.grants import lacking
from tasks.protocols.postgresql.wire import (
    LONGEST_MESSAGE,
    SSL_REQUEST,
    Message,
    ServerError,
    columns,
    error_of,
    framed,
    quoted,
    startup,
)
from tasks.streams import Reader, Stream, StreamBroken, printable
from tasks.tls import asks_for_certificate, start_tls

if TYPE_CHECKING:
    from tasks.kerberos.client import Client

_OK, _CLEARTEXT, _MD5, _GSS, _GSS_CONTINUE, _SSPI, _SASL = 0, 3, 5, 7, 8, 9, 10
_METHODS = {2: "Kerberos 5", 6: "SCM credentials", _GSS: "GSSAPI", _SSPI: "SSPI"}

_SCRAM = "SCRAM-SHA-256"

#: Names that are nobody's secret.
_NOBODY = {"username": "headwater", "database": "headwater"}

_INSUFFICIENT_PRIVILEGE = "42501"
_UNDEFINED_TABLE = "42P01"


class PostgresqlSession(Session):
    """One conversation with one PostgreSQL server."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.reader = Reader(stream)
        self.parameters: dict[str, str] = {}
        self._request: Message | ServerError | None = None
        self._offers_tls = False
        self._password_proved = False
        self._kerberos: Client | None = None

    # -- stages -------------------------------------------------------------------------------------------------------

    async def greet(self, recorder: Recorder) -> None:
        if self.access.tls.wanted and not self.access.address.startswith("/"):
            await self.stream.send(SSL_REQUEST)
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
        while isinstance(message, Message) and message.kind == b"R":
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
        elif code == _GSS and self.access.secret("kerberos_file_keytab"):
            recorder.see(method="GSSAPI")
            await self._kerberos_token(recorder)
        elif code == _GSS_CONTINUE and self._kerberos is not None:
            if self._kerberos.accept(body) is None:
                raise StageFailed(server_proof="wrong", method="GSSAPI", server_said="a proof that does not fit")
        else:
            raise StageFailed(method=_METHODS.get(code, f"method {code}"), unsupported=True)

    async def _scram(self, body: bytes, recorder: Recorder) -> None:
        from tasks.protocols import scram

        offered = [word.decode() for word in body.split(b"\0") if word]
        recorder.see(method="SASL", mechanisms=offered)
        if _SCRAM not in offered:
            raise StageFailed(method=", ".join(offered), unsupported=True)
        # The user name of the startup message counts; in the place of SCRAM's own, JDBC's driver sends this, too.
        exchange = scram.Exchange(_SCRAM, "*", self._password(), prepare=True)
        first = exchange.first().encode()
        await self._send(b"p", _SCRAM.encode() + b"\0" + struct.pack("!I", len(first)) + first)
        try:
            await self._send(b"p", exchange.final(_sasl(await self._next(recorder), 11)).encode())
            exchange.verify(_sasl(await self._next(recorder), 12))
        except StageFailed as failure:
            raise StageFailed(**{"method": _SCRAM, **failure.evidence}) from None
        self._password_proved = True

    async def _kerberos_token(self, recorder: Recorder) -> None:
        from tasks.kerberos.access import client_of

        self._kerberos = client_of(self.access, self.dial)
        service = self.access.connection.properties.get("kerberosServerName", "postgres")
        await self._send(b"p", await self._kerberos.token(service, self.access.host, recorder))

    def _password(self) -> str:
        password = self.access.secret("password")
        if password is None:
            raise StageFailed(no_password=True)
        return password

    async def target(self, recorder: Recorder) -> None:
        while True:
            message = await self._message()
            if message.kind == b"E":
                raise StageFailed(**error_of(message.body).evidence(), password_proved=self._password_proved)
            if message.kind == b"S":
                name, value = message.body.split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode(errors="replace")
            if message.kind == b"Z":
                break
        version = self.parameters.get("server_version")
        recorder.see(server_version=version, database=self.access.setting("database"))

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        await self._search_path()
        for name in objects:
            await self._read(name)
        if objects:
            recorder.see(objects=list(objects))
        await self._facts(recorder, demand_something=not objects)

    async def survey(self, wanted: Wanted) -> Survey:
        from tasks.protocols.postgresql.survey import survey

        await self._search_path()
        return await survey(self, wanted)

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
            await stream.send(SSL_REQUEST)
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
        return startup(words)

    async def _startup_answer(self, recorder: Recorder) -> Message | ServerError:
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

    async def _next(self, recorder: Recorder) -> Message:
        """The next message that is no notice. Raises `StageFailed` with the codes of an ErrorResponse."""
        while True:
            message = await self._message()
            if message.kind == b"E":
                raise StageFailed(**error_of(message.body).evidence(), password_proved=self._password_proved)
            if message.kind not in (b"N", b"v"):
                return message

    async def _message(self) -> Message:
        header = await self.reader.exactly(5)
        (length,) = struct.unpack_from("!I", header, 1)
        if not 4 <= length <= LONGEST_MESSAGE:
            raise StageFailed(not_protocol=True, first_bytes=printable(header), looks_like=identify(header))
        return Message(header[:1], await self.reader.exactly(length - 4))

    async def _send(self, kind: bytes, body: bytes) -> None:
        await self.stream.send(framed(kind, body))

    async def _not_postgresql(self) -> StageFailed:
        first = await self.reader.peek(64)
        return StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=identify(first))

    async def query(self, sql: str) -> list[list[str | None]]:
        """The rows of one statement, as text. Raises `ServerError`; the session can go on after it."""
        await self._send(b"Q", sql.encode() + b"\0")
        return await self._answer()

    async def _answer(self) -> list[list[str | None]]:
        """The rows of the next statement that was sent; as `query`."""
        rows: list[list[str | None]] = []
        failure: ServerError | None = None
        while True:
            try:
                message = await self._message()
            except StreamBroken:
                if failure is None:
                    raise
                break  # a fatal error is a server's last word
            if message.kind == b"D":
                rows.append(columns(message.body))
            elif message.kind == b"E":
                failure = error_of(message.body)
            elif message.kind == b"Z":
                break
        if failure is not None:
            raise failure
        return rows

    async def _read(self, name: str) -> None:
        folded, written = quoted(name), quoted(name, fold=False)
        try:
            refused = await self._refusal(folded)
            if refused.get("sqlstate") == _UNDEFINED_TABLE and written != folded:
                folded, refused = written, await self._refusal(written)  # who binds Orders may mean "Orders"
            if refused.get("sqlstate") == _INSUFFICIENT_PRIVILEGE:
                refused |= await lacking(self.query, folded, str(self.access.setting("username", "PUBLIC")))
        except StreamBroken as broken:
            raise StageFailed(**broken.evidence(), object=name) from None
        if refused:
            raise StageFailed(**refused, object=name)

    async def _refusal(self, table: str) -> dict[str, Any]:
        """Why a table cannot be read; empty when it can."""
        try:
            await self.query(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - quoted by the caller
        except ServerError as error:
            return dict(error.evidence())
        return {}

    async def _facts(self, recorder: Recorder, *, demand_something: bool) -> None:
        # Both in one round trip: the second is answered whatever comes of the first.
        await self._send(b"Q", FACTS.encode() + b"\0")
        await self._send(b"Q", IDENTITY.encode() + b"\0")
        try:
            (row,) = await self._answer()
        except ServerError as refused:
            with contextlib.suppress(ServerError, StreamBroken):
                await self._answer()
            try:
                ((count, *_),) = await self._plain_facts()
            except StreamBroken as broken:
                if broken.kind == "silent":
                    raise
                raise StageFailed(**refused.evidence()) from None
            readable_tables = int(count or 0)
            recorder.see(tables_readable=readable_tables)
            if demand_something and not readable_tables:
                recorder.warn(nothing_to_read="the database shows no tables to this account")
            return
        there, readable, replica, read_only, limit, used, until, clock, source, *_ = row
        recorder.see(
            connections_used=int(used or 0),
            connections_limit=int(limit or 0),
            account_valid_until=_iso(until),
            clock_skew_s=round(float(clock or 0) - time.time(), 3),
            source_address_seen_by_server=source,
            replica=replica == "t",
        )
        await self._identity(recorder)
        if demand_something and there == "t" and readable != "t":
            raise StageFailed(nothing_readable=True, object=f"any table of {self.access.setting('database', '')}")
        if demand_something and there != "t":
            recorder.warn(nothing_to_read="the database has no tables yet")
        if (replica == "t" or read_only == "on") and self._wants_writer():
            raise StageFailed(wrong_role=True)

    async def _identity(self, recorder: Recorder) -> None:
        with contextlib.suppress(ServerError):
            ((cluster, started, database),) = await self._answer()
            recorder.see(server_identity=f"PostgreSQL system {cluster}", database_identity=database)
            recorder.see(server_run=f"PostgreSQL system {cluster} started at {started}")

    async def _search_path(self) -> None:
        """Look names up where the driver will: in `currentSchema`."""
        path = self.access.connection.properties.get("currentSchema", "")
        if path:
            literal = path.replace("'", "''")
            with contextlib.suppress(ServerError):  # some servers of this protocol have schemas, but no such function
                await self.query(f"SELECT set_config('search_path', '{literal}', false)")

    async def _plain_facts(self) -> list[list[str | None]]:
        try:
            return await self.query(PLAIN_FACTS)
        except ServerError as error:
            raise StageFailed(**error.evidence(), object="information_schema.tables") from None

    def _wants_writer(self) -> bool:
        properties = {key.lower(): value.lower() for key, value in self.access.connection.properties.items()}
        wanted = properties.get("target_session_attrs") or properties.get("targetservertype")
        return wanted in ("read-write", "primary", "master")


def _sasl(message: Message, expected: int) -> str:
    (code,) = struct.unpack_from("!I", message.body)
    if message.kind != b"R" or code != expected:
        raise StageFailed(method=f"SASL step {code}", unsupported=True)
    return message.body[4:].decode()


def _iso(epoch: str | None) -> str | None:
    if epoch is None:
        return None
    return datetime.fromtimestamp(float(epoch), UTC).isoformat().replace("+00:00", "Z")


def _way(outcome: Outcome) -> str:
    """How the server answers a client that comes the other way."""
    if outcome.stage is None:
        return "admitted"
    if outcome.stage == "tls":
        return "not offered" if outcome.evidence.get("tls_refused") else "tls failed"
    refused = outcome.stage == "admit" and outcome.evidence.get("sqlstate_class") == "28"
    return "refused" if refused else "no answer"
