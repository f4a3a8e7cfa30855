"""`prefect:` and `vault:` references against a real HTTP server that answers as the two document it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from registry import types
from registry.connection import read_entry
from registry.errors import SecretUnresolved
from registry.secrets import resolve_reference
from registry.verdict import Verdict
from scripts.embedded_postgresql import free_port
from tasks import references
from tasks.check import check
from tasks.target import Target
from tasks.vantages.local import LocalVantage
from tests.stopwatch import Stopwatch

VALUE = "canary-remote-8ab2"
TOKEN = "canary-token-19cc"

BLOCK = {
    "id": "9d2b1c3e-0000-4000-8000-000000000000",
    "name": "orders",
    "block_type_name": "Secret",
    "data": {"value": VALUE, "nested": {"password": VALUE + "-nested"}},
}
#: Vault's answers for version 2 and version 1 of its key-value engine.
VERSIONED = {"request_id": "x", "data": {"data": {"password": VALUE}, "metadata": {"version": 3, "destroyed": False}}}
PLAIN = {"request_id": "x", "lease_duration": 2764800, "data": {"password": VALUE}}

Answer = Callable[[BaseHTTPRequestHandler], None]


class Stores(ThreadingHTTPServer):
    """Both secret stores; `answers` says how each path is answered, `seen` what was asked with which headers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Answer] = {
            "/api/block_types/slug/secret/block_documents/name/orders?include_secrets=true": _json(BLOCK),
            "/v1/secret/data/orders": _json(VERSIONED),
            "/v1/kv/orders": _json(PLAIN),
        }
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Stores)
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.server.answers.get(self.path, _status(404))(self)

    def log_message(self, *_: object) -> None:
        pass


def _json(document: object, status: int = 200) -> Answer:
    return _bytes(json.dumps(document).encode(), status)


def _status(status: int) -> Answer:
    return _json({"errors": ["permission denied"]}, status)


def _bytes(body: bytes, status: int = 200) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def _drip(request: BaseHTTPRequestHandler) -> None:
    """A byte now and then: no single read takes long, the whole would take for ever."""
    request.send_response(200)
    request.end_headers()
    try:
        for _ in range(100):
            request.wfile.write(b" ")
            time.sleep(0.3)
    except OSError:
        pass  # the client has given up


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stores]:
    """Running stores, told by the environment."""
    server = Stores()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name in ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_PROFILE", "VAULT_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", f"{server.url}/api")
    monkeypatch.setenv("VAULT_ADDR", server.url)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    references.install()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("vault:secret/data/orders#password", VALUE),
        ("vault:kv/orders#password", VALUE),
    ],
)
def test_a_reference_gives_its_value(stores: Stores, reference: str, value: str) -> None:
    assert resolve_reference(reference).get_secret_value() == value


def test_each_store_gets_its_own_credentials(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_NAMESPACE", "teams/retail")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:pass")
    resolve_reference("vault:kv/orders#password")
    resolve_reference("prefect:secret/orders")
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_1")
    resolve_reference("prefect:secret/orders")
    vault, basic, key = (headers for _, headers in stores.seen)
    assert (vault["x-vault-token"], vault["x-vault-namespace"]) == (TOKEN, "teams/retail")
    assert "authorization" not in vault
    assert basic["authorization"] == "Basic YWRtaW46cGFzcw=="
    assert key["authorization"] == "Bearer pnu_1"


