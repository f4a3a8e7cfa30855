"""The registry's database: SQLite under the home, or PostgreSQL by `HEADWATER_DATABASE_URL`.

Changes are serial on both: a writer takes the one write lock when its transaction begins, so two operators queue
instead of deadlocking, and what a change was decided on cannot move before it is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection as DatabaseConnection
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.orm import Session

from registry import home, news
from registry.errors import Forbidden, InvalidInput, RegistryUnavailable

#: The revisions of `registry/migrations/versions`, oldest first. They stand here too, so that opening a registry
#: that is up to date imports no Alembic.
REVISIONS = ("0001", "0002", "0003", "0004")
HEAD = REVISIONS[-1]

#: How long a writer waits for the one before it, in seconds.
BUSY_SECONDS = 30
_PIECE_MILLISECONDS = 250
#: Any number that no other program locks in the same PostgreSQL database.
_WRITE_LOCK = 0x48454144
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}


class Database:
    """An engine whose transactions are opened by `read` and `write`."""

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self._sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _engine(self.url)
        self._writer = self.engine.execution_options(writes=True)

    @property
    def is_local(self) -> bool:
        """Whether the registry is a file of this machine."""
        return self._sqlite

    @property
    def label(self) -> str:
        """Where the registry is, for people: no password."""
        return str(self.url.database) if self._sqlite else self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that sees one state of the registry and changes nothing."""
        with self._explained(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self, *, keep: bool = True) -> Iterator[Session]:
        """A transaction that holds the write lock; it commits when the block ends well and leaves nothing otherwise.

        Args:
            keep: False: take everything back at the end all the same.
        """
        with self._explained(), Session(self._writer, expire_on_commit=False) as session:
            session.connection()  # the lock is taken now, before anything is read
            yield session
            if keep:
                session.commit()
                news.tell(session)

    def prepare(self) -> None:
        """Bring the schema to this version of Headwater, by migrations only.

        Raises:
            RegistryUnavailable: The registry is newer than this Headwater, damaged, locked, read-only or out of reach.
        """
        if self._sqlite and self.url.database:
            path = Path(self.url.database)
            home.ensure(path.parent)
            home.touch(path)
        with self._explained():
            with self.engine.connect() as connection:
                if self._revision(connection) == HEAD:
                    return
            if self._sqlite:
                self._use_wal()
            with self._writer.begin() as connection:
                if self._revision(connection) != HEAD:
                    _migrate(connection)

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    def _revision(self, connection: DatabaseConnection) -> str | None:
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if revision is not None and revision not in REVISIONS:
            raise RegistryUnavailable(
                f"the registry at {self.label} is from a newer Headwater (schema {revision}; this one knows {HEAD})",
                instruction="upgrade Headwater on this machine: pip install --upgrade headwater",
            )
        return str(revision) if revision is not None else None

    def _use_wal(self) -> None:
        """Write-ahead logging stays switched on in the file; it can't be switched inside a transaction."""
        connection = self.engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()

    def _remember(self, refusal: Forbidden) -> None:
        """A refused transaction leaves nothing but this."""
        from registry import audit

        with Session(self._writer) as session:
            audit.write(session, [refusal.record])
            session.commit()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Forbidden as refusal:
            self._remember(refusal)
            raise
        except DBAPIError as error:
            explained = _explain(error, self.label)
            if explained is None:
                raise
            raise explained from error


def _parse(url: str) -> URL:
    wanted = (
        "use postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or leave HEADWATER_DATABASE_URL out for SQLite in the home"
    )
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The text may hold a password, so it isn't repeated.
        raise InvalidInput("not a database URL", where="HEADWATER_DATABASE_URL", instruction=wanted) from None
    driver = _DRIVERS.get(parsed.get_backend_name())
    if driver is None:
        name = parsed.get_backend_name()
        raise InvalidInput(f"a registry can't live in {name!r}", where="HEADWATER_DATABASE_URL", instruction=wanted)
    return parsed.set(drivername=driver)


def _engine(url: URL) -> Engine:
    sqlite = url.get_backend_name() == "sqlite"
    arguments: dict[str, Any] = {"timeout": BUSY_SECONDS} if sqlite else {"connect_timeout": 5}
    engine = create_engine(url, connect_args=arguments, hide_parameters=True, pool_pre_ping=not sqlite)
    if sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says, not where the driver guesses
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA cache_size=-65536")
    cursor.close()


def _begin_sqlite(connection: DatabaseConnection) -> None:
    if not connection.get_execution_options().get("writes"):
        connection.exec_driver_sql("BEGIN")
        return
    # SQLite hears no Ctrl-C while it waits for the writer before: it waits in short pieces.
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_PIECE_MILLISECONDS}")
    try:
        for _ in range(BUSY_SECONDS * 1000 // _PIECE_MILLISECONDS):
            with suppress(sqlite3.OperationalError):
                cursor.execute("BEGIN IMMEDIATE")
                return
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # once more, for its error
    finally:
        cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        cursor.close()


def _begin_postgresql(connection: DatabaseConnection) -> None:
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")


def _migrate(connection: DatabaseConnection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


_WRITABLE = "make its folder and file readable and writable for you, or set HEADWATER_HOME elsewhere"
_BACKUP = "restore it from a backup, or move it away and apply your files again"
_PATIENCE = "try again when the other one has ended"

#: SQLite's error name or PostgreSQL's SQLSTATE (or the beginning of one) -> what is wrong, what to do.
_EXPLANATIONS = {
    "SQLITE_READONLY": ("cannot be written to", _WRITABLE),
    "SQLITE_CANTOPEN": ("cannot be opened", _WRITABLE),
    "SQLITE_PERM": ("cannot be opened", _WRITABLE),
    "SQLITE_IOERR": ("cannot be read or written: its disk fails", "look at the disk and at the system's log"),
    "SQLITE_BUSY": (f"is held by another writer for more than {BUSY_SECONDS} s", _PATIENCE),
    "SQLITE_FULL": ("cannot grow: its disk is full", "make room on its disk"),
    "SQLITE_NOTADB": ("is no Headwater registry, or is damaged", _BACKUP),
    "SQLITE_CORRUPT": ("is damaged", _BACKUP),
    "25006": ("cannot be written to", "point HEADWATER_DATABASE_URL at the primary server"),
    "42501": ("may not be used by this account", "grant it the rights to create and change tables in its schema"),
    "55P03": (f"is held by another writer for more than {BUSY_SECONDS} s", _PATIENCE),
    "53": ("has no room left", "make room on the server's disk or raise its limits"),
    "08": ("does not answer", "start its server, or correct HEADWATER_DATABASE_URL"),
    "57": ("is shutting down", "try again when its server is up"),
}


def _explain(error: DBAPIError, label: str) -> RegistryUnavailable | None:
    """What a database error means for the user; None for a fault of ours."""
    code = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None)
    if code is None:
        if not isinstance(error, OperationalError):
            return None
        # libpq gives no code when connecting fails; its words name host, port and reason, never the password.
        words = str(error.orig).strip().splitlines()[0]
        meaning, instruction = f"does not answer: {words}", _EXPLANATIONS["08"][1]
    else:
        known = next((row for start, row in _EXPLANATIONS.items() if code.startswith(start)), None)
        if known is None:
            return None
        meaning, instruction = known
    return RegistryUnavailable(f"the registry at {label} {meaning}", instruction=instruction)
