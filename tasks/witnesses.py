"""Second observations that part causes which look alike. They run beside the first one while it keeps us waiting."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from registry.connection import Endpoint
from registry.policy import refusal_of
from tasks.budget import Budget
from tasks.evidence import StageFailed
from tasks.vantages import ConnectFailed, Vantage, is_public

#: Ports that many hosts answer on, if only with a RST.
_COMMON_PORTS = (22, 80, 443)
#: A port where nobody listens (tcpmux, RFC 1078): a host without a firewall of its own answers with a RST.
_NOBODY_LISTENS = 1
#: Canaries that are asked.
_CANARIES = 3
#: Seconds for which checks from the same place share what was seen of an address that is not their own, or of one that
#: fails them all.
_FRESH = 2.0
#: Waits end a little early, by the clocks that measure them.
_NEARLY = 0.9
#: Nobody has these addresses (RFC 5737, RFC 3849).
_NOBODYS = {4: "192.0.2.1", 6: "2001:db8::1"}
#: Connects that are repeated to see whether the first one's failure was the rule.
_FURTHER = 2


async def of_silence(vantage: Vantage, address: str, port: int, default_port: int, budget: Budget) -> dict[str, Any]:
    """Why nothing came back from an address: its neighbour entry, an echo, and other ports of the host."""
    ports = [other for other in dict.fromkeys((default_port, *_COMMON_PORTS)) if other != port]
    alive = asyncio.Event()

    async def answers_on(other: int) -> bool | Mapping[str, Any]:
        answer = await _answers(vantage, address, other, budget)
        if answer is True:
            alive.set()
        return answer

    again = asyncio.create_task(_again_once_alive(alive, vantage, address, port, budget))
    try:
        neighbour, echo, *answers = await asyncio.gather(
            vantage.neighbour(address),
            vantage.answers_ping(address, budget),
            *(answers_on(other) for other in ports),
        )
        repeated = await again if alive.is_set() else {}
    finally:
        again.cancel()
    reported = next((answer for answer in answers if isinstance(answer, Mapping)), {})
    return {
        **neighbour,
        "answers_ping": echo,
        "ports_that_answer": [other for other, answer in zip(ports, answers, strict=True) if answer is True],
        "ports_asked": ports,
        **{f"other_port_{key}": reported[key] for key in ("icmp_type", "icmp_code", "icmp_from") if key in reported},
        **repeated,
    }


async def _again_once_alive(
    alive: asyncio.Event, vantage: Vantage, address: str, port: int, budget: Budget
) -> Mapping[str, Any]:
    """The same connect a few times more, as soon as the host has answered on any other port."""
    await alive.wait()
    return await of_repetition(vantage, address, port, budget)


async def _answers(vantage: Vantage, address: str, port: int, budget: Budget) -> bool | Mapping[str, Any]:
    """Whether the host itself answers on a port; the ICMP message, where somebody on the way answers instead."""
    try:
        stream = await vantage.connect(address, port, budget, conversation=budget)
    except ConnectFailed as failure:
        if "icmp_type" in failure.evidence:
            return failure.evidence
        # Where that cannot be told from a refusal on the way, the host has not been heard.
        return failure.evidence.get("errno") == "ECONNREFUSED" and not failure.evidence.get("refusal_unclear")
    stream.close()
    return True


async def of_canaries(
    vantage: Vantage, canaries: Sequence[Endpoint], address: str, port: int, budget: Budget
) -> dict[str, Any]:
    """Whether places that answer everywhere answer here: on their own port, on this one, on one where nobody listens.

    ``port_blocked``: none of those that should answer on this port does, though they answer otherwise;
    ``egress_blocked``: and they are public as the address is, so that it is the same way out.
    """
    asked = canaries[:_CANARIES]
    if not asked:
        return {}
    found = await asyncio.gather(*(_canary(vantage, one, port, budget) for one in asked))
    answering = [one for one, answers in zip(asked, found, strict=True) if one.port in answers]
    elsewhere = [one.host for one, answers in zip(asked, found, strict=True) if _NOBODY_LISTENS in answers]
    on_port = [one.host for one, answers in zip(asked, found, strict=True) if port in answers]
    # One whose own firewall happens to drop this port proves nothing; two that answer on any other do.
    expected = len(elsewhere) > 1 or any(one.port == port for one in asked)
    blocked = bool(expected and not on_port and (answering or elsewhere)) or None
    seen: dict[str, Any] = {
        "canaries_asked": [_spelled(one) for one in asked],
        "canaries_that_answer": [_spelled(one) for one in answering],
        "canaries_on_port": on_port,
        "canaries_elsewhere": elsewhere,
    }
    return {**seen, "port_blocked": blocked, "egress_blocked": (blocked and is_public(address)) or None}


async def _canary(vantage: Vantage, canary: Endpoint, port: int, budget: Budget) -> set[int]:
    """The ports, of the three that matter, on which a canary answers."""
    resolution = await vantage.resolve(canary.host, budget)
    address = next((one for one in resolution.addresses if refusal_of(one) is None), None)
    if address is None:
        return set()
    ports = list(dict.fromkeys((canary.port, port, _NOBODY_LISTENS)))
    answers = await asyncio.gather(*(_shared(_answers, vantage, address, each, budget) for each in ports))
    return {each for each, answer in zip(ports, answers, strict=True) if answer is True}


_Seen = TypeVar("_Seen")
_looks: dict[tuple[Any, ...], tuple[float, asyncio.Task[Any]]] = {}


async def _shared(
    look: Callable[[Vantage, str, int, Budget], Coroutine[Any, Any, _Seen]],
    vantage: Vantage,
    address: str,
    port: int,
    budget: Budget,
) -> _Seen:
    """What a look shows, taken once for the checks from one place that fail together."""
    now, key = time.monotonic(), (id(asyncio.get_running_loop()), look, vantage.name, address, port)
    if key not in _looks or now - _looks[key][0] > _FRESH:
        for stale in [key for key, (taken, _) in _looks.items() if now - taken > _FRESH]:
            del _looks[stale]
        looking = asyncio.create_task(look(vantage, address, port, budget))
        looking.add_done_callback(_told)
        _looks[key] = (now, looking)
    found: _Seen = await asyncio.shield(_looks[key][1])
    return found


def _spelled(endpoint: Endpoint) -> str:
    return f"[{endpoint.host}]:{endpoint.port}" if ":" in endpoint.host else f"{endpoint.host}:{endpoint.port}"


async def of_acceptance(vantage: Vantage, address: str, port: int, budget: Budget, overdue: float) -> dict[str, Any]:
    """Whether a connection to an address that nobody has is accepted too: somebody on the way answers for everybody.

    A private address counts only when both go by the same gateway; what is on our own segment passes nobody.

    Args:
        overdue: Seconds after which such a connection would have been accepted, as fast as the others are.

    Returns:
        ``accepts_for_everybody``, the address; ``acceptance_unheard``, where there was no time to see whether it is, or
        no telling which way it went; else nothing.
    """
    nobody = _NOBODYS[6 if ":" in address else 4]
    same_way = True
    if not is_public(address):
        ours, theirs = await asyncio.gather(vantage.neighbour(address), vantage.neighbour(nobody))
        same_way = bool(ours and theirs)
        if ours and (not ours.get("gateway") or (theirs and ours["gateway"] != theirs.get("gateway"))):
            return {}
    waited = await _shared(_waited, vantage, nobody, port, Budget.of(min(overdue, budget.left())))
    if waited is not None and waited < overdue * _NEARLY:
        # Others who looked at the same time may have had less time for it.
        waited = await _waited(vantage, nobody, port, Budget.of(min(overdue, budget.left())))
    if waited is None and same_way:
        return {"accepts_for_everybody": nobody}
    return {"acceptance_unheard": True} if waited is None or waited < overdue * _NEARLY else {}


async def _waited(vantage: Vantage, address: str, port: int, budget: Budget) -> float | None:
    """Seconds for which a connect was left without an answer, no end of them when it was refused; None if accepted."""
    try:
        stream = await vantage.connect(address, port, budget, conversation=budget)
    except ConnectFailed as failure:
        if failure.evidence.get("errno") == "ECONNRESET":
            return None
        return failure.evidence["waited_ms"] / 1000 if failure.evidence.get("silent") else math.inf
    except StageFailed:
        return 0.0  # the place itself does not let us ask
    stream.close()
    return None


async def of_repetition(vantage: Vantage, address: str, port: int, budget: Budget) -> dict[str, Any]:
    """How many of a few more connects are accepted, after one that was not, and how many get no answer at all."""
    waits = await _shared(_further, vantage, address, port, budget)
    unanswered = sum(wait is not None and wait < math.inf for wait in waits)
    return {
        "further_connects": len(waits),
        "further_connects_answered": waits.count(None),
        **({"further_connects_unanswered": unanswered} if unanswered else {}),
    }


async def _further(vantage: Vantage, address: str, port: int, budget: Budget) -> list[float | None]:
    return await asyncio.gather(*(_waited(vantage, address, port, budget) for _ in range(_FURTHER)))


async def until(
    decides: Callable[[Mapping[str, Any]], bool], *looks: Coroutine[Any, Any, Mapping[str, Any]]
) -> dict[str, Any]:
    """What looks show, together; as soon as it decides, those that have not ended are given up."""
    tasks = [asyncio.ensure_future(look) for look in looks]
    seen: dict[str, Any] = {}
    try:
        for ended in asyncio.as_completed(tasks):
            seen |= await ended
            if decides(seen):
                break
    finally:
        for task in tasks:
            task.add_done_callback(_told)
            task.cancel()
    return seen


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
