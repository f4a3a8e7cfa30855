"""Wire protocols: what is asked of a peer. One file a protocol, found by its name.

A protocol is a `Session` (one conversation with one address, a method a stage) and a table that tells which cause an
answer of the peer asserts. A session gathers evidence; it decides nothing.
"""

from __future__ import annotations

import importlib
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import SecretStr

from registry.connection import Connection
from registry.verdict import Owner
from tasks.comparison.survey import Survey, Wanted
from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.streams import Stream
from tasks.tls import TlsMaterial


@dataclass(frozen=True)
class Access:
    """Everything a session may use: where it talks to, as whom, and how TLS is to be spoken.

    `host` is the name as configured (for certificates), `address` the one this conversation goes to.
    """

    host: str
    port: int
    address: str
    connection: Connection
    secrets: Mapping[str, SecretStr]
    tls: TlsMaterial

    def over(self, tls: TlsMaterial) -> Access:
        """The same access with another TLS setting."""
        return replace(self, tls=tls)

    def secret(self, name: str) -> str | None:
        """The value of a secret field, for the wire only."""
        value = self.secrets.get(name)
        return value.get_secret_value() if value is not None else None

    def setting(self, name: str, default: Any = None) -> Any:
        """A field of the connection, where its type has one."""
        value = getattr(self.connection, name, None)
        return default if value in (None, "") else value


@dataclass(frozen=True)
class Outcome:
    """How another conversation ended: `stage` is the one that failed, None when all asked for passed."""

    stage: str | None
    evidence: Mapping[str, Any]


#: Runs a second conversation with the same address: ``await retry(access, until="admit")``.
Retry = Callable[..., Awaitable[Outcome]]


class Dial(typing.Protocol):
    """Opens further conversations from the same vantage, within the same policy."""

    async def __call__(
        self, port: int | None = None, *, host: str | None = None, largest_segment: int | None = None
    ) -> Stream:
        """Another byte stream: to the same address and port, another port of it, or another host.

        Raises:
            ConnectFailed: It does not answer.
            StageFailed: The host has no address, or one that tests may not be aimed at.
        """
        ...

    async def ask(self, host: str, port: int, datagram: bytes) -> bytes | None:
        """One UDP datagram to a host and the one that comes back; None where the vantage cannot send any.

        Raises:
            ConnectFailed: Nobody answers.
            StageFailed: The host has no address, or one that tests may not be aimed at.
        """
        ...


class Session:
    """One conversation with one peer, a method a stage, in the order of `order`.

    A stage ends normally (passed), raises `StageFailed` with what the peer said, or `StageSkipped` with a reason.
    `StreamBroken` may be let through: the engine notes how the conversation broke.
    """

    #: The order in which the stages run; they are always reported in the order of `registry.verdict.STAGES`.
    order: tuple[str, ...] = ("greet", "tls", "admit", "login", "target", "privilege")

    def __init__(self, stream: Stream, access: Access, dial: Dial) -> None:
        self.stream = stream
        self.access = access
        self.dial = dial

    async def greet(self, recorder: Recorder) -> None:
        """The peer speaks the protocol."""
        raise StageSkipped("the protocol has no greeting")

    async def tls(self, recorder: Recorder) -> None:
        """The channel is encrypted and, if asked for, verified."""
        raise StageSkipped("TLS is not configured")

    async def admit(self, recorder: Recorder) -> None:
        """This client address may come in."""
        raise StageSkipped("the protocol does not tell admission from login")

    async def login(self, recorder: Recorder) -> None:
        """The credentials are accepted."""
        raise StageSkipped("the protocol has no login")

    async def target(self, recorder: Recorder) -> None:
        """The database, directory or path named in the configuration is there."""
        raise StageSkipped("no target is configured")

    async def privilege(self, recorder: Recorder) -> None:
        """Something in it can be read: the bound objects, where some are bound."""
        raise StageSkipped("nothing to read is configured")

    async def survey(self, wanted: Wanted) -> Survey:
        """What the peer and the bound objects are like, for a comparison; read-only, after `target` has passed.

        Raises:
            StageSkipped: The protocol tells nothing that could be compared.
        """
        raise StageSkipped("this protocol tells nothing that could be compared")

    async def close(self) -> None:
        """Say goodbye, where the protocol has a word for it. Never raises."""
        self.stream.close()

    async def second_look(self, stage: str, evidence: Mapping[str, Any], retry: Retry) -> Mapping[str, Any]:
        """The observation that parts causes which look alike after `stage` failed; empty when none is needed."""
        return {}


class Unsupported(StageFailed):
    """The probe ends here: no way is known to go on honestly, and what follows stays untested.

    Raised by a stage after those that could be done; the diagnosis makes it the state `Unsupport`.

    Args:
        lacking: What there is no probe for, as a noun: ``the login of Oracle's protocol (O5LOGON)``.
    """

    def __init__(self, lacking: str, **evidence: Any) -> None:
        super().__init__(**evidence, no_probe_for=lacking)


@dataclass(frozen=True)
class Answer:
    """One row of a protocol's table: evidence of a failed stage that asserts a cause.

    Attributes:
        code: The cause; `INCONCLUSIVE` with two or more `alternatives`.
        when: Evidence key -> value, set of values or predicate.
        stage: The stage it may appear in; None for any.
        component, message, remedy: Templates that replace the catalogue's own texts. They may use every key of the
            evidence and of `tasks.diagnosis.context`.
        owner: Who can fix it, where that is somebody else than the catalogue says.
    """

    code: str
    when: Mapping[str, Any]
    stage: str | None = None
    alternatives: tuple[str, ...] = ()
    component: str | None = None
    message: str | None = None
    remedy: str | None = None
    owner: Owner | None = None


@dataclass(frozen=True)
class Protocol:
    """An entry of the protocol catalogue.

    Attributes:
        title: Name for people.
        session: The conversation.
        answers: Which cause the peer's answers assert; the first row that fits counts.
        name: Also the name of the extra that installs what the session needs.
        fall_back_after: The stages after whose failure a preferred (not demanded) TLS gives way to none.
        fingerprint: How `tasks.fingerprints` calls its first bytes, where that is not the title.
        greets_late: What else keeps its servers from greeting, and what to do about it: a sentence.
        written: A name as its statements have it, quoted where it must be; `written_user` a user's, if otherwise.
    """

    name: str
    title: str
    session: type[Session]
    answers: tuple[Answer, ...] = ()
    fall_back_after: frozenset[str] = frozenset({"tls"})
    fingerprint: str = ""
    greets_late: str = ""
    written: Callable[[str], str] = str
    written_user: Callable[[str], str] | None = None


def load(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        ModuleNotFoundError: A module is missing: the protocol's own, or one that it needs.
    """
    protocol: Protocol = importlib.import_module(f"{__name__}.{name}").PROTOCOL
    return protocol
