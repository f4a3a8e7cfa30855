"""Diagnosis: evidence in, verdict out. A pure function of the trace; it opens nothing and asks nobody.

The failed stage of the attempt that got furthest is held against the table of the protocol first, then against the
generic rules of the root causes; the first row that fits is the cause.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from registry.verdict import INCONCLUSIVE, STAGES, Owner, Stage, State, Status, Verdict, Warning
from tasks import causes, cautions, tls_words
from tasks.evidence import Attempt, Trace, matches, skipped
from tasks.networks import provenance
from tasks.protocols import Answer, Protocol, load
from tasks.target import Target

#: Words that are clauses.
_CLAUSES = ("{enable_tls}", "{disable_tls}", "{give_certificate}")
#: Beside an address that cannot be reached: where it comes from, if that is not what everybody else is told.
_BOUND = " {name} has this address from the hosts file of {resource_group}, whatever its name servers say."
#: Beside an address that nobody would have meant.
_STANDS_FOR = " {name} stands for {address} as {resource_group} resolves names."
#: What a server says of itself, where others answer at the same address that do not.
_OF_ONE_SERVER = ("TLS.", "PROTO.", "PEER.", "ADMIT.")
_OTHERS = (
    " It is not always so: the same conversation went on when it was held again. Servers that differ answer at "
    "{address}:{port} in turn, behind a load balancer, or a limit lets some through."
)
_MAKE_ALIKE = "Let whoever runs the servers behind {address}:{port} make them alike."
#: How a word reads that nobody knows.
UNKNOWN = "?"


@dataclass(frozen=True)
class Finding:
    """A cause with the texts for a person."""

    code: str
    state: State
    owner: Owner
    component: str
    message: str
    remedy: str
    alternatives: tuple[str, ...] = ()


def diagnose(target: Target, trace: Trace, *, started_at: str, elapsed_ms: float) -> Verdict:
    """The verdict over everything observed in one check."""
    best = trace.best()
    stages = [*trace.head.stages, *(best.steps.stages if best else [])]
    finding = None if best is not None and best.succeeded else _find(target, trace, best)
    return Verdict.model_construct(
        workspace=target.workspace,
        source=target.source,
        type=target.type,
        env=target.env,
        resource_group=target.resource_group,
        state=finding.state if finding else State.CONNECTABLE,
        cause=finding.code if finding else None,
        alternatives=list(finding.alternatives) if finding else [],
        component=finding.component if finding else "",
        message=finding.message if finding else "",
        remedy=finding.remedy if finding else "",
        owner=finding.owner if finding else Owner.USER,
        stages=_complete(stages),
        warnings=_warnings(target, trace, best, stages),
        started_at=started_at,
        elapsed_ms=elapsed_ms,
    )


def _find(target: Target, trace: Trace, best: Attempt | None) -> Finding:
    failed = trace.head.failed() or (best.steps.failed() if best else None)
    if failed is None:
        # The last guard ended the check between two stages.
        failed = Stage(
            name=_last(trace, best), status=Status.FAILED, started_at="", elapsed_ms=0.0, evidence={"interrupted": True}
        )
    return explain(target, failed, best, timeout_s=trace.facts.get("timeout_s"))


def _last(trace: Trace, best: Attempt | None) -> str:
    stages = (best.steps.stages if best else None) or trace.head.stages
    return stages[-1].name if stages else STAGES[0]


def explain(target: Target, failed: Stage, attempt: Attempt | None, *, timeout_s: float | None = None) -> Finding:
    """The cause of one failed stage."""
    words = context(target, failed, attempt, timeout_s)
    protocol = _protocol(target)
    answers = ((answer.code, answer) for answer in protocol.answers) if protocol else ()
    rows: Iterable[tuple[str, Answer | causes.Rule]]
    rows = chain(causes.rules_before_answers(), answers, causes.rules_after_answers())
    # What a redirect leads to has stages of its own.
    stage = failed.evidence.get("redirect_stage", failed.name)
    for code, row in rows:
        if row.stage in (None, stage) and matches(failed.evidence, row.when):
            return _finding(code, row, words)
    # What no row knows is an error of the peer's own: tables need no row for it.
    return _finding("SERVER.ERROR", Answer("SERVER.ERROR", {}), words)


def _protocol(target: Target) -> Protocol | None:
    try:
        return load(target.protocol)
    except ModuleNotFoundError:
        return None


def _finding(code: str, row: Answer | causes.Rule, words: Mapping[str, str]) -> Finding:
    cause = causes.catalogue()[code]
    message, remedy = _fill(row.message or cause.message, words), _fill(row.remedy or cause.remedy, words)
    if words["redirected_to"] != UNKNOWN:
        message = f"{message.rstrip('.')}; the redirect of {words['source']} leads there ({words['redirected_to']})."
        remedy = f"Configure the URL that answers without a redirect, or mend where it leads to. {remedy}"
    if words["servers_differ"] != UNKNOWN and (row.alternatives or (code,))[0].startswith(_OF_ONE_SERVER):
        message += _fill(_OTHERS, words)
        alike = _fill(_MAKE_ALIKE, words)
        remedy = alike if code.startswith("PROTO.") else f"{alike} For the one that failed: {remedy}"
    if code == "ADMIT.ALLOWLIST":
        message += provenance.REMARKS.get(words["allowlist_standing"], "")
    state = causes.state_of(code, row.alternatives)
    if words["bound_in_hosts"] != UNKNOWN and state is State.UNREACHABLE:
        message += _fill(_BOUND, words)
    elif words["name"] != words["address"] and (code == "POLICY.FORBIDDEN_TARGET" or _is_loopback(words["address"])):
        message += _fill(_STANDS_FOR, words)
    return Finding(
        code=code,
        state=state,
        owner=_owner(code, row),
        component=_fill(row.component or cause.component, words),
        message=message,
        remedy=remedy,
        alternatives=row.alternatives,
    )


def _owner(code: str, row: Answer | causes.Rule) -> Owner:
    responsible = row.alternatives[0] if code == INCONCLUSIVE else code
    return row.owner or causes.catalogue()[responsible].owner


def _fill(template: str, words: Mapping[str, str]) -> str:
    # An address of IPv6 has colons of its own (RFC 3986, section 3.2.2).
    filled = template.replace("{address}:{port}", "{socket}").format_map(words)
    # A clause of `tls_words` may begin a sentence.
    return filled[:1].upper() + filled[1:] if template.startswith(_CLAUSES) else filled


def context(
    target: Target, failed: Stage, attempt: Attempt | None, timeout_s: float | None = None
) -> Mapping[str, str]:
    """The words that templates may use: the target's, the attempt's, and every key of the stage's evidence.

    A word that nobody knows reads as ``?``.
    """
    evidence = failed.evidence
    connection = target.connection
    earlier = attempt.steps.stages if attempt else []
    source = next(
        (stage.evidence["source_address"] for stage in reversed(earlier) if "source_address" in stage.evidence), None
    )
    protocol = _protocol(target)
    words: dict[str, Any] = {
        "workspace": target.workspace,
        "source": target.source,
        "type": target.type,
        "env": target.env,
        "resource_group": target.resource_group,
        "default_port": target.default_port,
        "protocol_title": protocol.title if protocol else target.protocol,
        "protocol": target.protocol,
        "stage": failed.name,
        "greets_late": f" {protocol.greets_late}".rstrip() if protocol and failed.name == "greet" else "",
        "timeout_s": timeout_s,
        "host": attempt.host if attempt else _first_host(target),
        "name": attempt.host if attempt else _first_host(target),
        "port": attempt.port if attempt else "",
        "address": attempt.address if attempt else _first_host(target),
        "username": getattr(connection, "username", None) or "this client",
        "database": getattr(connection, "database", None) or "the default database",
        **_written(protocol, connection),
        **tls_words.words(connection, target.type, target.protocol),
        "source_address": source,
        "looks_like": "an unknown protocol",
        "tls_error": "the server closed the channel",
        "clock": failed.started_at,
        "server_said": evidence.get("broken", "no code"),
        **{key: value for key, value in evidence.items() if value is not None},
    }
    if protocol and words["looks_like"] in (protocol.title, protocol.fingerprint):
        words["looks_like"] = "something like it that breaks its rules"
    words |= provenance.words(target.network, str(words["address"]), words["source_address"], failed)
    words["network"] = _cidr(words["address"], 24, 64)
    words["endpoint"] = f"{words['host']}:{words['port']}" if words["port"] != "" else words["host"]
    words["socket"] = _socket(words["address"], words["port"])
    words["answered_otherwise"] = _otherwise(evidence)
    return defaultdict(lambda: UNKNOWN, {key: _told(value) for key, value in words.items()})


def _written(protocol: Protocol | None, connection: Any) -> Mapping[str, str]:
    """User and database as they stand in statements, for whoever copies one."""
    username, database = getattr(connection, "username", None), getattr(connection, "database", None)
    written = protocol.written if protocol else str
    written_user = (protocol.written_user if protocol else None) or written
    return {
        "username_sql": written_user(username) if username else "the account of this client",
        "database_sql": written(database) if database else "the database",
    }


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _first_host(target: Target) -> str:
    endpoints = target.connection.endpoints() if target.connection is not None else ()
    return endpoints[0].host if endpoints else ""


def _told(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value) or "none"
    return UNKNOWN if value is None else str(value)


def _socket(address: Any, port: Any) -> str:
    return f"[{address}]:{port}" if ":" in str(address) else f"{_told(address)}:{_told(port)}"


def _cidr(address: Any, ipv4: int, ipv6: int) -> str:
    try:
        parsed = ipaddress.ip_address(str(address).partition("%")[0])
    except ValueError:
        return "the address of this resource group"
    prefix = ipv4 if parsed.version == 4 else ipv6
    return str(ipaddress.ip_network(f"{parsed}/{prefix}", strict=False))


def _otherwise(evidence: Mapping[str, Any]) -> str:
    ports = evidence.get("ports_that_answer") or []
    if ports:
        return ("on port " if len(ports) == 1 else "on ports ") + ", ".join(str(port) for port in ports)
    return "an ICMP echo" if evidence.get("answers_ping") else "otherwise"


def _complete(stages: Iterable[Stage]) -> list[Stage]:
    """Every stage in the contract's order; those not reached say why."""
    ran = {stage.name: stage for stage in stages}
    failed = next((stage.name for stage in ran.values() if stage.status is Status.FAILED), None)
    reason = f"not reached: {failed} failed" if failed else "not reached"
    return [ran.get(name) or skipped(name, reason) for name in STAGES]


def _warnings(target: Target, trace: Trace, best: Attempt | None, stages: list[Stage]) -> list[Warning]:
    found = [*target.warnings, *cautions.of(stages)]
    if best is not None:
        found += provenance.differences(target.network, best.address, stages)
    if best is not None and best.succeeded:
        failing = [_why(target, attempt) for attempt in trace.attempts if not attempt.succeeded]
        failing += [
            f"{unresolved.get('name')}: {unresolved.get('rcode')}" for unresolved in trace.facts.get("unresolved", [])
        ]
        if failing:
            found.append(Warning(code="DNS.SOME_ADDRESSES_FAIL", message="; ".join(failing)))
    return found


def _why(target: Target, attempt: Attempt) -> str:
    failed, socket = attempt.steps.failed(), _socket(attempt.address, attempt.port)
    if failed is None:
        return f"{socket}: no answer in time"
    finding = explain(target, failed, attempt)
    return f"{socket}: {' or '.join(finding.alternatives) or finding.code}: {finding.message}"
