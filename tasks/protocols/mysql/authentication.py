"""MySQL's and MariaDB's ways to prove a password, by the name of the plugin. Computes; sends nothing.

Source: MySQL internals manual, "Authentication Methods"; MariaDB knowledge base, "Authentication Plugin - ed25519".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.evidence import StageFailed

NATIVE, CACHING_SHA2, SHA256 = "mysql_native_password", "caching_sha2_password", "sha256_password"
ED25519, CLEAR = "client_ed25519", "mysql_clear_password"

_FAST_AUTHENTICATION_OK, _FULL_AUTHENTICATION = b"\x03", b"\x04"
_KEY_PLEASE = {CACHING_SHA2: b"\x02", SHA256: b"\x01"}
#: How an account without a password answers, where that is not an empty packet.
_EMPTY = {SHA256: b"\0", CLEAR: b"\0"}


@dataclass
class Exchange:
    """One authentication in the way that the server names.

    Attributes:
        private: Whether nobody listens: TLS, or a Unix socket. Only then the password itself is sent.
        key_by_wire: Whether a public key that the server sends may be trusted (`allowPublicKeyRetrieval`).
        proved: Set when the server has confirmed the password, whatever it says next.
    """

    plugin: str
    nonce: bytes
    password: str = field(repr=False)
    private: bool = False
    key_by_wire: bool = False
    proved: bool = False

    def first(self) -> bytes:
        """The answer to the nonce. Raises `StageFailed` for a plugin that is not to be had here."""
        if self.plugin not in _ANSWERS:
            raise StageFailed(method=self.plugin or "an unnamed plugin", unsupported=True)
        if not self.password:
            return _EMPTY.get(self.plugin, b"")
        return _ANSWERS[self.plugin](self)

    def more(self, data: bytes) -> bytes | None:
        """The answer to more of the server's data; None where it expects none."""
        if data == _FAST_AUTHENTICATION_OK and self.plugin == CACHING_SHA2:
            self.proved = True
            return None
        if data == _FULL_AUTHENTICATION and self.plugin == CACHING_SHA2:
            return self.in_full()
        if data.startswith(b"-----BEGIN") and self.key_by_wire and self.plugin in _KEY_PLEASE:
            return _encrypted(self.password.encode(), self.nonce, data)
        raise StageFailed(method=self.plugin, unsupported=True)

    def in_full(self) -> bytes:
        """The password itself where nobody listens, else a request for the key to encrypt it with."""
        if self.private:
            return self.password.encode() + b"\0"
        if self.key_by_wire and self.plugin in _KEY_PLEASE:
            return _KEY_PLEASE[self.plugin]
        raise StageFailed(method=self.plugin, unsupported=True, needs_privacy=True)


def native(password: bytes, nonce: bytes) -> bytes:
    """SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password)))."""
    once = _sha1(password)
    return _xor(once, _sha1(nonce + _sha1(once)))


def caching_sha2(password: bytes, nonce: bytes) -> bytes:
    """SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce)."""
    once = hashlib.sha256(password).digest()
    return _xor(once, hashlib.sha256(hashlib.sha256(once).digest() + nonce).digest())


def ed25519(password: bytes, nonce: bytes) -> bytes:
    """An Ed25519 signature of the nonce whose key is made from a password of any length (RFC 8032, section 5.1.6)."""
    from nacl import bindings

    digest = hashlib.sha512(password).digest()
    secret = bytearray(digest[:32])
    secret[0] &= 248
    secret[31] = (secret[31] & 127) | 64
    scalar = bytes(secret)
    public = bindings.crypto_scalarmult_ed25519_base_noclamp(scalar)
    one_time = bindings.crypto_core_ed25519_scalar_reduce(hashlib.sha512(digest[32:] + nonce).digest())
    point = bindings.crypto_scalarmult_ed25519_base_noclamp(one_time)
    challenge = bindings.crypto_core_ed25519_scalar_reduce(hashlib.sha512(point + public + nonce).digest())
    answer = bindings.crypto_core_ed25519_scalar_add(
        bindings.crypto_core_ed25519_scalar_mul(challenge, scalar), one_time
    )
    return bytes(point + answer)


_ANSWERS: dict[str, Callable[[Exchange], bytes]] = {
    NATIVE: lambda exchange: native(exchange.password.encode(), exchange.nonce),
    CACHING_SHA2: lambda exchange: caching_sha2(exchange.password.encode(), exchange.nonce),
    ED25519: lambda exchange: ed25519(exchange.password.encode(), exchange.nonce),
    SHA256: Exchange.in_full,
    CLEAR: Exchange.in_full,
}


def _encrypted(password: bytes, nonce: bytes, pem: bytes) -> bytes:
    """The password, hidden by the nonce, under the server's RSA key (OAEP with SHA-1, as the server wants it)."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    text = password + b"\0"
    hidden = _xor(text, (nonce * len(text))[: len(text)])
    sha1 = hashes.SHA1()  # noqa: S303 - the server's choice; OAEP does not rely on collisions being hard
    try:
        key = serialization.load_pem_public_key(pem)
        if isinstance(key, rsa.RSAPublicKey):
            return key.encrypt(hidden, padding.OAEP(mgf=padding.MGF1(algorithm=sha1), algorithm=sha1, label=None))
    except (ValueError, UnsupportedAlgorithm):
        pass
    raise StageFailed(method="an RSA key that cannot be used", unsupported=True)


def _sha1(data: bytes) -> bytes:
    # The plugin's own scheme; nothing else here relies on SHA-1's strength.
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(left, right, strict=True))
