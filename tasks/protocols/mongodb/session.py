"""The conversation with one MongoDB server: a method a stage, and the questions behind them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Access, Dial, Retry
from tasks.protocols.advertised import reach
from tasks.protocols.hanging_up import look_again
from tasks.protocols.mongodb import wire
from tasks.protocols.mongodb.answers import COMMAND_NOT_FOUND, UNAUTHORIZED
from tasks.protocols.mongodb.wire import Document, Malformed
from tasks.protocols.tls_first import TlsFirst
from tasks.streams import Reader, Stream, StreamBroken, printable

_SHA1, _SHA256, _X509, _PLAIN = "SCRAM-SHA-1", "SCRAM-SHA-256", "MONGODB-X509", "PLAIN"
#: Collections tried for one that may be read.
_MOST_TRIES = 20
#: Any member may answer: what is asked here is the same on all of them.
_ANY_MEMBER = {"mode": "primaryPreferred"}


class MongodbSession(TlsFirst):
    """One conversation with one MongoDB server."""

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        super().__init__(stream, access, dial)
        self.reader = Reader(stream)
        self._number = 0
        self._hello: Document = {}
        self._over_tls = False
        self._privileges: list[Document] = []
        self._sees_all = False
        self._database = str(access.setting("database", ""))

    # -- stages -------------------------------------------------------------------------------------------------------

    def read_anew(self) -> None:
        self.reader = Reader(self.stream)
        self._over_tls = True

    async def greet(self, recorder: Recorder) -> None:
        user = f"{self._login_database}.{self.access.setting('username', '')}"
        self._hello = await self._greeted({"hello": 1, "helloOk": True, "saslSupportedMechs": user, "$db": "admin"})
        if self._hello.get("code") == COMMAND_NOT_FOUND:
            self._hello = await self._ask("isMaster", saslSupportedMechs=user, database="admin")
        if not self._hello.get("ok"):
            raise self._failed(self._hello)
        if "maxWireVersion" not in self._hello:
            raise Malformed("a server without a version of its protocol")
        recorder.see(
            wire_version=_number(self._hello.get("maxWireVersion")),
            replica_set=_text(self._hello.get("setName")),
            role=_role(self._hello),
            primary=_text(self._hello.get("primary")),
            clock_skew_s=_skew(self._hello.get("localTime")),
        )

    async def _greeted(self, hello: Document) -> Document:
        """The first answer, if it is MongoDB's."""
        self._number += 1
        await self.stream.send(wire.message(self._number, hello))
        first = await self.reader.peek(64)
        # Bytes of another protocol are known at once; those of a header may look like many things.
        looks_like = identify(first)
        if len(first) < wire.HEADER and looks_like is not None:
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=looks_like)
        try:
            head = await self.reader.exactly(wire.HEADER)
        except StreamBroken as broken:
            if broken.kind == "silent" and not broken.mute:
                raise
            head = b""
        if not head or not wire.begins_like_mongodb(head, self._number):
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=looks_like)
        return wire.document(head, await self.reader.exactly(wire.length_behind(head)))

    async def admit(self, recorder: Recorder) -> None:
        """The server takes part in its replica set, and drivers get from it to the member that they need."""
        role, wanted = _role(self._hello), self._property("replicaset")
        actual = _text(self._hello.get("setName"))
        if wanted and actual and wanted != actual:
            raise StageFailed(wrong_set=True, wanted_set=wanted, replica_set=actual)
        if role in ("arbiter", "none"):
            raise StageFailed(role=role, replica_set=actual)
        if actual is None or self._property("directconnection") == "true":
            if role == "secondary" and self._wants_primary:
                raise StageFailed(wrong_role=True, role=role)
            raise StageSkipped("the server is asked directly")
        primary = _text(self._hello.get("primary"))
        if role == "secondary" and self._wants_primary and primary is None:
            raise StageFailed(role="no primary", replica_set=actual)
        if role == "secondary" and primary is not None and self._goes_to_members:
            # A driver that is told the set's name leaves this address for the ones that the members go by.
            host, _, port = primary.rpartition(":")
            (await reach(self.dial, self.access, host.strip("[]"), int(port), "the primary")).close()
        recorder.see(replica_set=actual, members=[str(host) for host in self._hello.get("hosts", ())])

    async def login(self, recorder: Recorder) -> None:
        mechanism = self._mechanism()
        if mechanism == _X509:
            await self._login_by_certificate()
        elif not self.access.setting("username"):
            raise StageSkipped("no credentials are configured")
        elif mechanism == _PLAIN:
            await self._login_in_plain()
        elif mechanism in (_SHA1, _SHA256):
            await self._login_by_scram(mechanism)
        else:
            raise StageFailed(method=mechanism, unsupported=True)
        recorder.see(method=mechanism, authentication_database=self._login_database)

    async def target(self, recorder: Recorder) -> None:
        await self._learn_privileges(recorder)
        listed = await self._ask("listDatabases", nameOnly=True, filter={"name": self._database}, database="admin")
        if _is_failure(listed) and listed.get("code") != UNAUTHORIZED:
            raise self._failed(listed)
        if self._database not in [_text(one.get("name")) for one in _documents(listed.get("databases"))]:
            raise StageFailed(
                database_missing=True, may_know=self._sees_all or self._may_find() or None, database=self._database
            )
        recorder.see(database=self._database)

    async def privilege(self, recorder: Recorder) -> None:
        for name in self.access.connection.objects:
            answer = await self._find(name)
            if _is_failure(answer):
                raise self._failed(answer, object=name)
            if not _rows(answer) and name not in await self._collections(name):
                raise StageFailed(object_missing=True, object=name)
        if self.access.connection.objects:
            recorder.see(objects=list(self.access.connection.objects))
            return
        collections = await self._collections()
        for name in collections[:_MOST_TRIES]:
            if not _is_failure(await self._find(name)):
                recorder.see(read=name)
                return
        if collections or not (self._sees_all or self._may_find()):
            raise StageFailed(nothing_readable=True, object=f"any collection of {self._database}")
        recorder.warn(nothing_to_read="the database has no collections yet")

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        return await look_again(self.access, stage, evidence, retry)

    # -- logging in ---------------------------------------------------------------------------------------------------

    @property
    def _login_database(self) -> str:
        return "$external" if self._configured_mechanism in (_X509, _PLAIN) else str(self.access.setting("auth_db"))

    @property
    def _configured_mechanism(self) -> str | None:
        word = self._property("authmechanism")
        return word.upper() if word else None

    def _mechanism(self) -> str:
        """The configured one, else the strongest that the server offers to this account."""
        offered = self._hello.get("saslSupportedMechs")
        offered = [str(one) for one in offered] if isinstance(offered, list) else []
        usable = next((one for one in (_SHA256, _SHA1) if one in offered), None)
        return self._configured_mechanism or usable or (", ".join(offered) if offered else _SHA256)

    async def _login_by_scram(self, mechanism: str) -> None:
        from tasks.protocols import scram

        username, password = str(self.access.setting("username")), self.access.secret("password") or ""
        if mechanism == _SHA1:
            digest = hashlib.md5(f"{username}:mongo:{password}".encode(), usedforsecurity=False)
            password = digest.hexdigest()
        # Of the older mechanism's digest nothing is left to prepare (MongoDB's authentication specification).
        exchange = scram.Exchange(mechanism, username, password, prepare=mechanism == _SHA256)
        answer = await self._sasl(
            "saslStart", exchange.first(), mechanism=mechanism, options={"skipEmptyExchange": True}
        )
        conversation = answer.get("conversationId")
        answer = await self._sasl("saslContinue", exchange.final(_payload(answer)), conversationId=conversation)
        exchange.verify(_payload(answer))
        if not answer.get("done"):
            await self._sasl("saslContinue", "", conversationId=conversation)

    async def _login_in_plain(self) -> None:
        """LDAP: the password itself, so over TLS alone."""
        if not self._over_tls:
            raise StageFailed(method=_PLAIN, unsupported=True, needs_privacy=True)
        secret = self.access.secret("password") or ""
        await self._sasl("saslStart", f"\0{self.access.setting('username')}\0{secret}", mechanism=_PLAIN)

    async def _login_by_certificate(self) -> None:
        if not self._over_tls or self.access.tls.certificate is None:
            raise StageFailed(method=_X509, unsupported=True)
        answer = await self._ask("authenticate", mechanism=_X509, database="$external")
        if _is_failure(answer):
            raise self._failed(answer, method=_X509)

    async def _sasl(self, command: str, payload: str, **more: Any) -> Document:
        answer = await self._ask(command, payload=payload.encode(), database=self._login_database, **more)
        if _is_failure(answer):
            raise self._failed(answer, no_password=None if self.access.secret("password") else True)
        return answer

    # -- questions ----------------------------------------------------------------------------------------------------

    async def _learn_privileges(self, recorder: Recorder) -> None:
        """What this account may do, as every account may ask of itself."""
        answer = await self._ask("connectionStatus", showPrivileges=True, database="admin")
        info = answer.get("authInfo")
        info = info if isinstance(info, Mapping) else {}
        self._privileges = list(_documents(info.get("authenticatedUserPrivileges")))
        everybody = not _is_failure(answer) and not info.get("authenticatedUsers")
        self._sees_all = everybody or any(
            "listDatabases" in one.get("actions", ()) and _resource(one).get("cluster") for one in self._privileges
        )
        recorder.see(
            roles=[f"{one.get('role')}@{one.get('db')}" for one in _documents(info.get("authenticatedUserRoles"))]
        )

    def _may_find(self) -> bool:
        """Whether a privilege covers the whole database."""
        return any(
            "find" in one.get("actions", ())
            and (
                _resource(one).get("anyResource")
                or (_resource(one).get("db") in ("", self._database) and _resource(one).get("collection") == "")
            )
            for one in self._privileges
        )

    async def _find(self, collection: str) -> Document:
        return await self._ask(
            "find", collection, limit=1, singleBatch=True, projection={"_id": 1}, database=self._database
        )

    async def _collections(self, name: str | None = None) -> list[str]:
        """Collections and views that this account may use; all, or the one of this name."""
        only = {"filter": {"name": name}} if name else {}
        answer = await self._ask(
            "listCollections", nameOnly=True, authorizedCollections=True, database=self._database, **only
        )
        if _is_failure(answer) and answer.get("code") != UNAUTHORIZED:
            raise self._failed(answer, object=name or f"any collection of {self._database}")
        names = (_text(one.get("name")) for one in _rows(answer))
        return [one for one in names if one and not one.startswith("system.")]

    async def _ask(self, command: str, value: Any = 1, *, database: str, **arguments: Any) -> Document:
        self._number += 1
        asked = {command: value, **arguments, "$db": database, "$readPreference": _ANY_MEMBER}
        await self.stream.send(wire.message(self._number, asked))
        head = await self.reader.exactly(wire.HEADER)
        return wire.document(head, await self.reader.exactly(wire.length_behind(head)))

    def _failed(self, answer: Document, **more: Any) -> StageFailed:
        code = answer.get("code")
        told = {
            "mongodb_code": code if isinstance(code, int) else 0,
            "server_said": _text(answer.get("codeName")) or f"code {code}",
            "server_message": printable(str(answer.get("errmsg", "")).encode(), 200),
            **more,
        }
        return StageFailed(**{key: value for key, value in told.items() if value is not None})

    # -- words --------------------------------------------------------------------------------------------------------

    @property
    def _wants_primary(self) -> bool:
        return (self._property("readpreference") or "").lower() == "primary"

    @property
    def _goes_to_members(self) -> bool:
        return bool(self._property("replicaset")) or len(self.access.connection.endpoints()) > 1

    def _property(self, name: str) -> str | None:
        return {key.lower(): value for key, value in self.access.connection.properties.items()}.get(name)


def _role(hello: Document) -> str:
    if hello.get("msg") == "isdbgrid":
        return "mongos"
    if hello.get("isWritablePrimary") or hello.get("ismaster"):
        return "primary"
    if hello.get("arbiterOnly"):
        return "arbiter"
    return "secondary" if hello.get("secondary") else "none"


def _is_failure(answer: Document) -> bool:
    return not answer.get("ok")


def _payload(answer: Document) -> str:
    payload = answer.get("payload")
    if not isinstance(payload, bytes):
        raise Malformed("a login without its data")
    return payload.decode("utf-8", "replace")


def _documents(value: Any) -> Iterator[Document]:
    return (one for one in value if isinstance(one, Mapping)) if isinstance(value, list) else iter(())


def _rows(answer: Document) -> list[Document]:
    cursor = answer.get("cursor")
    return list(_documents(cursor.get("firstBatch"))) if isinstance(cursor, Mapping) else []


def _resource(privilege: Document) -> Document:
    found = privilege.get("resource")
    return found if isinstance(found, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, int) else None


def _skew(clock: Any) -> float | None:
    from datetime import UTC, datetime

    if not isinstance(clock, datetime):
        return None
    return round(clock.replace(tzinfo=UTC).timestamp() - time.time(), 3)
