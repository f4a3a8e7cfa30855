"""What a pipeline gets by `connect`, and why it may get nothing."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from registry import database
from registry.apply import apply_texts
from registry.errors import Forbidden, InvalidInput, NotFound
from registry.store import Store, open_store
from registry.verdict import State, Verdict
from registry.workspaces import WorkspaceDraft
from scripts.embedded_postgresql import EmbeddedPostgresql
from tasks import aconnect, connect, connecting
from tasks.connecting import InMaintenance, NotConnectable, NotUsable, granting
from tasks.connecting.running import Run
from tests.serving import GOOD_PASSWORD, PrefectServer

pytestmark = pytest.mark.usefixtures("registry", "fresh")

EXAMPLE = Path(__file__).parents[2] / "docs/examples/pipeline.py"


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has noted nothing yet, in production."""
    monkeypatch.setattr(granting, "_NOTED", set())
    monkeypatch.setenv("HEADWATER_ENV", "prod")
    monkeypatch.delenv("HEADWATER_WORKSPACE", raising=False)


@pytest.fixture
def store(registry: Path) -> Iterator[Store]:
    with open_store() as opened:
        yield opened


def add(store: Store, name: str, type_: str, prod: str) -> None:
    """One more data source of `retail`."""
    document = f"version: 1\nworkspaces:\n  - name: retail\n    data_sources:\n      - {{name: {name}, type: {type_}, "
    apply_texts(store, [("more.yaml", document + f"prod: {prod}}}\n")], store.by("test"))


def shop(store: Store, name: str, mode: str = "standard") -> None:
    """Another workspace with one data source."""
    line = f"      - {{name: {name}, type: restapi, prod: {{url: 'http://127.0.0.1/'}}}}"
    text = f"version: 1\nworkspaces:\n  - name: shop\n    mode: {mode}\n    data_sources:\n{line}\n"
    apply_texts(store, [("shop.yaml", text)], store.by("test"))


# --- what is got ----------------------------------------------------------------------------------------------------


def test_an_engine_answers_and_shows_no_password() -> None:
    engine = connect("orders")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar_one() == 1
    shown = f"{engine!r} {engine.url!r} {engine.url.render_as_string(hide_password=False)}"
    assert GOOD_PASSWORD not in shown
    assert "postgres@127.0.0.1" in shown


async def test_asynchronous_code_gets_an_asynchronous_engine() -> None:
    engine = await aconnect("retail/orders")
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM orders"))).scalar_one() == 1
    assert GOOD_PASSWORD not in repr(engine)
    await engine.dispose()


def test_who_used_what_is_noted_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/jobs/nightly.py"])
    connect("orders", role="reader")
    (use,) = store.dependents.of("retail/orders")
    assert (use.name, use.adapter, use.role, use.env, use.places) == (
        "/jobs/nightly.py",
        "connect",
        "reader",
        "prod",
        (),
    )
    connect("orders", role="reader")
    (again,) = store.dependents.of("retail/orders")
    assert again.seen_at == use.seen_at


