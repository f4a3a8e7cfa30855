"""What a peer means that hangs up on our first words: it speaks TLS, or does not, or speaks another protocol.

For protocols without a STARTTLS of their own: a port speaks TLS from its first byte or not at all.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.fingerprints import identify
from tasks.protocols import Access, Answer, Dial, Retry
from tasks.streams import StreamBroken
from tasks.tls import may_want_tls
from tasks.vantages import ConnectFailed

#: The part of the time left, and the most seconds, that asking in other protocols may take: whoever speaks one of them
#: answers at once.
_SHARE, _MOST = 0.3, 1.0
#: Makes the servers of many line protocols answer too, if only with an error.
_HTTP = b"GET / HTTP/1.0\r\n\r\n"
#: PostgreSQL hangs up on that, but has one letter for whoever asks for TLS in its way.
_POSTGRESQL = struct.pack("!II", 8, 80877103)

ANSWERS = (
    Answer("TLS.REQUIRED", {"over_tls": "answers"}, stage="greet"),
    Answer("TLS.NOT_OFFERED", {"in_plaintext": "answers"}, stage="tls"),
)


async def over_tls(access: Access, retry: Retry) -> Mapping[str, Any]:
    """What a peer that hangs up on plaintext says over TLS; whoever speaks another protocol there is a stranger."""
    outcome = await retry(access.over(replace(access.tls, mode="require")), until="greet")
    # A handshake that breaks off because the server wants a certificate shows that it speaks TLS as well.
    asked = outcome.stage == "tls" and ("alert" in outcome.evidence or outcome.evidence.get("server_hello"))
    stranger = outcome.stage == "greet" and outcome.evidence.get("not_protocol")
    declined = outcome.stage == "greet" and "broken" not in outcome.evidence and not stranger
    if outcome.stage is None or asked or declined:
        return {"over_tls": "answers"}
    if stranger:
        looks_like = outcome.evidence.get("looks_like") or "an unknown protocol"
        first = outcome.evidence.get("first_bytes")
        return {"not_protocol": True, "looks_like": f"{looks_like} over TLS", "first_bytes": first}
    return {}


async def look_again(
    access: Access, dial: Dial, stage: str, evidence: Mapping[str, Any], retry: Retry
) -> Mapping[str, Any]:
    """The observation that parts the causes of a failed greeting or handshake; empty when there is none to make."""
    tls = access.tls
    hung_up = stage == "greet" and evidence.get("broken") and "looks_like" not in evidence
    # First what answers at once: a server that waits for the end of a line lets a TLS handshake hang.
    if hung_up and (seen := await another_protocol(dial)):
        return seen
    if stage == "greet" and not tls.wanted and may_want_tls(evidence):
        return await over_tls(access, retry)
    if stage == "tls" and "verify_code" not in evidence and "bad_file" not in evidence:
        outcome = await retry(access.over(replace(tls, mode="disable")), until="greet")
        if outcome.stage is None:
            return {"in_plaintext": "answers"}
    return {}


async def another_protocol(dial: Dial) -> Mapping[str, Any]:
    """Which protocol a peer answers in; empty when it answers in none that is known, or in TLS."""
    said, letter = await asyncio.gather(_answer(dial, _HTTP), _answer(dial, _POSTGRESQL))
    name = "PostgreSQL" if letter in (b"S", b"N") else identify(said)
    return {"looks_like": name} if name not in (None, "TLS") else {}


async def _answer(dial: Dial, question: bytes) -> bytes:
    try:
        stream = await dial()
    except ConnectFailed:
        return b""
    try:
        async with asyncio.timeout(min(_MOST, stream.budget.left() * _SHARE)):
            await stream.send(question)
            return await stream.receive(64)
    except (StreamBroken, TimeoutError):
        return b""
    finally:
        stream.close()
