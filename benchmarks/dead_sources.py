"""A thousand dead data sources at once, of three kinds of death."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.common import Row

_COUNT = 1000
_TIMEOUT = 5.0


def run() -> Iterator[Row]:
    """From the start of the first check to the last verdict."""
    with ExitStack() as stack:
        full = _full(stack)
        mute = stack.enter_context(socket.create_server(("0.0.0.0", 0), backlog=4096))
        closed = _closed()
        kinds = {
            "accept and never speak": mute.getsockname()[1],
            "never answer a connect": full,
            "closed port": closed,
        }
        for kind, port in kinds.items():
            seconds, causes = asyncio.run(_check(port))
            print(f"   {kind}: {dict(causes)}")
            yield Row(f"{_COUNT} sources that {kind}", seconds, "s", f"<= {_TIMEOUT + 2:.0f} s")


async def _check(port: int) -> tuple[float, Counter[str | None]]:
    from tasks.adhoc import target_of_url
    from tasks.fleet import check_all
    from tasks.vantages.local import LocalVantage

    # Each on an address of its own, as a thousand servers have.
    hosts = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(_COUNT)]
    targets = [target_of_url(f"postgresql://app:x@{host}:{port}/shop", None, None, ()) for host in hosts]
    started = time.perf_counter()
    causes = Counter([verdict.cause async for verdict in check_all(targets, LocalVantage(), timeout=_TIMEOUT)])
    return time.perf_counter() - started, causes


def _full(stack: ExitStack) -> int:
    """A port whose backlog is full: the kernel drops every further SYN, as a firewall would."""
    listener = stack.enter_context(socket.create_server(("0.0.0.0", 0), backlog=0))
    port = int(listener.getsockname()[1])
    for _ in range(4):
        filler = stack.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    return port


def _closed() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
