"""What a peer of the right protocol means that hangs up on our first words: it speaks TLS, or does not.

For protocols without a STARTTLS of their own: a port speaks TLS from its first byte or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.protocols import Access, Answer, Retry
from tasks.tls import may_want_tls

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


async def look_again(access: Access, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
    """The observation that parts the causes of a failed greeting or handshake; empty when there is none to make."""
    if stage == "greet" and not access.tls.wanted and may_want_tls(evidence):
        return await over_tls(access, retry)
    if stage == "tls" and "verify_code" not in evidence and "bad_file" not in evidence:
        outcome = await retry(access.over(replace(access.tls, mode="disable")), until="greet")
        if outcome.stage is None:
            return {"in_plaintext": "answers"}
    return {}
