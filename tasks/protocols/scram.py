"""SCRAM (RFC 5802, RFC 7677) with names and passwords as servers of each protocol make verifiers of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scramp import ScramClient


def client(mechanism: str, username: str, password: str, *, prepare: bool) -> ScramClient:
    """The client's half of one exchange.

    Args:
        prepare: Whether the server's verifier was made of the password as SASLprep (RFC 4013) leaves it, or of its
            bytes. What SASLprep forbids goes as it is: that is how PostgreSQL has it (`pg_saslprep`).
    """
    from scramp import ScramClient

    made = ScramClient([mechanism], "-", "-")  # which prepares what it is given, or refuses it
    made.username, made.password = _AsItIs(username), _AsItIs(_prepared(password) if prepare else password)
    return made


def _prepared(password: str) -> str:
    from scramp import ScramException
    from scramp.utils import saslprep

    try:
        return str(saslprep(password)) or password
    except ScramException:
        return password


class _AsItIs:
    """A name or a password, with what `ScramClient` asks of one."""

    def __init__(self, text: str) -> None:
        self._text = text

    def escape(self) -> str:
        return self._text.replace("=", "=3D").replace(",", "=2C")

    def __bytes__(self) -> bytes:
        return self._text.encode()