def test_what_cannot_be_noted_stops_no_pipeline(
    registry: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    with contextlib.closing(sqlite3.connect(registry / "registry.db")) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        assert connect("orders") is not None
    assert "who uses retail/orders/prod could not be noted" in caplog.text
    assert "is held by another writer" in caplog.text


def test_a_client_of_ones_own_gets_fields_and_secrets() -> None:
    found = connecting.details("orders")
    assert (found.source, found.env, found.protocol) == ("retail/orders", "prod", "postgresql")
    assert found.secrets["password"].get_secret_value() == GOOD_PASSWORD
    assert GOOD_PASSWORD not in repr(found)


class _Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{self.path} {self.headers['Authorization']} {self.headers['X-Shop']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_an_http_client_logs_in_and_sends_its_headers(store: Store) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/v1"
        login = 'security_protocol: token, auth_token: "env:GOOD_PASSWORD", default_header: {X-Shop: "7"}'
        add(store, "api", "restapi", f'{{url: "{url}", {login}}}')
        client = connect("api")
        assert client.get("orders").text == f"/v1/orders Bearer {GOOD_PASSWORD} 7"
        assert GOOD_PASSWORD not in f"{client!r} {client.headers!r}"
    finally:
        server.shutdown()


def test_a_type_without_a_client_says_what_to_do(store: Store) -> None:
    add(
        store,
        "lake",
        "oss",
        "{region_id: cn-hangzhou, endpoint: oss.example.com, bucket: b, auth_type: RamRole, auth_identity: r}",
    )
    with pytest.raises(InvalidInput, match=r"no client for oss[\s\S]*tasks\.connecting\.details"):
        connect("lake")


def test_a_missing_driver_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    address = "address: [{host: 127.0.0.1, port: 1}], database: d, username: u"
    add(store, "mine", "mysql", f'{{{address}, password: "env:GOOD_PASSWORD"}}')
    with pytest.raises(InvalidInput, match=r"pip install 'pymysql>=1\.2'"):
        connect("mine")


def test_importing_headwater_loads_nothing_of_it() -> None:
    code = "import sys, tasks; sys.exit(any(name in sys.modules for name in ('sqlalchemy', 'prefect', 'httpx')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- which side -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "stated", "variable", "env"),
    [
        (Run("f"), None, "dev", "dev"),
        (Run("f", pool="etl-prod"), None, "dev", "prod"),
        (Run("f", pool="etl_dev"), None, "prod", "dev"),
        (Run("f", pool="producer"), None, "dev", "dev"),
        (Run("f", pool="etl-prod", parameters={"env": "dev"}), None, "", "dev"),
        (Run("f", parameters={"environment": "staging"}), None, "prod", "prod"),
        (Run("f", tags=("env:prod",), parameters={"env": "dev"}), None, "", "prod"),
        (Run("f", tags=("env:prod",)), "dev", "", "dev"),
    ],
)
def test_the_environment_is_that_of_the_run(
    run: Run, stated: str | None, variable: str, env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_ENV", variable)
    assert run.env(stated) == env


def test_an_environment_that_nothing_says_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWATER_ENV")
    with pytest.raises(InvalidInput, match="env:dev or env:prod"):
        connect("orders")
    with pytest.raises(InvalidInput, match="'test' is no environment"):
        connect("orders", env="test")


def test_a_run_in_development_gets_the_development_side_unless_it_synchronizes_in_real_time() -> None:
    def side(kind: str) -> str:
        return connecting.details("orders", env="dev", task_kind=kind).env

    assert (side("flow"), side("batch_sync"), side("database_realtime_sync")) == ("dev", "dev", "prod")


def test_a_basic_workspace_has_production_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWATER_ENV")
    shop(store, "one", mode="basic")
    assert connecting.details("one").env == "prod"


# --- why not --------------------------------------------------------------------------------------------------------


def test_rules_of_use_are_told_with_what_to_do(store: Store) -> None:
    add(store, "half", "restapi", "{url: 'http://127.0.0.1/'}")
    with pytest.raises(NotUsable, match=r"retail/half: retail/half has no development side[\s\S]*fill in its dev side"):
        connect("half", env="dev")
    place = "region_id: cn-hangzhou, endpoint: oss.example.com, bucket: b"
    add(store, "keyed", "oss", f"{{{place}, auth_type: Ak, access_id: i, access_key: 'env:X'}}")
    with pytest.raises(NotUsable, match="for synchronization only"):
        connect("keyed")
    add(store, "sink", "memcache", "{proxy: 127.0.0.1, port: 1}")
    with pytest.raises(NotUsable, match=r"synchronization \(one table, in batches\) only writes memcache"):
        connect("sink", task_kind="batch_sync", role="reader")
    with pytest.raises(NotUsable, match=r"in real time\) neither reads nor writes memcache"):
        connect("sink", task_kind="realtime_sync")
    assert connecting.details("sink", task_kind="batch_sync", role="writer").protocol == "memcached"
    add(store, "catalog", "paimon_catalog", "{endpoint: 'https://catalog.example.com', warehouse: w}")
    with pytest.raises(NotUsable, match="no task reads or writes it"):
        connect("catalog", task_kind="batch_sync")


def test_development_on_an_engine_needs_its_compute_resource(store: Store) -> None:
    place = "address: [{host: 127.0.0.1, port: 1}], database: d, username: u"
    add(store, "engine", "clickhouse", f'{{{place}, password: "env:GOOD_PASSWORD"}}')
    with pytest.raises(NotUsable, match="retail/engine belongs to no compute resource") as refused:
        connecting.details("engine", task_kind="sql")
    assert "headwater compute-resource attach" in refused.value.instruction
    assert connecting.details("engine", task_kind="batch_sync").env == "prod"
    assert connecting.details("engine").env == "prod"


def test_a_group_runs_only_what_it_is_declared_to_be_for(store: Store) -> None:
    text = "version: 1\nresource_groups:\n  - {name: local, kind: local, network: {purposes: [synchronization]}}\n"
    apply_texts(store, [("groups.yaml", text)], store.by())
    with pytest.raises(NotUsable, match=r"resource group local is for synchronization alone, and this is scheduling"):
        connect("orders")
    assert connecting.details("orders", task_kind="batch_sync").env == "prod"


@pytest.mark.parametrize(("slip", "told"), [({"role": "read"}, "reader"), ({"task_kind": "batchsync"}, "batch_sync")])
def test_a_slip_in_a_word_is_not_held_against_the_rules_of_another(slip: dict[str, str], told: str) -> None:
    with pytest.raises(InvalidInput, match=f"did you mean {told}"):
        connect("orders", **slip)  # type: ignore[arg-type]


def test_an_engine_looks_where_the_checks_do_and_has_the_options_of_the_pipeline(
    store: Store, postgresql: EmbeddedPostgresql
) -> None:
    address = f"[{{host: 127.0.0.1, port: 1}}, {{host: 127.0.0.1, port: {postgresql.port}}}]"
    login = 'database: postgres, username: postgres, password: "env:GOOD_PASSWORD"'
    more = "properties: {currentSchema: shop, ApplicationName: etl}"
    add(store, "second", "postgresql", f"{{address: {address}, {login}, {more}}}")
    engine = connect("second", options={"pool_size": 1})
    with engine.connect() as connection:
        told = "SELECT current_setting('search_path'), current_setting('application_name')"
        assert connection.execute(text(told)).one() == ("shop", "etl")
    assert engine.pool.size() == 1


def test_maintenance_refuses_new_runs_with_its_reason_and_end(store: Store) -> None:
    until = datetime.now(UTC) + timedelta(hours=2)
    store.maintenances.begin("retail", "orders", store.by(), reason="moves to db2", until=until, envs=["prod"])
    with pytest.raises(InMaintenance, match=rf"moves to db2 \(until {until:%Y-%m-%d %H:%M} UTC"):
        connect("orders")
    assert connecting.details("orders", env="dev").env == "dev"


def test_a_source_that_fails_its_checks_is_refused_early_where_that_is_asked_for(store: Store) -> None:
    verdict = Verdict(
        workspace="retail", source="orders", env="prod", resource_group="local", type="postgresql",
        state=State.UNREACHABLE, cause="PORT.CLOSED", started_at=datetime.now(UTC).isoformat(), elapsed_ms=1.0,
        stages=[],
    )  # fmt: skip
    store.verdicts.record([verdict])
    with pytest.raises(NotConnectable, match=r"is Unreachable from local: PORT\.CLOSED[\s\S]*headwater test"):
        connect("orders", only_connectable=True)
    assert connect("orders") is not None


def test_strangers_get_nothing_and_leave_a_trace(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.workspaces.update(WorkspaceDraft("retail", members=(("ann", "develop"), ("eve", "visitor"))), store.by())
    monkeypatch.setenv("HEADWATER_ACTOR", "ann")
    assert connect("orders") is not None
    monkeypatch.setenv("HEADWATER_ACTOR", "eve")
    with pytest.raises(Forbidden, match="eve may not connect to a data source"):
        connect("orders")


def test_another_workspace_gets_what_is_shared_with_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.workspaces.create(WorkspaceDraft("finance", mode="standard"), store.by())
    monkeypatch.setenv("HEADWATER_WORKSPACE", "finance")
    for name in ("retail.orders", "retail/orders"):
        with pytest.raises(NotFound, match="shared with workspace finance"):
            connect(name)
    store.sharing.share("retail", "orders", store.by(), to="finance", env="prod")
    engine = connect("retail.orders")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    (use,) = store.dependents.of("retail/orders")
    assert (use.workspace, use.env) == ("finance", "prod")
    with pytest.raises(NotFound, match="has no data source 'orders'"):
        connect("orders")
    with pytest.raises(NotFound, match=r"retail\.orders is shared with prod of workspace finance, not with its dev"):
        connect("retail.orders", env="dev")


def test_the_group_is_that_of_the_work_pool_or_the_one_that_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "version: 1\nresource_groups:\n  - {name: zone_b, kind: worker, worker: {work_pool: etl-prod}}\n"
    apply_texts(store, [("groups.yaml", text)], store.by())

    def group(run: Run) -> str:
        return granting.grant(store, granting.Wish("orders", None, None, "", "flow", False), run).group

    assert (group(Run("f")), group(Run("f", pool="etl-prod")), group(Run("f", pool="other"))) == ("local", "zone_b", "")
    monkeypatch.setenv("HEADWATER_GROUP", "local")
    assert (group(Run("f", pool="etl-prod")), group(Run("f", pool="other"))) == ("zone_b", "local")
    monkeypatch.setenv("HEADWATER_GROUP", "zone_c")
    with pytest.raises(InvalidInput, match="no resource group 'zone_c'"):
        group(Run("f"))


def test_work_of_other_modules_is_held_against_their_lists_of_types(store: Store) -> None:
    add(store, "old", "db2", '{address: [{host: 127.0.0.1, port: 1}], database: d, username: u, password: "env:X"}')
    with pytest.raises(NotUsable, match="db2 is not supported in Data Service"):
        connecting.details("old", task_kind="api")
    add(store, "catalog", "paimon_catalog", "{endpoint: 'https://catalog.example.com', warehouse: w}")
    assert connecting.details("catalog", task_kind="collection").type == "paimon_catalog"


def test_a_name_in_several_workspaces_is_not_guessed(store: Store) -> None:
    shop(store, "orders")
    with pytest.raises(InvalidInput, match="HEADWATER_WORKSPACE with one of: retail, shop"):
        connect("orders")
    with pytest.raises(NotFound, match="did you mean"):
        connect("ordres")


# --- in a flow run --------------------------------------------------------------------------------------------------


def example() -> Any:
    """The flow of the example in the documentation."""
    spec = importlib.util.spec_from_file_location("pipeline", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pipeline"] = module
    spec.loader.exec_module(module)
    return module.daily_report


@pytest.mark.prefect
def test_the_documented_pipeline_runs_and_is_known_by_its_deployment(
    prefect_server: PrefectServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import tags

    monkeypatch.delenv("HEADWATER_ENV")
    with tags("env:prod", "workspace:retail"):
        assert example()("orders") == 1
    (use,) = store.dependents.of("retail/orders")
    assert (use.name, use.unit, use.role) == ("daily-report", "flow:daily-report", "reader")


@pytest.mark.prefect
def test_a_run_of_a_deployment_takes_its_side_from_there_and_is_known_by_its_id(
    prefect_server: PrefectServer, store: Store, postgresql: EmbeddedPostgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADWATER_ENV")
    flow = prefect_server.post("/flows/", {"name": "daily-report"})["id"]
    body = {
        "name": "nightly",
        "flow_id": flow,
        "path": str(EXAMPLE.parent),
        "entrypoint": "pipeline.py:daily_report",
        "tags": ["env:prod", "workspace:retail"],
        "parameters": {"source": "orders"},
    }
    deployment = prefect_server.post("/deployments/", body)["id"]
    run = prefect_server.post(f"/deployments/{deployment}/create_flow_run", {})["id"]
    command = [sys.executable, "-m", "prefect", "flow-run", "execute", run]
    done = subprocess.run(command, env=prefect_server.environment(), capture_output=True, text=True, check=False)
    state = prefect_server.get(f"/flow_runs/{run}")["state"]
    assert state["type"] == "COMPLETED", f"{state} {done.stdout} {done.stderr}"
    (use,) = store.dependents.of("retail/orders")
    assert (use.adapter, use.key, use.unit) == ("prefect_deployments", deployment, f"deployment:{deployment}")
    assert (use.env, use.role, use.places) == ("prod", "reader", ())
    assert GOOD_PASSWORD not in done.stdout + done.stderr
