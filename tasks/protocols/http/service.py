"""Cloud services behind an HTTP API: one unsigned request tells what answers, signed ones do the rest.

A service differs from the next by how a request is signed, which requests name its project and its objects, and what
its error codes mean; the stages and the causes are the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

from registry.verdict import INCONCLUSIVE
from tasks.evidence import Recorder, StageFailed
from tasks.protocols import Answer, Unsupported
from tasks.protocols.http.rest import OTHER_SERVICE, STATUS_ANSWERS, TRANSPORT_ANSWERS, Reply, RestSession
from tasks.protocols.http.session import clock_skew


@dataclass(frozen=True)
class Codes:
    """A service's error codes by what they mean. Of those that mean several things, the alternatives are told.

    Attributes:
        unknown_key: No such access key or account.
        wrong_signature: The secret is another one.
        refused: One of the two, the service does not say which.
        expired: A token or key whose time is over.
        clock: The time of the request is too far from the service's.
        not_admitted: Not from this address.
        shut_out: Known, and locked or in arrears.
        target_missing: No such project, instance or database.
        object_missing: No such table, topic or store in it.
        denied: The right is missing: to the project or to the object, by what was asked for.
        object_unclear: Missing, or not to be seen.
        busy: Too many requests.
    """

    unknown_key: frozenset[str] = frozenset()
    wrong_signature: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    expired: frozenset[str] = frozenset()
    clock: frozenset[str] = frozenset()
    not_admitted: frozenset[str] = frozenset()
    shut_out: frozenset[str] = frozenset()
    target_missing: frozenset[str] = frozenset()
    object_missing: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    object_unclear: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()

    @property
    def of_login(self) -> frozenset[str]:
        """Those that tell that nobody is logged in."""
        first = (self.unknown_key, self.wrong_signature, self.refused, self.expired, self.clock, self.not_admitted)
        return frozenset().union(*first, self.shut_out, self.busy)

    @property
    def of_target(self) -> frozenset[str]:
        """Those about the project itself."""
        return self.target_missing | self.denied


class ServiceSession(RestSession, ABC):
    """One conversation with one service."""

    codes: ClassVar[Codes] = Codes()
    #: The first request, which carries nothing that is not public.
    hello: ClassVar[str] = "/"
    #: Headers that only this service sends.
    marks: ClassVar[tuple[str, ...]] = ()
    #: The fields that name who logs in and what is to be read, for people.
    identity_field: ClassVar[str] = "access_id"
    project_field: ClassVar[str] = "project"
    _entered: Reply

    # -- what a service has of its own ------------------------------------------------------------------------------

    @abstractmethod
    def code(self, reply: Reply) -> str | None:
        """The error code of an answer."""

    @abstractmethod
    async def enter(self, recorder: Recorder) -> Reply:
        """The answer to a signed request that names the project."""

    @abstractmethod
    async def list(self) -> tuple[Reply, bool]:
        """The answer to a request for the objects of the project, and whether it shows any."""

    @abstractmethod
    async def describe(self, name: str) -> Reply:
        """The answer to a request for one bound object."""

    def recognised(self, reply: Reply) -> bool:
        """Whether the first answer is this service's."""
        return any(name in reply.head.headers for name in self.marks) or self.code(reply) is not None

    def may_log_in(self) -> None:
        """Raises `Unsupported` for an identity that cannot prove itself from here."""

    # -- stages -----------------------------------------------------------------------------------------------------

    async def greet(self, recorder: Recorder) -> None:
        reply = await self.ask("GET", self._path.rstrip("/") + self.hello)
        if not self.recognised(reply):
            raise self._stranger(reply)
        recorder.see(**self._shown(reply.head), clock_skew_s=clock_skew(reply.head))

    async def login(self, recorder: Recorder) -> None:
        self.may_log_in()
        self._entered = await self.enter(recorder)
        code = self.code(self._entered)
        recorder.see(http_status=self._entered.status, error_code=code)
        if self.identity_field == "access_id":
            recorder.see(access_key_used=True)
        bare = self._entered.status == 401 or self._entered.status >= 500 or self._entered.status == 429
        if code in self.codes.of_login or (bare and code not in self.codes.of_target):
            raise self.refusal(self._entered)

    async def target(self, recorder: Recorder) -> None:
        recorder.see(project=self.project)
        if self._entered.status >= 400 or self.code(self._entered) is not None:
            raise self.refusal(self._entered)

    async def privilege(self, recorder: Recorder) -> None:
        objects = self.access.connection.objects
        for name in objects:
            reply = await self.describe(name)
            if reply.status >= 400 or self.code(reply) is not None:
                raise self.refusal(reply, object=name)
        if objects:
            recorder.see(objects=[*objects])
            return
        reply, shown = await self.list()
        if reply.status >= 400 or self.code(reply) is not None:
            raise self.refusal(reply, object=f"the list of what is in {self.project}")
        if not shown:
            recorder.warn(nothing_to_read=f"{self.project} holds nothing yet that this account may see")

    # -- evidence ---------------------------------------------------------------------------------------------------

    def _stranger(self, reply: Reply) -> StageFailed:
        """It speaks HTTP, and is not this service."""
        return StageFailed(not_protocol=True, looks_like=OTHER_SERVICE, first_bytes=f"HTTP {reply.status}")

    @property
    def project(self) -> str:
        """The name of the project, instance or database."""
        return str(self.access.setting(self.project_field, ""))

    def refusal(self, reply: Reply, **more: Any) -> StageFailed:
        """What an answer says of why it is none."""
        code = self.code(reply)
        found = {
            **self._shown(reply.head),
            "error_code": code,
            "server_said": code or f"HTTP {reply.status}",
            "clock_skew_s": clock_skew(reply.head),
            "identity": str(self.access.setting(self.identity_field, "")),
            "project": self.project,
            **more,
        }
        return StageFailed(**{key: value for key, value in found.items() if value is not None})


