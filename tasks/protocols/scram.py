"""The client's half of SCRAM (RFC 5802, RFC 7677), as lenient as the clients that servers are made for.

Libraries refuse what the standard only recommends: salts and iteration counts that administrators choose, and passwords
that SASLprep forbids and PostgreSQL takes as they are. A check that refused them would call a right set-up wrong.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from tasks.evidence import StageFailed

_DIGESTS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
#: No channel binding.
_HEADER = "n,,"
#: A count beyond this would keep everything else waiting: about half a second.
_MOST_ITERATIONS = 1_000_000


class Exchange:
    """One exchange: `first`, `final` and `verify` in turn.

    Args:
        mechanism: A key of `_DIGESTS`.
        prepare: Whether the server's verifier was made of the password as SASLprep (RFC 4013) leaves it, or of its
            bytes. What SASLprep forbids goes as it is: that is how PostgreSQL has it (`pg_saslprep`).
    """

    def __init__(self, mechanism: str, username: str, password: str, *, prepare: bool) -> None:
        self.mechanism = mechanism
        self._digest = _DIGESTS[mechanism]
        self._password = (_prepared(password) if prepare else password).encode()
        self._nonce = secrets.token_urlsafe(24)
        self._bare = f"n={username.replace('=', '=3D').replace(',', '=2C')},r={self._nonce}"
        self._signature = b""

    def first(self) -> str:
        """The first message."""
        return _HEADER + self._bare

    def final(self, server_first: str) -> str:
        """The message with the proof that the password is known. Raises `StageFailed`."""
        told = _attributes(server_first)
        nonce, salt, count = told.get("r", ""), _bytes(told.get("s")), told.get("i", "")
        if not nonce.startswith(self._nonce) or nonce == self._nonce or not salt or not count.isdecimal():
            raise _unproved()
        if not 0 < int(count) <= _MOST_ITERATIONS:
            raise StageFailed(method=f"{self.mechanism} with {count} iterations", unsupported=True)
        salted = hashlib.pbkdf2_hmac(self._digest, self._password, salt, int(count))
        without_proof = f"c={base64.b64encode(_HEADER.encode()).decode()},r={nonce}"
        messages = ",".join((self._bare, server_first, without_proof)).encode()
        key = hmac.digest(salted, b"Client Key", self._digest)
        signature = hmac.digest(hashlib.new(self._digest, key).digest(), messages, self._digest)
        proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", self._digest), messages, self._digest)
        return f"{without_proof},p={base64.b64encode(proof).decode()}"

    def verify(self, server_final: str) -> None:
        """Raises `StageFailed` when the server does not prove that it has the verifier."""
        if not hmac.compare_digest(_bytes(_attributes(server_final).get("v")), self._signature):
            raise _unproved()


def _prepared(password: str) -> str:
    if password.isascii():
        return password
    from scramp import ScramException
    from scramp.utils import saslprep

    try:
        return str(saslprep(password)) or password
    except ScramException:
        return password


def _attributes(message: str) -> dict[str, str]:
    return {name: value for name, _, value in (part.partition("=") for part in message.split(","))}


def _bytes(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except ValueError:
        return b""


def _unproved() -> StageFailed:
    return StageFailed(server_proof="wrong", server_said="a SCRAM proof that does not fit")
