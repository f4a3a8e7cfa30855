"""The local vantage: this machine, in this network namespace."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import json
import os
import shutil
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from tasks.budget import Budget
from tasks.resolver import SystemResolver
from tasks.streams import SocketStream
from tasks.vantages import ConnectFailed, Resolution, Route

# Linux's numbers (include/uapi/linux/in.h, in6.h, errqueue.h); the socket module names them only from 3.14 on.
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_ORIGIN_ICMP = 2
_ORIGIN_ICMP6 = 3


def open_vantage(name: str, settings: Mapping[str, Any], *, public_key: str | None = None) -> LocalVantage:
    """The vantage of a resource group of kind ``local``."""
    return LocalVantage(name)


class LocalVantage:
    """Probes with this machine's own sockets, resolver files and routing table."""

    kind = "local"

    def __init__(self, name: str = "local") -> None:
        self.name = name
        self._resolver = SystemResolver()
        self._tables = _KernelTables()

    async def resolve(self, host: str, budget: Budget) -> Resolution:
        return await self._resolver.resolve(host, budget)

    async def route(self, address: str) -> Route:
        # A connected UDP socket makes the kernel look the route up and sends nothing.
        try:
            with socket.socket(_family(address), socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.connect((address, 9))
                return Route(source_address=str(sock.getsockname()[0]))
        except OSError as error:
            return Route(error=_name(error), broadcast=isinstance(error, PermissionError) and _is_broadcast(address))

    async def connect(
        self, address: str, port: int, budget: Budget, *, conversation: Budget, largest_segment: int | None = None
    ) -> SocketStream:
        if address.startswith("/"):
            return await self._connect_unix(address, budget, conversation)
        family = _family(address)
        sock = _stream_socket(family)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _report_icmp(sock, family)
            if largest_segment is not None:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, largest_segment)
            async with asyncio.timeout(budget.left()):
                await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except TimeoutError:
            said = _icmp(sock, address)
            sock.close()
            waited = budget.total * 1000
            raise ConnectFailed(silent=True, waited_ms=round(waited), **said) from None
        except OSError as error:
            said = _icmp(sock, address)
            sock.close()
            raise ConnectFailed(errno=_name(error), **said) from None
        except BaseException:
            sock.close()
            raise
        return SocketStream(sock, conversation)

    async def _connect_unix(self, path: str, budget: Budget, conversation: Budget) -> SocketStream:
        sock = _stream_socket(socket.AF_UNIX)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(budget.left()):
                await asyncio.get_running_loop().sock_connect(sock, path)
        except TimeoutError:
            sock.close()
            raise ConnectFailed(silent=True, waited_ms=round(budget.total * 1000)) from None
        except OSError as error:
            sock.close()
            raise ConnectFailed(errno=_name(error)) from None
        return SocketStream(sock, conversation)

    async def exchange(self, address: str, port: int, datagram: bytes, budget: Budget) -> bytes | None:
        family = _family(address)
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                _report_icmp(sock, family)
                sock.connect((address, port))
                sock.send(datagram)
                async with asyncio.timeout(budget.left()):
                    return await asyncio.get_running_loop().sock_recv(sock, 65536)
        except TimeoutError:
            raise ConnectFailed(silent=True, waited_ms=round(budget.total * 1000)) from None
        except OSError as error:
            raise ConnectFailed(errno=_name(error)) from None

    async def neighbour(self, address: str) -> Mapping[str, Any]:
        routes, neighbours = await asyncio.gather(
            self._tables.ask("-6" if ":" in address else "-4", "route", "show"), self._tables.ask("neigh", "show")
        )
        best = _longest_match(address, routes)
        if best is None:
            return {}
        via, device = best.get("gateway"), best.get("dev")
        hop = via or address
        states = [row.get("state", []) for row in neighbours if row.get("dst") == hop and row.get("dev") == device]
        return {"gateway": via, "device": device, "neighbour": ",".join(states[0]) if states else "NONE"}

    async def answers_ping(self, address: str, budget: Budget) -> bool | None:
        ipv6 = ":" in address
        sock = _ping_socket(_family(address))
        if sock is None:
            return None
        with sock:
            sock.setblocking(False)
            echo = struct.pack("!BBHHH", 128 if ipv6 else 8, 0, 0, os.getpid() & 0xFFFF, 1) + b"headwater"
            packet = echo[:2] + struct.pack("!H", _checksum(echo)) + echo[4:]
            try:
                sock.connect((address, 0))
                sock.send(packet)
                async with asyncio.timeout(budget.left()):
                    while not _is_echo_reply(await asyncio.get_running_loop().sock_recv(sock, 256), sock):
                        pass
                return True
            except (OSError, TimeoutError):
                return False

    async def way_out(self) -> Mapping[str, Any]:
        # Documentation addresses (RFC 5737, 3849): outside every private network, so only a default route covers them.
        ways = {"ipv4": "203.0.113.1", "ipv6": "2001:db8::1"}
        return {family: (await self.route(address)).error is None for family, address in ways.items()}

    async def close(self) -> None:
        pass  # every socket belongs to a check, and is closed with it


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ipaddress.ip_address(address.partition("%")[0]).version == 6 else socket.AF_INET