class SignedSession(ServiceSession):
    """A service whose requests are signed with an access key."""

    def may_log_in(self) -> None:
        if not self.access.setting("access_id") or not self.access.secret("access_key"):
            identity = self.access.setting("auth_type", "none")
            raise Unsupported(f"the access identity {identity}: only access_id and access_key can sign requests here")

    @abstractmethod
    def signature(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """The headers that sign a request. `path` is without that of the endpoint."""

    async def call(
        self, path: str, query: Mapping[str, str] | None = None, *, method: str = "GET", body: bytes = b""
    ) -> Reply:
        """The answer to a signed request."""
        query = query or {}
        headers = self.signature(method, path, query, body)
        target = quote(self._path.rstrip("/") + path, safe="/-_.~") + (f"?{_encoded(query)}" if query else "")
        return await self.ask(method, target, headers, body)

    def now(self) -> datetime:
        """The time that requests are signed for."""
        return datetime.now(UTC)

    @property
    def access_id(self) -> str:
        """The id of the access key."""
        return str(self.access.setting("access_id", ""))

    @property
    def access_key(self) -> bytes:
        """Its secret, for signatures only."""
        return (self.access.secret("access_key") or "").encode()


def _encoded(query: Mapping[str, str]) -> str:
    pairs = sorted((quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in query.items())
    return "&".join(f"{key}={value}" for key, value in pairs)


_BAD_KEY = Answer(
    "CONFIG.BAD_VALUE",
    {"bad_private_key": bool},
    component="{bad_private_key}",
    message="What is given as {bad_private_key} is no RSA private key in PEM form, or has another password.",
    remedy="Give the private key (-----BEGIN PRIVATE KEY-----), and its password where it has one.",
)

#: What each group of codes asserts: the cause, its component and its texts.
_MEANINGS: Mapping[str, Mapping[str, Any]] = {
    "unknown_key": {
        "code": "AUTH.TOKEN",
        "component": "{identity}",
        "message": "{host} does not know {identity}, or it is switched off ({server_said}).",
        "remedy": "Correct the identity of {source}/{env}, or have one created for this service.",
    },
    "wrong_signature": {
        "code": "AUTH.TOKEN",
        "component": "{identity}",
        "message": "{host} knows {identity}; the secret configured with it is not its own ({server_said}).",
        "remedy": "Store the secret of {identity} in {source}/{env}.",
    },
    "refused": {
        "code": "AUTH.BAD_CREDENTIALS",
        "component": "{identity}",
        "message": "{host} does not accept the credentials of {identity}: unknown, or with another secret "
        "({server_said}).",
    },
    "expired": {
        "code": "AUTH.TOKEN",
        "component": "{identity}",
        "message": "What {identity} proves itself with has expired, or is not valid any more ({server_said}).",
        "remedy": "Renew it, and store it in {source}/{env}.",
    },
    "clock": {
        "code": "AUTH.TOKEN",
        "component": "the clock of {resource_group}",
        "message": "{host} refuses the time of the request ({server_said}): its clock and that of {resource_group} "
        "differ too much.",
        "remedy": "Set the clock of {resource_group} by NTP; if it is right, that of {host}.",
    },
    "not_admitted": {"code": "ADMIT.ALLOWLIST"},
    "shut_out": {
        "code": "AUTH.LOGIN_FORBIDDEN",
        "component": "{identity}",
        "message": "{host} knows {identity} and shuts it out ({server_said}): locked, or the account is in arrears.",
        "remedy": "Have {identity} unlocked, or its account settled.",
    },
    "target_missing": {
        "code": "TARGET.MISSING",
        "component": "{project}",
        "message": "{host} has no {project} ({server_said}).",
        "remedy": "Correct the name in {source}/{env}, its region, or have it created.",
    },
    "target_denied": {
        "code": "TARGET.NO_CONNECT",
        "component": "{project}",
        "message": "{identity} may not enter {project} on {host} ({server_said}).",
        "remedy": "Have the owner of {project} add {identity}, and grant it the right to read.",
    },
    "object_missing": {
        "code": "TARGET.OBJECT_MISSING",
        "component": "{object}",
        "message": "{object} is not in {project} ({server_said}).",
    },
    "object_denied": {
        "code": "PRIV.OBJECT_DENIED",
        "component": "{object}",
        "message": "{identity} may not read {object} in {project} ({server_said}).",
        "remedy": "Have the owner of {project} grant {identity} the right to read {object}.",
    },
    "object_unclear": {
        "code": INCONCLUSIVE,
        "alternatives": ("TARGET.OBJECT_MISSING", "PRIV.OBJECT_DENIED"),
        "component": "{object}",
        "message": "{object} is not in {project}, or {identity} may not see it ({server_said}).",
        "remedy": "Ask the owner of {project} whether {object} is there; if it is, have it granted to {identity}.",
    },
    "busy": {
        "code": "CAPACITY.CONNECTIONS",
        "message": "{host} has had too many requests of {identity} ({server_said}).",
        "remedy": "Test less often, or have the limit raised.",
    },
}


def answers(codes: Codes, *own: Answer) -> tuple[Answer, ...]:
    """The table of a service with these codes and rows of its own; what the HTTP status alone says stands last."""
    return (*TRANSPORT_ANSWERS, _BAD_KEY, *_coded(codes), *own, *_BY_STATUS, *STATUS_ANSWERS)


def _coded(codes: Codes) -> Iterator[Answer]:
    for field in fields(codes):
        known = {"error_code": getattr(codes, field.name)}
        if not known["error_code"]:
            continue
        if field.name == "denied":
            yield Answer(when=known, stage="target", **_MEANINGS["target_denied"])
            yield Answer(when=known, stage="privilege", **_MEANINGS["object_denied"])
        else:
            stage = "privilege" if field.name.startswith("object") else None
            yield Answer(when=known, stage=stage, **_MEANINGS[field.name])


_BY_STATUS = (
    Answer(when={"http_status": 401}, **_MEANINGS["refused"]),
    Answer(when={"http_status": 404, "object": bool}, stage="privilege", **_MEANINGS["object_missing"]),
    Answer(when={"http_status": 404}, stage="target", **_MEANINGS["target_missing"]),
    Answer(when={"http_status": 403, "object": bool}, stage="privilege", **_MEANINGS["object_denied"]),
    Answer(when={"http_status": 403}, stage="target", **_MEANINGS["target_denied"]),
)
