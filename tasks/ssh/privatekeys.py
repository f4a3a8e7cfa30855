"""Private keys: OpenSSH's own format, PKCS#8 and PKCS#1, with and without a password."""

from __future__ import annotations

import io
from typing import Any

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa


class KeyUnusable(Exception):
    """A private key that cannot be read. `why`: ``encrypted``, ``wrong password`` or ``unreadable``."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def load_key(text: str, password: str | None = None) -> paramiko.PKey:
    """The private key in a file's text: OpenSSH's own format, PKCS#8 or PKCS#1.

    Raises:
        KeyUnusable: It needs a password, has another one, or is no private key.
    """
    data = text.strip().encode() + b"\n"
    try:
        found = _read(data, password)
    except TypeError:
        if password:  # it has none: then the one given does not matter
            return load_key(text)
        raise KeyUnusable("encrypted") from None
    except Exception:
        # A password that does not fit looks like damage; the same file without one tells them apart.
        if password and _is_encrypted(data):
            raise KeyUnusable("wrong password") from None
        raise KeyUnusable("unreadable") from None
    kinds = ((ed25519.Ed25519PrivateKey, paramiko.Ed25519Key), (ec.EllipticCurvePrivateKey, paramiko.ECDSAKey))
    wanted: tuple[tuple[type[Any], type[Any]], ...] = (*kinds, (rsa.RSAPrivateKey, paramiko.RSAKey))
    for kind, reader in wanted:
        if isinstance(found, kind):
            plain = found.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            )
            key: paramiko.PKey = reader.from_private_key(io.StringIO(plain.decode()))
            return key
    raise KeyUnusable("unreadable")


def _read(data: bytes, password: str | None) -> Any:
    secret = password.encode() if password else None
    if b"BEGIN OPENSSH PRIVATE KEY" in data:
        return serialization.load_ssh_private_key(data, secret)
    return serialization.load_pem_private_key(data, secret)


def _is_encrypted(data: bytes) -> bool:
    try:
        _read(data, None)
    except TypeError:
        return True
    except Exception:
        return False
    return False
