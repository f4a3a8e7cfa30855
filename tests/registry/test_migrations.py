"""A registry that an older Headwater made is brought to this version with everything in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, Table

import registry
from registry.apply import apply_texts
from registry.database import REVISIONS, Database
from registry.store import open_store

_FILE = """
version: 1
workspaces:
  - name: retail
    resource_groups: [local]
    data_sources:
      - name: orders
        type: postgresql
        prod: {address: [{host: db.example.com, port: 5432}], database: d, username: u, password: "env:X"}
"""


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
def test_every_older_revision_keeps_its_data(home: Path) -> None:
    with open_store() as store:
        apply_texts(store, [("f.yaml", _FILE)], store.by())
        url = store.database.url.render_as_string(hide_password=False)
    for revision in reversed(REVISIONS[:-1]):
        _downgrade(url, revision)
        with open_store() as store:
            (target,) = store.targets()
            assert target.connection is not None
            assert (target.path, target.references, target.removed) == (
                "retail/orders/prod",
                {"password": "env:X"},
                (),
            )


def _downgrade(url: str, revision: str) -> None:
    """The registry as the Headwater of a revision would have written it: its tables, and what they held."""
    database = Database(url)
    with database.engine.begin() as connection:
        now = _tables(connection)
        rows = {
            name: [dict(row) for row in connection.execute(table.select()).mappings()] for name, table in now.items()
        }
        MetaData.drop_all(_reflected(connection), connection)
        config = Config()
        config.set_main_option("script_location", str(Path(registry.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for name, table in _tables(connection).items():
            known = [{key: row[key] for key in row if key in table.c} for row in rows[name]]
            connection.execute(table.delete())
            if known:
                connection.execute(table.insert(), known)
    database.close()


def _reflected(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection)
    return found


def _tables(connection: Connection) -> dict[str, Table]:
    """The tables that are there, those first that others refer to."""
    return {table.name: table for table in _reflected(connection).sorted_tables if table.name != "alembic_version"}
