"""Kerberos messages (RFC 4120): requests out, replies in."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from minikerberos.protocol import asn1_structs as asn1
from minikerberos.protocol import encryption
from minikerberos.protocol.encryption import InvalidChecksum, Key

#: Encryption types that this client speaks, the best first: AES256, AES128, RC4 (RFC 3962, RFC 4757).
KINDS = (18, 17, 23)
_CHECKSUMS = {18: 16, 17: 15, 23: 0xFFFFFF76}
_PRINCIPAL, _SERVICE = 1, 2
_GSS_CHECKSUM = 0x8003
#: Mutual authentication, replay and sequence detection, confidentiality, integrity (RFC 4121, section 4.1.1.1).
_FLAGS = 0x3E
#: The mechanism's object identifier, 1.2.840.113554.1.2.2, in DER.
_MECHANISM = bytes.fromhex("06092a864886f712010202")

# Key usage numbers (RFC 4120, section 7.5.1).
_TIMESTAMP, _AS_REPLY, _TGS_BODY, _TGS_AUTHENTICATOR, _TGS_REPLY, _AP_AUTHENTICATOR, _AP_REPLY = 1, 3, 6, 7, 8, 11, 12
_PA_TGS, _PA_TIMESTAMP, _PA_ETYPES = 1, 2, 19


@dataclass(frozen=True)
class Refused(Exception):
    """A KRB-ERROR.

    Attributes:
        code: Its number (RFC 4120, section 7.5.9).
        server_time: The KDC's clock.
        data: What belongs to the code.
    """

    code: int
    server_time: datetime
    data: bytes = b""


@dataclass(frozen=True)
class Ticket:
    """A ticket with the key of its session."""

    ticket: Mapping[str, Any]
    key: Key
    client: Mapping[str, Any]
    realm: str


class Sent(NamedTuple):
    """What an initial token promises: the time that the server has to repeat, and the number of our next token."""

    time: datetime
    micro: int
    number: int


class Reply(NamedTuple):
    """A server's proof of itself: the subkey that it chose (encryption type, contents), and its next token's number.

    Either may be missing.
    """

    subkey: tuple[int, bytes] | None
    number: int | None


class KeyDoesNotFit(Exception):
    """A reply is encrypted with another key than ours. `version`: that of the key used, if the reply says."""

    def __init__(self, version: int | None) -> None:
        super().__init__()
        self.version = version


def name(principal: str, kind: int = _PRINCIPAL) -> Any:
    """A principal's name without its realm."""
    return asn1.PrincipalName({"name-type": kind, "name-string": principal.split("/")})


def _now() -> tuple[datetime, int]:
    now = datetime.now(UTC)
    return now.replace(microsecond=0), now.microsecond


def _body(realm: str, service: str, kinds: Sequence[int], client: str | None) -> Any:
    now, _ = _now()
    fields: dict[str, Any] = {
        "kdc-options": asn1.KDCOptions(set()),
        "realm": realm,
        "sname": name(service, _SERVICE),
        "till": now + timedelta(hours=1),
        "nonce": secrets.randbits(31),
        "etype": list(kinds),
    }
    return asn1.KDC_REQ_BODY(fields | ({"cname": name(client)} if client else {}))


def first_request(client: str, realm: str, kinds: Sequence[int], key: Key | None = None) -> bytes:
    """AS-REQ for a ticket-granting ticket; with the encrypted time when a key is given."""
    fields: dict[str, Any] = {"pvno": 5, "msg-type": 10, "req-body": _body(realm, f"krbtgt/{realm}", kinds, client)}
    if key is not None:
        now, micro = _now()
        stamp = asn1.PA_ENC_TS_ENC({"patimestamp": now, "pausec": micro}).dump()
        sealed = {"etype": key.enctype, "cipher": encryption.encrypt(key, _TIMESTAMP, stamp)}
        fields["padata"] = [{"padata-type": _PA_TIMESTAMP, "padata-value": asn1.EncryptedData(sealed).dump()}]
    return bytes(asn1.AS_REQ(fields).dump())


def kinds_wanted(data: bytes) -> list[int]:
    """The encryption types that a KDC accepts of the client, from the data of "pre-authentication required"."""
    found: list[int] = []
    for entry in asn1.METHOD_DATA.load(data).native:
        if entry["padata-type"] == _PA_ETYPES:
            found += [one["etype"] for one in asn1.ETYPE_INFO2.load(entry["padata-value"]).native]
    return found


