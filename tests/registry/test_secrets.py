"""Secrets: kept encrypted, bound to where they were meant to go, and never shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from registry import keyring, model
from registry.errors import InvalidInput, RegistryUnavailable, SecretUnresolved
from registry.secrets import Secrets, register_resolver, resolve_reference
from registry.store import Store, open_store
from tests.registry.samples import CANARY, entry, fields, retail, source


def password(store: Store, name: str = "orders", env: str = "prod") -> str:
    target = next(target for target in store.targets(source=name) if target.env == env)
    return store.resolve_secrets(target)["password"].get_secret_value()


def everything_written(store: Store, home: Path) -> bytes:
    """All that the registry wrote anywhere: the home's files, and every row of every table."""
    with store.database.read() as session:
        rows = [
            repr(tuple(row)) for table in model.Base.metadata.sorted_tables for row in session.execute(select(table))
        ]
    files = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    return b"\n".join([*files, *(row.encode() for row in rows)])


def test_a_literal_is_read_back_and_stands_nowhere_in_clear(store: Store, home: Path) -> None:
    changes = retail(store, source(prod=fields(password=CANARY)))
    assert password(store) == CANARY
    assert CANARY not in repr(changes)
    assert CANARY not in repr(store.targets())
    assert CANARY not in repr(store.resolve_secrets(store.targets(env="prod")[0]))
    assert CANARY.encode() not in everything_written(store, home)


def test_changing_the_database_keeps_the_secret(store: Store) -> None:
    retail(store, source(prod=fields(password=CANARY)))
    kept = store.sources.get("retail", "orders").entries[0].references["password"]
    store.sources.update_entry("retail", "orders", "prod", entry(password=kept, database="archive"), store.by())
    assert password(store) == CANARY


@pytest.mark.parametrize(
    "moved",
    [
        {"address": [{"host": "evil.example.com", "port": 5432}]},
        {"address": [{"host": "db.example.com", "port": 5433}]},
        {"address": [{"host": "db.example.com", "port": 5432}, {"host": "evil.example.com", "port": 5432}]},
        {"properties": {"sslmode": "disable"}},
    ],
    ids=["host", "port", "one more host", "tls"],
)
def test_changing_host_port_or_tls_asks_for_the_secret_again(store: Store, moved: dict[str, object]) -> None:
    start = fields(password=CANARY, properties={"sslmode": "require"})
    retail(store, source(prod=start))
    kept = store.sources.get("retail", "orders").entries[0].references["password"]
    wanted = {"properties": {"sslmode": "require"}, **moved}
    with pytest.raises(InvalidInput, match=r"retail/orders/prod.password: host, port or TLS") as caught:
        store.sources.update_entry("retail", "orders", "prod", entry(password=kept, **wanted), store.by())
    assert CANARY not in str(caught.value)
    store.sources.update_entry("retail", "orders", "prod", entry(password="given anew", **wanted), store.by())
    assert password(store) == "given anew"


def test_a_secret_that_is_replaced_is_forgotten(store: Store) -> None:
    retail(store, source(prod=fields(password=CANARY)))
    store.sources.update_entry("retail", "orders", "prod", entry(password="env:ELSEWHERE"), store.by())
    with store.database.read() as session:
        assert session.scalars(select(model.Secret)).all() == []


def test_a_secret_of_another_entry_is_not_lent(store: Store) -> None:
    retail(store, source(prod=fields(password=CANARY)), source("spare", prod=fields(password="own")))
    foreign = store.sources.get("retail", "orders").entries[0].references["password"]
    with pytest.raises(InvalidInput, match="does not belong"):
        store.sources.update_entry("retail", "spare", "prod", entry(password=foreign), store.by())


def test_a_tampered_ciphertext_is_unresolved_and_spoils_no_other(store: Store) -> None:
    retail(store, source(prod=fields(password=CANARY)), source("spare", prod=fields(password="own")))
    with store.database.write() as session:
        row = session.scalars(select(model.Secret)).first()
        assert row is not None
        row.ciphertext = row.ciphertext[:-5] + b"AAAAA"
    targets = store.targets(env="prod")
    found = store.secrets.resolve(targets)
    broken = [isinstance(one, SecretUnresolved) for one in found]
    assert sorted(broken) == [False, True]
    told = str(found[broken.index(True)])
    assert "tampered" in told
    assert f"{targets[broken.index(True)].path}.password" in told


