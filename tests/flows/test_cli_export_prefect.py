"""`headwater export --to prefect`: blocks as documents, on a real server, and back again."""

from __future__ import annotations

import json

import pytest

from tests.flows.cli_support import CommandLine
from tests.serving import PrefectServer

RETAIL = """
version: 1
workspaces:
  - name: retail
    data_sources:
      - name: order_book
        type: postgresql
        prod:
          address: [{host: db.example.com, port: 5433}]
          database: orders
          username: app
          password: env:ORDERS_PASSWORD
          properties: {sslmode: require}
      - {name: cache, type: redis, prod: {address: [{host: h, port: 6379}]}}
"""
SECRET = "canary-block-9e"
SLUG = "sqlalchemy-connector"


def test_documents_hold_references_and_come_back_by_import(cli: CommandLine) -> None:
    cli.apply(RETAIL)
    cli.environment["ORDERS_PASSWORD"] = SECRET
    done = cli("export", "--to", "prefect")
    assert "retail/cache/prod: SQLAlchemy has no driver for Redis" in done.err
    assert SECRET not in done.out + done.err
    (document,) = done.json
    assert (document["name"], document["block_type_slug"]) == ("retail-order-book-prod", SLUG)
    assert document["data"]["connection_info"] == {
        "driver": "postgresql+psycopg2",
        "username": "app",
        "host": "db.example.com",
        "port": "5433",
        "database": "orders",
        "query": {"sslmode": "require"},
    }
    cli.write("blocks.json", done.out)
    assert cli("import", "blocks.json", "-w", "retail").status == 0
    old, new = (cli("show", name, "-o", "json").json["prod"] for name in ("order_book", "retail_order_book_prod"))
    for one in (old, new):
        for key in ("version", "creator", "created_at", "modifier", "modified_at"):
            one.pop(key, None)
    assert old == new


def test_saving_needs_a_server_and_a_password(cli: CommandLine) -> None:
    cli.apply(RETAIL)
    cli("export", "--to", "prefect", "--yes").refused("PREFECT_API_URL")
    cli("export", "--yes").refused("--to prefect")
    cli.environment["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
    cli("export", "--to", "prefect", "--yes").refused("ORDERS_PASSWORD is not set")


@pytest.mark.prefect
def test_blocks_on_a_real_server_hold_the_password(cli: CommandLine, prefect_server: PrefectServer) -> None:
    cli.apply(RETAIL)
    cli.environment |= {**prefect_server.settings, "ORDERS_PASSWORD": SECRET}
    made = cli("export", "--to", "prefect", "--yes")
    assert made.out.strip() == f"made {SLUG}/retail-order-book-prod", made
    assert cli("export", "--to", "prefect", "--yes").out.startswith("changed ")
    found = prefect_server.post("/block_documents/filter", {"include_secrets": True})
    (document,) = [one for one in found if one["name"] == "retail-order-book-prod"]
    assert document["data"]["connection_info"]["password"] == SECRET
    hidden = prefect_server.post("/block_documents/filter", {})
    assert SECRET not in json.dumps(hidden)
