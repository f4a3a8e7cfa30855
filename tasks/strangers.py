"""Which protocol a peer speaks that is not the right one: many say a word only when asked in their own words.

The questions hold no secret, and a server of any protocol takes them for a client's mistake.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from typing import Any

from tasks.fingerprints import identify
from tasks.streams import Stream, StreamBroken, printable
from tasks.vantages import ConnectFailed
from tasks.witnesses import until

#: Opens a byte stream to the peer. Raises `ConnectFailed`.
Connect = Callable[[], Awaitable[Stream]]

#: PostgreSQL hangs up on strange words, but has one letter for whoever asks for TLS in its way.
_SSL_REQUEST = struct.pack("!II", 8, 80877103)


def _by_letter_or_first_bytes(said: bytes) -> str | None:
    return "PostgreSQL" if said in (b"S", b"N") else identify(said)


@cache
def _hello() -> bytes:
    """The first words of TLS, which a server that begins with it waits for, whatever it speaks inside."""
    outgoing = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    handshake = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="nobody.invalid")
    with suppress(ssl.SSLWantReadError):
        handshake.do_handshake()
    return outgoing.read()


#: What is asked, and who answers like that.
_QUESTIONS: tuple[tuple[bytes, Callable[[bytes], str | None]], ...] = (
    # Makes many servers of line protocols answer too, if only with an error. To a GET, servers of MongoDB, Hadoop and
    # ClickHouse would answer in HTTP, which is not what they speak; the answer to HEAD is small besides.
    (b"HEAD / HTTP/1.0\r\n\r\n", identify),
    (_SSL_REQUEST, _by_letter_or_first_bytes),
    # A line for those that hang up on HTTP, as Memcached does.
    (b"PING\r\n", identify),
    # ZooKeeper hangs up on whatever is no session, but answers words of four letters, if only that this one is not
    # allowed (administrator's guide, "Four Letter Words"); srvr is by default. With the end of the line it is as long
    # as the head of a TLS record: a server of TLS would wait for what is missing.
    (b"srvr\n", identify),
)
#: The head of a TLS record, then the end of a line: TLS waits for more, whoever reads lines finds one that is wrong.
_TLS_OR_LINE = b"\x16\x03\x01\r\n\r\n"


async def asked(connect: Connect, seconds: float) -> dict[str, Any]:
    """What a peer answers that says nothing in our protocol, or hangs up on it.

    Args:
        seconds: For all the questions, which are asked at the same time.

    Returns:
        ``looks_like``: what it speaks, and ``answers_with`` its words; ``answers_small``: it has answered a small
        question, if only by hanging up.
    """

    async def answer(question: bytes, named: Callable[[bytes], str | None]) -> dict[str, Any]:
        said = await _first_words(connect, question, seconds)
        if said is None:
            return {}
        name = named(said)
        return {"answers_small": True, **({"looks_like": name, "answers_with": printable(said)} if name else {})}

    questions = (*_QUESTIONS, (_hello(), identify))
    return await until(lambda seen: "looks_like" in seen, *(answer(*question) for question in questions))


async def named(connect: Connect, seconds: float, *known: str) -> dict[str, Any]:
    """``looks_like`` and ``answers_with`` of a peer that answers in another protocol than those `known`, or TLS."""
    seen = await asked(connect, seconds)
    if seen.get("looks_like") in (None, "TLS", *known):
        return {}
    return {key: seen[key] for key in ("looks_like", "answers_with")}


async def answers_lines_with(connect: Connect, seconds: float) -> str | None:
    """Which protocol a peer answers in that takes the beginning of a TLS record for a line; None when it does not."""
    return identify(await _first_words(connect, _TLS_OR_LINE, seconds) or b"")


async def _first_words(connect: Connect, question: bytes, seconds: float) -> bytes | None:
    """What a peer answers, empty when it hangs up; None when it cannot be reached or says nothing in time."""
    try:
        stream = await connect()
    except ConnectFailed:
        return None
    try:
        async with asyncio.timeout(seconds):
            await stream.send(question)
            return await stream.receive(64)
    except TimeoutError:
        return None
    except StreamBroken as broken:
        return None if broken.kind == "silent" else b""
    finally:
        stream.close()
