"""The conversation with one server: a method a stage, and the questions behind them."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tasks.comparison.survey import Survey, Wanted
from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.path_mtu import LARGE
from tasks.protocols import Access, Dial, Retry, Session
from tasks.protocols.mysql import wire
from tasks.protocols.mysql.answers import ACCESS_DENIED, ACCESS_DENIED_NO_PASSWORD, DATABASE_DENIED
from tasks.protocols.mysql.authentication import CACHING_SHA2, ED25519, NATIVE, Exchange
from tasks.protocols.mysql.grants import select_granted
from tasks.protocols.mysql.names import account, identifier, quoted, table_in
from tasks.protocols.mysql.wire import Greeting, Malformed, ServerError
from tasks.streams import Reader, Stream, StreamBroken, printable
from tasks.tls import start_tls

_QUIT, _INIT_DB, _QUERY = b"\x01", b"\x02", b"\x03"
#: The longest packet that anything asked here has reason to answer with.
_LONGEST_PACKET = 1 << 20
_MOST_ROWS = 10_000
#: Packets that an authentication may take: MariaDB tries one method after another.
_MOST_ROUNDS = 16

#: A right of the account is missing: to a database, a table, a column.
_NO_RIGHT = frozenset({DATABASE_DENIED, 1142, 1143})
#: Of a table among others: may not be read, dropped meanwhile, a view over something that may not be read.
_NOT_READABLE = frozenset({1044, 1142, 1143, 1146, 1356, 1449})

#: In one round trip where the server takes several statements at once. What is there to be large comes first, then the
#: tables: the others may fail on servers that speak the protocol without all of MySQL's variables.
_LARGE = f"SELECT '{LARGE}' AS padding"
_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() LIMIT 20"
_CONNECTIONS = "SHOW GLOBAL STATUS LIKE 'Threads_connected'"
_FACTS = "SELECT @@max_connections, @@read_only, UNIX_TIMESTAMP(NOW(3)), USER()"
#: MySQL has a UUID, which copies of its data keep; MariaDB (from 10.11 on) a uid, made of its network card and port. So
#: the host's name, the port and the folder count as well.
_IDENTITY = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN "
    "('server_uuid', 'server_uid', 'hostname', 'port', 'server_id', 'datadir')"
)

_VISIBLE = "SHOW DATABASES"
_SEES_ALL = (
    "SELECT 1 FROM information_schema.user_privileges WHERE privilege_type = 'SHOW DATABASES' "
    "AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''') LIMIT 1"
)

Rows = list[list[str | None]]


class MysqlSession(Session):
    """One conversation with one MySQL server."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.reader = Reader(stream)
        self._sequence = 0
        self._greeting = Greeting("", 0, "", b"")
        self._refusal: ServerError | None = None
        self._on_socket = access.address.startswith("/")
        self._over_tls = False
        self._logged_in = False

    # -- stages -------------------------------------------------------------------------------------------------------

    async def greet(self, recorder: Recorder) -> None:
        head = await self._head()
        if not wire.begins_like_mysql(head):
            raise self._not_mysql(head)
        self._sequence = head[3] + 1
        payload = head[4:] + await self.reader.exactly(int.from_bytes(head[:3], "little") - 1)
        if payload[0] == wire.ERROR:
            # The server refuses before it greets: which is an answer of MySQL's too.
            self._refusal = wire.server_error(payload)
            recorder.see(greeting="an error")
            return
        try:
            self._greeting = wire.greeting(payload)
        except Malformed:
            raise self._not_mysql(head[:4] + payload) from None
        recorder.see(
            server_version=self._greeting.version,
            tls_offered=self._greeting.offers_tls,
            default_method=self._greeting.plugin or None,
        )

    async def _head(self) -> bytes:
        """The header and first byte of the first packet."""
        try:
            return await self.reader.exactly(5)
        except StreamBroken as broken:
            still_at_it = broken.kind == "silent" and not broken.mute
            if self.reader.buffer and not still_at_it:
                raise self._not_mysql(b"") from None
            raise

    def _not_mysql(self, seen: bytes) -> StageFailed:
        first = (seen + bytes(self.reader.buffer))[:64]
        return StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=identify(first))

    async def tls(self, recorder: Recorder) -> None:
        tls = self.access.tls
        if self._on_socket or not tls.wanted:
            raise StageSkipped("TLS is not configured" if not tls.wanted else "a Unix socket needs no TLS")
        if self._refusal is not None:
            raise StageSkipped("the server refused before TLS could begin")
        if not self._greeting.offers_tls:
            if tls.demanded:
                raise StageFailed(tls_refused=True)
            raise StageSkipped("the server does not offer TLS, and it was only preferred")
        if self.reader.buffer:
            # Whoever stuffs bytes behind the greeting would have them taken for what came through TLS.
            raise Malformed("more than a greeting")
        await self._send(wire.ssl_request(self._greeting))
        self.stream, facts = await start_tls(self.stream, tls, self.access.host)
        self.reader = Reader(self.stream)
        self._over_tls = True
        recorder.see(**facts)

    async def admit(self, recorder: Recorder) -> None:
        if self._refusal is not None:
            raise self._failed(self._refusal)

    async def login(self, recorder: Recorder) -> None:
        exchange = await self._introduce()
        for _ in range(_MOST_ROUNDS):
            packet = await self._packet()
            if packet[0] == wire.OK:
                self._logged_in = True
                recorder.see(method=exchange.plugin)
                return
            if packet[0] == wire.ERROR:
                raise self._failed(
                    wire.server_error(packet),
                    login_method=exchange.plugin,
                    password_proved=exchange.proved or None,
                    no_password=not exchange.password or None,
                )
            if packet[0] == wire.EOF:
                exchange = self._switched(packet)
                await self._send(exchange.first())
            elif packet[0] == wire.AUTH_MORE_DATA:
                answer = exchange.more(packet[1:])
                if answer is not None:
                    await self._send(answer)
            else:
                raise Malformed("no answer to a login")
        raise Malformed("an authentication without end")

    async def target(self, recorder: Recorder) -> None:
        database = self.access.setting("database")
        if database is None:
            raise StageSkipped("no database is configured")
        answer = await self._command(_INIT_DB + str(database).encode())
        if answer[0] == wire.ERROR:
            error = wire.server_error(answer)
            seen = await self._visible(str(database)) if error.number == DATABASE_DENIED else {}
            raise self._failed(error, **seen, **await self._known_as(error))
        recorder.see(database=database)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for name in objects:
            error = await self._read(quoted(name))
            if error is not None:
                raise self._failed(error, object=name, table_sql=self._named(name), **await self._known_as(error))
        _, tables, connections, facts, identity = await self._several(_LARGE, _TABLES, _CONNECTIONS, _FACTS, _IDENTITY)
        read_only = self._see_facts(recorder, connections, facts)
        if objects:
            recorder.see(objects=list(objects))
        elif isinstance(tables, ServerError):
            raise self._failed(tables, object="information_schema.tables", table_sql="information_schema.tables")
        else:
            await self._read_one_of([str(name) for (name,) in tables], recorder)
        self._see_identity(recorder, identity)
        if read_only and self._wants_writer():
            raise StageFailed(wrong_role=True)

    async def survey(self, wanted: Wanted) -> Survey:
        from tasks.protocols.mysql.survey import survey

        return await survey(self, wanted)

    async def query(self, sql: str) -> Rows | ServerError:
        """The rows of one statement, or how the server refuses it."""
        return (await self._query(sql))[0]

    async def close(self) -> None:
        try:
            if self._logged_in:
                self._sequence = 0
                await self._send(_QUIT)
        except Exception:  # noqa: S110 - a goodbye is never worth an error
            pass
        self.stream.close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """A refused login is tried over TLS: that parts a wrong password from an account that demands TLS."""
        number = evidence.get("mysql_error")
        if stage != "login" or self._on_socket:
            return {}
        if number == ACCESS_DENIED_NO_PASSWORD:
            return {"method": await self._method_asked_for() or "unix_socket"}
        if number != ACCESS_DENIED or self._over_tls or not self._greeting.offers_tls:
            return {}
        outcome = await retry(self.access.over(replace(self.access.tls, mode="require")), until="login")
        if outcome.stage == "tls":
            return {"over_tls_too": "tls failed"}
        if outcome.stage == "login":
            other = outcome.evidence.get("mysql_error")
            return {"over_tls_too": "refused" if other in (None, number) else "further"}
        return {"over_tls_too": "further" if outcome.stage is None else "no answer"}

    async def _method_asked_for(self) -> str | None:
        """The method that the server asks this account for, when it is offered none; None if it asks for none."""
        session = MysqlSession(await self.dial(), self.access, self.dial)
        unseen = Recorder()
        try:
            await session.greet(unseen)
            await session._introduce(plugin="")
            packet = await session._packet()
            return session._switched(packet).plugin if packet[0] == wire.EOF else None
        finally:
            await session.close()

    # -- logging in ---------------------------------------------------------------------------------------------------

    async def _introduce(self, plugin: str | None = None) -> Exchange:
        """Say who logs in, with the answer to the greeting's nonce; with an empty plugin without one."""
        default = self._greeting.plugin if self._greeting.plugin in (NATIVE, CACHING_SHA2) else NATIVE
        exchange = self._exchange(default, self._greeting.nonce)
        await self._send(
            wire.handshake_response(
                self._greeting,
                username=str(self.access.setting("username", "")),
                plugin=default if plugin is None else plugin,
                answer=exchange.first() if plugin is None else b"",
                tls=self._over_tls,
                attributes={"program_name": "headwater"},
            )
        )
        return exchange

    def _switched(self, packet: bytes) -> Exchange:
        """The exchange that an AuthSwitchRequest asks for."""
        fields = wire.Fields(packet[1:])
        plugin = fields.word().decode("ascii", "replace") if fields.left else "mysql_old_password"
        return self._exchange(plugin, fields.rest()[: 32 if plugin == ED25519 else 20])

    def _exchange(self, plugin: str, nonce: bytes) -> Exchange:
        # A channel that the configuration does not ask to be encrypted is no place for the password itself: the other
        # end of a second look over TLS is not verified.
        asked = self.access.connection.tls().mode != "disable"
        return Exchange(
            plugin,
            nonce,
            self.access.secret("password") or "",
            private=self._on_socket or (self._over_tls and asked),
            key_by_wire=self._property("allowpublickeyretrieval") == "true",
        )

    def _failed(self, error: ServerError, **more: Any) -> StageFailed:
        told = {**error.evidence(), "over_tls": self._over_tls, "on_socket": self._on_socket, **more}
        names_client = error.number in _NAMES_CLIENT or (error.sqlstate == "28000" and self._refusal is error)
        if names_client and (address := _last_address(error.message)):
            told["source_address"] = address  # as the server sees it, behind every NAT
        return StageFailed(**{key: value for key, value in told.items() if value is not None})

    # -- questions ----------------------------------------------------------------------------------------------------

    async def _visible(self, database: str) -> dict[str, Any]:
        """Whether a database that may not be entered is there, as far as this account can know."""
        visible, sees_all = await self._several(_VISIBLE, _SEES_ALL)
        if isinstance(visible, ServerError):
            return {}
        names = [str(name) for (name, *_) in visible]
        if database in names:
            return {"there": "yes"}
        return {
            "there": "no" if sees_all and not isinstance(sees_all, ServerError) else "unknown",
            "databases_visible": [name for name in names if name != "information_schema"],
        }

    async def _known_as(self, refusal: ServerError | None = None) -> dict[str, Any]:
        """``account``, this one as statements name it, where a right is missing and the server tells.

        A user without its host part would be another account: user@'%', which a GRANT may even make.
        """
        if refusal is not None and refusal.number not in _NO_RIGHT:
            return {}
        try:
            (rows,) = await self._several("SELECT CURRENT_USER()")
        except (StreamBroken, ValueError, LookupError):
            return {}  # the refusal stands without it
        named = None if isinstance(rows, ServerError) or not rows else rows[0][0]
        return {"account": account(named)} if named else {}

    def _named(self, table: str) -> str:
        return table_in(table, self.access.setting("database"))

    async def _read(self, table: str) -> ServerError | None:
        try:
            (answer,) = await self._several(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - quoted
        except StreamBroken as broken:
            raise StageFailed(**broken.evidence(), object=table) from None
        return answer if isinstance(answer, ServerError) else None

    async def _read_one_of(self, tables: Sequence[str], recorder: Recorder) -> None:
        database = self.access.setting("database", "")
        failing: StageFailed | None = None
        for name in tables:
            try:
                error = await self._read(identifier(name))
            except StageFailed as broken:
                raise failing or broken from None
            if error is None:
                recorder.see(read=name)
                return
            if error.number not in _NOT_READABLE:
                # A table that is broken says nothing of the others.
                table_sql = self._named(identifier(name))
                failing = failing or self._failed(error, object=name, table_sql=table_sql)
        if failing is not None:
            raise failing
        if tables or await self._select_granted(str(database)) is False:
            known = await self._known_as()
            tried = {"object": f"any table of {database}", "tables_tried": list(tables)}
            raise StageFailed(nothing_readable=True, **tried, **known)
        recorder.warn(nothing_to_read="the database has no tables yet")

    async def _select_granted(self, database: str) -> bool | None:
        """Whether this account may read what is in a database where it sees nothing; None: the server does not say."""
        (grants,) = await self._several("SHOW GRANTS")
        if isinstance(grants, ServerError):
            return None
        return select_granted([str(line) for (line, *_) in grants], database)

    def _see_facts(self, recorder: Recorder, connections: Rows | ServerError, facts: Rows | ServerError) -> bool:
        """Note what warnings are made of. Whether the server is read-only."""
        used = limit = read_only = clock = user = None
        if not isinstance(connections, ServerError) and connections and len(connections[0]) == 2:
            used = connections[0][1]
        if not isinstance(facts, ServerError) and facts and len(facts[0]) == 4:
            limit, read_only, clock, user = facts[0]
        now = _float(clock)
        recorder.see(
            connections_used=_int(used),
            connections_limit=_int(limit),
            clock_skew_s=None if now is None else round(now - time.time(), 3),
            source_address_seen_by_server=user.rpartition("@")[2] or None if user else None,
            read_only=None if read_only is None else read_only in ("1", "ON"),
        )
        return read_only in ("1", "ON")

    def _see_identity(self, recorder: Recorder, variables: Rows | ServerError) -> None:
        known = {} if isinstance(variables, ServerError) else {row[0]: row[1] for row in variables if len(row) == 2}
        own = known.get("server_uuid") or known.get("server_uid") or known.get("server_id")
        names = [own, *(known.get(name) for name in ("hostname", "port", "datadir"))]
        if all(names):
            identity = " ".join(str(name) for name in names)
            recorder.see(server_identity=f"MySQL server {identity}", database_identity=self.access.setting("database"))

    def _wants_writer(self) -> bool:
        return self._property("targetservertype") in ("primary", "master", "read-write")

    def _property(self, name: str) -> str | None:
        return {key.lower(): value.lower() for key, value in self.access.connection.properties.items()}.get(name)

    # -- packets ------------------------------------------------------------------------------------------------------

    async def _several(self, *statements: str) -> list[Rows | ServerError]:
        """The answers to several statements, in one round trip where the server can; a failing one stops no other."""
        answers: list[Rows | ServerError] = []
        if len(statements) > 1 and self._greeting.capabilities & wire.MULTI_STATEMENTS:
            answers += [one for one in await self._query("; ".join(statements)) if not isinstance(one, ServerError)]
        for statement in statements[len(answers) :]:
            answers.append((await self._query(statement))[0])
        return answers

    async def _query(self, sql: str) -> list[Rows | ServerError]:
        """The result of each statement, up to the first that fails."""
        packet = await self._command(_QUERY + sql.encode())
        results: list[Rows | ServerError] = []
        while True:
            if packet[0] == wire.ERROR:
                return [*results, wire.server_error(packet)]
            if packet[0] == wire.LOCAL_INFILE:
                raise Malformed("it wants a local file")
            if packet[0] == wire.OK:
                rows: Rows | ServerError = []
                status = wire.status_of_ok(packet)
            else:
                rows, status = await self._rows()
            results.append(rows)
            if not status & wire.MORE_RESULTS or isinstance(rows, ServerError):
                return results
            packet = await self._packet()

    async def _rows(self) -> tuple[Rows | ServerError, int]:
        """The rows of a text result after its head, and the status flags at its end."""
        while not wire.is_eof(await self._packet()):
            pass  # what the columns are like
        rows: Rows = []
        while len(rows) <= _MOST_ROWS:
            packet = await self._packet()
            if packet[0] == wire.ERROR:
                return wire.server_error(packet), 0
            if wire.is_eof(packet):
                return rows, wire.status_of_eof(packet)
            rows.append(wire.row(packet))
        raise Malformed("rows without end")

    async def _command(self, payload: bytes) -> bytes:
        self._sequence = 0
        await self._send(payload)
        return await self._packet()

    async def _packet(self) -> bytes:
        header = await self.reader.exactly(4)
        length = int.from_bytes(header[:3], "little")
        if not 0 < length <= _LONGEST_PACKET:
            raise Malformed("a length that no answer has")
        self._sequence = header[3] + 1
        return await self.reader.exactly(length)

    async def _send(self, payload: bytes) -> None:
        await self.stream.send(wire.packet(self._sequence, payload))
        self._sequence += 1


#: The errors whose text names the client as the server sees it.
_NAMES_CLIENT = frozenset({1129, 1130, ACCESS_DENIED, ACCESS_DENIED_NO_PASSWORD})


def _last_address(message: str) -> str | None:
    """The last IP address between quotes, of 'user'@'host' the host; or at the end: `client ip is 192.0.2.1`."""
    for word in reversed([*re.findall(r"'([0-9A-Fa-f:.]+)'", message), *re.findall(r" ([0-9A-Fa-f:.]+)$", message)]):
        try:
            return str(ipaddress.ip_address(word))
        except ValueError:
            continue
    return None


def _int(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _float(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
