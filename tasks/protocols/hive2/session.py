"""One conversation with one HiveServer2."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.evidence import Recorder, StageFailed
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry, Unsupported
from tasks.protocols.hive2.wire import BAD, COMPLETE, ERROR, PROCEED, START, Status, Wire, handle, text_columns
from tasks.protocols.tls_first import TlsFirst
from tasks.streams import Stream, StreamBroken, printable
from tasks.tls import TlsMaterial, may_want_tls, start_tls
from tasks.vantages import ConnectFailed

#: A mechanism that no server has.
_NO_MECHANISM, _GSSAPI = b"HEADWATER", b"GSSAPI"
_NAME = re.compile(r"[^`\x00-\x1f]+")
#: The part of the time left in which a server says that it has no such mechanism.
_PATIENCE = 0.3


class HiveSession(TlsFirst):
    """One conversation with one HiveServer2."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        properties = {key.lower(): value for key, value in access.connection.properties.items()}
        self._kerberos = access.setting("security_protocol") == "authTypeKerberos"
        self._bare = properties.get("auth", "").lower() == "nosasl" and not self._kerberos
        self._over_http = properties.get("transportmode", "").lower() == "http"
        self._server_principal = properties.get("principal", "")
        self._database = str(access.setting("database", "default"))
        self._wire = Wire(stream)
        self._session = b""

    # -- stages -------------------------------------------------------------------------------------------------------

    async def greet(self, recorder: Recorder) -> None:
        if self._over_http:
            raise Unsupported("HiveServer2 over HTTP (transportMode=http)")
        wire = Wire(self.stream)
        await wire.sasl((START, _NO_MECHANISM))
        try:
            first = await wire.reader.peek(48)
        except StreamBroken as broken:
            # A server without SASL takes the frame for a message that is none.
            if not self._bare or broken.kind not in ("eof", "reset"):
                raise
            recorder.see(spoken="Thrift without SASL")
            return
        looks_like = identify(first)
        if first[0] not in (BAD, ERROR) or looks_like not in (None, "HiveServer2"):
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=looks_like)
        await wire.sasl_answer()
        if self._bare:
            raise StageFailed(wants_sasl=True)
        recorder.see(spoken="Thrift within SASL")

    async def login(self, recorder: Recorder) -> None:
        username = str(self.access.setting("username", "anonymous"))
        password = self.access.secret("password") or "anonymous"
        self._wire = Wire(await self._again(), framed=not self._bare)
        if self._kerberos:
            await self._log_in_by_ticket(recorder)
        elif not self._bare:
            await self._wire.sasl((START, b"PLAIN"), (PROCEED, f"\0{username}\0{password}".encode()))
            status, _ = await self._wire.sasl_answer()
            if status != COMPLETE:
                raise StageFailed(sasl_status=status, server_said=f"SASL status {status}")
        answer = await self._wire.open_session(username, password)
        if not answer.good:
            raise _refused(answer)
        self._session = handle(answer, 3)
        recorder.see(authenticated=True, login_mode=self.access.setting("login_mode"))

    async def target(self, recorder: Recorder) -> None:
        await self._run(f"USE {self._quoted(self._database)}")
        recorder.see(database=self._database)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for name in objects:
            await self._read(name)
        if objects:
            recorder.see(objects=list(objects))
            return
        tables = await self._tables()
        if tables:
            await self._read(tables[0])
            recorder.see(read=tables[0])
        else:
            recorder.warn(nothing_to_read="the database shows this account no table")

    async def close(self) -> None:
        self._wire.stream.close()
        self.stream.close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """What a server that hangs up wanted, and whether it refused the account or the mechanism."""
        wanted = self.access.tls.wanted
        if stage == "greet" and not wanted and may_want_tls(evidence):
            outcome = await retry(self.access.over(TlsMaterial(mode="require")), until="greet")
            over_tls = outcome.stage not in ("connect", "tls")
            return {"over_tls": "answers"} if over_tls else {"without_sasl": await self._speaks_bare() or None}
        if stage == "tls" and "verify_code" not in evidence and "bad_file" not in evidence:
            outcome = await retry(self.access.over(replace(self.access.tls, mode="disable")), until="greet")
            return {"in_clear": "answers"} if outcome.stage is None else {}
        if stage == "login" and evidence.get("sasl_status") in (BAD, ERROR):
            if not await self._refuses_mechanism():
                return {}
            return {"mechanism_refused": True} | ({"kerberos_refused": "mechanism"} if self._kerberos else {})
        return {}

    # -- Kerberos -----------------------------------------------------------------------------------------------------

    async def _log_in_by_ticket(self, recorder: Recorder) -> None:
        from tasks.kerberos.access import client_of
        from tasks.kerberos.sasl import Service, authenticate

        start = [(START, _GSSAPI)]

        async def exchange(token: bytes) -> bytes:
            await self._wire.sasl(*start, (PROCEED, token))
            start.clear()
            status, said = await self._wire.sasl_answer()
            if status in (BAD, ERROR):
                raise StageFailed(sasl_status=status, server_said=f"SASL status {status}")
            return said

        ours, servers = self._principals()
        service = Service.parse(servers, self.access.host)
        await authenticate(client_of(self.access, self.dial, ours), service, recorder, exchange)

    def _principals(self) -> tuple[str, str]:
        """The client's and the server's.

        JDBC has the server's as `principal`, DataWorks the client's. One that the keytab has no key of and that names
        the server's host, or stands for it, is the server's.
        """
        from tasks.kerberos.access import keytab_has
        from tasks.kerberos.sasl import ANY_HOST

        given, username = str(self.access.setting("principal", "")), str(self.access.setting("username", ""))
        instance = given.partition("@")[0].partition("/")[2]
        if instance in (ANY_HOST, self.access.host) and not keytab_has(self.access, given):
            return username, given
        return given or username, self._server_principal or f"hive/{ANY_HOST}"

    # -- conversations ------------------------------------------------------------------------------------------------

    async def _again(self) -> Stream:
        stream = await self.dial()
        if self.access.tls.wanted:
            stream, _ = await start_tls(stream, self.access.tls, self.access.host)
        return stream

    async def _speaks_bare(self) -> bool:
        """Whether the server answers a call outside any SASL exchange; no password is sent."""
        try:
            answer = await Wire(await self._again(), framed=False).open_session("anonymous", "")
        except (ConnectFailed, StreamBroken):
            return False
        return answer.good or bool(answer.sql_state)

    async def _refuses_mechanism(self) -> bool:
        """Whether the server refuses the mechanism itself: it says so at once, and otherwise waits for the account."""
        try:
            wire = Wire(await self._again())
            await wire.sasl((START, _GSSAPI if self._kerberos else b"PLAIN"))
            async with asyncio.timeout(wire.stream.budget.left() * _PATIENCE):
                status, _ = await wire.sasl_answer()
        except (TimeoutError, ConnectFailed, StreamBroken):
            return False
        return status in (BAD, ERROR)

    async def _run(self, statement: str, **more: Any) -> Status:
        answer = await self._wire.execute(self._session, statement)
        if not answer.good:
            raise _refused(answer, **more)
        return answer

    async def _tables(self) -> list[str]:
        answer = await self._run("SHOW TABLES", object="the list of tables")
        rows = await self._wire.fetch(handle(answer, 2), 100)
        columns = text_columns(rows)
        # Spark's server puts the database before the table.
        return columns[1 if len(columns) > 1 else 0] if columns else []

    async def _read(self, name: str) -> None:
        table = ".".join(self._quoted(part) for part in name.split(".", 1))
        answer = await self._run(f"SELECT * FROM {table} LIMIT 1", object=name)  # noqa: S608
        rows = await self._wire.fetch(handle(answer, 2), 1)
        if not rows.good:
            raise _refused(rows, object=name)

    def _quoted(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise StageFailed(bad_name=name)
        return f"`{name}`"


def _refused(answer: Status, **more: Any) -> StageFailed:
    said = f"SQL state {answer.sql_state or 'none'}, error {answer.error}"
    return StageFailed(hive_error=answer.error, sql_state=answer.sql_state, refused=True, server_said=said, **more)
