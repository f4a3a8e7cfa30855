"""The conversation with one SQL Server: a method a stage, and the questions behind them."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry, Session
from tasks.protocols.advertised import reach
from tasks.protocols.sqlserver import wire
from tasks.protocols.sqlserver.answers import CANNOT_OPEN, NAMES_CLIENT
from tasks.protocols.sqlserver.wire import Answer, Encryption, Greeting, Malformed, ServerError
from tasks.streams import Reader, Stream, StreamBroken, printable
from tasks.tls import start_tls
from tasks.vantages import ConnectFailed

#: The longest message that anything asked here has reason to answer with.
_LONGEST_MESSAGE = 1 << 20
#: Servers that may send a client on to another one: a gateway, then a replica.
_MOST_ROUTES = 2
#: "The login failed" behind what it failed for.
_LOGIN_FAILED = 18456

#: One row: the object that may be read, whether everything may, how the database may be used, and who we are there.
_FACTS = """
SELECT (SELECT TOP (1) CAST(s.name + N'.' + o.name AS nvarchar(300))
        FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id
        WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
        AND HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name), 'OBJECT', 'SELECT') = 1),
    HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'SELECT'),
    CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(60)),
    CAST(CONNECTIONPROPERTY('client_net_address') AS nvarchar(60)),
    CAST(DATEDIFF_BIG(millisecond, '19700101', SYSUTCDATETIME()) AS bigint)
