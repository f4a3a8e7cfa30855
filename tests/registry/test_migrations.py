"""A registry that an older Headwater made is brought to this version with everything in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

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
    """Undo what the revisions after this one do, as they stood when it was the newest."""
    database = Database(url)
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE entry DROP COLUMN removed"))
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
    database.close()
