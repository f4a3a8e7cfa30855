"""The greeting of a hop's SSH server; where none comes, who else answers at that port."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from tasks import strangers
from tasks.evidence import StageFailed
from tasks.fingerprints import identify
from tasks.ssh import SshConnection
from tasks.strangers import Connect
from tasks.streams import StreamBroken
from tasks.vantages import ConnectFailed

#: Seconds after which others are asked beside a greeting that has not come; servers of SSH speak first.
_PATIENCE = 0.5
#: Seconds for the questions.
_ASK = 1.0


async def greet(connection: SshConnection, connect: Connect) -> None:
    """Exchange version lines.

    Raises:
        StageFailed: Something else answers there, ``looks_like``; or as `SshConnection.greet`.
        StreamBroken: As there.
    """
    greeting = asyncio.ensure_future(connection.greet())
    try:
        await asyncio.wait({greeting}, timeout=_PATIENCE)
        if not greeting.done() or _without_a_word(greeting.exception()):
            stranger = await _stranger(connect)
            if stranger is not None and not (greeting.done() and greeting.exception() is None):
                raise StageFailed(not_protocol=True, looks_like=stranger)
        await greeting
    finally:
        greeting.cancel()
        await asyncio.gather(greeting, return_exceptions=True)


def _without_a_word(error: BaseException | None) -> bool:
    return isinstance(error, StreamBroken) and not error.received


async def _stranger(connect: Connect) -> str | None:
    """The protocol of a peer that is no SSH server; None where it tells none."""
    try:
        seen, tls = await asyncio.gather(strangers.asked(connect, _ASK), _speaks_tls(connect))
    except StageFailed:  # the hop before it
        return None
    name = seen.get("looks_like")
    if tls:
        return "TLS" if name in (None, "TLS") else f"{name} over TLS"
    return None if name == "SSH" else name


async def _speaks_tls(connect: Connect) -> bool:
    try:
        stream = await connect()
    except ConnectFailed:
        return False
    try:
        async with asyncio.timeout(_ASK):
            await stream.send(_hello())
            return identify(await stream.receive(64)) == "TLS"
    except (TimeoutError, StreamBroken):
        return False
    finally:
        stream.close()


def _hello() -> bytes:
    """The first message of a TLS client that trusts anybody: it sends nothing afterwards."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()
