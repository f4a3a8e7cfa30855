"""What else a registry holds, in files: tenant roles, sharing rules and the files that workspaces keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from registry import model
from registry.access import Role
from registry.apply import Applied, apply_texts
from registry.audit import By
from registry.errors import Forbidden, InvalidInputs
from registry.export import export
from registry.members import Membership
from registry.store import Store
from registry.workspaces import WorkspaceDraft
from tests.registry.samples import CANARY, retail, source
from tests.registry.test_certificate_files import certificate as a_certificate
from tests.registry.test_files_of_compute_resources import another

KEY = f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n".encode()


@pytest.fixture(scope="module")
def certificate() -> bytes:
    return a_certificate("db.example.com")


def apply(store: Store, text: str, by: By | None = None, **more: Any) -> Applied:
    return apply_texts(store, [("f.yaml", text)], by or store.by(), **more)


def shop(store: Store, certificate: bytes) -> dict[str, str]:
    """Two workspaces, two rules between them, two tenant roles, a certificate and a key; gives the ids of both."""
    retail(store, source("orders"))
    store.workspaces.create(WorkspaceDraft("sales"), store.by())
    files, by = store.certificate_files, store.by()
    ids = {"ca.pem": files.add("retail", "ca.pem", certificate, by, description='theirs: "the" CA')}
    ids["key"] = files.add("retail", "key", KEY, by)
    named = apply(store, _tls(ids["ca.pem"], "key"), literals_allowed=True)
    assert named.changes
    store.sharing.share("retail", "orders", by, to="sales", env="dev", entry="prod")
    store.sharing.share("retail", "orders", by, to="sales", env="prod", user="eve")
    store.members.grant(Membership("boss", Role.TENANT_OWNER), by)
    store.members.grant(Membership("helper", Role.TENANT_ADMIN), By("boss"))
    return ids


def _tls(ca: str, key: str) -> str:
    return f"""
version: 1
workspaces:
  - name: retail
    data_sources:
      - name: tls
        type: postgresql
        prod: {{address: [{{host: db, port: 5432}}], database: d, username: u, password: "env:P",
               security_protocol: authTypeSsl, truststore_file: "certificate:{ca}", key_file: "certificate:{key}"}}
