"""The real `headwater` in processes of its own: in pipes, on a terminal, interrupted."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from registry.database import Database
from scripts.embedded_postgresql import EmbeddedPostgresql

HEADWATER = str(Path(sys.executable).with_name("headwater"))
#: Variables that Python reads when it starts: a process that stands already comes too late for them.
_READ_BY_PYTHON = ("LANG", "LC_", "PYTHON")
#: The password of the embedded server, told by this variable.
PASSWORD_VARIABLE = "ORDERS_PASSWORD"


@dataclass(frozen=True)
class Outcome:
    """What a run left."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    def refused(self, *told: str) -> None:
        """Wrong usage or a broken set-up: told on standard error alone, without a traceback."""
        assert (self.status, self.out) == (2, ""), self
        assert "Traceback" not in self.err
        for words in told:
            assert words in self.err, self.err


class _Warm:
    """Commands without the start of a program; see `tests.flows.warm`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.flows.warm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, stdin: str) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="headwater-warm-") as name:
            streams = {stream: Path(name, stream) for stream in ("stdin", "stdout", "stderr")}
            for stream, path in streams.items():
                path.write_bytes(stdin.encode() if stream == "stdin" else b"")
            asked = {"arguments": arguments, "environment": environment, "folder": str(folder), "seconds": 60}
            status = self._ask(asked | {stream: str(path) for stream, path in streams.items()})
            return Outcome(status, streams["stdout"].read_bytes().decode(), streams["stderr"].read_bytes().decode())

    def _ask(self, asked: Mapping[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked, default=str) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


_warm = cache(_Warm)


class CommandLine:
    """`headwater` with a home of its own."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home = home
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER_", "PREFECT_"))
        }
        self.environment |= {"HEADWATER_HOME": str(home), "HEADWATER_ACTOR": "alice", "TERM": "xterm-256color"}

    def __call__(self, *arguments: str, stdin: str = "", prefix: tuple[str, ...] = (), **variables: str) -> Outcome:
        if not prefix and not any(name.startswith(_READ_BY_PYTHON) for name in variables):
            return _warm().run([HEADWATER, *arguments], self.environment | variables, self.folder, stdin)
        done = subprocess.run(
            [*prefix, HEADWATER, *arguments],
            input=stdin.encode(),
            capture_output=True,
            env=self.environment | variables,
            cwd=self.folder,
            timeout=60,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        """Start it and go on."""
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen(
            [HEADWATER, *arguments], env=self.environment, cwd=self.folder, text=True, stdin=subprocess.DEVNULL, **more
        )

    def apply(self, text: str) -> None:
        """Apply a declarative text."""
        self.write("applied.yaml", text)
        done = self("apply", "-f", "applied.yaml")
        assert done.status == 0, done

    def write(self, name: str, text: str | bytes) -> None:
        """A file in the folder that commands run in."""
        (self.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


class Screen:
    """`headwater` on a terminal of 100 columns: everything that it writes, as it is written."""

    def __init__(self, cli: CommandLine, *arguments: str, stdout: bool = True, **variables: str) -> None:
        self._terminal, side = pty.openpty()
        environment = cli.environment | {"COLUMNS": "100", "LINES": "40"} | variables
        self.process = subprocess.Popen(
            [HEADWATER, *arguments],
            stdin=side,
            stdout=side if stdout else subprocess.PIPE,
            stderr=side,
            env=environment,
            cwd=cli.folder,
            start_new_session=True,
        )
        os.close(side)
        self.text = ""
        self._seen = 0

    def until(self, words: str = "", seconds: float = 60) -> str:
        """Read until these words are written, once more if they were awaited before; or without any to the end."""
        end = time.monotonic() + seconds
        while not (words and words in self.text[self._seen :]):
            left = end - time.monotonic()
            assert left > 0, f"not within {seconds} s: {words!r} in {self.text!r}"
            if not select.select([self._terminal], [], [], left)[0]:
                continue
            try:
                piece = os.read(self._terminal, 65536)
            except OSError:  # Linux's way to say that the other side is closed
                piece = b""
            if not piece:
                assert not words, f"ended without {words!r}: {self.text!r}"
                break
            self.text += piece.decode(errors="replace")
        self._seen = self.text.find(words, self._seen) + len(words) if words else len(self.text)
        return self.text

    def answer(self, prompt: str, text: str) -> None:
        """Wait for a prompt (its last blank comes when the echo is off) and type a line."""
        self.until(prompt)
        self.type(text)

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._terminal, f"{text}\n".encode())

    def end(self) -> int:
        """Read to the end; the exit status."""
        self.until()
        os.close(self._terminal)
        return self.process.wait(timeout=60)

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Send a signal."""
        self.process.send_signal(number)


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite registry without contents: copied, because migrating takes half a second."""
    path = tmp_path_factory.mktemp("cli") / "registry.db"
    database = Database(f"sqlite:///{path}")
    database.prepare()
    database.close()
    return path


@pytest.fixture
def cli(tmp_path: Path, empty_registry: Path) -> CommandLine:
    """The command line with an empty registry."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    shutil.copy(empty_registry, home / "registry.db")
    return CommandLine(home, tmp_path)


@pytest.fixture
def retail(cli: CommandLine, postgresql: EmbeddedPostgresql) -> CommandLine:
    """The command line with `retail/orders`, which is well, and `retail/closed`, where nothing listens."""
    cli.environment[PASSWORD_VARIABLE] = postgresql.password
    cli.apply(workspace(source("orders", postgresql.port), source("closed", 1)))
    return cli


def workspace(*sources: str) -> str:
    """A file with the workspace `retail`."""
    return "\n".join(
        (
            "version: 1",
            "resource_groups: [{name: local, kind: local}]",
            "workspaces:",
            "  - name: retail",
            "    mode: standard",
            "    resource_groups: [local]",
            "    data_sources:",
            *sources,
            "",
        )
    )


def source(name: str, port: object = 5432, *, password: str = f"env:{PASSWORD_VARIABLE}", more: str = "") -> str:
    """One line of `workspace`: a PostgreSQL on this machine."""
    return (
        f"      - {{name: {name}, type: postgresql, prod: {{address: [{{host: 127.0.0.1, port: {port}}}],"
        f' database: postgres, username: postgres, password: "{password}"{more}}}}}'
    )
