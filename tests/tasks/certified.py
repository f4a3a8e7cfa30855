"""A certificate authority of the tests' own, and servers that hold its certificates."""

from __future__ import annotations

import ssl

import trustme

CA = trustme.CA()


def trusting(authority: trustme.CA = CA) -> dict[str, str]:
    """The secret fields of an entry whose truststore is this authority."""
    return {"truststore_file": authority.cert_pem.bytes().decode()}


def server_context(*names: str) -> ssl.SSLContext:
    """TLS of a server under these names, by default under the address that tests listen on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
    return context
