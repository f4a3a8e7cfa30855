"""A certificate authority of the tests' own, and servers that hold its certificates."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import trustme

CA = trustme.CA()


def trusting(authority: trustme.CA = CA) -> dict[str, str]:
    """The secret fields of an entry whose truststore is this authority."""
    return {"truststore_file": authority.cert_pem.bytes().decode()}


def server_context(*names: str, authority: trustme.CA = CA, days: tuple[float, float] | None = None) -> ssl.SSLContext:
    """TLS of a server under these names, by default under the address that tests listen on.

    Args:
        days: From when and until when the certificate is valid, in days from now.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begins, ends = (datetime.now(UTC) + timedelta(days=one) for one in days) if days else (None, None)
    made = authority.issue_cert(*(names or ("127.0.0.1",)), not_before=begins, not_after=ends)
    made.configure_cert(context)
    return context


def mistrusted() -> Iterator[tuple[ssl.SSLContext, str]]:
    """Servers that nobody who trusts this authority trusts, each with the cause that is told."""
    yield server_context(days=(-3, -1)), "TLS.EXPIRED"
    yield server_context(days=(1, 3)), "TLS.NOT_YET_VALID"
    yield server_context("192.0.2.9"), "TLS.NAME_MISMATCH"
    yield server_context(authority=trustme.CA()), "TLS.UNTRUSTED_CA"