def test_rows_swapped_by_hand_do_not_open_for_each_other(store: Store) -> None:
    retail(store, source(prod=fields(password=CANARY)), source("spare", prod=fields(password="own")))
    with store.database.write() as session:
        one, other = session.scalars(select(model.Secret)).all()
        one.ciphertext, other.ciphertext = other.ciphertext, one.ciphertext
    for name in ("orders", "spare"):
        with pytest.raises(SecretUnresolved, match="another entry"):
            password(store, name)


def test_a_host_changed_behind_the_registrys_back_gets_no_secret(store: Store) -> None:
    retail(store, source(prod=fields(password=CANARY)))
    with store.database.write() as session:
        row = session.scalars(select(model.Entry)).one()
        row.properties = {**row.properties, "address": [{"host": "evil.example.com", "port": 5432}]}
    with pytest.raises(SecretUnresolved, match="another entry, host, port or TLS"):
        password(store)


def test_a_keyring_that_is_gone_is_told_and_not_made_anew(store: Store, home: Path) -> None:
    retail(store, source(prod=fields(password=CANARY)))
    (home / "keyring").rename(home / "elsewhere")
    with pytest.raises(SecretUnresolved, match=r"keyring .* is gone") as caught:
        password(store)
    assert "restore" in caught.value.instruction
    with pytest.raises(RegistryUnavailable, match="is gone"):
        store.sources.create("retail", source("next", prod=fields(password="x")), store.by())
    assert not (home / "keyring").exists()
    (home / "elsewhere").rename(home / "keyring")
    assert password(store) == CANARY


@pytest.mark.parametrize("content", ["", "{}", '{"keys": []}', '{"keys": [{"id": "1", "key": "CANARY"}]}', "CANARY"])
def test_a_damaged_keyring_is_told_without_its_content(tmp_path: Path, content: str) -> None:
    (tmp_path / "keyring").write_text(content)
    with pytest.raises(RegistryUnavailable, match="damaged") as caught:
        keyring.load(tmp_path / "keyring")
    assert "CANARY" not in str(caught.value)


