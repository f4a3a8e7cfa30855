"""The conversation with one Oracle listener and the database behind it: a method a stage."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tasks.evidence import Recorder, StageFailed
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry, Unsupported
from tasks.protocols.advertised import reach
from tasks.protocols.hanging_up import look_again
from tasks.protocols.oracle import wire
from tasks.protocols.oracle.answers import ABOUT_TARGET
from tasks.protocols.oracle.gate import Gate
from tasks.protocols.oracle.wire import Malformed, Packet
from tasks.protocols.tls_first import TlsFirst
from tasks.streams import Reader, Stream, StreamBroken, printable
from tasks.tls import start_tls

if TYPE_CHECKING:
    from oracledb import AsyncConnection

#: Times that a listener may ask for the same again, and listeners that a client may be sent through.
_MOST_RESENDS, _MOST_REDIRECTS = 4, 3

#: Schemas that every account can read something of.
_ORACLES_OWN = (
    "('SYS', 'SYSTEM', 'PUBLIC', 'XDB', 'MDSYS', 'CTXSYS', 'ORDSYS', 'ORDDATA', 'WMSYS', 'OLAPSYS', 'LBACSYS')"
)
_READABLE = f"""
SELECT name FROM (
    SELECT table_name AS name FROM user_tables
    UNION ALL SELECT view_name FROM user_views
    UNION ALL SELECT table_schema || '.' || table_name FROM all_tab_privs
        WHERE privilege IN ('SELECT', 'READ') AND table_schema NOT IN {_ORACLES_OWN}
    UNION ALL SELECT privilege FROM session_privs WHERE privilege IN ('SELECT ANY TABLE', 'READ ANY TABLE')
) WHERE ROWNUM = 1
"""  # noqa: S608 - nothing in it comes from outside
_FACTS = """
SELECT SYS_CONTEXT('USERENV', 'IP_ADDRESS'), SYS_CONTEXT('USERENV', 'DATABASE_ROLE'),
    (SELECT TO_CHAR(expiry_date, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') FROM user_users) FROM dual
"""


class OracleSession(TlsFirst):
    """One conversation with one listener; the login goes through a second one."""

    #: TCPS speaks TLS from the first byte; which database is meant is said before anybody logs in.
    order = ("tls", "greet", "admit", "target", "login", "privilege")

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.reader = Reader(stream)
        self._below = stream
        self._first = Packet(0, 0, b"")
        self._refused = 0
        self._where: tuple[str, int] | None = None
        self._gate: Gate | None = None
        self._connection: AsyncConnection | None = None

    # -- stages -------------------------------------------------------------------------------------------------------

    def read_anew(self) -> None:
        self.reader = Reader(self.stream)

    async def greet(self, recorder: Recorder) -> None:
        asked = wire.connect(self._descriptor())
        await self.stream.send(asked)
        self._first = await self._answer(first=True)
        for _ in range(_MOST_RESENDS):
            if self._first.kind != wire.RESEND:
                break
            await self._shake_hands_again(self._first)
            await self.stream.send(asked)
            self._first = await self._answer()
        recorder.see(answer=_NAMES.get(self._first.kind, str(self._first.kind)))

    async def admit(self, recorder: Recorder) -> None:
        packet = self._first
        for _ in range(_MOST_REDIRECTS):
            if packet.kind != wire.REDIRECT:
                break
            packet = await self._sent_on(packet, recorder)
        if packet.kind == wire.REFUSE:
            self._refused = wire.error_number(packet.body)
            if self._refused not in ABOUT_TARGET:
                raise StageFailed(**self._told(self._refused))
        elif packet.kind != wire.ACCEPT:
            raise Malformed("neither accepted nor refused")
        else:
            recorder.see(tns_version=wire.version(packet.body))

    async def target(self, recorder: Recorder) -> None:
        if self._refused:
            raise StageFailed(**self._told(self._refused))
        recorder.see(service=self._service, sid=self._sid)
        self.stream.close()

    async def login(self, recorder: Recorder) -> None:
        import oracledb

        budget = self.stream.budget
        gate = self._gate = await self._opened_gate()
        try:
            async with asyncio.timeout(budget.left()):
                self._connection = await oracledb.connect_async(
                    user=str(self.access.setting("username", "")),
                    password=self.access.secret("password") or "",
                    dsn=wire.descriptor("127.0.0.1", gate.port, self._service, self._sid),
                    disable_oob=True,  # urgent bytes do not go through a gate
                    tcp_connect_timeout=max(budget.left(), 0.1),
                    program="headwater",
                    machine="headwater",
                    osuser="headwater",
                    terminal="headwater",
                )
        except TimeoutError:
            raise gate.broken or StreamBroken("silent", received=self.stream.received, silent_ms=0.0) from None
        except oracledb.Error as error:
            raise self._driver_failed(error, gate) from None
        recorder.see(server_version=self._connection.version)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for name in objects:
            await self._ask(f"SELECT 1 FROM {quoted(name)} WHERE 1 = 0", object=name)  # noqa: S608 - quoted
        ((client, role, expires),) = await self._ask(_FACTS, object="the session")
        recorder.see(
            source_address_seen_by_server=client, database_role=role, account_valid_until=expires,
            objects=list(objects) or None,
        )  # fmt: skip
        if objects:
            return
        rows = await self._ask(_READABLE, object="user_tables")
        if not rows:
            raise StageFailed(nothing_readable=True, object="any table")
        recorder.see(read=str(rows[0][0]))

    async def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(min(1.0, self._below.budget.left())):
                    await self._connection.close()
        if self._gate is not None:
            await self._gate.close()
        self.stream.close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        return await look_again(self.access, stage, evidence, retry)

    # -- the listener -------------------------------------------------------------------------------------------------

    @property
    def _service(self) -> str | None:
        return self.access.setting("service_name")  # type: ignore[no-any-return]

    @property
    def _sid(self) -> str | None:
        return self.access.setting("sid")  # type: ignore[no-any-return]

    def _descriptor(self) -> str:
        return wire.descriptor(self.access.host, self.access.port, self._service, self._sid, wire.CLIENT)

    async def _answer(self, first: bool = False) -> Packet:
        try:
            head = await self.reader.exactly(wire.HEADER)
        except StreamBroken as broken:
            if not first or not self.reader.buffer or (broken.kind == "silent" and not broken.mute):
                raise
            raise self._another(b"") from None
        if first and not wire.begins_like_oracle(head):
            raise self._another(head)
        return Packet(head[4], head[5], await self.reader.exactly(wire.length_behind(head)))

    def _another(self, head: bytes) -> StageFailed:
        seen = (head + bytes(self.reader.buffer))[:64]
        return StageFailed(not_protocol=True, first_bytes=printable(seen), looks_like=identify(seen))

    async def _shake_hands_again(self, packet: Packet) -> None:
        if packet.flags & wire.TLS_AGAIN and self.access.tls.wanted:
            self.stream, _ = await start_tls(self._below, self.access.tls, self.access.host)
            self.reader = Reader(self.stream)

    async def _sent_on(self, packet: Packet, recorder: Recorder) -> Packet:
        """The answer of the listener that this one sends its clients on to."""
        length, body = int.from_bytes(packet.body[:2]), packet.body[2:]
        if len(body) < length:
            body += (await self._answer()).body[2:]
        host, port, said = wire.redirect(body[:length])
        recorder.see(redirected_to=f"{host}:{port}")
        self.stream.close()
        self._where = host, port
        await self._connect_to(host, port)
        asked = wire.connect(said or self._descriptor(), sent_on=True)
        await self.stream.send(asked)
        answer = await self._answer()
        for _ in range(_MOST_RESENDS):
            if answer.kind != wire.RESEND:
                break
            await self._shake_hands_again(answer)
            await self.stream.send(asked)
            answer = await self._answer()
        return answer

    async def _connect_to(self, host: str, port: int) -> None:
        self.stream = self._below = await reach(self.dial, self.access, host, port, "the listener of an instance")
        if self.access.tls.wanted:
            self.stream, _ = await start_tls(self.stream, self.access.tls, self.access.host)
        self.reader = Reader(self.stream)

    def _told(self, number: int) -> dict[str, Any]:
        return {
            "oracle_error": number,
            "server_said": f"ORA-{number:05d}",
            "service": self._service or self._sid,
        }

    # -- the database -------------------------------------------------------------------------------------------------

    async def _opened_gate(self) -> Gate:
        """A fresh connection for the driver, to the listener that took us."""
        host, port = self._where or (None, self.access.port)
        if host is None:
            self.stream = self._below = await self.dial(port)
            if self.access.tls.wanted:
                self.stream, _ = await start_tls(self.stream, self.access.tls, self.access.host)
        else:
            await self._connect_to(host, port)
        below = self._below

        async def renegotiate() -> Stream:
            return (await start_tls(below, self.access.tls, self.access.host))[0]

        gate = Gate(self.stream, renegotiate if self.access.tls.wanted else None)
        await gate.open()
        return gate

    async def _ask(self, sql: str, **more: Any) -> list[Any]:
        import oracledb

        connection, gate = self._connection, self._gate
        if connection is None or gate is None:
            raise Malformed("a question before the login")
        try:
            async with asyncio.timeout(self._below.budget.left()):
                with connection.cursor() as cursor:
                    await cursor.execute(sql)
                    return list(await cursor.fetchall())
        except TimeoutError:
            raise StageFailed(broken="silent", mute=True, silent_ms=0.0, received_bytes=1, **more) from None
        except oracledb.Error as error:
            raise self._driver_failed(error, gate, **more) from None

    def _driver_failed(self, error: Exception, gate: Gate, **more: Any) -> StageFailed | StreamBroken:
        """What the database said, by the number that the driver carries; else how the conversation broke."""
        told = error.args[0] if error.args else None
        number, code = getattr(told, "code", 0), str(getattr(told, "full_code", None) or "the driver's own")
        if isinstance(number, int) and number > 0:  # the database's; the driver's own have none
            return StageFailed(**self._told(number), **more)
        if gate.sent_elsewhere:
            return Unsupported("a login behind a listener that sends its clients on more than once")
        if gate.broken is not None:
            return gate.broken
        return StageFailed(driver_error=code, server_said=code, **more)


_NAMES: Mapping[int, str] = {wire.ACCEPT: "accept", wire.REFUSE: "refuse", wire.REDIRECT: "redirect"}

_PART = re.compile(r"(?:\"([^\"]+)\"|([^.@]+))(?:\.|$)")


def quoted(name: str) -> str:
    """A table's name as SQL: ``table`` or ``schema.table``; unquoted parts are upper case, as Oracle reads them."""
    return ".".join('"' + (one or two.upper().replace('"', "")) + '"' for one, two in _PART.findall(name))
