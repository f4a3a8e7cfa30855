"""SASL's GSSAPI: signed tokens as MIT's and Java's libraries made and took them, and the exchange around them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minikerberos.protocol import encryption

from registry.connection import read_entry
from registry.errors import InvalidInputs
from registry.types import get
from tasks.evidence import Recorder, StageFailed
from tasks.kerberos import jaas
from tasks.kerberos.context import Context
from tasks.kerberos.sasl import Service, authenticate
from tasks.protocols import Unsupported
from tasks.streams import StreamBroken

#: Key, whether it is the acceptor's, the numbers of its and our first token; its offer, and our answer that it took.
MIT = (
    "df9ad67e159b59aa813a6dd2722f8cb4184012e8dd4f799ad934d3da7fcbafbf", True, 942901995, 709245118,
    "050405ff000c00000000000038338aeb01000000c0d3cc71a6ade56bb73121b6",
    "050404ff000c0000000000002a4638be010000005454095171f621b700833040",
)  # fmt: skip
JAVA = (
    "714b8d54ebf8a666612024b840b05ae2ed0cfdc423924a09f7ff2c4aa529e23a", False, 1043867091, 812362795,
    "050401ff000c0000000000003e3825d3010100001520c14336249d0d30ccf1a7",
    "050400ff000c000000000000306bac2b010000004d93ed877dacedd5841a815f",
)  # fmt: skip
KEYS = {18: bytes(range(32)), 17: bytes(range(16))}


def recorded(key: str, subkey: bool, theirs: int, ours: int) -> Context:
    return Context(18, bytes.fromhex(key), subkey=subkey, sends=ours, expects=theirs)


@pytest.mark.parametrize("exchange", [MIT, JAVA], ids=["MIT", "Java"])
def test_tokens_of_real_servers(exchange: Any) -> None:
    key, subkey, theirs, ours, offer, answer = exchange
    context = recorded(key, subkey, theirs, ours)
    assert context.unwrap(bytes.fromhex(offer))[0] == 1
    assert context.wrap(b"\1\0\0\0").hex() == answer
    with pytest.raises(ValueError, match="out of sequence"):
        context.unwrap(bytes.fromhex(offer))


@given(st.integers(0, 31).filter(lambda at: at not in (6, 7)), st.integers(1, 255))
def test_a_token_with_another_byte_is_refused(at: int, change: int) -> None:
    token = bytearray(bytes.fromhex(MIT[4]))
    token[at] ^= change
    with pytest.raises(ValueError, match=r"."):
        recorded(*MIT[:4]).unwrap(bytes(token))


def signed(kind: int, data: bytes, *, number: int = 7, turn: int = 0, usage: int = 22) -> bytes:
    """A token of an acceptor's, its body turned right by so many bytes (RFC 4121, sections 4.2.4 and 4.2.5)."""
    header = struct.pack("!HBBHHQ", 0x0504, 1, 0xFF, 0, 0, number)
    key = encryption.Key(kind, KEYS[kind])
    proof = encryption.make_checksum({18: 16, 17: 15}[kind], key, usage, data + header)
    body = data + proof
    turned = body[-turn % len(body) :] + body[: -turn % len(body)]
    return struct.pack("!HBBHHQ", 0x0504, 1, 0xFF, len(proof), turn, number) + turned


@given(st.sampled_from([17, 18]), st.binary(max_size=40), st.integers(0, 0xFFFF))
def test_a_body_may_be_turned(kind: int, data: bytes, turn: int) -> None:
    context = Context(kind, KEYS[kind], subkey=False, sends=0, expects=None)
    assert context.unwrap(signed(kind, data, turn=turn)) == data


def test_what_we_signed_ourselves_is_not_taken_for_the_servers() -> None:
    context = Context(18, KEYS[18], subkey=False, sends=7, expects=7)
    with pytest.raises(ValueError, match="of the server's"):
        context.unwrap(context.wrap(b"\1\0\0\0"))
    with pytest.raises(ValueError, match="does not fit"):
        context.unwrap(signed(18, b"\1\0\0\0", usage=24))


@given(st.binary(max_size=80), st.booleans())
def test_no_bytes_break_the_reader(data: bytes, whole: bool) -> None:
    context = Context(18, KEYS[18], subkey=False, sends=0, expects=0)
    with pytest.raises(ValueError, match=r"."):
        context.unwrap(b"\5\4\1\xff" + data if whole else data)


def test_other_encryption_types_are_said_to_be_unknown() -> None:
    with pytest.raises(Unsupported) as raised:
        Context(23, bytes(16), subkey=False, sends=0, expects=0).wrap(b"")
    assert "23" in raised.value.evidence["no_probe_for"]


