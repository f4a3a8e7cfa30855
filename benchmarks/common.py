"""What the benchmarks share: a result row, a server, a registry in a temporary home."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

from embedded_postgresql import EmbeddedPostgresql, free_port

__all__ = ["EmbeddedPostgresql", "free_port"]

PASSWORD = "benchmark-password"


@dataclass(frozen=True)
class Row:
    """One line of the results."""

    what: str
    value: float
    unit: str
    target: str


@contextmanager
def home() -> Iterator[Path]:
    """A fresh HEADWATER_HOME."""
    with tempfile.TemporaryDirectory(prefix="headwater-benchmark-") as folder:
        before = os.environ.get("HEADWATER_HOME")
        os.environ["HEADWATER_HOME"] = f"{folder}/home"
        os.environ["BENCHMARK_PASSWORD"] = PASSWORD
        try:
            yield Path(folder)
        finally:
            os.environ.pop("HEADWATER_HOME")
            if before is not None:
                os.environ["HEADWATER_HOME"] = before


@contextmanager
def postgresql() -> Iterator[EmbeddedPostgresql]:
    """A PostgreSQL with a role `app`, a database `shop` and a table `orders`."""
    with tempfile.TemporaryDirectory(prefix="headwater-benchmark-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgresql(Path(folder) / "postgresql") as server:
            server.execute(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'", "CREATE DATABASE shop")
            server.execute("CREATE TABLE orders (id int)", "GRANT SELECT ON orders TO app", database="shop")
            yield server


def entry(port: int, host: str = "127.0.0.1") -> str:
    """One environment entry, as YAML in one line."""
    address = f"address: [{{host: {host}, port: {port}}}]"
    return f'{{{address}, database: shop, username: app, password: "env:BENCHMARK_PASSWORD", objects: [orders]}}'


def document(entries: dict[str, str]) -> str:
    """A declarative file of data sources in one workspace."""
    lines = [
        "version: 1",
        "resource_groups: [{name: local, kind: local}]",
        "workspaces:",
        "  - name: fleet",
        "    resource_groups: [local]",
        "    data_sources:",
    ]
    lines += [f"      - {{name: {name}, type: postgresql, prod: {text}}}" for name, text in entries.items()]
    return "\n".join(lines) + "\n"


def register(folder: Path, entries: dict[str, str]) -> None:
    """Put data sources into the registry of the current home."""
    from registry.apply import apply
    from registry.store import open_store

    file = folder / "fleet.yaml"
    file.write_text(document(entries))
    with open_store() as store:
        apply(store, str(file), store.by("benchmark"))
