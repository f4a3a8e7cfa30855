"""Warnings: what works now and will not for long, read off the stages that passed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from registry.verdict import Stage, Status, Warning
from tasks.networks import provenance

#: Days before the end of a certificate or an account from which on it is told.
_SOON = timedelta(days=30)
#: The part of the server's connections in use from which on it is told.
_NEARLY_FULL = 0.9
#: Seconds by which a server's clock may differ from ours, Kerberos' own limit (RFC 4120, section 1.6).
_CLOCK_SKEW = 300
#: A check is slow when it takes this many times what is usual, and at least this much more, in milliseconds.
_SLOWER, SLOWER_BY_MS = 4.0, 500.0


def of(stages: Iterable[Stage]) -> list[Warning]:
    """Every warning that the evidence of these stages gives reason for."""
    return [
        Warning(code=code, message=told)
        for stage in stages
        if stage.status is not Status.FAILED
        for key, code, rule in _RULES
        if key in stage.evidence and (told := rule(stage.evidence))
    ]


def latency(elapsed_ms: float, usual_ms: float | None) -> Warning | None:
    """`LATENCY.HIGH`: a check took far longer than the same check usually does; both in milliseconds."""
    if usual_ms is None or elapsed_ms < max(_SLOWER * usual_ms, usual_ms + SLOWER_BY_MS):
        return None
    times = elapsed_ms / max(usual_ms, 1.0)
    told = f"the check took {elapsed_ms:.0f} ms, {times:.0f} times the usual {usual_ms:.0f} ms"
    return Warning(code="LATENCY.HIGH", message=told)


def _not_verified(evidence: Mapping[str, Any]) -> str | None:
    if evidence.get("verified") is False and "tls_version" in evidence:
        return "the certificate is not verified: anybody between here and the server could pretend to be it"
    return None


def _fell_back(evidence: Mapping[str, Any]) -> str:
    return (
        f"TLS is only preferred, failed (stage {evidence['fell_back_from_tls_after']}), and all went in clear text: "
        "anybody between here and the server can read it; demand TLS to have its failure told"
    )


def _nothing_read(evidence: Mapping[str, Any]) -> str:
    return f"nothing has been read, so it is not proved that this account may: {evidence['nothing_to_read']}"


def _host_key_not_verified(evidence: Mapping[str, Any]) -> str | None:
    if evidence.get("host_key_verified") is False:
        return (
            "the SSH host key is not known: anybody between here and the server could pretend to be it; "
            f"if {evidence.get('shown_fingerprint')} is right, set host_key: {evidence.get('host_key_line')}"
        )
    return None


def _expires_soon(evidence: Mapping[str, Any]) -> str | None:
    return _soon(evidence.get("not_after"), f"the certificate of {evidence.get('subject', 'the server')}")


def _account_expires_soon(evidence: Mapping[str, Any]) -> str | None:
    return _soon(evidence.get("account_valid_until"), "the account")


def _soon(moment: object, what: str) -> str | None:
    try:
        left = datetime.fromisoformat(str(moment).replace("Z", "+00:00")) - datetime.now(UTC)
    except (ValueError, TypeError):
        return None
    if left < timedelta(0):
        return f"{what} expired at {moment}"
    return f"{what} expires at {moment}, in {left.days} days" if left < _SOON else None


def _nearly_full(evidence: Mapping[str, Any]) -> str | None:
    used, limit = evidence.get("connections_used"), evidence.get("connections_limit")
    if isinstance(used, int) and isinstance(limit, int) and limit > 0 and used >= _NEARLY_FULL * limit:
        return f"{used} of {limit} connections are in use"
    return None


def _skewed(evidence: Mapping[str, Any]) -> str | None:
    skew = evidence.get("clock_skew_s")
    if isinstance(skew, (int, float)) and abs(skew) > _CLOCK_SKEW:
        return f"the server's clock is {skew:+.0f} s off ours"
    return None


def _access_key_used(evidence: Mapping[str, Any]) -> str | None:
    if evidence.get("access_key_used"):
        return "a static access key is used: it does not expire and can be copied; a role would be safer"
    return None


def _unreached(evidence: Mapping[str, Any]) -> str | None:
    return f"advertised, and not to be reached from here: {'; '.join(evidence['unreached'])}"


def _let_in_unlisted(evidence: Mapping[str, Any]) -> str:
    listed = ", ".join(evidence["listed"])
    return (
        f"the server let {evidence['let_in_unlisted']} in, which its list as known here leaves out ({listed}): the "
        "list on the server is another one, or is not enforced; correct what is declared"
    )


#: The evidence that a rule reads, the warning's code, and the rule.
_RULES: tuple[tuple[str, str, Callable[[Mapping[str, Any]], str | None]], ...] = (
    ("allowlist", "ADMIT.ALLOWLIST_TOO_WIDE", provenance.too_wide),
    ("let_in_unlisted", "ADMIT.ALLOWLIST_DIFFERS", _let_in_unlisted),
    ("verified", "TLS.NOT_VERIFIED", _not_verified),
    ("fell_back_from_tls_after", "TLS.FELL_BACK", _fell_back),
    ("host_key_verified", "TLS.NOT_VERIFIED", _host_key_not_verified),
    ("not_after", "TLS.EXPIRES_SOON", _expires_soon),
    ("account_valid_until", "AUTH.EXPIRES_SOON", _account_expires_soon),
    ("connections_used", "CAPACITY.NEARLY_FULL", _nearly_full),
    ("clock_skew_s", "SERVER.CLOCK_SKEW", _skewed),
    ("nothing_to_read", "PRIV.NOTHING_READ", _nothing_read),
    ("unreached", "DNS.SOME_ADDRESSES_FAIL", _unreached),
    ("access_key_used", "AUTH.ACCESS_KEY_USED", _access_key_used),
)
