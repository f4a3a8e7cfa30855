"""Compute resources in files: what `export` writes, `apply` makes again, anywhere; and no other way round them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry import access, model, texts
from registry.apply import Applied, apply_texts
from registry.audit import By
from registry.compute_resources import WITH_SOURCE, WITHOUT_SOURCE
from registry.database import Database
from registry.errors import Forbidden, InvalidInputs
from registry.export import document, export
from registry.members import Membership
from registry.store import Store
from registry.types import catalogue
from tests.registry.samples import CANARY, retail, source

HOLO = 'address: [{host: holo.example.com, port: 80}], database: dw, username: app, password: "env:HOLO"'


def engine(side: str = HOLO, more: str = "") -> str:
    """One line of the section."""
    return f"      - {{name: dw, {more}type: hologres, prod: {{{side}}}}}\n"


def file(engines: str, sources: str = "") -> str:
    text = "version: 1\nworkspaces:\n  - name: retail\n    mode: standard\n"
    text += f"    compute_resources:\n{engines}" if engines else ""
    return text + (f"    data_sources:\n{sources}" if sources else "")


def apply(store: Store, text: str, *, literals_allowed: bool = False, **more: Any) -> Applied:
    return apply_texts(store, [("f.yaml", text)], store.by(), literals_allowed=literals_allowed, **more)


def faults(store: Store, text: str) -> str:
    before = len(store.compute_resources.list())
    with pytest.raises(InvalidInputs) as caught:
        apply(store, text)
    assert len(store.compute_resources.list()) == before
    return str(caught.value)


@contextmanager
def another(template: Path, folder: Path) -> Iterator[Store]:
    """An empty registry beside the one of the test."""
    folder.mkdir(exist_ok=True)
    shutil.copy(template, folder / "registry.db")
    opened = Store(Database(f"sqlite:///{folder / 'registry.db'}"), folder / "keyring")
    try:
        yield opened
    finally:
        opened.close()


def everything() -> str:
    """One compute resource of every type, and a plain data source."""
    engines: list[dict[str, Any]] = [
        {
            "name": f"e_{type_}",
            "type": type_,
            "default": True,
            "settings": {"queue": "root", "sizes": [1, 2]},
            "description": f"the {type_}",
            "tags": ["gold"],
            "prod": dict(catalogue()[type_].example),
        }
        for type_ in WITH_SOURCE
    ]
    engines += [{"name": f"e_{type_}", "type": type_} for type_ in WITHOUT_SOURCE]
    plain = {"name": "plain", "type": "hologres", "prod": dict(catalogue()["hologres"].example)}
    owner = {"name": "retail", "mode": "standard", "compute_resources": engines, "data_sources": [plain]}
    return texts.dump({"version": 1, "workspaces": [owner]})


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_is_exported_makes_the_same_in_an_empty_registry(
    store: Store, sqlite_template: Path, tmp_path: Path
) -> None:
    apply(store, everything())
    written = export(store)
    with another(sqlite_template, tmp_path / "other") as other:
        apply_texts(other, [("export.yaml", written)], other.by())
        assert export(other) == written
        mine, theirs = (
            {
                (one.name, one.type, one.is_default, one.source, str(one.settings))
                for one in each.compute_resources.list()
            }
            for each in (store, other)
        )
        assert mine == theirs
        origins = {row.name: row.origin for row in other.sources.list(workspace="retail", page_size=100).items}
        assert origins.pop("plain") == "manually"
        assert set(origins.values()) == {"automatically"}


def test_applying_an_export_to_its_own_registry_changes_nothing(store: Store) -> None:
    apply(store, everything())
    with store.database.read() as session:
        before = session.query(model.AuditRecord).count()
    again = apply(store, export(store))
    assert {change.action.value for change in again.changes} == {"unchanged"}
    with store.database.read() as session:
        assert session.query(model.AuditRecord).count() == before


_NAMES = st.text("ab", min_size=1, max_size=3)
_SIDE = st.builds(
    lambda host, password, objects: {
        "address": [{"host": host, "port": 80}],
        "database": "dw",
        "username": "app",
        "password": password,
        **({"objects": objects} if objects else {}),
    },
    st.from_regex(r"[a-z]{1,5}\.example\.com", fullmatch=True),
    st.sampled_from(["env:HOLO", "file:/run/holo", "env:NULL"]),
    st.lists(st.sampled_from(["t", "s.t"]), unique=True),
)
_ENGINE = st.fixed_dictionaries(
    {"name": _NAMES, "prod": _SIDE},
    optional={
        "dev": _SIDE,
        "default": st.booleans(),
        "description": st.sampled_from(["on", "22:30", "- a: b", "# no", "Größe\nzwei"]),
        "tags": st.lists(st.sampled_from(["gold", "no", "1.0"]), unique=True),
        "settings": st.dictionaries(st.sampled_from(["queue", "~"]), st.sampled_from(["root", "0x1", None, [1.5]])),
    },
)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_ENGINE, unique_by=lambda one: one["name"], max_size=3), st.lists(_NAMES, unique=True, max_size=3))
def test_whatever_the_compute_resources_are_they_survive_the_journey(
    store: Store, sqlite_template: Path, tmp_path: Path, engines: list[dict[str, Any]], others: list[str]
) -> None:
    wanted = {
        "name": "retail",
        "compute_resources": [{**one, "type": "hologres"} for one in engines],
        "data_sources": [{"name": f"plain_{name}", "type": "postgresql"} for name in others],
    }
    with another(sqlite_template, tmp_path / "one") as one, another(sqlite_template, tmp_path / "two") as two:
        apply(one, texts.dump({"version": 1, "workspaces": [wanted]}))
        apply(two, export(one))
        assert document(two) == document(one)
        assert len(two.compute_resources.list()) == len(engines)


def test_a_change_in_the_file_is_a_change_of_the_compute_resource_and_of_its_source(store: Store) -> None:
    apply(store, file(engine()))
    done = apply(store, file(engine(HOLO.replace("holo.", "new."), "default: true, ")))
    (change,) = (one for one in done.changes if one.object == "compute_resource:retail/dw")
    assert change.action == "update"
    assert set(change.fields) == {"is_default", "prod.address"}
    assert store.sources.get("retail", "dw").version == 2
    assert [one.is_default for one in store.compute_resources.list()] == [True]


def test_a_dry_run_says_the_same_and_does_nothing(store: Store) -> None:
    text = file(engine(HOLO.replace("env:HOLO", CANARY)))
    dry = apply(store, text, dry_run=True, literals_allowed=True)
    assert store.workspaces.list() == []
    done = apply(store, text, literals_allowed=True)
    assert [(one.object, one.action, set(one.fields)) for one in dry.changes] == [
        (one.object, one.action, set(one.fields)) for one in done.changes
    ]
    assert CANARY not in str([dry, done])
    (target,) = store.targets(source="dw", env="prod", group="local")
    assert store.resolve_secrets(target)["password"].get_secret_value() == CANARY


@pytest.mark.parametrize(
    ("engines", "sources", "told"),
    [
        ("- {name: dw, type: mysql}", "", "f.yaml:6:20: workspaces[0].compute_resources[0].type: no compute resource"),
        (
            "- {name: dw, type: hologres}",
            "",
            "f.yaml:6:9: compute_resource:retail/dw: a compute",
        ),
        (
            "- {name: dw, type: emr, prod: {}}",
            "",
            "f.yaml:6:9: workspaces[0].compute_resources[0]: a",
        ),
        ("- {name: dw, type: emr, tags: [x]}", "", "makes no data source"),
        ("- {name: dw, type: hologres, defualt: true}", "", "f.yaml:6:36: workspaces[0].compute_resources[0].defualt"),
        ("- {name: 1w, type: hologres}", "", "f.yaml:6:10: workspaces[0].compute_resources[0].name"),
        ("- {name: dw, type: hologres, prod: {port: 1}}", "", "f.yaml:6:43: retail/dw/prod.port"),
        (
            engine().strip(),
            "- {name: dw, type: postgresql}",
            "the data source retail/dw stands twice; first at f.yaml:6:10",
        ),
        ("- {name: dw, type: emr}\n      - {name: dw, type: cdh}", "", "stands twice"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_cannot_be_is_told_at_its_place(store: Store, engines: str, sources: str, told: str) -> None:
    said = faults(store, file(f"      {engines}\n", f"      {sources}\n" if sources else ""))
    assert told in said, said
    assert store.workspaces.list() == []


def test_a_plain_source_does_not_become_one_of_a_compute_resource(store: Store) -> None:
    retail(store, source("dw"))
    said = faults(store, file(engine()))
    assert "f.yaml:6:9: data_source:retail/dw: there is a data source of this name" in said
    assert store.sources.get("retail", "dw").origin == "manually"


def test_who_may_not_change_may_apply_what_is_so_already(store: Store) -> None:
    text = file(engine())
    apply(store, text)
    store.members.grant(Membership("dora", access.Role.DEVELOP, "retail"), store.by())
    dora = By("dora")
    again = apply_texts(store, [("f.yaml", text)], dora)
    assert {change.action.value for change in again.changes} == {"unchanged"}
    for old, new in (("holo.", "new."), ("type: holo", "default: true, type: holo"), ("name: dw", "name: ew")):
        with pytest.raises(Forbidden, match="dora may not"):
            apply_texts(store, [("f.yaml", text.replace(old, new))], dora)
