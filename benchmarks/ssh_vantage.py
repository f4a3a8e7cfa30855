"""Through SSH: checks a second against the same checks from here, and channels a second against bare paramiko's.

An SSH server of its own, on the loopback interface. A conversation is one question and one answer of 64 bytes, on a
connection of its own; paramiko has a thread for each at a time. They take turns, so that a noisy neighbour hits both.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.common import PASSWORD, Row, free_port, postgresql

_WIDTH = 8
_CHECKS = 160
_CONVERSATIONS = 320
_TURNS = 7
_QUESTION = b"x" * 64


def run() -> Iterator[Row]:
    """Whole checks, then bare conversations."""
    with sshd() as settings:
        with postgresql() as server:
            through, here = asyncio.run(_checks(server.port, settings))
        yield Row(f"checks a second through SSH, {_WIDTH} at a time", statistics.median(through), "/s", "-")
        yield Row(f"checks a second from here, {_WIDTH} at a time", statistics.median(here), "/s", "-")
        yield Row("ratio", _ratio(through, here), "x the local vantage", "-")
        with _echo() as port:
            ours, bare = _conversations(port, settings)
        yield Row(f"conversations a second, {_WIDTH} at a time", statistics.median(ours), "/s", "-")
        yield Row(f"bare paramiko's, {_WIDTH} threads", statistics.median(bare), "/s", "-")
        yield Row("ratio", _ratio(ours, bare), "x bare paramiko", ">= 0.9")


def _ratio(ones: list[float], others: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))


async def _checks(port: int, settings: dict[str, Any]) -> tuple[list[float], list[float]]:
    from tasks.adhoc import target_of_url
    from tasks.check import check
    from tasks.vantages.local import LocalVantage
    from tasks.vantages.ssh import open_vantage

    target = target_of_url(f"postgresql://app:{PASSWORD}@127.0.0.1:{port}/shop", None, None, ("orders",))
    places = (open_vantage("ssh", settings), LocalVantage())
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(_TURNS):
        for rates, place in zip(found, places, strict=True):

            async def one(place: Any = place) -> None:
                verdict = await check(target, place)
                assert verdict.connectable, verdict

            rates.append(await _rate(one, _CHECKS))
    for place in places:
        await place.close()
    return found


async def _rate(one: Callable[[], Awaitable[None]], count: int) -> float:
    async def some() -> None:
        for _ in range(count // _WIDTH):
            await one()

    started = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(_WIDTH)))
    return count / (time.perf_counter() - started)


def _conversations(port: int, settings: dict[str, Any]) -> tuple[list[float], list[float]]:
    transport = _paramiko(settings)
    ours, bare = list[float](), list[float]()
    with asyncio.Runner() as runner, ThreadPoolExecutor(_WIDTH) as threads:
        one, close = runner.run(_ours(port, settings))
        for _ in range(_TURNS):
            ours.append(runner.run(_rate(one, _CONVERSATIONS)))
            started = time.perf_counter()
            for _ in threads.map(lambda _: _talk(transport, port), range(_CONVERSATIONS)):
                pass
            bare.append(_CONVERSATIONS / (time.perf_counter() - started))
        runner.run(close())
    transport.close()
    return ours, bare


async def _ours(port: int, settings: dict[str, Any]) -> tuple[Callable[[], Awaitable[None]], Callable[[], Any]]:
    from tasks.budget import Budget
    from tasks.streams import Reader
    from tasks.vantages.ssh import open_vantage

    vantage = open_vantage("ssh", settings)

    async def one() -> None:
        budget = Budget.of(10)
        stream = await vantage.connect("127.0.0.1", port, budget, conversation=budget)
        await stream.send(_QUESTION)
        await Reader(stream).exactly(len(_QUESTION))
        stream.close()

    return one, vantage.close


def _paramiko(settings: dict[str, Any]) -> Any:
    import paramiko

    transport = paramiko.Transport((settings["host"], settings["port"]))
    key = paramiko.Ed25519Key.from_private_key_file(settings["private_key"].removeprefix("file:"))
    transport.connect(username=settings["username"], pkey=key)
    return transport


def _talk(transport: Any, port: int) -> None:
    channel = transport.open_channel("direct-tcpip", ("127.0.0.1", port), ("127.0.0.1", 0))
    channel.sendall(_QUESTION)
    got = 0
    while got < len(_QUESTION):
        got += len(channel.recv(len(_QUESTION)))
    channel.close()


@contextlib.contextmanager
def _echo() -> Iterator[int]:
    """A server that says back what it hears."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)

    async def serve() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                while data := await reader.read(65536):
                    writer.write(data)
            writer.close()

        await (await asyncio.start_server(echo, sock=listening)).serve_forever()

    loop = asyncio.new_event_loop()
    task = loop.create_task(serve())
    thread = threading.Thread(target=lambda: loop.run_until_complete(_ended(task)), daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


async def _ended(task: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await task
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextlib.contextmanager
def sshd() -> Iterator[dict[str, Any]]:
    """An SSH server that lets this user in by key; gives the settings of a resource group."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="headwater-benchmark-") as name:
        folder, port = Path(name), free_port()
        for key in ("host_key", "client_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / key)]
            subprocess.run(command, check=True)
        config = [
            "ListenAddress 127.0.0.1", f"Port {port}", f"HostKey {folder / 'host_key'}", f"PidFile {folder / 'pid'}",
            f"AuthorizedKeysFile {folder / 'client_key.pub'}", "StrictModes no", "UsePAM no", "UseDNS no",
            "PermitRootLogin prohibit-password",
        ]  # fmt: skip
        (folder / "sshd_config").write_text("\n".join(config) + "\n")
        arguments = [program, "-D", "-f", str(folder / "sshd_config")]
        server = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield {
                "host": "127.0.0.1", "port": port, "username": getpass.getuser(),
                "private_key": f"file:{folder / 'client_key'}",
                "host_key": (folder / "host_key.pub").read_text().strip(),
            }  # fmt: skip
        finally:
            server.terminate()
            server.wait()


def _wait_for(port: int) -> None:
    ends = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.02)