def service_request(tgt: Ticket, realm: str, service: str) -> bytes:
    """TGS-REQ for a ticket to a service."""
    body = _body(realm, service, KINDS, None)
    checksum = _CHECKSUMS[tgt.key.enctype]
    proof = {
        # The table knows the type under its unsigned number, the wire has it signed.
        "cksumtype": checksum - (1 << 32) if checksum >> 31 else checksum,
        "checksum": encryption.make_checksum(checksum, tgt.key, _TGS_BODY, body.dump()),
    }
    request = _ap_request(tgt, _TGS_AUTHENTICATOR, asn1.Checksum(proof), mutual=False)[0]
    padata = [{"padata-type": _PA_TGS, "padata-value": request}]
    return bytes(asn1.TGS_REQ({"pvno": 5, "msg-type": 12, "padata": padata, "req-body": body}).dump())


def _ap_request(ticket: Ticket, usage: int, checksum: Any, *, mutual: bool) -> tuple[bytes, Sent]:
    sent = Sent(*_now(), secrets.randbits(30))
    authenticator = {
        "authenticator-vno": 5,
        "crealm": ticket.realm,
        "cname": ticket.client,
        "cksum": checksum,
        "cusec": sent.micro,
        "ctime": sent.time,
    } | ({"seq-number": sent.number} if mutual else {})
    sealed = encryption.encrypt(ticket.key, usage, asn1.Authenticator(authenticator).dump())
    request = asn1.AP_REQ(
        {
            "pvno": 5,
            "msg-type": 14,
            "ap-options": asn1.APOptions({"mutual-required"} if mutual else set()),
            "ticket": asn1.Ticket(ticket.ticket),
            "authenticator": asn1.EncryptedData({"etype": ticket.key.enctype, "cipher": sealed}),
        }
    )
    return bytes(request.dump()), sent


def gss_token(ticket: Ticket) -> tuple[bytes, Sent]:
    """The initial token of a security context (RFC 4121, section 4.1), and what it promises."""
    checksum = (16).to_bytes(4, "little") + bytes(16) + _FLAGS.to_bytes(4, "little")
    proof = asn1.Checksum({"cksumtype": _GSS_CHECKSUM, "checksum": checksum})
    request, sent = _ap_request(ticket, _AP_AUTHENTICATOR, proof, mutual=True)
    inner = _MECHANISM + b"\x01\x00" + request
    return b"\x60" + _length(len(inner)) + inner, sent


def _length(count: int) -> bytes:
    """A length in DER."""
    if count < 0x80:
        return bytes([count])
    data = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(data)]) + data


def proof_in(token: bytes, ticket: Ticket, sent: Sent) -> Reply | None:
    """What a server's token (AP-REP) says; None where it does not show that it knows the key of the ticket.

    Raises:
        Refused: The token is an error (RFC 4121, section 4.1).
    """
    _, mechanism, inner = token.partition(_MECHANISM)
    if inner[:2] == b"\x03\x00":
        raise _refusal(inner[2:])
    if not mechanism or inner[:2] != b"\x02\x00":
        return None
    try:
        sealed = asn1.AP_REP.load(inner[2:]).native["enc-part"]["cipher"]
        part = asn1.EncAPRepPart.load(encryption.decrypt(ticket.key, _AP_REPLY, sealed)).native
    except (InvalidChecksum, ValueError):
        return None
    if (part["ctime"].replace(microsecond=0), part["cusec"]) != (sent.time, sent.micro):
        return None
    subkey = part["subkey"]
    return Reply((subkey["keytype"], subkey["keyvalue"]) if subkey else None, part["seq-number"])


def ticket_of(reply: bytes, keys: Sequence[tuple[Key, int]]) -> Ticket:
    """The ticket in a KDC's reply.

    Args:
        keys: Keys with their versions that the reply may be encrypted with.

    Raises:
        Refused: It is an error.
        KeyDoesNotFit: No key opens it.
        ValueError: It is neither.
    """
    if reply[:1] == b"\x7e":
        raise _refusal(reply)
    usage, load = {0x6B: (_AS_REPLY, asn1.AS_REP.load), 0x6D: (_TGS_REPLY, asn1.TGS_REP.load)}[reply[0]]
    found = load(reply).native
    sealed = found["enc-part"]
    for key, _version in keys:
        if key.enctype != sealed["etype"]:
            continue
        try:
            part = encryption.decrypt(key, usage, sealed["cipher"])
        except (InvalidChecksum, ValueError):
            continue
        # A KDC may mark its first reply as one for a service (RFC 4120, section 5.4.2).
        inner = (asn1.EncASRepPart if part[:1] == b"\x79" else asn1.EncTGSRepPart).load(part).native
        session = Key(inner["key"]["keytype"], inner["key"]["keyvalue"])
        return Ticket(found["ticket"], session, found["cname"], found["crealm"])
    raise KeyDoesNotFit(sealed.get("kvno"))


def _refusal(message: bytes) -> Refused:
    error = asn1.KRB_ERROR.load(message).native
    return Refused(error["error-code"], error["stime"], error.get("e-data") or b"")
