"""OpenSSH's certificates (PROTOCOL.certkeys): of users, given to a server, and of hosts, shown by one."""

from __future__ import annotations

import fnmatch
import time
from datetime import UTC, datetime

import paramiko
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

from registry.hostkeys import HostKey

_SUFFIX = "-cert-v01@openssh.com"


def is_certificate(key: HostKey) -> bool:
    """Whether what a server shows is a certificate."""
    return key.kind.endswith(_SUFFIX)


def problem_of_user(text: str, key: paramiko.PKey) -> str:
    """Why a user's certificate cannot go with a private key; empty when it can."""
    certificate = _read(text.encode())
    if certificate is None:
        return "it is no certificate (a file KEY-cert.pub)"
    if certificate.type is not SSHCertificateType.USER:
        return "it is a host's certificate, not a user's"
    bare = certificate.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    if bare.split()[1].decode() != key.get_base64():
        return "it belongs to another private key"
    return _out_of_time(certificate)


def problem_of_host(shown: HostKey, host: str, authorities: tuple[HostKey, ...]) -> str:
    """Why a host's certificate does not vouch for a host; empty when it does."""
    certificate = _read(shown.line.encode())
    if certificate is None or certificate.type is not SSHCertificateType.HOST:
        return "it is no host's certificate"
    signer = certificate.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    if HostKey.parse(signer.decode()) not in authorities:
        return "it is signed by an authority that nobody has vouched for"
    try:
        certificate.verify_cert_signature()
    except InvalidSignature:
        return "its signature is wrong"
    names = [name.decode("utf-8", "replace") for name in certificate.valid_principals]
    if not any(fnmatch.fnmatchcase(host.lower(), name.lower()) for name in names):
        return f"it is for {', '.join(names) or 'no host'}, not for {host}"
    return _out_of_time(certificate)


def _read(text: bytes) -> SSHCertificate | None:
    try:
        found = load_ssh_public_identity(text.strip())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return found if isinstance(found, SSHCertificate) else None


def _out_of_time(certificate: SSHCertificate) -> str:
    now = time.time()
    if now < certificate.valid_after:
        return f"it is valid from {_date(certificate.valid_after)} on"
    return f"it expired on {_date(certificate.valid_before)}" if now >= certificate.valid_before else ""


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
