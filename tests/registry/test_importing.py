"""Exports of other tools: what each becomes, what cannot be taken over, and that no password is written in clear."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry import importing, model, texts
from registry.apply import apply_texts
from registry.documents import Known
from registry.errors import HeadwaterError, InvalidInputs, NotFound
from registry.importing import Context, NotTaken
from registry.store import Store
from registry.taking_over import Imported, _Reader, take_over

CHECKOUT = Path(__file__).parents[2]
EXAMPLES = CHECKOUT / "tests" / "data" / "importing"
SHARED = Path(os.environ.get("HEADWATER_SHARED_DATA") or CHECKOUT.parent / "shared" / "data") / "dolphinscheduler"
CANARY = "canary-"

Import = Callable[..., Imported]


@pytest.fixture
def take(store: Store) -> Import:
    """Imports an example into the standard workspace `retail`."""
    apply_texts(store, [("x.yaml", "version: 1\nworkspaces: [{name: retail, mode: standard}]")], store.by())

    def run(name: str, **options: Any) -> Imported:
        path = name if "/" in name else str(EXAMPLES / name)
        return take_over(store, path, "retail", store.by("moving"), **options)

    return run


def sides(store: Store, name: str) -> dict[str, dict[str, Any]]:
    row = store.sources.get("retail", name)
    return {entry.env: {**entry.properties, **entry.references, "type": row.type} for entry in row.entries}


def test_airflow_connections_become_sources_of_their_types(store: Store, take: Import) -> None:
    done = take("airflow.json", skip_faulty=True)
    orders = sides(store, "orders_db")["prod"]
    assert orders == {
        "type": "postgresql",
        "address": [{"host": "db.example.com", "port": 5433}],
        "database": "orders",
        "username": "app",
        "password": "env:ORDERS_DB_PROD_PASSWORD",
        "properties": {"sslmode": "require"},
    }
    assert store.sources.get("retail", "orders_db").description == "The order book"
    warehouse = sides(store, "warehouse")["prod"]
    assert (warehouse["type"], warehouse["account_url"]) == ("snowflake", "https://xy12345.eu-central-1")
    assert (warehouse["warehouse_name"], warehouse["database"]) == ("LOAD_WH", "SHOP")
    cache = sides(store, "cache")["prod"]  # the URI form
    assert (cache["type"], cache["address"], cache["database"]) == (
        "redis",
        [{"host": "cache.example.com", "port": 6380}],
        2,
    )
    assert sides(store, "report")["prod"]["login_mode"] == "LDAP"
    assert "ORDERS_DB_PROD_PASSWORD" in done.variables
    (skipped,) = done.skipped
    assert skipped.where.endswith("airflow.json:23:3: lake")
    assert "no data source type for aws" in skipped.reason
    told = [notice.message for notice in done.applied.notices]
    assert any("cursor was removed" in one for one in told)
    assert "its name here is orders_db" in told


def test_airflow_yaml_says_the_same(store: Store, take: Import) -> None:
    take("airflow.yaml", context=Context(env="dev"))
    assert sides(store, "shop")["dev"]["address"] == [{"host": "mysql.example.com", "port": 3306}]
    assert sides(store, "files")["dev"]["type"] == "sftp"


def test_targets_of_a_dbt_profile_become_its_sides(store: Store, take: Import) -> None:
    done = take("profiles.yml", context=Context(environment={"SHOP_HOST": "here.example.com"}))
    shop = sides(store, "shop")
    assert shop["dev"]["password"] == "env:DBT_DEV_PASSWORD"
    assert shop["dev"]["address"] == [{"host": "here.example.com", "port": 5432}]
    assert shop["prod"]["address"] == [{"host": "db.example.com", "port": 5433}]  # the default of env_var
    assert shop["prod"]["password"] == "env:SHOP_PROD_PASSWORD"
    assert done.variables == ("SHOP_PROD_PASSWORD",)
    assert sides(store, "ledger")["prod"]["password"] == "env:SNOWFLAKE_PASSWORD"
    assert any("'ci' is neither dev nor prod" in notice.message for notice in done.applied.notices)


def test_a_host_that_dbt_reads_from_nowhere_is_asked_for(tmp_path: Path, take: Import) -> None:
    file = tmp_path / "profiles.yml"
    file.write_text(
        "shop:\n  outputs:\n    prod: {type: postgres, host: \"{{ env_var('NOWHERE_HOST') }}\", user: u, dbname: d}\n"
    )
    with pytest.raises(InvalidInputs, match=r"profiles.yml:3:5: shop: host is read from .* NOWHERE_HOST"):
        take(str(file))


def test_blocks_of_prefect_by_parts_and_by_url(store: Store, take: Import) -> None:
    take("prefect.json")
    assert sides(store, "orders_prod")["prod"]["properties"] == {"sslmode": "require"}
    assert sides(store, "orders_prod")["prod"]["password"] == "env:ORDERS_PROD_PROD_PASSWORD"  # shown as asterisks
    shop, ledger = sides(store, "shop")["prod"], sides(store, "ledger")["prod"]
    assert (shop["type"], shop["address"], shop["username"]) == (
        "mysql",
        [{"host": "mysql.example.com", "port": 3306}],
        "app",
    )
    assert (ledger["type"], ledger["database"]) == ("sqlserver", "ledger")


def test_old_exports_of_dataworks_by_their_old_names(store: Store, take: Import) -> None:
    take("dataworks-2020.json", context=Context(region="cn-hangzhou"))
    shop = sides(store, "shop")
    assert {env: side["address"][0]["host"] for env, side in shop.items()} == {
        "dev": "dev.example.com",
        "prod": "db.example.com",
    }
    house, stock = sides(store, "house")["prod"], sides(store, "stock")["prod"]
    assert (house["type"], house["project"], house["access_key"]) == (
        "maxcompute",
        "house",
        "env:HOUSE_PROD_ACCESS_KEY",
    )
    assert (stock["type"], stock["instance_id"], stock["database"]) == ("postgresql", "pgm-bp1example", "stock")
    assert stock["region_id"] == "cn-hangzhou"


def test_an_instance_without_a_region_is_told_and_nothing_goes_in(store: Store, take: Import) -> None:
    with pytest.raises(InvalidInputs) as refused:
        take("dataworks-2020.json")
    told = str(refused.value)
    assert "dataworks-2020.json:17:7: stock: its record names no region" in told
    assert "--region" in told
    assert "--skip-faulty" in told
    assert store.sources.list(workspace="retail").total == 0
    assert len(take("dataworks-2020.json", skip_faulty=True).skipped) == 1
    assert store.sources.list(workspace="retail").total == 2


def test_lists_of_dataworks_have_both_sides_under_one_name(store: Store, take: Import) -> None:
    take("dataworks-2024.json", context=Context(env="prod"))
    assert [*sides(store, "orders")] == ["prod"]
    take("dataworks-2024.json")
    both = sides(store, "orders")
    assert both["dev"]["password"] == "env:ORDERS_DEV_PASSWORD"
    assert both["prod"]["security_protocol"] == "authTypeSsl"
    assert both["prod"]["truststore_file"] == "certificate:730"  # the id of an uploaded file


def test_sources_that_a_spec_defines(store: Store, take: Import) -> None:
    with pytest.raises(InvalidInputs, match=r"flowspec\.yaml:17:7: folder: its config is no JSON") as refused:
        take("flowspec.yaml")
    assert CANARY not in str(refused.value)
    done = take("flowspec.yaml", skip_faulty=True, context=Context(env="dev"))
    assert done.variables == ("SHOP_DEV_PASSWORD", "HOUSE_DEV_ACCESS_KEY")
    shop = sides(store, "shop")["dev"]
    assert (shop["type"], shop["address"], shop["objects"]) == (
        "mysql", [{"host": "db.example.com", "port": 3306}], ["orders"],
    )  # fmt: skip
    assert (shop["database"], shop["password"]) == ("shop", "env:SHOP_DEV_PASSWORD")
    assert store.sources.get("retail", "shop").description == "what is sold"
    assert sides(store, "house")["dev"]["type"] == "maxcompute"


@pytest.mark.parametrize("name", ["datasource.json", "datasource.yaml"])
def test_a_real_spec_is_taken_over(store: Store, take: Import, name: str) -> None:
    real = SHARED.parent / "flowspec" / name
    if not real.exists():
        print(f"{real} is absent: the project's own example stands in")
        return
    take(str(real))
    found = sides(store, "table1")["prod"]
    assert (found["type"], found["address"], found["password"]) == (
        "mysql", [{"host": "127.0.0.1", "port": 3306}], "env:TABLE1_PROD_PASSWORD",
    )  # fmt: skip


def test_dolphinscheduler_reads_the_embedded_parameters(store: Store, take: Import) -> None:
    done = take("dolphinscheduler.json", skip_faulty=True)
    shop, stock = sides(store, "shop")["prod"], sides(store, "stock")["prod"]
    assert (shop["type"], shop["database"], shop["properties"]) == ("mysql", "shop", {"connectTimeout": "10"})
    assert (stock["address"], stock["database"]) == ([{"host": "pg.example.com", "port": 5432}], "stock")
    assert [fault.reason for fault in done.skipped] == ["there is no data source type for K8S"]


def test_real_pages_of_dolphinscheduler_are_told_record_by_record(take: Import) -> None:
    """They show no address: each record is told, with its place, and none goes in."""
    page = SHARED / "datasource_page_1.json"
    if not page.exists():
        print(f"the real exports are absent: {page}")
        page = CHECKOUT / "tests" / "data" / "dolphinscheduler" / "datasource" / "datasource_page_1.json"
    count = len(json.loads(page.read_text()))
    done = take(str(page), skip_faulty=True)
    created = sum(change.action == "create" for change in done.applied.changes)
    assert created + len(done.skipped) == count > 0
    assert all("datasource_page_1.json:" in fault.where for fault in done.skipped)


@pytest.mark.parametrize("keep", ["env", "store"])
def test_no_password_of_an_export_lies_in_the_registry_in_clear(
    store: Store, take: Import, keep: Any, home: Path
) -> None:
    for name in sorted(path.name for path in EXAMPLES.iterdir()):
        done = take(name, keep=keep, skip_faulty=True, context=Context(region="cn-hangzhou"))
        assert CANARY not in repr(done)
    with store.database.read() as session:
        rows = [[*row] for table in model.Base.metadata.sorted_tables for row in session.execute(table.select())]
        stored = session.query(model.Secret).count()
    assert CANARY not in repr(rows)
    assert not [path for path in home.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert (stored > 0) == (keep == "store")


def test_stored_passwords_come_back(store: Store, take: Import) -> None:
    done = take("airflow.yaml", keep="store")
    assert done.variables == ()
    groups = "version: 1\nworkspaces: [{name: retail, resource_groups: [local]}]"
    apply_texts(store, [("x.yaml", groups)], store.by())
    (target,) = store.targets(workspace="retail", source="shop")
    assert store.resolve_secrets(target)["password"].get_secret_value() == "canary-airflow-6"


def test_asterisks_are_never_stored_as_a_password(store: Store, take: Import) -> None:
    done = take("prefect.json", keep="store")
    assert "password" not in sides(store, "orders_prod")["prod"]
    assert any("headwater secret retail/orders_prod prod" in one.message for one in done.applied.notices)


def test_a_dry_run_says_the_same_and_writes_nothing(store: Store, take: Import) -> None:
    dry = take("airflow.yaml", dry_run=True)
    assert store.sources.list(workspace="retail").total == 0
    wet = take("airflow.yaml")
    assert [(one.object, one.action, one.fields) for one in dry.applied.changes] == [
        (one.object, one.action, one.fields) for one in wet.applied.changes
    ]
    again = take("airflow.yaml")
    assert {change.action for change in again.applied.changes} == {"unchanged"}


def test_what_the_registry_refuses_is_skipped_like_any_other_fault(store: Store, take: Import) -> None:
    other = (
        "version: 1\nworkspaces: [{name: retail, data_sources: [{name: shop, type: postgresql, "
        "prod: {address: [{host: h, port: 1}], database: d, username: u}}]}]"
    )
    apply_texts(store, [("x.yaml", other)], store.by())
    with pytest.raises(InvalidInputs, match="a type is never changed"):
        take("airflow.yaml")
    done = take("airflow.yaml", skip_faulty=True)
    assert [fault.reason for fault in done.skipped] == [
        "the data source is of type postgresql; a type is never changed"
    ]
    assert "files" in {row.name for row in store.sources.list(workspace="retail").items}


def test_a_password_that_reads_like_a_reference_is_no_reference(tmp_path: Path, take: Import) -> None:
    file = tmp_path / "a.json"
    file.write_text(
        json.dumps(
            {"a": {"conn_type": "mysql", "host": "h", "login": "u", "schema": "d", "password": "file:/etc/shadow"}}
        )
    )
    with pytest.raises(InvalidInputs, match="reads like a reference") as refused:
        take(str(file))
    assert "shadow" not in str(refused.value)


def test_formats_are_guessed_by_content_and_unknown_ones_told(tmp_path: Path, take: Import) -> None:
    guessed = {
        path.name: importing.guess(texts.parse(path.name, path.read_text()).data, "x").name
        for path in EXAMPLES.iterdir()
    }
    assert all(name.split("-")[0].startswith(found) for name, found in guessed.items() if name != "profiles.yml")
    assert guessed["profiles.yml"] == "dbt"
    file = tmp_path / "x.json"
    file.write_text('{"a": 1}')
    with pytest.raises(HeadwaterError, match="no export that is known"):
        take(str(file))
    with pytest.raises(NotFound, match="use airflow"):
        take(str(file), format_="airflw")


# --- any data at all -------------------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("a://b:c@[d:0/e?f")
SHAPES = ["data", "extra", "outputs", "dev", "connectionParams", "Content", "DataSources", "conn_type"]
KEYS = st.sampled_from([*SHAPES, "name", "type", "host", "port", "schema"])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4)
)
DATA = {path.name: texts.parse(path.name, path.read_text()).data for path in sorted(EXAMPLES.iterdir())}


def spots(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in the data."""
    yield path
    pairs = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        yield from spots(value, (*path, key))


