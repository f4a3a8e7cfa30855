"""The declarative file: all of it or nothing, and every fault at its line and column."""

from __future__ import annotations

import io
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from registry import model, texts
from registry.apply import Applied, apply, apply_texts
from registry.changes import Action
from registry.errors import InvalidInputs
from registry.export import export
from registry.store import Store
from tests.registry.samples import CANARY, file_of

DESIGN = """\
version: 1
resource_groups:
  - name: local
    kind: local
  - name: vpc_a
    kind: ssh
    ssh: {host: 10.77.1.2, port: 22, username: probe, private_key: "file:/keys/id_ed25519",
          host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY="}
    network: {type: serverless, vswitch_cidrs: [10.77.1.0/24], nat_eips: []}
  - name: k8s_pool
    kind: worker
    worker: {work_pool: k8s-pool}
workspaces:
  - name: retail
    mode: standard
    permitted_ranges: [10.77.0.0/16]
    members: [{user: alice, role: admin}]
    resource_groups: [local, vpc_a]
    data_sources:
      - name: orders
        type: mysql
        description: order book
        tags: [shop, "on", "1e3"]
        dev:
          address: [{host: 10.77.2.2, port: 3306}]
          database: orders_dev
          username: app
          password: "env:ORDERS_DEV_PASSWORD"
        prod:
          jdbc_url: "jdbc:mysql://10.77.2.3:3306/orders?useSSL=true&autoDeserialize=true"
          username: app
          password: "file:/run/secrets/orders"
          objects: [orders, order_lines]        # bound tables: what must be readable
"""

#: Two sources, the second one of them faulty in one way or another.
BASE = """\
version: 1
workspaces:
  - name: retail
    mode: standard
    resource_groups: [local]
    data_sources:
      - name: orders
        type: postgresql
        prod:
          address: [{host: db, port: 5432}]
          database: orders
          username: app
          password: "env:PASSWORD"
"""


def actions(applied: Applied) -> dict[str, str]:
    return {change.object: change.action.value for change in applied.changes}


def faults(store: Store, *files: str) -> str:
    """What the author of bad files is told. Nothing of them is written."""
    named = [(f"{'abc'[number]}.yaml", text) for number, text in enumerate(files)]
    with pytest.raises(InvalidInputs) as caught:
        apply_texts(store, named, store.by())
    assert store.workspaces.list() == []
    assert CANARY not in str(caught.value)
    return str(caught.value)


def test_the_example_of_the_documentation(store: Store) -> None:
    applied = apply_texts(store, [("f.yaml", DESIGN)], store.by())
    assert actions(applied) == {
        "resource_group:local": "unchanged",
        "resource_group:vpc_a": "create",
        "resource_group:k8s_pool": "create",
        "workspace:retail": "create",
        "data_source:retail/orders": "create",
    }
    (notice,) = applied.notices
    assert notice.code == "CONFIG.PARAM_REMOVED"
    assert notice.where.startswith("f.yaml:30:11: retail/orders/prod")
    assert "autoDeserialize" in notice.message
    prod = next(target for target in store.targets(env="prod", group="vpc_a"))
    assert prod.connection is not None
    assert [(end.host, end.port) for end in prod.connection.endpoints()] == [("10.77.2.3", 3306)]
    assert prod.connection.objects == ("orders", "order_lines")
    assert prod.permitted_ranges == ("10.77.0.0/16",)
    assert prod.group.settings["private_key"] == "file:/keys/id_ed25519"
    assert prod.group.network["nat_eips"] == []


def test_applying_twice_changes_nothing_and_writes_no_audit(store: Store) -> None:
    def records() -> int:
        with store.database.read() as session:
            return session.scalar(select(func.count()).select_from(model.AuditRecord)) or 0

    apply_texts(store, [("f.yaml", DESIGN)], store.by())
    before = records()
    again = apply_texts(store, [("f.yaml", DESIGN)], store.by())
    assert set(actions(again).values()) == {"unchanged"}
    assert records() == before


