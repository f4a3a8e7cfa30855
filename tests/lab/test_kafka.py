"""Kafka: a cluster of librdkafka's, and a scripted broker for logins, TLS and advertised listeners of every kind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.expectation import Expectation
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD, WRONG_PASSWORD
from tests.lab.stores import Kafka, LibrdkafkaMock

NAME = "kafka.lab.test"
LOGIN = {
    "security_protocol": "authTypeSaslPlaintext", "sasl_mechanism": "scram-sha-256", "sasl_username": "app",
    "sasl_password": PASSWORD,
}  # fmt: skip


@pytest.fixture(scope="module")
def broker(lab: Lab) -> Kafka:
    server = lab.server(Kafka, tls=lab.ca.issue(NAME), itself=NAME)
    lab.name("kafka", server.v4)
    return server


def entry(host: str, port: int = 9092, **changes: Any) -> dict[str, Any]:
    given = {"address": {"host": host, "port": port}, "objects": ["orders"], **changes}
    return {key: value for key, value in given.items() if value is not None}


def test_a_cluster_of_three(lab: Lab, expect: Expectation) -> None:
    cluster = lab.server(LibrdkafkaMock)
    verdict = lab.check("kafka", entry("127.0.0.1", cluster.port))
    expect(verdict, "good, three brokers", code=None, state="Connectable", within=2)
    verdict = lab.check("kafka", entry("127.0.0.1", cluster.port, objects=["oders"]))
    expect(
        verdict, "no such topic", code="TARGET.OBJECT_MISSING", state="ConfigError", component="oders", within=2
    )  # fmt: skip
    verdict = lab.check("kafka", entry("127.0.0.1", cluster.port, objects=None))
    expect(verdict, "good, any topic", code=None, state="Connectable", within=2)


@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256", "scram-sha-512"])
def test_login(lab: Lab, expect: Expectation, broker: Kafka, mechanism: str) -> None:
    verdict = lab.check("kafka", entry(NAME, 9094, **{**LOGIN, "sasl_mechanism": mechanism}))
    expect(verdict, f"good, {mechanism}", code=None, state="Connectable", within=2)
    wrong = {**LOGIN, "sasl_mechanism": mechanism, "sasl_password": WRONG_PASSWORD}
    verdict = lab.check("kafka", entry(NAME, 9094, **wrong))
    expect(
        verdict, f"wrong password, {mechanism}", code="AUTH.BAD_CREDENTIALS", state="ConfigError", component="app",
        within=2,
    )  # fmt: skip


def test_tls(lab: Lab, expect: Expectation, broker: Kafka) -> None:
    bundle = f"file:{lab.ca.bundle}"
    secured = {**LOGIN, "security_protocol": "authTypeSaslSsl", "truststore_file": bundle}
    verdict = lab.check("kafka", entry(NAME, 9095, **secured))
    expect(verdict, "good, login over TLS", code=None, state="Connectable", within=2)
    verdict = lab.check("kafka", entry(NAME, 9093, security_protocol="authTypeSsl"))
    expect(
        verdict, "TLS not verified", code=None, state="Connectable", within=2, warnings=["TLS.NOT_VERIFIED"]
    )  # fmt: skip
    verdict = lab.check("kafka", entry(broker.v4, 9093, security_protocol="authTypeSsl", truststore_file=bundle))
    expect(verdict, "certificate of another name", code="TLS.NAME_MISMATCH", state="ConfigError", within=2)
    verdict = lab.check("kafka", entry(NAME, 9093))
    expect(verdict, "plaintext to a TLS listener", code="TLS.REQUIRED", state="ConfigError", within=2)
    verdict = lab.check("kafka", entry(NAME, 9092, security_protocol="authTypeSsl"))
    expect(verdict, "TLS to a plaintext listener", code="TLS.NOT_OFFERED", state="ConfigError", within=2)


@pytest.mark.parametrize(
    ("kind", "port", "changes", "code", "component"),
    [
        ("a login is missing", 9094, {}, "AUTH.METHOD_UNSUPPORTED", "security_protocol"),
        ("a listener without login", 9092, LOGIN, "CONFIG.BAD_VALUE", "security_protocol"),
        ("unknown topic", 9092, {"objects": ["oders"]}, "TARGET.OBJECT_MISSING", "oders"),
        ("topic may not be seen", 9092, {"objects": ["closed"]}, "PRIV.OBJECT_DENIED", "closed"),
        ("topic may not be read", 9092, {"objects": ["unreadable"]}, "PRIV.OBJECT_DENIED", "unreadable"),
    ],
)
def test_refused(
    lab: Lab, expect: Expectation, broker: Kafka, kind: str, port: int, changes: dict[str, Any], code: str,
    component: str,
) -> None:  # fmt: skip
    verdict = lab.check("kafka", entry(NAME, port, **changes))
    expect(verdict, kind, code=code, state="ConfigError", component=component, within=2)


def test_advertised_listeners(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    lab.name("kafka-2", host)
    for kind, elsewhere, code, state, within in (
        ("advertised name unknown", ("kafka-2.internal", 9092), "DNS.NXDOMAIN", "Unreachable", 3),
        ("advertised port closed", ("kafka-2.lab.test", 9092), "PORT.CLOSED", "Unreachable", 2),
        ("localhost advertised", ("localhost", 9092), "CONFIG.BAD_VALUE", "ConfigError", 2),
    ):
        server = lab.server(Kafka, elsewhere=elsewhere)
        verdict = lab.check("kafka", entry(server.v4, objects=["far"]))
        name = f"{elsewhere[0]}:{elsewhere[1]}"
        expect(verdict, kind, code=code, state=state, component=name, within=within)
        assert server.v4 in verdict.message
        # What is bound is led by another broker: it works, and the one that does not is told.
        verdict = lab.check("kafka", entry(server.v4))
        expect(
            verdict, f"{kind}, of another topic", code=None, state="Connectable", within=within,
            warnings=["DNS.SOME_ADDRESSES_FAIL"],
        )  # fmt: skip


def test_an_advertised_listener_behind_a_firewall(lab: Lab, expect: Expectation) -> None:
    host = lab.host().v4
    server = lab.server(Kafka, elsewhere=(host, 9092))
    with lab.filter("drop", host):
        verdict = lab.check("kafka", entry(server.v4, objects=["far"]), timeout=3)
    expect(
        verdict, "advertised listener dropped", code="INCONCLUSIVE", state="Unreachable", component=f"{host}:9092",
        alternatives=["FILTER.DROP", "HOST.DOWN"], within=3.5,
    )  # fmt: skip


def test_another_protocol(lab: Lab, expect: Expectation, broker: Kafka) -> None:
    verdict = lab.check("kafka", entry(lab.redis().v4, 6379), timeout=3)
    expect(verdict, "a Redis", code="PROTO.MISMATCH", state="ConfigError", within=3.5)
    verdict = lab.check("kafka", entry(lab.postgresql().v4, 5432), timeout=3)
    expect(verdict, "a PostgreSQL", code="PROTO.MISMATCH", state="ConfigError", within=3.5)


def test_no_secret_before_the_broker_has_spoken(lab: Lab, expect: Expectation) -> None:
    with lab.listener("mute", 9094) as listener:
        plain = {**LOGIN, "sasl_mechanism": "plain"}
        verdict = lab.check("kafka", entry(listener.host, 9094, **plain), timeout=2)
    expect(verdict, "accepts, says nothing", code="PEER.MUTE", state="Unreachable", within=2.5)
    assert PASSWORD.encode() not in b"".join(listener.heard)
