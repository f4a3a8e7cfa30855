"""Opening a registry: made by migrations alone, private, and with a plain word when it can't be."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from registry import database, migrations
from registry.database import Database
from registry.errors import InvalidInput, RegistryUnavailable
from registry.model import Base
from registry.store import Store, open_store


def test_migrations_lead_to_exactly_the_model(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_known_revisions_are_those_of_the_folder() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == database.REVISIONS


def test_a_registry_that_is_up_to_date_opens_without_alembic(operator: Callable[..., subprocess.Popen[str]]) -> None:
    code = "import sys\nfrom registry.store import open_store\nopen_store().close()\nprint('alembic' in sys.modules)"
    assert operator(code).communicate()[0].strip() == "False"


def test_two_newcomers_at_once_make_one_registry(tmp_path: Path) -> None:
    code = "from registry.store import open_store\nwith open_store() as s: print(len(s.groups.list()))"
    environment = {**os.environ, "HEADWATER_HOME": str(tmp_path / "new")}
    environment.pop("HEADWATER_DATABASE_URL", None)
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, text=True)
        for _ in range(3)
    ]
    assert [process.communicate()[0].strip() for process in processes] == ["1", "1", "1"]


def test_the_home_is_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWATER_DATABASE_URL", raising=False)
    folder = tmp_path / "deep" / "home"
    with open_store(folder) as store:
        store.secrets.rotate(store.by())
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes["registry.db"] == modes["keyring"] == 0o600
    assert set(modes.values()) == {0o600}


def test_a_registry_from_a_newer_version_is_left_alone(store: Store) -> None:
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RegistryUnavailable, match="newer Headwater") as caught:
        open_store()
    assert "upgrade" in caught.value.instruction


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    path.write_bytes(b"no database at all" * 500)
    with pytest.raises(RegistryUnavailable, match="damaged"):
        Database(f"sqlite:///{path}").prepare()


def test_a_database_that_is_down_is_told_without_its_password() -> None:
    with pytest.raises(RegistryUnavailable, match="does not answer") as caught:
        Database("postgresql://app:CANARY@127.0.0.1:1/registry").prepare()
    assert "CANARY" not in str(caught.value)
    assert "HEADWATER_DATABASE_URL" in caught.value.instruction


@pytest.mark.parametrize("url", ["CANARY", "mysql://app:CANARY@h/x", "postgresql://app:CANARY@h:port/x"])
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput, match="HEADWATER_DATABASE_URL") as caught:
        Database(url)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("made", [False, True], ids=["before it is made", "afterwards"])
def test_a_read_only_home_is_told(tmp_path: Path, made: bool) -> None:
    tmp_path.chmod(0o755)
    folder = tmp_path / "home"
    database = Database(f"sqlite:///{folder / 'registry.db'}")
    if made:
        database.prepare()
        (folder / "registry.db").chmod(0o444)
        database.close()
    else:
        folder.mkdir()
    folder.chmod(0o555)
    told = _as_somebody_else(database.prepare)
    assert "cannot be" in told
    assert "HEADWATER_HOME" in told


def _as_somebody_else(action: Callable[[], None]) -> str:
    """What RegistryUnavailable says to a user who may not write here; permissions don't bind root."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = "nothing"
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            action()
        except RegistryUnavailable as error:
            told = str(error)
        except BaseException as error:
            told = repr(error)
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told
