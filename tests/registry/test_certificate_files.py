"""Files that the registry keeps: encrypted, resolved where entries refer to them, rotated, kept while referred to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from registry import keyring, model
from registry.apply import apply_texts
from registry.errors import Conflict, Forbidden, InvalidInput, NotFound, SecretUnresolved
from registry.store import Store

KEY = b"-----BEGIN PRIVATE KEY-----\ncanary-file-3b\n-----END PRIVATE KEY-----\n"
BINARY = bytes(range(256))


def registered(store: Store, reference: str, field: str = "truststore_file", workspace: str = "retail") -> None:
    text = f"""
version: 1
workspaces:
  - name: {workspace}
    resource_groups: [local]
    data_sources:
      - name: orders
        type: postgresql
        prod:
          address: [{{host: db.example.com, port: 5432}}]
          database: d
          username: u
          security_protocol: authTypeSsl
          {field}: "{reference}"
"""
    apply_texts(store, [("x.yaml", text)], store.by())


def resolved(store: Store, field: str = "truststore_file", workspace: str = "retail") -> str:
    (target,) = store.targets(workspace=workspace, source="orders")
    return store.resolve_secrets(target)[field].get_secret_value()


def certificate(name: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(begin).not_valid_after(begin + dt.timedelta(days=400))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def retail(store: Store) -> Store:
    apply_texts(store, [("x.yaml", "version: 1\nworkspaces: [{name: retail}, {name: other}]")], store.by())
    return store


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize(
    ("content", "seen"), [(KEY, KEY.decode()), (BINARY, "data:;base64,AAECAw")], ids=["text", "binary"]
)
def test_an_entry_gets_the_content_by_id_or_name(retail: Store, by_name: bool, content: bytes, seen: str) -> None:
    made = retail.certificate_files.add("retail", "orders_ca", content, retail.by())
    registered(retail, f"certificate:{'orders_ca' if by_name else made}")
    assert resolved(retail).startswith(seen)


def test_a_bare_id_of_dataworks_is_understood(retail: Store) -> None:
    retail.certificate_files.add("retail", "730", KEY, retail.by())
    registered(retail, "730")
    assert retail.sources.get("retail", "orders").entry("prod").references["truststore_file"] == "certificate:730"  # type: ignore[union-attr]
    assert resolved(retail) == KEY.decode()


def test_the_content_lies_nowhere_in_clear(retail: Store, home: Path) -> None:
    made = retail.certificate_files.add("retail", "key", KEY, retail.by("tls"))
    told = repr(retail.certificate_files.show("retail", "key", retail.by()))
    with retail.database.read() as session:
        rows = [[*row] for table in model.Base.metadata.sorted_tables for row in session.execute(table.select())]
    assert "canary" not in told + repr(rows)
    assert not [path for path in home.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]
    (record,) = retail.history("certificate_file:retail/key")
    assert (record.action, record.why, record.after["id"]) == ("create", "tls", made)  # type: ignore[index]


def test_files_are_rotated_with_all_others(retail: Store, home: Path) -> None:
    retail.certificate_files.add("retail", "key", KEY, retail.by())
    registered(retail, "certificate:key")
    before = keyring.load(retail.secrets.keyring_path).current.id
    assert retail.secrets.rotate(retail.by()).rotated == 1
    after = keyring.load(retail.secrets.keyring_path)
    assert [key.id for key in after.keys] != [before]
    assert len(after.keys) == 1
    assert resolved(retail) == KEY.decode()


def test_what_is_referred_to_is_not_deleted(retail: Store) -> None:
    made = retail.certificate_files.add("retail", "orders_ca", KEY, retail.by())
    registered(retail, f"certificate:{made}")
    with pytest.raises(Conflict, match=r"retail/orders/prod.truststore_file"):
        retail.certificate_files.delete("retail", "orders_ca", retail.by())
    (facts,) = retail.certificate_files.list("retail", retail.by())
    assert facts.users == ("retail/orders/prod.truststore_file",)
    registered(retail, "file:/etc/ca.pem")
    retail.certificate_files.delete("retail", made, retail.by())
    assert retail.certificate_files.list(None, retail.by()) == []


def test_a_missing_file_is_told_with_what_to_type(retail: Store) -> None:
    registered(retail, "certificate:gone")
    with pytest.raises(SecretUnresolved, match="headwater file add gone PATH --workspace retail") as told:
        resolved(retail)
    assert told.value.where == "retail/orders/prod.truststore_file"


def test_a_file_of_another_workspace_is_none(retail: Store) -> None:
    made = retail.certificate_files.add("other", "ca", KEY, retail.by())
    registered(retail, f"certificate:{made}")
    with pytest.raises(SecretUnresolved, match="no certificate file"):
        resolved(retail)
    with retail.database.write() as session:  # behind the registry's back
        row = session.get_one(model.CertificateFile, made)
        row.workspace_id = session.query(model.Workspace).filter_by(name="retail").one().id
    with pytest.raises(SecretUnresolved, match="kept for another workspace"):
        resolved(retail)


def test_replacing_keeps_the_id(retail: Store) -> None:
    made = retail.certificate_files.add("retail", "ca", KEY, retail.by())
    registered(retail, f"certificate:{made}")
    retail.certificate_files.replace("retail", "ca", b"another", retail.by())
    assert resolved(retail) == "another"
    assert retail.certificate_files.show("retail", made, retail.by()).size == 7


def test_certificates_say_whom_they_are_for(retail: Store) -> None:
    retail.certificate_files.add("retail", "chain", certificate("a.example") + certificate("b.example"), retail.by())
    found = retail.certificate_files.show("retail", "chain", retail.by()).certificates
    assert [one.subject for one in found] == ["CN=a.example", "CN=b.example"]
    assert [one.issuer for one in found] == ["CN=a.example", "CN=b.example"]
    assert {one.ends_at.date() for one in found} == {dt.date(2027, 2, 5)}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a/b", KEY, "no name of a file"),
        ("", KEY, "no name of a file"),
        ("0" * 32, KEY, "no name of a file"),
        ("ca", b"", "empty"),
        ("ca", b"x" * ((1 << 20) + 1), "are the most"),
    ],
    ids=["slash", "empty-name", "like-an-id", "empty", "large"],
)
def test_what_cannot_be_kept(retail: Store, name: str, content: bytes, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        retail.certificate_files.add("retail", name, content, retail.by())


def test_names_are_taken_once_and_unknown_ones_told(retail: Store) -> None:
    retail.certificate_files.add("retail", "orders_ca", KEY, retail.by())
    with pytest.raises(Conflict, match="headwater file replace retail/orders_ca"):
        retail.certificate_files.add("retail", "orders_ca", KEY, retail.by())
    with pytest.raises(NotFound, match="there is orders_ca"):
        retail.certificate_files.show("retail", "order_ca", retail.by())


def test_a_password_is_no_file(retail: Store) -> None:
    with pytest.raises(InvalidInput, match="a secret is no file"):
        registered(retail, "certificate:ca", field="password")


def test_only_those_who_may_keep_and_delete_files(retail: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    members = "version: 1\nworkspaces: [{name: retail, members: [{user: bob, role: visitor}]}]"
    apply_texts(retail, [("x.yaml", members)], retail.by())
    retail.certificate_files.add("retail", "ca", KEY, retail.by())
    monkeypatch.setenv("HEADWATER_ACTOR", "bob")
    bob = retail.by()
    files = retail.certificate_files
    refused: list[Callable[[], Any]] = [
        lambda: files.add("retail", "b", KEY, bob),
        lambda: files.replace("retail", "ca", KEY, bob),
        lambda: files.delete("retail", "ca", bob),
        lambda: files.show("retail", "ca", bob),
    ]
    for call in refused:
        with pytest.raises(Forbidden):
            call()
    assert [one.path for one in files.list("retail", bob)] == ["retail/ca"]
