"""The demonstration behind `scripts/demo`: one healthy PostgreSQL and five neighbours that are broken differently."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

from embedded_postgresql import EmbeddedPostgresql, free_port

from flows.terminal import unless_reader_gone

_BIN = Path(sys.executable).parent
_STARTED = time.monotonic()

_FILE = """\
version: 1
resource_groups:
  - {{name: local, kind: local}}
workspaces:
  - name: demo
    resource_groups: [local]
    data_sources:
      - name: orders
        type: postgresql
        description: the healthy one
        prod: &orders
          address: [{{host: 127.0.0.1, port: {port}}}]
          database: shop
          username: app
          password: "env:ORDERS_PASSWORD"
          objects: [orders]
      - name: wrong_password
        type: postgresql
        prod: {{<<: *orders, password: "env:OLD_PASSWORD"}}
      - name: missing_database
        type: postgresql
        prod: {{<<: *orders, database: shop_2019}}
      - name: closed_port
        type: postgresql
        prod: {{<<: *orders, address: [{{host: 127.0.0.1, port: {closed}}}]}}
      - name: no_such_host
        type: postgresql
        prod: {{<<: *orders, address: [{{host: db.shop.invalid, port: 5432}}]}}
      - name: mute_server
        type: postgresql
        prod: {{<<: *orders, address: [{{host: 127.0.0.1, port: {mute}}}]}}
"""


def main() -> int:
    """Show everything; returns the exit status."""
    once = "--once" in sys.argv[1:]
    # Said outright, because a shell starts what it puts into the background with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="headwater-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        environment = environment_in(folder)
        step(f"Starting a Prefect server and a PostgreSQL in {folder}")
        api, known = _prefect_server(stack, environment, folder)
        file = neighbourhood(stack, folder)

        step("Registering six data sources from one file")
        run(environment, "headwater", "apply", "-f", str(file))
        step("Testing them all: one is fine, five are broken, each in its own way")
        run(environment, "headwater", "test", expect=1)
        step("The stages behind one verdict")
        run(environment, "headwater", "test", "demo/wrong_password", "--explain", expect=1)

        step("Waiting for the Prefect server")
        _await(f"{api}/health", folder / "prefect-server.log")
        environment.update(known)
        step("Putting the flows on it, with a worker")
        run(environment, "headwater", "deploy")
        _spawn(stack, environment, folder / "worker.log", "prefect", "worker", "start", "--pool", "headwater")
        step("The same test as a flow run")
        run(environment, "prefect", "deployment", "run", "test-connectivity/test-connectivity", "--watch")
        address = api.removesuffix("/api")
        step("Done")
        print(f"\nThe Prefect UI:          {address}/v2/runs")
        print(f"The report of the run:   {_report(api, address)}")
        print("Start test-connectivity from its form there: the worker is listening.\n")
        if not once:
            print("Press Ctrl-C to stop everything.", flush=True)
            signal.pause()
    return 0


def step(text: str) -> None:
    """Tell what happens now, and when."""
    print(f"\n\x1b[1m[{time.monotonic() - _STARTED:5.1f} s] {text}\x1b[0m", flush=True)


def run(environment: dict[str, str], program: str, *arguments: str, expect: int = 0) -> None:
    """Run a command as a person would, with its output in this terminal."""
    print(f"\x1b[2m$ {program} {' '.join(arguments)}\x1b[0m", flush=True)
    status = subprocess.run([str(_BIN / program), *arguments], env=environment, check=False).returncode
    if status != expect:
        sys.exit(f"{program} ended with {status} where {expect} was expected")


def environment_in(folder: Path) -> dict[str, str]:
    """The environment in which everything happens: homes of its own, and the passwords that the file refers to."""
    return {
        **os.environ,
        "PATH": f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}",
        "HEADWATER_HOME": str(folder / "headwater"),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
        "ORDERS_PASSWORD": "correct-horse-battery-staple",
        "OLD_PASSWORD": "changed-last-week",
    }


def _prefect_server(stack: ExitStack, environment: dict[str, str], folder: Path) -> tuple[str, dict[str, str]]:
    """A server that starts while other things happen: its address, and what tells a client of it."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    known = {"PREFECT_API_URL": api, "PREFECT_UI_API_URL": api}
    words = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    _spawn(stack, environment | known, folder / "prefect-server.log", *words)
    return api, known


def _spawn(stack: ExitStack, environment: dict[str, str], log: Path, program: str, *arguments: str) -> None:
    """A program in the background, ended with the demonstration."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(_BIN / program), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def end() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    stack.callback(end)


def _await(url: str, log: Path) -> None:
    for _ in range(240):
        with suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.25)
    sys.exit(f"the Prefect server does not answer:\n{log.read_text()[-2000:]}")


def neighbourhood(stack: ExitStack, folder: Path) -> Path:
    """A healthy PostgreSQL, its five broken neighbours, and the file that names them all."""
    server = stack.enter_context(EmbeddedPostgresql(folder / "postgresql"))
    _fill(server)
    mute = _mute_listener(stack)
    file = folder / "sources.yaml"
    file.write_text(_FILE.format(port=server.port, closed=free_port(), mute=mute))
    return file


def _fill(server: EmbeddedPostgresql) -> None:
    password = "correct-horse-battery-staple"
    server.execute(f"CREATE ROLE app LOGIN PASSWORD '{password}'", "CREATE DATABASE shop")
    server.execute(
        "CREATE TABLE orders (id bigint PRIMARY KEY, placed_at timestamptz)",
        "GRANT SELECT ON orders TO app",
        database="shop",
    )


def _mute_listener(stack: ExitStack) -> int:
    """A socket that the kernel accepts connections for, and that nobody ever reads."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
    return int(listener.getsockname()[1])


def _report(api: str, address: str) -> str:
    import httpx

    sort = {"sort": "CREATED_DESC", "limit": 50}
    found = httpx.post(f"{api}/artifacts/filter", json=sort, timeout=10).json()
    reports = [one for one in found if one.get("key") and one.get("type") == "markdown"]
    return f"{address}/v2/artifacts/artifact/{reports[0]['id']}" if reports else f"{address}/v2/artifacts"


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(unless_reader_gone(main))
