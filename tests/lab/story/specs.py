"""FlowSpec files as a scheduler exports them: nodes of SQL and of data synchronization, in JSON and YAML."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write(folder: Path, count: int) -> None:
    """So many files, each of the next kind."""
    for number in range(count):
        name, text = _KINDS[number % len(_KINDS)](number)
        (folder / name).write_text(text)


def _node(name: str, command: str, content: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "owner": "ana",
        **more,
        "runtimeResource": {"resourceGroup": "office"},
        "script": {"path": f"shop/{name}", "runtime": {"command": command}, "content": content},
    }


def _json(name: str, node: dict[str, Any]) -> tuple[str, str]:
    document = {"version": "1.1.0", "kind": "CycleWorkflow", "spec": {"nodes": [node]}}
    return f"{name}.json", json.dumps(document, indent=2) + "\n"


def _sql(number: int) -> tuple[str, str]:
    name = f"totals_{number:02}"
    return _json(
        name,
        _node(name, "POSTGRESQL", "select count(*) from orders", datasource={"name": "orders", "type": "postgresql"}),
    )


def _sync(number: int) -> tuple[str, str]:
    """The code is text: JSON in JSON."""
    name = f"load_{number:02}"
    read = {"stepType": "postgresql", "category": "reader", "parameter": {"datasource": "orders", "table": "orders"}}
    write = {
        "stepType": "postgresql",
        "category": "writer",
        "parameter": {"datasource": "warehouse", "table": "ods_orders"},
    }
    return _json(name, _node(name, "DI", json.dumps({"type": "job", "version": "2.0", "steps": [read, write]})))


def _yaml(number: int) -> tuple[str, str]:
    """With comments, which stay."""
    name = f"check_{number:02}"
    return (
        f"{name}.yaml",
        f"""\
# Looked at every morning by ana.
version: 1.1.0
kind: CycleWorkflow
spec:
  nodes:
    - id: {name}
      name: {name}
      datasource: {{name: orders, type: postgresql}}   # the shop's own
      runtimeResource: {{resourceGroup: office}}
      script:
        path: shop/{name}
        runtime: {{command: POSTGRESQL}}
        content: select max(id) from orders
""",
    )


_KINDS: tuple[Callable[[int], tuple[str, str]], ...] = (_sql, _sync, _yaml, _sql)