"""
_ABOUT_DATABASE = "SELECT HAS_DBACCESS({0}), CAST(DATABASEPROPERTYEX({0}, 'Status') AS nvarchar(60))"


class SqlserverSession(Session):
    """One conversation with one SQL Server."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.reader = Reader(stream)
        self._plain = stream
        self._greeting = Greeting("", Encryption.NOT_SUPPORTED)
        self._login_only = False
        self._refused: ServerError | None = None
        self._routes = 0
        self._database: str | None = access.setting("database")

    # -- stages -------------------------------------------------------------------------------------------------------

    async def greet(self, recorder: Recorder) -> None:
        # Without TLS configured the login alone is encrypted, where the server can: as every driver does it.
        says = Encryption.ON if self.access.tls.wanted else Encryption.OFF
        await self.stream.send(wire.prelogin(says))
        head = await self._head()
        if not wire.begins_like_sqlserver(head):
            raise self._another(head)
        payload = await self.reader.exactly(wire.packet_head(head)[2])
        try:
            self._greeting = wire.greeting(payload)
        except Malformed:
            raise self._another(head + payload) from None
        recorder.see(server_version=self._greeting.version, encryption=self._greeting.encryption.name.lower())

    async def _head(self) -> bytes:
        try:
            return await self.reader.exactly(wire.HEADER)
        except StreamBroken as broken:
            still_at_it = broken.kind == "silent" and not broken.mute
            if self.reader.buffer and not still_at_it:
                raise self._another(b"") from None
            raise

    def _another(self, seen: bytes) -> StageFailed:
        first = (seen + bytes(self.reader.buffer))[:64]
        return StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=identify(first))

    async def tls(self, recorder: Recorder) -> None:
        tls, says = self.access.tls, self._greeting.encryption
        if says is Encryption.NOT_SUPPORTED:
            if tls.demanded:
                raise StageFailed(tls_refused=True)
            raise StageSkipped("the server does not offer TLS")
        if not tls.wanted and says in (Encryption.REQUIRED, Encryption.ON):
            raise StageFailed(tls_demanded=True)
        self._login_only = says is Encryption.OFF
        if self._login_only and tls.demanded:
            raise StageFailed(tls_refused=True)
        wrapped = _InPackets(self.stream)
        # A handshake for the login alone encrypts it against listeners; no configuration asks for more.
        material = replace(tls, mode="require") if not tls.wanted else tls
        self.stream, facts = await start_tls(wrapped, material, self.access.host)
        wrapped.unwrap()
        self.reader = Reader(self.stream)
        if self._login_only:
            raise StageSkipped("TLS is not configured; the server has the login alone encrypted")
        recorder.see(**facts)

    async def login(self, recorder: Recorder) -> None:
        answer = await self._introduce()
        while answer.routing is not None and answer.logged_in:
            recorder.see(routed_to=f"{answer.routing[0]}:{answer.routing[1]}")
            answer = await self._follow(answer.routing)
        cannot_open = next((error for error in answer.errors if error.number in CANNOT_OPEN), None)
        if answer.logged_in:
            return
        if cannot_open is None:
            raise self._failed(answer.errors)
        # The account was accepted before its database was opened.
        self._refused = cannot_open

    async def target(self, recorder: Recorder) -> None:
        if self._refused is not None:
            raise self._failed([self._refused], **await self._about_database())
        if self._database is None:
            raise StageSkipped("no database is configured")
        recorder.see(database=self._database)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for name in objects:
            answer = await self._read(name)
            if answer.errors:
                raise self._failed(answer.errors, object=name)
        facts = await self._query(_FACTS)
        if objects:
            recorder.see(objects=list(objects))
        if not facts.rows or len(facts.rows[0]) != 5:
            if not objects:
                raise self._failed(facts.errors, object="sys.objects")
            return
        readable, reads_all, updateability, client, clock = facts.rows[0]
        now = int(clock or 0) / 1000
        recorder.see(
            source_address_seen_by_server=client if _is_address(client) else None,
            clock_skew_s=round(now - time.time(), 3) if clock else None,
            read_only=None if updateability is None else updateability == "READ_ONLY",
        )
        self._see_readable(recorder, readable, reads_all)
        if updateability == "READ_ONLY" and self._property("applicationintent") == "readwrite":
            raise StageFailed(wrong_role=True)

    def _see_readable(self, recorder: Recorder, readable: str | None, reads_all: str | None) -> None:
        if self.access.connection.objects:
            return
        if readable is not None:
            recorder.see(read=readable)
        elif reads_all == "1":
            recorder.warn(nothing_to_read="the database has no tables yet")
        else:
            raise StageFailed(nothing_readable=True, object=f"any table of {self._database}")

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """A server that drops plaintext is tried over TLS."""
        if stage != "login" or self.access.tls.wanted or not evidence.get("broken"):
            return {}
        outcome = await retry(self.access.over(replace(self.access.tls, mode="require")), until="login")
        return {"over_tls_too": "further" if outcome.stage is None or "mssql_error" in outcome.evidence else "no"}

    # -- logging in ---------------------------------------------------------------------------------------------------

    async def _introduce(self) -> Answer:
        said = wire.login(
            username=str(self.access.setting("username", "")),
            password=self.access.secret("password") or "",
            database=self._database or "",
            host=self.access.host,
            read_only=self._property("applicationintent") == "readonly",
        )
        await self.stream.send(said)
        if self._login_only:
            self.stream = self._plain
            self.reader = Reader(self.stream)
        return await self._answer()

    async def _follow(self, route: tuple[str, int]) -> Answer:
        """The answer of the server that a gateway sends its clients on to."""
        self._routes += 1
        if self._routes > _MOST_ROUTES:
            raise Malformed("a route without end")
        host, port = route
        self.stream.close()
        access = replace(self.access, host=host.partition("\\")[0], port=port)
        self.stream = await reach(self.dial, self.access, access.host, port, "the server behind it")
        self._plain, self.reader, self.access = self.stream, Reader(self.stream), access
        unseen = Recorder()
        await self.greet(unseen)
        with suppress(StageSkipped):
            await self.tls(unseen)
        return await self._introduce()

    async def _about_database(self) -> dict[str, Any]:
        """Whether a database that was not opened is there, asked in a second conversation that names none."""
        asking = SqlserverSession(await self.dial(), self.access, self.dial)
        asking._database = None
        unseen = Recorder()
        try:
            await asking.greet(unseen)
            with suppress(StageSkipped):
                await asking.tls(unseen)
            await asking.login(unseen)
            answer = await asking._query(_ABOUT_DATABASE.format(_literal(str(self._database))))
        except (StageFailed, StreamBroken, ConnectFailed, ValueError):
            return {}
        finally:
            await asking.close()
        if asking._refused is not None or not answer.rows:
            return {}
        may_enter, status = answer.rows[0]
        return {
            "there": "no" if may_enter is None else "yes",
            "may_enter": may_enter == "1",
            "database_status": status,
        }

    def _failed(self, errors: Iterable[ServerError], **more: Any) -> StageFailed:
        """The first error, or the one behind "the login failed": the first is the cause, what follows its effect."""
        told = sorted(errors, key=lambda error: error.number == _LOGIN_FAILED)
        if not told:
            raise Malformed("neither a result nor an error")
        evidence = {**told[0].evidence(), "mssql_errors": [error.number for error in told], **more}
        if told[0].number in NAMES_CLIENT and (address := _address_in(told[0].message)):
            evidence["source_address"] = address  # as the server sees it, behind every NAT
        return StageFailed(**{key: value for key, value in evidence.items() if value is not None})

    # -- questions ----------------------------------------------------------------------------------------------------

    async def _read(self, name: str) -> Answer:
        try:
            return await self._query(f"SELECT TOP (1) 1 FROM {quoted(name)} WHERE 1 = 0")  # noqa: S608 - quoted
        except StreamBroken as broken:
            raise StageFailed(**broken.evidence(), object=name) from None

    async def _query(self, sql: str) -> Answer:
        await self.stream.send(wire.batch(sql))
        return await self._answer()

    async def _answer(self) -> Answer:
        message, last = b"", False
        while not last:
            kind, last, length = wire.packet_head(await self.reader.exactly(wire.HEADER))
            if kind != wire.ANSWER or len(message) + length > _LONGEST_MESSAGE:
                raise Malformed("no answer, or one without end")
            message += await self.reader.exactly(length)
        return wire.answer(message)

    def _property(self, name: str) -> str | None:
        return {key.lower(): value.lower() for key, value in self.access.connection.properties.items()}.get(name)


