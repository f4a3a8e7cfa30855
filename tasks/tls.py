"""TLS over any stream, with the facts that name a cause: verify code, alert, certificate.

The standard library's verdict is used, never our own: a certificate counts as verified only when `ssl` says so. When it
says no, a second, unverified handshake on a fresh stream fetches the certificate, so that the cause can be named.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from tasks.budget import Budget
from tasks.evidence import StageFailed
from tasks.fingerprints import identify
from tasks.streams import Stream, StreamBroken, printable

_RECORD_HANDSHAKE = 0x16
_RECORD_ALERT = 0x15
_CLIENT_HELLO = 1
_FATAL = 2


@dataclass(frozen=True)
class TlsMaterial:
    """How to speak TLS: one of libpq's words for the mode, and the files' contents (PEM)."""

    mode: str = "disable"
    ca: str | None = None
    certificate: str | None = None
    key: SecretStr | None = None
    key_password: SecretStr | None = None

    @property
    def verifies(self) -> bool:
        """Whether the peer's certificate chain must be trusted."""
        return self.mode in ("verify-ca", "verify-full")

    @property
    def wanted(self) -> bool:
        """Whether TLS is spoken if the peer offers it."""
        return self.mode != "disable"

    @property
    def demanded(self) -> bool:
        """Whether a peer without TLS is refused."""
        return self.mode in ("require", "verify-ca", "verify-full")


class TlsStream:
    """A stream inside TLS."""

    def __init__(
        self, stream: Stream, context: ssl.SSLContext, server_name: str | None, session: ssl.SSLSession | None = None
    ) -> None:
        self._stream = stream
        self.context = context
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name, session=session)
        self.budget: Budget = stream.budget
        self.received = 0
        self.first_bytes = b""

    async def handshake(self) -> None:
        """Shake hands. Raises `ssl.SSLError` or `StreamBroken`."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
                continue
            except ssl.SSLError:
                with suppress(StreamBroken):
                    await self._flush()  # our alert tells the peer why
                raise
            await self._flush()
            return

    async def receive(self, limit: int = 65536) -> bytes:
        while True:
            try:
                data = self._tls.read(limit)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
                continue
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError as error:
                raise self._broken(error) from None
            if not data:
                raise StreamBroken("eof", received=self.received)
            self.received += len(data)
            return data

    async def send(self, data: bytes) -> None:
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise self._broken(error) from None
        try:
            await self._flush()
        except StreamBroken:
            await self._last_words()
            raise

    async def _last_words(self) -> None:
        """A peer that hangs up has often said why: since TLS 1.3 a refused client learns that after its handshake."""
        try:
            await self._fill()
            self._tls.read(1)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError, StreamBroken):
            return
        except ssl.SSLError as error:
            raise self._broken(error) from None

    def _broken(self, error: ssl.SSLError) -> StreamBroken:
        reason = error.reason or "SSL"
        return StreamBroken("tls", received=self.received, error=reason, alert=alert_number(reason))

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._stream.send(self._outgoing.read())

    async def _fill(self) -> None:
        data = await self._stream.receive()
        if len(self.first_bytes) < 16:
            self.first_bytes += data[:16]
        self._incoming.write(data)

    def close(self) -> None:
        self._stream.close()

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a second channel to the same peer may resume."""
        return self._tls.session

    def local_address(self) -> str:
        return self._stream.local_address()

    def facts(self) -> dict[str, Any]:
        """Version, cipher and the peer's certificate."""
        cipher = self._tls.cipher()
        found = {"tls_version": self._tls.version(), "cipher": cipher[0] if cipher else None}
        return {**found, **certificate_facts(self._tls.getpeercert(binary_form=True), self._tls.getpeercert())}


async def start_tls(
    stream: Stream, material: TlsMaterial, server_name: str, *, resume: TlsStream | None = None
) -> tuple[TlsStream, dict[str, Any]]:
    """Turn a stream into a TLS one.

    Args:
        resume: A channel to the same peer whose session this one continues; servers of FTP ask for that.

    Raises:
        StageFailed: With ``verify_code``, ``alert``, ``tls_error`` or how the conversation broke.
    """
    with client_context(material) if resume is None else nullcontext(resume.context) as context:
        tls = TlsStream(stream, context, _sni(server_name), resume.session if resume else None)
        try:
            await tls.handshake()
        except ssl.SSLCertVerificationError as error:
            # OpenSSL's words for its own code, not the peer's.
            told = {"verify_code": error.verify_code, "verify_error": error.verify_message}
            raise StageFailed(**told, server_name=server_name) from None
        except ssl.SSLError as error:
            raise StageFailed(**_refused(error, tls.first_bytes), server_name=server_name) from None
        except StreamBroken as broken:
            told = {**broken.evidence(), **_stranger(tls.first_bytes)}
            raise StageFailed(**told, handshake_bytes=len(tls.first_bytes)) from None
    return tls, {**tls.facts(), "verified": material.verifies, "server_name": server_name}


