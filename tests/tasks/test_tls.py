"""TLS: the material that a data source gives, alerts by their numbers, handshakes against OpenSSL's own server side."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr

from tasks.budget import Budget
from tasks.evidence import StageFailed
from tasks.streams import StreamBroken
from tasks.tls import TlsMaterial, alert_number, client_context, start_tls
from tasks.vantages.local import LocalVantage

CA = trustme.CA()
OTHER = trustme.CA()


def pem(blob: trustme.Blob) -> str:
    return blob.bytes().decode()


@asynccontextmanager
async def server(names: tuple[str, ...] = ("db.test",), **options: Any) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(*names).configure_cert(context)
    CA.configure_trust(context)
    for name, value in options.items():
        setattr(context, name, value)

    def answer(plain: socket.socket) -> None:
        # A blocking socket, because asyncio's server side hangs up before its alert has left.
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as channel:
            channel.sendall(b"hello")
            channel.recv(100)
        plain.close()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listening.accept()
                plain.settimeout(5)
                threading.Thread(target=answer, args=(plain,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


async def shake(port: int, material: TlsMaterial, name: str = "db.test") -> tuple[bytes, dict[str, Any]]:
    stream = await LocalVantage().connect("127.0.0.1", port, Budget.of(2), conversation=Budget.of(2))
    try:
        tls, facts = await start_tls(stream, material, name)
        await tls.send(b"hi")
        return await tls.receive(), facts
    finally:
        stream.close()


def verifying(**changes: Any) -> TlsMaterial:
    return TlsMaterial(**{"mode": "verify-full", "ca": pem(CA.cert_pem), **changes})


async def test_a_verified_channel_tells_the_certificate() -> None:
    async with server() as port:
        said, facts = await shake(port, verifying())
    assert said == b"hello"
    assert facts["verified"] is True
    assert facts["names"] == ["db.test"]
    assert facts["tls_version"] == "TLSv1.3"
    assert facts["not_after"].endswith("Z")


async def test_an_unverified_channel_tells_it_too() -> None:
    async with server(("other.test",)) as port:
        _, facts = await shake(port, TlsMaterial(mode="require"))
    assert facts["verified"] is False
    assert facts["names"] == ["other.test"]


@pytest.mark.parametrize(
    ("material", "name", "code"),
    [
        (verifying(ca=pem(OTHER.cert_pem)), "db.test", 20),
        (verifying(), "other.test", 62),
        (verifying(), "127.0.0.1", 64),
        (verifying(ca=None), "db.test", 20),
    ],
)
async def test_verify_codes(material: TlsMaterial, name: str, code: int) -> None:
    async with server() as port:
        with pytest.raises(StageFailed) as caught:
            await shake(port, material, name)
    assert caught.value.evidence["verify_code"] in (code, 19)


async def test_a_chain_alone_may_be_asked_for() -> None:
    async with server() as port:
        said, _ = await shake(port, verifying(mode="verify-ca"), "other.test")
    assert said == b"hello"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
async def test_no_version_in_common() -> None:
    async with server(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1) as port:
        with pytest.raises(StageFailed) as caught:
            await shake(port, verifying())
    # OpenSSL answers 70, or 80 where its own policy forbids what the server was told to speak.
    assert caught.value.evidence["alert"] in (40, 70, 80)
    assert caught.value.evidence["server_hello"] is False


async def test_a_client_certificate_that_is_demanded_and_lacking() -> None:
    async with server(verify_mode=ssl.CERT_REQUIRED) as port:
        with pytest.raises((StageFailed, StreamBroken)) as caught:
            await shake(port, verifying())
    evidence = caught.value.evidence() if isinstance(caught.value, StreamBroken) else caught.value.evidence
    assert evidence["alert"] == 116


async def test_a_client_certificate_is_used_from_memory() -> None:
    mine = CA.issue_cert("client.test")
    material = verifying(
        certificate="".join(pem(blob) for blob in mine.cert_chain_pems), key=SecretStr(pem(mine.private_key_pem))
    )
    async with server(verify_mode=ssl.CERT_REQUIRED) as port:
        said, _ = await shake(port, material)
    assert said == b"hello"


# -- material -------------------------------------------------------------------------------------------------------


def _locked(password: bytes) -> TlsMaterial:
    mine = CA.issue_cert("client.test")
    key = serialization.load_pem_private_key(mine.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )
    return TlsMaterial("require", certificate=pem(mine.cert_chain_pems[0]), key=SecretStr(locked.decode()))


def test_an_encrypted_key_wants_its_password() -> None:
    material = _locked(b"open sesame")
    given = TlsMaterial("require", None, material.certificate, material.key, SecretStr("open sesame"))
    with client_context(given):
        pass
    for wrong in (None, SecretStr("wrong")):
        with (
            pytest.raises(StageFailed) as caught,
            client_context(TlsMaterial("require", None, material.certificate, material.key, wrong)),
        ):
            pass
        assert caught.value.evidence["bad_file"] == "keystore_file"


def test_an_encrypted_key_leaves_nothing_on_the_disk(tmp_path: Path) -> None:
    before = set(Path("/tmp").iterdir())
    material = _locked(b"x-y-z-password")
    with client_context(TlsMaterial("require", None, material.certificate, material.key, SecretStr("x-y-z-password"))):
        pass
    keys = [path for path in set(Path("/tmp").iterdir()) - before if path.is_file() and b"PRIVATE" in path.read_bytes()]
    assert keys == []


@pytest.mark.parametrize(
    "ca", ["", "no certificate", "größe", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_a_truststore_that_holds_no_certificate(ca: str) -> None:
    with pytest.raises(StageFailed) as caught, client_context(verifying(ca=ca)):
        pass
    assert caught.value.evidence == {"bad_file": "truststore_file"}


def test_a_bundle_may_have_names_in_any_letters() -> None:
    with client_context(verifying(ca=f"# Főtanúsítvány\n{pem(CA.cert_pem)}")) as context:
        assert len(context.get_ca_certs()) == 1


def test_key_and_certificate_have_to_fit() -> None:
    one, two = CA.issue_cert("one.test"), CA.issue_cert("two.test")
    material = TlsMaterial("require", certificate=pem(one.cert_chain_pems[0]), key=SecretStr(pem(two.private_key_pem)))
    with pytest.raises(StageFailed) as caught, client_context(material):
        pass
    assert caught.value.evidence == {"bad_file": "keystore_file", "tls_error": "KEY_VALUES_MISMATCH"}


@pytest.mark.parametrize(
    ("reason", "number"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", 116),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", 40),
        ("TLSV1_ALERT_PROTOCOL_VERSION", 70),
        ("TLSV1_ALERT_UNKNOWN_CA", 48),
        ("WRONG_VERSION_NUMBER", None),
        (None, None),
    ],
)
def test_alerts_by_number(reason: str | None, number: int | None) -> None:
    assert alert_number(reason) == number


@pytest.mark.parametrize("number", [112, 120, 70, 80])
async def test_an_alert_in_clear_is_told_by_its_number_whatever_openssl_calls_it(number: int) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(bytes([0x15, 3, 3, 0, 2, 2, number]))
        await writer.drain()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listening:
        with pytest.raises(StageFailed) as caught:
            await shake(listening.sockets[0].getsockname()[1], TlsMaterial("require"))
    assert caught.value.evidence["alert"] == number


async def test_a_warning_before_the_alert_that_ends_a_handshake_is_not_taken_for_it() -> None:
    warning, fatal = bytes([0x15, 3, 3, 0, 2, 1, 112]), bytes([0x15, 3, 3, 0, 2, 2, 40])
    found = await _answered_to_a_hello(lambda _: warning + fatal)
    assert found["alert"] == 40


async def _answered_to_a_hello(answer: Callable[[bytes], bytes]) -> Mapping[str, Any]:
    """What is seen of a peer that answers the first words of a handshake so, and hangs up."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await reader.read(4096)))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(say, "127.0.0.1", 0) as listening:
        with pytest.raises(StageFailed) as caught:
            await shake(listening.sockets[0].getsockname()[1], TlsMaterial("require"))
    return caught.value.evidence


async def test_fewer_bytes_than_a_record_has_in_its_head_are_told_as_no_tls() -> None:
    evidence = await _answered_to_a_hello(lambda _heard: bytes.fromhex("20020000"))
    assert evidence["not_tls"] is True
    assert evidence["broken"] == "eof"


async def test_an_echo_of_the_hello_is_no_tls() -> None:
    evidence = await _answered_to_a_hello(lambda heard: heard)
    assert evidence["not_protocol"] is True
    assert "echo" in evidence["looks_like"]


async def test_a_name_with_a_dot_at_its_end_is_the_same_name() -> None:
    async with server() as port:
        said, _ = await shake(port, verifying(), "db.test.")
    assert said == b"hello"


def test_secrets_do_not_show() -> None:
    material = _locked(b"word-of-the-key")
    assert "PRIVATE" not in repr(material)
