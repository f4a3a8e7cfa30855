"""Second observations that part causes which look alike. They run beside the first one while it keeps us waiting."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tasks.budget import Budget
from tasks.fingerprints import identify
from tasks.protocols import Dial
from tasks.streams import StreamBroken, printable
from tasks.vantages import ConnectFailed, Vantage

#: Ports that many hosts answer on, if only with a RST.
_COMMON_PORTS = (22, 80, 443)

#: An HTTP request makes the servers of many line protocols answer too, if only with an error.
_QUESTION = b"GET / HTTP/1.0\r\n\r\n"
#: PostgreSQL hangs up on that without a word, but has one letter for whoever asks for TLS in its way.
_SSL_REQUEST = struct.pack("!II", 8, 80877103)


async def of_silence(vantage: Vantage, address: str, port: int, default_port: int, budget: Budget) -> dict[str, Any]:
    """Why nothing came back from an address: its neighbour entry, an echo, and other ports of the host."""
    ports = [other for other in dict.fromkeys((default_port, *_COMMON_PORTS)) if other != port]
    neighbour, echo, *answers = await asyncio.gather(
        vantage.neighbour(address),
        vantage.answers_ping(address, budget),
        *(_answers(vantage, address, other, budget) for other in ports),
    )
    reported = next((answer for answer in answers if isinstance(answer, Mapping)), {})
    return {
        **neighbour,
        "answers_ping": echo,
        "ports_that_answer": [other for other, answer in zip(ports, answers, strict=True) if answer is True],
        "ports_asked": ports,
        **{f"other_port_{key}": reported[key] for key in ("icmp_type", "icmp_code", "icmp_from") if key in reported},
    }


async def _answers(vantage: Vantage, address: str, port: int, budget: Budget) -> bool | Mapping[str, Any]:
    """Whether the host itself answers on a port; the ICMP message, where somebody on the way answers instead."""
    try:
        stream = await vantage.connect(address, port, budget, conversation=budget)
    except ConnectFailed as failure:
        if "icmp_type" in failure.evidence:
            return failure.evidence
        return failure.evidence.get("errno") == "ECONNREFUSED"
    stream.close()
    return True


async def of_muteness(dial: Dial) -> dict[str, Any]:
    """Whether a peer that says nothing in our protocol speaks another one: it may wait for a question."""
    said, letter = await asyncio.gather(_first_words(dial, _QUESTION), _first_words(dial, _SSL_REQUEST))
    if said:
        return {"answers_http_with": printable(said), "looks_like": identify(said)}
    return {"looks_like": "PostgreSQL"} if letter in (b"S", b"N") else {}


async def _first_words(dial: Dial, question: bytes) -> bytes:
    try:
        stream = await dial()
    except ConnectFailed:
        return b""
    try:
        await stream.send(question)
        return await stream.receive(64)
    except StreamBroken:
        return b""
    finally:
        stream.close()


async def beside(
    waiting: asyncio.Task[Any],
    patience: float,
    witness: Callable[[], Awaitable[Mapping[str, Any]]],
    decides: Callable[[Mapping[str, Any]], bool] = lambda _seen: False,
) -> Mapping[str, Any]:
    """Wait for a task; call the witness when it takes longer than `patience` seconds.

    Args:
        decides: Whether what the witness saw makes waiting any longer pointless; the task is then given up.

    Returns:
        What the witness saw, empty if it was not called or the task ended well. The task's own exception is left in
        the task.
    """
    waiting.add_done_callback(_told)
    looking: asyncio.Future[Mapping[str, Any]] | None = None
    try:
        done, _ = await asyncio.wait({waiting}, timeout=patience)
        if done:
            return {}
        looking = asyncio.ensure_future(witness())
        looking.add_done_callback(_told)
        await asyncio.wait({waiting, looking}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done() and decides(_result(looking)):
            return _result(looking)
        await asyncio.wait({waiting})
        if waiting.exception() is None:
            return {}
        await asyncio.wait({looking}, timeout=0.2)
        return _result(looking)
    finally:
        waiting.cancel()
        if looking is not None:
            looking.cancel()


def _result(looking: asyncio.Future[Mapping[str, Any]]) -> Mapping[str, Any]:
    return looking.result() if looking.done() and not looking.exception() else {}


def _told(ended: asyncio.Future[Any]) -> None:
    """Take note of how a task ended, so that the event loop does not report it when nobody else asks."""
    if not ended.cancelled():
        ended.exception()