def altered(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(data)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


def read_all_ways(data: Any) -> None:
    parsed = texts.Parsed("x.json", data, None)
    for one in importing.catalogue().values():
        assert one.recognises(data) in (True, False)
        reader = _Reader("retail", Known(), Context(), "env")
        for item in one.items(data, Context()):
            reader.item(parsed, item)  # takes every fault for one of the record
        reader.documents()


@given(JSON)
@settings(max_examples=100)
def test_any_json_is_read_or_told(data: Any) -> None:
    read_all_ways(data)


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_an_export_altered_anywhere_is_read_or_told(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(DATA)))
    path = data.draw(st.sampled_from([*spots(DATA[name])]))
    value = data.draw(JSON)
    read_all_ways(altered(DATA[name], path, value))


@given(JSON, st.sampled_from(["connectionParams", "Content", "extra"]))
def test_embedded_json_is_read_or_told(inner: Any, key: str) -> None:
    text = json.dumps(inner)
    read_all_ways([{"name": "a", "type": "MYSQL", "connectionParams": text}])
    read_all_ways({"DataSources": [{"Name": "a", "DataSourceType": "mysql", "Content": text}]})
    read_all_ways({"a": {"conn_type": "mysql", "host": "h", key: text}})


def test_a_reader_says_why_not() -> None:
    (item,) = importing.get("airflow").items({"a": {"conn_type": "nothing"}}, Context())
    with pytest.raises(NotTaken, match="no data source type for nothing"):
        item.read()