class FakeClient:
    """A client that has its ticket; the server proves itself by the token `proof`."""

    async def token(self, service: str, host: str, recorder: Recorder, realm: str = "") -> bytes:
        recorder.see(service_principal=f"{service}/{host}@{realm}")
        return b"ticket"

    def accept(self, token: bytes) -> Context | None:
        return Context(18, KEYS[18], subkey=False, sends=7, expects=7) if token == b"proof" else None


async def log_in(*answers: bytes | Exception) -> tuple[list[bytes], dict[str, Any], Exception | None]:
    """What was sent, what was seen, and how it failed."""
    waiting, sent, recorder = list(answers), list[bytes](), Recorder()

    async def exchange(token: bytes) -> bytes:
        sent.append(token)
        answer = waiting.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    try:
        await authenticate(FakeClient(), Service("kafka", "h", "R"), recorder, exchange)  # type: ignore[arg-type]
    except (StageFailed, StreamBroken) as failure:
        return sent, recorder.evidence, failure
    return sent, recorder.evidence, None


OFFER = signed(18, b"\7\0\x40\0")
GONE = StreamBroken("eof", received=0)


async def test_a_login() -> None:
    sent, seen, failure = await log_in(b"proof", OFFER, b"")
    assert failure is None
    assert sent[:2] == [b"ticket", b""]
    assert sent[2][16:20] == b"\1\0\0\0"
    assert seen["security_layers"] == ["none", "integrity", "confidentiality"]


@pytest.mark.parametrize(
    ("answers", "evidence"),
    [
        ((StageFailed(error_code=58),), {"error_code": 58, "kerberos_refused": "ticket"}),
        ((GONE,), {"broken": "eof", "kerberos_refused": "ticket"}),
        ((b"proof", GONE), {"kerberos_refused": "account"}),
        ((b"proof", OFFER, StageFailed(error_code=58)), {"error_code": 58, "kerberos_refused": "account"}),
        ((b"another",), {"kerberos_proof": "wrong"}),
        ((b"proof", b"another"), {"kerberos_proof": "wrong"}),
        ((b"proof", signed(18, b"\1\0\0")), {"kerberos_proof": "wrong"}),
    ],
)
async def test_refusals(answers: tuple[Any, ...], evidence: dict[str, Any]) -> None:
    _, _, failure = await log_in(*answers)
    assert isinstance(failure, StageFailed)
    assert evidence.items() <= failure.evidence.items()


async def test_a_silent_server_refuses_nothing() -> None:
    _, _, failure = await log_in(StreamBroken("silent", received=0))
    assert isinstance(failure, StreamBroken)


async def test_a_security_layer_demanded() -> None:
    sent, _, failure = await log_in(b"proof", signed(18, b"\6\0\x40\0"))
    assert isinstance(failure, Unsupported)
    assert len(sent) == 2


@pytest.mark.parametrize(
    ("principal", "service"),
    [
        ("hive/_HOST@EXAMPLE.COM", Service("hive", "hs2", "EXAMPLE.COM")),
        ("hive/other@EXAMPLE.COM", Service("hive", "other", "EXAMPLE.COM")),
        ("hive", Service("hive", "hs2")),
    ],
)
def test_services_by_their_principals(principal: str, service: Service) -> None:
    assert Service.parse(principal, "hs2") == service


JAAS = """
/* who logs in to what */
Client { com.sun.security.auth.module.Krb5LoginModule required principal="zk@R"; };
KafkaClient {
  com.sun.security.auth.module.Krb5LoginModule required
  useKeyTab=true keyTab="file://k" // principal="old@R"
  principal="app@R"
  serviceName=streams;
};
"""


def test_a_login_configuration() -> None:
    assert jaas.options(JAAS, "KafkaClient") == {
        "useKeyTab": "true", "keyTab": "file://k", "principal": "app@R", "serviceName": "streams",
    }  # fmt: skip
    assert jaas.options(JAAS, "Other") == {}
    assert jaas.options(JAAS[: JAAS.index("KafkaClient")], "Other")["principal"] == "zk@R"


@given(st.text())
def test_no_text_breaks_the_reader_of_login_configurations(text: str) -> None:
    assert isinstance(jaas.options(text, "KafkaClient"), dict)


@pytest.mark.parametrize(
    ("type", "entry"),
    [
        ("kafka", {"security_protocol": "authTypeSaslPlaintext", "sasl_mechanism": "gssapi"}),
        ("hive", {"security_protocol": "authTypeKerberos", "principal": "app"}),
    ],
)
def test_kerberos_without_its_files(type: str, entry: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputs, match="kerberos_file_keytab"):
        read_entry(get(type), {"address": {"host": "h", "port": 1}, **entry})
