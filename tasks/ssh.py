"""SSH as a client over any stream: host keys, private keys, and paramiko on a bridge between its threads and ours.

paramiko speaks the protocol; what decides a cause is read off the messages themselves (disconnect codes of RFC 4253,
channel codes of RFC 4254), never off its exceptions' texts.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import fnmatch
import hashlib
import hmac
import io
import logging
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from paramiko.common import MSG_CHANNEL_FAILURE, MSG_DISCONNECT, MSG_KEXINIT, MSG_USERAUTH_FAILURE
from paramiko.message import Message
from paramiko.packet import Packetizer

from tasks.evidence import StageFailed
from tasks.fingerprints import identify
from tasks.streams import Reader, Stream, StreamBroken, printable

Result = TypeVar("Result")

#: What we call ourselves; sent at once, so that peers of other protocols answer at once.
_VERSION = "SSH-2.0-Headwater"
#: Lines that a server may send before its version (RFC 4253, section 4.2, sets no limit).
_NOTICES = 50
_LONGEST_LINE = 4096
#: Seconds by which paramiko's own clocks end later than the bridge, which knows why the time is over.
_BACKSTOP = 1.0
_LOG = "headwater.ssh"


# -- host keys --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HostKey:
    """A server's public key: its algorithm and its bytes on the wire."""

    kind: str
    blob: bytes

    @classmethod
    def parse(cls, text: str) -> HostKey:
        """Read ``ssh-ed25519 AAAA... [comment]``. Raises `ValueError`."""
        words = text.split()
        if len(words) < 2:
            raise ValueError("a host key is an algorithm and its key: ssh-ed25519 AAAA...")
        try:
            blob = base64.b64decode(words[1], validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("the key is not in base64") from None
        kind = words[0].encode()
        # On the wire a key names its own algorithm first (RFC 4253, section 6.6).
        if blob[4 : 4 + len(kind)] != kind or blob[:4] != len(kind).to_bytes(4, "big"):
            raise ValueError(f"the key is none of {words[0]}")
        return cls(words[0], blob)

    @property
    def line(self) -> str:
        """As in known_hosts, without the name."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """As OpenSSH shows it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class KnownKeys:
    """What is known about one server: the keys it may show, those it must not, and where that stands."""

    trusted: tuple[HostKey, ...] = ()
    revoked: tuple[HostKey, ...] = ()
    where: str = ""


def given_keys(text: str, where: str) -> KnownKeys:
    """The keys of a configuration value, one a line. Raises `ValueError`."""
    lines = (line.strip() for line in text.splitlines())
    return KnownKeys(tuple(HostKey.parse(line) for line in lines if line and not line.startswith("#")), where=where)


def known_keys(host: str, port: int, files: Iterable[Path] | None = None) -> KnownKeys:
    """What known_hosts files say about a server (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"); unreadable lines are skipped.

    Args:
        files: By default those that ssh reads: the user's and the machine's.
    """
    name = host if port == 22 else f"[{host}]:{port}"
    trusted, revoked, places = list[HostKey](), list[HostKey](), list[str]()
    for file in files if files is not None else (Path.home() / ".ssh/known_hosts", Path("/etc/ssh/ssh_known_hosts")):
        try:
            text = file.read_text(errors="replace")
        except OSError:
            continue
        for marker, key in _entries(text, name):
            if marker == "@revoked":
                revoked.append(key)
            elif not marker:
                trusted.append(key)
                places.append(str(file))
    return KnownKeys(tuple(trusted), tuple(revoked), where=", ".join(dict.fromkeys(places)))


def _entries(text: str, name: str) -> Iterable[tuple[str, HostKey]]:
    for line in text.splitlines():
        words = line.split(maxsplit=1)
        if len(words) < 2 or line.lstrip().startswith("#"):
            continue
        marker = words[0] if words[0].startswith("@") else ""
        names, _, key = (words[1] if marker else line.strip()).partition(" ")
        if _names(names, name):
            with contextlib.suppress(ValueError):
                yield marker, HostKey.parse(key)


def _names(patterns: str, name: str) -> bool:
    """Whether the first field of a known_hosts line means this server."""
    found = False
    for pattern in patterns.split(","):
        if pattern.startswith("|1|"):
            found = found or _is_hash_of(pattern, name)
        elif pattern.startswith("!"):
            if _matches(pattern[1:], name):
                return False
        else:
            found = found or _matches(pattern, name)
    return found


def _matches(pattern: str, name: str) -> bool:
    # ssh knows * and ? only; brackets stand for themselves around a name with a port.
    return fnmatch.fnmatchcase(name.lower(), re.sub(r"\[", "[[]", pattern.lower()))


def _is_hash_of(pattern: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in pattern[3:].split("|"))
    except ValueError:
        return False
    return hmac.compare_digest(hmac.digest(salt, name.lower().encode(), "sha1"), digest)


# -- private keys -----------------------------------------------------------------------------------------------------


class KeyUnusable(Exception):
    """A private key that cannot be read. `why`: ``encrypted``, ``wrong password`` or ``unreadable``."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def load_key(text: str, password: str | None = None) -> paramiko.PKey:
    """The private key in a file's text: OpenSSH's own format, PKCS#8 or PKCS#1.

    Raises:
        KeyUnusable: It needs a password, has another one, or is no private key.
    """
    data = text.strip().encode() + b"\n"
    try:
        found = _read(data, password)
    except TypeError:
        if password:  # it has none: then the one given does not matter
            return load_key(text)
        raise KeyUnusable("encrypted") from None
    except Exception:
        # A password that does not fit looks like damage; the same file without one tells them apart.
        if password and _is_encrypted(data):
            raise KeyUnusable("wrong password") from None
        raise KeyUnusable("unreadable") from None
    kinds = ((ed25519.Ed25519PrivateKey, paramiko.Ed25519Key), (ec.EllipticCurvePrivateKey, paramiko.ECDSAKey))
    wanted: tuple[tuple[type[Any], type[Any]], ...] = (*kinds, (rsa.RSAPrivateKey, paramiko.RSAKey))
    for kind, reader in wanted:
        if isinstance(found, kind):
            plain = found.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            )
            key: paramiko.PKey = reader.from_private_key(io.StringIO(plain.decode()))
            return key
    raise KeyUnusable("unreadable")


def _read(data: bytes, password: str | None) -> Any:
    secret = password.encode() if password else None
    if b"BEGIN OPENSSH PRIVATE KEY" in data:
        return serialization.load_ssh_private_key(data, secret)
    return serialization.load_pem_private_key(data, secret)


def _is_encrypted(data: bytes) -> bool:
    try:
        _read(data, None)
    except TypeError:
        return True
    except Exception:
        return False
    return False


# -- the connection ---------------------------------------------------------------------------------------------------


class Bridge:
    """A blocking socket for a library, pumped to and from one of our streams. It ends with the stream's budget."""

    def __init__(self, stream: Stream) -> None:
        self.near, self._far = socket.socketpair()
        self._far.setblocking(False)
        self._stream = stream
        self._pumps: tuple[asyncio.Task[None], ...] = ()
        #: How the peer's side of the conversation ended, once it has.
        self.broken: StreamBroken | None = None

    def start(self, received: bytes, sent: bytes) -> None:
        """Start pumping.

        Args:
            received: What was read off the stream already; the library gets it first.
            sent: What the peer got already; the library's first bytes, which are the same, are held back.
        """
        self._pumps = (asyncio.create_task(self._inward(received)), asyncio.create_task(self._outward(len(sent))))

    async def _inward(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                await loop.sock_sendall(self._far, data)
                data = await self._stream.receive()
        except StreamBroken as broken:
            self.broken = broken
        except OSError:
            pass  # the library has let go
        finally:
            with contextlib.suppress(OSError):
                self._far.shutdown(socket.SHUT_RDWR)

    async def _outward(self, held_back: int) -> None:
        loop = asyncio.get_running_loop()
        # A peer that takes nothing more may still have something to say: the other pump tells how it ended.
        with contextlib.suppress(StreamBroken, OSError):
            while data := await loop.sock_recv(self._far, 65536):
                rest, held_back = data[held_back:], max(0, held_back - len(data))
                if rest:
                    await self._stream.send(rest)

    async def close(self) -> None:
        """Stop pumping and let go of both ends of the pair. Never raises."""
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        self._far.close()
        self.near.close()


class _Watch(Packetizer):
    """Notes those messages whose fields name a cause; paramiko keeps only texts of them."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.disconnect_code: int | None = None
        self.logins_refused = 0
        self.requests_refused = 0
        self.offered: dict[str, list[str]] = {}

    def read_message(self) -> tuple[int, Message]:
        kind, message = super().read_message()
        if kind == MSG_DISCONNECT:
            self.disconnect_code = message.get_int()
        elif kind == MSG_USERAUTH_FAILURE:
            self.logins_refused += 1
        elif kind == MSG_CHANNEL_FAILURE:
            self.requests_refused += 1
        elif kind == MSG_KEXINIT:
            message.get_bytes(16)  # a cookie
            names = ("key_exchange_offered", "host_keys_offered", "ciphers_offered")
            self.offered = {name: message.get_list() for name in names}
        message.rewind()
        return kind, message


class SshConnection:
    """The client's side of one SSH connection, up to an authenticated transport.

    Methods raise `StageFailed` with what the peer said, or `StreamBroken`.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._reader = Reader(stream)
        self._bridge: Bridge | None = None
        self._transport: paramiko.Transport | None = None
        self._watch: _Watch | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ssh")
        self._version = b""

    @property
    def transport(self) -> paramiko.Transport:
        """paramiko's end, after `exchange_keys`."""
        assert self._transport is not None  # noqa: S101 - the order of the stages
        return self._transport

    @property
    def patience(self) -> float:
        """Seconds that a blocking call may wait: to the end of the budget, and a moment for the bridge to end it."""
        return self._stream.budget.left() + _BACKSTOP

    async def greet(self) -> str:
        """Exchange version lines; gives the server's. ``before_version`` is what it said instead of one."""
        with contextlib.suppress(StreamBroken):  # what came before the connection broke may still be read
            await self._stream.send(f"{_VERSION}\r\n".encode())
        notices = list[str]()
        try:
            while len(notices) < _NOTICES:
                await self._refuse_strangers(told=bool(notices))
                line = await self._reader.until(b"\n", _LONGEST_LINE)
                if line.startswith(b"SSH-"):
                    self._version = line
                    return self._understood(line)
                notices.append(printable(line.strip(), 200))
        except StreamBroken as broken:
            if not self._stream.received:
                raise
            said = notices[0] if notices else printable(bytes(self._reader.buffer), 200)
            if said.startswith("SSH-"):
                raise
            evidence = {**broken.evidence(), "mute": None}
            raise StageFailed(**evidence, not_protocol=True, before_version=said, first_bytes=said) from None
        raise StageFailed(not_protocol=True, before_version=notices[0], first_bytes=notices[0])

    async def _refuse_strangers(self, *, told: bool) -> None:
        first = await self._reader.peek(64)
        if first.startswith(b"SSH-"[: len(first)]):
            return
        readable = all(byte in b"\r\n\t" or byte >= 0x20 for byte in first)
        if (identify(first) and not told) or not readable:
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=identify(first))

    def _understood(self, line: bytes) -> str:
        version = printable(line.strip(), 255)
        if not version.startswith(("SSH-2.0-", "SSH-1.99-")):
            raise StageFailed(ssh_version=version)
        return version

    async def exchange_keys(self, preferred: Sequence[str] = ()) -> HostKey:
        """Agree on keys; gives the host key shown, which the server has proved to own.

        Args:
            preferred: Algorithms of the host keys that are known, to be asked for first.
        """
        bridge = self._bridge = Bridge(self._stream)
        received = self._version + bytes(self._reader.buffer)
        transport = paramiko.Transport(bridge.near, packetizer_class=_Watch)
        assert isinstance(transport.packetizer, _Watch)  # noqa: S101 - made so in the line above
        self._transport, self._watch = transport, transport.packetizer
        transport.local_version = _VERSION
        transport.set_log_channel(_LOG)
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = self.patience
        transport.channel_timeout = transport.clear_to_send_timeout = self.patience
        _ask_first_for(transport, preferred)
        bridge.start(received, f"{_VERSION}\r\n".encode())

        def shake_hands() -> HostKey:
            transport.start_client(timeout=self.patience)
            key = transport.get_remote_server_key()
            return HostKey(key.get_name(), key.asbytes())

        try:
            return await self.call(shake_hands, paramiko.ssh_exception.IncompatiblePeer)
        except paramiko.ssh_exception.IncompatiblePeer:
            raise StageFailed(no_common_algorithm=True, **self._watch.offered) from None

    async def authenticate(self, prove: Callable[[paramiko.Transport], Sequence[str]]) -> tuple[str, ...]:
        """Prove one thing; gives the methods that the server asks for in addition, none when it is satisfied.

        Raises:
            StageFailed: ``allowed_methods`` when the server has no such method, ``rejected`` when it does not accept
                the proof, ``disconnect_code`` or how the conversation broke.
        """
        assert self._watch is not None  # noqa: S101 - the order of the stages
        before = self._watch.logins_refused
        try:
            asked = await self.call(lambda: prove(self.transport), paramiko.AuthenticationException)
        except paramiko.BadAuthenticationType as wrong:
            raise StageFailed(allowed_methods=[word for word in wrong.allowed_types if word]) from None
        except paramiko.AuthenticationException:
            if self._watch.logins_refused > before:
                raise StageFailed(rejected=True) from None
            raise self.failure(EOFError()) from None
        if not asked and not self.transport.is_authenticated():
            raise StageFailed(rejected=True)
        return tuple(asked)

    async def open_sftp(self) -> paramiko.SFTPClient:
        """The SFTP subsystem. Raises `StageFailed` with ``no_sftp`` and, where told, ``channel_code``."""

        def open_channel() -> paramiko.SFTPClient:
            channel = self.transport.open_session(timeout=self.patience)
            channel.settimeout(self.patience)
            channel.invoke_subsystem("sftp")
            return paramiko.SFTPClient(channel)

        try:
            return await self.call(open_channel, paramiko.SSHException, EOFError, paramiko.SFTPError)
        except paramiko.ChannelException as refused:
            raise StageFailed(no_sftp=True, channel_code=refused.code) from None
        except (paramiko.SSHException, EOFError, paramiko.SFTPError) as error:
            if self.ended:
                raise self.failure(error) from None
            refused_request = bool(self._watch and self._watch.requests_refused)
            raise StageFailed(no_sftp=True, subsystem_refused=refused_request) from None

    async def call(self, work: Callable[[], Result], *expected: type[Exception]) -> Result:
        """Run blocking work beside the loop. What it raises is `expected`, or becomes evidence."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except expected:
            raise
        except Exception as error:
            raise self.failure(error) from None

    @property
    def ended(self) -> bool:
        """Whether the peer has hung up or disconnected."""
        disconnected = self._watch is not None and self._watch.disconnect_code is not None
        return disconnected or (self._bridge is not None and self._bridge.broken is not None)

    def failure(self, error: Exception) -> StageFailed:
        """Why the conversation cannot go on: the peer's own code, how it broke, else that its bytes are no SSH."""
        if self._watch is not None and self._watch.disconnect_code is not None:
            code = self._watch.disconnect_code
            return StageFailed(disconnect_code=code, server_said=f"SSH disconnect code {code}")
        if self._bridge is not None and self._bridge.broken is not None:
            return StageFailed(**self._bridge.broken.evidence())
        kind = type(error).__name__
        return StageFailed(ssh_error=kind, server_said=f"bytes that are no valid SSH ({kind})")

    async def close(self) -> None:
        """End everything; paramiko's thread ends within its next tenth of a second. Never raises."""
        if self._bridge is not None:
            if self._transport is not None:
                with contextlib.suppress(Exception):
                    self._transport.close()
            await self._bridge.close()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._stream.close()


def _ask_first_for(transport: paramiko.Transport, preferred: Sequence[str]) -> None:
    """Ask for the known kinds of host key first: of several keys, a server shows the one that is asked for first."""
    options = transport.get_security_options()
    # An RSA key is one key under three names of signatures (RFC 8332).
    names = [
        name
        for kind in preferred
        for name in (("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa") if kind == "ssh-rsa" else (kind,))
        if name in options.key_types
    ]
    options.key_types = tuple(dict.fromkeys([*names, *options.key_types]))


# The diagnosis speaks for the conversation; what paramiko logs would stand between a program's own lines.
logging.getLogger(_LOG).addHandler(logging.NullHandler())
logging.getLogger(_LOG).propagate = False