@contextmanager
def client_context(material: TlsMaterial) -> Iterator[ssl.SSLContext]:
    """A context for this material. Raises `StageFailed` for a CA, certificate or key that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Said outright: distributions build Python with defaults of their own, and a verdict must not depend on them.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = material.mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if material.verifies else ssl.CERT_NONE
    if material.verifies:
        if material.ca is None:
            context.load_default_certs()
        else:
            try:
                # Bundles name their certificates in comments, in any letters; certificates themselves are ASCII.
                context.load_verify_locations(cadata=material.ca.encode("ascii", "ignore").decode())
            except (ssl.SSLError, ValueError):
                raise StageFailed(bad_file="truststore_file") from None
    if material.certificate is not None:
        _load_client_certificate(context, material)
    yield context


def _load_client_certificate(context: ssl.SSLContext, material: TlsMaterial) -> None:
    # The ssl module reads certificates from files only; an anonymous file in memory leaves nothing on the disk.
    password = material.key_password.get_secret_value() if material.key_password else ""
    key = material.key.get_secret_value() if material.key else ""
    memory = os.memfd_create("client-certificate")
    try:
        os.write(memory, f"{material.certificate}\n{key}\n".encode())
        context.load_cert_chain(f"/proc/self/fd/{memory}", password=password)
    except (ssl.SSLError, ValueError, OSError) as error:
        raise StageFailed(bad_file="keystore_file", tls_error=getattr(error, "reason", None) or "UNREADABLE") from None
    finally:
        os.close(memory)


def _sni(server_name: str) -> str | None:
    """A host as handshakes and certificates have it: without the dot at the end (RFC 6066, section 3)."""
    return server_name.removesuffix(".") or None


def may_want_tls(evidence: Mapping[str, Any]) -> bool:
    """Whether a peer that was spoken to in plaintext answered in TLS, or hung up without a word."""
    hung_up = evidence.get("broken") in ("eof", "reset", "error") and not evidence.get("received_bytes")
    return hung_up or evidence.get("looks_like") == "TLS"


async def asks_for_certificate(stream: Stream, server_name: str) -> bool | None:
    """Whether a server asks for a client certificate; None where that cannot be seen.

    Up to TLS 1.2 the server's part of the handshake is in clear: a CertificateRequest is message 13, the end of the
    server's part message 14 (RFC 5246, section 7.4).
    """
    overheard = _Overheard(stream)
    with client_context(TlsMaterial(mode="require")) as context:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with suppress(ssl.SSLError, StreamBroken):
            await TlsStream(overheard, context, _sni(server_name)).handshake()
    messages = set(_handshake_messages(bytes(overheard.heard)))
    return 13 in messages if 14 in messages else None


class _Overheard:
    """A stream that remembers what it received."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.budget, self.received = stream.budget, 0
        self.heard = bytearray()
        self.send, self.close, self.local_address = stream.send, stream.close, stream.local_address

    async def receive(self, limit: int = 65536) -> bytes:
        data = await self._stream.receive(limit)
        self.received += len(data)
        self.heard += data
        return data


def _handshake_messages(data: bytes) -> Iterator[int]:
    """The types of the messages in clear: records (type, version, length), in them messages (type, length)."""
    flight, position = b"", 0
    while data[position : position + 1] == bytes([_RECORD_HANDSHAKE]):
        length = int.from_bytes(data[position + 3 : position + 5])
        flight += data[position + 5 : position + 5 + length]
        position += 5 + length
    position = 0
    while position + 4 <= len(flight):
        yield flight[position]
        position += 4 + int.from_bytes(flight[position + 1 : position + 4])


