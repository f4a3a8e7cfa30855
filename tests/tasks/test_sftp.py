"""SFTP: host keys and private keys as OpenSSH writes them, and peers that misbehave at every step."""

from __future__ import annotations

import asyncio
import base64
import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from paramiko.hostkeys import HostKeys
from pydantic import SecretStr

from registry import types
from registry.connection import Mode
from registry.verdict import INCONCLUSIVE, Verdict
from tasks import causes
from tasks.budget import Budget
from tasks.check import check
from tasks.evidence import StageFailed
from tasks.protocols.sftp import PROTOCOL
from tasks.ssh import HostKey, KeyUnusable, SshConnection, given_keys, known_keys, load_key
from tasks.streams import SocketStream, StreamBroken
from tasks.target import Target
from tasks.vantages.local import LocalVantage
from tests.stopwatch import Stopwatch
from tests.tasks.ssh_server import Stalling, serving
from tests.tasks.support import listening

PASSWORD = "canary-5ecret"


def wire(kind: str, body: bytes = b"key") -> HostKey:
    name = kind.encode()
    return HostKey(kind, len(name).to_bytes(4, "big") + name + body)


KEY, OTHER = wire("ssh-ed25519", b"one"), wire("ssh-ed25519", b"two")


def known(tmp_path: Path, text: str, host: str = "files.example", port: int = 22) -> tuple[set[HostKey], set[HostKey]]:
    file = tmp_path / "known_hosts"
    file.write_text(text)
    found = known_keys(host, port, [tmp_path / "absent", file])
    return set(found.trusted), set(found.revoked)


@pytest.mark.parametrize(
    ("names", "port", "found"),
    [
        ("files.example", 22, True),
        ("FILES.example", 22, True),
        ("other,files.example", 22, True),
        ("*.example", 22, True),
        ("file?.example", 22, True),
        ("*.example,!files.example", 22, False),
        ("!other.example,*", 22, True),
        ("files.example", 2222, False),
        ("[files.example]:2222", 2222, True),
        ("[*.example]:2222", 2222, True),
        ("[files.example]:2222", 22, False),
        ("other", 22, False),
        pytest.param(HostKeys.hash_host("files.example"), 22, True, id="hashed"),
        pytest.param(HostKeys.hash_host("[files.example]:2222"), 2222, True, id="hashed with port"),
        pytest.param(HostKeys.hash_host("other"), 22, False, id="hashed, another"),
    ],
)
def test_names_in_known_hosts(tmp_path: Path, names: str, port: int, found: bool) -> None:
    assert known(tmp_path, f"# comment\n\n{names} {KEY.line} me@here\n", port=port)[0] == ({KEY} if found else set())


def test_markers_in_known_hosts(tmp_path: Path) -> None:
    text = f"@revoked * {OTHER.line}\n@cert-authority * {OTHER.line}\nfiles.example {KEY.line}\n"
    assert known(tmp_path, text) == ({KEY}, {OTHER})


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_line_of_known_hosts_is_fatal(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any_known_hosts"
    file.write_text(f"{text}\nfiles.example {KEY.line}\n", encoding="utf-8", errors="replace")
    assert KEY in known_keys("files.example", 22, [file]).trusted


@given(st.from_regex(r"[a-z][a-z0-9@.-]{0,20}", fullmatch=True), st.binary(max_size=60))
def test_a_host_key_is_read_as_it_is_written(kind: str, body: bytes) -> None:
    key = wire(kind, body)
    assert HostKey.parse(f"  {key.line} a comment") == key
    assert given_keys(f"\n{key.line}\n# note\n{KEY.line}", "host_key").trusted == (key, KEY)


@pytest.mark.parametrize(
    "text",
    ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-ed25519 AAAA", f"ssh-rsa {KEY.line.split()[1]}"],
    ids=["nothing", "no key", "no base64", "short", "of another kind"],
)
def test_what_is_no_host_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        HostKey.parse(text)


def test_fingerprints_are_those_of_openssh() -> None:
    key = paramiko.Ed25519Key.generate() if hasattr(paramiko.Ed25519Key, "generate") else paramiko.ECDSAKey.generate()
    assert HostKey(key.get_name(), key.asbytes()).fingerprint == key.fingerprint


KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ecdsa": ec.generate_private_key(ec.SECP256R1()),
    "rsa": rsa.generate_private_key(65537, 2048),
}
FORMATS = {
    "openssh": serialization.PrivateFormat.OpenSSH,
    "pkcs8": serialization.PrivateFormat.PKCS8,
    "pkcs1": serialization.PrivateFormat.TraditionalOpenSSL,
}


