"""Which difference between two environments explains that one of them fails. A table of rules, and pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from registry.verdict import Status, Verdict
from tasks.comparison import Difference


@dataclass(frozen=True)
class Reason:
    """A failing verdict and a difference that go together.

    Attributes:
        causes: Codes, or beginnings of them, of the side that fails.
        aspects, subjects: Those of the difference; no subjects: any.
        says: A template over the difference, `failing` and `other`, `here` (how it is there) and `there`, and `cause`.
    """

    causes: tuple[str, ...]
    aspects: tuple[str, ...]
    says: str
    subjects: tuple[str, ...] = ()


REASONS = (
    Reason(
        ("TARGET.OBJECT_MISSING",),
        ("missing",),
        "{failing} fails because {subject} is not where the account looks for it: {there} in {other}, {here} in "
        "{failing}. {elsewhere_hint}",
    ),
    Reason(
        ("PRIV.OBJECT_DENIED",),
        ("privilege",),
        "{failing} fails because its account lacks {lacks} on {subject}, which that of {other} has: have it granted.",
    ),
    Reason(
        ("PRIV.OBJECT_DENIED",),
        ("missing",),
        "{subject} is {there} in {other} and {here} in {failing}: it is missing there, or hidden from the account.",
    ),
    Reason(
        ("SERVER.WRONG_ROLE",),
        ("setting",),
        "{failing} fails because {subject} is {here} there and {there} in {other}: use the address of the primary.",
        ("in_recovery", "read_only", "super_read_only", "default_transaction_read_only"),
    ),
    Reason(
        ("TLS.REQUIRED",),
        ("setting",),
        "{failing} fails because {subject} is {here} there: its entry has to ask for TLS.",
        ("require_secure_transport",),
    ),
    Reason(
        ("CAPACITY.CONNECTIONS",),
        ("setting",),
        "{failing} takes {here} connections, {other} {there}.",
        ("max_connections",),
    ),
    Reason(
        ("AUTH.", "TARGET.MISSING", "TARGET.NO_CONNECT"),
        ("entry",),
        "The entries differ in {subject}: {there} in {other}, {here} in {failing}, which fails with {cause}.",
        ("username", "database", "access_mode", "auth_type"),
    ),
    Reason(
        ("TLS.",),
        ("entry",),
        "The entries differ in {subject}: {there} in {other}, {here} in {failing}, which fails with {cause}.",
        ("security_protocol", "properties"),
    ),
)
#: When both can be connected to and a job still fails on one side: the aspects that a job trips over, worst first.
_TRIPPING = (
    (
        "column",
        "{subject} is {dev} in dev and {prod} in prod: a job made for one fails, or loses values, on the other.",
    ),
    ("missing", "{subject} is {dev} in dev and {prod} in prod: a job that uses it runs on one side only."),
    ("privilege", "The accounts may do different things with {subject} ({why})."),
    ("rows", "{subject} has {dev} in dev and {prod} in prod: {why}."),
    ("kind", "{subject} is a {dev} in dev and a {prod} in prod: {why}."),
    ("setting", "{subject} is {dev} in dev and {prod} in prod: {why}."),
)
#: What a server refuses by failing in a stage: whoever comes as far has been talking to it.
_REFUSED = {
    "admit": "entry",
    "login": "the login",
    "target": "what the entry names",
    "privilege": "what is to be read",
}
#: Causes that lie before the login: what is on the server explains none of them.
_ON_THE_WAY = ("DNS.", "ROUTE.", "HOST.", "FILTER.", "PORT.", "PEER.", "ADMIT.", "INCONCLUSIVE")


def explanations(verdicts: Sequence[Verdict], found: Sequence[Difference]) -> list[str]:
    """Which differences explain that one side fails; without a failure, those that a job may trip over."""
    failing = [one for one in verdicts if not one.connectable]
    if not failing:
        matters = [one for one in found if one.matters]
        return [_filled(says, one) for aspect, says in _TRIPPING for one in matters if one.aspect == aspect]
    said = [text for verdict in _each_cause(failing) for text in _of_failure(verdict, verdicts, found)]
    return list(dict.fromkeys(said))


def _each_cause(failing: Sequence[Verdict]) -> list[Verdict]:
    """One verdict for each environment and cause."""
    return list({(one.env, one.cause): one for one in reversed(failing)}.values())[::-1]


def _of_failure(verdict: Verdict, verdicts: Sequence[Verdict], found: Sequence[Difference]) -> Iterator[str]:
    cause, env = str(verdict.cause), verdict.env
    other = "prod" if env == "dev" else "dev"
    mine = [one for one in verdicts if one.env == env]
    others = [one for one in verdicts if one.env == other]
    if others and all(one.cause == cause for one in (*mine, *others)):
        yield f"Both environments fail with {cause}: {verdict.message} {verdict.remedy}"
        return
    fitting = [
        (reason, one)
        for reason in REASONS
        if cause.startswith(reason.causes)
        for one in _about(verdict, found)
        if _fit(reason, one, env)
    ]
    for reason, one in fitting:
        yield _filled(reason.says, one, cause=cause, **_sides(one, env, other))
    if cause.startswith(_ON_THE_WAY):
        yield _on_the_way(verdict, mine, others)
    elif not fitting:
        yield f"{env} fails with {cause}: {verdict.message} {verdict.remedy}"


def _about(verdict: Verdict, found: Sequence[Difference]) -> Sequence[Difference]:
    """Those about the very object at fault, where the verdict names one that differs."""
    named = [one for one in found if one.subject.strip('"`') == verdict.component.strip('"`')]
    return named or found


def _fit(reason: Reason, one: Difference, env: str) -> bool:
    if one.aspect not in reason.aspects or (reason.subjects and one.subject not in reason.subjects):
        return False
    if one.aspect == "missing":
        return (one.dev if env == "dev" else one.prod).startswith("missing")
    return one.aspect != "privilege" or f"{env}_lacks" in dict(one.details)


def _sides(one: Difference, env: str, other: str) -> dict[str, str]:
    here, there = (one.dev, one.prod) if env == "dev" else (one.prod, one.dev)
    details = dict(one.details)
    schema = details.get("elsewhere", "")
    hint = f"Name it with its schema ({schema}), or set the schema in the entry." if schema else "Create it there."
    return {
        "failing": env,
        "other": other,
        "here": here,
        "there": there,
        "lacks": details.get(f"{env}_lacks", ""),
        "elsewhere_hint": hint,
    }


def _filled(template: str, one: Difference, **more: str) -> str:
    words = {"subject": one.subject, "dev": one.dev, "prod": one.prod, "why": one.why, **more}
    return template.format_map(words).strip()


def _on_the_way(verdict: Verdict, mine: Sequence[Verdict], others: Sequence[Verdict]) -> str:
    """A cause between the group and the server: the two environments are two addresses."""
    ill = [one.resource_group for one in mine if one.cause == verdict.cause]
    well = [one.resource_group for one in mine if one.connectable]
    refused = _refused_in(verdict)
    cause = " or ".join(verdict.alternatives) or verdict.cause
    fails = f"refuses {', '.join(ill)} {refused}" if refused else f"cannot be reached from {', '.join(ill)}"
    told = f"{verdict.env} {fails} ({cause}): {verdict.message}"
    if well and refused:
        told += (
            f" From {', '.join(well)} it works: the server is reached from both, and treats their addresses otherwise."
        )
    elif well:
        told += f" From {', '.join(well)} it works, so what differs is the network of the group."
    reached = [one for one in others if one.connectable and one.resource_group in ill]
    if reached and refused:
        told += f" {reached[0].env} at {_address(reached[0])} lets {reached[0].resource_group} in."
    elif reached:
        told += (
            f" {reached[0].resource_group} does reach {reached[0].env} at {_address(reached[0])}, so what differs is "
            f"the way to {_address(verdict)}, or what is let in there."
        )
    return f"{told} {verdict.remedy}"


def _refused_in(verdict: Verdict) -> str:
    """What a server that was reached refused; empty when it was not heard to speak."""
    failed = next((stage for stage in verdict.stages if stage.status is Status.FAILED), None)
    codes = verdict.alternatives or [str(verdict.cause)]
    silent = any(code.startswith(_ON_THE_WAY) and not code.startswith("ADMIT.") for code in codes)
    return _REFUSED.get(failed.name, "") if failed is not None and not silent else ""


def _address(verdict: Verdict) -> str:
    seen = {key: value for stage in verdict.stages for key, value in stage.evidence.items()}
    return f"{seen.get('address', verdict.component)}:{seen['port']}" if "port" in seen else str(verdict.component)
