"""Certificates minted for a scenario: good, expired, not yet valid, for another name, by an unknown authority."""

from __future__ import annotations

import datetime as dt
import ipaddress
import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, each a PEM file; `authority` is the CA bundle that trusts it."""

    certificate: Path
    key: Path
    authority: Path

    def copy_for(self, user: str, folder: Path) -> Certificate:
        """The same files, owned by the user that a server runs as: servers refuse keys that others can read."""
        copies = []
        for path in (self.certificate, self.key, self.authority):
            copy = folder / path.name
            shutil.copy(path, copy)
            shutil.chown(copy, user)
            copy.chmod(0o600)
            copies.append(copy)
        return Certificate(*copies)


class Authority:
    """A certificate authority of its own; `bundle` is its certificate as a file."""

    def __init__(self, folder: Path, name: str = "Lab Root CA") -> None:
        self.name = name
        self._folder = folder / name.lower().replace(" ", "-")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o755)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _name(name)
        self._count = 0
        now = dt.datetime.now(dt.UTC)
        builder = _builder(self._subject, self._subject, self._key, now - 365 * _DAY, now + 3650 * _DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_usage(sign_certificates=True), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.bundle = self._folder / "ca.pem"
        self.bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, *names: str, valid_from: float = -1, valid_to: float = 365, client: bool = False, common_name: str = ""
    ) -> Certificate:
        """A certificate for host names and addresses.

        Args:
            valid_from: Days from now at which it becomes valid; negative is in the past.
            valid_to: Days from now at which it ends.
            client: For a client instead of a server.
            common_name: The subject; the first name by default.
        """
        self._count += 1
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        subject = _name(common_name or names[0])
        builder = _builder(subject, self._subject, key, now + valid_from * _DAY, now + valid_to * _DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
            )
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        stem = self._folder / f"{self._count}"
        paths = Certificate(stem.with_suffix(".crt"), stem.with_suffix(".key"), self.bundle)
        paths.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        paths.key.chmod(0o600)
        return paths


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: dt.datetime, end: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=sign_certificates, crl_sign=sign_certificates,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