def test_prefects_active_profile_names_the_server(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PREFECT_API_URL")
    with pytest.raises(SecretUnresolved, match="PREFECT_API_URL is not set"):
        resolve_reference("prefect:secret/orders")
    profiles = f'active = "here"\n[profiles.here]\nPREFECT_API_URL = "{stores.url}/api"\n[profiles.other]\n'
    (tmp_path / "profiles.toml").write_text(profiles + 'PREFECT_API_URL = "http://127.0.0.1:1/api"\n')
    assert resolve_reference("prefect:secret/orders").get_secret_value() == VALUE
    monkeypatch.setenv("PREFECT_PROFILE", "other")
    with pytest.raises(SecretUnresolved, match="ConnectError"):
        resolve_reference("prefect:secret/orders")
    (tmp_path / "profiles.toml").write_text("active = [")
    with pytest.raises(SecretUnresolved, match="PREFECT_API_URL is not set"):
        resolve_reference("prefect:secret/orders")


def _target(reference: str) -> Target:
    raw = {"address": [{"host": "127.0.0.1", "port": 1}], "database": "d", "username": "u", "password": reference}
    type_ = types.get("postgresql")
    connection = read_entry(type_, raw, literals_allowed=False, where="entry").connection
    return Target(
        workspace="retail",
        source="orders",
        type="postgresql",
        env="prod",
        resource_group="local",
        protocol="postgresql",
        default_port=5432,
        connection=connection,
        secrets=lambda: {"password": resolve_reference(reference)},
    )


async def _unresolved(reference: str) -> Verdict:
    with Stopwatch() as watch:
        verdict = await check(_target(reference), LocalVantage(), timeout=5)
    watch.within(5)
    assert (verdict.state, verdict.cause) == ("ConfigError", "CONFIG.SECRET_UNRESOLVED")
    assert verdict.remedy
    assert TOKEN not in verdict.model_dump_json()
    return verdict


@pytest.mark.parametrize("reference", ["prefect:secret/orders", "vault:secret/data/orders#password"])
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (_status(403), "the store answers HTTP 403"),
        (_status(404), "the store answers HTTP 404"),
        (_status(500), "the store answers HTTP 500"),
        (_bytes(b"<html>a proxy's page</html>"), "does not answer in JSON"),
        (_bytes(b"[1]"), "does not answer in JSON"),
        (_bytes(b'{"data": "text"}'), "has no field"),
        (_bytes(b"{}"), "has no field"),
        (_drip, "no answer within 3 s"),
    ],
)
async def test_a_store_that_does_not_give_it_is_a_verdict(
    stores: Stores, reference: str, answer: Answer, told: str
) -> None:
    stores.answers = dict.fromkeys(stores.answers, answer)
    assert told in (await _unresolved(reference)).message


@pytest.mark.parametrize("reference", ["prefect:secret/orders", "vault:secret/data/orders#password"])
@pytest.mark.parametrize("address", ["http://127.0.0.1:{closed}", "http://[", "ftp://127.0.0.1", "nowhere"])
async def test_a_store_that_is_not_there_is_a_verdict(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, reference: str, address: str
) -> None:
    for name in ("PREFECT_API_URL", "VAULT_ADDR"):
        monkeypatch.setenv(name, address.format(closed=free_port()))
    assert "cannot be read" in (await _unresolved(reference)).message


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("prefect:secret", "names no block"),
        ("prefect:secret/orders.absent", "has no field 'absent'"),
        ("prefect:secret/orders.nested", "has no field 'nested'"),
        ("vault:secret/data/orders", "names no field"),
        ("vault:kv/orders#absent", "has no field 'absent'"),
    ],
)
async def test_a_reference_that_names_nothing_is_a_verdict(stores: Stores, reference: str, told: str) -> None:
    assert told in (await _unresolved(reference)).message


@pytest.mark.parametrize("name", ["VAULT_ADDR", "VAULT_TOKEN"])
def test_vault_without_address_or_token_says_what_to_set(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SecretUnresolved, match=f"{name} is not set"):
        resolve_reference("vault:kv/orders#password")


def test_a_token_that_no_header_can_hold_is_told_without_it(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    for token in (f"{TOKEN}\nX: y", f"{TOKEN}é"):
        monkeypatch.setenv("VAULT_TOKEN", token)
        with pytest.raises(SecretUnresolved) as unresolved:
            resolve_reference("vault:kv/orders#password")
        assert TOKEN not in str(unresolved.value)
