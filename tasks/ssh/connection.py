"""One SSH connection as a client, over any stream: paramiko on a bridge between its threads and our loop.

paramiko speaks the protocol; what decides a cause is read off the messages themselves (disconnect codes of RFC 4253,
channel codes of RFC 4254), never off its exceptions' texts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import paramiko
from paramiko.common import MSG_CHANNEL_FAILURE, MSG_DISCONNECT, MSG_IGNORE, MSG_KEXINIT, MSG_USERAUTH_FAILURE
from paramiko.message import Message
from paramiko.packet import Packetizer

from registry.hostkeys import HostKey
from tasks.budget import Budget
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


class _Inbox:
    """What paramiko's thread reads from as from a socket; our loop fills it."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._changed = threading.Condition()
        self._timeout: float | None = None
        #: Also asked for by paramiko.
        self._closed = False

    def feed(self, data: bytes) -> None:
        with self._changed:
            self._data += data
            self._changed.notify_all()

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def recv(self, limit: int) -> bytes:
        with self._changed:
            if not self._data and not self._closed:
                self._changed.wait(self._timeout)
            if not self._data and not self._closed:
                raise TimeoutError
            data = bytes(self._data[:limit])
            del self._data[:limit]
            return data

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Bridge:
    """Carries bytes between one of our streams and a library that waits for them in a thread of its own.

    It ends with the stream's budget.
    """

    def __init__(self, stream: Stream) -> None:
        self.inbox = _Inbox()
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._pumps: tuple[asyncio.Task[None], ...] = ()
        self._outbox = bytearray()
        self._filled = asyncio.Event()
        #: How the peer's side of the conversation ended, once it has.
        self.broken: StreamBroken | StageFailed | None = None

    def start(self, received: bytes, sent: bytes) -> None:
        """Start pumping.

        Args:
            received: What was read off the stream already; the library gets it first.
            sent: What the peer got already; the library's first bytes, which are the same, are held back.
        """
        self._pumps = (asyncio.create_task(self._inward(received)), asyncio.create_task(self._outward(len(sent))))

    def put(self, data: bytes) -> None:
        """Send, from any thread; never waits."""
        if threading.get_ident() == self._thread:
            self._fill(data)
        else:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the conversation
                self._loop.call_soon_threadsafe(self._fill, data)

    def _fill(self, data: bytes) -> None:
        self._outbox += data
        self._filled.set()

    async def _inward(self, data: bytes) -> None:
        try:
            while True:
                self.inbox.feed(data)
                data = await self._stream.receive()
        except (StreamBroken, StageFailed) as broken:
            self.broken = broken
        finally:
            self.inbox.close()

    async def _outward(self, held_back: int) -> None:
        # A peer that takes nothing more may still have something to say: the other pump tells how it ended.
        with contextlib.suppress(StreamBroken, StageFailed):
            while await self._filled.wait():
                self._filled.clear()
                data, self._outbox = bytes(self._outbox), bytearray()
                rest, held_back = data[held_back:], max(0, held_back - len(data))
                if rest:
                    await self._stream.send(rest)

    async def close(self) -> None:
        """Stop pumping; the library sees the end of the conversation. Never raises."""
        self.inbox.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)


class _Watch(Packetizer):
    """Notes those messages whose fields name a cause; paramiko keeps only texts of them.

    What is sent never waits for the peer; messages that `take` wants do not reach paramiko.
    """

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.send: Callable[[bytes], None] = lambda _data: None
        self.disconnect_code: int | None = None
        self.logins_refused = 0
        self.requests_refused = 0
        self.offered: dict[str, list[str]] = {}
        self.take: Callable[[int, Message], bool] = lambda _kind, _message: False

    def write_all(self, out: Any) -> None:
        if self.closed:
            raise EOFError
        self.send(bytes(out))

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
        return (MSG_IGNORE, message) if self.take(kind, message) else (kind, message)


_CURVE25519 = "curve25519-sha256"
#: paramiko's own settings; types-paramiko leaves some out.
_ITS: Mapping[str, Any] = vars(paramiko.Transport)


