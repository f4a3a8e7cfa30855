"""What other tools call things, record by record: which field each becomes, and what is told where none does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from registry import importing
from registry.apply import apply_texts
from registry.errors import InvalidInput
from registry.export_prefect import blocks
from registry.importing import Context, NotTaken, Taken, dotenv
from registry.store import Store
from registry.taking_over import take_over

CANARY = "canary-and-more"
SECRET = f"<{CANARY}>"


def read(format_: str, data: Any, **context: Any) -> Taken:
    (item,) = importing.get(format_).items(data, Context(**context))
    return item.read()


def plain(taken: Taken) -> dict[str, Any]:
    """The fields of its one side, secrets shown as such."""
    (fields,) = taken.sides.values()
    shown = {
        name: f"<{value.get_secret_value()}>" if isinstance(value, SecretStr) else value
        for name, value in fields.items()
    }
    return {"type": taken.type, **shown}


def airflow(conn_type: str, *, extra: Any = None, **fields: Any) -> Taken:
    record = {
        "conn_type": conn_type,
        "host": "h",
        "login": "u",
        "password": CANARY,
        "schema": "d",
        "port": None,
        **fields,
    }
    return read("airflow", {"it": {**record, "extra": json.dumps(extra) if extra is not None else ""}})


def dbt(type_: str, **fields: Any) -> Taken:
    return read("dbt", {"it": {"outputs": {"prod": {"type": type_, **fields}}}}, environment={"NAMED": "from-there"})


@pytest.mark.parametrize(
    ("conn_type", "record", "expected"),
    [
        (
            "mysql",
            {"extra": {"ssl": {"ca": "/ca.pem", "cert": "/c.pem", "key": "/k.pem"}}},
            {"security_protocol": "authTypeSsl", "truststore_file": "file:/ca.pem", "key_file": "file:/k.pem"},
        ),
        ("mysql", {"extra": {"ssl": '{"ca": "/ca.pem"}'}}, {"truststore_file": "file:/ca.pem"}),
        ("postgres", {"extra": {"sslpassword": CANARY}}, {"client_password": SECRET}),
        ("redis", {"extra": {"db": 3, "ssl": True}}, {"database": 3, "security_protocol": "authTypeSsl"}),
        ("redis", {"extra": {"ssl": False}, "schema": ""}, {"type": "redis", "address": [{"host": "h", "port": 6379}]}),
        ("mongo", {"extra": {"authSource": "users", "tls": "true"}}, {"auth_db": "users"}),
        ("mongo", {"extra": {"ssl": True}}, {"security_protocol": "authTypeSsl"}),
        ("clickhouse", {"extra": {"secure": True}}, {"security_protocol": "authTypeSsl"}),
        ("oracle", {"extra": {"sid": "ORCL"}}, {"sid": "ORCL"}),
        (
            "oracle",
            {"host": "", "extra": {"dsn": "db.example.com:1522/svc"}},
            {"address": [{"host": "db.example.com", "port": 1522}], "service_name": "svc"},
        ),
        (
            "kafka",
            {
                "host": "",
                "login": "",
                "password": "",
                "extra": {
                    "bootstrap.servers": "one:9093,two:9094",
                    "security.protocol": "SASL_SSL",
                    "sasl.mechanism": "SCRAM-SHA-256",
                    "sasl.username": "k",
                    "sasl.password": CANARY,
                },
            },
            {
                "address": [{"host": "one", "port": 9093}, {"host": "two", "port": 9094}],
                "security_protocol": "authTypeSaslSsl",
                "sasl_mechanism": "scram-sha-256",
                "sasl_username": "k",
                "sasl_password": SECRET,
            },
        ),
        (
            "snowflake",
            {"extra": {"account": "abc", "private_key_content": CANARY}, "password": ""},
            {"security_protocol": "authTypePrivateKey", "private_key_file_id": SECRET},
        ),
        (
            "ssh",
            {"extra": {"private_key": CANARY, "private_key_passphrase": CANARY}, "password": ""},
            {"security_protocol": "authTypeSshKey", "ssh_key_file": SECRET, "ssh_key_password": SECRET},
        ),
        (
            "http",
            {"schema": "https", "login": "", "password": "", "extra": {"Authorization": f"Bearer {CANARY}"}},
            {"url": "https://h", "security_protocol": "token", "auth_token": SECRET},
        ),
        ("http", {"host": "h/v1", "port": 8443, "schema": "https"}, {"url": "https://h:8443/v1"}),
        ("opensearch", {"port": 9200, "extra": {"use_ssl": True}}, {"endpoint": "https://h:9200"}),
        ("google_cloud_platform", {"extra": {"project": "p", "keyfile_dict": CANARY}}, {"big_query_auth": SECRET}),
        ("s3", {"extra": {"bucket_name": "b", "region_name": "eu-west-1"}}, {"bucket": "b", "access_key": SECRET}),
        (
            "jdbc",
            {"host": "jdbc:postgresql://db.example.com:5433/shop", "schema": ""},
            {"type": "postgresql", "jdbc_url": "jdbc:postgresql://db.example.com:5433/shop", "username": "u"},
        ),
    ],
)
def test_settings_of_airflows_providers(conn_type: str, record: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    found = plain(airflow(conn_type, **record))
    assert {name: found.get(name) for name in expected} == expected, found


@pytest.mark.parametrize(
    ("conn_type", "record", "why"),
    [
        ("spark", {"host": "yarn"}, "the master of a Spark cluster"),
        ("mongo", {"extra": {"srv": True}}, "SRV records"),
        ("hiveserver2", {"extra": {"auth_mechanism": "KERBEROS"}}, "by Kerberos"),
        ("s3", {"schema": "", "extra": {"region_name": "eu-west-1"}}, "names no bucket"),
        ("jdbc", {"host": CANARY}, "no JDBC URL"),
        ("oracle", {"host": "", "extra": {"dsn": CANARY}}, "none of the form host:port/service"),
    ],
)
def test_what_would_become_another_thing_is_not_taken(conn_type: str, record: Mapping[str, Any], why: str) -> None:
    with pytest.raises(NotTaken, match=why) as caught:
        airflow(conn_type, **record)
    assert CANARY not in str(caught.value)


def test_the_driver_of_a_jdbc_connection_is_told_to_be_left_out() -> None:
    taken = airflow("jdbc", host="jdbc:postgresql://h/d", extra={"driver_class": "org.postgresql.Driver"})
    assert taken.remarks == ["driver_class is left out: postgresql has no field for it"]


def test_a_secret_among_the_options_is_never_a_parameter() -> None:
    taken = airflow("postgres", extra={"iam_token": CANARY, "sslmode": "require"})
    assert plain(taken)["properties"] == {"sslmode": "require"}
    assert taken.remarks == ["iam_token is left out: postgresql has no field for it"]


@pytest.mark.parametrize(
    ("type_", "fields", "expected"),
    [
        (
            "postgres",
            {"host": "h", "port": "{{ env_var('X', 5433) | int }}"},
            {"address": [{"host": "h", "port": 5433}]},
        ),
        ("postgres", {"host": '{{ env_var("NAMED") | trim }}'}, {"address": [{"host": "from-there", "port": 5432}]}),
        (
            "mysql5",
            {"server": "h", "schema": "s", "password": "{{- env_var('PW') -}}"},
            {"password": "env:PW", "database": "s"},
        ),
        ("snowflake", {"account": "a", "private_key": "{{ env_var('KEY') }}"}, {"private_key_file_id": "env:KEY"}),
        ("clickhouse", {"host": "h", "schema": "s", "secure": True}, {"security_protocol": "authTypeSsl"}),
        ("oracle", {"host": "h", "service": "s", "protocol": "tcps"}, {"security_protocol": "authTypeSsl"}),
        ("oracle", {"connection_string": "h:1522/s", "database": "d"}, {"service_name": "s"}),
        (
            "maxcompute",
            {
                "project": "p",
                "endpoint": "https://service.cn-shanghai.maxcompute.aliyun.com/api",
                "access_key_id": "LTAI",
                "access_key_secret": CANARY,
            },
            {"project": "p", "region_id": "cn-shanghai", "access_id": "LTAI", "access_key": SECRET},
        ),
        (
            "bigquery",
            {"project": "p", "keyfile_json": {"id": "{{ env_var('NAMED') }}"}},
            {"big_query_auth": '<{"id": "from-there"}>'},
        ),
        (
            "spark",
            {"method": "thrift", "host": "h", "use_ssl": True},
            {"type": "hive", "security_protocol": "authTypeSsl"},
        ),
    ],
)
def test_profiles_of_dbts_adapters(type_: str, fields: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    found = plain(dbt(type_, **fields))
    assert {name: found.get(name) for name in expected} == expected, found


@pytest.mark.parametrize(
    ("type_", "fields", "why"),
    [
        ("spark", {"method": "session", "host": "NA"}, "method is session"),
        ("oracle", {"tns_name": "db"}, "tnsnames.ora"),
        ("postgres", {"host": "h", "password": "{{ env_var('A') ~ env_var('B') }}"}, "Jinja"),
    ],
)
def test_profiles_that_name_no_server_are_not_taken(type_: str, fields: Mapping[str, Any], why: str) -> None:
    with pytest.raises(NotTaken, match=why):
        dbt(type_, **fields)


def test_the_default_of_a_password_is_told_to_be_lost_and_not_shown() -> None:
    taken = dbt("postgres", host="h", password=f"{{{{ env_var('PW', '{CANARY}') }}}}")
    assert plain(taken)["password"] == "env:PW"
    assert taken.remarks == ["the default of password (not shown) is left out: set PW"]


def dolphin(type_: str, **params: Any) -> Taken:
    return read("dolphinscheduler", [{"name": "it", "type": type_, "connectionParams": json.dumps(params)}])


@pytest.mark.parametrize(
    ("type_", "params", "expected"),
    [
        ("ORACLE", {"jdbcUrl": "jdbc:oracle:thin:@//h:1521/svc", "database": "svc"}, "jdbc:oracle:thin:@//h:1521/svc"),
        ("ORACLE", {"jdbcUrl": "jdbc:oracle:thin:@h:1521:SID", "database": "SID"}, "jdbc:oracle:thin:@h:1521:SID"),
        (
            "SQLSERVER",
            {"jdbcUrl": "jdbc:sqlserver://h:1;databaseName=d", "database": "d"},
            "jdbc:sqlserver://h:1;databaseName=d",
        ),
        (
            "HANA",
            {"jdbcUrl": "jdbc:sap://h:30015?databaseName=d", "database": "d"},
            "jdbc:sap://h:30015?databaseName=d",
        ),
        ("DAMENG", {"jdbcUrl": "jdbc:dm://h:5236/d", "database": "d"}, "jdbc:dm://h:5236"),
        ("KYUUBI", {"jdbcUrl": "jdbc:kyuubi://h:10009/d", "database": "d"}, "jdbc:hive2://h:10009/d"),
        ("MYSQL", {"address": "jdbc:mysql://h:3306", "database": "d"}, "jdbc:mysql://h:3306/d"),
    ],
)
def test_urls_of_dolphinscheduler(type_: str, params: Mapping[str, Any], expected: str) -> None:
    assert plain(dolphin(type_, user="u", password=CANARY, **params))["jdbc_url"] == expected


def test_kerberos_of_dolphinscheduler() -> None:
    found = plain(
        dolphin(
            "HIVE",
            jdbcUrl="jdbc:hive2://h:10000/d",
            principal="hive/_HOST@R",
            javaSecurityKrb5Conf="/krb5.conf",
            loginUserKeytabUsername="app@R",
            loginUserKeytabPath="/app.keytab",
        )
    )
    assert found["security_protocol"] == "authTypeKerberos"
    assert (found["kerberos_file_keytab"], found["principal"]) == ("file:/app.keytab", "app@R")
    assert found["properties"] == {"principal": "hive/_HOST@R"}


def dataworks(type_: str, content: Mapping[str, Any], **record: Any) -> Taken:
    source = {"Name": "it", "DataSourceType": type_, "EnvType": 1, "Content": json.dumps(content), **record}
    return read("dataworks", {"Data": {"DataSources": [source]}}, region="cn-hangzhou")


@pytest.mark.parametrize(
    ("type_", "content", "record", "expected"),
    [
        (
            "odps",
            {"project": "p", "authType": 2, "accessId": "x", "accessKey": CANARY},
            {},
            {"accessKey": SECRET, "authType": None},
        ),
        ("polardb", {"clusterId": "pc-1", "database": "d"}, {"SubType": "mysql"}, {"dbType": "mysql"}),
        ("mongodb", {"address": '["h:3006"]', "database": "d"}, {}, {"address": [{"host": "h", "port": 3006}]}),
        ("redis", {"address": '[{"host": "h", "port": 1}]'}, {}, {"address": [{"host": "h", "port": 1}]}),
        (
            "elasticsearch",
            {"endpoint": "http://h:1", "accessId": "u", "accessKey": CANARY},
            {},
            {"username": "u", "password": SECRET},
        ),
        ("hive", {"jdbcUrl": "jdbc:hive2://h:1/d", "username": "u", "password": CANARY}, {}, {"loginMode": "LDAP"}),
    ],
)
def test_content_of_the_api_of_2020(
    type_: str, content: Mapping[str, Any], record: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    found = plain(dataworks(type_, content, **record))
    assert {name: found.get(name) for name in expected} == expected, found


def test_blocks_that_say_the_name_of_their_type_alone() -> None:
    info = {"driver": "snowflake", "host": "a", "database": "SHOP/PUBLIC", "username": "u", "password": CANARY}
    block = {"name": "it", "block_type_name": "SQLAlchemy Connector", "data": {"connection_info": info}}
    assert importing.guess([block], "x").name == "prefect"
    assert plain(read("prefect", block))["database"] == "SHOP"


VARIABLES = """\
# of a shell
AIRFLOW_UID=50000
AIRFLOW__CORE__FERNET_KEY=canary-and-more
export AIRFLOW_CONN_SHOP_DB='{
  "conn_type": "mysql", "host": "h", "login": "u", "password": "canary-and-more",
  "schema": "shop"
}'
AIRFLOW_CONN_ORDERS="postgres://u:canary-and-more@h:5433/orders"
"""


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_variables_of_airflow_are_an_export_too(store: Store, tmp_path: Path) -> None:
    apply_texts(store, [("x.yaml", "version: 1\nworkspaces: [{name: retail}]")], store.by())
    file = tmp_path / "airflow.env"
    file.write_text(VARIABLES)
    done = take_over(store, str(file), "retail", store.by())
    assert done.variables == ("SHOP_DB_PROD_PASSWORD", "ORDERS_PROD_PASSWORD")
    assert [row.name for row in store.sources.list(workspace="retail").items] == ["orders", "shop_db"]
    assert CANARY not in str(done)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (
            "one=mysql://u@h/d\r\ntwo.b-c = postgres://u@h/d?a=b\n",
            {"one": "mysql://u@h/d", "two.b-c": "postgres://u@h/d?a=b"},
        ),
        ("A=\"x\ny\"\nB='z'", {"A": "x\ny", "B": "z"}),
        ("OTHER=1\nAIRFLOW_CONN_A=x", {"a": "x"}),
        ('A="{\\"host\\": \\"h\\"}"', {"A": '{"host": "h"}'}),
        ("A='x' # it's of prod\nB=y#z # of dev\nC=\"'q' # r\" #", {"A": "x", "B": "y#z", "C": "'q' # r"}),
    ],
)
def test_lines_of_variables(text: str, data: dict[str, str]) -> None:
    assert dotenv.look_like(text)
    assert dotenv.parse("x.env", text).data == data


@pytest.mark.parametrize("text", ["a: b=c", '{"a=b": 1}', "- a=b", "version: 1", ""])
def test_what_is_no_file_of_variables(text: str) -> None:
    assert not dotenv.look_like(text)


@pytest.mark.parametrize(
    ("text", "where"),
    [("a=b\n\nc", "x.env:3:1"), ("a=b\nc='canary-and-more", "x.env:2:1"), ("a='canary-and-more' b", "x.env:1:1")],
)
def test_faulty_lines_of_variables_are_told_without_their_values(text: str, where: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        dotenv.parse("x.env", text)
    assert caught.value.where == where
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_names_in_other_letters_stay_apart(store: Store, tmp_path: Path) -> None:
    apply_texts(store, [("x.yaml", "version: 1\nworkspaces: [{name: retail}]")], store.by())
    file = tmp_path / "names.json"
    one = {"conn_type": "postgres", "host": "h", "login": "u", "password": "p", "schema": "d"}
    file.write_text(json.dumps({"订单": one, "库存": one, "größe": one}), encoding="utf-8")
    take_over(store, str(file), "retail", store.by())
    names = {row.name for row in store.sources.list(workspace="retail").items}
    assert names == {"u8ba2u5355", "u5e93u5b58", "gruf6udfe"}


@pytest.mark.parametrize("named", ["service_name", "sid"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_oracle_goes_to_prefect_and_comes_back_by_what_it_is_found(store: Store, tmp_path: Path, named: str) -> None:
    side = f"address: [{{host: h, port: 1521}}], {named}: x, username: u, password: 'env:A'"
    one = f"{{name: one, type: oracle, prod: {{{side}}}}}"
    shop = f"version: 1\nworkspaces: [{{name: a, data_sources: [{one}]}}, {{name: b}}]"
    apply_texts(store, [("x.yaml", shop)], store.by())
    file = tmp_path / "blocks.json"
    file.write_text(json.dumps([dict(block.document) for block in blocks(store, "a").blocks]))
    take_over(store, str(file), "b", store.by())
    before, after = (store.sources.get("a", "one").entries[0], store.sources.get("b", "a_one_prod").entries[0])
    assert (after.properties, after.references) == (before.properties, before.references)
    assert after.properties[named] == "x"