def test_the_keyring_may_live_elsewhere(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_KEYRING", str(tmp_path / "safe" / "keys"))
    with open_store() as store:
        retail(store, source(prod=fields(password=CANARY)))
        assert password(store) == CANARY
    assert (tmp_path / "safe" / "keys").exists()
    assert not (home / "keyring").exists()


def test_rotation_encrypts_everything_anew_and_drops_the_old_key(store: Store, home: Path) -> None:
    retail(store, *(source(f"s{number}", prod=fields(password=f"p{number}")) for number in range(7)))
    old = keyring.load(home / "keyring").current.id
    seen: list[tuple[int, int]] = []
    done = store.secrets.rotate(store.by(), batch=3, progress=lambda *step: seen.append(step))
    assert (done.rotated, done.unreadable) == (7, ())
    assert seen == [(3, 7), (6, 7), (7, 7)]
    ring = keyring.load(home / "keyring")
    assert len(ring.keys) == 1
    assert ring.current.id != old
    assert [password(store, f"s{number}") for number in range(7)] == [f"p{number}" for number in range(7)]


def test_rotation_names_what_no_key_opens_and_keeps_the_old_key(store: Store, home: Path) -> None:
    retail(store, source(prod=fields(password=CANARY)), source("spare", prod=fields(password="own")))
    broken = store.sources.get("retail", "orders").entries[0].id
    with store.database.write() as session:
        session.execute(update(model.Secret).where(model.Secret.entry_id == broken).values(ciphertext=b"garbage"))
    done = store.secrets.rotate(store.by(), batch=1)
    assert done.unreadable == ("retail/orders/prod.password",)
    assert password(store, "spare") == "own"
    assert len(keyring.load(home / "keyring").keys) == 2


def test_rotation_killed_at_any_batch_is_finished_by_the_next(
    store: Store, home: Path, operator: Callable[..., subprocess.Popen[str]]
) -> None:
    retail(store, *(source(f"s{number}", prod=fields(password=f"p{number}")) for number in range(9)))
    code = (
        "import os, signal\nfrom registry.store import open_store\n"
        "die = lambda done, total: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with open_store() as store: store.secrets.rotate(store.by(), batch=4, progress=die)"
    )
    killed = operator(code)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert len(keyring.load(home / "keyring").keys) == 2
    assert [password(store, f"s{number}") for number in range(9)] == [f"p{number}" for number in range(9)]
    new = keyring.load(home / "keyring").current
    assert store.secrets.rotate(store.by(), batch=4).rotated == 5
    assert keyring.load(home / "keyring").keys == (new,)
    assert [password(store, f"s{number}") for number in range(9)] == [f"p{number}" for number in range(9)]


def test_secrets_stay_readable_while_another_operator_rotates(
    store: Store, operator: Callable[..., subprocess.Popen[str]]
) -> None:
    retail(store, source(prod=fields(password=CANARY)))
    code = (
        "from registry.store import open_store\n"
        "with open_store() as store:\n    for _ in range(25): store.secrets.rotate(store.by())"
    )
    rotating = operator(code)
    reads = 0
    while rotating.poll() is None:
        assert password(store) == CANARY
        reads += 1
    assert (rotating.wait(), rotating.communicate()[1]) == (0, "")
    assert reads > 10


def test_a_rotation_that_ends_between_reading_a_row_and_the_keys_is_noticed(store: Store, home: Path) -> None:
    retail(store, source(prod=fields(password=CANARY)))

    class Overtaken(Secrets):
        overtaken = False

        def ring(self) -> keyring.Keyring | SecretUnresolved:
            if not self.overtaken:
                self.overtaken = True
                store.secrets.rotate(store.by())
            return super().ring()

    late = Overtaken(store.database, home / "keyring")
    (found,) = late.resolve(store.targets(env="prod"))
    assert late.overtaken
    assert not isinstance(found, SecretUnresolved)
    assert found["password"].get_secret_value() == CANARY


def test_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_PASSWORD", " with blanks ")
    assert resolve_reference("env:ORDERS_PASSWORD").get_secret_value() == " with blanks "
    monkeypatch.setenv("ORDERS_PASSWORD", "")
    with pytest.raises(SecretUnresolved, match="ORDERS_PASSWORD is empty"):
        resolve_reference("env:ORDERS_PASSWORD")
    monkeypatch.delenv("ORDERS_PASSWORD")
    with pytest.raises(SecretUnresolved, match="ORDERS_PASSWORD is not set"):
        resolve_reference("env:ORDERS_PASSWORD")


@pytest.mark.parametrize(
    ("content", "value"), [("s\n", "s"), ("s\r\n", "s"), ("s", "s"), ("s\n\n", "s\n"), (" s ", " s ")]
)
def test_a_file_without_its_last_newline(tmp_path: Path, content: str, value: str) -> None:
    (tmp_path / "secret").write_bytes(content.encode())
    assert resolve_reference(f"file:{tmp_path / 'secret'}").get_secret_value() == value


def test_a_file_that_gives_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe" + CANARY.encode())
    (tmp_path / "large").write_bytes(b"x" * (2 << 20))
    for name, reason in {
        "gone": "cannot be read: No such file",
        "pipe": "no regular file",
        ".": "no regular file",
        "empty": "is empty",
        "binary": "no text",
        "large": "larger than",
    }.items():
        with pytest.raises(SecretUnresolved, match=reason) as caught:
            resolve_reference(f"file:{tmp_path / name}")
        assert CANARY not in str(caught.value)


def test_other_schemes_are_taught() -> None:
    with pytest.raises(SecretUnresolved, match="safe: references can't be resolved here"):
        resolve_reference("safe:kv/orders#password")
    register_resolver("safe", {"kv/orders#password": CANARY}.__getitem__)
    try:
        assert resolve_reference("safe:kv/orders#password").get_secret_value() == CANARY
    finally:
        from registry import secrets

        del secrets._RESOLVERS["safe"]


def test_the_audit_of_a_secret_is_its_reference(store: Store) -> None:
    retail(store, source(prod=fields(password=CANARY)))
    records = store.history("entry:retail/orders/prod")
    assert records[0].after is not None
    assert records[0].after["password"].startswith("stored:")
    assert CANARY not in json.dumps(records[0].after)


def test_the_database_alone_opens_nothing(store: Store, home: Path) -> None:
    retail(store, source(prod=fields(password=CANARY)))
    (home / "keyring").unlink()
    keyring.create(home / "keyring")
    with pytest.raises(SecretUnresolved, match="no key of"):
        password(store)
    with store.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM secret")).scalar() == 1
