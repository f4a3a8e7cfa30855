"""The clients that pipelines get, against real servers with and without TLS."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from registry import secrets, types
from registry.connection import Mode
from tasks.connecting import NotConnectable, clients
from tasks.connecting.detailing import Details
from tests.lab.certificates import Certificate
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, Ftp, Sftp

NAME = "clients.lab.test"


@pytest.fixture(scope="module")
def certificate(lab: Lab) -> Certificate:
    return lab.ca.issue(NAME)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Name -> address, for this process."""
    known: dict[str, str] = {}
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: resolve(known.get(host, host), *rest, **more)
    )
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


def test_redis_answers_and_shows_no_password(lab: Lab) -> None:
    server = lab.redis()
    with lab.inside("client"):
        fields = {"address": [{"host": server.v4, "port": 6379}], "username": "app", "password": "env:P"}
        client = clients.open(found("redis", fields, password=PASSWORD))
        assert client.get("orders:1") == b"first"
        assert PASSWORD not in f"{client!r} {client.connection_pool!r}"


def test_redis_over_tls_is_verified(lab: Lab, certificate: Certificate, named: dict[str, str]) -> None:
    import redis

    server = lab.redis(tls=certificate)
    with lab.inside("client"):
        named[NAME] = named["other.lab.test"] = server.v4
        for host, is_right in ((NAME, True), ("other.lab.test", False)):
            fields = {"address": [{"host": host, "port": 6379}], "username": "app", "password": "env:P"}
            fields |= {"security_protocol": "authTypeSsl", "truststore_file": f"file:{lab.ca.bundle}"}
            client = clients.open(found("redis", fields, password=PASSWORD))
            if is_right:
                assert client.get("orders:1") == b"first"
            else:
                with pytest.raises(redis.ConnectionError, match="certificate"):
                    client.get("orders:1")


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
