"""The check: walk the stages from one vantage, gather evidence, and have it diagnosed.

config -> credentials -> instance -> resolve -> for every address: route -> connect -> the protocol's own stages
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import SecretStr

from registry.connection import Connection, Endpoint, Mode
from registry.errors import SecretUnresolved
from registry.policy import is_nobodys
from registry.verdict import Verdict
from tasks import diagnosis, redaction
from tasks.budget import Budget
from tasks.conversation import Conversation
from tasks.evidence import Attempt, Observer, Recorder, StageFailed, StageSkipped, Steps, Trace, now, unobserved
from tasks.networks import provenance
from tasks.protocols import Access, Protocol, load
from tasks.target import Target
from tasks.tls import TlsMaterial
from tasks.vantages import Resolution, Vantage, is_public

#: How far beyond the deadline the last guard waits for the inner deadlines to speak, in seconds.
_GUARD = 0.2
#: The part of the time left that name resolution may take: the connect after it has enough to tell silence from haste.
_RESOLVE_SHARE = 0.6
#: Addresses of one data source that are tried at the same time.
_ADDRESSES_AT_ONCE = 8
#: The fields in which types keep the password of the client's private key; the first that is set counts.
_KEY_PASSWORDS = ("client_password", "key_password", "keystore_password")
#: Where these keep their values, asking takes a network round trip.
_REMOTE_SCHEMES = ("prefect:", "vault:")


@dataclass(frozen=True)
class Probed:
    """Everything observed in one check.

    Attributes:
        started_at: RFC 3339, in UTC.
        elapsed_ms: Milliseconds.
    """

    trace: Trace
    started_at: str
    elapsed_ms: float


async def check(target: Target, vantage: Vantage, *, timeout: float = 5.0, observe: Observer = unobserved) -> Verdict:
    """Check one environment of one data source from one vantage; arguments as in `probe`."""
    probed = await probe(target, vantage, timeout=timeout, observe=observe)
    return diagnosis.diagnose(target, probed.trace, started_at=probed.started_at, elapsed_ms=probed.elapsed_ms)


def _as_it_is(protocol: Protocol) -> Protocol:
    return protocol


async def probe(
    target: Target,
    vantage: Vantage,
    *,
    timeout: float = 5.0,
    observe: Observer = unobserved,
    adapt: Callable[[Protocol], Protocol] = _as_it_is,
) -> Probed:
    """Gather the evidence for a verdict.

    Args:
        timeout: Seconds the whole check may take; it ends within 0.5 s more, whatever the peer does.
        observe: Hears of each stage when it begins and when it ends.
        adapt: Makes the protocol ask something else of the peer than a check does: see `tasks.comparison.survey`.
    """
    trace, started_at, started = Trace(Steps(observe=observe), facts={"timeout_s": timeout}), now(), time.perf_counter()
    walk = _Walk(target, vantage, Budget.of(timeout), trace, adapt)
    try:
        with walk.budget.under_way():
            async with asyncio.timeout(timeout + _GUARD):
                await walk.run()
    except (StageFailed, TimeoutError):
        pass  # the trace tells
    elapsed = round((time.perf_counter() - started) * 1000, 3)
    redaction.hide(trace, walk.secrets, target.connection)
    return Probed(trace, started_at, elapsed)


class _Walk:
    """One check under way."""

    def __init__(
        self, target: Target, vantage: Vantage, budget: Budget, trace: Trace, adapt: Callable[[Protocol], Protocol]
    ) -> None:
        self.target = target
        self.vantage = vantage
        self.budget = budget
        self.trace = trace
        self.adapt = adapt
        self.secrets: Mapping[str, SecretStr] = {}
        self.endpoints: tuple[Endpoint, ...] = ()
        #: The names that a hosts file binds.
        self.bound: set[str] = set()

    async def run(self) -> None:
        """Every stage, until one fails."""
        stage = self.trace.head.stage
        with stage("config") as recorder:
            protocol = self.adapt(self._configured(recorder))
        with stage("credentials") as recorder:
            self.secrets = await self._secrets(recorder)
        with stage("instance") as recorder:
            self.endpoints = await self._located(recorder)
        with stage("resolve") as recorder:
            await self._resolve(recorder)
        access = self._access(self.secrets)
        gate = asyncio.Semaphore(_ADDRESSES_AT_ONCE)

        async def attempt(one: Attempt) -> None:
            async with gate:
                await self._attempt(one, protocol, access)

        await asyncio.gather(*(attempt(one) for one in self.trace.attempts))
        self._note_sources()
        self._note_failing()

    def _note_sources(self) -> None:
        """Where we come from, where that depends on the address: a dual-stack server sees either."""
        best = self.trace.best()
        sources = dict.fromkeys(provenance.observed(one.steps.stages) for one in self.trace.attempts)
        found = [address for address in sources if address]
        if best is not None and len(found) > 1:
            best.steps.amend("route", source_addresses=found)

    def _note_failing(self) -> None:
        """Beside an address that works: those that do not."""
        best = self.trace.best()
        failing = [one.address for one in self.trace.attempts if not one.succeeded]
        if best is not None and best.succeeded and failing:
            best.steps.amend("connect", failing_addresses=failing)

    def _configured(self, recorder: Recorder) -> Protocol:
        target = self.target
        problem = target.problem
        if problem is not None or target.connection is None:
            raise StageFailed(
                problem=target.problem_code or "CONFIG.BAD_VALUE",
                reason=problem.reason if problem else "",
                where=problem.where if problem else "",
                instruction=(problem.instruction if problem else "")
                or f"Correct the entry of {target.source}/{target.env}, and apply it.",
            )
        self.endpoints = target.connection.endpoints()
        try:
            protocol = load(target.protocol)
        except ModuleNotFoundError as missing:
            raise StageFailed(missing_module=missing.name) from None
        recorder.see(allowlist=list(target.connection.allowlist) or None)
        recorder.see(configuration_version=target.version)
        recorder.see(protocol=protocol.name, endpoints=[f"{one.host}:{one.port}" for one in self.endpoints] or None)
        return protocol

    async def _secrets(self, recorder: Recorder) -> Mapping[str, SecretStr]:
        connection = self.target.connection
        references = connection.secret_references() if connection is not None else {}
        if not references:
            raise StageSkipped("no secrets are configured")
        recorder.see(references=[f"{name} from {reference}" for name, reference in references.items()])
        recorder.see(resolved_by=self.target.resource_group if self.target.resolves_secrets else None)
        remote = any(reference.startswith(_REMOTE_SCHEMES) for reference in references.values())
        try:
            return await asyncio.to_thread(self.target.secrets) if remote else self.target.secrets()
        except SecretUnresolved as unresolved:
            raise StageFailed(
                reason=unresolved.reason,
                where=unresolved.where or f"{self.target.source}/{self.target.env}",
                instruction=unresolved.instruction or "Correct the reference, or put the value where it points.",
            ) from None

    async def _located(self, recorder: Recorder) -> tuple[Endpoint, ...]:
        """Where the data source is: in instance mode the cloud tells."""
        if self._connection.mode is not Mode.INSTANCE:
            raise StageSkipped("the connection string names the address itself")
        from tasks import instances

        return await instances.locate(self.target, self.vantage, recorder, self.budget.within(_RESOLVE_SHARE))

    @property
    def _connection(self) -> Connection:
        assert self.target.connection is not None  # noqa: S101 - the stage `config` has seen to it
        return self.target.connection

    async def _resolve(self, recorder: Recorder) -> None:
        """Turn every endpoint into addresses; fails when none has one."""
        endpoints = self.endpoints
        budget = self.budget.within(_RESOLVE_SHARE)
        resolutions = await asyncio.gather(*(self._addresses(endpoint, budget) for endpoint in endpoints))
        observe = self.trace.head.observe
        for endpoint, resolution in zip(endpoints, resolutions, strict=True):
            if resolution.evidence.get("from") == "hosts":
                self.bound.add(endpoint.host)
            for address in resolution.addresses:
                self.trace.attempts.append(Attempt(endpoint.host, endpoint.port, address, Steps(observe=observe)))
        failed = [resolution for resolution in resolutions if not resolution.addresses]
        if not self.trace.attempts:
            raise StageFailed(**failed[0].evidence if failed else {"rcode": "NXDOMAIN", "name": ""})
        if all(resolution.evidence.get("from") in ("literal", "unix") for resolution in resolutions):
            raise StageSkipped("the address is given as a number")
        for resolution in resolutions:
            recorder.see(**resolution.evidence)
            recorder.warned = recorder.warned or bool(resolution.evidence.get("silent_nameservers"))
        if failed:
            self.trace.facts["unresolved"] = [dict(resolution.evidence) for resolution in failed]
            recorder.warn(unresolved=[str(resolution.evidence.get("name")) for resolution in failed])

    async def _addresses(self, endpoint: Endpoint, budget: Budget) -> Resolution:
        if endpoint.host.startswith("/"):
            return Resolution((endpoint.host,), {"from": "unix"})
        return await self.vantage.resolve(endpoint.host, budget)

    def _access(self, secrets: Mapping[str, SecretStr]) -> Access:
        connection = self._connection
        settings = connection.tls()

        def pem(field: str) -> str | None:
            return secrets[field].get_secret_value() if field in secrets else None

        material = TlsMaterial(
            mode=settings.mode,
            ca=pem("truststore_file") or pem("ssl_root_certificate_file"),
            certificate=pem("keystore_file"),
            key=secrets.get("key_file"),
            key_password=next((secrets[name] for name in _KEY_PASSWORDS if name in secrets), None),
        )
        return Access("", 0, "", connection, secrets, material)

    async def _attempt(self, attempt: Attempt, protocol: Protocol, access: Access) -> None:
        """One address, from the policy to the last stage; how it ended stays in its steps."""
        try:
            with attempt.steps.stage("route") as recorder:
                await self._route(attempt, recorder)
            conversation = Conversation(
                self.vantage,
                protocol,
                replace(access, host=attempt.host, port=attempt.port, address=attempt.address),
                self.budget,
                self.target.default_port,
                self.target.refusal_of,
                self.target.network,
            )
            await conversation.run(attempt.steps)
            stages = attempt.steps.stages
            told = provenance.contradicted(stages, self._allowlist, self.target.network, attempt.address)
            attempt.steps.amend("connect", **told)
        except StageFailed:
            stages = attempt.steps.stages
            told = provenance.noted(stages, self._allowlist, self.target.network, attempt.address)
            bound = attempt.host in self.bound or None
            attempt.steps.amend(stages[-1].name, **told, **self._bearing(attempt.address), bound_in_hosts=bound)

    def _bearing(self, address: str) -> Mapping[str, Any]:
        """What the cloud told of the way out of the group's own network, where the address is a public one."""
        if self._connection.mode is not Mode.INSTANCE:
            return {}
        from tasks import instances

        return instances.bearing(self.trace.head.stages, address)

    @property
    def _allowlist(self) -> Sequence[str]:
        """The server's list, as declared or as its cloud tells it."""
        told = [stage.evidence["allowlist"] for stage in self.trace.head.stages if "allowlist" in stage.evidence]
        return told[-1] if told else ()

    async def _route(self, attempt: Attempt, recorder: Recorder) -> None:
        address, from_name = attempt.address, attempt.address != attempt.host
        if address.startswith("/"):
            raise StageSkipped("a Unix socket needs no route")
        refusal = self.target.refusal_of(address)
        if refusal is not None:
            nobodys = is_nobodys(address) or None
            raise StageFailed(forbidden=refusal.reason, address=address, nobodys=nobodys)
        route = await self.vantage.route(address)
        recorder.see(source_address=route.source_address)
        if route.broadcast:
            reason = f"{address} is the broadcast address of a network here"
            raise StageFailed(forbidden=reason, address=address, nobodys=True)
        if route.error is not None:
            ways = await self.vantage.way_out()
            own, other = ("IPv6", "IPv4") if ":" in address else ("IPv4", "IPv6")
            raise StageFailed(
                errno=route.error,
                from_name=from_name,
                address=address,
                family=own,
                public=is_public(address),
                way_out=bool(ways.get(own.lower())),
                way_out_other_family=bool(ways.get(other.lower())),
            )