def pem(kind: str, form: str, password: str = "") -> str:
    cipher = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return KEYS[kind].private_bytes(serialization.Encoding.PEM, FORMATS[form], cipher).decode()


@pytest.mark.parametrize("form", ["openssh", "pkcs8"])
@pytest.mark.parametrize("kind", KEYS)
def test_private_keys_are_read_in_every_form(kind: str, form: str) -> None:
    public = KEYS[kind].public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    for password in ("", "of the key"):
        key = load_key(pem(kind, form, password), password or None)
        assert key.asbytes() == base64.b64decode(public.split()[1])
    assert load_key(pem(kind, form), "not needed").asbytes() == base64.b64decode(public.split()[1])


@pytest.mark.parametrize("form", ["openssh", "pkcs8"])
def test_a_key_that_cannot_be_opened_says_why(form: str) -> None:
    text = pem("ed25519", form, "of the key")
    for password, why in ((None, "encrypted"), ("another", "wrong password")):
        with pytest.raises(KeyUnusable) as caught:
            load_key(text, password)
        assert caught.value.why == why


@pytest.mark.parametrize("text", ["", "ssh-ed25519 AAAA me", "PuTTY-User-Key-File-3: ssh-rsa", "-----BEGIN X-----\n"])
def test_what_is_no_private_key_is_unreadable(text: str) -> None:
    for password in (None, "x"):
        with pytest.raises(KeyUnusable) as caught:
            load_key(text, password)
        assert caught.value.why == "unreadable"


