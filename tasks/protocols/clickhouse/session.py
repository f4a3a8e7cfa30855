"""One conversation with one ClickHouse server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry
from tasks.protocols.clickhouse.native import NativeWire, Refusal
from tasks.protocols.hanging_up import over_tls
from tasks.protocols.http.rest import OTHER_SERVICE, RestSession
from tasks.streams import Stream, printable
from tasks.tls import may_want_tls, start_tls

_UNKNOWN_TABLE = 60
#: What the native port answers to HTTP: no status line of a service, but a hint for people.
_NATIVE_HINT = b"clickhouse-client"
#: Tables that are tried for one that may be read.
_TRIES = 5
_NAME = re.compile(r"[^`\\\x00-\x1f]+")
_CODE = re.compile(rb"Code: ([0-9]{1,5})")


class ClickHouseSession(RestSession):
    """One conversation with one server, over HTTP or natively."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self._native = bool(access.setting("native", False))
        self._database = str(access.setting("database", "default"))
        self._wire: NativeWire | None = None
        self._access_by_sql: bool | None = None

    # -- stages -------------------------------------------------------------------------------------------------------

    async def greet(self, recorder: Recorder) -> None:
        if self._native:
            recorder.see(spoken="native protocol", **await self._greeted())
            return
        reply = await self.ask("GET", "/ping")
        if reply.status == 400 and _NATIVE_HINT in reply.body:
            raise StageFailed(wrong_interface="the native protocol", wanted="HTTP")
        if reply.status != 200 or reply.body.strip() != b"Ok.":
            named = any(name.startswith("x-clickhouse") for name in reply.head.headers)
            if not named:
                raise StageFailed(not_protocol=True, looks_like=OTHER_SERVICE, first_bytes=f"HTTP {reply.status}")
        recorder.see(spoken="HTTP", server_display_name=reply.header("x-clickhouse-server-display-name"))

    async def admit(self, recorder: Recorder) -> None:
        raise StageSkipped("the protocol tells admission only together with the account")

    async def login(self, recorder: Recorder) -> None:
        answer = await self._logged_in() if self._native else await self._rows("SELECT version()")
        if isinstance(answer, Refusal):
            raise _refused(answer)
        version = answer if isinstance(answer, str) else next(iter(answer), None)
        self._access_by_sql = access_by_sql(version)
        recorder.see(authenticated=True, server_version=version)

    async def target(self, recorder: Recorder) -> None:
        if not _NAME.fullmatch(self._database):
            raise StageFailed(bad_name=self._database)
        # Whether the database is there and may be entered is said before the table is looked for.
        answer = await self._rows(f"SELECT toUInt8(1) FROM `{self._database}`.`headwater probe`")  # noqa: S608
        if isinstance(answer, Refusal) and answer.code != _UNKNOWN_TABLE:
            raise _refused(answer, access_by_sql=self._access_by_sql)
        recorder.see(database=self._database)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for name in objects:
            refusal = await self._read(name)
            if refusal is not None:
                raise self._denied(refusal, name, name)
        if objects:
            recorder.see(objects=list(objects))
            return
        here = _literal(self._database)
        tables = await self._rows(f"SELECT name FROM system.tables WHERE database = {here} LIMIT {_TRIES}")  # noqa: S608
        if isinstance(tables, Refusal):
            raise self._denied(tables, "system.tables", "system.tables")
        refusals = []
        for table in tables:
            refusals.append(await self._read(table))
            if refusals[-1] is None:
                recorder.see(read=table)
                return
        if not tables:
            recorder.warn(nothing_to_read="the database shows this account no table")
        elif refusals[0] is not None:
            several = f"any of the first {len(tables)} tables of {self._database}"
            raise self._denied(refusals[0], several, f"{self._database}.*")

    def _denied(self, refusal: Refusal, told: str, table: str) -> StageFailed:
        parts = table.split(".", 1) if "." in table else [self._database, table]
        table_sql = ".".join(part if part == "*" else written(part) for part in parts)
        return _refused(refusal, object=told, table_sql=table_sql, access_by_sql=self._access_by_sql)

    async def close(self) -> None:
        if self._wire is not None:
            self._wire.stream.close()
        await super().close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """Who hangs up on plaintext is asked over TLS; who hangs up on TLS is asked without."""
        wanted = self.access.tls.wanted
        if stage == "greet" and not wanted and may_want_tls(evidence):
            return await over_tls(self.access, retry)
        if stage == "greet" and self._native and evidence.get("looks_like") == "HTTP":
            return {"http_there": True}
        if stage == "tls" and "verify_code" not in evidence and "bad_file" not in evidence:
            outcome = await retry(self.access.over(replace(self.access.tls, mode="disable")), until="greet")
            return {"in_clear": "answers"} if outcome.stage is None else {}
        return {}

    # -- both interfaces ----------------------------------------------------------------------------------------------

    async def _greeted(self) -> dict[str, Any]:
        """A greeting without a password. Its refusal is an answer, too."""
        wire = NativeWire(self.stream)
        await wire.greet("default")
        first = await wire.reader.peek(32)
        looks_like = identify(first)
        if first.startswith(b"HTTP/") or looks_like not in (None, "ClickHouse") or first[0] not in (0, 2):
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=looks_like)
        answer = await wire.greeted()
        wire.stream.close()
        return {"greeting": f"refused with code {answer.code}" if isinstance(answer, Refusal) else answer}

    async def _read(self, table: str) -> Refusal | None:
        """Why a table cannot be read; None where it can."""
        parts = table.split(".", 1) if "." in table else [self._database, table]
        if not all(_NAME.fullmatch(part) for part in parts):
            raise StageFailed(bad_name=table)
        named = ".".join(f"`{part}`" for part in parts)
        answer = await self._rows(f"SELECT toUInt8(count()) FROM (SELECT * FROM {named} LIMIT 1)")  # noqa: S608
        return answer if isinstance(answer, Refusal) else None

    async def _logged_in(self) -> str | Refusal:
        """Log in on a connection of its own; gives the server's name and version."""
        stream = await self.dial()
        self._wire = NativeWire(stream)
        if self.access.tls.wanted:
            secured, _ = await start_tls(stream, self.access.tls, self.access.host)
            self._wire = NativeWire(secured)
        await self._wire.greet(str(self.access.setting("username", "")), self.access.secret("password") or "")
        return await self._wire.greeted()

    async def _rows_natively(self, query: str) -> list[str] | Refusal:
        # After an exception a server is out of step with what was sent: the next query has its own connection.
        if self._wire is None and isinstance(again := await self._logged_in(), Refusal):
            return again
        assert self._wire is not None  # noqa: S101 - just logged in
        answer = await self._wire.rows(query)
        if isinstance(answer, Refusal):
            self._wire.stream.close()
            self._wire = None
        return answer

    async def _rows(self, query: str) -> list[str] | Refusal:
        """The first column of a result."""
        if self._native:
            return await self._rows_natively(query)
        account = {
            "x-clickhouse-user": str(self.access.setting("username", "")),
            "x-clickhouse-key": self.access.secret("password") or "",
        }
        reply = await self.ask("POST", "/", account, f"{query} FORMAT TabSeparated".encode())
        if reply.status == 200:
            return reply.body.decode("utf-8", "replace").splitlines()
        code = reply.head.headers.get("x-clickhouse-exception-code") or _written(reply.body)
        if code is None or not code.isdigit():
            raise StageFailed(http_status=reply.status, server_said=f"HTTP {reply.status}")
        return Refusal(int(code), "")


def _written(body: bytes) -> str | None:
    """The code that servers before 19.x write at the beginning of the body only."""
    found = _CODE.match(body)
    return found[1].decode() if found else None


def _literal(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def written(name: str) -> str:
    """One name for people to copy into a statement: in backticks where it needs them."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else f"`{name.replace('`', '``')}`"


def access_by_sql(version: str | None) -> bool | None:
    """Whether a server has GRANT: from 20.4 on (changelog of ClickHouse 20.4); None where its version is not told."""
    found = re.search(r"(\d+)\.(\d+)", version or "")
    return (int(found[1]), int(found[2])) >= (20, 4) if found else None


def _refused(refusal: Refusal, **more: Any) -> StageFailed:
    return StageFailed(error_code=refusal.code, server_said=f"code {refusal.code}", **more)
