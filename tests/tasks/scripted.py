"""Conversations with a peer that plays recorded bytes, and what the diagnosis makes of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from registry.connection import Connection, Mode
from registry.types import get
from tasks import diagnosis
from tasks.budget import Budget
from tasks.evidence import Attempt, StageFailed, Steps
from tasks.protocols import Access, load
from tasks.streams import StreamBroken
from tasks.target import Target
from tasks.tls import TlsMaterial
from tasks.vantages import ConnectFailed

#: Recorded bytes, or what the peer makes of everything that it has heard.
Words = bytes | Callable[[bytes], bytes]


class Peer:
    """A stream on which a peer says its words a few bytes at a time, and then hangs up."""

    def __init__(self, *words: Words, pace: int = 7) -> None:
        self.budget = Budget.of(5)
        self.received = 0
        self.heard = b""
        self._words = list(words)
        self._saying = b""
        self._pace = pace

    async def receive(self, limit: int = 65536) -> bytes:
        while not self._saying:
            if not self._words:
                raise StreamBroken("eof", received=self.received)
            words = self._words.pop(0)
            self._saying = words(self.heard) if callable(words) else words
        said, self._saying = self._saying[: self._pace], self._saying[self._pace :]
        self.received += len(said)
        return said

    async def send(self, data: bytes) -> None:
        self.heard += data

    def close(self) -> None:
        pass

    def local_address(self) -> str:
        return "192.0.2.1"


@dataclass
class Conversation:
    """How a conversation went."""

    target: Target
    steps: Steps = field(default_factory=Steps)

    @property
    def finding(self) -> diagnosis.Finding | None:
        """What the diagnosis says of the stage that failed; None when all passed."""
        failed = self.steps.failed()
        attempt = Attempt("peer.test", 1, "192.0.2.2", self.steps)
        return diagnosis.explain(self.target, failed, attempt) if failed else None

    @property
    def cause(self) -> str | None:
        """The code of the stage that failed; None when all passed."""
        return self.finding.code if self.finding else None

    def seen(self, stage: str) -> Mapping[str, Any]:
        """The evidence of a stage."""
        found = self.steps.named(stage)
        return found.evidence if found else {}

    def __str__(self) -> str:
        return str([(stage.name, stage.status, stage.evidence) for stage in self.steps.stages])


async def converse(
    type: str,
    entry: Mapping[str, Any],
    secrets: Mapping[str, str],
    peer: Peer,
    *others: Peer | Exception,
) -> Conversation:
    """Every stage of a type's protocol with a peer; `others` answer the connections opened after the first, or fail."""
    kind = get(type)
    connection: Connection = kind.modes[Mode.CONNECTION_STRING].model_validate(entry)
    protocol = load(kind.protocol)
    went = Conversation(Target("w", "s", type, "dev", "local", protocol.name, kind.default_port, connection))
    hidden = {name: SecretStr(value) for name, value in secrets.items()}
    endpoint = connection.endpoints()[0]
    access = Access(endpoint.host, endpoint.port, "192.0.2.2", connection, hidden, TlsMaterial())
    waiting = list(others)

    async def dial(port: int | None = None, *, host: str | None = None) -> Peer:
        if not waiting:
            raise ConnectFailed(errno="ECONNREFUSED")
        other = waiting.pop(0)
        if isinstance(other, Exception):
            raise other
        return other

    session = protocol.session(peer, access, dial)
    with contextlib.suppress(StageFailed):
        for name in session.order:
            with went.steps.stage(name) as recorder:
                try:
                    await getattr(session, name)(recorder)
                except StreamBroken as broken:
                    raise StageFailed(**broken.evidence()) from None
    await session.close()
    return went
