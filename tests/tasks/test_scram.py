"""SCRAM against verifiers of a server's own making: of passwords as SASLprep leaves them, or as they are."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from tasks.evidence import StageFailed
from tasks.protocols.scram import Exchange

MECHANISM = "SCRAM-SHA-256"


def _let_in(exchange: Exchange, verified: bytes, *, salt: bytes = b"salt", count: int = 4096) -> bool:
    """Whether a server with a verifier of these bytes (RFC 5802, section 3) lets a client in, which believes it."""
    salted = hashlib.pbkdf2_hmac("sha256", verified, salt, count)
    client_key, server_key = (hmac.digest(salted, word, "sha256") for word in (b"Client Key", b"Server Key"))
    bare = exchange.first().removeprefix("n,,")
    server_first = f"{bare[bare.index('r=') :]}more,s={base64.b64encode(salt).decode()},i={count}"
    without_proof, _, proof = exchange.final(server_first).rpartition(",p=")
    messages = f"{bare},{server_first},{without_proof}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), messages, "sha256")
    if bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True)) != client_key:
        return False
    exchange.verify(f"v={base64.b64encode(hmac.digest(server_key, messages, 'sha256')).decode()}")
    return True


@pytest.mark.parametrize(
    "password",
    ["\U0001f511 key", "tab\there", "\u05d0b", "\u0221", "\u00ad"],
    ids=["emoji", "tab", "bidi", "new", "soft"],
)
def test_what_saslprep_forbids_goes_as_it_is(password: str) -> None:
    assert _let_in(Exchange(MECHANISM, "*", password, prepare=True), password.encode())


def test_some_servers_prepare_passwords_and_some_take_their_bytes() -> None:
    assert _let_in(Exchange(MECHANISM, "*", "\u2168", prepare=True), b"IX")
    assert _let_in(Exchange(MECHANISM, "*", "\u2168", prepare=False), "\u2168".encode())
    assert not _let_in(Exchange(MECHANISM, "*", "\u2168", prepare=False), b"IX")


@pytest.mark.parametrize(("salt", "count"), [(b"s", 4096), (b"salt", 1), (b"salt", 100_000)])
def test_salts_and_counts_are_the_servers_own_choice(salt: bytes, count: int) -> None:
    assert _let_in(Exchange(MECHANISM, "*", "secret", prepare=True), b"secret", salt=salt, count=count)


def test_signs_that_scram_has_a_meaning_for_are_escaped_once() -> None:
    assert Exchange(MECHANISM, "a=b,c", "secret", prepare=False).first().startswith("n,,n=a=3Db=2Cc,r=")


@pytest.mark.parametrize("said", ["", "r=other,s=c2FsdA==,i=4096", "r={r},s=c2FsdA==,i=4096", "r={r}x,s=?,i=1", "e=no"])
def test_what_is_no_answer_to_this_client_gets_no_proof(said: str) -> None:
    exchange = Exchange(MECHANISM, "*", "secret", prepare=True)
    nonce = exchange.first().rpartition("r=")[2]
    with pytest.raises(StageFailed) as caught:
        exchange.final(said.format(r=nonce))
    assert caught.value.evidence["server_proof"] == "wrong"


def test_a_count_that_would_take_all_our_time_is_not_counted_to() -> None:
    exchange = Exchange(MECHANISM, "*", "secret", prepare=True)
    nonce = exchange.first().rpartition("r=")[2]
    with pytest.raises(StageFailed) as caught:
        exchange.final(f"r={nonce}x,s=c2FsdA==,i=2000000000")
    assert caught.value.evidence["unsupported"] is True


def test_a_server_that_does_not_know_the_password_is_not_believed() -> None:
    exchange = Exchange(MECHANISM, "*", "secret", prepare=True)
    nonce = exchange.first().rpartition("r=")[2]
    exchange.final(f"r={nonce}x,s=c2FsdA==,i=1")
    with pytest.raises(StageFailed):
        exchange.verify("v=" + base64.b64encode(bytes(32)).decode())
