"""DataWorks' own tables against Headwater's, row by row; docs/coverage.md tells which row is proved where.

Facts of the pages on data source management, on the types of data sources, and of the OpenAPI of 2024-05-18.
"""

from __future__ import annotations

import pytest

from registry import access, compute_resources, impacts, synchronization, types, usage
from registry.access import PERMISSIONS, Role, Verb
from registry.connection import read_entry
from registry.impacts import Granted, Risk, Use
from registry.usage import TaskKind
from registry.verdict import State
from tests.registry.test_usage import made, rules

#: Types that Data Integration reads or writes.
SYNCHRONIZED = """
    mysql postgresql sqlserver oracle polardb apsaradb_for_oceanbase maxcompute hologres oss kafka redis mongodb
    starrocks clickhouse hive hbase hdfs ftp elasticsearch dlf restapi lindorm doris loghub datahub tablestore
    analyticdb_for_mysql analyticdb_for_postgresql db2 dm drds s3 redshift mariadb tidb vertica saphana kingbasees
    gbase8a milvus snowflake salesforce bigquery httpfile opensearch graph_database memcache
"""

#: Types that can be made from the id of an instance, and from a connection string.
BOTH_MODES = """
    mysql postgresql sqlserver polardb polardbo polardb-x-2-0 apsaradb_for_oceanbase drds starrocks
    analyticdb_for_mysql analyticdb_for_postgresql milvus mongodb redis elasticsearch kafka hive
"""
BY_INSTANCE = "hologres opensearch"
BY_STRING = """
    oracle mariadb dm db2 tidb vertica gbase8a kingbasees saphana snowflake maxcompute clickhouse doris selectdb
    redshift hbase lindorm oss s3 ftp ssh tablestore memcache graph_database datahub loghub restapi salesforce
    httpfile bigquery
"""


@pytest.mark.parametrize("type_", SYNCHRONIZED.split())
def test_what_data_integration_reads_or_writes_may_be_used_there(type_: str) -> None:
    for kind in ("batch_sync", "sync"):
        assert rules(made(type_), "data_integration", kind) == []


@pytest.mark.parametrize(
    ("type_", "documented"),
    [
        ("mysql", "RW R R R R"), ("postgresql", "RW - R R -"), ("sqlserver", "RW - R - -"), ("oracle", "RW R R R R"),
        ("polardb", "RW R R R R"), ("apsaradb_for_oceanbase", "RW W - RW -"), ("maxcompute", "RW W W W W"),
        ("hologres", "RW RW RW W -"), ("oss", "RW - W W -"), ("kafka", "RW RW - W -"), ("redis", "W - - - -"),
        ("mongodb", "RW - - R -"), ("starrocks", "RW W W W -"), ("clickhouse", "RW - R - -"), ("hive", "RW - RW - -"),
        ("elasticsearch", "RW W W W -"), ("dlf", "RW W W W -"), ("lindorm", "RW W - W -"), ("doris", "RW W R - -"),
        ("loghub", "RW R - - -"), ("datahub", "RW RW - W -"), ("tablestore", "RW W - - -"), ("db2", "RW - R - -"),
        ("analyticdb_for_mysql", "RW W R W -"), ("analyticdb_for_postgresql", "RW - R - -"), ("drds", "RW - R - -"),
        ("s3", "RW - - - -"), ("bigquery", "R - - - -"), ("httpfile", "R - - - -"), ("memcache", "W - - - -"),
        ("opensearch", "W - - - -"), ("graph_database", "W - - - -"), ("hdfs", "RW - - - -"),
    ],
)  # fmt: skip
def test_a_type_is_read_and_written_in_the_kinds_of_synchronization_that_are_documented(
    type_: str, documented: str
) -> None:
    """Batch; one table in real time; whole database in batches, in real time, full and incremental."""
    kinds = ("batch_sync", "realtime_sync", "database_batch_sync", "database_realtime_sync",
             "database_full_incremental_sync")  # fmt: skip
    for kind, able in zip(kinds, documented.split(), strict=True):
        for letter, role in (("R", "reader"), ("W", "writer")):
            told = usage.refusals(made(type_), None, "data_integration", kind, role)
            found = [one.rule for one in told if one.rule == "synchronization"]
            assert found == ([] if letter in able else ["synchronization"]), (kind, role)


def test_every_type_of_data_integration_that_is_documented_stands_in_the_table() -> None:
    unnamed = {"opengauss", "polardbo", "polardb_x_2_0", "rabbitmq", "selectdb"}
    integrated = {name for name, type_ in types.catalogue().items() if "data_integration" in type_.modules}
    assert integrated - set(synchronization.TABLE) == unnamed
    assert set(synchronization.TABLE) - integrated == {"paimon_catalog"}


@pytest.mark.parametrize("type_", [*BOTH_MODES.split(), *BY_INSTANCE.split(), *BY_STRING.split()])
def test_a_type_has_the_modes_that_are_documented(type_: str) -> None:
    modes = {mode.value for mode in types.get(type_).modes}
    assert type_ in BY_STRING.split() or "InstanceMode" in modes
    assert type_ in BY_INSTANCE.split() or "UrlMode" in modes


