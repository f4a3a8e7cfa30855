"""The same server shows different certificates to different places: somebody in between speaks for it."""

from __future__ import annotations

from collections.abc import Sequence

from registry.verdict import Owner, Warning
from tasks.perspectives import Insight, Rule
from tasks.perspectives.view import View, agreeing, names


def intercepted(view: View, others: Sequence[View]) -> Insight | None:
    """The issuer is not trusted here, and others have verified a certificate of another issuer at the same place."""
    issuer = view.seen("tls").get("issuer")
    if view.verdict.cause != "TLS.UNTRUSTED_CA" or not issuer:
        return None
    verified = [
        other
        for other in others
        if other.place == view.place and other.seen("tls").get("verified") and _issuer(other) not in (None, issuer)
    ]
    if not verified:
        return None
    right = ", ".join(sorted({str(_issuer(other)) for other in verified}))
    address, port = view.place
    return Insight(
        "TLS.UNTRUSTED_CA",
        component=f"the TLS inspection by {issuer}",
        message=f"Between {view.group} and {address}:{port} somebody decrypts TLS: the certificate there is issued by "
        f"{issuer}, while {agreeing(verified, 'has', 'have')} verified one of {right}.",
        remedy=f"Exempt {address}:{port} from TLS inspection for {view.group}; do not trust {issuer} for a data source "
        "unless that inspection is meant to be.",
        owner=Owner.NETWORK,
        decided_by=verified,
    )


def unverified_and_different(view: View, others: Sequence[View]) -> Insight | None:
    """Nobody verifies, and the certificates are not of the same issuer."""
    issuer = _issuer(view)
    if not view.passed("tls") or view.seen("tls").get("verified") is not False or issuer is None:
        return None
    differing = [
        other
        for other in others
        if other.place == view.place and other.passed("tls") and _issuer(other) not in (None, issuer)
    ]
    if not differing:
        return None
    address, port = view.place
    theirs = ", ".join(sorted({str(_issuer(other)) for other in differing}))
    return Insight(
        stage="tls",
        decided_by=differing,
        warnings=(
            Warning(
                code="TLS.NOT_VERIFIED",
                message=f"{address}:{port} shows {view.group} a certificate issued by {issuer}, and {names(differing)} "
                f"one by {theirs}: somebody in between may decrypt TLS, and nobody verifies",
            ),
        ),
    )


def _issuer(view: View) -> object:
    return view.seen("tls").get("issuer")


RULES = (
    Rule("certificate of another issuer", intercepted, 40),
    Rule("unverified issuers differ", unverified_and_different, remark=True),
)