def test_an_export_is_applied_without_a_change_and_exports_the_same(store: Store) -> None:
    apply_texts(store, [("f.yaml", DESIGN)], store.by())
    secret = BASE.replace("env:PASSWORD", CANARY).replace("orders\n        type", "stock\n        type")
    apply_texts(store, [("f.yaml", secret.replace("[local]", "[local, vpc_a]"))], store.by(), literals_allowed=True)
    written = export(store)
    assert CANARY not in written
    assert "stored:" in written
    again = apply_texts(store, [("export.yaml", written)], store.by())
    assert set(actions(again).values()) == {"unchanged"}
    assert export(store) == written
    assert export(store, "retail").count("k8s_pool") == 0


def test_a_dry_run_shows_each_field_and_writes_nothing(store: Store, home: Path) -> None:
    apply_texts(store, [("f.yaml", BASE)], store.by())
    moved = BASE.replace("port: 5432", "port: 5433").replace("env:PASSWORD", CANARY)
    shown = apply_texts(store, [("f.yaml", moved)], store.by(), dry_run=True, literals_allowed=True)
    (change,) = [change for change in shown.changes if change.action is Action.UPDATE]
    assert change.fields["prod.address"] == ([{"host": "db", "port": 5432}], [{"host": "db", "port": 5433}])
    assert change.fields["prod.password"][0] == "env:PASSWORD"
    assert change.fields["prod.password"][1].startswith("stored:")
    assert CANARY not in repr(shown)
    assert store.sources.get("retail", "orders").version == 1
    assert not (home / "keyring").exists()


def test_a_stored_secret_stays_though_no_file_can_name_it(store: Store) -> None:
    unsaid = BASE.replace('          password: "env:PASSWORD"\n', "")
    assert unsaid != BASE
    apply_texts(store, [("-", BASE.replace("env:PASSWORD", CANARY))], store.by(), literals_allowed=True)
    again = apply_texts(store, [("f.yaml", unsaid)], store.by())
    assert actions(again)["data_source:retail/orders"] == "unchanged"
    apply_texts(store, [("f.yaml", unsaid.replace("database: ", "database: x"))], store.by())
    assert "password" in store.sources.get("retail", "orders").entry("prod").references
    moved = apply_texts(store, [("f.yaml", unsaid.replace("5432", "5433"))], store.by())
    (change,) = [change for change in moved.changes if change.action is Action.UPDATE]
    assert change.fields["prod.password"][1] is None, "it goes to no other port"


def test_what_a_file_does_not_name_stays(store: Store) -> None:
    apply_texts(store, [("f.yaml", DESIGN)], store.by())
    small = """\
version: 1
workspaces:
  - name: retail
    data_sources:
      - name: orders
        type: mysql
        dev: {address: [{host: 10.77.2.9, port: 3306}], database: orders_dev, username: app}
"""
    applied = apply_texts(store, [("f.yaml", small)], store.by())
    assert actions(applied) == {"workspace:retail": "unchanged", "data_source:retail/orders": "update"}
    row = store.sources.get("retail", "orders")
    assert (row.description, row.tags) == ("order book", ["shop", "on", "1e3"])
    assert {entry.env: entry.version for entry in row.entries} == {"dev": 2, "prod": 1}
    assert len(store.groups.list()) == 3


