"""An established security context: tokens that carry data with a proof of who wrote them (RFC 4121, section 4.2)."""

from __future__ import annotations

import struct
from hmac import compare_digest

from minikerberos.protocol import encryption
from minikerberos.protocol.encryption import Key

from tasks.protocols import Unsupported

#: Encryption type -> checksum of the same keys (RFC 3962). RC4 has tokens of another form (RFC 4757).
_CHECKSUMS = {18: 16, 17: 15}
_WRAP = b"\x05\x04"
_FROM_ACCEPTOR, _SEALED, _SUBKEY = 1, 2, 4
_ACCEPTOR_SEAL, _INITIATOR_SEAL = 22, 24
_HEADER = struct.Struct("!2sBBHHQ")
_FILLER = 0xFF


class Context:
    """The initiator's side of a context with integrity.

    Args:
        kind, key: Encryption type and contents of the acceptor's subkey where it chose one, else of the session's key.
        subkey: Whether it is the acceptor's.
        sends: The sequence number of our first token.
        expects: That of the acceptor's first; None where it named none.
    """

    def __init__(self, kind: int, key: bytes, *, subkey: bool, sends: int, expects: int | None) -> None:
        self._kind = kind
        self._key = key
        self._subkey = _SUBKEY if subkey else 0
        self._sends = sends
        self._expects = expects

    def wrap(self, data: bytes) -> bytes:
        """A token with data, signed and not sealed.

        Raises:
            Unsupported: There are no such tokens for the key's encryption type here.
        """
        header = _HEADER.pack(_WRAP, self._subkey, _FILLER, 0, 0, self._sends)
        proof = self._proof(_INITIATOR_SEAL, data + header)
        token = _HEADER.pack(_WRAP, self._subkey, _FILLER, len(proof), 0, self._sends) + data + proof
        self._sends += 1
        return token

    def unwrap(self, token: bytes) -> bytes:
        """The data in the acceptor's next token.

        Raises:
            ValueError: It is no such token, not the next one, or of somebody without the key.
            Unsupported: As `wrap`.
        """
        if len(token) < _HEADER.size:
            raise ValueError("a token that breaks off")
        start, flags, filler, count, rotated, number = _HEADER.unpack_from(token)
        if (start, flags, filler) != (_WRAP, _FROM_ACCEPTOR | self._subkey, _FILLER):
            raise ValueError("no signed token of the server's")
        body = token[_HEADER.size :]
        if count > len(body):
            raise ValueError("a token that breaks off")
        turn = rotated % max(len(body), 1)
        body = body[turn:] + body[:turn]
        data, proof = body[: len(body) - count], body[len(body) - count :]
        header = _HEADER.pack(start, flags, filler, 0, 0, number)
        if not compare_digest(proof, self._proof(_ACCEPTOR_SEAL, data + header)):
            raise ValueError("a proof that does not fit")
        if self._expects is not None:
            if number != self._expects:
                raise ValueError("a token out of sequence")
            self._expects += 1
        return data

    def _proof(self, usage: int, signed: bytes) -> bytes:
        if self._kind not in _CHECKSUMS:
            raise Unsupported(f"signed Kerberos tokens of encryption type {self._kind}")
        key = Key(self._kind, self._key)
        return bytes(encryption.make_checksum(_CHECKSUMS[self._kind], key, usage, signed))