class _InPackets:
    """A stream that carries the TLS handshake inside PRELOGIN packets, and everything after it as it is."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._reader = Reader(stream)
        self._wrapped = True
        self.budget = stream.budget
        self.received = stream.received
        self.close, self.local_address = stream.close, stream.local_address

    def unwrap(self) -> None:
        """The handshake is over."""
        self._wrapped = False

    async def send(self, data: bytes) -> None:
        await self._stream.send(wire.packets(wire.PRELOGIN, data) if self._wrapped else data)

    async def receive(self, limit: int = 65536) -> bytes:
        first = await self._reader.peek(1)
        if self._wrapped and first[0] in (wire.PRELOGIN, wire.ANSWER):
            _, _, length = wire.packet_head(await self._reader.exactly(wire.HEADER))
            data = await self._reader.exactly(length)
        else:
            data = await self._reader.exactly(min(limit, len(self._reader.buffer)))
        self.received = self._stream.received
        return data


_PART = re.compile(r"(?:\[((?:[^\]]|\]\])+)\]|\"((?:[^\"]|\"\")+)\"|([^.]*))(?:\.|$)")


def quoted(name: str) -> str:
    """A table's name as SQL: up to `server.database.schema.table`, each part plain, in brackets or in quotes."""
    found = _PART.findall(name)[: None if name.endswith(".") else -1]  # behind the last part the pattern fits once more
    parts = [one.replace("]]", "]") or two.replace('""', '"') or three for one, two, three in found]
    return ".".join("[" + part.replace("]", "]]") + "]" if part else "" for part in parts)


def _literal(text: str) -> str:
    return "N'" + text.replace("'", "''") + "'"


def _is_address(text: str | None) -> bool:
    try:
        ipaddress.ip_address(text or "")
    except ValueError:
        return False
    return True


def _address_in(message: str) -> str | None:
    """The IP address that a refusal names; that it is one does not depend on the words around it."""
    return next((word for word in re.findall(r"[0-9A-Fa-f:.]{3,}", message) if _is_address(word.strip("."))), None)