def _stream_socket(family: socket.AddressFamily) -> socket.socket:
    try:
        return socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConnectFailed(errno=_name(error)) from None


def _is_broadcast(address: str) -> bool:
    """Whether the kernel lets those alone send to an address who mean everybody (socket(7), SO_BROADCAST)."""
    with socket.socket(_family(address), socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        return sock.connect_ex((address, 9)) == 0


def _name(error: OSError) -> str:
    if error.errno is None:
        return "ENAMETOOLONG"  # the one thing that Python itself refuses: a longer path than a Unix socket can have
    return errno.errorcode.get(error.errno or 0, str(error.errno))


def _report_icmp(sock: socket.socket, family: socket.AddressFamily) -> None:
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def _icmp(sock: socket.socket, address: str) -> dict[str, Any]:
    """The ICMP message behind a failed connect, from the socket's error queue; empty after a RST."""
    try:
        _, control, _, _ = sock.recvmsg(1, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return {}
    for level, _, data in control:
        if level not in (socket.IPPROTO_IP, socket.IPPROTO_IPV6) or len(data) < _EXTENDED_ERROR.size:
            continue
        _, origin, kind, code, _, _, _ = _EXTENDED_ERROR.unpack_from(data)
        if origin in (_ORIGIN_ICMP, _ORIGIN_ICMP6):
            offender = _offender(data[_EXTENDED_ERROR.size :])
            return {
                "icmp_type": kind,
                "icmp_code": code,
                "icmp_from": offender,
                "icmp_from_here": offender == sock.getsockname()[0],
                "icmp_from_peer": offender == address.partition("%")[0],
                "icmp_version": 6 if origin == _ORIGIN_ICMP6 else 4,
            }
    return {}


def _offender(sockaddr: bytes) -> str | None:
    if len(sockaddr) < 8:
        return None
    (family,) = struct.unpack_from("=H", sockaddr)
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, sockaddr[4:8])
    if family == socket.AF_INET6 and len(sockaddr) >= 24:
        return socket.inet_ntop(socket.AF_INET6, sockaddr[8:24])
    return None


class _KernelTables:
    """Routes and neighbours by iproute2; checks that fail together share one look."""

    _FRESH = 0.5

    def __init__(self) -> None:
        self._looks: dict[tuple[str, ...], tuple[float, asyncio.Task[list[dict[str, Any]]]]] = {}

    async def ask(self, *arguments: str) -> list[dict[str, Any]]:
        """Rows of iproute2's JSON, at most half a second old."""
        taken, look = self._looks.get(arguments, (0.0, None))
        if look is None or time.monotonic() - taken > self._FRESH:
            look = asyncio.create_task(_ip(*arguments))
            self._looks[arguments] = (time.monotonic(), look)
        return await asyncio.shield(look)


async def _ip(*arguments: str) -> list[dict[str, Any]]:
    """Rows of iproute2's JSON; none where the program is missing or the kernel says no."""
    program = shutil.which("ip") or next(
        (path for path in ("/usr/sbin/ip", "/sbin/ip") if os.access(path, os.X_OK)), None
    )
    if program is None:
        return []
    process = await asyncio.create_subprocess_exec(
        program,
        "-json",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
    )
    out, _ = await process.communicate()
    try:
        rows = json.loads(out or b"[]")
    except ValueError:
        return []
    return [row for row in rows if row]


def _longest_match(address: str, routes: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The route of the main table that the kernel takes for an address."""
    wanted = ipaddress.ip_address(address.partition("%")[0])
    everything = "::/0" if wanted.version == 6 else "0.0.0.0/0"
    best, longest = None, -1
    for route in routes:
        text = everything if route.get("dst") == "default" else str(route.get("dst"))
        network = ipaddress.ip_network(text, strict=False)
        if wanted in network and network.prefixlen > longest:
            best, longest = route, network.prefixlen
    return best


def _ping_socket(family: socket.AddressFamily) -> socket.socket | None:
    """A socket for ICMP echoes: the unprivileged kind, else the raw one, else none."""
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        with contextlib.suppress(OSError):
            return socket.socket(family, kind, protocol)
    return None


def _is_echo_reply(packet: bytes, sock: socket.socket) -> bool:
    if sock.family == socket.AF_INET6:
        return packet[:1] == b"\x81"
    # A raw IPv4 socket delivers the IP header as well.
    header = (packet[0] & 0x0F) * 4 if sock.type == socket.SOCK_RAW and packet else 0
    return packet[header : header + 1] == b"\0"


def _checksum(data: bytes) -> int:
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