SOURCE = "workspaces[0].data_sources[0]"
PROD = "retail/orders/prod"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("type: postgresql", "type: postgrse", f"a.yaml:8:9: {SOURCE}.type: unknown data source type 'postgrse'"),
        ("type: postgresql", "type: postgrse", "did you mean postgres"),
        ("[local]", "[locall]", "a.yaml:5:23: workspaces[0].resource_groups[0]: no resource group 'locall'"),
        ("[local]", "[locall]", "did you mean local?"),
        ("mode: standard", "mode: standart", "a.yaml:4:5: workspaces[0].mode: input should be 'basic' or 'standard'"),
        ("mode: standard", "mdoe: standard", "a.yaml:4:5: workspaces[0].mdoe: unknown field\n  did you mean mode?"),
        ("        prod:", "        pord:", f"a.yaml:9:9: {SOURCE}.pord: unknown field\n  did you mean prod?"),
        ("database: ", "databse: ", f"a.yaml:11:11: {PROD}.databse: unknown field\n  did you mean database?"),
        ("port: 5432", "port: many", f"a.yaml:10:32: {PROD}.address[0].port"),
        ("port: 5432", "port: 99999", f"a.yaml:10:32: {PROD}.address[0].port"),
        ("          username: app\n", "", f"a.yaml:9:9: {PROD}.username: missing"),
        ("env:PASSWORD", CANARY, f"a.yaml:13:11: {PROD}.password: a literal secret is not accepted"),
        ("name: orders", "name: 1orders", f"a.yaml:7:9: {SOURCE}.name: '1orders' is no name"),
        ("name: orders", "name: [a]", f"a.yaml:7:9: {SOURCE}.name: input should be a valid string"),
        ("version: 1", "version: 2", "a.yaml:1:1: version: the file is of version 2"),
        ("version: 1\n", "", "a.yaml:1:1: version: missing"),
        ("mode: standard", "mode: standard\n    mode: basic", "a.yaml:5:5: the key 'mode' stands twice"),
        ("mode: standard", "mode: [standard", "a.yaml:5:20: no valid YAML"),
        ("mode: standard", "mode: standard: x", "a.yaml:4:19: no valid YAML"),
        ("        prod:", "        dev: {}\n        prod:", "a.yaml:9:9: retail/orders/dev.address: missing"),
    ],
)
def test_a_fault_is_told_at_its_place(store: Store, old: str, new: str, told: str) -> None:
    assert old in BASE
    assert told in faults(store, BASE.replace(old, new))


def test_a_faulty_part_hides_no_fault_of_another(store: Store) -> None:
    more = BASE.replace("mode: standard", "mode: no").replace("type: postgresql", "type: nope")
    more += "      - name: x-y\n        type: mysql\n"
    told = faults(store, more, BASE.replace("retail", "r2").replace("5432", "0"))
    for place in ("a.yaml:4:5", "a.yaml:8:9", "a.yaml:14:9", "b.yaml:10:32"):
        assert place in told


def test_what_stands_twice(store: Store) -> None:
    twice = BASE + BASE[BASE.index("      - name: orders") :]
    assert "a.yaml:14:9: workspaces[0].data_sources[1].name: the data source retail/orders stands twice" in faults(
        store, twice
    )
    across = faults(store, BASE, BASE)
    assert "b.yaml:3:5: workspaces[0].name: the workspace retail stands twice; first at a.yaml:3:5" in across


def test_a_fault_that_only_the_registry_knows_is_told_at_its_place_too(store: Store) -> None:
    apply_texts(store, [("a.yaml", BASE)], store.by())
    for old, new, told in (
        ("type: postgresql", "type: hologres", "a.yaml:8:9: retail/orders.type: the data source is of type postgresql"),
        ("env:PASSWORD", "stored:0123", "a.yaml:13:11: retail/orders/prod.password: this stored secret does not"),
        ("mode: standard", "mode: basic", "a.yaml:4:5: workspace:retail.mode: the workspace is standard"),
    ):
        changed = BASE.replace(old, new)
        if "hologres" in new:
            changed = changed[: changed.index("        prod:")]
        with pytest.raises(InvalidInputs) as caught:
            apply_texts(store, [("a.yaml", changed)], store.by())
        assert told in str(caught.value)


def test_a_dev_side_in_a_basic_workspace(store: Store) -> None:
    dev = BASE.replace("mode: standard", "mode: basic").replace("        prod:", "        dev:")
    assert "a.yaml:9:9: retail/orders/dev: a basic workspace has no environment dev" in faults(store, dev)


