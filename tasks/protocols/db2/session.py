"""The conversation with one Db2: a method a stage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry, Unsupported
from tasks.protocols.db2 import wire
from tasks.protocols.db2.answers import NO_SUCH_NAME, NOT_READABLE
from tasks.protocols.db2.wire import Code, Malformed, Reply, SqlAnswer
from tasks.protocols.hanging_up import look_again
from tasks.protocols.tls_first import TlsFirst
from tasks.streams import Reader, Stream, StreamBroken, printable

#: The longest answer that anything asked here has reason to get.
_MOST_REPLIES = 64
#: Refusals in which the server names the database rather than the account.
_ABOUT_DATABASE = frozenset({Code.RDBNFNRM, Code.RDBATHRM, Code.RDBAFLRM})
#: Where tables are listed: Db2 for Linux, UNIX and Windows, for i, for z/OS, Derby. Names come quoted.
_CATALOGUES = (
    """SELECT '"' || RTRIM(TABSCHEMA) || '"."' || TABNAME || '"' FROM SYSCAT.TABLES
    WHERE TYPE IN ('T', 'V') AND TABSCHEMA NOT LIKE 'SYS%' FETCH FIRST 20 ROWS ONLY""",
    """SELECT '"' || RTRIM(TABLE_SCHEMA) || '"."' || TABLE_NAME || '"' FROM QSYS2.SYSTABLES
    WHERE TABLE_TYPE IN ('T', 'V', 'P') AND TABLE_SCHEMA NOT LIKE 'Q%' AND TABLE_SCHEMA NOT LIKE 'SYS%'
    FETCH FIRST 20 ROWS ONLY""",
    """SELECT '"' || RTRIM(CREATOR) || '"."' || NAME || '"' FROM SYSIBM.SYSTABLES
    WHERE TYPE IN ('T', 'V') AND CREATOR NOT LIKE 'SYS%' FETCH FIRST 20 ROWS ONLY""",
    """SELECT '"' || S.SCHEMANAME || '"."' || T.TABLENAME || '"' FROM SYS.SYSTABLES T, SYS.SYSSCHEMAS S
    WHERE T.SCHEMAID = S.SCHEMAID AND T.TABLETYPE IN ('T', 'V') FETCH FIRST 20 ROWS ONLY""",
)


class Db2Session(TlsFirst):
    """One conversation with one Db2."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.reader = Reader(stream)
        self._database = str(access.setting("database", ""))
        self._refused: dict[str, Any] | None = None
        self._mechanisms: list[int] = []
        self._byteorder = "big"
        self._product = wire.JCC

    # -- stages -------------------------------------------------------------------------------------------------------

    def read_anew(self) -> None:
        self.reader = Reader(self.stream)

    async def greet(self, recorder: Recorder) -> None:
        asked = wire.structures(wire.exchange_attributes(), wire.access_security(self._database))
        await self.stream.send(asked)
        found = await self._replies(first=True)
        attributes = _first(found, Code.EXCSATRD)
        if attributes is None:
            raise Malformed("no attributes of the server")
        values = attributes.values()
        kind = _text(values.get(Code.SRVCLSNM))
        self._product = wire.DERBYS if kind and "Derby" in kind else wire.JCC
        recorder.see(server_class=kind, server_release=_text(values.get(Code.SRVRLSLV)))
        security = _first(found, Code.ACCSECRD)
        if security is None and not any(reply.more for reply in found):
            found += await self._replies()
            security = _first(found, Code.ACCSECRD)
        self._refused = self._about_database(found)
        if security is not None:
            offered = security.values().get(Code.SECMEC, b"")
            self._mechanisms = [int.from_bytes(offered[at : at + 2]) for at in range(0, len(offered), 2)]
        elif self._refused is None:
            raise self._failed(found)

    async def login(self, recorder: Recorder) -> None:
        if self._refused is not None:
            raise StageSkipped("the server asks for the database first")
        if wire.PASSWORD_IN_CLEAR not in self._mechanisms:
            raise StageFailed(method=_mechanism_names(self._mechanisms), unsupported=True)
        username, password = str(self.access.setting("username", "")), self.access.secret("password") or ""
        await self.stream.send(wire.structures(wire.security_check(self._database, username, password)))
        found = await self._replies()
        checked = _first(found, Code.SECCHKRM)
        self._refused = self._about_database(found)
        if checked is None:
            if self._refused is not None:
                raise StageSkipped("the server looks for the database before it checks the password")
            raise self._failed(found)
        code = checked.values().get(Code.SECCHKCD, b"\xff")[0]
        if code:
            raise StageFailed(secchkcd=code, server_said=f"SECCHKCD {code:#04x}", no_password=not password or None)

    async def target(self, recorder: Recorder) -> None:
        if self._refused is None:
            await self.stream.send(wire.structures(wire.access_database(self._database, self._product)))
            found = await self._replies()
            accessed = _first(found, Code.ACCRDBRM)
            self._refused = self._about_database(found)
            if accessed is None and self._refused is None:
                raise self._failed(found)
            if accessed is not None:
                values = accessed.values()
                self._byteorder = wire.byteorder_of(values.get(Code.TYPDEFNAM, b""))
                recorder.see(database=self._database, server_product=_text(values.get(Code.PRDID)))
        if self._refused is not None:
            raise StageFailed(**self._refused)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for name in objects:
            answer = await self._read(name)
            if answer.sqlcode < 0:
                raise self._sql_failed(answer, object=name)
        if objects:
            recorder.see(objects=list(objects))
            return
        tables = await self._tables()
        for name in tables:
            if (await self._read(name)).sqlcode >= 0:
                recorder.see(read=name)
                return
        if tables:
            raise StageFailed(nothing_readable=True, object=f"any table of {self._database}")
        recorder.warn(nothing_to_read="the database has no tables yet")

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        return await look_again(self.access, stage, evidence, retry)

    # -- questions ----------------------------------------------------------------------------------------------------

    async def _read(self, name: str) -> SqlAnswer:
        """What the server says to a statement that reads a table without taking a row of it."""
        sql = f"SELECT 1 FROM {quoted(name)} WHERE 1 = 0"  # noqa: S608 - quoted
        await self.stream.send(wire.prepared_and_opened(sql, self._database))
        return self._sql_answer(await self._replies(), name)

    async def _tables(self) -> list[str]:
        """Tables and views of the database, from the first catalogue that there is."""
        for catalogue in _CATALOGUES:
            await self.stream.send(wire.prepared_and_opened(catalogue, self._database))
            found = await self._replies()
            rows, description = _first(found, Code.QRYDTA), _first(found, Code.QRYDSC)
            if rows is not None and description is not None:
                return list(wire.names(rows.data, description.data, self._byteorder))
            answer = self._sql_answer(found, "the catalogue")
            if answer.sqlcode >= 0:
                return []
            if answer.sqlstate not in NO_SUCH_NAME | NOT_READABLE:
                raise self._sql_failed(answer, object="the catalogue")
        raise Unsupported("what an account may read where it sees no catalogue; bind the tables as objects")

    def _sql_answer(self, found: list[Reply], name: str) -> SqlAnswer:
        """The error among the answers to several commands; else the first answer."""
        cards = [wire.sql_answer(reply.data, self._byteorder) for reply in found if reply.code == Code.SQLCARD]
        if not cards:
            raise self._failed(found, object=name)
        return min(cards, key=lambda card: card.sqlcode)

    def _sql_failed(self, answer: SqlAnswer, **more: Any) -> StageFailed:
        told = f"SQLCODE {answer.sqlcode}, SQLSTATE {answer.sqlstate}"
        return StageFailed(sqlcode=answer.sqlcode, sqlstate=answer.sqlstate, server_said=told, **more)

    def _about_database(self, found: list[Reply]) -> dict[str, Any] | None:
        refusal = next((reply for reply in found if reply.code in _ABOUT_DATABASE), None)
        if refusal is None:
            return None
        card = _first(found, Code.SQLCARD)
        answer = wire.sql_answer(card.data, self._byteorder) if card is not None else SqlAnswer(0, "")
        name = Code(refusal.code).name
        return {"drda_reply": name, "server_said": f"{name} {answer.sqlstate}".strip(),
                "sqlcode": answer.sqlcode, "sqlstate": answer.sqlstate}  # fmt: skip

    def _failed(self, found: list[Reply], **more: Any) -> StageFailed:
        card = _first(found, Code.SQLCARD)
        if card is not None:
            return self._sql_failed(wire.sql_answer(card.data, self._byteorder), **more)
        known = [one.value for one in Code]
        names = [Code(reply.code).name if reply.code in known else f"{reply.code:#06x}" for reply in found]
        return StageFailed(drda_reply=names[0], server_said=names[0], **more)

    async def _replies(self, first: bool = False) -> list[Reply]:
        """Every reply up to the end of a chain. The first of a conversation must be DRDA's."""
        found: list[Reply] = []
        more = True
        while more:
            head = await self._head(first and not found)
            length, more = wire.structure_head(head)
            found += wire.replies(await self.reader.exactly(length), more)
            if len(found) > _MOST_REPLIES:
                raise Malformed("an answer without end")
        return found

    async def _head(self, first: bool) -> bytes:
        try:
            head = await self.reader.exactly(6)
        except StreamBroken as broken:
            if not first or not self.reader.buffer or (broken.kind == "silent" and not broken.mute):
                raise
            head = b""
        if first and (not head or not wire.begins_like_drda(head)):
            seen = (head + bytes(self.reader.buffer))[:64]
            raise StageFailed(not_protocol=True, first_bytes=printable(seen), looks_like=identify(seen))
        return head


def _first(found: list[Reply], code: int) -> Reply | None:
    return next((reply for reply in found if reply.code == code), None)


def _text(data: bytes | None) -> str | None:
    return None if data is None else printable(data.decode("cp500", "replace").strip().encode())


_MECHANISMS = {
    3: "user and password", 4: "user alone", 6: "user, password and a new one", 7: "encrypted password",
    8: "a substitute for the password", 9: "encrypted user and password", 11: "Kerberos", 15: "a plug-in",
    16: "encrypted user and password (AES)",
}  # fmt: skip


def _mechanism_names(offered: list[int]) -> str:
    return ", ".join(_MECHANISMS.get(one, f"mechanism {one}") for one in offered) or "nothing that it names"


_PART = re.compile(r"(?:\"((?:[^\"]|\"\")+)\"|([^.]+))(?:\.|$)")


def quoted(name: str) -> str:
    """A table's name as SQL: ``table`` or ``schema.table``; unquoted parts are upper case, as Db2 reads them."""
    parts = [one.replace('""', '"') or two.upper() for one, two in _PART.findall(name)]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
