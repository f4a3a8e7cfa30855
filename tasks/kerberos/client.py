"""From a keytab to a security context: the KDC is asked over UDP and TCP at once, and each refusal is evidence."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from minikerberos.protocol.encryption import Key

from tasks.evidence import Recorder, StageFailed
from tasks.kerberos import messages
from tasks.kerberos.configuration import Configuration
from tasks.kerberos.context import Context
from tasks.kerberos.keytab import Identity
from tasks.kerberos.messages import KeyDoesNotFit, Refused, Sent, Ticket
from tasks.protocols import Dial
from tasks.streams import Reader, StreamBroken
from tasks.vantages import ConnectFailed

_PREAUTHENTICATION_REQUIRED, _RESPONSE_TOO_BIG = 25, 52
#: Seconds that the slower transport may take longer than the faster one before it counts as silent.
_GRACE = 0.5
_LONGEST_REPLY = 1 << 20
_KDC_FAILURES = (ConnectFailed, StreamBroken, StageFailed, OSError, ValueError, LookupError)


class Client:
    """Asks the KDCs of a configuration for tickets, as one identity. Raises `StageFailed` with the KDC's own code."""

    def __init__(self, configuration: Configuration, identity: Identity, dial: Dial) -> None:
        self._configuration = configuration
        self._identity = identity
        self._dial = dial
        self._service = ""
        self._ticket: Ticket | None = None
        self._sent: Sent | None = None

    async def token(self, service: str, host: str, recorder: Recorder, realm: str = "") -> bytes:
        """The first token of a security context with ``service/host``, in its host's realm unless one is given."""
        recorder.see(principal=self._identity.name, keytab_versions=self._identity.versions)
        tgt = await self._first(recorder)
        realm = realm or self._configuration.realm_of(host) or self._identity.realm
        spn = f"{service}/{host}"
        self._service = f"{spn}@{realm}"
        recorder.see(service_principal=self._service)
        if realm != self._identity.realm:
            tgt = await self._next(tgt, self._identity.realm, f"krbtgt/{realm}", recorder)
        self._ticket = await self._next(tgt, realm, spn, recorder)
        token, self._sent = messages.gss_token(self._ticket)
        return token

    def accept(self, token: bytes) -> Context | None:
        """The security context; None where the server's answer does not prove that it holds the key of its principal.

        Raises:
            StageFailed: It answers with an error.
        """
        if self._ticket is None or self._sent is None:
            return None
        try:
            reply = messages.proof_in(token, self._ticket, self._sent)
        except Refused as refused:
            raise _failed(refused, asked_for=self._service, by_the_server=True) from None
        if reply is None:
            return None
        key = reply.subkey or (self._ticket.key.enctype, self._ticket.key.contents)
        return Context(*key, subkey=reply.subkey is not None, sends=self._sent.number, expects=reply.number)

    async def _first(self, recorder: Recorder) -> Ticket:
        """A ticket-granting ticket."""
        me = self._identity
        keys = [(Key(key.kind, key.contents), key.version) for key in me.keys if key.kind in messages.KINDS]
        if not keys:
            raise StageFailed(no_usable_key=True, keytab_kinds=sorted({key.kind for key in me.keys}))
        kinds = [kind for kind in messages.KINDS if any(key.enctype == kind for key, _ in keys)]
        about = {"asked_for": f"krbtgt/{me.realm}@{me.realm}"}
        try:
            reply = await self._ask(
                me.realm, messages.first_request(me.principal, me.realm, kinds), recorder, first=True
            )
            return self._opened(reply, keys, about)
        except Refused as refused:
            if refused.code != _PREAUTHENTICATION_REQUIRED:
                raise _failed(refused, **about) from None
            wanted = [kind for kind in messages.kinds_wanted(refused.data) if kind in kinds]
        if not wanted:
            raise StageFailed(no_usable_key=True, keytab_kinds=kinds)
        key = next(key for key, _ in keys if key.enctype == wanted[0])
        try:
            reply = await self._ask(me.realm, messages.first_request(me.principal, me.realm, kinds, key), recorder)
            return self._opened(reply, keys, about)
        except Refused as refused:
            raise _failed(refused, **about) from None

    def _opened(self, reply: bytes, keys: list[tuple[Key, int]], about: dict[str, str]) -> Ticket:
        try:
            return messages.ticket_of(reply, keys)
        except KeyDoesNotFit as other:
            raise StageFailed(key_does_not_fit=True, kdc_version=other.version, **about) from None

    async def _next(self, tgt: Ticket, realm: str, service: str, recorder: Recorder) -> Ticket:
        """A ticket for a service, or for the next realm."""
        asked = f"{service}@{realm}"
        try:
            reply = await self._ask(realm, messages.service_request(tgt, realm, service), recorder)
            return self._opened(reply, [(tgt.key, 0)], {"asked_for": asked})
        except Refused as refused:
            raise _failed(refused, asked_for=asked) from None

    # -- the KDC ------------------------------------------------------------------------------------------------------

    async def _ask(self, realm: str, request: bytes, recorder: Recorder, *, first: bool = False) -> bytes:
        """The answer of the KDC that answers first."""
        kdcs = self._configuration.kdcs.get(realm, ())
        if not kdcs:
            raise StageFailed(no_kdc=True, realm=realm)
        asked = {
            asyncio.create_task(transport(host, port, request)): f"{name} {host}:{port}"
            for host, port in kdcs
            for name, transport in (("udp", self._over_udp), ("tcp", self._over_tcp))
        }
        try:
            reply = await _first_answer(asked)
            if first:
                await asyncio.wait(asked, timeout=_GRACE)
                silent = sorted(asked[one] for one in asked if not _answered(one))
                recorder.see(kdc_answers=sorted(asked[one] for one in asked if _answered(one)))
                if silent:
                    recorder.warn(kdc_silent=silent)
        finally:
            for one in asked:
                one.cancel()
        if reply is None:
            outcomes = [f"{where}: {_why(one)}" for one, where in asked.items()]
            hosts = [f"{host}:{port}" for host, port in kdcs]
            refused = all(one.endswith("ECONNREFUSED") for one in outcomes) or None
            raise StageFailed(kdc_unreachable=True, kdc_refused=refused, realm=realm, kdcs=hosts, kdc_outcomes=outcomes)
        return reply

    async def _over_udp(self, host: str, port: int, request: bytes) -> bytes:
        reply = await self._dial.ask(host, port, request)
        if reply is None:
            raise ConnectFailed(unsupported=True)
        if _refusal(reply) == _RESPONSE_TOO_BIG:
            raise ConnectFailed(errno="EMSGSIZE")  # over TCP it fits
        return reply

    async def _over_tcp(self, host: str, port: int, request: bytes) -> bytes:
        stream = await self._dial(port, host=host)
        try:
            await stream.send(struct.pack("!I", len(request)) + request)
            reader = Reader(stream)
            (length,) = struct.unpack("!I", await reader.exactly(4))
            if length > _LONGEST_REPLY:
                raise ValueError(length)
            return await reader.exactly(length)
        finally:
            stream.close()


