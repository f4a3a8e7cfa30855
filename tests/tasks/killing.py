"""Runs of the engine that are killed: at one boundary between two acts, or whenever it pleases."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from registry.errors import Conflict
from registry.plans import PlanState
from registry.store import Store, open_store
from tasks.dependents import Adapter
from tasks.repointing import applying
from tests.tasks.repointing_support import JsonFiles, Observing

_TRIES = 100
#: What a unit is touched by. Reading leaves nothing, so whoever is killed after it was killed before it.
_ACTS = ("write", "submit", "deploy", "verify", "smoke")


class Fuse:
    """Counts the boundaries between acts, and kills its process at one of them."""

    def __init__(self, at: int | None) -> None:
        self.passed = 0
        self._at = at

    def boundary(self) -> None:
        if self.passed == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1

    def around(self, adapter: Adapter) -> Any:
        """The adapter with a boundary after everything that it does, which is the one before what it does next."""
        fuse = self

        class Fused:
            name = adapter.name

            def __getattr__(self, name: str) -> Any:
                act = getattr(adapter, name)
                if name not in _ACTS:
                    return act

                async def acting(*arguments: Any) -> Any:
                    done = await act(*arguments)
                    fuse.boundary()
                    return done

                return acting

        return Fused()

    def into(self, store: Store) -> None:
        """A boundary before and after every transaction that writes."""
        write = store.database.write

        @contextmanager
        def fused(**options: Any) -> Iterator[Any]:
            self.boundary()
            with write(**options) as session:
                yield session
                self.boundary()
            self.boundary()

        store.database.write = fused  # type: ignore[method-assign]


def run(plan: str, *, back: bool = False, ill: Sequence[str] = (), fuse: Fuse | None = None) -> PlanState:
    """Apply a plan, or roll it back, in this process, with a store of its own."""
    fuse = fuse or Fuse(None)
    with open_store() as store:
        fuse.into(store)
        adapters = {"json_files": fuse.around(JsonFiles())}
        observing = Observing(ill=set(ill))
        act = applying.rollback if back else applying.apply
        for _ in range(_TRIES):
            try:
                return asyncio.run(act(store, plan, adapters, observing, store.by())).state
            except Conflict as taken:
                if "right now" not in taken.reason:
                    raise
                time.sleep(0.1)  # a server takes a moment until it sees that a client was killed
        raise AssertionError("the lock of a killed process is held for ever")


def in_child(work: Callable[[], object], kill_when: Callable[[], bool] | None = None) -> bool:
    """Do it in a process of its own. Returns whether it was killed, by itself or as soon as something is so.

    Raises:
        AssertionError: It failed.
    """
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    while kill_when is not None:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        if kill_when():
            os.kill(child, signal.SIGKILL)
            break
        time.sleep(0.001)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    assert killed or status == 0
    return killed


def killed_at_write(number: int, work: Callable[[Store], object]) -> bool:
    """Do it with a store of its own in a process killed before its so manieth write; whether it came to that."""

    def counted() -> None:
        seen = 0

        def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            nonlocal seen
            seen += statement.split()[0] in ("INSERT", "UPDATE", "DELETE", "COMMIT")
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

        with open_store() as store:
            event.listen(store.database.engine, "before_cursor_execute", count)
            event.listen(store.database.engine, "commit", lambda connection: count(connection, None, "COMMIT"))
            work(store)

    return in_child(counted)
