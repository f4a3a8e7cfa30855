"""The conversation with one HANA: a method a stage."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry
from tasks.protocols.hanging_up import look_again
from tasks.protocols.saphana import wire
from tasks.protocols.saphana.answers import INSUFFICIENT_PRIVILEGE
from tasks.protocols.saphana.wire import Malformed, Part
from tasks.protocols.tls_first import TlsFirst
from tasks.streams import Reader, Stream, StreamBroken, printable

_READABLE = """
SELECT TOP 1 X FROM (
    SELECT 1 AS X FROM SYS.TABLES WHERE SCHEMA_NAME = CURRENT_USER
    UNION ALL SELECT 1 AS X FROM SYS.VIEWS WHERE SCHEMA_NAME = CURRENT_USER
    UNION ALL SELECT 1 AS X FROM SYS.EFFECTIVE_PRIVILEGES
        WHERE USER_NAME = CURRENT_USER AND PRIVILEGE = 'SELECT' AND OBJECT_TYPE IN ('TABLE', 'VIEW', 'SCHEMA')
        AND SCHEMA_NAME IS NOT NULL AND SCHEMA_NAME NOT LIKE '%SYS%'
)
"""


class SaphanaSession(TlsFirst):
    """One conversation with one HANA."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.reader = Reader(stream)
        self._session, self._number = -1, -1
        self._logged_in = False

    # -- stages -------------------------------------------------------------------------------------------------------

    def read_anew(self) -> None:
        self.reader = Reader(self.stream)

    async def greet(self, recorder: Recorder) -> None:
        await self.stream.send(wire.INITIALIZATION)
        try:
            answer = await self.reader.exactly(wire.INITIALIZED)
        except StreamBroken as broken:
            if not self.reader.buffer or (broken.kind == "silent" and not broken.mute):
                raise
            raise self._another(b"") from None
        looks_like = identify(answer + bytes(self.reader.buffer))
        try:
            recorder.see(server_version=wire.version(answer))
        except Malformed:
            raise self._another(answer) from None
        if looks_like is not None or self.reader.buffer:
            # Eight bytes are little to know a protocol by; nobody says more unasked.
            raise self._another(answer)

    def _another(self, seen: bytes) -> StageFailed:
        first = (seen + bytes(self.reader.buffer))[:64]
        return StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=identify(first))

    async def login(self, recorder: Recorder) -> None:
        user, password = str(self.access.setting("username", "")).encode(), self.access.secret("password")
        if password is None:
            raise StageFailed(no_password=True)
        challenge = os.urandom(64)
        offer = wire.fields(user, wire.PBKDF2, challenge, wire.SHA256, challenge)
        found = await self._ask(wire.AUTHENTICATE, (wire.AUTHENTICATION, offer))
        method, answer = wire.chosen(wire.unpacked(_only(found, wire.AUTHENTICATION).data))
        recorder.see(method=printable(method))
        if method not in (wire.PBKDF2, wire.SHA256):
            raise StageFailed(method=printable(method), unsupported=True)
        proof = wire.proof(method, password, challenge, answer)
        await self._ask(
            wire.CONNECT,
            (wire.AUTHENTICATION, wire.fields(user, method, proof)),
            (wire.CLIENT_ID, b"headwater@headwater"),
            (wire.CONNECT_OPTIONS, wire.options()),
        )
        self._logged_in = True

    async def target(self, recorder: Recorder) -> None:
        database = self.access.setting("database")
        if database is None:
            raise StageSkipped("no database is configured")
        literal = str(database).upper().replace("'", "''")
        try:
            found = await self._rows(f"SELECT 1 FROM SYS.M_DATABASE WHERE UPPER(DATABASE_NAME) = '{literal}'")  # noqa: S608
        except StageFailed as failure:
            if failure.evidence.get("hana_error") != INSUFFICIENT_PRIVILEGE:
                raise
            raise StageSkipped("the account may not ask which database this is") from None
        if not found:
            raise StageFailed(database_missing=True)
        recorder.see(database=database)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for name in objects:
            await self._rows(f"SELECT 1 FROM {quoted(name)} WHERE 1 = 0", object=name)  # noqa: S608 - quoted
        if objects:
            recorder.see(objects=list(objects))
        elif not await self._rows(_READABLE, object="any table"):
            raise StageFailed(nothing_readable=True, object="any table")
        else:
            recorder.see(read="a table or view of its own, or one that it was granted")

    async def close(self) -> None:
        try:
            if self._logged_in:
                self._number += 1
                await self.stream.send(wire.request(self._session, self._number, wire.DISCONNECT))
        except Exception:  # noqa: S110 - a goodbye is never worth an error
            pass
        self.stream.close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        return await look_again(self.access, stage, evidence, retry)

    # -- questions ----------------------------------------------------------------------------------------------------

    async def _rows(self, sql: str, **more: Any) -> int:
        """How many rows a statement's first answer has."""
        found = await self._ask(wire.EXECUTE, (wire.COMMAND, sql.encode()), **more)
        return sum(part.count for part in found if part.kind == wire.RESULT_SET)

    async def _ask(self, kind: int, *parts: tuple[int, bytes], **more: Any) -> list[Part]:
        """The parts of the answer. Raises `StageFailed` with the number of an error."""
        self._number += 1
        await self.stream.send(wire.request(self._session, self._number, kind, *parts))
        head = await self.reader.exactly(wire.HEADER)
        found = wire.parts(await self.reader.exactly(wire.length_behind(head)))
        self._session = wire.session_of(head)
        error = next((part for part in found if part.kind == wire.ERROR), None)
        if error is not None:
            number = wire.error_number(error.data)
            raise StageFailed(hana_error=number, server_said=f"error {number}", **more)
        return found


def _only(found: list[Part], kind: int) -> Part:
    part = next((one for one in found if one.kind == kind), None)
    if part is None:
        raise Malformed("an answer without what was asked for")
    return part


_PART = re.compile(r"(?:\"((?:[^\"]|\"\")+)\"|([^.]+))(?:\.|$)")


def quoted(name: str) -> str:
    """A table's name as SQL: ``table`` or ``schema.table``; unquoted parts are upper case, as HANA reads them."""
    parts = [one.replace('""', '"') or two.upper() for one, two in _PART.findall(name)]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