async def talk_to(data: bytes) -> BaseException | None:
    """Greet and exchange keys with a peer that says this and hangs up."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.sendall(data)
    theirs.shutdown(socket.SHUT_WR)
    connection = SshConnection(SocketStream(ours, Budget.of(3)))
    try:
        await connection.greet()
        await connection.exchange_keys()
    except (StageFailed, StreamBroken) as failure:
        return failure
    finally:
        await connection.close()
        theirs.close()
    return None


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"SSH-2.0-x\r\n", b"hello\r\nSSH-1.99-y\n", b"SSH-2.0-x\r\n\0\0\0\x0c\x0a\x14"]),
)
@settings(max_examples=60, deadline=None)
def test_no_bytes_crash_or_hang_the_connection(tail: bytes, head: bytes) -> None:
    with Stopwatch() as watch:
        assert isinstance(asyncio.run(talk_to(head + tail)), (StageFailed, StreamBroken))
    watch.within(2)


@pytest.fixture
def stalling() -> Iterator[tuple[int, str]]:
    """A server of `Stalling` on this machine: its port and its host key."""
    with serving(Stalling()) as found:
        yield found


class WithoutRoom(Stalling):
    """Opens no channel: it is short of resources (RFC 4254, section 5.1)."""

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_FAILED_RESOURCE_SHORTAGE


class HostBased(Stalling):
    """Believes other hosts alone."""

    def get_allowed_auths(self, username: str) -> str:
        return "hostbased"

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_FAILED


class WithoutShell(Stalling):
    """Runs no command."""

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return False


class ByPassword(Stalling):
    """Takes passwords alone."""

    def get_allowed_auths(self, username: str) -> str:
        return "password"


class ByKey(Stalling):
    """Takes keys alone."""

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_FAILED


@pytest.mark.parametrize(
    ("server", "given", "told"),
    [
        (ByPassword, {"ssh_key_file": "env:K"}, "Set password for"),
        (ByPassword, {"ssh_key_file": "env:K", "password": "env:X", "security_protocol": "authTypeSshKey"},
         "Set security_protocol: passwordAuth and password"),
        (ByKey, {"password": "env:X"}, "Set ssh_key_file"),
        (ByKey, {"ssh_key_file": "env:K", "password": "env:X", "security_protocol": "passwordAuth"},
         "Set security_protocol: authTypeSshKey and ssh_key_file"),
        (HostBased, {"ssh_key_file": "env:K"}, ""),
    ],
)  # fmt: skip
def test_the_method_that_a_server_takes_is_advised(server: type[Stalling], given: dict[str, str], told: str) -> None:
    with serving(server()) as (port, host_key):
        found = asyncio.run(check_sftp(port, host_key, 3, **given))
    assert found.cause == "AUTH.METHOD_UNSUPPORTED", found
    assert told in found.remedy
    assert told or "Set password" not in found.remedy


@pytest.mark.parametrize(
    ("server", "type_name", "code"),
    [
        (WithoutRoom, "sftp", "CAPACITY.CONNECTIONS"),
        (HostBased, "sftp", "AUTH.METHOD_UNSUPPORTED"),
        (WithoutShell, "ssh", "PRIV.OBJECT_DENIED"),
    ],
)
def test_what_ssh_servers_refuse(server: type[Stalling], type_name: str, code: str) -> None:
    with serving(server()) as (port, host_key):
        found = asyncio.run(check_sftp(port, host_key, 3, type_name))
    assert found.cause == code, found


def disconnect(code: int) -> bytes:
    """SSH_MSG_DISCONNECT before any keys (RFC 4253, sections 6 and 11.1)."""
    payload = b"\x01" + code.to_bytes(4) + (2).to_bytes(4) + b"no" + bytes(4)
    padding = 8 - (5 + len(payload)) % 8 + 8
    return (1 + len(payload) + padding).to_bytes(4) + bytes([padding]) + payload + bytes(padding)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (1, "ADMIT.ALLOWLIST"),
        (3, "TLS.VERSION_OR_CIPHER"),
        (7, "SERVER.NOT_READY"),
        (8, "TLS.VERSION_OR_CIPHER"),
        (12, "CAPACITY.CONNECTIONS"),
        (15, "AUTH.USER_UNKNOWN"),
        (11, "SERVER.ERROR"),
    ],
)
async def test_the_reason_for_a_disconnection_counts(number: int, code: str) -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-test\r\n" + disconnect(number))
        await reader.read()

    async with listening(server) as port:
        found = await check_sftp(port, KEY.line, 2)
    assert found.cause == code, found


async def check_sftp(port: int, host_key: str, timeout: float, type_name: str = "sftp", **given: str) -> Verdict:
    kind = types.get(type_name)
    proof = given or {"password": "env:X"}
    entry = {"host": "127.0.0.1", "port": port, "username": "app", "host_key": host_key, **proof}
    connection = kind.modes[Mode.CONNECTION_STRING].model_validate(entry)
    pem = io.StringIO()
    paramiko.ECDSAKey.generate().write_private_key(pem)
    known = {"password": PASSWORD, "ssh_key_file": pem.getvalue()}
    secrets = {name: SecretStr(known[name]) for name in proof if name in known}
    target = Target("w", "files", type_name, "dev", "local", kind.protocol, 22, connection, lambda: secrets)
    return await check(target, LocalVantage(), timeout=timeout)


def test_a_server_that_stalls_after_login_is_mute_within_the_deadline(stalling: tuple[int, str]) -> None:
    with Stopwatch() as watch:
        verdict = asyncio.run(check_sftp(*stalling, timeout=1.5))
    watch.within(2)
    assert (verdict.cause, verdict.state) == ("PEER.MUTE", "Unreachable")
    assert next(stage.name for stage in verdict.stages if stage.status == "failed") == "target"
    ends = time.monotonic() + 0.5
    while any(thread.name.startswith("ssh") for thread in threading.enumerate()):
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_file_descriptors_are_given_back(stalling: tuple[int, str]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert asyncio.run(check_sftp(stalling[0], KEY.line, timeout=2)).cause == "PEER.HOST_KEY"
    time.sleep(0.3)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1  # the server's own end


def test_answers_name_codes_of_the_catalogue() -> None:
    known_codes = causes.catalogue()
    for answer in PROTOCOL.answers:
        assert {answer.code, *answer.alternatives} <= set(known_codes)
        assert (answer.code == INCONCLUSIVE) == (len(answer.alternatives) >= 2)
