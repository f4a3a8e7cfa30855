"""The clients that pipelines get, against real servers with and without TLS."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pydantic import SecretStr

from registry import secrets, types
from registry.connection import Mode
from tasks.connecting import NotConnectable, clients
from tasks.connecting.detailing import Details
from tests.lab.certificates import Authority, Certificate
from tests.lab.faults import SCRIPTS
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, Ftp, MariaDB, Sftp

NAME = "clients.lab.test"


@pytest.fixture(scope="module")
def certificate(lab: Lab) -> Certificate:
    return lab.ca.issue(NAME)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Name -> address, for this process."""
    known: dict[str, str] = {}
    resolve = socket.getaddrinfo

    def asked(host: str | bytes | None, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        return resolve(known.get(name, host), *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    return known


def found(type_: str, fields: Mapping[str, Any], **values: str) -> Details:
    """What `connect` makes a client of."""
    kind = types.get(type_)
    connection = kind.modes[Mode.CONNECTION_STRING].model_validate(fields)
    resolved = {
        field: secrets.resolve_field(connection, field, reference)
        for field, reference in connection.secret_references().items()
        if field not in values
    }
    given = {field: SecretStr(value) for field, value in values.items()}
    return Details("retail/orders", "prod", type_, kind.protocol_of(connection), connection, resolved | given)


def at(server: Any, host: str = "") -> dict[str, Any]:
    return {
        "host": host or server.v4,
        "port": server.port,
        "username": "app",
        "password": "env:P",
        "base_dir": "/orders",
    }


of_both_kinds = pytest.mark.parametrize(
    "opened", [clients.open, clients.open_asynchronous], ids=["synchronous", "asynchronous"]
)


def value(client: Any, key: str) -> Any:
    """What Redis has under a key, by a client of either kind."""

    async def asynchronously() -> Any:
        async with client:
            return await client.get(key)

    return asyncio.run(asynchronously()) if hasattr(client, "aclose") else client.get(key)


@of_both_kinds
def test_redis_answers_and_shows_no_password(lab: Lab, opened: Any) -> None:
    server = lab.redis()
    with lab.inside("client"):
        fields = {"address": [{"host": server.v4, "port": 6379}], "username": "app", "password": "env:P"}
        client = opened(found("redis", fields, password=PASSWORD))
        assert value(client, "orders:1") == b"first"
        assert PASSWORD not in f"{client!r} {client.connection_pool!r}"


@of_both_kinds
def test_redis_over_tls_is_verified(lab: Lab, certificate: Certificate, named: dict[str, str], opened: Any) -> None:
    import redis

    server = lab.redis(tls=certificate)
    with lab.inside("client"):
        named[NAME] = named["other.lab.test"] = server.v4
        for host, is_right in ((NAME, True), ("other.lab.test", False)):
            fields = {"address": [{"host": host, "port": 6379}], "username": "app", "password": "env:P"}
            fields |= {"security_protocol": "authTypeSsl", "truststore_file": f"file:{lab.ca.bundle}"}
            client = opened(found("redis", fields, password=PASSWORD), {"retry": None})
            if is_right:
                assert value(client, "orders:1") == b"first"
            else:
                with pytest.raises(redis.ConnectionError, match="certificate"):
                    value(client, "orders:1")


def status(client: Any, path: str) -> int:
    """What a service answers, to a client of either kind."""

    async def asynchronously() -> int:
        async with client:
            return int((await client.get(path)).status_code)

    return asyncio.run(asynchronously()) if hasattr(client, "aclose") else int(client.get(path).status_code)


@of_both_kinds
def test_a_service_over_tls_is_verified_and_logged_in_to(
    lab: Lab, certificate: Certificate, named: dict[str, str], opened: Any
) -> None:
    import httpx

    server = lab.http(tls=certificate)
    unknown = Authority(lab.network.directory, "Unknown CA")
    login = {"security_protocol": "basic", "username": "app", "password": "env:P"}

    def client(host: str, bundle: Any = lab.ca.bundle, password: str = PASSWORD) -> Any:
        fields = {"url": server.url("/", host), "truststore_file": f"file:{bundle}", **login}
        return opened(found("restapi", fields, password=password))

    with lab.inside("client"):
        named[NAME] = named["other.lab.test"] = server.v4
        assert status(client(NAME), "private/") == 200
        assert status(client(NAME, password=lab.wrong_password), "private/") == 401
        for refusing in (client("other.lab.test"), client(NAME, unknown.bundle)):
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                status(refusing, "private/")


def test_sftp_logs_in_by_password_and_by_key_and_trusts_no_other_key(lab: Lab) -> None:
    server: Sftp = lab.sftp()
    with lab.inside("client"):
        by_password = found("sftp", at(server) | {"host_key": server.host_key}, password=PASSWORD)
        with clients.open(by_password) as client:
            assert "1.json" in client.listdir(".")
        fields = {
            **at(server),
            "password": None,
            "ssh_key_file": f"file:{server.client_key}",
            "host_key": server.host_key,
        }
        with clients.open(found("sftp", fields)) as client:
            assert "1.json" in client.listdir(".")
        other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
        for host_key in (other, None):
            with pytest.raises(NotConnectable, match="does not let in"):
                clients.open(found("sftp", at(server) | {"host_key": host_key}, password=PASSWORD))
        with pytest.raises(NotConnectable, match=r"does not let in \(AuthenticationException\)"):
            clients.open(found("sftp", at(server) | {"host_key": server.host_key}, password="wrong"))


def test_ftp_stands_in_its_folder(lab: Lab) -> None:
    server = lab.ftp()
    with lab.inside("client"):
        client = clients.open(found("ftp", at(server) | {"protocol": "ftp"}, password=PASSWORD))
        assert "1.json" in client.nlst()
        with pytest.raises(NotConnectable):
            clients.open(found("ftp", at(server) | {"protocol": "ftp"}, password="wrong"))


def test_ftps_encrypts_data_and_resumes_its_session(lab: Lab, certificate: Certificate, named: dict[str, str]) -> None:
    server: Ftp = lab.ftp(tls=certificate, options={"require_ssl_reuse": "YES"})
    with lab.inside("client"):
        named[NAME] = server.v4
        fields = at(server, NAME) | {"protocol": "ftps", "truststore_file": f"file:{lab.ca.bundle}"}
        client = clients.open(found("ftp", fields, password=PASSWORD))
        assert "1.json" in client.nlst()


def test_postgresql_over_tls_is_verified_by_the_entrys_own_bundle(lab: Lab, certificate: Certificate) -> None:
    from sqlalchemy import text

    server = lab.postgresql(tls=certificate)
    with lab.inside("client"):
        address = {
            "address": [{"host": server.v4, "port": 5432}],
            "database": "shop",
            "username": "app",
            "password": "env:P",
        }
        fields = {**address, "truststore_file": f"file:{lab.ca.bundle}", "properties": {"sslmode": "verify-ca"}}
        engine = clients.open(found("postgresql", fields, password=PASSWORD))
        with engine.connect() as connection:
            seen = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            assert connection.execute(seen).scalar_one() is True


# --- MySQL, by pymysql and by aiomysql ------------------------------------------------------------------------------

both = pytest.mark.parametrize("opened", [clients.open, clients.open_asynchronous], ids=["pymysql", "aiomysql"])
NO_TLS, NO_SERVER, HUNG_UP, DENIED = 2026, 2003, 2013, 1045


def shop(*hosts: str, **fields: Any) -> dict[str, Any]:
    """An entry of `app`'s for the shop at these addresses, in their order."""
    places = [{"host": host, "port": MariaDB.port} for host in hosts]
    return {"address": places, "database": "shop", "username": "app", "password": "env:P", **fields}


def asked(engine: Any, statement: str) -> Sequence[Any]:
    """The first row of what a server answers to an engine of either kind."""
    from sqlalchemy import text

    async def asynchronously() -> Any:
        try:
            async with engine.connect() as connection:
                return (await connection.execute(text(statement))).first()
        finally:
            await engine.dispose()

    if hasattr(engine, "sync_engine"):
        return asyncio.run(asynchronously())
    try:
        with engine.connect() as connection:
            return connection.execute(text(statement)).first()
    finally:
        engine.dispose()


def refused(engine: Any, *numbers: int) -> Exception:
    """What the driver says, with one of these numbers, instead of connecting."""
    from sqlalchemy.exc import OperationalError

    with pytest.raises(OperationalError) as caught:
        asked(engine, "SELECT 1")
    assert caught.value.orig is not None
    assert caught.value.orig.args[0] in numbers
    assert PASSWORD not in str(caught.value)
    return caught.value.orig


ENCRYPTION = "SHOW SESSION STATUS LIKE 'Ssl_version'"


@both
def test_mysql_answers_at_the_first_of_its_addresses_that_does(lab: Lab, opened: Any) -> None:
    server = lab.mariadb()
    with (
        lab.inside("client"),
        lab.listener("close", MariaDB.port) as hangs_up,
        lab.listener("mysql", MariaDB.port) as other,
    ):
        dead = (lab.host().v4, hangs_up.host)
        engine = opened(found("mysql", shop(*dead, server.v4, other.host), password=PASSWORD))
        assert asked(engine, "SELECT note FROM orders") == ("first",)
        assert PASSWORD not in f"{engine!r} {engine.url!r}"
        refused(opened(found("mysql", shop(*dead), password=PASSWORD)), HUNG_UP, NO_SERVER)
        assert (len(hangs_up.peers), len(other.peers)) == (2, 0)


@both
def test_mysql_is_not_asked_again_elsewhere_with_a_password_that_is_wrong(lab: Lab, opened: Any) -> None:
    server, count = lab.mariadb(), "SHOW GLOBAL STATUS LIKE 'Access_denied_errors'"
    with lab.inside("client"), lab.listener("mysql", MariaDB.port) as other:
        before = int(server.sql(count).split()[1])
        refused(opened(found("mysql", shop(server.v4, server.v4, other.host), password=lab.wrong_password)), DENIED)
        assert int(server.sql(count).split()[1]) == before + 1
        assert other.peers == []


@both
def test_mysql_over_tls_is_verified_down_to_its_name(
    lab: Lab, certificate: Certificate, named: dict[str, str], opened: Any
) -> None:
    server = lab.mariadb(tls=certificate)
    unknown = Authority(lab.network.directory, "Unknown CA")

    def client(host: str, mode: str, bundle: Any = lab.ca.bundle) -> Any:
        fields = {"truststore_file": f"file:{bundle}", "properties": {"sslMode": mode}}
        return opened(found("mysql", shop(host, **fields), password=PASSWORD))

    with lab.inside("client"):
        named[NAME] = named["other.lab.test"] = server.v4
        for host, mode in ((NAME, "VERIFY_IDENTITY"), ("other.lab.test", "VERIFY_CA"), ("other.lab.test", "REQUIRED")):
            assert asked(client(host, mode), ENCRYPTION)[1].startswith("TLSv1.")
        for engine in (client("other.lab.test", "VERIFY_IDENTITY"), client(NAME, "VERIFY_CA", unknown.bundle)):
            said = refused(engine, NO_SERVER)
            assert "CERTIFICATE_VERIFY_FAILED" in f"{said} {said.__cause__}"


@both
def test_mysql_shows_the_clients_certificate(lab: Lab, certificate: Certificate, opened: Any) -> None:
    server, own = lab.mariadb(tls=certificate), lab.ca.issue("app", client=True)
    server.sql(f"CREATE OR REPLACE USER certified@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE X509")
    fields = {"username": "certified", "database": "information_schema", "properties": {"sslMode": "REQUIRED"}}
    files = {"keystore_file": f"file:{own.certificate}", "key_file": f"file:{own.key}"}
    with lab.inside("client"):
        assert asked(opened(found("mysql", shop(server.v4, **fields, **files), password=PASSWORD)), "SELECT 1") == (1,)
        refused(opened(found("mysql", shop(server.v4, **fields), password=PASSWORD)), DENIED)


@both
def test_mysql_that_offers_no_tls_hears_nothing_where_it_is_asked_for(lab: Lab, opened: Any) -> None:
    server = lab.mariadb()
    fields = {"truststore_file": f"file:{lab.ca.bundle}", "properties": {"sslMode": "VERIFY_CA"}}
    clear = {"greeting": _greeting_without_tls(), "end": "close", "wait": True}
    with lab.inside("client"), lab.listener("mysql", MariaDB.port, **clear) as stripped:
        for host in (server.v4, stripped.host):
            refused(opened(found("mysql", shop(host, **fields), password=PASSWORD)), NO_TLS)
        assert stripped.heard in ([], [b""])


def _greeting_without_tls() -> bytes:
    """As whoever sits on the way there would change it: without the flag CLIENT_SSL."""
    greeting, capabilities = SCRIPTS["mysql"].greeting, 25
    (flags,) = struct.unpack_from("<H", greeting, capabilities)
    return greeting[:capabilities] + struct.pack("<H", flags & ~0x0800) + greeting[capabilities + 2 :]


@both
@pytest.mark.parametrize(("mode", "version"), [("PREFERRED", "TLSv1."), ("", "TLSv1."), ("DISABLED", "")])
def test_mysql_gets_tls_where_it_has_it_unless_the_entry_says_none(
    lab: Lab, certificate: Certificate, opened: Any, mode: str, version: str
) -> None:
    fields = {"properties": {"sslMode": mode}} if mode else {}
    with lab.inside("client"):
        for server, expected in ((lab.mariadb(tls=certificate), version), (lab.mariadb(), "")):
            told = asked(opened(found("mysql", shop(server.v4, **fields), password=PASSWORD)), ENCRYPTION)[1]
            assert told.startswith(expected)
            assert bool(told) == bool(expected)


@both
def test_mysql_gets_the_properties_of_the_entry(lab: Lab, opened: Any) -> None:
    server = lab.mariadb()
    said = {"characterEncoding": "latin1", "sessionVariables": "sql_mode='ANSI', lock_wait_timeout=7"}
    statement = "SELECT @@character_set_client, @@lock_wait_timeout, @@sql_mode LIKE '%ANSI%'"
    with lab.inside("client"):
        engine = opened(found("mysql", shop(server.v4, properties=said), password=PASSWORD))
        assert asked(engine, statement) == ("latin1", 7, 1)


@both
def test_mysql_gives_up_a_silent_address_in_the_time_of_the_entry(lab: Lab, opened: Any) -> None:
    server = lab.mariadb()
    with lab.inside("client"), lab.filter("drop", silent := lab.host().v4, MariaDB.port):
        fields = shop(silent, server.v4, properties={"connectTimeout": "600"})
        began = time.monotonic()
        assert asked(opened(found("mysql", fields, password=PASSWORD)), "SELECT note FROM orders") == ("first",)
        assert time.monotonic() - began < 12


def test_mysql_that_takes_long_is_given_up_in_the_time_of_the_entry(lab: Lab) -> None:
    server = lab.mariadb()
    with lab.inside("client"):
        engine = clients.open(found("mysql", shop(server.v4, properties={"socketTimeout": "500"}), password=PASSWORD))
        began = time.monotonic()
        with pytest.raises(Exception, match="timed out"):
            asked(engine, "SELECT SLEEP(20)")
        assert time.monotonic() - began < 10


@both
@pytest.mark.parametrize("password", ["grün-Straße", "密码-пароль"])
def test_mysql_hears_a_password_in_the_letters_it_was_made_of(lab: Lab, opened: Any, password: str) -> None:
    server = lab.mariadb()
    server.sql(
        f"SET NAMES utf8mb4; CREATE OR REPLACE USER lettered@'%' IDENTIFIED BY '{password}'",
        "GRANT SELECT ON shop.* TO lettered@'%'",
    )
    with lab.inside("client"):
        engine = opened(found("mysql", shop(server.v4, username="lettered"), password=password))
        assert asked(engine, "SELECT note FROM orders") == ("first",)


QUOTED = 'a/b?c=50%#"1"`2`;x'


@pytest.mark.parametrize("type_", ["postgresql", "mysql"])
def test_a_database_whose_name_has_to_be_quoted(lab: Lab, type_: str) -> None:
    from sqlalchemy import text

    server = lab.postgresql() if type_ == "postgresql" else lab.mariadb()
    if type_ == "postgresql":
        name, current = '"' + QUOTED.replace('"', '""') + '"', "current_database()"
        server.sql(f"CREATE DATABASE {name} TEMPLATE template0")
    else:
        name, current = "`" + QUOTED.replace("`", "``") + "`", "DATABASE()"
        server.sql(f"CREATE DATABASE {name}; GRANT SELECT ON {name}.* TO app")
    fields = {"address": [{"host": server.v4, "port": server.port}], "database": QUOTED, "username": "app"}
    with lab.inside("client"):
        engine = clients.open(found(type_, {**fields, "password": "env:P"}, password=PASSWORD))
        with engine.connect() as connection:
            assert connection.execute(text(f"SELECT {current}")).scalar() == QUOTED
        engine.dispose()
