"""SASL's mechanism GSSAPI (RFC 4752), the client's side, over whatever carries its tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.evidence import Recorder, StageFailed
from tasks.protocols import Unsupported
from tasks.streams import StreamBroken

if TYPE_CHECKING:
    from tasks.kerberos.client import Client

#: What Hadoop's configurations have in place of the host.
ANY_HOST = "_HOST"
#: No security layer, in the server's list and in the answer to it (RFC 4752, section 3.3), and the list's length.
_NO_LAYER, _OFFER = 1, 4
_LAYERS = {1: "none", 2: "integrity", 4: "confidentiality"}

#: Sends a token; gives the server's next, without bytes where it only says that all is well.
Exchange = Callable[[bytes], Awaitable[bytes]]


@dataclass(frozen=True)
class Service:
    """Whom to log in to: ``name/host``, in the realm of the host unless one is given."""

    name: str
    host: str
    realm: str = ""

    @classmethod
    def parse(cls, principal: str, host: str) -> Service:
        """From a principal such as ``hive/_HOST@EXAMPLE.COM``, where ``_HOST`` stands for the host connected to."""
        name, _, realm = principal.partition("@")
        name, _, instance = name.partition("/")
        return cls(name, host if instance in ("", ANY_HOST) else instance, realm)


async def authenticate(client: Client, service: Service, recorder: Recorder, exchange: Exchange) -> None:
    """Log in; what follows is sent without a security layer.

    Raises:
        StageFailed: The KDC refuses, or the server cannot prove itself, or it refuses what `kerberos_refused` says:
            the `ticket`, or the `account` after both sides have proved themselves.
        Unsupported: The server demands a security layer, or its key is of a type whose tokens are not known here.
    """
    recorder.see(method="Kerberos")
    token = await client.token(service.name, service.host, recorder, service.realm)
    context = client.accept(await _ask(exchange, token, "ticket"))
    if context is None:
        raise _impostor()
    try:
        offer = context.unwrap(await _ask(exchange, b"", "account"))
    except ValueError:
        raise _impostor() from None
    if len(offer) != _OFFER:
        raise _impostor()
    layers = [name for bit, name in _LAYERS.items() if offer[0] & bit]
    recorder.see(security_layers=layers)
    if not offer[0] & _NO_LAYER:
        raise Unsupported(f"SASL with a security layer ({' or '.join(layers) or 'unknown'}), which the server demands")
    # No layer, no size for it, and the account that the principal stands for.
    await _ask(exchange, context.wrap(bytes([_NO_LAYER, 0, 0, 0])), "account")
    recorder.see(authenticated=True)


async def _ask(exchange: Exchange, token: bytes, refused: str) -> bytes:
    """The server's next token. Servers refuse by an error of their protocol, or by hanging up, and give no reason."""
    try:
        return await exchange(token)
    except StageFailed as failure:
        raise StageFailed(**failure.evidence, kerberos_refused=refused) from None
    except StreamBroken as broken:
        if broken.kind not in ("eof", "reset"):
            raise
        raise StageFailed(**broken.evidence(), kerberos_refused=refused) from None


def _impostor() -> StageFailed:
    return StageFailed(kerberos_proof="wrong", server_said="a proof that does not fit")
