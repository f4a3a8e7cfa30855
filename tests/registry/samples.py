"""Things to put into a registry."""

from __future__ import annotations

from typing import Any

from registry.changes import Change
from registry.entries import EntryDraft, SourceDraft, draft_entry, draft_source
from registry.store import Store
from registry.types import get
from registry.workspaces import WorkspaceDraft

#: A secret that must never be seen outside the keyring's protection.
CANARY = "cAnArY-5up3r-s3cr3t"


def fields(**changes: Any) -> dict[str, Any]:
    """A PostgreSQL entry as people write it."""
    entry = {
        "address": [{"host": "db.example.com", "port": 5432}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_PASSWORD",
    }
    return {**entry, **changes}


def entry(**changes: Any) -> EntryDraft:
    """That entry, read; literals are welcome."""
    return draft_entry(get("postgresql"), fields(**changes), where="retail/orders/prod", literals_allowed=True)


def source(name: str = "orders", **entries: Any) -> SourceDraft:
    """A PostgreSQL source, with a prod side unless told otherwise."""
    sides = entries or {"prod": fields()}
    return draft_source(name, "postgresql", sides, where=f"retail/{name}", literals_allowed=True)


def retail(store: Store, *sources: SourceDraft, mode: str = "standard") -> list[Change]:
    """The workspace `retail` with these sources."""
    store.workspaces.create(WorkspaceDraft("retail", mode=mode), store.by())
    return [store.sources.create("retail", each, store.by()) for each in sources]


def file_of(count: int, port: int = 5432) -> str:
    """A declarative file with as many sources."""
    sources = "".join(
        f"""
      - name: s{number}
        type: postgresql
        prod:
          address: [{{host: 10.0.0.1, port: {port}}}]
          database: orders
          username: app
          password: "env:ORDERS_PASSWORD\""""
        for number in range(count)
    )
    return f"version: 1\nworkspaces:\n  - name: retail\n    mode: standard\n    data_sources:{sources}\n"