def test_json_and_folders_and_standard_input(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.yaml").write_text(DESIGN)
    data = texts.parse("b.yaml", BASE.replace("retail", "second")).data
    (folder / "b.json").write_text(json.dumps(data, indent="\t"))
    (folder / "notes.txt").write_text("no YAML: [")
    assert len(apply(store, str(folder), store.by()).changes) == 7
    literal = BASE.replace("retail", "third").replace("env:PASSWORD", CANARY)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(literal.encode())))
    apply(store, "-", store.by())
    target = store.targets(workspace="third", env="prod")[0]
    assert store.resolve_secrets(target)["password"].get_secret_value() == CANARY
    (folder / "b.json").write_text('{"version": 1,\n "workspaces": [}')
    with pytest.raises(InvalidInputs, match=r"b.json:2:17: no valid JSON"):
        apply(store, str(folder), store.by())


def test_a_password_in_a_url_is_taken_into_the_store_and_pointed_out(store: Store, home: Path) -> None:
    url = f"jdbc:postgresql://db:5432/orders?user=app&password={CANARY}"
    clear = BASE[: BASE.index("          address")] + f'          jdbc_url: "{url}"\n'
    applied = apply_texts(store, [("a.yaml", clear)], store.by())
    assert [(notice.code, notice.where) for notice in applied.notices] == [
        ("CONFIG.CLEAR_PASSWORD", "a.yaml:10:11: retail/orders/prod.jdbc_url")
    ]
    assert CANARY not in repr(applied)
    assert CANARY not in export(store)
    assert store.resolve_secrets(store.targets(env="prod")[0])["password"].get_secret_value() == CANARY
    again = apply_texts(store, [("a.yaml", clear)], store.by())
    assert set(actions(again).values()) == {"unchanged"}
    moved = apply_texts(store, [("a.yaml", clear.replace("db:5432", "db2:5432"))], store.by())
    assert actions(moved)["data_source:retail/orders"] == "update"
    assert store.resolve_secrets(store.targets(env="prod")[0])["password"].get_secret_value() == CANARY


def test_a_permitted_parameter_is_kept(store: Store) -> None:
    permitted = DESIGN.replace("allowLoadLocal", "x").replace("autoDeserialize=true", "someOddThing=1")
    first = apply_texts(store, [("a.yaml", permitted)], store.by())
    assert [notice.code for notice in first.notices] == ["CONFIG.PARAM_REMOVED"]
    store.sources.add_permit("retail", "orders", "someOddThing", store.by("ticket 7"))
    assert apply_texts(store, [("a.yaml", permitted)], store.by()).notices == []
    prod = store.sources.get("retail", "orders").entry("prod")
    assert prod is not None
    assert prod.properties["properties"]["someOddThing"] == "1"


KILLED = """
import os, signal, sys
from registry.apply import apply
from registry.store import open_store
def progress(what, done, total):
    if what == "writing" and done >= 1500:
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))
with open_store() as store:
    apply(store, sys.argv[1], store.by(), progress=progress)
"""


@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_killed_in_the_middle_leaves_nothing(
    store: Store, tmp_path: Path, operator: Callable[..., subprocess.Popen[str]], how: str
) -> None:
    path = tmp_path / "many.yaml"
    path.write_text(file_of(2000))
    killed = operator(KILLED, str(path), how)
    killed.communicate()
    assert killed.returncode == -getattr(signal, how)
    assert store.workspaces.list() == []
    assert store.sources.list().total == 0
    assert apply(store, str(path), store.by()).count(Action.CREATE) == 2001


def test_two_operators_apply_at_once(
    store: Store, tmp_path: Path, operator: Callable[..., subprocess.Popen[str]]
) -> None:
    code = (
        "import sys\nfrom registry.apply import apply\nfrom registry.store import open_store\n"
        "with open_store() as store: apply(store, sys.argv[1], store.by())"
    )
    for name, port in (("one", 1), ("two", 2)):
        (tmp_path / name).write_text(file_of(600, port))
    running = [operator(code, str(tmp_path / name), actor=name) for name in ("one", "two")]
    assert [process.communicate()[1] for process in running] == ["", ""]
    found = {target.connection.endpoints()[0].port for target in store.targets(env="prod") if target.connection}
    assert len(found) == 1  # one after the other, never a mixture
    assert {row.version for row in store.sources.list(page_size=100).items} == {2}