@pytest.mark.parametrize("type_", ["mysql", "maxcompute", "hologres", "dlf", "oss"])
def test_standard_types_are_input_and_output(type_: str) -> None:
    assert types.get(type_).kind == "standard"
    for role in ("reader", "writer"):
        assert rules(made(type_), "data_integration", "batch_sync", role) == []


def test_the_only_metadata_type_is_collected_and_watched_and_nothing_else() -> None:
    assert [one.name for one in types.catalogue().values() if one.kind == "metadata"] == ["paimon_catalog"]
    lake = made("paimon_catalog")
    assert rules(lake, "data_map", "collection") == []
    assert rules(lake, "data_quality", "rule", "rule") == []
    for kind in set(TaskKind) - {TaskKind.COLLECTION, TaskKind.RULE}:
        for role in ("", "reader", "writer"):
            assert "metadata" in rules(lake, "data_studio", kind, role)


@pytest.mark.parametrize(
    ("module", "kind"), [("data_integration", "batch_sync"), ("data_analysis", "query"), ("data_map", "collection")]
)
def test_data_lake_formation_is_a_standard_source_that_also_has_metadata(module: str, kind: str) -> None:
    assert rules(made("dlf"), module, kind) == []


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE, Verb.DELETE, Verb.CLONE])
def test_administrators_and_operators_of_a_workspace_configure_sources(verb: Verb) -> None:
    of_workspace = {access.role(code) for code in ("role_project_admin", "role_project_pe")}
    assert of_workspace == {Role.ADMIN, Role.OPERATOR}
    assert of_workspace <= PERMISSIONS[verb]
    assert not {Role.DEPLOY, Role.DEVELOP, Role.VISITOR, Role.DATA_ANALYST} & PERMISSIONS[verb]


def test_both_tables_know_the_same_compute_resources() -> None:
    assert set(compute_resources.WITH_SOURCE) == usage.OF_COMPUTE_RESOURCES
    assert set(compute_resources.WITHOUT_SOURCE) == {"emr", "cdh", "flink", "serverless_spark"}


@pytest.mark.parametrize("type_", sorted(usage.OF_COMPUTE_RESOURCES))
def test_development_on_an_engine_needs_its_compute_resource(type_: str) -> None:
    told = {origin: rules(made(type_, origin=origin), "data_studio", "sql") for origin in ("manually", "automatically")}
    assert "compute_resource" in told["manually"]
    assert "compute_resource" not in told["automatically"]


@pytest.mark.parametrize(
    ("module", "risk", "words"),
    [
        ("operation_center", Risk.HIGH, "in one go (`headwater repoint`), submit and deploy"),
        ("data_service", Risk.HIGH, "give these APIs another source"),
        ("data_analysis", Risk.MEDIUM, "run the queries on another source"),
        ("data_quality", Risk.MEDIUM, "take the rules off the tasks in the Operation Center, or change the rules"),
    ],
)
def test_each_module_is_told_its_risk_and_what_helps(module: str, risk: Risk, words: str) -> None:
    use = Use(1, "daily", module, "prod", "prod", "retail")
    (hit,) = impacts.impact("retail/orders", {"dev", "prod"}, set(), [use]).hits
    assert (hit.effect, hit.risk) == (impacts.Effect.FAILS, risk)
    assert words in hit.remedy


def test_tasks_of_workspaces_that_it_is_shared_with_fail_too() -> None:
    use = Use(1, "forecast", "data_studio", "prod", "prod", "sales")
    found = impacts.impact("retail/orders", {"prod"}, {"dev"}, [use], [Granted("prod", "sales", "prod")])
    assert [(hit.use.workspace, hit.effect, hit.blocks) for hit in found.hits] == [
        ("sales", impacts.Effect.FAILS, True)
    ]
    assert found.other_workspaces == ("sales",)


@pytest.mark.parametrize(
    ("old", "name"),
    [
        ("odps", "maxcompute"),
        ("holo", "hologres"),
        ("hybriddb_for_postgresql", "analyticdb_for_postgresql"),
        ("polardb-x-2-0", "polardb_x_2_0"),
    ],
)
def test_types_are_known_by_the_names_of_old_exports(old: str, name: str) -> None:
    assert types.get(old).name == name


@pytest.mark.parametrize(
    ("type_", "field", "word"),
    [
        ("mongodb", "authType", "authTypeSsl"),
        ("postgresql", "securityProtocol", "AuthTypeSsl"),
        ("mysql", "securityProtocol", "authTypeSsl"),
    ],
)
def test_each_type_has_its_own_switch_for_tls(type_: str, field: str, word: str) -> None:
    fields = {"address": [{"host": "db", "port": 1}], "database": "orders", "username": "app", "password": "env:X"}
    if type_ == "mongodb":
        fields["authDb"] = "admin"
    connection = read_entry(types.get(type_), {**fields, field: word}, where="retail/orders/prod").connection
    assert connection.tls().mode == "require"


def test_states_are_spelled_as_they_are_documented() -> None:
    assert {str(state) for state in State} == {"Connectable", "ConfigError", "Unreachable", "Unsupport"}
