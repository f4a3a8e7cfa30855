"""URLs: what they say, how they are built again, and what they cannot smuggle."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from registry import urls
from registry.errors import InvalidInput
from registry.urls import ParsedUrl
from registry.urls.normal import normal_host

Endpoints = tuple[tuple[str, int | None], ...]


@pytest.mark.parametrize(
    ("url", "endpoints", "database"),
    [
        ("jdbc:postgresql://db.example.com:5433/orders", (("db.example.com", 5433),), "orders"),
        ("jdbc:postgresql://h1:1,h2:2/orders", (("h1", 1), ("h2", 2)), "orders"),
        ("jdbc:postgresql://[2001:DB8::1]:5432/orders", (("2001:db8::1", 5432),), "orders"),
        ("jdbc:postgresql://db.example.com/", (("db.example.com", None),), None),
        ("jdbc:postgresql:orders", (("localhost", None),), "orders"),
        ("jdbc:postgresql:", (("localhost", None),), None),
        ("postgresql://db.example.com/big%20data", (("db.example.com", None),), "big data"),
        ("postgresql://h1:1,[::1]:2/orders?target_session_attrs=any", (("h1", 1), ("::1", 2)), "orders"),
        ("postgresql://%2Fvar%2Frun%2Fpg/orders", (("/var/run/pg", None),), "orders"),
        ("postgresql:///orders?host=/var/run/pg&port=5433", (("/var/run/pg", 5433),), "orders"),
        ("postgresql:///?host=h1,h2&port=1,2&dbname=orders", (("h1", 1), ("h2", 2)), "orders"),
        ("postgresql:///orders", (("/var/run/postgresql", None),), "orders"),
        ("postgresql://db.example.com/a%2Fb%3Fc%25", (("db.example.com", None),), "a/b?c%"),
        ("jdbc:postgresql://db.example.com/a%253Fb", (("db.example.com", None),), "a%3Fb"),
        ("jdbc:postgresql://db.example.com/50%", (("db.example.com", None),), "50%"),
        ("jdbc:mysql://db.example.com/a%3Bb%5Cc%23d", (("db.example.com", None),), "a;b\\c#d"),
        ("postgresql+asyncpg://db.example.com/orders", (("db.example.com", None),), "orders"),
        ("JDBC:MySQL://DB.Example.COM:3306/Orders", (("db.example.com", 3306),), "Orders"),
        ("jdbc:mysql:loadbalance://h1:1,h2:2/orders", (("h1", 1), ("h2", 2)), "orders"),
        ("jdbc:mysql:replication://h1,h2/orders", (("h1", None), ("h2", None)), "orders"),
        ("jdbc:mysql://address=(host=::1)(port=1),address=(host=h2)/orders", (("::1", 1), ("h2", None)), "orders"),
        ("jdbc:mysql://(host=h1,port=7)/orders", (("h1", 7),), "orders"),
        ("jdbc:mariadb:sequential://h1,h2/orders", (("h1", None), ("h2", None)), "orders"),
        (
            "mysql://root@localhost/orders?unix_socket=/run/mysqld/mysqld.sock",
            (("/run/mysqld/mysqld.sock", None),),
            "orders",
        ),
        ("redis://cache.example.com:6380/3", (("cache.example.com", 6380),), "3"),
        ("rediss://cache.example.com?db=3", (("cache.example.com", None),), "3"),
        ("unix:///run/redis/redis.sock?db=2", (("/run/redis/redis.sock", None),), "2"),
        ("ftp://files.example.com/export", (("files.example.com", None),), None),
        ("sftp://files.example.com:2222/export", (("files.example.com", 2222),), None),
        ("https://api.example.com/v1?page=1", (("api.example.com", None),), None),
        ("jdbc:oracle:thin:@//h:1521/svc", (("h", 1521),), "svc"),
        ("jdbc:oracle:thin:@h:1521:ORCL", (("h", 1521),), None),
        (
            "jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS_LIST=(ADDRESS=(PROTOCOL=TCP)(HOST=h1)(PORT=1))"
            "(ADDRESS=(PROTOCOL=TCP)(HOST=h2)(PORT=2)))(CONNECT_DATA=(SERVICE_NAME=svc)))",
            (("h1", 1), ("h2", 2)),
            "svc",
        ),
        ("jdbc:sqlserver://h\\inst:1433;databaseName=orders", (("h", 1433),), "orders"),
        ("jdbc:sqlserver://;serverName=h;portNumber=1433;database={or;ders}", None, None),
        ("jdbc:sqlserver://;serverName=h;portNumber=1433;database={orders}", (("h", 1433),), "orders"),
        ("jdbc:clickhouse://h1:8123,h2:8123/orders", (("h1", 8123), ("h2", 8123)), "orders"),
        ("jdbc:hive2://h:10000/orders;auth=noSasl", (("h", 10000),), "orders"),
        ("http://１２７.0.0.1:８０８０/", (("127.0.0.1", 8080),), None),
        ("https://bücher.example/", (("xn--bcher-kva.example", None),), None),
    ],
)
def test_every_form_names_its_servers_and_its_database(
    url: str, endpoints: Endpoints | None, database: str | None
) -> None:
    if endpoints is None:
        with pytest.raises(InvalidInput):
            urls.parse(url)
        return
    parsed = urls.parse(url)
    assert (parsed.endpoints, parsed.database) == (endpoints, database)
    again = urls.parse(urls.build(parsed))
    assert (again.endpoints, again.database, again.properties) == (endpoints, database, parsed.properties)


@pytest.mark.parametrize(
    "url",
    [
        "jdbc:postgresql://db.example.com/orders?user=app&password=s3cr3t%26x",
        "jdbc:postgresql://db.example.com/orders?USER=app&%70assword=s3cr3t%26x",
        "postgresql://app:s3cr3t%26x@db.example.com/orders",
        "jdbc:mysql://app:s3cr3t%26x@h1,h2/orders",
        "jdbc:mysql://app:s3cr3t%26x@h1,app:s3cr3t%26x@h2/orders",
        "jdbc:mysql://(host=h1,user=app,password=s3cr3t%26x)/orders",
        "redis://app:s3cr3t%26x@cache.example.com/0",
        "sftp://app:s3cr3t%26x@files.example.com/",
        "https://app:s3cr3t%26x@api.example.com/v1",
        "jdbc:oracle:thin:app/s3cr3t%26x@h:1521:ORCL",
        "jdbc:sqlserver://h;user=app;password={s3cr3t&x}",
        "jdbc:clickhouse://h/orders?user=app&password=s3cr3t%26x",
    ],
)
def test_credentials_come_apart_from_everything_else(url: str) -> None:
    parsed = urls.parse(url)
    assert parsed.username == "app"
    assert parsed.password == SecretStr("s3cr3t&x")
    assert "s3cr3t" not in repr(parsed)
    assert not parsed.properties
    assert "s3cr3t" not in urls.build(parsed)


@pytest.mark.parametrize(
    ("url", "directory"),
    [
        ("ftp://files.example.com/export/orders", "export/orders"),
        ("ftps://files.example.com/%2Fexport", "/export"),
        ("sftp://files.example.com/export", "/export"),
        ("ftp://files.example.com/", None),
    ],
)
def test_the_path_of_an_ftp_url_starts_at_the_directory_of_the_login(url: str, directory: str | None) -> None:
    parsed = urls.parse(url)
    assert parsed.options.get("path") == directory
    assert urls.parse(urls.build(parsed)).options == parsed.options


def test_a_password_keeps_its_percent_signs() -> None:
    parsed = urls.parse("mysql://app:%2540%25@db.example.com/orders")
    assert parsed.password == SecretStr("%40%")


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("orders", "no scheme"),
        ("jdbc:mysqlxxx://h/d", "did you mean jdbc:mysql"),
        ("jdbc:https://h/", "it begins with https://"),
        ("jdbc:mysql:fabric://h/d", "Fabric"),
        ("jdbc:mysql+srv://h/d", "unknown URL scheme"),
        ("jdbc:mysql:h/d", "'//' is missing"),
        ("jdbc:mysql://h/d?x=1#y", "a '#' has no meaning"),
        ("https://h/x#y", "a '#' has no meaning"),
        ("mysql://%2Frun%2F..%2Fx/d", "a socket path is"),
        ("mysql://%2Frun%2Fx%3Fy/d", "a socket path is"),
        ("mysql://" + ".".join(["a" * 50] * 6) + "/d", "a host is"),
        ("mysql://" + "a" * 64 + "/d", "a host is"),
        ("mysql://[fe80::1%25e/x]/d", "in brackets"),
        ("mysql://[fe80::1%25e%20x]/d", "zone"),
        ("mysql://u%00v:p@h/d", "control character"),
        ("mysql://u:s3cr3t%0d%0aQUIT@h/d", "control character"),
        ("mysql://h/d?user=u%00v", "control character"),
        ("mysql://h/d?password=s3cr3t%00v", "control character"),
        ("https://h/a\x7fb", "control character"),
        ("https://h/a b", "percent-encoded"),
        ("https://h/a?b=<c>", "percent-encoded"),
        ("jdbc:mysql://h:0/d", "1 to 65535"),
        ("jdbc:mysql://h:65536/d", "1 to 65535"),
        ("jdbc:mysql://h:33o6/d", "1 to 65535"),
        ("jdbc:mysql://good%40evil/d", "a host is"),
        ("jdbc:mysql://good%2540evil/d", "a host is"),
        ("jdbc:mysql://good%23/d", "a host is"),
        ("jdbc:mysql://goo d/d", "a host is"),
        ("jdbc:mysql://good%0aevil/d", "control character"),
        ("jdbc:mysql://good\u200b/d", "invisible"),
        ("jdbc:mysql://good\\evil/d", "a host is"),
        ("jdbc:mysql://good＠evil/d", "a host is"),
        ("jdbc:mysql://u:p@good@evil/d", "more than one '@'"),
        ("jdbc:mysql://%252525252525252568/d", "more than 5 times"),
        ("jdbc:mysql://%ff/d", "UTF-8"),
        ("jdbc:mysql://h/d%3Fx=1", "database name"),
        ("jdbc:mysql://h/d%23x%3D1", "database name"),
        ("jdbc:postgresql://h/d%3Fx%3D1", "database name"),
        ("jdbc:postgresql://h/d;x=1", "%3B"),
        ("jdbc:mysql://h//d", "%2F"),
        ("postgresql://h/d%00", "control character"),
        ("jdbc:clickhouse://h/a%2Fb", "database name"),
        ("jdbc:mysql://h/d?a=1&A=2", "given twice"),
        ("jdbc:mysql://h/d?password=a&b", "no '='"),
        ("jdbc:mysql://::1/d", "in brackets"),
        ("jdbc:mysql://[::1/d", "in brackets"),
        ("jdbc:mysql://[1.2.3.4]/d", "no IPv6"),
        ("jdbc:mysql://address=(host=h)(path=x)/d", "other things"),
        ("jdbc:mysql://address=(host=h)(protocol=pipe)/d", "tcp"),
        ("jdbc:mysql://user@h1,other@h2/d", "given twice"),
        ("http://2130706433/", "four numbers"),
        ("http://0x7f.1/", "four numbers"),
        ("http://0177.0.0.1/", "four numbers"),
        ("https://h/?api_key=s3cr3t", "carries a credential"),
        ("postgresql://good/d?host=evil", "given twice"),
        ("postgresql://good:1/d?port=2", "given twice"),
        ("postgresql:///a?dbname=b", "given twice"),
        ("mysql://good/d?unix_socket=/tmp/x", "takes the place"),
        ("redis://h/1?db=2", "one number"),
        ("redis://h/one", "one number"),
        ("unix://h/x", "absolute path"),
        ("ftp://h/x;type=a", "plain path"),
        ("ftp://h/%253Bx", "plain path"),
        ("jdbc:oracle:oci:@//h/s", "thin"),
        ("jdbc:oracle:thin:@orders", "tnsnames.ora"),
        ("jdbc:oracle:thin:@ldap://h/s", "malformed"),
        ("jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(HOST=h))(SECURITY=(X=y)))", "SECURITY may not"),
        ("jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(PROTOCOL=IPC)(HOST=h))(CONNECT_DATA=(SID=x)))", "TCP"),
        ("jdbc:oracle:thin:@" + "(DESCRIPTION_LIST=" * 20 + "(HOST=h)" + ")" * 20, "a description is written"),
        ("jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(HOST=h))(CONNECT_DATA=(SID=x)))(HOST=evil)", "stands behind"),
        ("jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(HOST=h%2Ex))(CONNECT_DATA=(SID=x)))", "plain ASCII"),
        ("jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(HOST=h))(CONNECT_DATA=(SID=x/y)))", "a service name"),
        ("jdbc:sqlserver://h\\a b:1;user=app", "an instance is named"),
        ("jdbc:sqlserver://good;serverName=evil", "given twice"),
        ("jdbc:sqlserver://h;password={a", "not closed"),
        ("jdbc:mysql://h/d?x=" + "1" * 9000, "longer than"),
    ],
)
def test_what_is_malformed_or_means_two_things_is_refused(url: str, fault: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        urls.parse(url)
    assert fault in str(caught.value)
    assert caught.value.code == "CONFIG.BAD_VALUE"
    assert caught.value.instruction
    assert "s3cr3t" not in str(caught.value)


LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HOST = st.one_of(
    st.lists(LABEL, min_size=1, max_size=3).map(".".join).filter(lambda host: not host.startswith("xn--")),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
ENDPOINT = st.tuples(HOST, st.one_of(st.none(), st.integers(1, 65535)))
VISIBLE = st.characters(codec="utf-8", exclude_categories=("C", "Z"))
DATABASE = st.text(VISIBLE, min_size=1, max_size=20).filter(lambda name: not set(name) & set("?#;%/\\"))
USER = st.text(VISIBLE, min_size=1, max_size=20)
PROPERTIES = st.dictionaries(
    st.from_regex(r"x[a-zA-Z]{1,8}", fullmatch=True),
    st.text(VISIBLE, min_size=1, max_size=20).filter(lambda value: "%" not in value),
    max_size=3,
).filter(lambda given: len({key.lower() for key in given}) == len(given))


_BUILT = ["jdbc:postgresql", "postgresql", "jdbc:mysql", "jdbc:mariadb", "mysql", "jdbc:clickhouse"]
#: Names that servers take in quotes; what looks like parameters is given apart from a URL.
QUOTED = st.text(VISIBLE | st.just(" "), min_size=1, max_size=20).filter(
    lambda name: name == name.strip() and not re.search("[?#;&].*=", name)
)


@given(scheme=st.sampled_from([one for one in _BUILT if "clickhouse" not in one]), database=QUOTED | st.just("a%3Fb=c"))
def test_any_name_of_a_database_is_parsed_back(scheme: str, database: str) -> None:
    assert urls.parse(urls.build(ParsedUrl(scheme, "", (("h", None),), database))).database == database


@given(
    scheme=st.sampled_from(_BUILT),
    endpoints=st.lists(ENDPOINT, min_size=1, max_size=3).map(tuple),
    database=DATABASE,
    username=USER,
    properties=PROPERTIES,
)
def test_what_is_built_is_parsed_back(scheme: str, **parts: Any) -> None:
    url = ParsedUrl(scheme, "", **parts)
    again = urls.parse(urls.build(url))
    assert again.endpoints == url.endpoints
    assert again.database == url.database
    assert again.username == url.username
    assert dict(again.properties) == dict(url.properties)


@given(endpoint=ENDPOINT, username=USER, database=st.integers(0, 15), tls=st.booleans())
def test_redis_urls_are_parsed_back(endpoint: tuple[str, int | None], username: str, database: int, tls: bool) -> None:
    url = ParsedUrl("rediss" if tls else "redis", "redis", (endpoint,), str(database), username)
    assert urls.parse(urls.build(url)) == url


@given(endpoint=ENDPOINT, database=DATABASE, username=USER, value=st.text(VISIBLE, min_size=1, max_size=20))
def test_sql_server_urls_are_parsed_back(
    endpoint: tuple[str, int | None], database: str, username: str, value: str
) -> None:
    value = value.replace("%", "")
    url = ParsedUrl("jdbc:sqlserver", "sqlserver", (endpoint,), database, username, properties={"xName": value + "x"})
    again = urls.parse(urls.build(url))
    assert (again.endpoints, again.database, again.username) == (url.endpoints, url.database, url.username)
    assert again.properties == url.properties


@given(
    password=st.text(VISIBLE, min_size=1, max_size=20), scheme=st.sampled_from(["postgresql", "mysql", "redis", "sftp"])
)
def test_any_password_comes_through_encoding_and_out_of_the_url(password: str, scheme: str) -> None:
    parsed = urls.parse(f"{scheme}://app:{quote(password, safe='')}@db.example.com/1")
    assert parsed.password == SecretStr(password)
    assert urls.build(parsed) == urls.build(urls.parse(f"{scheme}://app@db.example.com/1"))


@given(text=st.text(max_size=60), scheme=st.sampled_from(sorted(urls.DIALECTS)), jdbc=st.booleans())
def test_no_text_breaks_the_parser_or_comes_back_in_its_error(text: str, scheme: str, jdbc: bool) -> None:
    url = f"{'jdbc:' if jdbc else ''}{scheme}://u:S3CR3T@{text}"
    try:
        told = urls.build(urls.parse(url))
    except InvalidInput as error:
        told = str(error)
    assert "S3CR3T" not in told


@given(host=st.text(min_size=1, max_size=20))
def test_no_encoding_makes_a_host_of_what_is_none(host: str) -> None:
    for rounds in range(3):
        encoded = host
        for _ in range(rounds):
            encoded = quote(encoded, safe="")
        try:
            parsed = urls.parse(f"mysql://{encoded}/orders")
        except InvalidInput:
            continue
        for found, _ in parsed.endpoints:
            assert not set(found) & set("@#?&;=\\ \t\n%") or found.startswith("/") or ":" in found


@pytest.mark.parametrize("written", ["fe80::1%acc0", "FE80::1%25acc0", "[fe80::1%acc0]"])
def test_the_zone_of_an_ipv6_address_is_no_percent_encoding(written: str) -> None:
    assert normal_host(written) == "fe80::1%acc0"