#: The alerts of RFC 8446, section 6, that OpenSSL names in its reasons (`SSLV3_ALERT_...`, `TLSV1_ALERT_...`).
_ALERTS = {
    "HANDSHAKE_FAILURE": 40,
    "NO_CERTIFICATE": 41,
    "BAD_CERTIFICATE": 42,
    "UNSUPPORTED_CERTIFICATE": 43,
    "CERTIFICATE_REVOKED": 44,
    "CERTIFICATE_EXPIRED": 45,
    "CERTIFICATE_UNKNOWN": 46,
    "ILLEGAL_PARAMETER": 47,
    "UNKNOWN_CA": 48,
    "ACCESS_DENIED": 49,
    "DECODE_ERROR": 50,
    "DECRYPT_ERROR": 51,
    "PROTOCOL_VERSION": 70,
    "INSUFFICIENT_SECURITY": 71,
    "INTERNAL_ERROR": 80,
    "UNRECOGNIZED_NAME": 112,
    "CERTIFICATE_REQUIRED": 116,
}


def alert_number(reason: str | None) -> int | None:
    """The TLS alert behind an OpenSSL reason such as ``TLSV13_ALERT_CERTIFICATE_REQUIRED``."""
    if not reason or "ALERT" not in reason:
        return None
    return _ALERTS.get(reason.partition("ALERT_")[2])


def _alert_in(first_bytes: bytes) -> int | None:
    """The alert that a peer ends a handshake with before it has said anything else: a record, a level and its number.

    OpenSSL and Python have no names for some, and not ``ALERT`` in those of others. After a warning, as of a name that
    a server does not know, it goes on, and what ends the handshake is something else.
    """
    ends = first_bytes[:1] == bytes([_RECORD_ALERT]) and first_bytes[5:6] == bytes([_FATAL])
    return first_bytes[6] if ends and len(first_bytes) > 6 else None


def _refused(error: ssl.SSLError, first_bytes: bytes) -> dict[str, Any]:
    alert = _alert_in(first_bytes) or alert_number(error.reason)
    found: dict[str, Any] = {"tls_error": error.reason or "SSL", "alert": alert}
    found["server_said"] = f"TLS alert {alert}" if alert else error.reason
    # A server that has answered with a handshake record has chosen a version and a cipher already.
    found["server_hello"] = first_bytes[:1] == bytes([_RECORD_HANDSHAKE])
    found |= _stranger(first_bytes)
    return {key: value for key, value in found.items() if value is not None}


def _stranger(first_bytes: bytes) -> dict[str, Any]:
    """What tells that the other end of a handshake speaks no TLS: what is no record, or a client's hello."""
    if first_bytes[:1] == bytes([_RECORD_HANDSHAKE]) and first_bytes[5:6] == bytes([_CLIENT_HELLO]):
        return {"not_protocol": True, "first_bytes": printable(first_bytes), "looks_like": "an echo of what it hears"}
    if not first_bytes or first_bytes[0] in (_RECORD_HANDSHAKE, _RECORD_ALERT):
        return {}
    looks_like = identify(first_bytes)
    told = {"not_tls": True, "first_bytes": printable(first_bytes), "looks_like": looks_like}
    return {key: value for key, value in told.items() if value is not None}


def certificate_facts(der: bytes | None, verified: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Names, issuer, dates and fingerprint of a certificate, as flat evidence."""
    fingerprint = {"fingerprint_sha256": hashlib.sha256(der).hexdigest()} if der else {}
    if verified and "notAfter" in verified:
        # ssl has parsed a verified certificate already; a cold start saves another parser's import.
        return {
            **fingerprint,
            "subject": _flat(verified.get("subject", ())),
            "issuer": _flat(verified.get("issuer", ())),
            "names": [value for kind, value in verified.get("subjectAltName", ()) if kind in ("DNS", "IP Address")],
            "not_before": _iso(ssl.cert_time_to_seconds(str(verified["notBefore"]))),
            "not_after": _iso(ssl.cert_time_to_seconds(str(verified["notAfter"]))),
        }
    if not der:
        return {}
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
        found = {
            **fingerprint,
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "not_before": _iso(certificate.not_valid_before_utc.timestamp()),
            "not_after": _iso(certificate.not_valid_after_utc.timestamp()),
        }
    except ValueError:
        return {"certificate": "unreadable"}
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found_names = [str(name.value) for name in names]
    except (x509.ExtensionNotFound, ValueError):
        found_names = []
    return {**found, "names": found_names}


def in_time(certificate: Mapping[str, Any]) -> bool:
    """Whether the clock here stands between the dates of a certificate, given as `certificate_facts` does."""
    return bool(certificate["not_before"] <= _iso(time.time()) <= certificate["not_after"])


def _flat(name: Any) -> str:
    return ",".join(f"{_SHORT.get(key, key)}={value}" for part in reversed(name) for key, value in part)


_SHORT = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
