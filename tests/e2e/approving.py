"""A registry whose data sources are moved, deleted and upgraded under approval, with what hangs on them."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from registry.apply import apply_texts
from registry.store import Store, open_store
from tasks.data_source_ref import FORMAT
from tasks.dependents import Scope
from tasks.dependents.scanning import keep, scan
from tests.registry.depending import depend
from tests.serving import GOOD_PASSWORD, PrefectServer

#: A secret that stands in a file beside the name that changes.
NEIGHBOUR = "cAnArY-of-a-neighbour"
#: Secrets that stand in the sources, the registry or the files, and nowhere in Prefect.
SECRETS = (GOOD_PASSWORD, NEIGHBOUR)

_SIDE = "{{address: [{{host: 127.0.0.1, port: {port}}}], database: postgres, username: postgres, password: {password}}}"
_SOURCES = """
version: 1
resource_groups:
  - {{name: local, kind: local}}
workspaces:
  - name: retail
    mode: standard
    resource_groups: [local]
    data_sources:
      - {{name: orders, type: postgresql, dev: {referred}, prod: {referred}}}
      - {{name: orders_next, type: postgresql, dev: {stored}, prod: {stored}}}
      - {{name: archive, type: postgresql, dev: {referred}, prod: {referred}}}
      - {{name: archive_2019, type: postgresql, prod: {referred}}}
      - {{name: ledger, type: postgresql, dev: {referred}, prod: {referred}}}
  - name: analytics
    mode: standard
    resource_groups: [local]
  - name: legacy
    mode: basic
    resource_groups: [local]
    data_sources:
      - {{name: orders, type: postgresql, prod: {referred}}}
      - {{name: stock, type: postgresql, prod: {stored}}}
"""
_SCHEMA = {
    "type": "object",
    "properties": {"source": {"type": "string", "format": FORMAT}, "day": {"type": "string"}},
}


def furnish(server: PrefectServer, port: int, folder: Path) -> None:
    """Fill the registry that `HEADWATER_HOME` names, the server with deployments, and a folder with nodes.

    Args:
        port: Of a PostgreSQL with the table `orders`.
        folder: Where the files are written.
    """
    referred = _SIDE.format(port=port, password='"env:GOOD_PASSWORD"')
    stored = _SIDE.format(port=port, password=GOOD_PASSWORD)
    flow = server.post("/flows/", {"name": "nightly-load"})["id"]
    for name in ("europe", "america", "asia"):
        parameters = {"source": "orders", "day": "today"}
        body = {"name": name, "flow_id": flow, "parameter_openapi_schema": _SCHEMA, "parameters": parameters}
        server.post("/deployments/", body)
    for source, name in (("orders", "orders_by_day"), ("orders", "orders_by_shop"), ("ledger", "close_of_day")):
        node(folder / source / f"{name}.json", source, name)
    with open_store() as store:
        text = _SOURCES.format(referred=referred, stored=stored)
        apply_texts(store, [("retail.yaml", text)], store.by("test"), literals_allowed=True)
        store.sharing.share("retail", "archive", store.by(), to="analytics", env="dev")
        depend(store, "explore_archive", "retail/archive", env="dev", owner="wang")
        depend(store, "archive_by_year", "retail/archive", env="dev", module="data_analysis", owner="li")
        depend(store, "archive_is_fresh", "retail/archive", env="dev", module="data_quality", owner="li")
        _look(store, "prefect_deployments", "nightly-load/*")
        _look(store, "flowspec", str(folder))


def node(path: Path, source: str, name: str) -> None:
    """A synchronization node that reads a table of a data source."""
    parameter = {"datasource": source, "table": "orders", "token": NEIGHBOUR}
    steps = [{"stepType": "postgresql", "category": "reader", "parameter": parameter}]
    content = json.dumps({"type": "job", "steps": steps})
    script = {"path": name, "runtime": {"command": "DI"}, "content": content}
    one = {"id": name, "name": name, "runtimeResource": {"resourceGroup": "local"}, "script": script}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": "1.1.0", "kind": "CycleWorkflow", "spec": {"nodes": [one]}}, indent=2))


def _look(store: Store, adapter: str, root: str) -> None:
    """Scan, in a thread of its own: a browser's event loop runs in this one."""
    with ThreadPoolExecutor(1) as pool:
        scanned = pool.submit(asyncio.run, scan(adapter, Scope("retail", (root,)))).result()
    keep(store, adapter, scanned, store.by())