async def _first_answer(asked: Iterable[asyncio.Task[bytes]]) -> bytes | None:
    for finished in asyncio.as_completed(list(asked)):
        try:
            return await finished
        except _KDC_FAILURES:
            continue
    return None


def _answered(task: asyncio.Task[bytes]) -> bool:
    """Whether it ended well, or was never possible from here."""
    if not task.done():
        return False
    error = task.exception()
    possible = getattr(error, "evidence", {}) if error else {}
    return error is None or bool(possible.get("unsupported")) or possible.get("errno") == "EMSGSIZE"


def _why(task: asyncio.Task[bytes]) -> str:
    error = task.exception() if task.done() and not task.cancelled() else None
    evidence = error.evidence if isinstance(error, (ConnectFailed, StageFailed)) else {}
    if isinstance(error, StreamBroken):
        return error.kind
    if evidence.get("unsupported"):
        return "cannot be asked from here"
    return str(evidence.get("errno") or evidence.get("rcode") or evidence.get("forbidden") or "no answer")


def _refusal(reply: bytes) -> int | None:
    try:
        messages.ticket_of(reply, [])
    except Refused as refused:
        return refused.code
    except (KeyDoesNotFit, ValueError, LookupError):
        pass
    return None


def _failed(refused: Refused, **about: Any) -> StageFailed:
    skew = (refused.server_time - datetime.now(UTC)).total_seconds()
    return StageFailed(
        kerberos_error=refused.code, server_said=f"KRB-ERROR {refused.code}", clock_skew_s=round(skew), **about
    )