class Transport(paramiko.Transport):
    """Tells when its thread ends, after everything that came before."""

    ended: Callable[[], None] | None = None
    #: What the server has shown and proved to own: a key, or a certificate for one.
    shown = HostKey("", b"")
    #: Whether to ask for a certificate rather than a bare key.
    wants_certificate = False
    # The name that RFC 8731 gave to what was "@libssh.org"; servers may offer it alone, and paramiko does not know it.
    _preferred_kex = (_CURVE25519, *_ITS["_preferred_kex"])
    _kex_info = {**_ITS["_kex_info"], _CURVE25519: _ITS["_kex_info"][f"{_CURVE25519}@libssh.org"]}  # noqa: RUF012

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        names = tuple(super().preferred_keys)
        return tuple(sorted(names, key=lambda name: "-cert-" not in name)) if self.wants_certificate else names

    def _verify_key(self, host_key: bytes, sig: bytes) -> None:
        super()._verify_key(host_key, sig)  # type: ignore[misc]  # types-paramiko leaves it out
        length = int.from_bytes(host_key[:4], "big")
        self.shown = HostKey(host_key[4 : 4 + length].decode("ascii", "replace"), bytes(host_key))

    def run(self) -> None:
        try:
            super().run()
        finally:
            if self.ended is not None:
                self.ended()


class SshConnection:
    """The client's side of one SSH connection, up to an authenticated transport.

    Methods raise `StageFailed` with what the peer said, or `StreamBroken`.
    """

    def __init__(self, stream: Stream, budget: Budget | None = None) -> None:
        """
        Args:
            budget: For what is asked here; by default the stream's own, after which nothing goes on.
        """
        self._stream = stream
        self._budget = budget or stream.budget
        self._reader = Reader(stream)
        self._bridge: Bridge | None = None
        self._transport: Transport | None = None
        self._watch: _Watch | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ssh")
        self._version = b""

    @property
    def transport(self) -> Transport:
        """paramiko's end, after `exchange_keys`."""
        assert self._transport is not None  # noqa: S101 - the order of the stages
        return self._transport

    def divert(self, take: Callable[[int, Message], bool], ended: Callable[[], None]) -> None:
        """Have messages taken before paramiko sees them; both are called in paramiko's thread.

        Args:
            take: Says whether it has taken a message.
            ended: Called once, after the last message.
        """
        assert self._watch is not None  # noqa: S101 - the order of the stages
        self._watch.take, self.transport.ended = take, ended
        if not self.transport.is_active():
            ended()

    @property
    def patience(self) -> float:
        """Seconds that a blocking call may wait: to the end of the budget, and a moment for the bridge to end it."""
        return self._budget.left() + _BACKSTOP

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
        name = identify(first)
        if (name not in (None, "SSH") and not told) or not readable:
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=name)

    def _understood(self, line: bytes) -> str:
        version = printable(line.strip(), 255)
        if not version.startswith(("SSH-2.0-", "SSH-1.99-")):
            raise StageFailed(ssh_version=version)
        return version

    async def exchange_keys(self, preferred: Sequence[str] = (), *, certificate: bool = False) -> HostKey:
        """Agree on keys; gives the host key shown, which the server has proved to own.

        Args:
            preferred: Algorithms of the host keys that are known, to be asked for first.
            certificate: Ask for a certificate in the first place.
        """
        bridge = self._bridge = Bridge(self._stream)
        received = self._version + bytes(self._reader.buffer)
        transport = Transport(cast(Any, bridge.inbox), packetizer_class=_Watch)
        assert isinstance(transport.packetizer, _Watch)  # noqa: S101 - made so in the line above
        self._transport, self._watch = transport, transport.packetizer
        self._watch.send = bridge.put
        transport.local_version = _VERSION
        transport.wants_certificate = certificate
        transport.set_log_channel(_LOG)
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = self.patience
        transport.channel_timeout = transport.clear_to_send_timeout = self.patience
        _ask_first_for(transport, preferred)
        bridge.start(received, f"{_VERSION}\r\n".encode())

        def shake_hands() -> HostKey:
            transport.start_client(timeout=self.patience)
            if certificate:
                return transport.shown
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
            try:
                return paramiko.SFTPClient(channel)
            except TimeoutError:
                raise
            except OSError:  # the far side closed the channel before it heard a word
                raise EOFError from None

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
        broken = self._bridge.broken if self._bridge is not None else None
        if isinstance(broken, StageFailed):
            return broken
        if broken is not None:
            return StageFailed(**broken.evidence())
        kind = type(error).__name__
        return StageFailed(ssh_error=kind, server_said=f"bytes that are no valid SSH ({kind})")

    async def close(self) -> None:
        """End everything; paramiko's thread ends within its next tenth of a second. Never raises."""
        if self._bridge is not None:
            self._bridge.inbox.close()
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