"""


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_is_exported_makes_the_same_in_an_empty_registry(
    store: Store, sqlite_template: Path, tmp_path: Path, certificate: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P", "secret")
    ids = shop(store, certificate)
    written = export(store)
    assert CANARY not in written
    with another(sqlite_template, tmp_path / "other") as other:
        done = apply(other, written)
        (notice,) = done.notices
        assert notice.where.startswith("f.yaml:")
        assert notice.message.endswith(f"headwater file add retail/key PATH --id {ids['key']}")
        other.certificate_files.add("retail", "key", KEY, other.by(), id_=ids["key"])
        assert export(other) == written
        assert _held(other) == _held(store)
        (target,) = other.targets(source="tls", env="prod")
        found = {name: value.get_secret_value() for name, value in other.resolve_secrets(target).items()}
        assert (found["truststore_file"], found["key_file"]) == (certificate.decode(), KEY.decode())


def test_a_file_that_is_another_one_here_is_told(store: Store, certificate: bytes) -> None:
    ids = shop(store, certificate)
    written = export(store, "retail")
    files = store.certificate_files
    files.replace("retail", "key", KEY + b"another", store.by())
    identity, content = apply(store, written.replace(ids["ca.pem"], "f" * 32)).notices
    assert (identity.code, content.code) == ("CONFIG.FILE_DIFFERS", "CONFIG.FILE_DIFFERS")
    assert f"is not {'f' * 32} here, but {ids['ca.pem']}" in identity.message
    assert "headwater file replace retail/key PATH" in content.message
    files.replace("retail", "key", KEY, store.by())
    assert apply(store, written).notices == []


def _held(store: Store) -> list[Any]:
    files = [(one.id, one.path, one.description, one.digest) for one in store.certificate_files.list(None, store.by())]
    shares = [(one.source, one.entry, one.workspace, one.env, one.user) for one in store.sharing.list()]
    return [files, shares, store.members.list()]


def test_applying_it_to_its_own_registry_changes_nothing(store: Store, certificate: bytes) -> None:
    shop(store, certificate)
    before = _audit(store)
    done = apply(store, export(store))
    assert {change.action.value for change in done.changes} == {"unchanged"}
    assert (done.notices, _audit(store)) == ([], before)
    assert {change.object for change in done.changes} >= {
        "tenant_member:boss", "share:retail/orders with sales/prod for eve", "certificate_file:retail/ca.pem",
    }  # fmt: skip


def _audit(store: Store) -> int:
    with store.database.read() as session:
        return len(session.scalars(select(model.AuditRecord.id)).all())


def test_an_export_of_one_workspace_names_no_other(store: Store, certificate: bytes) -> None:
    shop(store, certificate)
    alone = export(store, "retail")
    assert "shares" not in alone
    assert "tenant_members" not in alone
    assert "certificate_files" in alone
    assert apply(store, alone).notices == []
    assert len(store.sharing.list()) == 2, "what is not named stays"


def test_rules_are_shown_to_whoever_may_end_them(store: Store, certificate: bytes) -> None:
    shop(store, certificate)
    assert "shares" in export(store, by=By("boss"))
    assert "shares" not in export(store, by=By("nobody"))


@pytest.mark.parametrize("content", ["private", "both", "other"])
def test_no_content_but_certificates_stands_in_a_file(store: Store, certificate: bytes, content: str) -> None:
    retail(store)
    text = {"private": KEY.decode(), "both": certificate.decode() + KEY.decode(), "other": "[libdefaults]"}[content]
    wrong = (
        "version: 1\nworkspaces:\n  - name: retail\n    certificate_files:\n      - name: a.pem\n        content: |\n"
    )
    wrong += "".join(f"          {line}\n" for line in text.splitlines())
    with pytest.raises(InvalidInputs, match=r"f\.yaml:5:9: .*more than certificates in PEM") as told:
        apply(store, wrong)
    assert CANARY not in str(told.value)
    store.certificate_files.add("retail", "kept", text.encode(), store.by())
    assert "content" not in export(store)


def test_a_dry_run_keeps_no_file_and_makes_no_keyring(store: Store, home: Path, certificate: bytes) -> None:
    retail(store)
    lines = "".join(f"          {line}\n" for line in certificate.decode().splitlines())
    text = "version: 1\nworkspaces:\n  - name: retail\n    certificate_files:\n      - name: ca\n        content: |\n"
    done = apply(store, text + lines, dry_run=True)
    assert [change.action.value for change in done.changes if "file" in change.object] == ["create"]
    assert store.certificate_files.list(None, store.by()) == []
    assert not (home / "keyring").exists()


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("    shares: [{source: orders, workspace: nowhere, env: prod}]\n", "4:14: .*no workspace 'nowhere'"),
        ("    shares: [{source: nothing, workspace: sales, env: prod}]\n", "4:14: .*no data source 'nothing'"),
        ("    shares: [{source: orders, workspace: retail, env: prod}]\n", "4:14: .*has its own data sources"),
        ("    shares: [{source: orders, workspce: sales, env: prod}]\n", "did you mean workspace"),
        ("    certificate_files: [{name: a, id: x, content: '%s'}]\n", "4:25: .*'x' is no id of a file"),
        ("tenant_members: [{user: x, role: chief}]\n", "4:28: .*no role 'chief'"),
        ("tenant_members: [{user: x, role: operator}]\n", "4:28: .*operator is a role of a workspace"),
    ],
)
def test_faults_are_told_at_their_place_and_nothing_is_changed(
    store: Store, section: str, fault: str, certificate: bytes
) -> None:
    retail(store, source("orders"))
    store.workspaces.create(WorkspaceDraft("sales"), store.by())
    before = _held(store)
    section = section.replace("%s", certificate.decode().replace("\n", "\n\n" + 8 * " "))
    with pytest.raises(InvalidInputs, match=fault):
        apply(store, f"version: 1\nworkspaces:\n  - name: retail\n{section}")
    assert _held(store) == before


def test_a_role_under_two_of_its_names_is_given_once(store: Store) -> None:
    named = "tenant_members: [{user: ann, role: full_access}, {user: ann, role: AdministratorAccess}]\n"
    done = apply(store, f"version: 1\n{named}")
    assert [change.object for change in done.changes] == ["tenant_member:ann"]
    assert [(one.user, one.role) for one in store.members.list()] == [("ann", Role.FULL_ACCESS)]


def test_a_file_gives_no_role_that_whoever_applies_it_may_not_give(store: Store, certificate: bytes) -> None:
    shop(store, certificate)
    by = By("helper")
    with pytest.raises(Forbidden, match="make or unmake an owner"):
        apply(store, "version: 1\ntenant_members: [{user: helper, role: tenant_owner}]\n", by)
    apply(store, "version: 1\ntenant_members: [{user: tom, role: tenant_admin}]\n", by)
    assert Membership("tom", Role.TENANT_ADMIN) in store.members.list()
    share = "version: 1\nworkspaces:\n  - name: retail\n    shares: [{source: orders, workspace: sales, env: prod}]\n"
    with pytest.raises(Forbidden):
        apply(store, share, By("tim"))
